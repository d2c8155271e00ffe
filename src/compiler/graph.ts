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
    return node;
  }

  /**
   * The graph that decides, call by call, as the stricter of two graphs (or the milder one); among equally strict
   * answers it has `a`'s. What a condition that no filter can see comes to.
   */
  merge(a: Node, b: Node, prefer: "strictest" | "most-lenient"): Node {
    if (a === b) return a;
    const settled = this.#settled(a, b, prefer);
    if (settled !== undefined) return settled;
    const key = `${a.id},${b.id},${prefer}`;
    const found = this.#merged.get(key);
    if (found !== undefined) return found;
    let result: Node;
    if (a.kind === "test") {
      result = this.test(
        a.word,
        a.mask,
        a.test,
        a.k,
        this.merge(a.then, b, prefer),
        this.merge(a.else, b, prefer),
      );
    } else if (b.kind === "test") {
      result = this.test(
        b.word,
        b.mask,
        b.test,
        b.k,
        this.merge(a, b.then, prefer),
        this.merge(a, b.else, prefer),
      );
    } else {
      const order = strictness(a.returnValue) - strictness(b.returnValue);
      result = (prefer === "strictest" ? order >= 0 : order <= 0) ? a : b;
    }
    this.#merged.set(key, result);
    return result;
  }

  /** `a` or `b` where one of them wins against every answer of the other. */
  #settled(a: Node, b: Node, prefer: "strictest" | "most-lenient"): Node | undefined {
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
    return this.#extreme(node, this.#strictest, Math.max);
  }

  #mildestOf(node: Node): number {
    return this.#extreme(node, this.#mildest, Math.min);
  }

  #extreme(node: Node, known: Map<Node, number>, choose: (a: number, b: number) => number): number {
    if (node.kind === "leaf") return strictness(node.returnValue);
    const found = known.get(node);
    if (found !== undefined) return found;
    const value = choose(this.#extreme(node.then, known, choose), this.#extreme(node.else, known, choose));
    known.set(node, value);
    return value;
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
