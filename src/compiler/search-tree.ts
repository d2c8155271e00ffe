/**
 * The best search tree over the segments of a word, with two kinds of test: JGE parts a range in two, JEQ takes one
 * value out of it. A value that was taken out no longer matters to what is left: its neighbours are then neighbours of
 * each other, and one segment where they are equal.
 *
 * Found by dynamic programming over (range, how many of its values are taken out), where values are taken out in one
 * order, the heaviest first: in an optimal tree the value tested for equality at the top of a range is the heaviest
 * one left in it. The cost of a tree is the sum over its tests of what a test costs (its place in the filter) and the
 * weight of all that passes it (its time).
 */
import { boundedTrees } from "./bounded-tree.ts";

/** A range of values with one destination. */
export interface Range {
  readonly first: number;
  readonly last: number;
  /** Ranges with equal destinations have equal numbers. */
  readonly destination: number;
  /** How often its values are looked for. */
  readonly weight: number;
}

export type SearchTree =
  | { readonly kind: "found"; readonly destination: number }
  | {
      readonly kind: "equal" | "at-least";
      readonly k: number;
      readonly holds: SearchTree;
      readonly fails: SearchTree;
    };

/** The most ranges that are solved as a whole: the work grows with the fourth power. */
const mostRanges = 112;
/** The most ranges for which decisions are tried the other way round. */
const mostTried = 28;
/** What a longest path that is one test shorter may cost, in steps. */
const flatteningCost = 0.3;
/** The most ranges that are solved twice. */
const mostTwice = 72;
/** The share of the weight from which on a value is looked for often. */
const heavyShare = 0.005;

/**
 * The tree for ranges that are in ascending order and cover the word.
 * @param perTest what a test costs by being there
 */
export function searchTree(ranges: readonly Range[], perTest: number): SearchTree {
  if (ranges.length <= mostRanges) return best(ranges, perTest);
  const borders = bordersOf(ranges);
  const total = ranges.reduce((sum, one) => sum + one.weight, 0) || 1;
  const share = ranges.map((one) => one.weight / total + 1 / ranges.length);
  // Halved by weight and number alike, until the parts can be solved.
  const part = (from: number, to: number): SearchTree => {
    if (to - from <= mostRanges) return best(ranges.slice(from, to), perTest);
    const half = share.slice(from, to).reduce((sum, one) => sum + one, 0) / 2;
    let [sum, at] = [0, from];
    while (at < to - 1 && sum < half) sum += share[at++] ?? 0;
    const middle = nearest(borders, at, from + 1, to - 1);
    return {
      kind: "at-least",
      k: ranges[middle]?.first ?? 0,
      holds: part(middle, to),
      fails: part(from, middle),
    };
  };
  return part(0, ranges.length);
}

/** Where the smallest tree parts ranges anyway. */
function bordersOf(ranges: readonly Range[]): readonly number[] {
  const removed = new Set(smallestRemoval(ranges));
  const kept = [...ranges.keys()].filter((index) => !removed.has(index));
  return kept.filter(
    (index, at) => at > 0 && ranges[kept[at - 1] ?? 0]?.destination !== ranges[index]?.destination,
  );
}

/** The border next to a place, between two others; the place itself where there is none near it. */
function nearest(borders: readonly number[], at: number, least: number, most: number): number {
  const place = Math.min(Math.max(at, least), most);
  const reach = (most - least) / 4;
  let found = place;
  let distance = reach;
  for (const border of borders) {
    const away = Math.abs(border - place);
    if (border >= least && border <= most && away < distance) {
      found = border;
      distance = away;
    }
  }
  return found;
}

function mergeEqual(ranges: readonly Range[]): readonly Range[] {
  const merged: Range[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last?.destination === range.destination)
      merged[merged.length - 1] = { ...last, last: range.last, weight: last.weight + range.weight };
    else merged.push(range);
  }
  return merged;
}

/**
 * The tree for few ranges. Values are taken out where that makes it smallest; those looked for often may be, too. For
 * very few ranges it is tried for each value whether the other decision is better.
 */
function best(ranges: readonly Range[], perTest: number): SearchTree {
  const few = smallestRemoval(ranges);
  const total = ranges.reduce((sum, one) => sum + one.weight, 0);
  const singles = ranges.flatMap((one, index) => (one.first === one.last ? [index] : []));
  const heavy = singles.filter((index) => weightAt(ranges, index) > total * heavyShare);
  const solveWith = (values: Iterable<number>): Solution & { readonly removable: readonly number[] } => {
    const removable = [...values].sort((a, b) => weightAt(ranges, b) - weightAt(ranges, a));
    return { ...solve(ranges, removable, perTest), removable };
  };
  // A heavy value at the end of a range is better parted off with it: with and without is tried.
  const starts = [solveWith(new Set([...few, ...heavy]))];
  if (heavy.length > 0 && ranges.length <= mostTwice) starts.push(solveWith(few));
  let found = starts.reduce((a, b) => (b.cost < a.cost ? b : a));
  if (ranges.length > mostTried) return found.tree;
  for (const index of singles) {
    const other = new Set(found.removable);
    if (!other.delete(index)) other.add(index);
    const tried = solveWith(other);
    if (tried.cost < found.cost - 1e-9) found = tried;
  }
  return flattened(ranges, found.removable, perTest, found).tree;
}

/** The solution with the longest path made shorter by as much as its price allows. */
function flattened(
  ranges: readonly Range[],
  removable: readonly number[],
  perTest: number,
  solution: Solution,
): Solution {
  const bound = height(solution.tree) - 1;
  if (bound < 1) return solution;
  const within = boundedTrees(ranges, removable, perTest, bound);
  let found = solution;
  for (let most = bound; most > 0; most--) {
    const level = within(most);
    if (level === undefined || level.cost > found.cost + flatteningCost) break;
    found = level;
  }
  return found;
}

function height(tree: SearchTree): number {
  return tree.kind === "found" ? 0 : 1 + Math.max(height(tree.holds), height(tree.fails));
}

/** A tree and what it costs. */
export interface Solution {
  readonly cost: number;
  readonly tree: SearchTree;
}

function weightAt(ranges: readonly Range[], index: number): number {
  return ranges[index]?.weight ?? 0;
}

/**
 * The single values that are taken out where the number of tests is to be least: each costs one test, as each
 * border between what is left does.
 */
export function smallestRemoval(ranges: readonly Range[]): number[] {
  interface Way {
    readonly cost: number;
    /** The last value that was taken out, and what was before it. */
    readonly removed: Removed | undefined;
  }
  let ways = new Map<number, Way>();
  for (const [index, range] of ranges.entries()) {
    const next = new Map<number, Way>();
    const offer = (destination: number, way: Way): void => {
      const known = next.get(destination);
      if (known === undefined || way.cost < known.cost) next.set(destination, way);
    };
    if (ways.size === 0) offer(range.destination, { cost: 0, removed: undefined });
    for (const [destination, way] of ways) {
      offer(range.destination, destination === range.destination ? way : { ...way, cost: way.cost + 1 });
      if (range.first === range.last)
        offer(destination, { cost: way.cost + 1, removed: { index, before: way.removed } });
    }
    ways = next;
  }
  const [least] = [...ways.values()].sort((a, b) => a.cost - b.cost);
  const removed: number[] = [];
  for (let one = least?.removed; one !== undefined; one = one.before) removed.unshift(one.index);
  return removed;
}

interface Removed {
  readonly index: number;
  readonly before: Removed | undefined;
}

/** How many tests the smallest tree has. */
export function fewestTests(ranges: readonly Range[]): number {
  const merged = mergeEqual(ranges);
  const removed = new Set(smallestRemoval(merged));
  const kept = merged.filter((_, index) => !removed.has(index));
  const borders = kept.filter((one, index) => index > 0 && kept[index - 1]?.destination !== one.destination);
  return removed.size + borders.length;
}

/** The cheapest tree when the values at `removable` may be taken out, in that order. */
function solve(ranges: readonly Range[], removable: readonly number[], perTest: number): Solution {
  const n = ranges.length;
  const rankOf = new Int32Array(n).fill(-1);
  for (const [rank, index] of removable.entries()) rankOf[index] = rank;
  const destinations = Int32Array.from(ranges, (one) => one.destination);
  const r = removable.length;
  /** At [i + rank * (n + 1)]: how many of the ranges before i have a smaller rank. */
  const lessThan = new Int32Array((n + 1) * (r + 1));
  for (let rank = 0; rank <= r; rank++) {
    for (let i = 0; i < n; i++) {
      const own = rankOf[i] ?? -1;
      lessThan[i + 1 + rank * (n + 1)] =
        (lessThan[i + rank * (n + 1)] ?? 0) + (own >= 0 && own < rank ? 1 : 0);
    }
  }
  const weightBefore = new Float64Array(n + 1);
  for (let i = 0; i < n; i++) weightBefore[i + 1] = (weightBefore[i] ?? 0) + weightAt(ranges, i);

  const offsets = new Int32Array(n * n);
  let size = 0;
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      offsets[i * n + j] = size;
      size += (lessThan[j + 1 + r * (n + 1)] ?? 0) - (lessThan[i + r * (n + 1)] ?? 0) + 1;
    }
  }
  const cost = new Float64Array(size);
  /** -1: all one destination; 0: JEQ; m > 0: JGE before range m. */
  const choice = new Int16Array(size);

  /** Of offsets, the column of a right end as a row: the inner loop walks along it. */
  const byEnd = new Int32Array(n * n);
  for (let i = 0; i < n; i++) for (let j = i; j < n; j++) byEnd[j * n + i] = offsets[i * n + j] ?? 0;
  const insideOf: (readonly number[])[] = new Array<readonly number[]>(n * n).fill([]);
  for (let length = 1; length <= n; length++) {
    for (let i = 0; i + length <= n; i++) {
      const j = i + length - 1;
      const at = offsets[i * n + j] ?? 0;
      const inside = withRank(length === 1 ? [] : (insideOf[i * n + j - 1] ?? []), rankOf[j] ?? -1);
      insideOf[i * n + j] = inside;
      // From all taken out to none, so that what JEQ leads to is known.
      let removedWeight = 0;
      for (const rank of inside) removedWeight += weightAt(ranges, removable[rank] ?? 0);
      let [destination, uniform] = [-1, true];
      const keep = (here: number): void => {
        if (destination === -1) destination = here;
        else if (destination !== here) uniform = false;
      };
      for (let one = i; one <= j && uniform; one++) if ((rankOf[one] ?? -1) < 0) keep(destinations[one] ?? 0);
      for (let h = inside.length; h >= 0; h--) {
        if (h < inside.length) {
          const back = removable[inside[h] ?? 0] ?? 0;
          removedWeight -= weightAt(ranges, back);
          keep(destinations[back] ?? 0);
        }
        if (uniform) {
          choice[at + h] = -1;
          continue;
        }
        const below = h === 0 ? 0 : (inside[h - 1] ?? 0) + 1;
        const passing = perTest + (weightBefore[j + 1] ?? 0) - (weightBefore[i] ?? 0) - removedWeight;
        let [least, chosen] = h < inside.length ? [cost[at + h + 1] ?? 0, 0] : [Number.POSITIVE_INFINITY, -1];
        const atRank = lessThan[i + below * (n + 1)] ?? 0;
        for (let m = i + 1; m <= j; m++) {
          const left = (lessThan[m + below * (n + 1)] ?? 0) - atRank;
          const sum =
            (cost[(offsets[i * n + m - 1] ?? 0) + left] ?? 0) +
            (cost[(byEnd[j * n + m] ?? 0) + h - left] ?? 0);
          if (sum < least) {
            least = sum;
            chosen = m;
          }
        }
        cost[at + h] = passing + least;
        choice[at + h] = chosen;
      }
    }
  }

  const build = (i: number, j: number, h: number): SearchTree => {
    const at = (offsets[i * n + j] ?? 0) + h;
    const ranks = insideOf[i * n + j] ?? [];
    const below = h === 0 ? 0 : (ranks[h - 1] ?? 0) + 1;
    const chosen = choice[at] ?? -1;
    if (chosen === -1) {
      for (let one = i; one <= j; one++) {
        const rank = rankOf[one] ?? -1;
        if (rank < 0 || rank >= below) return { kind: "found", destination: ranges[one]?.destination ?? 0 };
      }
      return { kind: "found", destination: ranges[i]?.destination ?? 0 };
    }
    if (chosen === 0) {
      const range = ranges[removable[ranks[h] ?? 0] ?? 0];
      return {
        kind: "equal",
        k: range?.first ?? 0,
        holds: { kind: "found", destination: range?.destination ?? 0 },
        fails: build(i, j, h + 1),
      };
    }
    const left = (lessThan[chosen + below * (n + 1)] ?? 0) - (lessThan[i + below * (n + 1)] ?? 0);
    return {
      kind: "at-least",
      k: ranges[chosen]?.first ?? 0,
      holds: build(chosen, j, h - left),
      fails: build(i, chosen - 1, left),
    };
  };
  return { cost: cost[offsets[n - 1] ?? 0] ?? 0, tree: build(0, n - 1, 0) };
}

/** The ranks with one more (unless it is -1), in ascending order. */
function withRank(ranks: readonly number[], rank: number): readonly number[] {
  if (rank < 0) return ranks;
  const at = ranks.findIndex((one) => one > rank);
  return at === -1 ? [...ranks, rank] : [...ranks.slice(0, at), rank, ...ranks.slice(at)];
}
