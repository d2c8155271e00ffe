/**
 * What a partition says of one call, as conditions of the policy language: values with names, ranges and masks;
 * `args[N]` only where the words that are compared are not the argument as the kernel reads it.
 */
import { printCondition } from "../policy/printer.ts";
import type { Condition, Operand, Test, ToldCondition, Value, ValueRange } from "../policy/types.ts";
import {
  type AbiName,
  type Argument,
  constantValue,
  type KnownArguments,
  namedValues,
  namesOfValue,
  namesWithin,
  type Syscall,
} from "../syscalls/index.ts";
import { cubesOf } from "./cubes.ts";
import { all, type Diagram, type Diagrams, none } from "./diagram.ts";
import { writtenComparison } from "./expressions.ts";
import { type Fork, type Partition, type Partitions, relatesOf } from "./partition.ts";
import { firstRelation, type Relations } from "./relations.ts";

/** One outcome of a call: where the condition holds and none before it did, this value. */
export interface Alternative {
  readonly value: number;
  /** Undefined for the last: whatever is left. */
  readonly condition: ToldCondition | undefined;
  /** What holds for the last by itself, for who does not tell the others; undefined where that is every call. */
  readonly alone?: ToldCondition | undefined;
  /** Values of words, of a call that has this outcome. */
  readonly example: ReadonlyMap<number, number>;
}

/** The call whose arguments are spoken of. */
export interface Scope {
  readonly abi: AbiName;
  readonly call: Syscall | undefined;
  /** The numbers that are spoken of. */
  readonly numbers?: { readonly from: number; readonly to: number };
  /** What may still be told of the filter that the call is a part of. */
  readonly limit: TellingLimit;
}

/** How much is told of one filter in all: whoever made it to be hard can put hundreds of conditions on each call. */
export class TellingLimit {
  #left: number;

  /** @param left of ways through a call's partition, and of masked comparisons */
  constructor(left = 200_000) {
    this.#left = left;
  }

  /** @throws TooManyConditions */
  spend(): void {
    if (this.#left === 0) throw new TooManyConditions();
    this.#left -= 1;
  }
}

/** A condition that would need more items than anybody would read. */
export class TooManyConditions extends Error {}

const mostIntervals = 64;
const mostCubes = 512;
const mostBranches = 512;
const longestList = 4n;
/** Of a value with more bits than this that have no name, none is named. */
const mostUnnamed = 1;
/** Of more values of an argument than this nothing is concluded for the names of another's. */
const mostKnownValues = 8;
const halfBits = 32n;
const halfOnes = 0xffff_ffffn;

/** The outcomes of a call whose architecture and number are known, the one with the most cases last. */
export function alternativesOf(
  partitions: Partitions,
  partition: Partition,
  scope: Scope,
): readonly Alternative[] {
  const writer = new ConditionWriter(partitions, scope);
  const byValue = new Map<number, Branch[]>();
  for (const branch of writer.allBranches(partition)) {
    const list = byValue.get(branch.value) ?? [];
    list.push(branch);
    byValue.set(branch.value, list);
  }
  const widest = writer.widest(partition);
  // With relations, some ways are none that a call can take.
  const last = byValue.has(widest) ? widest : [...byValue.keys()].at(-1);
  if (last === undefined) throw new Error("a call is answered");
  const found: Alternative[] = [];
  for (const [value, branches] of byValue) {
    if (value === last) continue;
    const conditions = branches.map((one) => one.condition).filter((one) => one !== undefined);
    const [example] = branches;
    if (example !== undefined)
      found.push({ value, condition: eitherOf(conditions), example: example.example });
  }
  const left = byValue.get(last) ?? [];
  const [rest] = left;
  const own = left.map((one) => one.condition).filter((one) => one !== undefined);
  const alone = own.length === 0 || own.length < left.length ? undefined : eitherOf(own);
  return [...found, { value: last, condition: undefined, alone, example: rest?.example ?? new Map() }];
}

/** With more outcomes than this no orders are tried. */
const mostOrdered = 4;

/**
 * The same for readers that go from top to bottom: each condition may hold for calls of an earlier one too, where that
 * takes fewer tests. Where one value is let pass and all its neighbours are not, the value is said first, and the
 * neighbours then without the exception.
 */
export function orderedAlternativesOf(
  partitions: Partitions,
  partition: Partition,
  scope: Scope,
): readonly Alternative[] {
  const apart = alternativesOf(partitions, partition, scope);
  if (apart.length < 3 || apart.length > mostOrdered || relatesOf(partition) !== 0) return apart;
  const ordered = shortestOrder(partitions, partition, scope);
  const examples = new Map(apart.map(({ value, example }) => [value, example]));
  return testsIn(ordered) < testsIn(apart)
    ? ordered.map((one) => ({ ...one, example: examples.get(one.value) ?? one.example }))
    : apart;
}

/** Each outcome is tried as the first; its calls then count as those of one of the others, each of them in turn. */
function shortestOrder(partitions: Partitions, partition: Partition, scope: Scope): readonly Alternative[] {
  const apart = alternativesOf(partitions, partition, scope);
  if (apart.length < 3) return apart;
  let shortest = apart;
  for (const first of apart) {
    if (first.condition === undefined) continue;
    for (const other of apart) {
      if (other === first) continue;
      const covered = partitions.replaced(partition, first.value, other.value);
      const order = [first, ...shortestOrder(partitions, covered, scope)];
      if (isShorter(order, shortest)) shortest = order;
    }
  }
  return shortest;
}

/** Fewer tests, values of a list counted, or the same in fewer letters. */
function isShorter(one: readonly Alternative[], other: readonly Alternative[]): boolean {
  const fewer = testsIn(one) - testsIn(other);
  return fewer < 0 || (fewer === 0 && textOf(one).length < textOf(other).length);
}

function testsIn(alternatives: readonly Alternative[]): number {
  return textOf(alternatives).split(/ && | \|\| |, |\n/).length;
}

function textOf(alternatives: readonly Alternative[]): string {
  return alternatives
    .flatMap(({ condition }) => (condition === undefined ? [] : [printCondition(condition)]))
    .join("\n");
}

interface Branch {
  readonly value: number;
  readonly condition: ToldCondition | undefined;
  readonly example: ReadonlyMap<number, number>;
}

/** What is compared: one half of an argument or both, and the values that lead on. */
interface Cell {
  readonly high: Diagram;
  readonly low: Diagram;
  readonly rest: Partition;
}

class ConditionWriter {
  readonly #sets: Diagrams;
  readonly #relations: Relations;
  readonly #scope: Scope;
  #count = 0;

  constructor({ sets, relations }: Partitions, scope: Scope) {
    this.#sets = sets;
    this.#relations = relations;
    this.#scope = scope;
  }

  /** Every way through the partition that a call can take; each condition holds for its own way alone. */
  allBranches(partition: Partition): readonly Branch[] {
    const { numbers } = this.#scope;
    const isOfNumber = numbers !== undefined && (relatesOf(partition) & 1) !== 0;
    const calls = isOfNumber
      ? this.#relations.callsIn(0, this.#sets, this.#sets.interval(numbers.from, numbers.to))
      : all;
    if (partition.kind === "fork" && partition.relates === 0 && this.#waysThrough(partition) > mostBranches)
      throw new TooManyConditions();
    return this.#branches(partition, calls, new Map());
  }

  /** How many ways there are, told apart by what they lead to: far quicker counted than told. */
  #waysThrough(partition: Fork): number {
    const known = new Map<Partition, number>();
    const count = (one: Partition): number => {
      if (one.kind === "leaf") return 1;
      const found = known.get(one);
      if (found !== undefined) return found;
      const rests = new Set(this.#cells(one).cells.map(({ rest }) => rest));
      const made = [...rests].reduce((sum, rest) => sum + count(rest), 0);
      known.set(one, made);
      return made;
    };
    return count(partition);
  }

  /**
   * @param calls those that come here, where relations have a say in it
   * @param known what their arguments are, as far as that is few values
   */
  #branches(partition: Partition, calls: Diagram, known: KnownArguments): readonly Branch[] {
    if (partition.kind === "leaf") {
      const example = calls === all ? new Map<number, number>() : this.#relations.member(calls);
      return [{ value: partition.value, condition: undefined, example }];
    }
    if (partition.word >= firstRelation) return this.#outcomes(partition, calls, known);
    const { low, cells } = this.#cells(partition);
    const groups = new Map<Partition, Cell[]>();
    for (const cell of cells) groups.set(cell.rest, [...(groups.get(cell.rest) ?? []), cell]);
    return [...groups].flatMap(([rest, group]) => {
      // Only where words are compared with each other, a way can be one that no call takes.
      const within = partition.relates === 0 && calls === all ? all : this.#within(calls, low, group);
      if (within === none) return [];
      this.#countBranch();
      const here = this.#conditionOf(low, group, known);
      const [cell] = group;
      const values = new Map<number, number>();
      if (within === all && cell !== undefined) {
        if (cell.high !== all) values.set(low + 1, this.#sets.member(cell.high));
        if (cell.low !== all) values.set(low, this.#sets.member(cell.low));
      }
      return this.#branches(rest, within, this.#knownWith(known, low, group)).map(
        ({ value, condition, example }) => ({
          value,
          condition: allOf([here, condition]),
          example: new Map([...values, ...example]),
        }),
      );
    });
  }

  /** Both outcomes of a relation, as far as some call has them. */
  #outcomes(fork: Fork, calls: Diagram, known: KnownArguments): readonly Branch[] {
    const { comparison } = this.#relations.relation(fork.word);
    const told = writtenComparison(comparison, this.#scope.call);
    return fork.parts.flatMap(({ set, rest }) => {
      const holds = this.#sets.has(set, 1);
      const within = this.#relations.both(calls, this.#relations.callsWhere(fork.word, holds));
      if (within === none) return [];
      this.#countBranch();
      const here: ToldCondition = holds
        ? { kind: "words", ...told }
        : { kind: "words", words: told.opposite, opposite: told.words };
      return this.#branches(rest, within, known).map((one) => ({
        ...one,
        condition: allOf([here, one.condition]),
      }));
    });
  }

  /** The calls that have the values of one of the cells. */
  #within(calls: Diagram, low: number, cells: readonly Cell[]): Diagram {
    const some = cells.map((cell) =>
      this.#relations.both(
        this.#relations.callsIn(low + 1, this.#sets, cell.high),
        this.#relations.callsIn(low, this.#sets, cell.low),
      ),
    );
    return this.#relations.both(
      calls,
      some.reduce((united, one) => this.#relations.either(united, one), none),
    );
  }

  #countBranch(): void {
    this.#count += 1;
    if (this.#count > mostBranches) throw new TooManyConditions();
    this.#scope.limit.spend();
  }

  /** The value that most calls get: the one that is best said last. */
  widest(partition: Partition): number {
    const known = new Map<Partition, ReadonlyMap<number, number>>();
    /** Which part of its calls gets which value. */
    const sharesIn = (one: Partition): ReadonlyMap<number, number> => {
      if (one.kind === "leaf") return new Map([[one.value, 1]]);
      const found = known.get(one);
      if (found !== undefined) return found;
      const made = new Map<number, number>();
      for (const { set, rest } of one.parts) {
        const part = this.#sets.count(set) / 2 ** 32;
        for (const [value, share] of sharesIn(rest)) made.set(value, (made.get(value) ?? 0) + part * share);
      }
      known.set(one, made);
      return made;
    };
    const [[value] = [0]] = [...sharesIn(partition)].sort(([, a], [, b]) => b - a);
    return value;
  }

  /** The values of both halves of the first argument that is asked about. */
  #cells(fork: Fork): { readonly low: number; readonly cells: readonly Cell[] } {
    const isHigh = fork.word % 2 === 1;
    const low = isHigh ? fork.word - 1 : fork.word;
    if (!isHigh) return { low, cells: fork.parts.map(({ set, rest }) => ({ high: all, low: set, rest })) };
    const cells = fork.parts.flatMap(({ set, rest }) =>
      rest.kind === "fork" && rest.word === low
        ? rest.parts.map((part) => ({ high: set, low: part.set, rest: part.rest }))
        : [{ high: set, low: all, rest }],
    );
    return { low, cells };
  }

  /** With what these values say of an argument, which others may be named by. */
  #knownWith(known: KnownArguments, low: number, cells: readonly Cell[]): KnownArguments {
    const argument = this.#argumentAt(low);
    const lows = cells.reduce((set, cell) => this.#sets.unite(set, cell.low), none);
    if (argument === undefined || this.#sets.count(lows) > mostKnownValues) return known;
    const values = (this.#sets.intervals(lows, mostKnownValues) ?? []).flatMap(([from, to]) =>
      Array.from({ length: to - from + 1 }, (_, index) => BigInt(from + index)),
    );
    return new Map([...known, [argument.name, values]]);
  }

  #argumentAt(low: number): Argument | undefined {
    const index = (low - 4) >> 1;
    return this.#scope.call?.args?.find((one) => one.place.kind === "word" && one.place.index === index);
  }

  #conditionOf(low: number, cells: readonly Cell[], known: KnownArguments): Condition {
    const part = this.#ofPart(low, cells, known);
    if (part !== undefined) return part;
    const field = this.#fieldOf(low, cells, known);
    const tests = this.#testsOf(cells, field);
    if (tests === undefined) return this.#inParts(low, cells, field, known);
    return this.#written(tests, field);
  }

  /** Where only the bits count that are one thing together: `(type & SOCK_TYPE_MASK) == SOCK_RAW`. */
  #ofPart(low: number, cells: readonly Cell[], known: KnownArguments): Condition | undefined {
    const { abi, call } = this.#scope;
    const argument = this.#argumentAt(low);
    if (call === undefined || argument === undefined || cells.some(({ high }) => high !== all))
      return undefined;
    const part = namedValues(abi, call.name, argument.name, known)?.part;
    const mask = part === undefined ? undefined : constantValue(abi, part.mask);
    if (part === undefined || mask === undefined || mask >> BigInt(argument.width) !== 0n) return undefined;
    const set = cells.reduce((united, cell) => this.#sets.unite(united, cell.low), none);
    const sides: { readonly inside: Value[]; readonly outside: Value[] } = { inside: [], outside: [] };
    const unnamed = { inside: false, outside: false };
    // Every value within the mask, from the largest on.
    for (let value = mask, isLast = false; !isLast; value = (value - 1n) & mask) {
      isLast = value === 0n;
      const calls = this.#sets.maskedEqual(Number(mask), Number(value));
      const within = this.#sets.intersect(set, calls);
      if (within !== none && within !== calls) return undefined;
      const side = within === none ? "outside" : "inside";
      const [name] = namesOfValue(abi, { names: part.names, flags: false }, value) ?? [];
      unnamed[side] ||= name === undefined && value !== 0n;
      sides[side].unshift(name === undefined ? { kind: "integer", value } : { kind: "constant", name });
    }
    const negated = unnamed.inside || (!unnamed.outside && sides.outside.length < sides.inside.length);
    if (negated && unnamed.outside) return undefined;
    const values = negated ? sides.outside : sides.inside;
    const [only] = values;
    const test: Test =
      values.length === 1 && only !== undefined
        ? { kind: "compare", operator: negated ? "!=" : "==", value: only }
        : { kind: "in", negated, items: values.map((value) => ({ low: value, high: value })) };
    const word = { kind: "argument", name: argument.name } as const;
    return { kind: "test", operand: { word, mask: { kind: "constant", name: part.mask } }, test };
  }

  /** What no tests of the whole say: cell by cell, the high half and the low one, each by masks. */
  #inParts(low: number, cells: readonly Cell[], field: WrittenField, known: KnownArguments): Condition {
    const [cell, ...others] = cells;
    if (cell === undefined) throw new Error("a condition is about some values");
    if (others.length > 0) return eitherOf(cells.map((one) => this.#conditionOf(low, [one], known)));
    const { high, low: lowSet, rest } = cell;
    if (high !== all && lowSet !== all) {
      const condition = allOf([
        this.#conditionOf(low, [{ high, low: all, rest }], known),
        this.#conditionOf(low, [{ high: all, low: lowSet, rest }], known),
      ]);
      if (condition === undefined) throw new Error("both halves are asked about");
      return condition;
    }
    const inverse = this.#complement(cells);
    const direct = this.#asCubes(cells, field);
    const opposite = inverse === undefined ? undefined : this.#asCubes(inverse, field);
    if (opposite !== undefined && opposite.length < (direct?.length ?? mostCubes + 1))
      return negationOf(this.#written(opposite, field));
    if (direct === undefined) throw new TooManyConditions();
    return this.#written(direct, field);
  }

  #written(tests: readonly WrittenTest[], field: WrittenField): Condition {
    const operand = (mask: bigint | undefined): Operand => ({
      word: field.word,
      ...(mask === undefined && field.mask === undefined
        ? {}
        : { mask: this.#write(field, mask ?? field.mask ?? 0n, true) }),
    });
    const items = tests.map(({ mask, test }): Condition => ({ kind: "test", operand: operand(mask), test }));
    return eitherOf(items);
  }

  #fieldOf(low: number, cells: readonly Cell[], known: KnownArguments): WrittenField {
    const index = (low - 4) >> 1;
    const argument = this.#argumentAt(low);
    const [high] = cells;
    const asksHigh = cells.some((cell) => cell.high !== all);
    const asksLow = cells.some((cell) => cell.low !== all);
    const values =
      this.#scope.call === undefined || argument === undefined
        ? undefined
        : namedValues(this.#scope.abi, this.#scope.call.name, argument.name, known);
    const names = values === undefined ? {} : { values };
    if (low < 4) {
      const ip = { word: { kind: "ip" } as const, signed: false, ...names };
      return asksHigh ? { ...ip, bits: 64n } : { ...ip, bits: 32n, mask: halfOnes };
    }
    const isWhole = argument !== undefined && argument.kind === "integer" && argument.place.kind === "word";
    const named = { kind: "argument", name: argument?.name ?? "" } as const;
    if (isWhole && argument.width === 32 && !asksHigh)
      return { word: named, bits: 32n, signed: argument.signed, ...names };
    if (isWhole && argument.width === 64 && asksHigh)
      return { word: named, bits: 64n, signed: argument.signed, ...names };
    // The kernel reads 16 bits, and the filter looks at no others.
    if (
      isWhole &&
      argument.width === 16 &&
      cells.every(({ high: above, low: set }) => above === all && this.#isLow16(set))
    )
      return { word: named, bits: 32n, signed: false, mask: 0xffffn, ...names };
    const raw = { kind: "raw", index } as const;
    if (high !== undefined && asksHigh && !asksLow)
      return { word: raw, bits: 64n, signed: false, mask: halfOnes << halfBits, ...names };
    if (!asksHigh) return { word: raw, bits: 32n, signed: false, mask: halfOnes, ...names };
    return { word: raw, bits: 64n, signed: false, ...names };
  }

  #isLow16(set: Diagram): boolean {
    return (this.#sets.top(set)?.level ?? 32) >= 16;
  }

  /** Tests of which one holds exactly for the cells' values. */
  #testsOf(cells: readonly Cell[], field: WrittenField): readonly WrittenTest[] | undefined {
    const flipped = this.#complement(cells);
    const direct = this.#asIntervals(cells, field);
    const inverse = flipped === undefined ? undefined : this.#asIntervals(flipped, field);
    const cube = this.#asCube(cells, field, false) ?? (flipped && this.#asCube(flipped, field, true));
    const few = 8;
    /** `domain in {AF_INET, AF_INET6}` says more than `(domain & 0xfffffff7) == AF_INET`. */
    const hasNames = (intervals: readonly Interval[]): boolean =>
      intervals.every(([from, to]) => to - from < BigInt(few)) &&
      countValues(intervals, field) <= few &&
      this.#areNamed(intervals, field);
    const isShorter =
      direct !== undefined &&
      (inverse === undefined || countValues(direct, field) <= countValues(inverse, field));
    if (direct !== undefined && isShorter && direct.length <= few)
      if (direct.length === 1 || cube === undefined || hasNames(direct))
        return [this.#inSet(direct, false, field)];
    if (inverse !== undefined && !isShorter && (isOneValue(inverse) || hasNames(inverse)))
      return [this.#inSet(inverse, true, field)];
    if (cube !== undefined) return [cube];
    if (inverse !== undefined && !isShorter) return [this.#inSet(inverse, true, field)];
    const masked = this.#asCubes(cells, field);
    const readable = field.bits === 32n ? mostCubes : few;
    if (masked !== undefined && masked.length <= readable && masked.length < (direct?.length ?? readable + 1))
      return masked;
    if (direct !== undefined) return [this.#inSet(direct, false, field)];
    return undefined;
  }

  /** The same values' complement, where all cells have one high half or the whole of it. */
  #complement(cells: readonly Cell[]): readonly Cell[] | undefined {
    const [first] = cells;
    if (first === undefined) return undefined;
    const rest = first.rest;
    const highs = cells.reduce((set, cell) => this.#sets.unite(set, cell.high), none);
    const others: Cell[] = highs === all ? [] : [{ high: this.#sets.complement(highs), low: all, rest }];
    for (const [high, low] of this.#byHigh(cells)) {
      const left = this.#sets.complement(low);
      if (left !== none) others.push({ high, low: left, rest });
    }
    return others;
  }

  #byHigh(cells: readonly Cell[]): ReadonlyMap<Diagram, Diagram> {
    const found = new Map<Diagram, Diagram>();
    for (const cell of cells) found.set(cell.high, this.#sets.unite(found.get(cell.high) ?? none, cell.low));
    return found;
  }

  /** As ranges of the field's values in its own order; undefined where there are too many. */
  #asIntervals(cells: readonly Cell[], field: WrittenField): readonly Interval[] | undefined {
    const found: Interval[] = [];
    const onlyHigh = field.mask !== undefined && field.mask > halfOnes;
    for (const [high, low] of this.#byHigh(cells)) {
      const lows = this.#sets.intervals(low, mostIntervals);
      const highs =
        high === all && field.bits === 32n ? [[0, 0] as const] : this.#sets.intervals(high, mostIntervals);
      if (lows === undefined || highs === undefined) return undefined;
      for (const [highFrom, highTo] of highs) {
        const [from, to] = [BigInt(highFrom) << halfBits, BigInt(highTo) << halfBits];
        if (onlyHigh) found.push([from, to]);
        else if (low === all) found.push([from, to | halfOnes]);
        else if (highTo - highFrom > 4) return undefined;
        else
          for (let at = from; at <= to; at += 1n << halfBits)
            for (const [lowFrom, lowTo] of lows) found.push([at | BigInt(lowFrom), at | BigInt(lowTo)]);
        if (found.length > mostIntervals) return undefined;
      }
    }
    return this.#inOrder(found, field);
  }

  /** Ascending and joined; a signed field's negative values are ranges of their own. */
  #inOrder(intervals: readonly Interval[], field: WrittenField): readonly Interval[] {
    const joined: [bigint, bigint][] = [];
    for (const [from, to] of [...intervals].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const last = joined.at(-1);
      if (last !== undefined && last[1] + 1n === from && field.mask === undefined) last[1] = to;
      else joined.push([from, to]);
    }
    if (!field.signed) return joined;
    const half = 1n << (field.bits - 1n);
    return joined.flatMap(([from, to]): readonly Interval[] =>
      from < half && to >= half
        ? [
            [from, half - 1n],
            [half, to],
          ]
        : [[from, to]],
    );
  }

  #asCube(cells: readonly Cell[], field: WrittenField, negated: boolean): WrittenTest | undefined {
    const byHigh = [...this.#byHigh(cells)];
    const [only] = byHigh;
    if (only === undefined || byHigh.length > 1) return undefined;
    return this.#cubeTest(only, field, negated);
  }

  #cubeTest(
    [highSet, lowSet]: readonly [Diagram, Diagram],
    field: WrittenField,
    negated: boolean,
  ): WrittenTest | undefined {
    const [high, low] = [this.#sets.cube(highSet), this.#sets.cube(lowSet)];
    if (high === undefined || low === undefined) return undefined;
    const mask = (BigInt(high.mask) << halfBits) | BigInt(low.mask);
    const value = (BigInt(high.value) << halfBits) | BigInt(low.value);
    if (value === 0n && negated) return { mask, test: { kind: "nonzero" } };
    // A single bit is set or not: `flags & MNT_FORCE`.
    if (value === mask && countOnes(mask) === 1)
      return negated
        ? { mask, test: { kind: "compare", operator: "==", value: { kind: "integer", value: 0n } } }
        : { mask, test: { kind: "nonzero" } };
    const permitted = BigInt.asUintN(Number(field.bits), ~mask);
    if (value === 0n && field.mask === undefined && countOnes(permitted) < countOnes(mask))
      return { test: { kind: "within", value: this.#write(field, permitted, true) } };
    const test: Test = {
      kind: "compare",
      operator: negated ? "!=" : "==",
      value: this.#write(field, value, false),
    };
    return { mask, test };
  }

  /** As several masked comparisons, of which one at least holds. */
  #asCubes(cells: readonly Cell[], field: WrittenField): readonly WrittenTest[] | undefined {
    const found: WrittenTest[] = [];
    for (const cell of this.#byHigh(cells)) {
      const [highs, lows] = cell.map((set) => cubesOf(this.#sets, set, mostCubes));
      if (highs === undefined || lows === undefined) return undefined;
      for (const high of highs)
        for (const low of lows) {
          const test = this.#cubeTest([high, low], field, false);
          if (test === undefined || found.length >= mostCubes) return undefined;
          this.#scope.limit.spend();
          found.push(test);
        }
    }
    return found;
  }

  #inSet(intervals: readonly Interval[], negated: boolean, field: WrittenField): WrittenTest {
    const [first] = intervals;
    const mask = field.mask;
    const withMask = mask === undefined ? {} : { mask };
    const value = (one: bigint): Value =>
      mask === undefined ? this.#writeWhole(field, one) : this.#write(field, one, false);
    if (first !== undefined && intervals.length === 1) {
      const [from, to] = first;
      if (from === to) {
        if (from === 0n && negated) return { ...withMask, test: { kind: "nonzero" } };
        return {
          ...withMask,
          test: { kind: "compare", operator: negated ? "!=" : "==", value: value(from) },
        };
      }
      const largest = mask ?? (1n << field.bits) - 1n;
      const smallest = mask === undefined ? 1n : mask & -mask;
      if (from === smallest && (to | (smallest - 1n)) === (largest | (smallest - 1n)) && !field.signed) {
        const zero: Value = { kind: "integer", value: 0n };
        return negated
          ? { ...withMask, test: { kind: "compare", operator: "==", value: zero } }
          : { ...withMask, test: { kind: "nonzero" } };
      }
      if (!field.signed && from === 0n)
        return { ...withMask, test: { kind: "compare", operator: negated ? ">" : "<=", value: value(to) } };
      if (!field.signed && to === largest)
        return { ...withMask, test: { kind: "compare", operator: negated ? "<" : ">=", value: value(from) } };
    }
    const items = intervals.flatMap((interval): readonly ValueRange[] => {
      const [from, to] = interval;
      if (from === to) return [{ low: value(from), high: value(from) }];
      if (isListed(interval, field))
        return Array.from({ length: Number(to - from) + 1 }, (_, index) => {
          const one = value(from + BigInt(index));
          return { low: one, high: one };
        });
      return [{ low: plainValue(field, from), high: plainValue(field, to) }];
    });
    return { ...withMask, test: { kind: "in", negated, items } };
  }

  /** Whether these are single values, or short ranges, of a field of which each value is another thing with a name. */
  #areNamed(intervals: readonly Interval[], field: WrittenField): boolean {
    const { values, mask } = field;
    if (values === undefined || values.flags || mask !== undefined) return false;
    return intervals.every(([from, to]) =>
      Array.from({ length: Number(to - from) + 1 }, (_, index) => from + BigInt(index)).every(
        (value) => namesOfValue(this.#scope.abi, values, value) !== undefined,
      ),
    );
  }

  /** A value of the whole field: a signed one is negative from the half on. */
  #writeWhole(field: WrittenField, value: bigint): Value {
    const plain = plainValue(field, value);
    return plain.kind === "negative" ? plain : this.#write(field, value, false);
  }

  #write(field: WrittenField, value: bigint, isMask: boolean): Value {
    const integer: Value = { kind: "integer", value };
    if (field.values === undefined || (isMask && !field.values.flags)) return integer;
    const { names, rest } = namesWithin(this.#scope.abi, field.values, value);
    if (names.length === 0 || countOnes(rest) > mostUnnamed) return integer;
    const items = [
      ...names.map((name): Value => ({ kind: "constant", name })),
      ...(rest === 0n ? [] : [{ kind: "integer", value: rest } as const]),
    ];
    const [only] = items;
    return items.length === 1 && only !== undefined ? only : { kind: "union", items };
  }
}

type Interval = readonly [bigint, bigint];

function isOneValue([first, ...others]: readonly Interval[]): boolean {
  return first !== undefined && others.length === 0 && first[0] === first[1];
}

/** Whether the values of a range are listed one by one: short ones that have names. */
function isListed([from, to]: Interval, field: WrittenField): boolean {
  return field.values !== undefined && !field.values.flags && to - from < longestList;
}

/** How many values are written for intervals; for one that has an end in common with the field, its other end. */
function countValues(intervals: readonly Interval[], field: WrittenField): number {
  const largest = field.mask ?? (1n << field.bits) - 1n;
  return intervals.reduce((count, interval) => {
    const [from, to] = interval;
    const isBound = intervals.length === 1 && !field.signed && (from <= 1n || to === largest);
    if (from === to || isBound) return count + 1;
    return count + (isListed(interval, field) ? Number(to - from) + 1 : 2);
  }, 0);
}

function countOnes(value: bigint): number {
  return value.toString(2).replaceAll("0", "").length;
}

interface WrittenField {
  readonly word: Operand["word"];
  readonly bits: 32n | 64n;
  readonly signed: boolean;
  /** What is always masked: a half of a raw word. */
  readonly mask?: bigint;
  readonly values?: ReturnType<typeof namedValues>;
}

interface WrittenTest {
  readonly mask?: bigint;
  readonly test: Test;
}

function plainValue(field: WrittenField, value: bigint): Value {
  const signed = field.signed && field.mask === undefined ? BigInt.asIntN(Number(field.bits), value) : value;
  return signed < 0n
    ? { kind: "negative", item: { kind: "integer", value: -signed } }
    : { kind: "integer", value };
}

/** Whether a policy can say it. */
export function isOfPolicies(told: ToldCondition): told is Condition {
  switch (told.kind) {
    case "test":
      return true;
    case "words":
      return false;
    case "not":
      return isOfPolicies(told.item);
    default:
      return told.items.every(isOfPolicies);
  }
}

/** The condition that holds where this one does not. */
export function negationOf(condition: Condition): Condition;
export function negationOf(condition: ToldCondition): ToldCondition;
export function negationOf(condition: ToldCondition): ToldCondition {
  switch (condition.kind) {
    case "words":
      return { kind: "words", words: condition.opposite, opposite: condition.words };
    case "not":
      return condition.item;
    case "and":
      return { kind: "or", items: condition.items.map((item) => negationOf(item)) };
    case "or":
      return { kind: "and", items: condition.items.map((item) => negationOf(item)) };
    case "test": {
      const { operand, test } = condition;
      switch (test.kind) {
        case "nonzero":
          return {
            kind: "test",
            operand,
            test: { kind: "compare", operator: "==", value: { kind: "integer", value: 0n } },
          };
        case "compare":
          if (test.operator === "==" && test.value.kind === "integer" && test.value.value === 0n)
            return { kind: "test", operand, test: { kind: "nonzero" } };
          return { kind: "test", operand, test: { ...test, operator: opposite[test.operator] } };
        case "in":
          return { kind: "test", operand, test: { ...test, negated: !test.negated } };
        case "within":
          return { kind: "not", item: condition };
      }
    }
  }
}

const opposite = { "==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">" } as const;

function eitherOf(conditions: readonly Condition[]): Condition;
function eitherOf(conditions: readonly ToldCondition[]): ToldCondition;
function eitherOf(conditions: readonly ToldCondition[]): ToldCondition {
  const [only] = conditions;
  if (conditions.length === 1 && only !== undefined) return only;
  return { kind: "or", items: conditions.flatMap((one) => (one.kind === "or" ? one.items : [one])) };
}

function allOf(conditions: readonly (Condition | undefined)[]): Condition | undefined;
function allOf(conditions: readonly (ToldCondition | undefined)[]): ToldCondition | undefined;
function allOf(conditions: readonly (ToldCondition | undefined)[]): ToldCondition | undefined {
  const parts = conditions.filter((one) => one !== undefined);
  const [only] = parts;
  if (parts.length < 2) return only;
  return { kind: "and", items: parts.flatMap((one) => (one.kind === "and" ? one.items : [one])) };
}
