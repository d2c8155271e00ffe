/**
 * How the entries of one call meet that look at arguments: libseccomp keeps them in a tree whose levels it orders
 * itself, whatever their order in the profile. The most particular test comes first:
 *
 * - a test of a later argument before one of an earlier one;
 * - EQ, NE and MASKED_EQ before LT and LE, and these before GT and GE;
 * - among the last two the narrower first, else the larger value; between EQ or NE and MASKED_EQ the one that was added
 *   first.
 *
 * Where two entries of one call match the same arguments with different actions, this order says which decides. It was
 * compared with libseccomp 2.5.4 (docs/libseccomp.md, tests/kernel/libseccomp.test.ts). Of one argument below 2^32 it is
 * libseccomp's; above, and of several arguments, no order of the entries is always libseccomp's. Such entries are told.
 */
import type { Span } from "../diagnostics/index.ts";
import type { Action } from "../policy/types.ts";
import type { AbiName } from "../syscalls/index.ts";

/** A comparison of one whole argument register; the mask counts for MASKED_EQ, and the value lies within it. */
export interface ArgumentTest {
  readonly index: number;
  readonly op: "NE" | "LT" | "LE" | "EQ" | "GE" | "GT" | "MASKED_EQ";
  readonly mask: bigint;
  readonly value: bigint;
}

/** What an entry of a profile says of one number of one ABI: all its tests have to hold. */
export interface OciRule {
  readonly abi: AbiName;
  readonly nr: number;
  readonly name: string;
  readonly action: Action;
  /** In the order of their arguments. */
  readonly tests: readonly ArgumentTest[];
  /** A policy's rule on the name means this on every ABI of the profile: then it stands here for the first only. */
  readonly isByName: boolean;
  readonly reason: string | undefined;
  readonly span: Span | undefined;
}

const rankOf: Readonly<Record<ArgumentTest["op"], number>> = {
  EQ: 0,
  NE: 0,
  MASKED_EQ: 0,
  LT: 1,
  LE: 1,
  GT: 2,
  GE: 2,
};

/** The rules in the order in which libseccomp's tree comes to them. */
export function inTreeOrder(rules: readonly OciRule[]): readonly OciRule[] {
  // One after the other, as they are added: of some tests the one that is there already stays first.
  const byNumber = new Map<string, OciRule[]>();
  for (const rule of rules) {
    const key = `${rule.abi} ${rule.nr}`;
    const before = byNumber.get(key) ?? [];
    const at = before.findIndex((one) => compareRules(rule, one) < 0);
    byNumber.set(key, before.toSpliced(at === -1 ? before.length : at, 0, rule));
  }
  return [...byNumber.values()].flat();
}

function compareRules(a: OciRule, b: OciRule): number {
  for (let level = 0; level < Math.max(a.tests.length, b.tests.length); level++) {
    const [one, other] = [a.tests[level], b.tests[level]];
    // What asks for less comes after what asks for more.
    if (one === undefined || other === undefined) return one === undefined ? 1 : -1;
    const order = compareTests(one, other);
    if (order !== 0) return order;
  }
  return 0;
}

/** Whether two entries of one call can match the same arguments. */
export function canBothMatch(a: OciRule, b: OciRule): boolean {
  return !a.tests.some((one) => b.tests.some((other) => one.index === other.index && excludes(one, other)));
}

/** Whether no value passes both tests of one argument. */
function excludes(a: ArgumentTest, b: ArgumentTest): boolean {
  if (a.op === "EQ") return !holds(b, a.value);
  if (b.op === "EQ") return !holds(a, b.value);
  if (a.op === "MASKED_EQ" && b.op === "MASKED_EQ") return ((a.value ^ b.value) & a.mask & b.mask) !== 0n;
  const [low, high] = [
    [a, b].find(({ op }) => op === "GT" || op === "GE"),
    [a, b].find(({ op }) => op === "LT" || op === "LE"),
  ];
  if (low === undefined || high === undefined) return false;
  const least = low.op === "GT" ? low.value + 1n : low.value;
  return !holds(high, least);
}

function holds({ op, mask, value }: ArgumentTest, word: bigint): boolean {
  switch (op) {
    case "NE":
      return word !== value;
    case "LT":
      return word < value;
    case "LE":
      return word <= value;
    case "EQ":
      return word === value;
    case "GE":
      return word >= value;
    case "GT":
      return word > value;
    case "MASKED_EQ":
      return (word & mask) === value;
  }
}

function compareTests(a: ArgumentTest, b: ArgumentTest): number {
  if (a.index !== b.index) return b.index - a.index;
  const rank = rankOf[a.op] - rankOf[b.op];
  if (rank === 0 && (a.op === "MASKED_EQ") !== (b.op === "MASKED_EQ")) return 0;
  if (rank !== 0 || a.value === b.value) return rank;
  const larger = a.value > b.value ? -1 : 1;
  return rankOf[a.op] === 1 ? -larger : larger;
}
