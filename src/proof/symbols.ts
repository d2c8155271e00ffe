/**
 * What the filter's machine can hold when it is run with symbols: a number, a word of the call under a mask, or
 * 32 bits of which each is a Boolean function of the call's bits. The first two are what most filters compute
 * with, and they are cheap; the third can express everything, at a price that is watched.
 *
 * The functions are binary decision diagrams over the bits of all words. Their order goes from the highest bit
 * of every word to the lowest: comparisons, sums and differences of two words stay small in it. Products of two
 * words do not, in any order: these exceed the budget, and the reader says so.
 */
import {
  ALU_ADD_K,
  ALU_AND_K,
  ALU_DIV_K,
  ALU_LSH_K,
  ALU_MUL_K,
  ALU_NEG,
  ALU_OR_K,
  ALU_RSH_K,
  ALU_SUB_K,
  ALU_XOR_K,
  JEQ_K,
  JGE_K,
  JGT_K,
} from "../bpf/index.ts";
import { all, type Diagram, Diagrams, none } from "./diagram.ts";
import type { Expression } from "./expressions.ts";

export type Value =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "word"; readonly word: number; readonly mask: number }
  /** From the lowest bit to the highest. */
  | { readonly kind: "bits"; readonly bits: readonly Diagram[] };

/** One bit of one word of the call. */
export interface CallBit {
  readonly word: number;
  readonly bit: number;
}

const words = 16;
const registerBits = 32;
/** A tenth of a second or two; filters that are in use need fewer than 3,000. */
const mostNodes = 100_000;

export const zero: Value = { kind: "number", value: 0 };

export function number(value: number): Value {
  return { kind: "number", value: value >>> 0 };
}

/** Two values with one key are the same. */
export function keyOfValue(value: Value): string {
  switch (value.kind) {
    case "number":
      return `${value.value}`;
    case "word":
      return `w${value.word}&${value.mask}`;
    case "bits":
      return `b${value.bits.join(".")}`;
  }
}

/** Computes with values. A register has 32 bits, whatever the width of the call's words. */
export class Symbols {
  readonly #width: number;
  readonly #ones: number;
  readonly #diagrams: Diagrams;
  /** How values of bits were computed, by their keys. */
  readonly #expressions = new Map<string, Expression>();

  /**
   * @param width the bits of the call's words: 32, or fewer where all values are to be enumerated by a test
   * @param most so many nodes may be made; beyond, TooManyNodes is thrown
   */
  constructor(width = 32, most = mostNodes) {
    this.#width = width;
    this.#ones = 0xffff_ffff >>> (32 - width);
    this.#diagrams = new Diagrams(width * words, most);
  }

  /** The nodes of all diagrams so far: a measure of how hard the values are. */
  get size(): number {
    return this.#diagrams.size;
  }

  word(word: number): Value {
    return { kind: "word", word, mask: this.#ones };
  }

  /** The result of an arithmetic instruction, given by its code with a constant operand (`ALU_ADD_K` for both). */
  operate(code: number, a: Value, operand: Value): Value {
    const result = this.#result(code, a, operand);
    if (result.kind === "bits") {
      const key = keyOfValue(result);
      if (!this.#expressions.has(key)) {
        const [left, right] = [this.expressionOf(a), this.expressionOf(operand)];
        this.#expressions.set(key, { kind: "operation", code, left, right });
      }
    }
    return result;
  }

  /** How the value was computed. */
  expressionOf(value: Value): Expression {
    return value.kind === "bits" ? (this.#expressions.get(keyOfValue(value)) ?? { kind: "unknown" }) : value;
  }

  #result(code: number, a: Value, operand: Value): Value {
    if (a.kind === "number" && operand.kind === "number")
      return number(compute(code, a.value, operand.value));
    if (code === ALU_AND_K) {
      const [word, mask] = a.kind === "number" ? [operand, a] : [a, operand];
      if (word.kind === "word" && mask.kind === "number")
        return this.#settled({ ...word, mask: (word.mask & mask.value) >>> 0 });
    }
    const left = this.bitsOf(a);
    if (operand.kind === "number") {
      const k = operand.value;
      if (code === ALU_LSH_K) return this.#ofBits(shiftUp(left, k & 31));
      if (code === ALU_RSH_K) return this.#ofBits(shiftDown(left, k & 31));
      const power = powerOfTwo(k);
      if (code === ALU_DIV_K && power !== undefined) return this.#ofBits(shiftDown(left, power));
    }
    return this.#ofBits(this.#compute(code, left, this.bitsOf(operand)));
  }

  /** Whether a test holds, given by its code with a constant operand: known, or a set of calls. */
  test(code: number, a: Value, operand: Value): boolean | Diagram {
    if (a.kind === "number" && operand.kind === "number") return testHolds(code, a.value, operand.value);
    const [left, right] = [this.bitsOf(a), this.bitsOf(operand)];
    const result = this.#test(code, left, right);
    return result === none ? false : result === all ? true : result;
  }

  /** The set of calls for which a value is 0. */
  isZero(value: Value): boolean | Diagram {
    return this.test(JEQ_K, value, zero);
  }

  bitsOf(value: Value): readonly Diagram[] {
    if (value.kind === "bits") return value.bits;
    return Array.from({ length: registerBits }, (_, bit) => {
      if (value.kind === "number") return (value.value >>> bit) & 1 ? all : none;
      return (value.mask >>> bit) & 1 ? this.#variable(value.word, bit) : none;
    });
  }

  /** Which bit of the call a set of calls asks for first, and what follows from it. */
  top(calls: Diagram): { readonly asks: CallBit; readonly zero: Diagram; readonly one: Diagram } | undefined {
    const found = this.#diagrams.top(calls);
    if (found === undefined) return undefined;
    return { asks: this.#bitAt(found.level), zero: found.zero, one: found.one };
  }

  /** A bit that a value depends on, and the value for either of its values; undefined for a number. */
  split(value: Value): { readonly asks: CallBit; readonly zero: Value; readonly one: Value } | undefined {
    if (value.kind === "number") return undefined;
    const tops = this.bitsOf(value).map((bit) => ({ bit, top: this.#diagrams.top(bit) }));
    const level = Math.min(...tops.map(({ top }) => top?.level ?? Number.POSITIVE_INFINITY));
    if (level === Number.POSITIVE_INFINITY) return undefined;
    const branch = (which: "zero" | "one"): Value =>
      this.#ofBits(tops.map(({ bit, top }) => (top?.level === level ? top[which] : bit)));
    return { asks: this.#bitAt(level), zero: branch("zero"), one: branch("one") };
  }

  /** The words of the call that a value depends on. */
  wordsOf(value: Value): ReadonlySet<number> {
    if (value.kind === "number") return new Set();
    return value.kind === "word" ? new Set([value.word]) : this.wordsIn(value.bits);
  }

  /** The words of the call that sets of calls ask about. */
  wordsIn(calls: readonly Diagram[]): ReadonlySet<number> {
    const found = new Set<number>();
    const seen = new Set<Diagram>();
    const stack = [...calls];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const top = seen.has(at) ? undefined : this.#diagrams.top(at);
      seen.add(at);
      if (top === undefined) continue;
      found.add(this.#bitAt(top.level).word);
      stack.push(top.zero, top.one);
    }
    return found;
  }

  /** The value where a word of the call is known. */
  substitute(value: Value, word: number, known: number): Value {
    if (value.kind === "number") return value;
    if (value.kind === "word") return value.word === word ? number(value.mask & known) : value;
    const results = new Map<Diagram, Diagram>();
    return this.#ofBits(value.bits.map((bit) => this.given(bit, word, known, results)));
  }

  /** The set of calls where a word of the call is known. */
  given(calls: Diagram, word: number, known: number, results: Map<Diagram, Diagram> = new Map()): Diagram {
    const walk = (node: Diagram): Diagram => {
      const top = this.#diagrams.top(node);
      if (top === undefined) return node;
      const found = results.get(node);
      if (found !== undefined) return found;
      const asks = this.#bitAt(top.level);
      const made =
        asks.word === word
          ? walk((known >>> asks.bit) & 1 ? top.one : top.zero)
          : this.#choose(this.#diagrams.variable(top.level), walk(top.one), walk(top.zero));
      results.set(node, made);
      return made;
    };
    return walk(calls);
  }

  /** A set of calls that others know. */
  imported(from: Symbols, calls: Diagram): Diagram {
    return this.#rebuilt(calls, (node) => {
      const top = from.top(node);
      return top && { ...top, variable: this.#variable(top.asks.word, top.asks.bit) };
    });
  }

  /** The calls of which a word is in a set of values. */
  ofSet(word: number, sets: Diagrams, set: Diagram): Diagram {
    return this.#rebuilt(set, (node) => {
      const top = sets.top(node);
      return top && { ...top, variable: this.#variable(word, sets.width - 1 - top.level) };
    });
  }

  /** Of one of the calls the words that are asked about; the set is not empty. */
  member(calls: Diagram): ReadonlyMap<number, number> {
    const found = new Map<number, number>();
    for (let node = calls, top = this.top(node); top !== undefined; top = this.top(node)) {
      const { word, bit } = top.asks;
      const isOne = top.zero === none;
      found.set(word, ((found.get(word) ?? 0) | (isOne ? 1 << bit : 0)) >>> 0);
      node = isOne ? top.one : top.zero;
    }
    return found;
  }

  #rebuilt(
    start: Diagram,
    topOf: (
      node: Diagram,
    ) => { readonly variable: Diagram; readonly zero: Diagram; readonly one: Diagram } | undefined,
  ): Diagram {
    const known = new Map<Diagram, Diagram>();
    const walk = (node: Diagram): Diagram => {
      const found = known.get(node);
      if (found !== undefined) return found;
      const top = topOf(node);
      if (top === undefined) return node;
      const made = this.#choose(top.variable, walk(top.one), walk(top.zero));
      known.set(node, made);
      return made;
    };
    return walk(start);
  }

  #variable(word: number, bit: number): Diagram {
    return bit >= this.#width ? none : this.#diagrams.variable((this.#width - 1 - bit) * words + word);
  }

  #bitAt(level: number): CallBit {
    return { word: level % words, bit: this.#width - 1 - Math.floor(level / words) };
  }

  /** The simplest form, so that equal values have equal keys. */
  #ofBits(bits: readonly Diagram[]): Value {
    if (bits.every((bit) => bit === none || bit === all))
      return number(bits.reduce((value, bit, index) => value | (bit === all ? 1 << index : 0), 0));
    const first = bits.find((bit) => bit !== none && bit !== all);
    const top = first === undefined ? undefined : this.top(first);
    if (top === undefined) return { kind: "bits", bits };
    const { word } = top.asks;
    const isPlain = bits.every((bit, index) => bit === none || bit === this.#variable(word, index));
    if (!isPlain) return { kind: "bits", bits };
    return {
      kind: "word",
      word,
      mask: bits.reduce((mask, bit, at) => mask | (bit === none ? 0 : 1 << at), 0) >>> 0,
    };
  }

  #settled(value: Extract<Value, { kind: "word" }>): Value {
    return value.mask === 0 ? zero : value;
  }

  #compute(code: number, a: readonly Diagram[], b: readonly Diagram[]): readonly Diagram[] {
    switch (code) {
      case ALU_ADD_K:
        return this.#add(a, b, none).sum;
      case ALU_SUB_K:
        return this.#subtract(a, b).difference;
      case ALU_NEG:
        return this.#subtract(this.bitsOf(zero), a).difference;
      case ALU_MUL_K:
        return this.#multiply(a, b);
      case ALU_DIV_K:
        return this.#divide(a, b);
      case ALU_OR_K:
        return a.map((bit, index) => this.or(bit, b[index] ?? none));
      case ALU_AND_K:
        return a.map((bit, index) => this.and(bit, b[index] ?? none));
      case ALU_XOR_K:
        return a.map((bit, index) => this.#xor(bit, b[index] ?? none));
      case ALU_LSH_K:
        return this.#shiftBy(a, b, shiftUp);
      case ALU_RSH_K:
        return this.#shiftBy(a, b, shiftDown);
      default:
        throw new RangeError(`0x${code.toString(16)} is no arithmetic instruction`);
    }
  }

  #test(code: number, a: readonly Diagram[], b: readonly Diagram[]): Diagram {
    switch (code) {
      case JEQ_K:
        return a.reduce(
          (equal, bit, index) => this.and(equal, this.not(this.#xor(bit, b[index] ?? none))),
          all,
        );
      case JGE_K:
        return this.not(this.#isLess(a, b));
      case JGT_K:
        return this.#isLess(b, a);
      default:
        return a.reduce((any, bit, index) => this.or(any, this.and(bit, b[index] ?? none)), none);
    }
  }

  #isLess(a: readonly Diagram[], b: readonly Diagram[]): Diagram {
    // From the lowest bit up: a higher bit that differs decides alone.
    return a.reduce((less, bit, index) => {
      const other = b[index] ?? none;
      return this.#choose(this.#xor(bit, other), other, less);
    }, none);
  }

  #add(
    a: readonly Diagram[],
    b: readonly Diagram[],
    carryIn: Diagram,
  ): { readonly sum: readonly Diagram[]; readonly carry: Diagram } {
    let carry = carryIn;
    const sum = a.map((bit, index) => {
      const other = b[index] ?? none;
      const half = this.#xor(bit, other);
      const result = this.#xor(half, carry);
      carry = this.#choose(half, carry, bit);
      return result;
    });
    return { sum, carry };
  }

  /** The difference, and the calls for which nothing had to be borrowed: a >= b. */
  #subtract(
    a: readonly Diagram[],
    b: readonly Diagram[],
  ): { readonly difference: readonly Diagram[]; readonly fits: Diagram } {
    const { sum, carry } = this.#add(
      a,
      b.map((bit) => this.not(bit)),
      all,
    );
    return { difference: sum, fits: carry };
  }

  #multiply(a: readonly Diagram[], b: readonly Diagram[]): readonly Diagram[] {
    // The side with fewer bits that may be set says which multiples are added.
    const weight = (bits: readonly Diagram[]): number => bits.filter((bit) => bit !== none).length;
    const [many, few] = weight(a) < weight(b) ? [b, a] : [a, b];
    return few.reduce((sum, bit, index) => {
      if (bit === none) return sum;
      const multiple = shiftUp(many, index).map((one) => this.and(one, bit));
      return this.#add(sum, multiple, none).sum;
    }, this.bitsOf(zero));
  }

  /** Long division; what it says of a divisor of 0 does not matter, since the filter has ended then. */
  #divide(a: readonly Diagram[], b: readonly Diagram[]): readonly Diagram[] {
    const wide = [...b, none];
    let rest: readonly Diagram[] = new Array<Diagram>(registerBits + 1).fill(none);
    const quotient: Diagram[] = [];
    for (const bit of [...a].reverse()) {
      rest = [bit, ...rest.slice(0, -1)];
      const { difference, fits } = this.#subtract(rest, wide);
      rest = rest.map((one, index) => this.#choose(fits, difference[index] ?? none, one));
      quotient.unshift(fits);
    }
    return quotient;
  }

  /** A shift whose distance is not known: by 1, 2, 4, 8 and 16 where the operand has that bit. */
  #shiftBy(
    a: readonly Diagram[],
    b: readonly Diagram[],
    shift: (bits: readonly Diagram[], by: number) => readonly Diagram[],
  ): readonly Diagram[] {
    return b.slice(0, 5).reduce((bits, whether, index) => {
      const shifted = shift(bits, 1 << index);
      return bits.map((bit, at) => this.#choose(whether, shifted[at] ?? none, bit));
    }, a);
  }

  and(a: Diagram, b: Diagram): Diagram {
    return this.#diagrams.intersect(a, b);
  }

  or(a: Diagram, b: Diagram): Diagram {
    return this.#diagrams.unite(a, b);
  }

  not(a: Diagram): Diagram {
    return this.#diagrams.complement(a);
  }

  #xor(a: Diagram, b: Diagram): Diagram {
    if (a === none) return b;
    if (b === none) return a;
    return this.#choose(a, this.not(b), b);
  }

  #choose(whether: Diagram, holds: Diagram, fails: Diagram): Diagram {
    if (holds === fails) return holds;
    return this.or(this.and(whether, holds), this.and(this.not(whether), fails));
  }
}

function shiftUp(bits: readonly Diagram[], by: number): readonly Diagram[] {
  return bits.map((_, index) => bits[index - by] ?? none);
}

function shiftDown(bits: readonly Diagram[], by: number): readonly Diagram[] {
  return bits.map((_, index) => bits[index + by] ?? none);
}

function powerOfTwo(value: number): number | undefined {
  const power = 31 - Math.clz32(value);
  return value !== 0 && (1 << power) >>> 0 === value ? power : undefined;
}

/** On numbers; a divisor of 0 is the reader's to see. */
function compute(code: number, a: number, b: number): number {
  switch (code) {
    case ALU_ADD_K:
      return a + b;
    case ALU_SUB_K:
      return a - b;
    case ALU_NEG:
      return -a;
    case ALU_MUL_K:
      return Math.imul(a, b);
    case ALU_DIV_K:
      return Math.floor(a / b);
    case ALU_OR_K:
      return a | b;
    case ALU_AND_K:
      return a & b;
    case ALU_XOR_K:
      return a ^ b;
    case ALU_LSH_K:
      return a << (b & 31);
    case ALU_RSH_K:
      return a >>> (b & 31);
    default:
      throw new RangeError(`0x${code.toString(16)} is no arithmetic instruction`);
  }
}

function testHolds(code: number, a: number, b: number): boolean {
  if (code === JEQ_K) return a === b;
  if (code === JGT_K) return a > b;
  if (code === JGE_K) return a >= b;
  return (a & b) !== 0;
}
