/** Rules as text: reading it again gives the same rules. */
import { printAction } from "./action.ts";
import type { Operand, Rule, Selector, Test, ToldCondition, Value, ValueRange } from "./types.ts";

/** The rule on one line, with its reason. */
export function printRule(rule: Rule): string {
  const head = `${printAction(rule.action)} ${rule.selectors.map(printSelector).join(", ")}`;
  return rule.reason === undefined ? head : `${head}  # ${rule.reason}`;
}

export function printSelector(selector: Selector): string {
  const abi = selector.abi === undefined ? "" : `${selector.abi}:`;
  const condition = selector.condition === undefined ? "" : `(${printCondition(selector.condition)})`;
  return `${abi}${printTarget(selector.target)}${condition}`;
}

function printTarget(target: Selector["target"]): string {
  switch (target.kind) {
    case "name":
    case "group":
      return target.name;
    case "number":
      return `#${target.nr}`;
    case "any":
      return "*";
  }
}

export function printCondition(condition: ToldCondition): string {
  switch (condition.kind) {
    case "or":
      return condition.items
        .map((item) => (item.kind === "or" ? `(${printCondition(item)})` : printCondition(item)))
        .join(" || ");
    case "and":
      return condition.items
        .map((item) =>
          item.kind === "or" || item.kind === "and" ? `(${printCondition(item)})` : printCondition(item),
        )
        .join(" && ");
    case "not":
      return `!(${printCondition(condition.item)})`;
    case "test":
      return printTest(condition.operand, condition.test);
    case "words":
      return condition.words;
  }
}

function printTest(operand: Operand, test: Test): string {
  const word = printWord(operand);
  const masked = operand.mask === undefined ? word : `${word} & ${printAtom(operand.mask)}`;
  switch (test.kind) {
    case "nonzero":
      return masked;
    case "compare":
      return `${operand.mask === undefined ? word : `(${masked})`} ${test.operator} ${printValue(test.value)}`;
    case "in":
      return `${operand.mask === undefined ? word : `(${masked})`} ${test.negated ? "not in" : "in"} {${test.items.map(printRange).join(", ")}}`;
    case "within":
      return `${word} within ${printValue(test.value)}`;
  }
}

/** `domain`, `args[2]`, `ip`: what an operand looks at. */
export function printWord(operand: Operand): string {
  switch (operand.word.kind) {
    case "argument":
      return operand.word.name;
    case "raw":
      return `args[${operand.word.index}]`;
    case "ip":
      return "ip";
  }
}

function printRange(range: ValueRange): string {
  const [low, high] = [printValue(range.low), printValue(range.high)];
  return low === high ? low : `${low}..${high}`;
}

export function printValue(value: Value): string {
  return value.kind === "union" ? value.items.map(printAtom).join(" | ") : printAtom(value);
}

/** Numbers above 9 that are round in binary or large read better in hexadecimal. */
function printInteger(value: bigint): string {
  return value > 4095n ? `0x${value.toString(16)}` : value.toString();
}

function printAtom(value: Value): string {
  switch (value.kind) {
    case "integer":
      return printInteger(value.value);
    case "constant":
      return value.name;
    case "negative":
      return `-${printAtom(value.item)}`;
    case "complement":
      return `~${value.item.kind === "negative" || value.item.kind === "complement" ? `(${printAtom(value.item)})` : printAtom(value.item)}`;
    case "union":
      return `(${printValue(value)})`;
  }
}
