/**
 * How the entries of one call meet that look at arguments: libseccomp keeps them in a tree whose levels it orders
 * itself, whatever their order in the profile. The most particular test comes first:
 *
 * - a test of a later argument before one of an earlier one;
 * - EQ, NE and MASKED_EQ before LT and LE, and these before GT and GE;
 * - among the last two the narrower first, else the larger value.
 *
 * Where two entries of one call match the same arguments with different actions, this order says which decides.
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
  readonly reason?: string;
  readonly span?: Span;
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

/** The rules in the order in which libseccomp's tree comes to them; equal ones stay as they are. */
export function inTreeOrder(rules: readonly OciRule[]): readonly OciRule[] {
  return [...rules].sort((a, b) => {
    for (let level = 0; level < Math.max(a.tests.length, b.tests.length); level++) {
      const [one, other] = [a.tests[level], b.tests[level]];
      // What asks for less comes after what asks for more.
      if (one === undefined || other === undefined) return one === undefined ? 1 : -1;
      const order = compareTests(one, other);
      if (order !== 0) return order;
    }
    return 0;
  });
}

function compareTests(a: ArgumentTest, b: ArgumentTest): number {
  if (a.index !== b.index) return b.index - a.index;
  const rank = rankOf[a.op] - rankOf[b.op];
  if (rank !== 0 || a.value === b.value) return rank;
  const larger = a.value > b.value ? -1 : 1;
  return rankOf[a.op] === 1 ? -larger : larger;
}
