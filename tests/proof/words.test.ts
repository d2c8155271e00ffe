// Sets of words against plain sets of numbers, for words so narrow that every value can be tried.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { all, Diagrams, none } from "../../src/proof/diagram.ts";
import { type WordSet, WordSets, type WordTest } from "../../src/proof/words.ts";
import { seed } from "../seed.ts";

function valuesOf(width: number): readonly number[] {
  return [...Array(1 << width).keys()];
}

function holds(value: number, { mask, test, k }: WordTest): boolean {
  const bits = value & mask;
  return test === "equal" ? bits === k : test === "at-least" ? bits >= k : (bits & k) !== 0;
}

/** A set as a diagram, member by member. */
function diagramOf(diagrams: Diagrams, members: readonly number[]): number {
  const ones = (1 << diagrams.width) - 1;
  return members.reduce((set, value) => diagrams.unite(set, diagrams.maskedEqual(ones, value)), none);
}

describe(`diagrams (seed ${seed})`, () => {
  test("every masked comparison of 4 bits is the set of the values for which it holds", () => {
    const values = valuesOf(4);
    const diagrams = new Diagrams(4);
    for (const mask of values) {
      for (const k of values) {
        const equal = values.filter((value) => holds(value, { mask, test: "equal", k }));
        assert.equal(diagrams.maskedEqual(mask, k), diagramOf(diagrams, equal), `& ${mask} == ${k}`);
        const atLeast = values.filter((value) => holds(value, { mask, test: "at-least", k }));
        assert.equal(diagrams.maskedAtLeast(mask, k), diagramOf(diagrams, atLeast), `& ${mask} >= ${k}`);
        if (k < mask) continue;
        const between = values.filter((value) => mask <= value && value <= k);
        assert.equal(diagrams.interval(mask, k), diagramOf(diagrams, between), `${mask}..${k}`);
      }
    }
  });

  for (const width of [4, 8]) {
    test(`operations on sets of ${width} bits are those of plain sets, and equal sets are one node`, () => {
      const values = valuesOf(width);
      const set = fc.subarray([...values]);
      fc.assert(
        fc.property(set, set, fc.nat((1 << width) - 1), (a, b, mask) => {
          const diagrams = new Diagrams(width);
          const [left, right] = [diagramOf(diagrams, a), diagramOf(diagrams, b)];
          const is = (made: number, wanted: (value: number) => boolean): void =>
            assert.equal(made, diagramOf(diagrams, values.filter(wanted)));
          is(diagrams.intersect(left, right), (value) => a.includes(value) && b.includes(value));
          is(diagrams.unite(left, right), (value) => a.includes(value) || b.includes(value));
          is(diagrams.complement(left), (value) => !a.includes(value));
          is(diagrams.without(left, mask), (value) => a.includes(value) && value !== mask);
          is(diagrams.project(left, mask), (value) => a.some((one) => ((one ^ value) & mask) === 0));
          if (left === none) assert.equal(a.length, 0);
          else assert.equal(diagrams.member(left), Math.min(...a));
        }),
        { numRuns: width === 4 ? 300 : 40 },
      );
    });
  }

  test("the same comparisons of 32 bits", () => {
    const diagrams = new Diagrams(32);
    const top = diagrams.maskedAtLeast(0xffff_ffff, 0x8000_0000);
    assert.equal(diagrams.member(top), 0x8000_0000);
    assert.equal(top, diagrams.maskedEqual(0x8000_0000, 0x8000_0000));
    assert.equal(diagrams.interval(0, 0xffff_ffff), all);
    assert.equal(diagrams.intersect(top, diagrams.interval(0, 0x7fff_ffff)), none);
    assert.equal(diagrams.member(diagrams.maskedEqual(0xf000_000f, 0xf000_0005)), 0xf000_0005);
    assert.equal(diagrams.maskedEqual(0x7fff_ffff, 0x8000_0000), none);
  });
});

describe(`word sets (seed ${seed})`, () => {
  for (const width of [4, 8]) {
    const values = valuesOf(width);
    const value = fc.nat((1 << width) - 1);
    const wordTest: fc.Arbitrary<WordTest> = fc.record(
      {
        mask: fc.oneof(fc.constant((1 << width) - 1), value),
        test: fc.constantFrom("equal", "at-least", "any-bit"),
        k: value,
      },
      { noNullPrototype: true },
    );
    const membersOf = (sets: WordSets, set: WordSet | undefined): readonly number[] =>
      set === undefined
        ? []
        : values.filter((k) => sets.split(set, { mask: sets.ones, test: "equal", k }).holds !== undefined);

    test(`splitting sets of ${width} bits again and again, as plain sets`, () => {
      fc.assert(
        fc.property(fc.array(fc.tuple(wordTest, fc.boolean()), { maxLength: 8 }), value, (steps, mask) => {
          const sets = new WordSets(width);
          let set = sets.full;
          let members = values;
          for (const [step, side] of steps) {
            const parts = sets.split(set, step);
            const [yes, no] = [true, false].map((outcome) =>
              members.filter((one) => holds(one, step) === outcome),
            );
            assert.deepEqual(membersOf(sets, parts.holds), yes);
            assert.deepEqual(membersOf(sets, parts.fails), no);
            const next = side ? parts.holds : parts.fails;
            if (next === undefined) continue;
            set = next;
            members = (side ? yes : no) ?? [];
            assert.ok(members.includes(sets.member(set)));
          }
          const projected = values.filter((one) => members.some((member) => ((member ^ one) & mask) === 0));
          assert.deepEqual(membersOf(sets, sets.project(set, mask)), projected);
        }),
        { numRuns: width === 4 ? 400 : 60 },
      );
    });
  }

  test("more intervals than are kept as such are the same set", () => {
    const sets = new WordSets(8);
    let set = sets.full;
    for (let k = 1; k < 255; k += 2)
      set = sets.split(set, { mask: 0xff, test: "equal", k }).fails ?? sets.full;
    assert.deepEqual(
      valuesOf(8).filter((k) => sets.split(set, { mask: 0xff, test: "equal", k }).holds !== undefined),
      valuesOf(8).filter((k) => k % 2 === 0 || k === 255),
    );
    assert.equal(set.intervals, undefined);
  });

  // Rules by the thousand take out a value each: what it costs is what keeps them below the proof's bound.
  test("taking a value out makes a node for each of its bits, and one that is out already none", () => {
    const sets = new WordSets(32);
    const without = (set: WordSet, k: number): WordSet => {
      const parts = sets.split(set, { mask: sets.ones, test: "equal", k });
      return parts.fails ?? assert.fail("there is more than one value");
    };
    let set = sets.full;
    for (let k = 0; k < 600; k += 3) set = without(set, k);
    assert.equal(set.intervals, undefined);
    for (let k = 600; k < 1800; k += 3) {
      const before = sets.size;
      set = without(set, k);
      assert.ok(sets.size - before <= 32, `${k}: ${sets.size - before}`);
    }
    const before = sets.size;
    assert.equal(without(set, 999), set);
    assert.equal(sets.size, before);
    assert.deepEqual(
      sets.split(set, { mask: sets.ones, test: "equal", k: 1000 }).holds?.intervals,
      [1000, 1000],
    );
  });
});
