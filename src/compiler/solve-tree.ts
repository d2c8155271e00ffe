/**
 * The dynamic programming behind `search-tree.ts`. A *stretch* is a run of ranges; its *state* t is what is left of it
 * when the values of the first t ranks are taken out. JGE parts a stretch into two in the same state, JEQ takes out the
 * first value of those ranks that are left, and leads to a later state of the same stretch.
 */
import type { Range, SearchTree, Solution } from "./search-tree.ts";

/** The most ranges of which every stretch is parted at every place. */
const mostExact = 28;
/** Of more ranges, so many in a stretch are; longer stretches are parted at the places that are given for it. */
const mostShort = 16;

/** Costs no further apart are equal; of these JGE comes before JEQ, and right before left: such trees share more. */
const rounding = 1e-12;

/** Of no range a destination, and of ranges with several. */
const nothing = -1;
const mixed = -2;

/**
 * The cheapest tree when the values at `removable` may be taken out, in that order.
 * @param cuts where long stretches may be parted: the work grows with the fourth power of their number
 */
export function solve(
  ranges: readonly Range[],
  removable: readonly number[],
  cuts: readonly number[],
  perTest: number,
): Solution {
  const n = ranges.length;
  const states = removable.length;
  const weights = Float64Array.from(ranges, (one) => one.weight);
  const destinations = Int32Array.from(ranges, (one) => one.destination);
  const taken = Int32Array.from(removable);
  const rankOf = new Int32Array(n).fill(-1);
  for (const [rank, index] of removable.entries()) rankOf[index] = rank;
  const weightBefore = sumsBefore(weights);
  const takenBefore = sumsBefore(weights.map((weight, index) => ((rankOf[index] ?? -1) < 0 ? 0 : weight)));

  const longestShort = n <= mostExact ? n : mostShort;
  const anywhere = partingAt([...ranges.keys()], n);
  const atCuts = partingAt(cuts, n);
  const isCut = new Uint8Array(n + 1);
  for (const cut of [0, ...cuts, n]) isCut[cut] = 1;

  // The costs twice, so that the inner loop walks along a row of both: by (t, first, last) and by (t, last, first).
  const square = n * n;
  const byFirst = new Float64Array(square * (states + 1));
  const byLast = new Float64Array(square * (states + 1));
  /** By (t, first, last); -1: all one destination; 0: JEQ; m > 0: JGE before range m. */
  const choice = new Int16Array(square * (states + 1)).fill(-1);
  /** By (first, last): the one destination of what is never taken out. */
  const alike = new Int32Array(square);

  for (let length = 1; length <= n; length++) {
    const isLong = length > longestShort;
    const { places, upTo } = isLong ? atCuts : anywhere;
    for (let i = 0; i + length <= n; i++) {
      const j = i + length - 1;
      const atFirst = i * n + j;
      const atLast = j * n + i;
      const own = (rankOf[j] ?? -1) < 0 ? (destinations[j] ?? 0) : nothing;
      let kept = length === 1 ? own : bothAlike(alike[atFirst - 1] ?? nothing, own);
      alike[atFirst] = kept;
      if (isLong && (isCut[i] === 0 || isCut[j + 1] === 0)) continue;
      const firstPlace = upTo[i] ?? 0;
      const lastPlace = upTo[j] ?? 0;
      let left = (weightBefore[j + 1] ?? 0) - (weightBefore[i] ?? 0);
      left -= (takenBefore[j + 1] ?? 0) - (takenBefore[i] ?? 0);
      // From all taken out to none, so that what JEQ leads to is known.
      for (let t = states; t >= 0; t--) {
        const base = t * square;
        let least = Number.POSITIVE_INFINITY;
        let chosen = -1;
        if (t < states) {
          const back = taken[t] ?? 0;
          least = byFirst[base + square + atFirst] ?? 0;
          if (back < i || back > j) {
            // Nothing comes back: the same is left as in the state after.
            byFirst[base + atFirst] = least;
            byLast[base + atLast] = least;
            choice[base + atFirst] = choice[base + square + atFirst] ?? -1;
            continue;
          }
          left += weights[back] ?? 0;
          kept = bothAlike(kept, destinations[back] ?? 0);
          chosen = 0;
        }
        if (kept !== mixed) continue;
        const lefts = base + i * n - 1;
        const rights = base + j * n;
        for (let place = firstPlace; place < lastPlace; place++) {
          const m = places[place] ?? 0;
          const sum = (byFirst[lefts + m] ?? 0) + (byLast[rights + m] ?? 0);
          if (sum < least + rounding) {
            least = sum;
            chosen = m;
          }
        }
        const cost = perTest + left + least;
        byFirst[base + atFirst] = cost;
        byLast[base + atLast] = cost;
        choice[base + atFirst] = chosen;
      }
    }
  }

  const build = (i: number, j: number, t: number): SearchTree => {
    const chosen = choice[t * square + i * n + j] ?? -1;
    if (chosen > 0)
      return {
        kind: "at-least",
        k: ranges[chosen]?.first ?? 0,
        holds: build(chosen, j, t),
        fails: build(i, chosen - 1, t),
      };
    if (chosen === 0) {
      const rank = removable.findIndex((index, at) => at >= t && index >= i && index <= j);
      const range = ranges[removable[rank] ?? 0];
      return {
        kind: "equal",
        k: range?.first ?? 0,
        holds: { kind: "found", destination: range?.destination ?? 0 },
        fails: build(i, j, rank + 1),
      };
    }
    let one = i;
    while (one < j && (rankOf[one] ?? -1) >= 0 && (rankOf[one] ?? -1) < t) one++;
    return { kind: "found", destination: ranges[one]?.destination ?? 0 };
  };
  return { cost: byFirst[n - 1] ?? 0, tree: build(0, n - 1, 0) };
}

/** Where a stretch is parted: the ranges that a second part begins with, and at [i] how many of them are up to i. */
interface Parting {
  readonly places: Int32Array;
  readonly upTo: Int32Array;
}

function partingAt(places: readonly number[], n: number): Parting {
  const upTo = new Int32Array(n);
  for (const place of places) upTo[place] = 1;
  for (let i = 1; i < n; i++) upTo[i] = (upTo[i] ?? 0) + (upTo[i - 1] ?? 0);
  return { places: Int32Array.from(places), upTo };
}

/** At [i]: the sum of the numbers before i. */
function sumsBefore(numbers: Float64Array): Float64Array {
  const sums = new Float64Array(numbers.length + 1);
  for (let i = 0; i < numbers.length; i++) sums[i + 1] = (sums[i] ?? 0) + (numbers[i] ?? 0);
  return sums;
}

function bothAlike(one: number, other: number): number {
  if (one === nothing || one === other) return other;
  return other === nothing ? one : mixed;
}
