/** Conditions: what a selector asks of a call's arguments. The grammar is at the head of `parser.ts`. */
import { describe, integerOf, placed, type Reader, smallInteger, unclosed } from "./cursor.ts";
import type { Token } from "./lexer.ts";
import type { ComparisonOperator, Condition, Operand, Test, Value, ValueRange } from "./types.ts";

const comparisons: readonly string[] = ["==", "!=", "<", "<=", ">", ">="];

export function conditionOf(reader: Reader): Condition {
  const first = reader.peek();
  const items = reader.nested(() => {
    const found = [conjunctionOf(reader)];
    while (reader.accept("||") !== undefined) found.push(conjunctionOf(reader));
    return found;
  });
  const only = items.length === 1 ? items[0] : undefined;
  return only ?? placed({ kind: "or" as const, items }, reader.spanFrom(first));
}

function conjunctionOf(reader: Reader): Condition {
  const first = reader.peek();
  const items = [negationOf(reader)];
  while (reader.accept("&&") !== undefined) items.push(negationOf(reader));
  const only = items.length === 1 ? items[0] : undefined;
  return only ?? placed({ kind: "and" as const, items }, reader.spanFrom(first));
}

function negationOf(reader: Reader): Condition {
  const first = reader.peek();
  if (reader.accept("!") !== undefined) {
    const open = reader.expect("(", "after !: write !(flags & CLONE_NEWUSER)");
    const item = conditionOf(reader);
    if (reader.accept(")") === undefined) unclosed(reader, open);
    return placed({ kind: "not" as const, item }, reader.spanFrom(first));
  }
  if (first.text === "(" && !opensOperand(reader)) {
    const open = reader.next();
    const item = conditionOf(reader);
    if (reader.accept(")") === undefined) unclosed(reader, open);
    return item;
  }
  return testOf(reader);
}

/**
 * `(` begins a parenthesised operand in `(flags & 3) == 1` and a parenthesised condition in `(fd == 1 || fd == 2)`;
 * what stands behind the matching parenthesis tells which. A lone `(flags & 3)` means the same either way.
 */
function opensOperand(reader: Reader): boolean {
  let depth = 0;
  for (let ahead = 0; ; ahead++) {
    const token = reader.peek(ahead);
    if (token.kind === "end") return false;
    if (token.text === "(") depth += 1;
    if (token.text === "&&" || token.text === "||" || token.text === "!") return false;
    if (token.text === ")") depth -= 1;
    if (depth === 0) {
      const after = reader.peek(ahead + 1);
      return comparisons.includes(after.text) || ["in", "not", "within"].includes(after.text);
    }
  }
}

function testOf(reader: Reader): Condition {
  const first = reader.peek();
  const operand = operandOf(reader);
  const test = comparisonOf(reader, operand);
  return placed({ kind: "test" as const, operand, test }, reader.spanFrom(first));
}

function operandOf(reader: Reader): Operand {
  const first = reader.peek();
  if (reader.accept("(") !== undefined) {
    const inner = reader.nested(() => operandOf(reader));
    if (reader.accept(")") === undefined) unclosed(reader, first);
    return inner;
  }
  const word = wordOf(reader);
  if (reader.accept("&") === undefined) return placed({ word }, reader.spanFrom(first));
  const mask = atomOf(reader);
  if (reader.peek().text === "|") {
    const text = (from: Token, to: Token): string => reader.source.text.slice(from.start, to.end).trim();
    const bar = reader.next();
    const more = reader.peek();
    const left = reader.source.text.slice(first.start, bar.start).trim();
    const amp = left.lastIndexOf("&");
    const [name, bits] = [left.slice(0, amp).trim(), left.slice(amp + 1).trim()];
    reader.fail(
      bar,
      "ambiguous-mask",
      `${left} | ${text(more, more)} can be read in two ways`,
      `write ${name} & (${bits} | ${text(more, more)}), or (${name} & ${bits}) || …`,
    );
  }
  return placed({ word, mask }, reader.spanFrom(first));
}

function wordOf(reader: Reader): Operand["word"] {
  const token = reader.next();
  if (token.kind !== "word") {
    const label =
      token.kind === "number"
        ? "the argument stands on the left: fd == 1"
        : "an argument's name is expected here";
    return reader.fail(token, "syntax", `expected an argument, found ${describe(token)}`, label);
  }
  if (token.text === "ip") return { kind: "ip" };
  if (token.text === "args" && reader.accept("[") !== undefined) {
    const index = smallInteger(reader, reader.next(), 5, "an argument's index");
    reader.expect("]", "after the index");
    return { kind: "raw", index };
  }
  return { kind: "argument", name: token.text };
}

function comparisonOf(reader: Reader, operand: Operand): Test {
  const token = reader.peek();
  if (isComparison(token.text)) {
    reader.next();
    return { kind: "compare", operator: token.text, value: valueFrom(reader) };
  }
  if (token.text === "=") return reader.fail(token, "syntax", 'unexpected "="', "a comparison is written ==");
  if (token.text === "within") {
    reader.next();
    if (operand.mask !== undefined)
      reader.fail(token, "syntax", "a masked argument cannot be tested by within", "leave the mask out");
    return { kind: "within", value: valueFrom(reader) };
  }
  if (token.text !== "in" && token.text !== "not") return { kind: "nonzero" };
  const negated = reader.accept("not") !== undefined;
  reader.expect("in", "after not: not in {…}");
  const open = reader.expect("{", "after in");
  const items = [rangeOf(reader)];
  while (reader.accept(",") !== undefined) items.push(rangeOf(reader));
  if (reader.accept("}") === undefined) {
    if (reader.peek().kind === "end") reader.fail(open, "syntax", "this brace is never closed");
    reader.expect("}", "after the values");
  }
  return { kind: "in", negated, items };
}

function isComparison(text: string): text is ComparisonOperator {
  return comparisons.includes(text);
}

function rangeOf(reader: Reader): ValueRange {
  const low = valueFrom(reader);
  return { low, high: reader.accept("..") === undefined ? low : valueFrom(reader) };
}

export function valueFrom(reader: Reader): Value {
  const first = reader.peek();
  const items = [atomOf(reader)];
  while (reader.accept("|") !== undefined) items.push(atomOf(reader));
  const only = items.length === 1 ? items[0] : undefined;
  return only ?? placed({ kind: "union" as const, items }, reader.spanFrom(first));
}

function atomOf(reader: Reader): Value {
  const first = reader.peek();
  if (reader.accept("~") !== undefined) {
    return placed({ kind: "complement" as const, item: plainAtomOf(reader) }, reader.spanFrom(first));
  }
  if (reader.accept("-") !== undefined) {
    if (reader.peek().text === "(")
      reader.fail(reader.peek(), "syntax", "- stands before a number or a name");
    return placed({ kind: "negative" as const, item: plainAtomOf(reader) }, reader.spanFrom(first));
  }
  return plainAtomOf(reader);
}

function plainAtomOf(reader: Reader): Value {
  const token = reader.next();
  if (token.text === "(") {
    const value = reader.nested(() => valueFrom(reader));
    if (reader.accept(")") === undefined) unclosed(reader, token);
    return value;
  }
  if (token.kind === "word")
    return placed(
      { kind: "constant" as const, name: token.text },
      reader.source.spanOf?.(token.start, token.end),
    );
  if (token.kind === "number")
    return placed(
      { kind: "integer" as const, value: integerOf(reader, token) },
      reader.source.spanOf?.(token.start, token.end),
    );
  return reader.fail(
    token,
    "syntax",
    `expected a value, found ${describe(token)}`,
    "a value is a number or a constant such as AF_UNIX",
  );
}
