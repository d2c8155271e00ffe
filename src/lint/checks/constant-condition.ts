/** A comparison, or several together, with one outcome whatever the call. */

import type { Field, ResolvedCondition } from "../../policy/resolved.ts";
import { fieldsOf, hasUnknown } from "../../policy/resolved-condition.ts";
import type { Rule } from "../../policy/types.ts";
import type { Origin } from "../../proof/policy.ts";
import { reachableCases } from "../../proof/reach.ts";
import { type ConditionNode, conditionOf } from "../conditions.ts";
import { at } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import type { Item, Placement } from "../subject.ts";

export const constantCondition: Lint = {
  documentation: {
    id: "constant-condition",
    severity: "warning",
    what: "A comparison is always true, or always false, whatever the call.",
    why: "Such a condition decides nothing: the rule holds for every call, or for none. Often && and || are exchanged: an argument always differs from one of two values.",
    example: "deny socket(domain != AF_UNIX || domain != AF_INET)",
    instead: "deny socket(domain != AF_UNIX && domain != AF_INET)",
  },
  check: (subject) => {
    const findings: Finding[] = [];
    for (const item of subject.items) {
      const node = item.isOwn ? conditionOf(subject, item) : undefined;
      if (node !== undefined) visit(node, item, findings);
    }
    return findings;
  },
};

/** Reports the smallest parts that are constant; whether there were any. */
function visit(node: ConditionNode, item: Item, findings: Finding[]): boolean {
  let found = false;
  for (const child of node.children) found = visit(child, item, findings) || found;
  if (found || isZeroMask(node)) return true;
  const value = outcomeOf(node, item);
  if (value === undefined) return false;
  findings.push({
    message: `this is always ${value}, whatever the call`,
    label: labelOf(node, value),
    ...at(node.written.span),
  });
  return true;
}

/** Another lint's to report. */
export function isZeroMask({ resolved }: ConditionNode): boolean {
  return (
    resolved.length > 0 &&
    resolved.every(({ condition }) => condition.kind === "test" && condition.mask === 0n)
  );
}

/** Where several comparisons of one argument make the outcome, their connection is what is wrong. */
function labelOf({ written }: ConditionNode, value: boolean): string {
  if (written.kind === "or" && value) return "did you mean &&?";
  if (written.kind === "and" && !value) return "did you mean ||?";
  return value ? "leave it out" : "no call has this";
}

function outcomeOf({ resolved }: ConditionNode, item: Item): boolean | undefined {
  let outcome: boolean | undefined;
  for (const { condition, placement } of resolved) {
    const value = constantValueOf(condition, placement, item.single);
    if (value === undefined || (outcome !== undefined && outcome !== value)) return undefined;
    outcome = value;
  }
  return outcome;
}

function constantValueOf(
  condition: ResolvedCondition,
  placement: Placement,
  rule: Rule,
): boolean | undefined {
  switch (condition.kind) {
    case "known":
      return condition.value;
    case "unknown":
      return undefined;
    case "test":
      return comparedValue(condition);
    // Its item is constant too, and was reported.
    case "not":
      return undefined;
    default:
      return sharesWords(condition) ? searchedValue(condition, placement, rule) : undefined;
  }
}

/** One comparison, by the ends of what its field can hold. */
function comparedValue({
  field,
  mask,
  comparison,
}: Extract<ResolvedCondition, { kind: "test" }>): boolean | undefined {
  const bits = mask ?? (1n << BigInt(field.width)) - 1n;
  const [least, most] = endsOf(field, mask);
  const ordered = (pattern: bigint): bigint =>
    field.signed && mask === undefined ? BigInt.asIntN(field.width, pattern) : pattern;
  const settle = (always: boolean, never: boolean): boolean | undefined =>
    always ? true : never ? false : undefined;
  switch (comparison.operator) {
    case "nonzero":
      return settle(false, bits === 0n);
    case "within":
      return settle((bits & ~comparison.value) === 0n, false);
    case "==":
      return settle(bits === 0n && comparison.value === 0n, (comparison.value & ~bits) !== 0n);
    case "!=":
      return settle((comparison.value & ~bits) !== 0n, bits === 0n && comparison.value === 0n);
    case "<":
      return settle(most < ordered(comparison.value), least >= ordered(comparison.value));
    case "<=":
      return settle(most <= ordered(comparison.value), least > ordered(comparison.value));
    case ">":
      return settle(least > ordered(comparison.value), most <= ordered(comparison.value));
    case ">=":
      return settle(least >= ordered(comparison.value), most < ordered(comparison.value));
    case "in": {
      const ranges = comparison.ranges.map(({ low, high }) => ({ low: ordered(low), high: ordered(high) }));
      ranges.sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0));
      // The smallest number that is in no range so far.
      let next = least;
      for (const { low, high } of ranges) if (low <= next && high >= next) next = high + 1n;
      const isMissed = ({ low, high }: { low: bigint; high: bigint }): boolean =>
        low > most || (low === high && low >= 0n && (low & ~bits) !== 0n && mask !== undefined);
      const inside = settle(next > most, ranges.every(isMissed));
      return inside === undefined ? undefined : inside !== comparison.negated;
    }
  }
}

function endsOf({ width, signed }: Field, mask: bigint | undefined): readonly [bigint, bigint] {
  if (mask !== undefined) return [0n, mask];
  const half = 1n << BigInt(width - 1);
  return signed ? [-half, half - 1n] : [0n, 2n * half - 1n];
}

/** Comparisons of different words cannot make each other's outcome. */
function sharesWords(condition: ResolvedCondition): boolean {
  const words = fieldsOf(condition).map((field) => field.low);
  return new Set(words).size < words.length;
}

/** Several comparisons together: by the proof's exact search, on a policy of this one condition. */
function searchedValue(
  condition: ResolvedCondition,
  { abi, call }: Placement,
  rule: Rule,
): boolean | undefined {
  if (hasUnknown(condition)) return undefined;
  const kill = { kind: "kill" } as const;
  const fallback = { action: kill, by: "default" } as const;
  const probe: Rule = { ...rule, action: { kind: "allow" } };
  const entries = [{ rule: probe, condition, unknown: "strictest" } as const];
  const { cases, isComplete } = reachableCases(
    {
      policy: { version: 1, syscalls: noRules },
      abis: [
        { abi: abi.abi, calls: [{ nr: call.nr, name: call.name, entries, fallback }], unknownNumber: newer },
      ],
      otherAbis: { action: kill, by: "other-abis" },
    },
    { wanted: new Set<Origin>([probe, "default"]) },
  );
  if (!isComplete) return undefined;
  const origins = new Set<Origin>(cases.map((one) => one.origin));
  if (!origins.has("default")) return true;
  return origins.has(probe) ? undefined : false;
}

const newer = { action: { kind: "kill" }, by: "newer" } as const;
const noRules = {
  default: { kind: "kill" },
  newer: { kind: "kill" },
  abis: ["native"],
  otherAbis: { kind: "kill" },
  multiplexed: "strict",
  require: [],
  rules: [],
} as const;
