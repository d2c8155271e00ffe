/**
 * Tests of several words of a call against each other, such as `low(args[0]) == low(args[1])`, which filters make with
 * X. Divided word by word they would fall into billions of parts; to be told, each is one question with two
 * outcomes, numbered like a word behind the words of the call. Whether a way on which some of them hold and others do
 * not is one that a call can take, is worked out by diagrams over the bits of all words.
 */
import type { Diagram, Diagrams } from "./diagram.ts";
import { all, none } from "./diagram.ts";
import { type Comparison, comparisonGiven } from "./expressions.ts";
import { Symbols } from "./symbols.ts";

/** Where relations begin: behind the words of the call. */
export const firstRelation = 16;

export interface Relation {
  /** Its number, as a word has one. */
  readonly word: number;
  /** The calls for which it holds. */
  readonly calls: Diagram;
  readonly comparison: Comparison;
  /** The instruction that makes the comparison. */
  readonly at: number;
  /** The words of the call that are compared, a bit each. */
  readonly compared: number;
}

/** A relation, or the opposite of one. */
export interface AskedRelation {
  readonly word: number;
  readonly isOpposite: boolean;
}

/** Some tenths of a second: relations are only there to be told, and for both sides of a comparison together. */
const mostNodes = 250_000;

export class Relations {
  readonly #symbols = new Symbols(32, mostNodes);
  readonly #all: Relation[] = [];
  readonly #known = new Map<Diagram, AskedRelation>();

  /** The relation that holds for calls which `from` knows. */
  add(from: Symbols, calls: Diagram, comparison: Comparison, at: number): AskedRelation {
    return this.#ask(this.#symbols.imported(from, calls), comparison, at);
  }

  relation(word: number): Relation {
    const found = this.#all[word - firstRelation];
    if (found === undefined) throw new RangeError(`${word} is no relation`);
    return found;
  }

  /** What is left of it where a word of the call is known: an outcome, or another relation. */
  given(
    { word: own, calls, comparison, at }: Relation,
    word: number,
    value: number,
  ): boolean | AskedRelation {
    const left = this.#symbols.given(calls, word, value);
    if (left === none || left === all) return left === all;
    if (left === calls) return { word: own, isOpposite: false };
    return this.#ask(left, comparisonGiven(comparison, word, value), at);
  }

  /** The calls of which a word is in a set. */
  callsIn(word: number, sets: Diagrams, set: Diagram): Diagram {
    return this.#symbols.ofSet(word, sets, set);
  }

  /** The calls for which a relation holds, or does not. */
  callsWhere(word: number, holds: boolean): Diagram {
    const { calls } = this.relation(word);
    return holds ? calls : this.#symbols.not(calls);
  }

  both(some: Diagram, others: Diagram): Diagram {
    return this.#symbols.and(some, others);
  }

  either(some: Diagram, others: Diagram): Diagram {
    return this.#symbols.or(some, others);
  }

  /** Of one of the calls the words that matter; the set is not empty. */
  member(calls: Diagram): ReadonlyMap<number, number> {
    return this.#symbols.member(calls);
  }

  #ask(calls: Diagram, comparison: Comparison, at: number): AskedRelation {
    const found = this.#known.get(calls);
    if (found !== undefined) return found;
    const word = firstRelation + this.#all.length;
    const compared = [...this.#symbols.wordsIn([calls])].reduce((words, one) => words | (1 << one), 0);
    this.#all.push({ word, calls, comparison, at, compared });
    this.#known.set(calls, { word, isOpposite: false });
    this.#known.set(this.#symbols.not(calls), { word, isOpposite: true });
    return { word, isOpposite: false };
  }
}
