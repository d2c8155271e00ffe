// What the tests of policies share: policies and calls in short, and what every side says of a call.
import assert from "node:assert/strict";
import { emulate, type Filter } from "../../src/bpf/index.ts";
import { compile, returnValueOf } from "../../src/compiler/index.ts";
import { type Diagnostic, positionAt, renderDiagnostics, spanText } from "../../src/diagnostics/index.ts";
import { type ReadOptions, type ReadResult, readPolicy } from "../../src/formats/index.ts";
import { printAction } from "../../src/policy/action.ts";
import { type Call, evaluate } from "../../src/policy/evaluate.ts";
import { abiOfNumber, type Decision } from "../../src/policy/resolved.ts";
import type { Policy } from "../../src/policy/types.ts";
import { type AbiName, abiByName, constantValue, syscallNumber } from "../../src/syscalls/index.ts";

/** The machine that all these tests are for, whatever machine they run on. */
export const target: AbiName = "x86_64";

/** A policy file of rules, with more keys of its section before them. */
export function fileOf(rules: string, head = ""): string {
  return `version = 1\n[syscalls]\n${head}\nrules = '''\n${rules}\n'''\n`;
}

export function readRules(rules: string, head = ""): ReadResult {
  return readPolicy(fileOf(rules, head), { filename: "p.toml", target });
}

/** The policy of a text that must be without errors. */
export function policyOfText(text: string, options: ReadOptions = {}): Policy {
  const { policy, diagnostics } = readPolicy(text, { target, ...options });
  assert.ok(policy !== undefined, renderDiagnostics(diagnostics));
  return policy;
}

export function policyOf(rules: string, head = ""): Policy {
  return policyOfText(fileOf(rules, head));
}

/** `id line:column "word under the caret"`: what most tests want to know of a diagnostic. */
export function brief({ id, span }: Diagnostic): string {
  if (span === undefined) return id;
  const { line, column } = positionAt(span.source, span.start);
  return `${id} ${line}:${column} ${JSON.stringify(spanText(span))}`;
}

/** A number, a negative one, or names joined by `|`. */
function argumentOf(abi: AbiName, text: string): bigint {
  return text.split("|").reduce((bits, part) => {
    const word = part.trim();
    const value = /^-?[0-9]/.test(word) ? numberOf(word) : constantValue(abi, word);
    assert.ok(value !== undefined, `${word} is no constant of ${abi}`);
    return bits | BigInt.asUintN(64, value);
  }, 0n);
}

function numberOf(text: string): bigint {
  return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text);
}

/** A call in short: `x86_64 socket(AF_INET, 1)`, `x86 #400()`. */
export function callOf(text: string): Call & { readonly nr: number; readonly args: readonly bigint[] } {
  const found = /^(\w+) (#)?(\w+)\((.*)\)$/.exec(text);
  const abi = abiByName(found?.[1] ?? "")?.name;
  assert.ok(found !== null && abi !== undefined, `${text} is no call`);
  const [, , sign, name = "", list = ""] = found;
  const nr = sign === "#" ? Number(name) : syscallNumber(abi, name);
  assert.ok(nr !== undefined, `${abi} has no ${name}`);
  const args = list === "" ? [] : list.split(",").map((one) => argumentOf(abi, one.trim()));
  return { abi, syscall: nr, nr, args };
}

/** `deny 2`: the action and the number of the rule (`require` counts first), or of the fallback. */
export function tell(policy: Policy, { action, by, rule }: Decision): string {
  const rules = [...policy.syscalls.require, ...policy.syscalls.rules];
  return `${printAction(action)} ${rule === undefined ? by : rules.indexOf(rule) + 1}`;
}

/** The value that a filter has to return where the policy decides so. */
export function returnValueFor(policy: Policy, call: Call & { readonly nr: number }): number {
  const { action, by } = evaluate(policy, call, { target });
  return returnValueOf(action, by === "other-abis" ? target : abiOfNumber(call.abi, call.nr));
}

export function emulateCall(filter: Filter, call: Call & { readonly nr: number }): number {
  const arch = abiByName(call.abi)?.arch;
  assert.ok(arch !== undefined);
  return emulate(filter.instructions, { nr: call.nr, arch, args: call.args ?? [] });
}

/** What the rules say of each call; and the compiled, proved filter must say the same. */
export function assertDecisions(policy: Policy, expected: Readonly<Record<string, string>>): void {
  const filter = compile(policy, { target });
  const actual: Record<string, string> = {};
  for (const text of Object.keys(expected)) {
    const call = callOf(text);
    actual[text] = tell(policy, evaluate(policy, call, { target }));
    assert.equal(emulateCall(filter, call), returnValueFor(policy, call), text);
  }
  assert.deepEqual(actual, expected);
}
