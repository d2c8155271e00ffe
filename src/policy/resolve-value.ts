/** Numbers and constants in the width of one argument; what does not fit, or does not exist, is a problem. */
import { nearest, type Span } from "../diagnostics/index.ts";
import { type AbiName, type Argument, constantNames, constantValue, isConstant } from "../syscalls/index.ts";
import type { ResolvedComparison } from "./resolved.ts";
import type { Test, Value } from "./types.ts";

export interface Problem {
  readonly id: string;
  readonly message: string;
  /** Where it takes a search, a getter: of thousands of mistakes only the first are searched for. */
  readonly label?: string | undefined;
  readonly span?: Span;
  /** Where it is not an error or a warning by the rule below. */
  readonly severity?: "note" | "warning";
  /** What holds for the calls that have the problem; by default that the strictest possible action does. */
  readonly consequence?: string;
  /** An error wherever it occurs; the others are errors only when they occur on every ABI. */
  readonly always: boolean;
}

/** The call that the condition stands behind. */
export interface ConditionScope {
  readonly abi: AbiName;
  readonly name: string;
  /** Undefined where the arguments are not known. */
  readonly args: readonly Argument[] | undefined;
  /** The call that hides this one and its arguments. */
  readonly multiplexer?: string;
  /** What an unknown condition means here; by default the strictest of what is possible. */
  readonly unknown?: "strictest" | "most-lenient";
  readonly report: (problem: Problem) => void;
}

let constants: readonly string[] | undefined;

/** Reads values for one argument; an undefined result means that a problem was reported. */
export class ValueReader {
  readonly #width: number;
  readonly #signed: boolean;
  readonly #scope: ConditionScope;
  readonly #ones: bigint;

  constructor(width: 16 | 32 | 64, signed: boolean, masked: boolean, scope: ConditionScope) {
    this.#width = width;
    // What is left after a mask is a set of bits, not a signed number.
    this.#signed = signed && !masked;
    this.#scope = scope;
    this.#ones = (1n << BigInt(width)) - 1n;
  }

  /** Bits that a narrower form of the argument does not have are not there to be looked at. */
  mask(value: Value): bigint | undefined {
    const exact = this.#exact(value);
    if (exact === undefined) return undefined;
    if (exact > this.#ones) this.#tooWide(value);
    return exact & this.#ones;
  }

  /** True or false where the comparison has one outcome on this form of the argument. */
  comparison(test: Test): ResolvedComparison | boolean | undefined {
    switch (test.kind) {
      case "nonzero":
        return { operator: "nonzero" };
      case "within": {
        const value = this.mask(test.value);
        return value === undefined ? undefined : { operator: "within", value };
      }
      case "compare": {
        const ordered = test.operator !== "==" && test.operator !== "!=";
        const exact = ordered ? this.#ordered(test.value) : this.#pattern(test.value);
        if (exact === undefined) return undefined;
        if (exact === "too-wide")
          return test.operator === "!=" || test.operator === "<" || test.operator === "<=";
        return { operator: test.operator, value: exact };
      }
      case "in":
        return this.#membership(test);
    }
  }

  #membership(test: Extract<Test, { kind: "in" }>): ResolvedComparison | boolean | undefined {
    const ranges: { low: bigint; high: bigint }[] = [];
    for (const item of test.items) {
      const single = item.low === item.high;
      const low = single ? this.#pattern(item.low) : this.#ordered(item.low);
      const high = single ? low : this.#ordered(item.high);
      if (low === undefined || high === undefined) return undefined;
      if (low === "too-wide") continue;
      const end = high === "too-wide" ? this.#largest() : high;
      if (!single && this.#number(low) > this.#number(end)) {
        this.#report(
          "empty-range",
          "this range has no member",
          "write the smaller end first",
          item.low,
          true,
        );
        return undefined;
      }
      ranges.push({ low, high: end });
    }
    return ranges.length === 0 ? test.negated : { operator: "in", negated: test.negated, ranges };
  }

  /** The largest number of the field, as a pattern. */
  #largest(): bigint {
    return this.#signed ? this.#ones >> 1n : this.#ones;
  }

  /** What number a pattern stands for. */
  #number(pattern: bigint): bigint {
    return this.#signed ? BigInt.asIntN(this.#width, pattern) : pattern;
  }

  /** A value to be compared for equality: any pattern of the field's width. */
  #pattern(value: Value): bigint | "too-wide" | undefined {
    const exact = this.#exact(value);
    if (exact === undefined) return undefined;
    if (exact > this.#ones) {
      this.#tooWide(value);
      return "too-wide";
    }
    return exact;
  }

  /** A value to be ordered: a number that the field can hold with its sign. */
  #ordered(value: Value): bigint | "too-wide" | undefined {
    const pattern = this.#pattern(value);
    if (typeof pattern !== "bigint") return pattern;
    if (value.kind === "negative") {
      if (this.#signed) return pattern;
      const number = `${pattern}`;
      this.#report(
        "negative-unsigned",
        "this argument is unsigned: it is never below 0",
        `the kernel reads ${number}`,
        value,
        true,
      );
      return undefined;
    }
    if (this.#signed && pattern > this.#ones >> 1n) {
      this.#tooWide(value);
      return "too-wide";
    }
    return pattern;
  }

  /**
   * The value as a bit pattern: complements and negatives taken in the field's width. Larger than the width
   * only where a positive number does not fit; undefined where a problem was reported.
   */
  #exact(value: Value): bigint | undefined {
    switch (value.kind) {
      case "integer":
        return value.value;
      case "constant":
        return this.#constant(value);
      case "complement": {
        const item = this.#exact(value.item);
        if (item === undefined) return undefined;
        if (item > this.#ones) this.#tooWide(value.item);
        return ~item & this.#ones;
      }
      case "negative": {
        const item = this.#exact(value.item);
        if (item === undefined) return undefined;
        if (item <= 1n << BigInt(this.#width - 1)) return -item & this.#ones;
        this.#report(
          "value-too-wide",
          `-${item} does not fit an argument of which the kernel reads ${this.#width} bits`,
          "write the bits that the kernel reads, as 0x…",
          value,
          true,
        );
        return undefined;
      }
      case "union": {
        let bits = 0n;
        for (const item of value.items) {
          const part = this.#exact(item);
          if (part === undefined) return undefined;
          bits |= part;
        }
        return bits;
      }
    }
  }

  #constant(value: Extract<Value, { kind: "constant" }>): bigint | undefined {
    const found = constantValue(this.#scope.abi, value.name);
    if (found !== undefined) return found < 0n ? found & this.#ones : found;
    if (isConstant(value.name)) {
      this.#report(
        "constant-not-on-abi",
        `${value.name} is not known on ${this.#scope.abi}`,
        undefined,
        value,
        false,
      );
    } else {
      this.#scope.report({
        id: "unknown-constant",
        message: `there is no constant ${JSON.stringify(value.name)}`,
        get label() {
          constants ??= constantNames();
          const guess = nearest(value.name, constants);
          return guess === undefined ? "write its number instead" : `did you mean ${guess}?`;
        },
        always: true,
        ...(value.span === undefined ? {} : { span: value.span }),
      });
    }
    return undefined;
  }

  #tooWide(value: Value): void {
    const message = this.#signed
      ? `this value does not fit: the argument is signed and ${this.#width} bits wide`
      : `this value does not fit: the kernel reads ${this.#width} bits of the argument`;
    this.#scope.report({
      id: "value-too-wide",
      message,
      consequence: "no call has it",
      always: false,
      ...(value.span === undefined ? {} : { span: value.span }),
    });
  }

  #report(id: string, message: string, label: string | undefined, value: Value, always: boolean): void {
    this.#scope.report({
      id,
      message,
      always,
      ...(label === undefined ? {} : { label }),
      ...(value.span === undefined ? {} : { span: value.span }),
    });
  }
}
