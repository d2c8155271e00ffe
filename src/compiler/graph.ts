/**
 * The decision graph: what a filter will do, over the 32-bit words of a call. Equal nodes are one node, so that
 * equal decisions are seen to be equal, and shared when they become instructions.
 *
 * Lowering makes *choices*, which have a branch for every value of a word; the passes turn these into *tests*, which
 * have two branches and are one conditional jump each.
 */
import { strictness } from "../bpf/index.ts";
import type { WordIndex } from "../policy/resolved.ts";

export type Node = Leaf | ChoiceNode | TestNode;

export interface Leaf {
  readonly kind: "leaf";
  readonly id: number;
  /** Negative for the two leaves that only conditions have while they are lowered. */
  readonly returnValue: number;
}

/** From `start` on (up to the next segment) the value of a word leads to `node`. */
export interface Segment {
  readonly start: number;
  readonly node: Node;
}

/** `word & mask` decides: segments in ascending order, the first at 0, neighbours with different nodes. */
export interface ChoiceNode {
  readonly kind: "choice";
  readonly id: number;
  readonly word: WordIndex;
  readonly mask: number;
  readonly segments: readonly Segment[];
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
/** More masks of one word than this are not put into an order. */
const mostMasks = 100;

/** Lowering in the order of the words would take more nodes than rules in a row. */
export class TooManyNodes extends Error {}

/** Makes nodes. One graph is for one filter. */
export class Graph {
  readonly #nodes = new Map<string, Node>();
  readonly #combined = new Map<string, Node>();
  readonly #strictest: number[] = [];
  readonly #mildest: number[] = [];
  readonly #ranks = new Map<number, Map<number, number>>();
  readonly #highWords = new Set<WordIndex>();
  /** The branches of all nodes made so far: a measure of the work. */
  branches = 0;
  /** More branches than this are refused with TooManyNodes. */
  limit = Number.POSITIVE_INFINITY;

  /** The nodes made so far. */
  get size(): number {
    return this.#strictest.length;
  }

  leaf(returnValue: number): Leaf {
    const found = this.#nodes.get(`${returnValue}`);
    if (found?.kind === "leaf") return found;
    const leaf: Leaf = { kind: "leaf", id: this.size, returnValue };
    const rank = returnValue < 0 ? 0 : strictness(returnValue);
    return this.#keep(`${returnValue}`, leaf, rank, rank);
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
    const node: TestNode = { kind: "test", id: this.size, word, mask, test, k, then, else: otherwise };
    const strictest = Math.max(this.#strictestOf(then), this.#strictestOf(otherwise));
    return this.#keep(key, node, strictest, Math.min(this.#mildestOf(then), this.#mildestOf(otherwise)));
  }

  /** A choice in its one form, or the node that it always comes to. Neighbours may be equal, starts beyond the mask. */
  choice(word: WordIndex, mask: number, segments: readonly Segment[]): Node {
    const lowest = (mask & -mask) >>> 0;
    // A mask that keeps the upper bits makes ranges of the whole word.
    const isUpper = mask !== 0 && (mask | (lowest - 1)) >>> 0 === wholeWord;
    const kept: Segment[] = [];
    for (const { start, node } of segments) {
      if (start > mask) break;
      const at = start === 0 ? 0 : isUpper ? Math.ceil(start / lowest) * lowest : start <= lowest ? 1 : start;
      const last = kept.at(-1);
      if (last !== undefined && last.start === at) kept.pop();
      if (kept.at(-1)?.node !== node) kept.push({ start: at, node });
    }
    const [first] = kept;
    if (first === undefined) throw new RangeError("a choice has a segment at 0");
    if (kept.length === 1) return first.node;
    const whole = isUpper ? wholeWord : mask;
    const key = `c${word},${whole}:${kept.map((one) => `${one.start},${one.node.id}`).join()}`;
    const found = this.#nodes.get(key);
    if (found !== undefined) return found;
    const node: ChoiceNode = { kind: "choice", id: this.size, word, mask: whole, segments: kept };
    const [strictest, mildest] = [
      kept.map((one) => this.#strictestOf(one.node)),
      kept.map((one) => this.#mildestOf(one.node)),
    ];
    return this.#keep(
      key,
      node,
      strictest.reduce((a, b) => Math.max(a, b)),
      mildest.reduce((a, b) => Math.min(a, b)),
    );
  }

  #keep<T extends Node>(key: string, node: T, strictest: number, mildest: number): T {
    this.branches += below(node).length;
    if (this.branches > this.limit) throw new TooManyNodes();
    this.#nodes.set(key, node);
    this.#strictest.push(strictest);
    this.#mildest.push(mildest);
    return node;
  }

  /** Says that a word is the high half of an argument: it is looked at after its low half. */
  noteHighHalf(word: WordIndex): void {
    this.#highWords.add(word);
  }

  /**
   * The place of a choice in the order in which words are looked at: arguments one after the other, the low half
   * first. Most calls of a set differ there, and what is left to ask of the high half (is it 0?) is the same question
   * for every set, and so one node for all of them.
   */
  rank({ word, mask }: Pick<ChoiceNode, "word" | "mask">): number {
    const half = this.#highWords.has(word) ? 1 : 0;
    const base = word < 2 ? 1 - word : (word >> 1) * 2 + half;
    if (mask === wholeWord) return base * 0x10_0000;
    let masks = this.#ranks.get(word);
    if (masks === undefined) {
      masks = new Map();
      this.#ranks.set(word, masks);
    }
    let rank = masks.get(mask);
    if (rank === undefined) {
      // Masks are words of their own here, and every one makes the graph deeper.
      if (masks.size >= mostMasks && this.limit !== Number.POSITIVE_INFINITY) throw new TooManyNodes();
      rank = masks.size + 1;
      masks.set(mask, rank);
    }
    return base * 0x10_0000 + rank;
  }

  /** The choice that comes first among some nodes; undefined where there is none. */
  #foremost(nodes: readonly Node[]): ChoiceNode | undefined {
    let foremost: ChoiceNode | undefined;
    for (const node of nodes) {
      if (node.kind !== "choice") continue;
      if (foremost === undefined || this.rank(node) < this.rank(foremost)) foremost = node;
    }
    return foremost;
  }

  /** One graph of several: `settle` says what they come to, where that is known without looking further. */
  #combine(name: string, nodes: readonly Node[], settle: (nodes: readonly Node[]) => Node | undefined): Node {
    const settled = settle(nodes);
    if (settled !== undefined) return settled;
    const key = `${name},${nodes.map((one) => one.id).join()}`;
    const found = this.#combined.get(key);
    if (found !== undefined) return found;
    const top = this.#foremost(nodes);
    if (top === undefined) throw new Error("leaves are always settled");
    const { word, mask } = top;
    const cursors = nodes.map((node) =>
      node.kind === "choice" && node.word === word && node.mask === mask
        ? node.segments
        : [{ start: 0, node }],
    );
    const segments: Segment[] = [];
    const at = cursors.map(() => 0);
    for (let start = 0; start !== Number.POSITIVE_INFINITY; ) {
      const current = cursors.map((list, index) => list[at[index] ?? 0]?.node);
      const parts = current.filter((node) => node !== undefined);
      segments.push({ start, node: this.#combine(name, parts, settle) });
      const next = cursors.map(
        (list, index) => list[(at[index] ?? 0) + 1]?.start ?? Number.POSITIVE_INFINITY,
      );
      start = Math.min(...next);
      for (const [index, one] of next.entries()) if (one === start) at[index] = (at[index] ?? 0) + 1;
    }
    const made = this.choice(word, mask, segments);
    this.#combined.set(key, made);
    return made;
  }

  /** `then` where a condition (a graph over `holds` and `fails`) holds, and `otherwise` where it does not. */
  ifElse(condition: Node, then: Node, otherwise: Node): Node {
    const [holds, fails] = [this.holds, this.fails];
    return this.#combine("if", [condition, then, otherwise], ([one, yes, no]) => {
      if (one === holds || yes === no) return yes;
      if (one === fails) return no;
      return yes === holds && no === fails ? one : undefined;
    });
  }

  /** The first where it decides (does not end in `fails`), else the second. */
  firstOf(first: Node, second: Node): Node {
    return this.#combine("first", [first, second], ([one, other]) => {
      if (one === this.fails || one === other) return other;
      return one?.kind === "leaf" ? one : undefined;
    });
  }

  /** The end of a condition that holds. */
  get holds(): Leaf {
    return this.leaf(-2);
  }

  /** The end of a condition that does not hold, and of rules that do not decide. */
  get fails(): Leaf {
    return this.leaf(-1);
  }

  /**
   * The graph that decides, call by call, as the stricter of two graphs (or the milder one); among equally strict
   * answers it has `a`'s. What a condition that no filter can see comes to.
   */
  merge(one: Node, other: Node, prefer: "strictest" | "most-lenient"): Node {
    return this.#combine(prefer, [one, other], ([a, b]) =>
      a === undefined || b === undefined ? a : this.#settled(a, b, prefer),
    );
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
    return this.#strictest[node.id] ?? 0;
  }

  #mildestOf(node: Node): number {
    return this.#mildest[node.id] ?? 0;
  }
}

/** The nodes right below a node. */
export function below(node: Node): readonly Node[] {
  if (node.kind === "leaf") return [];
  return node.kind === "test" ? [node.then, node.else] : node.segments.map((one) => one.node);
}

/** All nodes below a root and itself, every node after those below it; without recursion, since chains can be long. */
export function childrenFirst(root: Node): readonly Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { readonly node: Node; readonly done: boolean }[] = [{ node: root, done: false }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node, done } = top;
    if (done) {
      order.push(node);
      continue;
    }
    if (seen.has(node)) continue;
    seen.add(node);
    stack.push({ node, done: true });
    for (const next of below(node)) stack.push({ node: next, done: false });
  }
  return order;
}

/** The graph with every node changed, from the leaves up: `change` sees each with what stands below it changed already. */
export function rewrite(graph: Graph, root: Node, change: (node: Exclude<Node, Leaf>) => Node): Node {
  const changed = new Map<Node, Node>();
  const of = (node: Node): Node => changed.get(node) ?? node;
  for (const node of childrenFirst(root)) {
    if (node.kind === "leaf") continue;
    const rebuilt =
      node.kind === "test"
        ? graph.test(node.word, node.mask, node.test, node.k, of(node.then), of(node.else))
        : graph.choice(
            node.word,
            node.mask,
            node.segments.map((one) => ({ start: one.start, node: of(one.node) })),
          );
    changed.set(node, rebuilt.kind === "leaf" ? rebuilt : change(rebuilt));
  }
  return of(root);
}
