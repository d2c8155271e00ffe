/**
 * Settles the names of one condition for one call: arguments become fields, constants become numbers in the
 * argument's width. What cannot be settled is a problem with its place, and the condition unknown there.
 */
import { listWords, nearest } from "../diagnostics/index.ts";
import { type Argument, abiByName, argumentNamed } from "../syscalls/index.ts";
import { comparisonHolds } from "./comparison.ts";
import { printWord } from "./printer.ts";
import { type ConditionScope, type Problem, ValueReader } from "./resolve-value.ts";
import {
  type Field,
  type Halves,
  type ResolvedComparison,
  type ResolvedCondition,
  wordsOfArgument,
  wordsOfInstructionPointer,
} from "./resolved.ts";
import type { Condition, Operand, Test } from "./types.ts";

export type { ConditionScope, Problem } from "./resolve-value.ts";

const unknown = { kind: "unknown" } as const;
const argumentWords = 6;

export function resolveCondition(condition: Condition, scope: ConditionScope): ResolvedCondition {
  switch (condition.kind) {
    case "and":
    case "or":
      return { kind: condition.kind, items: condition.items.map((item) => resolveCondition(item, scope)) };
    case "not":
      return { kind: "not", item: resolveCondition(condition.item, scope) };
    case "test":
      return resolveTest(condition.operand, condition.test, scope);
  }
}

type Located =
  | { readonly kind: "field"; readonly field: Field; readonly pointer: boolean }
  | {
      readonly kind: "constant";
      readonly value: bigint;
      readonly width: 16 | 32 | 64;
      readonly signed: boolean;
    }
  | { readonly kind: "unknown" };

function resolveTest(operand: Operand, test: Test, scope: ConditionScope): ResolvedCondition {
  const located = locate(operand, scope);
  if (located.kind === "unknown") return unknown;
  const shape = located.kind === "field" ? located.field : located;
  const values = new ValueReader(shape.width, shape.signed, operand.mask !== undefined, scope);
  const mask = operand.mask === undefined ? undefined : values.mask(operand.mask);
  const comparison = values.comparison(test);
  if (located.kind === "field" && located.pointer && !isNullTest(operand, comparison)) {
    scope.report({
      id: "pointer-compared",
      message: `${printWord(operand)} of ${scope.name} is a pointer: what it points at can change after the check`,
      label: "a pointer can only be compared with 0",
      always: true,
      ...(operand.span === undefined ? {} : { span: operand.span }),
    });
    return unknown;
  }
  if (comparison === undefined || (operand.mask !== undefined && mask === undefined)) return unknown;
  if (comparison === true || comparison === false) return { kind: "known", value: comparison };
  if (located.kind === "constant") {
    return { kind: "known", value: comparisonHolds(located.value, shape, mask, comparison) };
  }
  return { kind: "test", field: located.field, comparison, ...(mask === undefined ? {} : { mask }) };
}

function isNullTest(operand: Operand, comparison: ResolvedComparison | boolean | undefined): boolean {
  if (operand.mask !== undefined || typeof comparison !== "object") return false;
  if (comparison.operator === "nonzero") return true;
  return (comparison.operator === "==" || comparison.operator === "!=") && comparison.value === 0n;
}

function locate(operand: Operand, scope: ConditionScope): Located {
  const { word } = operand;
  const { endian = "little", visibleWords = argumentWords } = abiByName(scope.abi) ?? {};
  const at = operand.span === undefined ? {} : { span: operand.span };
  const raw = (halves: Halves): Located => ({
    kind: "field",
    field: { ...halves, width: 64, signed: false },
    pointer: false,
  });
  if (word.kind === "ip") return raw(wordsOfInstructionPointer(endian));
  if (word.kind === "raw" && word.index < visibleWords) return raw(wordsOfArgument(word.index, endian));
  if (word.kind === "raw") {
    scope.report({ ...hidden(operand, scope), ...at });
    return unknown;
  }
  if (scope.args === undefined) {
    scope.report({
      id: "unknown-arguments",
      message: `the arguments of ${scope.name} are not known on ${scope.abi}`,
      always: false,
      ...at,
    });
    return unknown;
  }
  const argument = argumentNamed(scope.args, word.name);
  if (argument === undefined) {
    const names = scope.args.map((one) => one.name);
    const { args } = scope;
    scope.report({
      id: "unknown-argument",
      message: `${scope.name} has no argument ${JSON.stringify(word.name)}`,
      get label() {
        if (names.length === 0) return "it takes no arguments";
        const guess = nearest(word.name, [...names, ...args.flatMap((one) => one.aliases)]);
        const meant = guess === undefined ? "" : `did you mean ${guess}? `;
        return `${meant}its arguments are ${listWords(args.map(describeArgument), "and")}`;
      },
      always: false,
      ...at,
    });
    return unknown;
  }
  const { place, width, signed } = argument;
  switch (place.kind) {
    case "memory":
      scope.report({ ...hidden(operand, scope), ...at });
      return unknown;
    case "constant":
      return { kind: "constant", value: place.value, width, signed };
    case "words":
      return {
        kind: "field",
        field: {
          low: wordsOfArgument(place.low, endian).low,
          high: wordsOfArgument(place.high, endian).low,
          width: 64,
          signed,
        },
        pointer: false,
      };
    case "word": {
      const halves = wordsOfArgument(place.index, endian);
      const field: Field = width === 64 ? { ...halves, width, signed } : { low: halves.low, width, signed };
      return { kind: "field", field, pointer: argument.kind === "pointer" };
    }
  }
}

/** That no filter can see an argument here. */
function hidden(operand: Operand, scope: ConditionScope): Problem {
  const through = scope.multiplexer === undefined ? "" : ` through ${scope.multiplexer}`;
  const message = `${printWord(operand)} of ${scope.name}${through} lies in memory, where no filter can see it`;
  return scope.unknown !== "most-lenient"
    ? { id: "argument-in-memory", severity: "note", message, always: false }
    : {
        id: "multiplexed-hole",
        severity: "warning",
        message,
        consequence: "what the direct call might allow passes",
        always: false,
      };
}

/** `domain (int)`: an argument as a message lists it. */
export function describeArgument(argument: Argument): string {
  if (argument.kind === "pointer") return `${argument.name} (pointer)`;
  const type = { 16: "short", 32: "int", 64: "64 bits" }[argument.width];
  return `${argument.name} (${argument.signed ? "" : "unsigned "}${type})`;
}
