/**
 * What a policy says of one call, found by reading its rules from top to bottom: the meaning of the language.
 * Neither the compiler nor the proof is used here.
 */
import { type AbiName, abiByName, hostAbi, syscallByName } from "../syscalls/index.ts";
import { requireAbi } from "./abi-name.ts";
import { compareStrictness } from "./action.ts";
import { comparisonHolds } from "./comparison.ts";
import { resolveSound } from "./resolve.ts";
import {
  abiOfNumber,
  type Decision,
  type Decisions,
  type Entry,
  type Field,
  type ResolvedAbi,
  type ResolvedCall,
  type ResolvedCondition,
  type ResolvedPolicy,
  type WordIndex,
} from "./resolved.ts";
import type { Policy } from "./types.ts";

/** One system call, as a program makes it. */
export interface Call {
  readonly abi: AbiName;
  /** A name, or the number as the kernel sees it (x32 numbers have bit 30 set). */
  readonly syscall: string | number;
  /** The six argument registers, 64 bits each; missing ones are 0. */
  readonly args?: readonly bigint[];
  readonly instructionPointer?: bigint;
}

export interface EvaluateOptions {
  /** What `native` in the policy means; by default this machine's ABI. */
  readonly target?: AbiName;
}

/**
 * What the policy says of a call, and what said so.
 * @throws TypeError where the ABI has no call of that name, the call cannot be one, or the policy has errors.
 */
export function evaluate(policy: Policy, call: Call, options: EvaluateOptions = {}): Decision {
  requireCall(call);
  const nr =
    typeof call.syscall === "number" ? call.syscall >>> 0 : syscallByName(call.abi, call.syscall)?.nr;
  if (nr === undefined) throw new TypeError(`${call.abi} has no system call ${JSON.stringify(call.syscall)}`);
  const resolved = resolveSound(policy, options.target ?? hostAbi());
  const args = call.args ?? [];
  const ip = call.instructionPointer ?? 0n;
  const lowFirst = abiByName(call.abi)?.endian !== "big";
  const wordAt = (index: WordIndex): bigint => {
    const whole = index < 4 ? ip : (args[(index - 4) >> 1] ?? 0n);
    const isLow = (index % 2 === 0) === lowFirst;
    return BigInt.asUintN(32, isLow ? whole : whole >> 32n);
  };
  return evaluateWords(resolved, call.abi, nr, wordAt);
}

/** What no call of a program's is, is not read as one: NaN would be number 0. */
function requireCall(call: unknown): asserts call is Call {
  if (typeof call !== "object" || call === null || !("abi" in call) || !("syscall" in call))
    throw new TypeError("a call is { abi, syscall, args }");
  requireAbi(call.abi);
  const { syscall } = call;
  if (
    typeof syscall === "number"
      ? syscall >> 0 !== syscall && syscall >>> 0 !== syscall
      : typeof syscall !== "string"
  )
    throw new TypeError("syscall is a call's name, or its number: 32 bits, as the kernel sees it");
  if ("args" in call && call.args !== undefined) requireRegisters(call.args);
}

/** @throws TypeError for what six registers cannot hold as BigInts */
export function requireRegisters(args: unknown): asserts args is readonly bigint[] {
  if (!Array.isArray(args) || args.length > 6 || !args.every((one) => typeof one === "bigint"))
    throw new TypeError("args is an array of at most six BigInts, one for each register: [16n, 3n]");
}

/** The same for a resolved policy, an ABI, a number and the words of the arguments. */
export function evaluateWords(
  resolved: ResolvedPolicy,
  abi: AbiName,
  nr: number,
  wordAt: (index: WordIndex) => bigint,
): Decision {
  const owner = abiOfNumber(abi, nr);
  const own = resolved.abis.find((one) => one.abi.name === owner);
  if (own === undefined) return { ...resolved.otherAbis, rule: undefined };
  const call = callOf(own, nr);
  if (call === undefined) return { ...own.unknownNumber, rule: undefined };
  const { behind } = call;
  const code = behind === undefined ? 0 : Number(wordAt(behind.word)) & behind.mask;
  const decisions = behind?.calls.find((one) => one.code === code >>> 0) ?? call;
  return firstMatch(decisions, wordAt);
}

const callsByNumber = new WeakMap<ResolvedAbi, ReadonlyMap<number, ResolvedCall>>();

function callOf(abi: ResolvedAbi, nr: number): ResolvedCall | undefined {
  let calls = callsByNumber.get(abi);
  if (calls === undefined) {
    calls = new Map(abi.calls.map((call) => [call.nr, call]));
    callsByNumber.set(abi, calls);
  }
  return calls.get(nr);
}

/** The first entry that holds; where it cannot be known, the strictest (most lenient) of what is possible. */
function firstMatch(decisions: Decisions, wordAt: (index: WordIndex) => bigint): Decision {
  const possible: Entry[] = [];
  let last: Decision = { ...decisions.fallback, rule: undefined };
  for (const entry of decisions.entries) {
    const holds = truth(entry.condition, wordAt);
    if (holds === undefined) possible.push(entry);
    if (holds !== true) continue;
    last = decisionOf(entry);
    break;
  }
  return possible.reduceRight((rest, entry) => eitherOf(entry, decisionOf(entry), rest), last);
}

function decisionOf({ rule }: Entry): Decision {
  return { action: rule.action, by: "rule", rule };
}

/** Of two possible decisions the one that the entry asks for; among equals the first rule's. */
function eitherOf(entry: Entry, first: Decision, rest: Decision): Decision {
  const order = compareStrictness(first.action, rest.action);
  return entry.unknown === "strictest" ? (order <= 0 ? first : rest) : order >= 0 ? first : rest;
}

/** Whether a condition holds; undefined where that cannot be known from the call's words. */
function truth(condition: ResolvedCondition, wordAt: (index: WordIndex) => bigint): boolean | undefined {
  switch (condition.kind) {
    case "known":
      return condition.value;
    case "unknown":
      return undefined;
    case "not": {
      const item = truth(condition.item, wordAt);
      return item === undefined ? undefined : !item;
    }
    case "and":
    case "or": {
      const settling = condition.kind === "or";
      let result: boolean | undefined = !settling;
      for (const part of condition.items) {
        const item = truth(part, wordAt);
        if (item === settling) return settling;
        if (item === undefined) result = undefined;
      }
      return result;
    }
    case "test":
      return comparisonHolds(
        fieldValue(condition.field, wordAt),
        condition.field,
        condition.mask,
        condition.comparison,
      );
  }
}

function fieldValue(field: Field, wordAt: (index: WordIndex) => bigint): bigint {
  const low = wordAt(field.low);
  return field.high === undefined ? low : low | (wordAt(field.high) << 32n);
}
