/** Selectors: which calls a rule is about. */
import { abiByName } from "../syscalls/index.ts";
import { abiAdvice } from "./abi-name.ts";
import { describe, placed, type Reader, smallInteger, unclosed } from "./cursor.ts";
import { conditionOf } from "./parse-condition.ts";
import type { Condition, Selector } from "./types.ts";

export function selectorList(reader: Reader): readonly Selector[] {
  const selectors = [selectorOf(reader)];
  while (reader.accept(",") !== undefined) selectors.push(selectorOf(reader));
  return selectors;
}

function selectorOf(reader: Reader): Selector {
  const first = reader.peek();
  const abi = reader.peek(1).text === ":" ? abiOf(reader) : undefined;
  const target = targetOf(reader);
  let condition: Condition | undefined;
  const open = reader.accept("(");
  if (open !== undefined) {
    if (reader.peek().text === ")") {
      reader.fail(
        reader.peek(),
        "syntax",
        "a condition is missing",
        "leave the parentheses out for every call",
      );
    }
    condition = conditionOf(reader);
    if (reader.accept(")") === undefined) unclosed(reader, open);
  }
  const selector: Selector = {
    target,
    ...(abi === undefined ? {} : { abi }),
    ...(condition === undefined ? {} : { condition }),
  };
  return placed(selector, reader.spanFrom(first));
}

export function abiOf(reader: Reader): Selector["abi"] {
  const token = reader.next();
  reader.next();
  const abi = abiByName(token.text);
  if (abi === undefined)
    return reader.fail(
      token,
      "unknown-abi",
      `there is no ABI ${JSON.stringify(token.text)}`,
      abiAdvice(token.text),
    );
  return abi.name;
}

export function targetOf(reader: Reader): Selector["target"] {
  const token = reader.next();
  if (token.kind === "word") return { kind: "name", name: token.text };
  if (token.text === "*") return { kind: "any" };
  if (token.text === "@") {
    // Group names have hyphens, which are symbols elsewhere: @basic-io.
    let name = "@";
    let at = token.end;
    for (
      let part = reader.peek();
      (part.kind === "word" || part.text === "-") && part.start === at;
      part = reader.peek()
    ) {
      name += part.text;
      at = part.end;
      reader.next();
    }
    if (name === "@") reader.fail(reader.peek(), "syntax", "the group's name is missing after @");
    return { kind: "group", name };
  }
  if (token.text === "#")
    return { kind: "number", nr: smallInteger(reader, reader.next(), 0xffff_ffff, "a call number") };
  return reader.fail(
    token,
    "syntax",
    `expected a call, found ${describe(token)}`,
    "a call is written read, @basic-io, #424 or *",
  );
}
