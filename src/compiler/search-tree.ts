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
import { boundedTrees, solve } from "./solve-tree.ts";

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
/** The most ranges of which the shape is looked up. */
const mostKnown = 6;
/** Of very many ranges, so many are solved as a whole: a policy of thousands of rules is compiled in a second or two. */
const veryMany = 1000;
const mostOfVeryMany = 60;
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
export function searchTree(
  ranges: readonly Range[],
  perTest: number,
  known: KnownTrees = new Map(),
): SearchTree {
  if (ranges.length <= mostKnown) return bestOfShape(ranges, perTest, known);
  if (ranges.length <= mostRanges) return best(ranges, perTest);
  const most = ranges.length > veryMany ? mostOfVeryMany : mostRanges;
  const borders = bordersOf(ranges, smallestRemoval(ranges));
  const total = ranges.reduce((sum, one) => sum + one.weight, 0) || 1;
  const share = ranges.map((one) => one.weight / total + 1 / ranges.length);
  // Halved by weight and number alike, until the parts can be solved.
  const part = (from: number, to: number): SearchTree => {
    if (to - from <= most) return best(ranges.slice(from, to), perTest);
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

/** Trees by the shape of their ranges. */
export type KnownTrees = Map<string, SearchTree>;

/**
 * The same for very few ranges. Nothing in a tree depends on where its ranges are, but on how they lie to each other: of
 * thousands of conditions nearly all ask a question of the same shape, and it is solved once.
 */
function bestOfShape(ranges: readonly Range[], perTest: number, known: KnownTrees): SearchTree {
  const shape = ranges.map(({ first, last, destination, weight }, index) => ({
    first: index,
    last: first === last ? index : index + 0.5,
    destination: ranges.findIndex((one) => one.destination === destination),
    weight,
  }));
  const key = `${perTest},${shape.map((one) => `${one.last},${one.destination},${one.weight}`).join()}`;
  let tree = known.get(key);
  if (tree === undefined) {
    tree = best(shape, perTest);
    known.set(key, tree);
  }
  const placed = (node: SearchTree): SearchTree => {
    if (node.kind === "found")
      return { kind: "found", destination: ranges[node.destination]?.destination ?? 0 };
    const { kind, k, holds, fails } = node;
    return { kind, k: ranges[k]?.first ?? 0, holds: placed(holds), fails: placed(fails) };
  };
  return placed(tree);
}

/** Where the smallest tree parts ranges anyway. */
function bordersOf(ranges: readonly Range[], removal: readonly number[]): readonly number[] {
  const removed = new Set(removal);
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
  // The smallest tree parts ranges at borders; what is looked for often may be better parted off at once.
  const edges = ranges.flatMap((one, index) => (one.weight > total * heavyShare ? [index, index + 1] : []));
  const cuts = [...new Set([...bordersOf(ranges, few), ...edges])]
    .filter((cut) => cut > 0 && cut < ranges.length)
    .sort((a, b) => a - b);
  const solveWith = (values: Iterable<number>): Solution & { readonly removable: readonly number[] } => {
    const removable = [...values].sort((a, b) => weightAt(ranges, b) - weightAt(ranges, a));
    return { ...solve(ranges, removable, cuts, perTest), removable };
  };
  // A heavy value at the end of a range is better parted off with it: with and without is tried.
  const starts = [solveWith(new Set([...few, ...heavy]))];
  if (ranges.length <= mostTwice && heavy.some((index) => !few.includes(index))) starts.push(solveWith(few));
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
 *
 * For each destination, the cheapest way to stand on it: to a range of its own it comes for nothing, to one of another
 * by a border, and past a single value by taking that out. All that are not stood on pay for that value alike, so that their
 * costs are counted from what has been paid in common. Of equal ways the one that was stood on last is taken.
 */
export function smallestRemoval(ranges: readonly Range[]): number[] {
  let ways = new Map<number, Way>();
  let cheapest: Way | undefined;
  let common = 0;
  for (const [index, { first, last, destination }] of ranges.entries()) {
    const stays = ways.get(destination);
    const comes = cheapest === undefined ? 0 : cheapest.cost + common + 1;
    const isCheaper =
      stays === undefined ||
      comes < stays.cost + common ||
      (comes === stays.cost + common && (cheapest?.index ?? 0) > stays.index);
    const before = isCheaper ? cheapest : stays;
    const cost = isCheaper ? comes : stays.cost + common;
    if (first === last) common += 1;
    else ways = new Map();
    const way = { cost: cost - common, index, before };
    ways.set(destination, way);
    if (ways.size === 1 || cheapest === undefined || way.cost <= cheapest.cost) cheapest = way;
  }
  // What no way stood on was taken out.
  const stood = new Set<number>();
  for (let one = cheapest; one !== undefined; one = one.before) stood.add(one.index);
  return [...ranges.keys()].filter((index) => !stood.has(index));
}

interface Way {
  /** In tests, without what all have paid in common. */
  readonly cost: number;
  /** The range that was stood on last, and the way to it. */
  readonly index: number;
  readonly before: Way | undefined;
}

/** How many tests the smallest tree has. */
export function fewestTests(ranges: readonly Range[]): number {
  const merged = mergeEqual(ranges);
  const removed = new Set(smallestRemoval(merged));
  const kept = merged.filter((_, index) => !removed.has(index));
  const borders = kept.filter((one, index) => index > 0 && kept[index - 1]?.destination !== one.destination);
  return removed.size + borders.length;
}
