/**
 * A policy with every name settled: for each ABI, what stands before each number. Made by `resolve.ts`;
 * `evaluate.ts`, the compiler and the proof each give it its meaning with code of their own.
 */
import type { Abi, AbiName } from "../syscalls/index.ts";
import type { Action, ComparisonOperator, Policy, Rule } from "./types.ts";

/**
 * The 32-bit words of `struct seccomp_data`, in the order in which they lie there: 0 the call's number, 1 the
 * architecture, 2 and 3 the instruction pointer, 4 + 2i and 5 + 2i args[i]. Of two words that are one number the
 * first is its low half on a little-endian machine and its high half on a big-endian one.
 */
export type WordIndex = number;

export const wordOfNumber: WordIndex = 0;
export const wordOfArch: WordIndex = 1;

/** Where the halves of a 64-bit number lie. */
export interface Halves {
  readonly low: WordIndex;
  readonly high: WordIndex;
}

type ByteOrder = Abi["endian"];

const halvesAt = (first: WordIndex, order: ByteOrder): Halves =>
  order === "little" ? { low: first, high: first + 1 } : { low: first + 1, high: first };

export const wordsOfInstructionPointer = (order: ByteOrder): Halves => halvesAt(2, order);
export const wordsOfArgument = (index: number, order: ByteOrder): Halves => halvesAt(4 + 2 * index, order);

export const wordCount = 16;

/** Where a filter finds an argument, and how the kernel reads it. */
export interface Field {
  readonly low: WordIndex;
  /** Only of 64-bit fields. */
  readonly high?: WordIndex;
  readonly width: 16 | 32 | 64;
  readonly signed: boolean;
}

/** Values are bit patterns in the field's width; ranges hold both their ends. */
export type ResolvedComparison =
  | { readonly operator: "nonzero" }
  | { readonly operator: ComparisonOperator; readonly value: bigint }
  | {
      readonly operator: "in";
      readonly negated: boolean;
      readonly ranges: readonly { readonly low: bigint; readonly high: bigint }[];
    }
  | { readonly operator: "within"; readonly value: bigint };

export type ResolvedCondition =
  | { readonly kind: "and" | "or"; readonly items: readonly ResolvedCondition[] }
  | { readonly kind: "not"; readonly item: ResolvedCondition }
  | { readonly kind: "known"; readonly value: boolean }
  /** What it asks for lies in memory, or is not known on this ABI. */
  | { readonly kind: "unknown" }
  /** Order is that of the field's sign, or unsigned where there is a mask. */
  | {
      readonly kind: "test";
      readonly field: Field;
      readonly mask?: bigint;
      readonly comparison: ResolvedComparison;
    };

/** One selector's say on one number. */
export interface Entry {
  readonly rule: Rule;
  readonly condition: ResolvedCondition;
  /**
   * What an unknown condition means: the strictest of the actions that are possible, or (behind an open
   * multiplexer) the most lenient.
   */
  readonly unknown: "strictest" | "most-lenient";
}

/** Rules in order; the first whose condition holds decides, and where none does, the fallback. */
export interface Decisions {
  readonly entries: readonly Entry[];
  readonly fallback: Fallback;
}

export interface Fallback {
  readonly action: Action;
  readonly by: "default" | "newer" | "other-abis";
}

/** A call of one ABI. */
export interface ResolvedCall extends Decisions {
  readonly nr: number;
  /** Undefined where the table has no name for the number. */
  readonly name: string | undefined;
  /** The calls behind a multiplexer; a code that is not among them is decided as the multiplexer itself. */
  readonly behind?: {
    readonly word: WordIndex;
    readonly mask: number;
    readonly calls: readonly (Decisions & { readonly code: number; readonly name: string })[];
  };
}

export interface ResolvedAbi {
  readonly abi: Abi;
  /** In the order of their numbers. */
  readonly calls: readonly ResolvedCall[];
  /** For every number that is not among the calls. */
  readonly unknownNumber: Fallback;
}

export interface ResolvedPolicy {
  readonly policy: Policy;
  readonly abis: readonly ResolvedAbi[];
  readonly otherAbis: Fallback;
}

/** What a policy says of one call. */
export interface Decision {
  readonly action: Action;
  readonly by: "rule" | "default" | "newer" | "other-abis";
  /** The rule, where one decided. */
  readonly rule: Rule | undefined;
}

/** x32 shares x86_64's architecture value; bit 30 of the number tells them apart. */
export const firstX32Number = 0x4000_0000;
/** Numbers from here on are negative to the kernel (-1 is a call that a tracer skips): no call, but not x32 either. */
export const firstNegativeNumber = 0x8000_0000;

/** The ABI whose call a number is, given an ABI of the same architecture value. */
export function abiOfNumber(abi: AbiName, nr: number): AbiName {
  if (abi !== "x86_64" && abi !== "x32") return abi;
  return nr >= firstX32Number && nr < firstNegativeNumber ? "x32" : "x86_64";
}
