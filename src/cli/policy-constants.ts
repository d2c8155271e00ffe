/** The constants that a policy compares arguments with, so that a listing can call numbers by the policy's own names. */
import { printValue, printWord } from "../policy/printer.ts";
import type { Condition, Policy, Test, Value } from "../policy/types.ts";
import { type AbiName, constantValue } from "../syscalls/index.ts";

/** A value as the policy writes it, for an argument of this name. */
export interface NamedValue {
  readonly argument: string;
  readonly text: string;
  readonly value: Value;
}

/** Every value with a constant's name in it. */
export function namedValues({ syscalls }: Policy): readonly NamedValue[] {
  const found = new Map<string, NamedValue>();
  for (const { selectors } of [...syscalls.require, ...syscalls.rules])
    for (const { condition } of selectors)
      for (const one of condition === undefined ? [] : valuesIn(condition))
        found.set(`${one.argument} ${one.text}`, one);
  return [...found.values()];
}

function valuesIn(condition: Condition): readonly NamedValue[] {
  switch (condition.kind) {
    case "or":
    case "and":
      return condition.items.flatMap(valuesIn);
    case "not":
      return valuesIn(condition.item);
    case "test": {
      const { operand, test } = condition;
      const argument = printWord({ word: operand.word });
      const values = [...(operand.mask === undefined ? [] : [operand.mask]), ...valuesOf(test)];
      return values.filter(hasConstant).map((value) => ({ argument, text: printValue(value), value }));
    }
  }
}

function valuesOf(test: Test): readonly Value[] {
  switch (test.kind) {
    case "nonzero":
      return [];
    case "in":
      return test.items.flatMap(({ low, high }) => (low === high ? [low] : [low, high]));
    default:
      return [test.value];
  }
}

function hasConstant(value: Value): boolean {
  switch (value.kind) {
    case "constant":
      return true;
    case "integer":
      return false;
    case "union":
      return value.items.some(hasConstant);
    default:
      return hasConstant(value.item);
  }
}

/** The number on an ABI; undefined where the ABI does not have the constant. */
export function numberOf(value: Value, abi: AbiName): bigint | undefined {
  switch (value.kind) {
    case "integer":
      return value.value;
    case "constant":
      return constantValue(abi, value.name);
    case "union": {
      const items = value.items.map((item) => numberOf(item, abi));
      return items.reduce(
        (sum, item) => (sum === undefined || item === undefined ? undefined : sum | item),
        0n,
      );
    }
    case "negative":
    case "complement": {
      const item = numberOf(value.item, abi);
      return item === undefined ? undefined : value.kind === "negative" ? -item : ~item;
    }
  }
}
