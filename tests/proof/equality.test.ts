// The comparison of decisions against trying every call, for words of 4 bits.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { DecisionMaker, type Decisions } from "../../src/proof/decisions.ts";
import { compareDecisions } from "../../src/proof/equality.ts";
import type { WordTest } from "../../src/proof/words.ts";
import { seed } from "../seed.ts";

const width = 4;
const ones = 15;

/** A tree in values, to be made into decisions by a maker. */
type Tree =
  | { readonly answer: number }
  | { readonly word: number; readonly test: WordTest; readonly holds: Tree; readonly fails: Tree };

const wordTest: fc.Arbitrary<WordTest> = fc.record(
  {
    mask: fc.oneof({ weight: 2, arbitrary: fc.constant(ones) }, fc.nat(ones)),
    test: fc.constantFrom("equal", "at-least", "any-bit"),
    k: fc.nat(ones),
  },
  { noNullPrototype: true },
);

function treeOf(words: number, depth: number): fc.Arbitrary<Tree> {
  const answer = fc.nat(2).map((answer): Tree => ({ answer }));
  if (depth === 0) return answer;
  const below = treeOf(words, depth - 1);
  const question = fc
    .tuple(fc.nat(words - 1), wordTest, below, below)
    .map(([word, test, holds, fails]): Tree => ({ word, test, holds, fails }));
  return fc.oneof(answer, { weight: 4, arbitrary: question });
}

function made(tree: Tree, maker: DecisionMaker, by: string): Decisions {
  return "answer" in tree
    ? maker.answer(tree.answer, by)
    : maker.question(tree.word, tree.test, made(tree.holds, maker, by), made(tree.fails, maker, by));
}

function answerOf(tree: Tree, call: readonly number[]): number {
  if ("answer" in tree) return tree.answer;
  const bits = (call[tree.word] ?? 0) & tree.test.mask;
  const { test, k } = tree.test;
  const holds = test === "equal" ? bits === k : test === "at-least" ? bits >= k : (bits & k) !== 0;
  return answerOf(holds ? tree.holds : tree.fails, call);
}

function callsOf(words: number): readonly (readonly number[])[] {
  return [...Array(16 ** words).keys()].map((index) =>
    [...Array(words).keys()].map((word) => (index >> (4 * word)) & ones),
  );
}

/** The tree with one thing changed, mostly in a way that matters to few calls. */
function changed(tree: Tree, way: number): Tree {
  if ("answer" in tree) return { answer: (tree.answer + 1) % 3 };
  if (way % 3 === 0) return { ...tree, test: { ...tree.test, k: (tree.test.k + 1) & ones } };
  return way % 3 === 1
    ? { ...tree, holds: changed(tree.holds, way >> 2) }
    : { ...tree, fails: changed(tree.fails, way >> 2) };
}

function assertDecided(words: number, a: Tree, b: Tree): "equal" | "different" {
  const maker = new DecisionMaker(width);
  const calls = callsOf(words);
  const different = calls.some((call) => answerOf(a, call) !== answerOf(b, call));
  const seen = new Set<string>();
  const result = compareDecisions(made(a, maker, "a"), made(b, maker, "b"), {
    width,
    visit: (first, second, call) => {
      assert.equal(answerOf(a, call()), first.returnValue);
      assert.equal(answerOf(b, call()), second.returnValue);
      seen.add(`${first.returnValue} ${second.returnValue}`);
    },
  });
  assert.equal(result.verdict, different ? "different" : "equal");
  if (result.verdict === "different") {
    assert.equal(answerOf(a, result.words), result.first.returnValue);
    assert.equal(answerOf(b, result.words), result.second.returnValue);
    assert.notEqual(result.first.returnValue, result.second.returnValue);
  } else {
    const pairs = new Set(calls.map((call) => `${answerOf(a, call)} ${answerOf(b, call)}`));
    assert.deepEqual(seen, pairs);
  }
  return different ? "different" : "equal";
}

describe(`comparing decisions (seed ${seed})`, () => {
  for (const [words, numRuns] of [
    [2, 500],
    [3, 60],
  ] as const) {
    test(`of ${words} words, with every call tried`, () => {
      const verdicts = { equal: 0, different: 0 };
      fc.assert(
        fc.property(treeOf(words, 4), treeOf(words, 3), fc.nat(), (tree, other, way) => {
          verdicts[assertDecided(words, tree, tree)] += 1;
          verdicts[assertDecided(words, tree, changed(tree, way))] += 1;
          verdicts[assertDecided(words, tree, other)] += 1;
          // A test that nothing depends on changes nothing.
          const asked: Tree = {
            word: 0,
            test: { mask: 5, test: "equal", k: way & 5 },
            holds: tree,
            fails: tree,
          };
          verdicts[assertDecided(words, asked, { ...asked, word: 1, holds: asked, fails: tree })] += 1;
        }),
        { numRuns },
      );
      assert.ok(verdicts.equal > numRuns && verdicts.different > numRuns, JSON.stringify(verdicts));
    });
  }

  test("too small a budget leaves it undecided, and never decides wrongly", () => {
    fc.assert(
      fc.property(treeOf(2, 4), treeOf(2, 4), fc.integer({ min: 1, max: 12 }), (a, b, budget) => {
        const maker = new DecisionMaker(width);
        const { verdict } = compareDecisions(made(a, maker, "a"), made(b, maker, "b"), { width, budget });
        const different = callsOf(2).some((call) => answerOf(a, call) !== answerOf(b, call));
        assert.ok(verdict === "undecided" || verdict === (different ? "different" : "equal"));
      }),
      { numRuns: 200 },
    );
  });

  test("words that are known keep the comparison to those calls", () => {
    fc.assert(
      fc.property(treeOf(2, 3), treeOf(2, 3), fc.nat(ones), (a, b, value) => {
        const maker = new DecisionMaker(width);
        const known = new Map([[1, value]]);
        const result = compareDecisions(made(a, maker, "a"), made(b, maker, "b"), { width, known });
        const calls = callsOf(2).filter((call) => call[1] === value);
        const different = calls.some((call) => answerOf(a, call) !== answerOf(b, call));
        assert.equal(result.verdict, different ? "different" : "equal");
        if (result.verdict === "different") assert.equal(result.words[1], value);
      }),
      { numRuns: 200 },
    );
  });

  test("chains of thousands of questions are no matter of the machine's stack", () => {
    const maker = new DecisionMaker();
    const chain = (answer: number): Decisions => {
      let rest: Decisions = maker.answer(answer, "end");
      for (let k = 0; k < 10_000; k++) {
        const mask = 0xffff_ffff;
        rest = maker.question(4 + (k % 3), { mask, test: "equal", k }, maker.answer(k % 2, "chain"), rest);
      }
      return rest;
    };
    assert.equal(compareDecisions(chain(2), chain(3)).verdict, "different");
  });
});
