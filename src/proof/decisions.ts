/**
 * What is compared: decisions as trees with shared branches, over tests of single words. A filter becomes one
 * by being run with symbols (`filter.ts`), a policy by being read rule by rule (`policy.ts`). The compiler's
 * graph is another one, made by other code.
 */
import type { WordTest } from "./words.ts";

export type Decisions = Answer | Question;

/** The end: what is returned, and what said so (the proof compares the first and reports the second). */
export interface Answer {
  readonly kind: "answer";
  readonly id: number;
  readonly returnValue: number;
  readonly by: unknown;
}

export interface Question extends WordTest {
  readonly kind: "question";
  readonly id: number;
  readonly word: number;
  readonly holds: Decisions;
  readonly fails: Decisions;
  /** For each word, the bits that this and later questions look at. */
  readonly looksAt: readonly number[];
}

const words = 16;
const looksAtNothing: readonly number[] = new Array<number>(words).fill(0);

function looksAtOf(decisions: Decisions): readonly number[] {
  return decisions.kind === "answer" ? looksAtNothing : decisions.looksAt;
}

/**
 * A test in the one form that all tests of the same meaning have, so that questions which mean the same are one
 * object whichever way they were written: or its outcome, where it is the same for every value.
 */
function plainTest(
  { mask, test, k }: WordTest,
  ones: number,
): (WordTest & { readonly isOpposite: boolean }) | boolean {
  if (test === "any-bit") {
    const bits = (mask & k) >>> 0;
    return bits === 0 ? false : { mask: bits, test: "equal", k: 0, isOpposite: true };
  }
  if (mask === 0) return k === 0;
  if (test === "at-least") {
    if (k === 0 || k > mask) return k === 0;
    if (k === 1) return { mask, test: "equal", k: 0, isOpposite: true };
    if (k < mask) return { mask, test, k, isOpposite: false };
  }
  if ((k & ~mask & ones) !== 0) return false;
  const isOneBit = (mask & (mask - 1)) === 0;
  return isOneBit && k !== 0
    ? { mask, test: "equal", k: 0, isOpposite: true }
    : { mask, test: "equal", k, isOpposite: false };
}

/** Makes decisions; equal ones are one object. */
export class DecisionMaker {
  /** The bits of a word. */
  readonly width: number;
  /** All of them. */
  readonly ones: number;
  readonly #known = new Map<string, Question>();
  readonly #answers = new Map<unknown, Map<number, Answer>>();
  #count = 0;

  /** @param width 32, or fewer where all values are to be enumerated by a test */
  constructor(width = 32) {
    this.width = width;
    this.ones = 0xffff_ffff >>> (32 - width);
  }

  answer(returnValue: number, by: unknown): Answer {
    let answers = this.#answers.get(by);
    if (answers === undefined) {
      answers = new Map();
      this.#answers.set(by, answers);
    }
    let answer = answers.get(returnValue);
    if (answer === undefined) {
      answer = { kind: "answer", id: this.#count++, returnValue, by };
      answers.set(returnValue, answer);
    }
    return answer;
  }

  question(word: number, asked: WordTest, holds: Decisions, fails: Decisions): Decisions {
    if (holds === fails) return holds;
    const plain = plainTest(asked, this.ones);
    if (typeof plain === "boolean") return plain ? holds : fails;
    return plain.isOpposite ? this.#ask(word, plain, fails, holds) : this.#ask(word, plain, holds, fails);
  }

  #ask(word: number, { mask, test, k }: WordTest, holds: Decisions, fails: Decisions): Decisions {
    const key = `${word},${mask},${test},${k},${holds.id},${fails.id}`;
    const found = this.#known.get(key);
    if (found !== undefined) return found;
    const bits = test === "any-bit" ? (mask & k) >>> 0 : mask;
    const [a, b] = [looksAtOf(holds), looksAtOf(fails)];
    const looksAt = a.map((one, index) => (one | (b[index] ?? 0) | (index === word ? bits : 0)) >>> 0);
    const made: Question = {
      kind: "question",
      id: this.#count++,
      word,
      mask,
      test,
      k,
      holds,
      fails,
      looksAt,
    };
    this.#known.set(key, made);
    return made;
  }
}
