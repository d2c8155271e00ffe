// The cheapest search tree within a bound, against trying every tree that takes values out in the given order.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type KnownTrees,
  type Range,
  type SearchTree,
  searchTree,
  smallestRemoval,
} from "../../src/compiler/search-tree.ts";
import "../seed.ts";
import { boundedTrees } from "../../src/compiler/solve-tree.ts";

const some = { numRuns: 150 };

const rangesArbitrary: fc.Arbitrary<readonly Range[]> = fc
  .array(fc.record({ length: fc.integer({ min: 1, max: 2 }), destination: fc.nat(2), weight: fc.nat(9) }), {
    minLength: 1,
    maxLength: 6,
  })
  .map((pieces) => {
    let first = 0;
    return pieces.map(({ length, destination, weight }) => {
      const range = { first, last: first + length - 1, destination, weight };
      first += length;
      return range;
    });
  });

interface Ranked extends Range {
  /** Undefined for what may not be taken out. */
  readonly rank: number | undefined;
}

/** The least cost of any tree of at most `left` tests in a row for what is left of the ranges: by trying all. */
function leastCost(ranges: readonly Ranked[], perTest: number, left: number): number {
  const [first] = ranges;
  if (ranges.every((one) => one.destination === first?.destination)) return 0;
  if (left === 0) return Number.POSITIVE_INFINITY;
  let least = Number.POSITIVE_INFINITY;
  const ranks = ranges.flatMap(({ rank }) => (rank === undefined ? [] : [rank]));
  for (const [at, { rank }] of ranges.entries()) {
    if (rank !== undefined && rank === Math.min(...ranks))
      least = Math.min(least, leastCost(ranges.toSpliced(at, 1), perTest, left - 1));
    if (at > 0) {
      const [below, above] = [ranges.slice(0, at), ranges.slice(at)];
      least = Math.min(least, leastCost(below, perTest, left - 1) + leastCost(above, perTest, left - 1));
    }
  }
  return least + perTest + ranges.reduce((sum, one) => sum + one.weight, 0);
}

function walk(tree: SearchTree, value: number): { readonly destination: number; readonly steps: number } {
  let [at, steps] = [tree, 0];
  for (; at.kind !== "found"; steps++) {
    const holds = at.kind === "equal" ? value === at.k : value >= at.k;
    at = holds ? at.holds : at.fails;
  }
  return { destination: at.destination, steps };
}

test("no tree within the bound is cheaper, and the tree found decides rightly", () => {
  fc.assert(
    fc.property(
      rangesArbitrary,
      fc.infiniteStream(fc.nat()),
      fc.integer({ min: 0, max: 4 }),
      fc.nat(3),
      (ranges, order, most, perTest) => {
        const places = ranges.map(() => order.next().value);
        const singles = [...ranges.keys()].filter((at) => ranges[at]?.first === ranges[at]?.last);
        // An order of some of the single values: which are left out is in it, too.
        const removable = singles
          .filter((at) => (places[at] ?? 0) % 4 > 0)
          .sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
        const ranked = ranges.map((range, at) => ({
          ...range,
          rank: removable.includes(at) ? removable.indexOf(at) : undefined,
        }));
        const within = boundedTrees(ranges, removable, perTest, most);
        for (let bound = most; bound >= 0; bound--) {
          const found = within(bound);
          const least = leastCost(ranked, perTest, bound);
          assert.equal(found?.cost ?? Number.POSITIVE_INFINITY, least);
          if (found === undefined) continue;
          for (const range of ranges)
            for (let value = range.first; value <= range.last; value++) {
              const { destination, steps } = walk(found.tree, value);
              assert.equal(destination, range.destination);
              assert.ok(steps <= bound);
            }
        }
      },
    ),
    some,
  );
});

test("what is taken out leaves the fewest tests, as trying every choice does", () => {
  const borders = (ranges: readonly Range[]): number =>
    ranges.filter((one, at) => at > 0 && ranges[at - 1]?.destination !== one.destination).length;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(3)), { minLength: 1, maxLength: 9 }), (parts) => {
      const ranges = parts.map(
        ([isSingle, destination], at): Range => ({
          first: at * 10,
          last: isSingle ? at * 10 : at * 10 + 9,
          destination,
          weight: 1,
        }),
      );
      const costOf = (removed: ReadonlySet<number>): number =>
        removed.size + borders(ranges.filter((_, at) => !removed.has(at)));
      const singles = [...ranges.keys()].filter((at) => ranges[at]?.first === ranges[at]?.last);
      const choices = [...Array(2 ** singles.length).keys()].map(
        (bits) => new Set(singles.filter((_, at) => (bits >> at) & 1)),
      );
      const found = smallestRemoval(ranges);
      assert.ok(found.every((at) => singles.includes(at)));
      assert.equal(costOf(new Set(found)), Math.min(...choices.map(costOf)));
    }),
    { ...some, numRuns: 500 },
  );
});

test("a tree that is known by the shape of its ranges is the one that would be found", () => {
  const known: KnownTrees = new Map();
  fc.assert(
    fc.property(rangesArbitrary, fc.nat(3), (ranges, perTest) => {
      const tree = searchTree(ranges, perTest, known);
      assert.deepEqual(tree, searchTree(ranges, perTest));
      for (const { first, last, destination } of ranges)
        for (const value of [first, last]) assert.equal(walk(tree, value).destination, destination);
    }),
    { numRuns: 2000 },
  );
  assert.ok(known.size > 10 && known.size < 2000, `${known.size} shapes`);
});
