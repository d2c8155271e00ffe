/**
 * Conditions for those who read them and write none: where a filter looks whether a register holds a 32-bit value, that is
 * said, and not which values are none.
 */
import { printCondition, printValue, printWord } from "../policy/printer.ts";
import type { ToldCondition, ValueRange } from "../policy/types.ts";

/** Registers with other bits above a 32-bit value than zeros or copies of its sign. */
const wide = { first: 0x1_0000_0000n, last: 0xffff_ffff_7fff_ffffn };

export function tellCondition(condition: ToldCondition): string {
  return printCondition(inWords(condition));
}

function inWords(condition: ToldCondition): ToldCondition {
  switch (condition.kind) {
    case "and":
    case "or": {
      const { kind } = condition;
      const items = condition.items.map(inWords);
      return { kind, items: items.flatMap((item) => (item.kind === kind ? item.items : [item])) };
    }
    case "not":
      return { kind: "not", item: inWords(condition.item) };
    case "words":
      return condition;
    case "test":
      return testInWords(condition);
  }
}

function testInWords(condition: Extract<ToldCondition, { readonly kind: "test" }>): ToldCondition {
  const { operand, test } = condition;
  if (test.kind !== "in" || operand.mask !== undefined) return condition;
  const others = test.items.filter((item) => !isWide(item));
  if (others.length === test.items.length) return condition;
  const word = printWord(operand);
  const [fits, exceeds] = [`${word} fits in 32 bits`, `${word} does not fit in 32 bits`];
  const width: ToldCondition = test.negated
    ? { kind: "words", words: fits, opposite: exceeds }
    : { kind: "words", words: exceeds, opposite: fits };
  const [only] = others;
  if (only === undefined) return width;
  const rest: ToldCondition = {
    ...condition,
    test:
      others.length === 1 && printValue(only.low) === printValue(only.high)
        ? { kind: "compare", operator: test.negated ? "!=" : "==", value: only.low }
        : { ...test, items: others },
  };
  return { kind: test.negated ? "and" : "or", items: [width, rest] };
}

function isWide({ low, high }: ValueRange): boolean {
  return (
    low.kind === "integer" && low.value === wide.first && high.kind === "integer" && high.value === wide.last
  );
}
