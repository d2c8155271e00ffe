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

/** What is chosen for a stretch that leads to one destination, and where JEQ takes a value out. */
const none = 0;
const byEqual = -1;

/** Of no range a destination, and of ranges with several. */
const nothing = -1;
const mixed = -2;

/**
 * The cheapest tree when the values at `removable` may be taken out, in that order.
 * @param cuts where long stretches may be parted, and so before which ranges they may begin
 */
export function solve(
  ranges: readonly Range[],
  removable: readonly number[],
  cuts: readonly number[],
  perTest: number,
): Solution {
  const n = ranges.length;
  const states = removable.length;
  const destinations = Int32Array.from(ranges, (one) => one.destination);
  const rankOf = new Int32Array(n).fill(states);
  for (const [rank, index] of removable.entries()) rankOf[index] = rank;

  const longestShort = n <= mostExact ? n : mostShort;
  const anywhere = partingAt([...ranges.keys()], n);
  const isCut = new Uint8Array(n + 1);
  for (const cut of [0, ...cuts, n]) isCut[cut] = 1;
  cutBetween(destinations, rankOf, states, isCut);
  const atCuts = partingAt(
    [...ranges.keys()].filter((index) => index > 0 && isCut[index] === 1),
    n,
  );

  // What holds for each stretch in the state that was last solved; the costs twice, by (first, last) and by
  // (last, first), so that the inner loop walks along a row of both.
  const byFirst = new Float64Array(n * n);
  const byLast = new Float64Array(n * n);
  /** The one destination of all that is left. */
  const alike = new Int32Array(n * n).fill(nothing);
  /** At [i]: the weight of what is left before i. */
  const weightBefore = new Float64Array(n + 1);
  /** By (t, first, last): `none` for all one destination, `byEqual` for JEQ, m > 0 for JGE before range m. */
  const choice = new Int16Array((states + 1) * n * n);

  const weigh = (t: number): void => {
    for (let i = 0; i < n; i++) {
      const weight = (rankOf[i] ?? 0) >= t ? (ranges[i]?.weight ?? 0) : 0;
      weightBefore[i + 1] = (weightBefore[i] ?? 0) + weight;
    }
  };
  /** Solves one stretch for state t, where all shorter ones are solved for it. */
  const solveStretch = (t: number, i: number, j: number, least: number): void => {
    const { places, upTo } = j - i < longestShort ? anywhere : atCuts;
    // Where JEQ is the last test, none is better.
    const lastPlace = least === 0 ? 0 : (upTo[j] ?? 0);
    const lefts = i * n - 1;
    const rights = j * n;
    let chosen = byEqual;
    for (let place = upTo[i] ?? 0; place < lastPlace; place++) {
      const m = places[place] ?? 0;
      const sum = (byFirst[lefts + m] ?? 0) + (byLast[rights + m] ?? 0);
      if (sum < least + rounding) {
        least = sum;
        chosen = m;
      }
    }
    const cost = perTest + (weightBefore[j + 1] ?? 0) - (weightBefore[i] ?? 0) + least;
    byFirst[i * n + j] = cost;
    byLast[j * n + i] = cost;
    choice[(t * n + i) * n + j] = chosen;
  };
  const isSolved = (i: number, j: number): boolean =>
    j - i < longestShort || (isCut[i] === 1 && isCut[j + 1] === 1);

  // 1. All values are taken out.
  weigh(states);
  for (let i = n - 1; i >= 0; i--) {
    let kept = nothing;
    for (let j = i; j < n; j++) {
      if (rankOf[j] === states) kept = bothAlike(kept, destinations[j] ?? 0);
      alike[i * n + j] = kept;
      if (kept === mixed && isSolved(i, j)) solveStretch(states, i, j, Number.POSITIVE_INFINITY);
    }
  }
  // 2. They come back one by one. That matters for the stretches around each only; what they cost until now is what
  // JEQ leads to. Shorter ones come first.
  for (let t = states - 1; t >= 0; t--) {
    const back = removable[t] ?? 0;
    weigh(t);
    for (let i = back; i >= 0; i--) {
      for (let j = back; j < n; j++) {
        const at = i * n + j;
        const kept = bothAlike(alike[at] ?? nothing, destinations[back] ?? 0);
        alike[at] = kept;
        if (kept === mixed && isSolved(i, j)) solveStretch(t, i, j, byFirst[at] ?? 0);
      }
    }
  }

  /** The state in which a stretch was solved last when it is in state t: none of its values came back in between. */
  const solvedState = (i: number, j: number, t: number): number => {
    let solved = states;
    for (let one = i; one <= j; one++) {
      const rank = rankOf[one] ?? states;
      if (rank >= t && rank < solved) solved = rank;
    }
    return solved;
  };
  const build = (i: number, j: number, state: number): SearchTree => {
    const t = solvedState(i, j, state);
    const chosen = choice[(t * n + i) * n + j] ?? none;
    if (chosen > 0)
      return {
        kind: "at-least",
        k: ranges[chosen]?.first ?? 0,
        holds: build(chosen, j, t),
        fails: build(i, chosen - 1, t),
      };
    if (chosen === byEqual) {
      const range = ranges[removable[t] ?? 0];
      return {
        kind: "equal",
        k: range?.first ?? 0,
        holds: { kind: "found", destination: range?.destination ?? 0 },
        fails: build(i, j, t + 1),
      };
    }
    let one = i;
    while (one < j && (rankOf[one] ?? states) < t) one++;
    return { kind: "found", destination: destinations[one] ?? 0 };
  };
  return { cost: byFirst[n - 1] ?? 0, tree: build(0, n - 1, 0) };
}

/** Adds cuts so that what is never taken out can always be parted where its destinations differ. */
function cutBetween(destinations: Int32Array, rankOf: Int32Array, never: number, isCut: Uint8Array): void {
  let [before, cut] = [nothing, false];
  for (const [index, destination] of destinations.entries()) {
    if (isCut[index] === 1) cut = true;
    if (rankOf[index] !== never) continue;
    if (before !== nothing && before !== destination && !cut) isCut[index] = 1;
    [before, cut] = [destination, false];
  }
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

function bothAlike(one: number, other: number): number {
  if (one === nothing || one === other) return other;
  return other === nothing ? one : mixed;
}
