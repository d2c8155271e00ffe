/**
 * Exact sets of values of one word. Most sets that occur are a few intervals, which are cheap; a masked test
 * turns a set into a diagram. Equal sets are one object with one number.
 */
import { type Diagram, Diagrams, none } from "./diagram.ts";

/** What is asked of a word: its bits under the mask equal to `k`, at least `k`, or any of them set. */
export interface WordTest {
  readonly mask: number;
  readonly test: "equal" | "at-least" | "any-bit";
  readonly k: number;
}

export interface WordSet {
  readonly id: number;
  /** Ends of disjoint ascending intervals, both included: low, high, low, high … Undefined for a diagram. */
  readonly intervals: readonly number[] | undefined;
  readonly diagram: Diagram | undefined;
}

/** More intervals than this are better kept as a diagram. */
const mostIntervals = 64;

export class WordSets {
  readonly ones: number;
  readonly full: WordSet;
  readonly #diagrams: Diagrams;
  readonly #byIntervals = new Map<string, WordSet>();
  readonly #byDiagram = new Map<Diagram, WordSet>();
  readonly #asDiagram = new Map<WordSet, Diagram>();
  readonly #projected = new Map<string, WordSet>();
  #count = 0;

  /** @param width bits of a word: 32, or fewer where all values are to be enumerated by a test */
  constructor(width = 32) {
    this.ones = width === 32 ? 0xffff_ffff : (1 << width) - 1;
    this.#diagrams = new Diagrams(width);
    this.full = this.#ofIntervals([0, this.ones]) ?? this.#ofKnownDiagram(1);
  }

  /** The nodes of all diagrams so far: a measure of how hard the sets are. */
  get size(): number {
    return this.#diagrams.size;
  }

  /** The members for which the test holds, and those for which it does not; undefined where there are none. */
  split(
    set: WordSet,
    test: WordTest,
  ): { readonly holds: WordSet | undefined; readonly fails: WordSet | undefined } {
    const whole = test.mask === this.ones;
    if (set.intervals !== undefined && whole && test.test !== "any-bit") {
      // Most tests are about values that the set has lost long ago.
      const least = set.intervals[0] ?? 0;
      const most = set.intervals[set.intervals.length - 1] ?? 0;
      if (test.k > most || (test.test === "equal" && test.k < least)) return { holds: undefined, fails: set };
      const high = test.test === "equal" ? test.k : this.ones;
      return this.#splitIntervals(set, set.intervals, test.k, high);
    }
    if (set.diagram !== undefined && whole && test.test === "equal") {
      // Thousands of rules take out a value each.
      if (!this.#diagrams.has(set.diagram, test.k)) return { holds: undefined, fails: set };
      const rest = this.#diagrams.without(set.diagram, test.k);
      return { holds: this.#ofIntervals([test.k, test.k]), fails: this.#ofDiagram(rest) };
    }
    const moved = set.intervals === undefined ? undefined : movedIntervals(set.intervals, test);
    if (moved !== undefined) return this.#splitPieces(set, moved);
    const [low, high] = set.intervals ?? [];
    if (low !== undefined && low === high && set.intervals?.length === 2) {
      return holdsFor(low, test) ? { holds: set, fails: undefined } : { holds: undefined, fails: set };
    }
    const diagrams = this.#diagrams;
    const members = this.#diagramOf(set);
    const tested = this.#diagramOfTest(test);
    return {
      holds: this.#ofDiagram(diagrams.intersect(members, tested)),
      fails: this.#ofDiagram(diagrams.intersect(members, diagrams.complement(tested))),
    };
  }

  /** The set as far as the bits under `mask` can tell. */
  project(set: WordSet, mask: number): WordSet {
    if (mask === this.ones) return set;
    const key = `${set.id},${mask}`;
    const found = this.#projected.get(key);
    if (found !== undefined) return found;
    const made = this.#ofDiagram(this.#diagrams.project(this.#diagramOf(set), mask)) ?? set;
    this.#projected.set(key, made);
    return made;
  }

  /** How many members a set has. */
  count(set: WordSet): number {
    const { intervals } = set;
    if (intervals === undefined) return this.#diagrams.count(this.#diagramOf(set));
    return intervals.reduce((sum, end, index) => sum + (index % 2 === 0 ? 1 - end : end), 0);
  }

  /** Some member: one at an edge, which is where mistakes show. */
  member(set: WordSet): number {
    return set.intervals?.[0] ?? this.#diagrams.member(set.diagram ?? none);
  }

  /** Pieces of the set, on each of which the test asks for one interval. */
  #splitPieces(set: WordSet, pieces: readonly Piece[]): ReturnType<WordSets["split"]> {
    const [holds, fails]: [number[], number[]] = [[], []];
    for (const { from, to, low, high } of pieces) {
      if (low > to || high < from || low > high) append(fails, from, to);
      else {
        if (from < low) append(fails, from, low - 1);
        append(holds, Math.max(from, low), Math.min(to, high));
        if (to > high) append(fails, high + 1, to);
      }
    }
    if (fails.length === 0) return { holds: set, fails: undefined };
    if (holds.length === 0) return { holds: undefined, fails: set };
    return { holds: this.#ofIntervals(holds), fails: this.#ofIntervals(fails) };
  }

  #splitIntervals(
    set: WordSet,
    intervals: readonly number[],
    low: number,
    high: number,
  ): ReturnType<WordSets["split"]> {
    const holds: number[] = [];
    const fails: number[] = [];
    for (let i = 0; i < intervals.length; i += 2) {
      const [from, to] = [intervals[i] ?? 0, intervals[i + 1] ?? 0];
      if (to < low || from > high) fails.push(from, to);
      else {
        if (from < low) fails.push(from, low - 1);
        holds.push(Math.max(from, low), Math.min(to, high));
        if (to > high) fails.push(high + 1, to);
      }
    }
    if (fails.length === 0) return { holds: set, fails: undefined };
    if (holds.length === 0) return { holds: undefined, fails: set };
    return { holds: this.#ofIntervals(holds), fails: this.#ofIntervals(fails) };
  }

  #ofIntervals(intervals: readonly number[]): WordSet | undefined {
    if (intervals.length === 0) return undefined;
    const key = intervals.join();
    const found = this.#byIntervals.get(key);
    if (found !== undefined) return found;
    const set: WordSet = { id: this.#count++, intervals, diagram: undefined };
    if (intervals.length > 2 * mostIntervals) return this.#ofDiagram(this.#diagramOf(set));
    this.#byIntervals.set(key, set);
    return set;
  }

  #ofDiagram(diagram: Diagram): WordSet | undefined {
    return diagram === none ? undefined : this.#ofKnownDiagram(diagram);
  }

  #ofKnownDiagram(diagram: Diagram): WordSet {
    const found = this.#byDiagram.get(diagram);
    if (found !== undefined) return found;
    const set: WordSet = { id: this.#count++, intervals: undefined, diagram };
    this.#byDiagram.set(diagram, set);
    return set;
  }

  #diagramOf(set: WordSet): Diagram {
    if (set.diagram !== undefined) return set.diagram;
    const found = this.#asDiagram.get(set);
    if (found !== undefined) return found;
    let made: Diagram = none;
    const intervals = set.intervals ?? [];
    for (let i = 0; i < intervals.length; i += 2) {
      made = this.#diagrams.unite(made, this.#diagrams.interval(intervals[i] ?? 0, intervals[i + 1] ?? 0));
    }
    this.#asDiagram.set(set, made);
    return made;
  }

  #diagramOfTest(test: WordTest): Diagram {
    switch (test.test) {
      case "equal":
        return this.#diagrams.maskedEqual(test.mask, test.k);
      case "at-least":
        return this.#diagrams.maskedAtLeast(test.mask, test.k);
      case "any-bit":
        return this.#diagrams.complement(this.#diagrams.maskedEqual((test.mask & test.k) >>> 0, 0));
    }
  }
}

function holdsFor(value: number, { mask, test, k }: WordTest): boolean {
  const bits = (value & mask) >>> 0;
  switch (test) {
    case "equal":
      return bits === k;
    case "at-least":
      return bits >= k;
    case "any-bit":
      return (bits & k) !== 0;
  }
}

/** A stretch of values of which the test holds for those from `low` to `high`. */
interface Piece {
  readonly from: number;
  readonly to: number;
  readonly low: number;
  readonly high: number;
}

/** More pieces than this are better kept as a diagram. */
const mostPieces = 64;

/**
 * A masked test on intervals, without a diagram. Where only high bits are looked at, they are the same on long
 * stretches; where only high bits are masked out, these are, and there the masked value is the value less a number.
 * Undefined where that takes many pieces.
 */
function movedIntervals(
  intervals: readonly number[],
  { mask, test, k }: WordTest,
): readonly Piece[] | undefined {
  const looked = test === "any-bit" ? (mask & k) >>> 0 : mask;
  const lowestLooked = (looked & -looked) >>> 0;
  const lowestOther = (~looked & (looked + 1)) >>> 0;
  const isConstant = test === "any-bit" || lowestLooked > lowestOther;
  const stretch = isConstant ? lowestLooked : lowestOther;
  if (stretch === 0) return undefined;
  const pieces: Piece[] = [];
  for (let i = 0; i < intervals.length; i += 2) {
    const last = intervals[i + 1] ?? 0;
    for (let from = intervals[i] ?? 0; from <= last; ) {
      const to = Math.min(last, from - (from % stretch) + stretch - 1);
      if (pieces.length >= mostPieces) return undefined;
      if (isConstant) {
        const holds = holdsFor(from, { mask, test, k });
        pieces.push({ from, to, low: holds ? from : 1, high: holds ? to : 0 });
      } else {
        const masked = (from & ~mask) >>> 0;
        pieces.push({ from, to, low: k + masked, high: test === "equal" ? k + masked : to });
      }
      from = to + 1;
    }
  }
  return pieces;
}

/** Adds an interval at the end, joined with the last one where they meet. */
function append(intervals: number[], from: number, to: number): void {
  if (intervals.length > 0 && intervals.at(-1) === from - 1) intervals[intervals.length - 1] = to;
  else intervals.push(from, to);
}
