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
 * @param perTest what a test costs by being there
 */
export function solve(
  ranges: readonly Range[],
  removable: readonly number[],
  cuts: readonly number[],
  perTest: number,
): Solution {
  const found = solveStates(ranges, removable, cuts, perTest, undefined)(0);
  if (found === undefined) throw new Error("without a bound there is always a tree");
  return found;
}

/**
 * The same for trees whose longest path has at most so many tests. Solves for `most` tests, and for all fewer.
 * @returns for a bound of at most `most` the cheapest tree within it; undefined where there is none
 */
export function boundedTrees(
  ranges: readonly Range[],
  removable: readonly number[],
  perTest: number,
  most: number,
): (bound: number) => Solution | undefined {
  return solveStates(ranges, removable, [...ranges.keys()], perTest, most);
}

/** With a bound, everything is solved for each number of tests that may be left; else for one level only. */
function solveStates(
  ranges: readonly Range[],
  removable: readonly number[],
  cuts: readonly number[],
  perTest: number,
  most: number | undefined,
): (bound: number) => Solution | undefined {
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
  /** At [j]: the first j from there on that a long stretch may end with. */
  const nextCutEnd = new Int32Array(n + 1).fill(n);
  for (let j = n - 1; j >= 0; j--) nextCutEnd[j] = isCut[j + 1] === 1 ? j : (nextCutEnd[j + 1] ?? n);
  const atCuts = partingAt(
    [...ranges.keys()].filter((index) => index > 0 && isCut[index] === 1),
    n,
  );

  // What holds for each stretch in the state that was last solved; the costs twice, by (first, last) and by
  // (last, first) in each level, so that the inner loop walks along a row of both.
  const square = n * n;
  const levels = (most ?? 0) + 1;
  const stepDown = most === undefined ? 0 : 1;
  const byFirst = new Float64Array(square * levels);
  const byLast = new Float64Array(square * levels);
  /** The one destination of all that is left. */
  const alike = new Int32Array(square).fill(nothing);
  /** At [i]: the weight of what is left before i. */
  const weightBefore = new Float64Array(n + 1);
  /** By (level, t, first, last): `none` for all one destination, `byEqual` for JEQ, m > 0 for JGE before range m. */
  const choice = new Int16Array((states + 1) * square * levels);

  const weigh = (t: number): void => {
    for (let i = 0; i < n; i++) {
      const weight = (rankOf[i] ?? 0) >= t ? (ranges[i]?.weight ?? 0) : 0;
      weightBefore[i + 1] = (weightBefore[i] ?? 0) + weight;
    }
  };
  /**
   * Solves one stretch on all levels, from the top, where all shorter ones are solved for state t. A cold start's time is
   * spent here: every branch is taken from the first stretches on, since V8 throws its machine code away at a new one.
   */
  const solveStretch = (t: number, i: number, j: number): void => {
    const { places, upTo } = j - i < longestShort ? anywhere : atCuts;
    const firstPlace = upTo[i] ?? 0;
    const lastPlace = upTo[j] ?? 0;
    const passing = perTest + (weightBefore[j + 1] ?? 0) - (weightBefore[i] ?? 0);
    const atFirst = i * n + j;
    const atLast = j * n + i;
    for (let level = levels - 1; level >= stepDown; level--) {
      // A test leads to the level below, where there are some; JEQ to the stretch as it is solved until now.
      const levelBelow = square * (level - stepDown);
      const lefts = levelBelow + i * n - 1;
      const rights = levelBelow + j * n;
      let least = byFirst[levelBelow + atFirst] ?? 0;
      let chosen = byEqual;
      // Where JEQ is the last test, none is better.
      for (let place = least === 0 ? lastPlace : firstPlace; place < lastPlace; place++) {
        const m = places[place] ?? 0;
        const sum = (byFirst[lefts + m] ?? 0) + (byLast[rights + m] ?? 0);
        if (sum < least + rounding) {
          least = sum;
          chosen = m;
        }
      }
      byFirst[square * level + atFirst] = passing + least;
      byLast[square * level + atLast] = passing + least;
      choice[square * (level * (states + 1) + t) + atFirst] = chosen;
    }
  };
  /** Without a test left there is no tree for a stretch of several destinations. */
  const closeUpTo = (levelsClosed: number, i: number, j: number): void => {
    for (let level = 0; level < levelsClosed; level++) {
      byFirst[square * level + i * n + j] = Number.POSITIVE_INFINITY;
      byLast[square * level + j * n + i] = Number.POSITIVE_INFINITY;
    }
  };
  /** The next stretch from i that is solved, by its end: all short ones are, and long ones between cuts. */
  const nextEnd = (i: number, j: number): number =>
    j + 1 - i < longestShort ? j + 1 : isCut[i] === 1 ? (nextCutEnd[j + 1] ?? n) : n;

  // 1. All values are taken out.
  weigh(states);
  for (let i = n - 1; i >= 0; i--) {
    let kept = nothing;
    let solvedEnd = i;
    for (let j = i; j < n; j++) {
      if (rankOf[j] === states) kept = bothAlike(kept, destinations[j] ?? 0);
      alike[i * n + j] = kept;
      if (j !== solvedEnd) continue;
      solvedEnd = nextEnd(i, j);
      if (kept !== mixed) continue;
      // Nothing is left for JEQ to take out.
      closeUpTo(levels, i, j);
      solveStretch(states, i, j);
    }
  }
  // 2. They come back one by one. That matters for the stretches around each only, the shorter ones first.
  for (let t = states - 1; t >= 0; t--) {
    const back = removable[t] ?? 0;
    const destination = destinations[back] ?? 0;
    weigh(t);
    for (let i = back; i >= 0; i--) {
      for (let j = nextEnd(i, back - 1); j < n; j = nextEnd(i, j)) {
        const at = i * n + j;
        const kept = bothAlike(alike[at] ?? nothing, destination);
        alike[at] = kept;
        if (kept !== mixed) continue;
        solveStretch(t, i, j);
        closeUpTo(stepDown, i, j);
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
  const build = (level: number, i: number, j: number, state: number): SearchTree => {
    const t = solvedState(i, j, state);
    const chosen = choice[square * (level * (states + 1) + t) + i * n + j] ?? none;
    const next = level - stepDown;
    if (chosen > 0)
      return {
        kind: "at-least",
        k: ranges[chosen]?.first ?? 0,
        holds: build(next, chosen, j, t),
        fails: build(next, i, chosen - 1, t),
      };
    if (chosen === byEqual) {
      const range = ranges[removable[t] ?? 0];
      return {
        kind: "equal",
        k: range?.first ?? 0,
        holds: { kind: "found", destination: range?.destination ?? 0 },
        fails: build(next, i, j, t + 1),
      };
    }
    let one = i;
    while (one < j && (rankOf[one] ?? states) < t) one++;
    return { kind: "found", destination: destinations[one] ?? 0 };
  };
  return (bound) => {
    const cost = byFirst[square * bound + n - 1] ?? 0;
    return cost === Number.POSITIVE_INFINITY ? undefined : { cost, tree: build(bound, 0, n - 1, 0) };
  };
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
