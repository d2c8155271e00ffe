/** `callgate explain`: what a policy says of a call, and which rule says it. */
import { actionOf, callOfWords, dataOf, RET_ERRNO } from "../../bpf/index.ts";
import { decodeArguments } from "../../denials/index.ts";
import {
  type Diagnostic,
  hasErrors,
  listWords,
  nearest,
  positionAt,
  renderDiagnostics,
  sanitise,
  spanText,
} from "../../diagnostics/index.ts";
import { loadPolicy } from "../../formats/load.ts";
import { warningsAbout } from "../../formats/lxc-profile/warnings-about.ts";
import { printAction } from "../../policy/action.ts";
import { plainText } from "../../policy/document.ts";
import { extendPolicy } from "../../policy/extend.ts";
import { parseCall } from "../../policy/parser.ts";
import { printRule, printValue } from "../../policy/printer.ts";
import { resolve } from "../../policy/resolve.ts";
import type { Action, Policy, Rule } from "../../policy/types.ts";
import { type CallCases, callCases } from "../../proof/call-cases.ts";
import type { Case } from "../../proof/reach.ts";
import {
  type AbiName,
  abiByName,
  abis,
  errnoName,
  formatVersion,
  hostAbi,
  syscallByName,
  syscallNames,
} from "../../syscalls/index.ts";
import { hasOption, type ParsedArguments, UsageError, valueOfOption } from "../arguments.ts";
import { print, printError, terminalOptions } from "../output.ts";
import { readingOf, targetOf } from "../reading.ts";

export function main(parsed: ParsedArguments): number {
  const [file, text, ...more] = parsed.operands;
  if (file === undefined || text === undefined)
    throw new UsageError("explain takes a policy and a call: callgate explain FILE CALL");
  if (more.length > 0) throw new UsageError("explain takes one call: put it in quotes");
  const loaded = loadPolicy(file, readingOf(parsed, file));
  if (loaded.policy === undefined) {
    printError(renderDiagnostics(loaded.diagnostics, terminalOptions(2)));
    return 2;
  }
  printError(renderDiagnostics(warningsAbout(text, loaded.diagnostics), terminalOptions(2)));
  return explainCall(parsed, loaded.policy, text);
}

/**
 * Says what a policy decides for a call, as `--abi` and `--json` want it; the exit status.
 * @param facts what each object of `--json` has besides
 */
export function explainCall(
  parsed: ParsedArguments,
  policy: Policy,
  text: string,
  facts: Readonly<Record<string, string>> = {},
): number {
  const target = targetOf(parsed) ?? hostAbi();
  const abi = abiOption(valueOfOption(parsed, "abi"), target);
  const source = { name: "call", text };
  const { call, diagnostics: unread } = parseCall(plainText(source, text, 0));
  if (call === undefined) return refuse(unread);
  if (call.target.kind === "name" && !syscallNames().includes(call.target.name)) {
    const guess = nearest(call.target.name, syscallNames());
    return refuse([
      {
        id: "unknown-syscall",
        severity: "error",
        message: `there is no system call ${JSON.stringify(call.target.name)}`,
        span: {
          source,
          start: text.indexOf(call.target.name),
          end: text.indexOf(call.target.name) + call.target.name.length,
        },
        ...(guess === undefined ? {} : { label: `did you mean ${guess}?` }),
      },
    ]);
  }
  if (call.target.kind !== "name" && call.target.kind !== "number")
    throw new UsageError("explain takes one call, by name or number");

  const asked = abiByName(abi ?? call.abi ?? "")?.name;
  const { resolved } = resolve(policy, target);
  const wanted =
    asked === undefined
      ? resolved
      : { ...resolved, abis: resolved.abis.filter((one) => one.abi.name === asked) };
  // An ABI that the policy has no rules for gets one answer whatever the call is.
  if (asked !== undefined && wanted.abis.length === 0) {
    const known = abiByName(asked);
    const widened =
      known === undefined
        ? []
        : resolve(extendPolicy(policy, { rules: [], abis: [known.name] }), target).resolved.abis;
    const own = widened.find((one) => one.abi.name === asked);
    if (own !== undefined) return report(parsed, foreignCall(own.abi.name, call.target, policy), facts);
  }
  const { calls, diagnostics } = callCases(wanted, call);
  // An argument that no filter can see on one way may be seen on the others: that is part of the answer.
  const mistakes = diagnostics.filter(({ id }) => id !== "argument-in-memory");
  if (hasErrors(mistakes)) return refuse(mistakes);
  if (calls.length === 0) {
    printError(
      `callgate explain: no ABI of the policy has ${text}: it has rules for ${resolved.abis.map((one) => one.abi.name).join(", ")}\n`,
    );
    return 2;
  }
  const status = report(
    parsed,
    calls.flatMap((one) => one.cases.map((found) => outcome(one, found, policy))),
    facts,
  );
  if (calls.every((one) => one.isComplete)) return status;
  printError(
    "callgate explain: there may be more outcomes: the rules of this call are too many to tell them all apart; give more arguments\n",
  );
  return 3;
}

function abiOption(name: string | undefined, target: AbiName | undefined): string | undefined {
  if (name === "native") return target;
  if (name === undefined || abiByName(name) !== undefined) return name;
  const names = abis.map((one) => one.name);
  throw new UsageError(
    `there is no ABI ${JSON.stringify(name)}: ABIs are native, ${listWords(names, "and")}`,
  );
}

function refuse(diagnostics: readonly Diagnostic[]): number {
  printError(renderDiagnostics(diagnostics, terminalOptions(2)));
  return 2;
}

/** One line of the answer. */
interface Outcome {
  readonly abi: string;
  readonly syscall: string | null;
  readonly nr: number;
  readonly through: string | undefined;
  readonly twinOf: string | undefined;
  /** The call as it was asked for. */
  readonly asked: string;
  /** Arguments that were given and lie in memory here. */
  readonly unseen: readonly string[];
  readonly action: Action;
  readonly errno: string | number | null;
  readonly by: "rule" | "default" | "newer" | "other-abis";
  readonly rule: Rule | undefined;
  readonly why: string;
  readonly example: string;
}

function outcome(call: CallCases, { origin, returnValue, words }: Case, policy: Policy): Outcome {
  const rule = typeof origin === "object" ? origin : undefined;
  const by = typeof origin === "object" ? "rule" : origin === "launch key" ? "default" : origin;
  const action = rule?.action ?? fallbackAction(by, policy);
  return {
    abi: call.abi.name,
    syscall: call.name ?? null,
    nr: call.nr,
    through: call.through,
    twinOf: call.twinOf,
    asked: describeAsked(call),
    unseen: argumentsInMemory(call),
    action,
    errno: errnoOf(returnValue, call),
    by,
    rule,
    why: rule === undefined ? describeFallback(by, call, policy) : describeRule(rule),
    example: exampleOf(call, words),
  };
}

function foreignCall(
  abi: Outcome["abi"],
  target: { readonly kind: string; readonly name?: string; readonly nr?: number },
  policy: Policy,
): readonly Outcome[] {
  const known = abiByName(abi);
  const call =
    known === undefined || target.name === undefined ? undefined : syscallByName(known.name, target.name);
  const action = policy.syscalls.otherAbis;
  return [
    {
      abi,
      syscall: target.name ?? null,
      nr: call?.nr ?? target.nr ?? 0,
      through: undefined,
      twinOf: undefined,
      unseen: [],
      asked: target.name ?? `#${target.nr ?? 0}`,
      action,
      errno: action.kind === "errno" ? action.errno : null,
      by: "other-abis",
      rule: undefined,
      why: `because the policy has no rules for ${abi}, and other-abis = ${JSON.stringify(printAction(action))}`,
      example: target.name ?? `#${target.nr ?? 0}`,
    },
  ];
}

function fallbackAction(by: Outcome["by"], policy: Policy): Action {
  if (by === "newer") return policy.syscalls.newer;
  return by === "other-abis" ? policy.syscalls.otherAbis : policy.syscalls.default;
}

function errnoOf(returnValue: number, call: CallCases): string | number | null {
  if (actionOf(returnValue) !== RET_ERRNO) return null;
  return errnoName(call.abi.name, dataOf(returnValue)) ?? dataOf(returnValue);
}

function describeFallback(by: Outcome["by"], call: CallCases, policy: Policy): string {
  const { baseline } = policy.syscalls;
  if (by === "newer") {
    if (call.name === undefined) return "because no call with this number is known";
    return `because it is newer than the baseline${baseline === undefined ? "" : `, Linux ${formatVersion(baseline)}`}, and no rule names it`;
  }
  return by === "other-abis"
    ? "because the policy has no rules for this ABI"
    : "because no rule matches: it is the policy's default";
}

function describeRule(rule: Rule): string {
  if (rule.span === undefined) return `by ${printRule(rule)}`;
  const { line } = positionAt(rule.span.source, rule.span.start);
  return `by ${sanitise(rule.span.source.name)}:${line}  ${printRule(rule)}`;
}

/** A call that has the outcome, argument by argument. */
function exampleOf(call: CallCases, words: readonly number[]): string {
  const halves = callOfWords(words).args.flatMap((arg) => [
    Number(BigInt.asUintN(32, arg)),
    Number(arg >> 32n),
  ]);
  const args = decodeArguments(call.abi.name, call.name ?? "", call.args ?? [], halves);
  return `${call.name ?? `#${call.nr}`}(${args.map(({ name, text }) => `${name} = ${text}`).join(", ")})`;
}

/** The call as it was asked for, every argument by its name. */
function describeAsked(way: CallCases): string {
  const given = way.given.map(
    ({ index, name, value }) =>
      `${name ?? way.args?.[index]?.name ?? `args[${index}]`} = ${printValue(value)}`,
  );
  return `${way.name ?? `#${way.nr}`}${given.length === 0 ? "" : `(${given.join(", ")})`}`;
}

function argumentsInMemory(way: CallCases): readonly string[] {
  return (way.args ?? [])
    .filter(
      ({ place, name }, at) =>
        place.kind === "memory" &&
        way.given.some((one) => (one.name ?? "") === name || (one.name === undefined && one.index === at)),
    )
    .map((argument) => argument.name);
}

function report(parsed: ParsedArguments, outcomes: readonly Outcome[], facts: object): number {
  if (hasOption(parsed, "json")) {
    for (const one of outcomes) print(`${JSON.stringify({ ...jsonOf(one), ...facts })}\n`);
    return 0;
  }
  let heading = "";
  for (const one of outcomes) {
    const through = one.through === undefined ? "" : `, through ${one.through}`;
    const twin = one.twinOf === undefined ? "" : `, twin of ${one.twinOf}`;
    const written = `${one.abi.padEnd(8)}${one.asked}${through}${twin}`;
    if (written !== heading) print(`${heading === "" ? "" : "\n"}${written}\n`);
    if (written !== heading && one.unseen.length > 0) {
      const lie = one.unseen.length === 1 ? "lies" : "lie";
      print(`        ${listWords(one.unseen, "and")} ${lie} in memory here, where no filter can see\n`);
    }
    heading = written;
    const siblings = outcomes.filter(
      (other) => other.abi === one.abi && other.through === one.through && other.asked === one.asked,
    ).length;
    const errno = one.action.kind === "errno" ? `${one.errno}, ` : "";
    const word = one.action.kind === "errno" && one.errno === "EPERM" ? "deny" : one.action.kind;
    print(`${word.padEnd(8)}${errno}${one.why}\n`);
    if (siblings > 1) print(`        e.g. ${one.example}\n`);
  }
  return 0;
}

function jsonOf(one: Outcome): object {
  const position =
    one.rule?.span === undefined ? undefined : positionAt(one.rule.span.source, one.rule.span.start);
  return {
    abi: one.abi,
    syscall: one.syscall,
    nr: one.nr,
    action: one.action.kind,
    errno: one.errno,
    by: one.by,
    rule:
      one.rule === undefined
        ? null
        : {
            file: one.rule.span?.source.name ?? null,
            line: position?.line ?? null,
            column: position?.column ?? null,
            text: one.rule.span === undefined ? printRule(one.rule) : spanText(one.rule.span),
            reason: one.rule.reason ?? null,
          },
    through: one.through ?? null,
    twinOf: one.twinOf ?? null,
    unseen: one.unseen,
    example: one.example,
  };
}
