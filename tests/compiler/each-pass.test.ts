// Every pass by itself: it keeps what the graph decides, and does what it is there for.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { childrenFirst, Graph, type Node, wholeWord } from "../../src/compiler/graph.ts";
import { lower } from "../../src/compiler/lower.ts";
import { chooseTrees } from "../../src/compiler/passes/choose-trees.ts";
import { foldKnown } from "../../src/compiler/passes/fold-known.ts";
import { passes } from "../../src/compiler/passes/index.ts";
import { shareX32 } from "../../src/compiler/passes/share-x32.ts";
import { testBits } from "../../src/compiler/passes/test-bits.ts";
import { weightsFor } from "../../src/compiler/weights.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { resolveSound } from "../../src/policy/resolve.ts";
import { policyOf, target } from "../policy/reading.ts";
import "../seed.ts";
import { callsOn, chances, textOf, written } from "../property/arbitrary.ts";

/** What a graph answers, whatever it is made of. */
function decide(root: Node, words: Uint32Array): number {
  let at = root;
  while (at.kind !== "leaf") {
    const value = ((words[at.word] ?? 0) & at.mask) >>> 0;
    if (at.kind === "choice") {
      const found = at.segments.findLast(({ start }) => start <= value);
      assert.ok(found !== undefined);
      at = found.node;
    } else {
      const holds =
        at.test === "equal" ? value === at.k : at.test === "at-least" ? value >= at.k : (value & at.k) !== 0;
      at = holds ? at.then : at.else;
    }
  }
  return at.returnValue;
}

const optimizations = ["kernel", "size", "classic"] as const;

test("each keeps what the graph before it decides, on random policies and calls", () => {
  fc.assert(
    fc.property(written, fc.constantFrom(...optimizations), chances, (one, optimize, stream) => {
      const { policy } = readPolicy(textOf(one), { target });
      fc.pre(policy !== undefined);
      const resolved = resolveSound(policy, target);
      const graph = new Graph();
      const weights = weightsFor(optimize, resolved.abis);
      const calls = [...callsOn(policy, () => stream.next().value ?? 0, 60)];
      let root = lower(graph, resolved);
      const check = (name: string): void => {
        for (const { words, expected } of calls)
          assert.equal(decide(root, words), expected, `after ${name}: ${[...words].join()}`);
      };
      check("lower");
      for (const { name, run } of passes) {
        root = run(graph, root, weights);
        check(name);
      }
    }),
    { numRuns: Number(process.env["CALLGATE_PROPERTY_RUNS"] ?? "1") * 12 },
  );
});

const weights = weightsFor("size", []);
const kinds = (root: Node): readonly string[] =>
  childrenFirst(root).map((node) => (node.kind === "test" ? node.test : node.kind));

describe("foldKnown", () => {
  test("a masked choice behind a range that fixes its bits is gone, another stays", () => {
    const graph = new Graph();
    const [a, b, c] = [graph.leaf(1), graph.leaf(2), graph.leaf(3)];
    const highNibble = graph.choice(4, 0xf0, [
      { start: 0, node: a },
      { start: 0x10, node: b },
    ]);
    const root = graph.choice(4, wholeWord, [
      { start: 0, node: c },
      { start: 0x10, node: highNibble },
      { start: 0x20, node: c },
      { start: 0x100, node: highNibble },
    ]);
    const folded = foldKnown(graph, root);
    assert.ok(folded.kind === "choice");
    assert.deepEqual(
      folded.segments.map(({ start, node }) => [start, node]),
      [
        [0, c],
        [0x10, b],
        [0x20, c],
        [0x100, highNibble],
      ],
    );
  });
});

describe("testBits", () => {
  test("all combinations of some bits are one test of the others", () => {
    const graph = new Graph();
    const [yes, no] = [graph.leaf(1), graph.leaf(2)];
    const values = [0, 8, 0x2_0000, 0x2_0008];
    const root = graph.choice(
      4,
      wholeWord,
      values.flatMap((value) => [
        { start: value, node: yes },
        { start: value + 1, node: no },
      ]),
    );
    const split = testBits(graph, root);
    assert.ok(split.kind === "choice" && split.mask === ~0x2_0008 >>> 0);
    const tests = chooseTrees(graph, split, weights);
    assert.deepEqual(kinds(tests).toSorted(), ["any-bit", "leaf", "leaf"]);
    const words = new Uint32Array(16);
    for (const value of [...values, 1, 9, 0x2_0001, 0x8000_0000, wholeWord]) {
      words[4] = value;
      assert.equal(decide(tests, words), values.includes(value) ? 1 : 2);
    }
  });

  test("a number is never tested so: the kernel's cache would not follow an AND of it", () => {
    const graph = new Graph();
    const root = graph.choice(0, wholeWord, [
      { start: 0, node: graph.leaf(1) },
      { start: 1, node: graph.leaf(2) },
      { start: 8, node: graph.leaf(1) },
      { start: 9, node: graph.leaf(2) },
      { start: 16, node: graph.leaf(1) },
      { start: 17, node: graph.leaf(2) },
    ]);
    assert.equal(testBits(graph, root), root);
  });
});

describe("shareX32", () => {
  const rootOf = (rules: string, abis: string): { readonly graph: Graph; readonly root: Node } => {
    const graph = new Graph();
    return { graph, root: lower(graph, resolveSound(policyOf(rules, `abis = [${abis}]`), target)) };
  };

  test("x32's numbers go to x86_64's choice behind one test of bit 30", () => {
    const { graph, root } = rootOf("allow @system-service", '"x86_64", "x32"');
    const shared = shareX32(graph, root, weights);
    assert.ok(kinds(shared).includes("any-bit"));
    const trees = (one: Node): number => kinds(chooseTrees(graph, one, weights)).length;
    assert.ok(trees(shared) < 0.8 * trees(root), `${trees(shared)} and ${trees(root)}`);
  });

  test("without x32 there is nothing to share", () => {
    const { graph, root } = rootOf("allow @system-service", '"x86_64"');
    assert.ok(!kinds(shareX32(graph, root, weights)).includes("any-bit"));
  });
});

describe("chooseTrees", () => {
  test("leaves tests only", () => {
    const graph = new Graph();
    const root = lower(
      graph,
      resolveSound(policyOf("allow @system-service, mmap(prot & PROT_EXEC)"), target),
    );
    assert.ok(kinds(root).includes("choice"));
    assert.ok(!kinds(chooseTrees(graph, root, weights)).includes("choice"));
  });
});
