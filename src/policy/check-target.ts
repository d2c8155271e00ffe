/** Whether a selector can be meant at all: names that exist nowhere, conditions where there is nothing to ask. */
import { nearest, type Span } from "../diagnostics/index.ts";
import {
  abis as allAbis,
  groupMembers,
  groups,
  hasSyscall,
  hostAbi,
  isMultiplexed,
  syscallByName,
  syscallNames,
} from "../syscalls/index.ts";
import type { Report } from "./resolve-report.ts";
import { abiOfNumber } from "./resolved.ts";
import type { Condition, Rule, Selector } from "./types.ts";

/** Numbers from here on are the same on every ABI, counted from its first number (mips' and x32's are not 0). */
const firstCommonNumber = 424;

/** Names that exist on no ABI, and selectors that cannot be meant. */
export function checkTarget(selector: Selector, rule: Rule, report: Report): void {
  const { target } = selector;
  // Nearly every selector can be meant: where its name stands is found out when it cannot.
  const at = (): { readonly span?: Span } =>
    selector.span === undefined ? {} : { span: targetSpan(selector, selector.span) };
  const fail = (id: string, message: string, label: string): void =>
    report.add(selector, "", { id, message, label, always: true, ...at() });
  const failName = (id: string, message: string, name: string, names: () => readonly string[]): void =>
    report.add(selector, "", {
      id,
      message,
      get label() {
        const guess = nearest(name, names());
        return guess === undefined ? undefined : `did you mean ${guess}?`;
      },
      always: true,
      ...at(),
    });

  if (target.kind === "name" && !isKnownName(target.name)) {
    const message = `there is no system call ${JSON.stringify(target.name)}`;
    failName("unknown-syscall", message, target.name, syscallNames);
  }
  if (target.kind === "group") {
    if (groupMembers(target.name) === undefined) {
      const message = `there is no group ${JSON.stringify(target.name)}`;
      failName("unknown-group", message, target.name, () => groups.map((group) => group.name));
    } else if (selector.condition !== undefined && rule.action.kind !== "allow") {
      const message = `a condition on ${target.name} would not hold for members without that argument`;
      fail("group-condition", message, "name the calls, or use the condition with allow");
    }
  }
  if (
    target.kind === "any" &&
    selector.condition !== undefined &&
    argumentNames(selector.condition).length > 0
  ) {
    fail(
      "any-condition",
      "* has no arguments with names",
      "name the calls, or write args[0] … args[5] or ip",
    );
  }
  if (target.kind === "number" && selector.abi === undefined && target.nr < firstCommonNumber) {
    fail(
      "number-without-abi",
      `#${target.nr} is a different call on each ABI`,
      `write the ABI before it: x86_64:#${target.nr}`,
    );
  }
  if (
    target.kind === "number" &&
    selector.abi === "x86_64" &&
    abiOfNumber(selector.abi, target.nr) !== selector.abi
  ) {
    fail("number-of-x32", `#${target.nr} is a number of x32, not of x86_64`, "write x32 before it");
  }
}

/** The names of the arguments that a condition asks for. */
export function argumentNames(condition: Condition): readonly string[] {
  switch (condition.kind) {
    case "and":
    case "or":
      return condition.items.flatMap(argumentNames);
    case "not":
      return argumentNames(condition.item);
    case "test":
      return condition.operand.word.kind === "argument" ? [condition.operand.word.name] : [];
  }
}

/** The span of the call's own name inside its selector. */
function targetSpan(selector: Selector, span: Span): Span {
  const text = span.source.text.slice(span.start, span.end);
  const colon = selector.abi === undefined ? -1 : text.indexOf(":");
  const start =
    span.start + colon + 1 + (text.slice(colon + 1).length - text.slice(colon + 1).trimStart().length);
  const rest = span.source.text.slice(start, span.end);
  const open = rest.indexOf("(");
  return {
    source: span.source,
    start,
    end: start + (open === -1 ? rest : rest.slice(0, open)).trimEnd().length,
  };
}

/** Asks this machine's table first: reading the others costs more than everything else in a small policy. */
function isKnownName(name: string): boolean {
  return (
    syscallByName(hostAbi() ?? "x86_64", name) !== undefined ||
    allAbis.some((abi) => hasSyscall(abi.name, name) || isMultiplexed(abi.name, name))
  );
}
