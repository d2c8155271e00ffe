/**
 * Conditions as lists of cubes: what LXC's format can say of arguments. A cube fixes some bits of some 32-bit words
 * (`(word & mask) == value` for each); a list of cubes holds where one of them does. Ranges become aligned blocks.
 */
import type { Field, ResolvedComparison, ResolvedCondition } from "../../policy/resolved.ts";

/** For each word that is looked at, the bits that are fixed and their values. */
export type Cube = ReadonlyMap<number, { readonly mask: number; readonly value: number }>;

/** More cubes than this for one condition are not written: a rule for each would make the filter slow. */
export const mostCubes = 128;

/** The condition cannot be said as cubes, or takes too many. */
export class NoCubes extends Error {}

const always: readonly Cube[] = [new Map()];

/** @throws NoCubes */
export function cubesOf(condition: ResolvedCondition, negated = false): readonly Cube[] {
  switch (condition.kind) {
    case "known":
      return condition.value === negated ? [] : always;
    case "unknown":
      throw new NoCubes("it depends on what no filter can see");
    case "not":
      return cubesOf(condition.item, !negated);
    case "and":
    case "or": {
      const items = condition.items.map((item) => cubesOf(item, negated));
      return (condition.kind === "and") !== negated ? items.reduce(both, always) : few(items.flat());
    }
    case "test":
      return testCubes(condition.field, condition.mask, condition.comparison, negated);
  }
}

/** Where both hold. */
export function both(first: readonly Cube[], second: readonly Cube[]): readonly Cube[] {
  if (first.length * second.length > mostCubes * mostCubes) throw new NoCubes("it takes too many rules");
  return few(first.flatMap((one) => second.flatMap((other) => meet(one, other) ?? [])));
}

function few(cubes: readonly Cube[]): readonly Cube[] {
  if (cubes.length > mostCubes) throw new NoCubes("it takes too many rules");
  return cubes;
}

/** The cube that is in both, or undefined where they exclude each other. */
function meet(a: Cube, b: Cube): Cube | undefined {
  const met = new Map(a);
  for (const [word, { mask, value }] of b) {
    const own = met.get(word) ?? { mask: 0, value: 0 };
    if (((own.value ^ value) & own.mask & mask) !== 0) return undefined;
    met.set(word, { mask: (own.mask | mask) >>> 0, value: (own.value | value) >>> 0 });
  }
  return met;
}

function testCubes(
  field: Field,
  mask: bigint | undefined,
  comparison: ResolvedComparison,
  negated: boolean,
): readonly Cube[] {
  const ones = (1n << BigInt(field.width)) - 1n;
  const looked = mask ?? ones;
  const bits = (fixed: bigint, value: bigint): Cube => {
    const cube = new Map<number, { mask: number; value: number }>();
    const put = (word: number, shift: bigint): void => {
      const part = Number((fixed >> shift) & 0xffff_ffffn);
      if (part !== 0) cube.set(word, { mask: part, value: Number((value >> shift) & 0xffff_ffffn) });
    };
    put(field.low, 0n);
    if (field.high !== undefined) put(field.high, 32n);
    return cube;
  };
  /** One of the bits differs from the value's: a cube for each. */
  const differs = (fixed: bigint, value: bigint): readonly Cube[] => {
    const cubes: Cube[] = [];
    for (let bit = 1n; bit <= fixed; bit <<= 1n)
      if ((fixed & bit) !== 0n) cubes.push(bits(bit, ~value & bit));
    return few(cubes);
  };
  const equal = (fixed: bigint, value: bigint, isNegated: boolean): readonly Cube[] => {
    if (!isNegated) return (value & ~fixed) === 0n ? [bits(fixed, value)] : [];
    return (value & ~fixed) === 0n ? differs(fixed, value) : always;
  };
  const { operator } = comparison;
  if (operator === "nonzero") return equal(looked, 0n, !negated);
  if (operator === "within") return equal(ones & ~comparison.value & looked, 0n, negated);
  if (mask !== undefined) {
    if (operator === "==" || operator === "!=")
      return equal(looked, comparison.value, (operator === "!=") !== negated);
    if (
      operator === "in" &&
      !comparison.negated &&
      !negated &&
      comparison.ranges.every(({ low, high }) => low === high)
    )
      return few(comparison.ranges.flatMap(({ low }) => equal(looked, low, false)));
    throw new NoCubes("it compares an argument's masked bits by size");
  }
  const flip = field.signed ? 1n << BigInt(field.width - 1) : 0n;
  const wanted = ranges(comparison, ones, flip);
  const isComplement = (operator === "in" && comparison.negated) !== negated;
  return few(
    (isComplement ? complement(wanted, ones) : wanted).flatMap((range) =>
      blocks(range, flip, ones).map(([m, v]) => bits(m, v)),
    ),
  );
}

interface Range {
  readonly low: bigint;
  readonly high: bigint;
}

/** The values for which a comparison holds (`in` as if it were not negated), in the order of the field's sign. */
function ranges(
  comparison: Exclude<ResolvedComparison, { operator: "nonzero" | "within" }>,
  ones: bigint,
  flip: bigint,
): readonly Range[] {
  if (comparison.operator === "in") {
    return comparison.ranges.map(({ low, high }) => ({ low: low ^ flip, high: high ^ flip }));
  }
  const value = comparison.value ^ flip;
  switch (comparison.operator) {
    case "==":
      return [{ low: value, high: value }];
    case "!=":
      return complement([{ low: value, high: value }], ones);
    case "<":
      return value === 0n ? [] : [{ low: 0n, high: value - 1n }];
    case "<=":
      return [{ low: 0n, high: value }];
    case ">":
      return value === ones ? [] : [{ low: value + 1n, high: ones }];
    case ">=":
      return [{ low: value, high: ones }];
  }
}

function complement(list: readonly Range[], ones: bigint): readonly Range[] {
  const rest: Range[] = [];
  let next = 0n;
  for (const { low, high } of [...list].sort((a, b) => (a.low < b.low ? -1 : 1))) {
    if (low > next) rest.push({ low: next, high: low - 1n });
    if (high >= next) next = high + 1n;
  }
  if (next <= ones) rest.push({ low: next, high: ones });
  return rest;
}

/** A range as aligned blocks of powers of two: mask and value of each. */
function blocks({ low, high }: Range, flip: bigint, ones: bigint): readonly (readonly [bigint, bigint])[] {
  const found: (readonly [bigint, bigint])[] = [];
  for (let at = low; at <= high; ) {
    let size = 1n;
    while (at % (size * 2n) === 0n && at + size * 2n - 1n <= high) size *= 2n;
    const mask = ones & ~(size - 1n);
    found.push([mask, (at ^ flip) & mask]);
    at += size;
  }
  return found;
}
