/** What a filter computed from the words of a call, as people write it: `low(args[0]) ^ low(args[1])`. */
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
  JSET_K,
} from "../bpf/index.ts";
import type { Syscall } from "../syscalls/index.ts";

export type Expression =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "word"; readonly word: number; readonly mask: number }
  /** By the code of an instruction with a constant operand. */
  | {
      readonly kind: "operation";
      readonly code: number;
      readonly left: Expression;
      readonly right: Expression;
    }
  /** What is too long to be written, or was not kept account of. */
  | { readonly kind: "unknown" };

/** A test of two expressions, by the code of a jump with a constant operand. */
export interface Comparison {
  readonly code: number;
  readonly left: Expression;
  readonly right: Expression;
}

/** Nobody reads what is nested deeper than this. */
const deepest = 6;
const allBits = 0xffff_ffff;
const operators: ReadonlyMap<number, string> = new Map([
  [ALU_ADD_K, "+"],
  [ALU_SUB_K, "-"],
  [ALU_MUL_K, "*"],
  [ALU_DIV_K, "/"],
  [ALU_OR_K, "|"],
  [ALU_AND_K, "&"],
  [ALU_XOR_K, "^"],
  [ALU_LSH_K, "<<"],
  [ALU_RSH_K, ">>"],
]);
const symmetric: ReadonlySet<number> = new Set([
  ALU_ADD_K,
  ALU_MUL_K,
  ALU_OR_K,
  ALU_AND_K,
  ALU_XOR_K,
  JEQ_K,
  JSET_K,
]);
/** Each with the one that holds where it does not. */
const tests: ReadonlyMap<number, readonly [string, string]> = new Map([
  [JEQ_K, ["==", "!="]],
  [JGT_K, [">", "<="]],
  [JGE_K, [">=", "<"]],
]);

/** A comparison and its opposite; arguments have their names where the call is known and the low half is all of them. */
export function writtenComparison(
  { code, left, right }: Comparison,
  call: Syscall | undefined,
): { readonly words: string; readonly opposite: string } {
  const [a, b] = inOrder(code, left, right).map((one) => written(one, call, 0));
  const signs = tests.get(code);
  // The one that is left is JSET: whether they have a bit in common.
  if (signs === undefined) return { words: `(${a} & ${b}) != 0`, opposite: `(${a} & ${b}) == 0` };
  return { words: `${a} ${signs[0]} ${b}`, opposite: `${a} ${signs[1]} ${b}` };
}

function written(expression: Expression, call: Syscall | undefined, depth: number): string {
  if (depth > deepest) return "…";
  switch (expression.kind) {
    case "number":
      return plain(expression.value);
    case "word": {
      const name = nameOfWord(expression.word, call);
      return expression.mask === allBits ? name : `(${name} & ${plain(expression.mask)})`;
    }
    case "operation": {
      const { code, left, right } = expression;
      if (code === ALU_NEG) return `-${written(left, call, depth + 1)}`;
      const [a, b] = inOrder(code, left, right).map((one) => written(one, call, depth + 1));
      return `(${a} ${operators.get(code) ?? "?"} ${b})`;
    }
    case "unknown":
      return "…";
  }
}

/** Where either order means the same, the earlier word first and a number last. */
function inOrder(code: number, left: Expression, right: Expression): readonly [Expression, Expression] {
  const rank = (one: Expression): number =>
    one.kind === "word" ? one.word : one.kind === "operation" ? rank(one.left) : Number.POSITIVE_INFINITY;
  return symmetric.has(code) && rank(right) < rank(left) ? [right, left] : [left, right];
}

/** A word of `struct seccomp_data`: an argument has two, and its name where the call reads the low one alone. */
export function nameOfWord(word: number, call: Syscall | undefined): string {
  if (word < 2) return word === 0 ? "nr" : "arch";
  const half = word % 2 === 0 ? "low" : "high";
  if (word < 4) return `${half}(ip)`;
  const index = (word - 4) >> 1;
  const argument = call?.args?.find(
    ({ place, kind, width }) =>
      place.kind === "word" && place.index === index && kind === "integer" && width === 32,
  );
  return argument !== undefined && half === "low" ? argument.name : `${half}(args[${index}])`;
}

function plain(value: number): string {
  return value > 4095 ? `0x${value.toString(16)}` : `${value}`;
}

/** What is left of a comparison where a word of the call is known. */
export function comparisonGiven(comparison: Comparison, word: number, value: number): Comparison {
  const known = (one: Expression): Expression => {
    if (one.kind === "word" && one.word === word) return { kind: "number", value: (value & one.mask) >>> 0 };
    return one.kind === "operation" ? { ...one, left: known(one.left), right: known(one.right) } : one;
  };
  return { ...comparison, left: known(comparison.left), right: known(comparison.right) };
}
