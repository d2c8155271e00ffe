/**
 * The cheapest search tree whose longest path has at most so many tests: the dynamic programming of `search-tree.ts`,
 * with the tests that are left as one dimension more. For few ranges.
 */
import type { Range, SearchTree, Solution } from "./search-tree.ts";

const unsolved = -2;
const none = -1;

/**
 * Solves for `most` tests, and for fewer at next to no cost.
 * @param removable the indices of the single values that JEQ may take out, in the order in which it may
 * @param perTest what a test costs by being there
 * @returns for a bound of at most `most` the cheapest tree within it; undefined where there is none
 */
export function boundedTrees(
  ranges: readonly Range[],
  removable: readonly number[],
  perTest: number,
  most: number,
): (bound: number) => Solution | undefined {
  const n = ranges.length;
  const weightOf = Float64Array.from(ranges, (one) => one.weight);
  const destinationOf = Int32Array.from(ranges, (one) => one.destination);
  // A range has lost those of its values whose ranks are low.
  const lastRank = removable.length;
  const rankOf = new Int32Array(n).fill(lastRank);
  for (const [rank, index] of removable.entries()) rankOf[index] = rank;

  const size = n * n * (lastRank + 1) * (most + 1);
  const cost = new Float64Array(size);
  /** What is tested: `none`, 0 for JEQ of the next value, m > 0 for JGE before range m. */
  const choice = new Int16Array(size).fill(unsolved);
  const keyOf = (i: number, j: number, out: number, left: number): number =>
    ((i * n + j) * (lastRank + 1) + out) * (most + 1) + left;

  /** The first value of a range that is not taken out: its rank. */
  const nextRank = (i: number, j: number, out: number): number => {
    let next = lastRank;
    for (let at = i; at <= j; at++) {
      const rank = rankOf[at] ?? lastRank;
      if (rank >= out && rank < next) next = rank;
    }
    return next;
  };
  /** The ranks below `out` that a range has, as one number for all thresholds that mean the same. */
  const normal = (i: number, j: number, out: number): number => {
    let reached = 0;
    for (let at = i; at <= j; at++) {
      const rank = rankOf[at] ?? lastRank;
      if (rank < out && rank >= reached) reached = rank + 1;
    }
    return reached;
  };

  /** The least cost of the ranges from i to j without the values of ranks below `out`, with `left` tests. */
  const solve = (i: number, j: number, threshold: number, left: number): number => {
    const out = normal(i, j, threshold);
    const key = keyOf(i, j, out, left);
    if (choice[key] !== unsolved) return cost[key] ?? 0;
    let [weight, first, isUniform] = [0, none, true];
    for (let at = i; at <= j; at++) {
      if ((rankOf[at] ?? lastRank) < out) continue;
      weight += weightOf[at] ?? 0;
      if (first === none) first = destinationOf[at] ?? 0;
      else if (first !== destinationOf[at]) isUniform = false;
    }
    let [least, chosen] = [isUniform ? 0 : Number.POSITIVE_INFINITY, none];
    if (!isUniform && left > 0) {
      const next = nextRank(i, j, out);
      if (next < lastRank) [least, chosen] = [solve(i, j, next + 1, left - 1), 0];
      for (let m = i + 1; m <= j; m++) {
        const below = solve(i, m - 1, out, left - 1);
        if (below >= least) continue;
        const sum = below + solve(m, j, out, left - 1);
        if (sum < least) [least, chosen] = [sum, m];
      }
      least += perTest + weight;
    }
    cost[key] = least;
    choice[key] = chosen;
    return least;
  };

  const build = (i: number, j: number, threshold: number, left: number): SearchTree => {
    const out = normal(i, j, threshold);
    const chosen = choice[keyOf(i, j, out, left)] ?? none;
    if (chosen === none) {
      const kept = destinationOf.subarray(i, j + 1).find((_, at) => (rankOf[i + at] ?? lastRank) >= out);
      return { kind: "found", destination: kept ?? destinationOf[i] ?? 0 };
    }
    if (chosen === 0) {
      const rank = nextRank(i, j, out);
      const range = ranges[removable[rank] ?? 0];
      const holds: SearchTree = { kind: "found", destination: range?.destination ?? 0 };
      return { kind: "equal", k: range?.first ?? 0, holds, fails: build(i, j, rank + 1, left - 1) };
    }
    return {
      kind: "at-least",
      k: ranges[chosen]?.first ?? 0,
      holds: build(chosen, j, out, left - 1),
      fails: build(i, chosen - 1, out, left - 1),
    };
  };

  return (bound) => {
    const found = solve(0, n - 1, 0, bound);
    return found === Number.POSITIVE_INFINITY ? undefined : { cost: found, tree: build(0, n - 1, 0, bound) };
  };
}
