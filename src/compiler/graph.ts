/**
 * The decision graph: what a filter will do, over the 32-bit words of a call. Equal nodes are one node, so that
 * equal decisions are seen to be equal, and shared when they become instructions.
 */
import { strictness } from "../bpf/index.ts";
import type { WordIndex } from "../policy/resolved.ts";

export type Node = Leaf | TestNode;

export interface Leaf {
  readonly kind: "leaf";
  readonly id: number;
  readonly returnValue: number;
}

/** `word & mask` is put to the test: equal to `k`, at least `k`, or having any bit of `k`. */
export interface TestNode {
  readonly kind: "test";
  readonly id: number;
  readonly word: WordIndex;
  /** 0xffffffff where the whole word counts; always so for `any-bit`. */
  readonly mask: number;
  readonly test: "equal" | "at-least" | "any-bit";
  readonly k: number;
  readonly then: Node;
  readonly else: Node;
}

export const wholeWord = 0xffff_ffff;

/** Makes nodes. One graph is for one filter. */
export class Graph {
  readonly #nodes = new Map<string, Node>();
  readonly #merged = new Map<string, Node>();
  readonly #strictest = new Map<Node, number>();
  readonly #mildest = new Map<Node, number>();

  leaf(returnValue: number): Leaf {
    const key = `${returnValue}`;
    const found = this.#nodes.get(key);
    if (found?.kind === "leaf") return found;
    const leaf: Leaf = { kind: "leaf", id: this.#nodes.size, returnValue };
    this.#nodes.set(key, leaf);
    this.#strictest.set(leaf, strictness(returnValue));
    this.#mildest.set(leaf, strictness(returnValue));
    return leaf;
  }

  /** A test, or the node that it always comes to. */
  test(word: WordIndex, mask: number, test: TestNode["test"], k: number, then: Node, otherwise: Node): Node {
    if (then === otherwise) return then;
    if (test === "at-least" && k === 0) return then;
    if (test === "any-bit" && k === 0) return otherwise;
    // Within a mask the whole value may be reached only where the mask has the bits.
    if (test === "equal" && (k & ~mask) >>> 0 !== 0) return otherwise;
    if (test === "at-least" && k > mask) return otherwise;
    const key = `${word},${mask},${test},${k},${then.id},${otherwise.id}`;
    const found = this.#nodes.get(key);
    if (found !== undefined) return found;
    const node: TestNode = { kind: "test", id: this.#nodes.size, word, mask, test, k, then, else: otherwise };
    this.#nodes.set(key, node);
    this.#strictest.set(node, Math.max(this.#strictestOf(then), this.#strictestOf(otherwise)));
    this.#mildest.set(node, Math.min(this.#mildestOf(then), this.#mildestOf(otherwise)));
    return node;
  }

  /**
   * The graph that decides, call by call, as the stricter of two graphs (or the milder one); among equally strict
   * answers it has `a`'s. What a condition that no filter can see comes to. Without recursion, since a call can
   * have thousands of rules.
   */
  merge(one: Node, other: Node, prefer: "strictest" | "most-lenient"): Node {
    const resultOf = (a: Node, b: Node): Node | undefined =>
      this.#settled(a, b, prefer) ?? this.#merged.get(`${a.id},${b.id},${prefer}`);
    const stack: (readonly [Node, Node])[] = [[one, other]];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const [a, b] = top;
      const test = a.kind === "test" ? a : b;
      // Two leaves are always settled.
      if (resultOf(a, b) !== undefined || test.kind === "leaf") {
        stack.pop();
        continue;
      }
      const beside = (next: Node): readonly [Node, Node] => (test === a ? [next, b] : [a, next]);
      const below = [beside(test.then), beside(test.else)];
      const missing = below.filter(([x, y]) => resultOf(x, y) === undefined);
      if (missing.length > 0) {
        stack.push(...missing);
        continue;
      }
      const [then, otherwise] = below.map(([x, y]) => resultOf(x, y));
      if (then === undefined || otherwise === undefined) throw new Error("what stands below is merged first");
      const merged = this.test(test.word, test.mask, test.test, test.k, then, otherwise);
      this.#merged.set(`${a.id},${b.id},${prefer}`, merged);
      stack.pop();
    }
    return resultOf(one, other) ?? one;
  }

  /** `a` or `b` where one of them wins against every answer of the other. */
  #settled(a: Node, b: Node, prefer: "strictest" | "most-lenient"): Node | undefined {
    if (a === b) return a;
    if (prefer === "strictest") {
      if (this.#mildestOf(a) >= this.#strictestOf(b)) return a;
      if (this.#mildestOf(b) > this.#strictestOf(a)) return b;
    } else {
      if (this.#strictestOf(a) <= this.#mildestOf(b)) return a;
      if (this.#strictestOf(b) < this.#mildestOf(a)) return b;
    }
    return undefined;
  }

  #strictestOf(node: Node): number {
    return this.#strictest.get(node) ?? 0;
  }

  #mildestOf(node: Node): number {
    return this.#mildest.get(node) ?? 0;
  }
}

/** From `start` on (up to the next segment) the value of a word leads to `node`. */
export interface Segment {
  readonly start: number;
  readonly node: Node;
}

/**
 * A tree that finds the segment of `word & mask`. Segments are in ascending order and the first begins at 0;
 * neighbours with equal nodes become one. JEQ is used where a segment of one value stands between equal ones,
 * JGE in the middle otherwise.
 */
export function segmentTree(graph: Graph, word: WordIndex, mask: number, segments: readonly Segment[]): Node {
  const merged: Segment[] = [];
  for (const segment of segments) {
    if (merged[merged.length - 1]?.node !== segment.node) merged.push(segment);
  }
  const build = (from: number, to: number): Node => {
    const [first, second, third] = [merged[from], merged[from + 1], merged[from + 2]];
    if (first === undefined) throw new RangeError("a word has at least one segment");
    if (to - from === 1 || second === undefined) return first.node;
    if (
      to - from === 3 &&
      third !== undefined &&
      third.node === first.node &&
      third.start === second.start + 1
    ) {
      return graph.test(word, mask, "equal", second.start, second.node, first.node);
    }
    const middle = (from + to) >> 1;
    const split = merged[middle];
    if (split === undefined) throw new RangeError("the middle lies between the ends");
    return graph.test(word, mask, "at-least", split.start, build(middle, to), build(from, middle));
  };
  return build(0, merged.length);
}
