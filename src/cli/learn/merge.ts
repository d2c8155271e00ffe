/** `callgate learn --merge`: one policy that permits what several permit that were learned elsewhere. */
import { dirname, resolve } from "node:path";
import { hasErrors, renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import { findText, readFound, unreadable } from "../../formats/load.ts";
import { addGrants, addRules, type LearnedGrants, type LearnedRule } from "../../learn/index.ts";
import { printAction } from "../../policy/action.ts";
import { printSelector } from "../../policy/printer.ts";
import { resolve as resolvePolicy } from "../../policy/resolve.ts";
import type { Policy, Rule } from "../../policy/types.ts";
import { unreachableRules } from "../../proof/reach.ts";
import { abiByName } from "../../syscalls/index.ts";
import { UsageError } from "../arguments.ts";
import { print, printError, terminalOptions } from "../output.ts";
import { withExtendsFrom } from "./moved-extends.ts";
import { writeOutput } from "./output-file.ts";
import { addedOf, type Merged } from "./summary.ts";

interface Read {
  readonly name: string;
  readonly text: string;
  readonly policy: Policy;
}

/**
 * Writes the first policy with the rules of the others that it does not have. They have to agree in everything else,
 * since a rule means what it means only with its default and baseline.
 * @param existing what is in the output's file already; it is the first policy then
 * @param isForPrograms whether what was added is told as JSON, too
 */
export function mergePolicies(
  output: string,
  existing: string,
  names: readonly string[],
  isForPrograms: boolean,
): number {
  if (names.length === 0)
    throw new UsageError("the policies are missing: callgate learn -o FILE --merge A B…");
  const policies: Read[] = [];
  const sources = [...(existing === "" ? [] : [output]), ...names];
  for (const name of sources) {
    const found = findText(name);
    if (typeof found === "string")
      return refuse(renderDiagnostics([unreadable(name, found)], terminalOptions(2)));
    const { policy, diagnostics } = readFound(found);
    if (policy === undefined || hasErrors(diagnostics))
      return refuse(renderDiagnostics(diagnostics, terminalOptions(2)));
    policies.push({ name, text: found.text, policy });
  }
  const [first, ...others] = policies;
  if (first === undefined) return 2;
  const different = others.find(({ policy }) => settingsOf(policy) !== settingsOf(first.policy));
  if (different !== undefined)
    return refuse(
      `callgate learn: ${sanitise(first.name)} and ${sanitise(different.name)} differ in default, baseline, newer, other-abis or require: rules of the one mean something else in the other\n`,
    );
  const moved = relativePaths(first.policy)[0];
  if (moved !== undefined && dirname(resolve(first.name)) !== dirname(resolve(output)))
    return refuse(
      `callgate learn: ${sanitise(first.name)} grants ${sanitise(JSON.stringify(moved))}, relative to its own folder, and ${sanitise(output)} is in another one: write it there from its beginning, with / or ~/\n`,
    );
  const known = new Set(first.policy.syscalls.rules.flatMap(partsOf).map(({ text }) => text));
  const added: LearnedRule[] = [];
  for (const { name, policy } of others)
    for (const { text, call, reason } of policy.syscalls.rules.flatMap(partsOf)) {
      if (known.has(text)) continue;
      known.add(text);
      const comment = sanitise(reason === undefined ? `from ${name}` : `${reason}; from ${name}`).replaceAll(
        "'",
        "’",
      );
      added.push({ text, comment, call, abi: "x86_64", isDerived: false });
    }
  const abis = [...new Set(others.flatMap(({ policy }) => policy.syscalls.abis))].flatMap((abi) => {
    const found = first.policy.syscalls.abis.includes(abi) ? undefined : abiByName(abi);
    return found === undefined ? [] : [found.name];
  });
  const grants = grantsOf(
    first.policy,
    others.map(({ policy }) => policy),
  );
  const start = withExtendsFrom({ name: first.name, text: first.text }, dirname(resolve(first.name)), output);
  const source = { name: first.name, text: start };
  const rules = decidingRules(addRules(source, { rules: added, abis, unknown: [] }), output, added);
  let text = addRules(source, { rules, abis, unknown: [] });
  if (typeof text === "string") text = addGrants({ name: first.name, text }, grants);
  if (typeof text !== "string")
    return refuse(`callgate learn: ${sanitise(first.name)} cannot be added to: ${text.problem}\n`);
  const wrong = writeOutput(output, text);
  if (wrong !== undefined) return refuse(`callgate learn: ${wrong}\n`);
  printError(
    `callgate learn: ${sanitise(output)}: ${policies.length} policies, ${rules.length === 1 ? "one rule" : `${rules.length} rules`} added to the first one's\n`,
  );
  if (isForPrograms) {
    const merged: Merged = { file: output, merged: sources, added: addedOf({ rules, abis, grants }) };
    print(`${JSON.stringify(merged, null, 2)}\n`);
  }
  return 0;
}

/**
 * Those that decide anything where all of them are added: what the first policy permits in other words, or more widely, is not
 * said twice.
 */
function decidingRules(
  text: ReturnType<typeof addRules>,
  output: string,
  added: readonly LearnedRule[],
): readonly LearnedRule[] {
  const { policy } = typeof text === "string" ? readFound({ filename: output, text }) : {};
  if (policy === undefined) return added;
  const lines = new Set(added.map((rule) => rule.text));
  const isAdded = (rule: Rule): boolean => partsOf(rule).every((one) => lines.has(one.text));
  const { resolved } = resolvePolicy(policy);
  const spans = new Set(unreachableRules(resolved, isAdded).map(({ span }) => span));
  const idle = policy.syscalls.rules
    .filter(({ span }) => span !== undefined && spans.has(span))
    .flatMap(partsOf);
  return added.filter((rule) => !idle.some((one) => one.text === rule.text));
}

/** What a policy names from its own folder: where it was read, that is in front already, from the working directory. */
function isRelative(path: string): boolean {
  return !path.startsWith("/") && path !== "~" && !path.startsWith("~/");
}

function relativePaths({ files }: Policy): readonly string[] {
  return [...(files?.read ?? []), ...(files?.write ?? [])].filter(isRelative);
}

/** What the others grant and the first does not; what they name from their folders, from the root. */
function grantsOf(first: Policy, others: readonly Policy[]): LearnedGrants {
  const granted = ({ files }: Policy, kind: "read" | "write"): readonly string[] =>
    (files?.[kind] ?? []).map((path) => (isRelative(path) ? resolve(path) : path));
  const missing = (kind: "read" | "write"): readonly string[] => {
    const already = granted(first, kind);
    return [...new Set(others.flatMap((one) => granted(one, kind)))].filter(
      (path) => !already.includes(path),
    );
  };
  const modes = [first, ...others].map(({ network }) => network?.mode ?? "off");
  const known = first.network?.mode === "ports" ? first.network.ports : [];
  const ports = [...new Set(others.flatMap(({ network }) => network?.ports ?? []))].filter(
    (port) => !known.includes(port),
  );
  const isWider = first.network?.mode !== "host";
  return {
    read: missing("read"),
    write: missing("write"),
    network: isWider && modes.includes("host") ? "host" : isWider && ports.length > 0 ? ports : undefined,
    left: [],
    exposed: [],
  };
}

/** A rule's selectors one by one, each as text that can be compared. */
function partsOf(rule: Rule): readonly {
  readonly text: string;
  readonly call: string;
  readonly reason: string | undefined;
}[] {
  return rule.selectors.map((selector) => ({
    text: `${printAction(rule.action)} ${printSelector(selector)}`,
    call: selector.target.kind === "name" ? selector.target.name : "",
    reason: rule.reason,
  }));
}

function settingsOf({ syscalls }: Policy): string {
  const { default: fallback, baseline, newer, otherAbis, multiplexed, require } = syscalls;
  const floor = require.flatMap(partsOf).map(({ text }) => text);
  return JSON.stringify([fallback, baseline, newer, otherAbis, multiplexed, floor]);
}

function refuse(text: string): 2 {
  printError(text);
  return 2;
}
