/**
 * How two policies, filters or stacks differ: call by call and condition by condition, each with a call that shows
 * it, confirmed by emulating the filters and reading the rules for that one call.
 */
import { strictness } from "../bpf/index.ts";
import { firstNegativeNumber, firstX32Number } from "../policy/resolved.ts";
import type { Action } from "../policy/types.ts";
import { type Abi, type AbiName, abis, syscallsOf } from "../syscalls/index.ts";
import { alternativesOf, negationOf, TellingLimit, TooManyConditions } from "./conditions.ts";
import { DecisionMaker } from "./decisions.ts";
import { type Diagram, none, TooManyNodes } from "./diagram.ts";
import { compareStacks } from "./equality.ts";
import { UnreadableFilter } from "./filter.ts";
import { actionOfReturnValue, effectOf } from "./meaning.ts";
import { type Partition, Partitions } from "./partition.ts";
import {
  answerOfSide,
  type Comparable,
  decisionsOfSide,
  partitionOfSide,
  type Side,
  sideOf,
} from "./side.ts";
import { tellCondition } from "./told.ts";
import { abiOfCall, writtenCall } from "./written-call.ts";

/** Calls that the two sides answer differently, all in the same way. */
export interface Difference {
  /** Undefined where no known ABI has the architecture. */
  readonly abi: AbiName | undefined;
  /** The call; undefined for numbers that no call has. */
  readonly syscall: string | undefined;
  /** The numbers that it is about, both ends included. */
  readonly numbers: { readonly from: number; readonly to: number };
  /** In the words of the policy language; undefined where the arguments do not matter. */
  readonly condition: string | undefined;
  readonly before: Action;
  readonly after: Action;
  /** Whether the second side's answer is milder by the kernel's ranking. */
  readonly milder: boolean;
  readonly witness: DifferenceWitness;
}

/** A call on which they differ. */
export interface DifferenceWitness {
  readonly arch: number;
  readonly nr: number;
  /** The six argument registers. */
  readonly args: readonly bigint[];
  readonly instructionPointer: bigint;
  /** As a program would write it. */
  readonly call: string;
  /** What the sides return, as values of a filter. */
  readonly returnValues: readonly [number, number];
}

/** The comparison was too large to be finished: neither equal nor different. */
export class UndecidedError extends Error {
  override readonly name = "UndecidedError";
}

export interface DiffOptions {
  /** What `native` in a policy means; by default this machine's ABI. */
  readonly target?: AbiName;
}

/**
 * The differences between two policies, filters or stacks of filters (an array, the oldest first: the strictest
 * answer holds, and among equals the newest filter's). Empty where every call of every architecture is answered alike.
 * @throws UndecidedError where that could not be found out; TypeError for a policy or filter with mistakes
 */
export function diff(a: Comparable, b: Comparable, options: DiffOptions = {}): readonly Difference[] {
  const [first, second] = [sideOf(a, options.target), sideOf(b, options.target)];
  try {
    return new Comparison(first, second).differences();
  } catch (error) {
    if (error instanceof UnreadableFilter) throw new UndecidedError(error.message);
    if (!(error instanceof TooManyNodes) && !(error instanceof TooManyConditions)) throw error;
    return oneDifference(first, second);
  }
}

/** Which of the calls that no table has are spoken of together: at most so many ranges. */
const mostRanges = 64;

class Comparison {
  readonly #sides: readonly [Side, Side];
  readonly #partitions = new Partitions();
  readonly #limit = new TellingLimit();
  readonly #pairs: [number, number][] = [];
  readonly #pairIndex = new Map<string, number>();

  constructor(first: Side, second: Side) {
    this.#sides = [first, second];
  }

  differences(): readonly Difference[] {
    const maker = new DecisionMaker();
    const [first, second] = this.#sides.map((side) => partitionOfSide(side, maker, this.#partitions));
    if (first === undefined || second === undefined || first === second) return [];
    const both = this.#partitions.combine(first, second, (before, after) => this.#pair(before, after));
    const found: Difference[] = [];
    for (const abi of abis) {
      const numbers = this.#partitions.at(both, 1, abi.arch);
      found.push(...this.#knownCalls(abi, numbers), ...this.#otherNumbers(abi, numbers));
    }
    return [...found, ...this.#otherArchitectures(both)];
  }

  #pair(before: number, after: number): number {
    const key = `${before},${after}`;
    let index = this.#pairIndex.get(key);
    if (index === undefined) {
      index = this.#pairs.length;
      this.#pairs.push([before, after]);
      this.#pairIndex.set(key, index);
    }
    return index;
  }

  #knownCalls(abi: Abi, numbers: Partition): readonly Difference[] {
    return syscallsOf(abi.name).flatMap((call) => {
      const partition = this.#partitions.at(numbers, 0, call.nr);
      return this.#differencesAt(partition, abi, { from: call.nr, to: call.nr }, call.name);
    });
  }

  /** Numbers that the table does not know, range by range. */
  #otherNumbers(abi: Abi, numbers: Partition): readonly Difference[] {
    const { sets } = this.#partitions;
    const own = this.#numbersOf(abi);
    const known = sets.setOf(syscallsOf(abi.name).map(({ nr }) => nr));
    const others = sets.intersect(own, sets.complement(known));
    const parts =
      numbers.kind === "fork" && numbers.word === 0 ? numbers.parts : [{ set: own, rest: numbers }];
    return parts.flatMap(({ set, rest }) => {
      if (!this.#differs(rest)) return [];
      const ranges = sets.intervals(sets.intersect(set, others), mostRanges);
      if (ranges === undefined) throw new TooManyConditions();
      return ranges.flatMap(([from, to]) => this.#differencesAt(rest, abi, { from, to }, undefined));
    });
  }

  #numbersOf(abi: Abi): Diagram {
    const { sets } = this.#partitions;
    if (!abis.some((other) => other.arch === abi.arch && other.name === "x32")) return 1;
    const x32 = sets.interval(firstX32Number, firstNegativeNumber - 1);
    return abi.name === "x32" ? x32 : sets.complement(x32);
  }

  #otherArchitectures(both: Partition): readonly Difference[] {
    const { sets } = this.#partitions;
    const known = abis.reduce((set, { arch }) => sets.unite(set, sets.maskedEqual(0xffff_ffff, arch)), none);
    const parts = both.kind === "fork" && both.word === 1 ? both.parts : [{ set: 1, rest: both }];
    return parts.flatMap(({ set, rest }) => {
      const left = sets.intersect(set, sets.complement(known));
      if (left === none) return [];
      return this.#pairsIn(rest, left).flatMap(([before, after, words]): readonly Difference[] =>
        before === after
          ? []
          : [
              this.#difference(
                undefined,
                undefined,
                { from: 0, to: 0xffff_ffff },
                undefined,
                [before, after],
                words,
              ),
            ],
      );
    });
  }

  /** Every pair of answers, with words of a call of some of these architectures that gets it. */
  #pairsIn(
    partition: Partition,
    architectures: Diagram,
  ): readonly (readonly [number, number, readonly number[]])[] {
    const arch = this.#partitions.sets.member(architectures);
    return [...this.#partitions.ways(partition, architectures)].map(([index, known]) => {
      const [before, after] = this.#pairs[index] ?? [0, 0];
      return [before, after, wordsOf(new Map([[1, arch], ...known]))] as const;
    });
  }

  #differs(partition: Partition): boolean {
    return this.#partitions.valuesIn(partition).some((index) => {
      const [before, after] = this.#pairs[index] ?? [0, 0];
      return before !== after;
    });
  }

  #differencesAt(
    partition: Partition,
    abi: Abi,
    numbers: Difference["numbers"],
    syscall: string | undefined,
  ): readonly Difference[] {
    if (!this.#differs(partition)) return [];
    const call = syscallsOf(abi.name).find((one) => one.nr === numbers.from);
    const scope = { abi: abi.name, call, numbers, limit: this.#limit };
    const alternatives = alternativesOf(this.#partitions, partition, scope);
    return alternatives.flatMap(({ value, condition, alone, example }, index) => {
      const pair = this.#pairs[value] ?? [0, 0];
      if (pair[0] === pair[1]) return [];
      const words = wordsOf(new Map([[0, numbers.from], [1, abi.arch], ...example]));
      // The last holds where none before it does.
      const others = alternatives
        .slice(0, -1)
        .map((one) => one.condition)
        .filter((one) => one !== undefined);
      const [only] = others;
      const rest = others.length === 1 && only !== undefined ? only : { kind: "or" as const, items: others };
      const told = condition ?? (index > 0 ? negationOf(rest) : undefined);
      const texts = [told, alone].flatMap((one) => (one === undefined ? [] : [tellCondition(one)]));
      const text = texts.reduce<string | undefined>(
        (shortest, one) => (shortest !== undefined && shortest.length <= one.length ? shortest : one),
        undefined,
      );
      return [this.#difference(abi.name, syscall, numbers, text, pair, words)];
    });
  }

  #difference(
    abi: AbiName | undefined,
    syscall: string | undefined,
    numbers: Difference["numbers"],
    condition: string | undefined,
    [before, after]: readonly [number, number],
    words: readonly number[],
  ): Difference {
    const witness = witnessOf(this.#sides, words);
    const [shown, other] = witness.returnValues.map(effectOf);
    if (shown !== before || other !== after)
      throw new UndecidedError(
        "a difference could not be confirmed: this is a mistake in callgate, please report it",
      );
    const named = abi ?? "x86_64";
    return {
      abi,
      syscall,
      numbers,
      condition,
      before: actionOfReturnValue(before, named),
      after: actionOfReturnValue(after, named),
      milder: strictness(after) < strictness(before),
      witness,
    };
  }
}

/** All words of a call of which some are known. */
function wordsOf(known: ReadonlyMap<number, number>): readonly number[] {
  return Array.from({ length: 16 }, (_, word) => known.get(word) ?? 0);
}

function witnessOf(sides: readonly [Side, Side], words: readonly number[]): DifferenceWitness {
  const wide = (index: number): bigint => BigInt(words[index] ?? 0) | (BigInt(words[index + 1] ?? 0) << 32n);
  const [nr = 0, arch = 0] = words;
  const args = [4, 6, 8, 10, 12, 14].map(wide);
  return {
    arch,
    nr,
    args,
    instructionPointer: wide(2),
    call: writtenCall(arch, nr, args),
    returnValues: [answerOfSide(sides[0], words), answerOfSide(sides[1], words)],
  };
}

/** Where the differences are too many to be told apart: whether there is one at all, and one call. */
function oneDifference(first: Side, second: Side): readonly Difference[] {
  const maker = new DecisionMaker();
  const verdict = compareStacks(decisionsOfSide(first, maker), decisionsOfSide(second, maker));
  if (verdict.verdict === "undecided") throw new UndecidedError(verdict.reason);
  if (verdict.verdict === "equal") return [];
  const witness = witnessOf([first, second], verdict.words);
  const [before, after] = witness.returnValues;
  if (effectOf(before) === effectOf(after))
    throw new UndecidedError("the differences are too many to be told apart");
  const abi = abiOfCall(witness.arch, witness.nr);
  const call = abi === undefined ? undefined : syscallsOf(abi).find((one) => one.nr === witness.nr);
  return [
    {
      abi,
      syscall: call?.name,
      numbers: { from: witness.nr, to: witness.nr },
      condition: "under conditions too many to be listed",
      before: actionOfReturnValue(before, abi ?? "x86_64"),
      after: actionOfReturnValue(after, abi ?? "x86_64"),
      milder: strictness(after) < strictness(before),
      witness,
    },
  ];
}
