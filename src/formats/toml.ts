/** TOML, with the place of every key and value. */
import { type AST, ParseError, parseTOML } from "toml-eslint-parser";
import type { Diagnostic, Source, Span } from "../diagnostics/index.ts";
import {
  type DocumentNode,
  mappedText,
  type ParsedDocument,
  plainText,
  type TableNode,
} from "../policy/document.ts";
import type { RuleText } from "../policy/parser.ts";

type Entries = Map<string, { readonly key?: Span; readonly value: DocumentNode }>;

/** A syntax error is reported alone: nothing after it can be trusted. */
export function parseTomlDocument(source: Source): ParsedDocument {
  try {
    const program = parseTOML(source.text, { tomlVersion: "1.0.0" });
    return { root: rootTable(source, program.body[0].body), diagnostics: [] };
  } catch (error) {
    if (error instanceof ParseError) {
      const start = Math.min(error.index, source.text.length);
      return {
        diagnostics: [
          syntaxError(`this is not TOML: ${lowerFirst(error.message)}`, { source, start, end: start + 1 }),
        ],
      };
    }
    if (error instanceof RangeError)
      return { diagnostics: [syntaxError("this TOML is nested too deeply to be a policy")] };
    throw error;
  }
}

function syntaxError(message: string, span?: Span): Diagnostic {
  return { id: "toml-syntax", severity: "error", message, ...(span === undefined ? {} : { span }) };
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function rootTable(source: Source, body: readonly (AST.TOMLKeyValue | AST.TOMLTable)[]): TableNode {
  const entries: Entries = new Map();
  for (const item of body) {
    if (item.type === "TOMLKeyValue") {
      assign(source, entries, item);
      continue;
    }
    // Where [[name]] begins another element, the last one's table is meant; policies have no such arrays, so
    // that `read.ts` names them as unknown keys.
    const path = item.key.keys;
    let table = entries;
    for (const key of path) table = descend(source, table, key);
    for (const pair of item.body) assign(source, table, pair);
  }
  return { kind: "table", entries, span: { source, start: 0, end: 0 } };
}

function spanOf(source: Source, node: { readonly range: readonly [number, number] }): Span {
  return { source, start: node.range[0], end: node.range[1] };
}

function keyName(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === "TOMLBare" ? key.name : key.value;
}

/** The entries of the table under `key`, made when it is not there. The parser has refused duplicates already. */
function descend(source: Source, entries: Entries, key: AST.TOMLBare | AST.TOMLQuoted): Entries {
  const found = entries.get(keyName(key));
  if (found?.value.kind === "table" && found.value.entries instanceof Map) return found.value.entries;
  const inner: Entries = new Map();
  const span = spanOf(source, key);
  entries.set(keyName(key), { key: span, value: { kind: "table", entries: inner, span } });
  return inner;
}

function assign(source: Source, entries: Entries, pair: AST.TOMLKeyValue): void {
  let table = entries;
  const keys = pair.key.keys;
  for (const key of keys.slice(0, -1)) table = descend(source, table, key);
  const last = keys[keys.length - 1];
  if (last === undefined) return;
  table.set(keyName(last), { key: spanOf(source, last), value: nodeOf(source, pair.value) });
}

function nodeOf(source: Source, node: AST.TOMLContentNode): DocumentNode {
  const span = spanOf(source, node);
  switch (node.type) {
    case "TOMLArray":
      return { kind: "array", items: node.elements.map((element) => nodeOf(source, element)), span };
    case "TOMLInlineTable": {
      const entries: Entries = new Map();
      for (const pair of node.body) assign(source, entries, pair);
      return { kind: "table", entries, span };
    }
    case "TOMLValue":
      switch (node.kind) {
        case "string":
          return { kind: "string", value: node.value, text: stringText(source, node), span };
        case "integer":
          return { kind: "integer", value: node.bigint, span };
        case "boolean":
          return { kind: "boolean", value: node.value, span };
        case "float":
          return { kind: "other", what: "a fraction", span };
        default:
          return { kind: "other", what: "a date or time", span };
      }
  }
}

/** The string's text, every character of it tied to where it stands in the file. */
function stringText(source: Source, node: AST.TOMLStringValue): RuleText {
  const quotes = node.multiline ? 3 : 1;
  let start = node.range[0] + quotes;
  const end = node.range[1] - quotes;
  if (node.multiline && source.text.startsWith("\r\n", start)) start += 2;
  else if (node.multiline && source.text.startsWith("\n", start)) start += 1;
  const raw = source.text.slice(start, end);
  if (node.style === "literal" || !raw.includes("\\")) return plainText(source, raw, start);
  return unescaped(source, raw, start);
}

const escapes: Readonly<Record<string, string>> = {
  b: "\b",
  t: "\t",
  n: "\n",
  f: "\f",
  r: "\r",
  '"': '"',
  "\\": "\\",
};

function unescaped(source: Source, raw: string, offset: number): RuleText {
  let text = "";
  const offsets: number[] = [];
  for (let at = 0; at < raw.length; ) {
    const begin = at;
    let piece = raw[at] ?? "";
    at += 1;
    if (piece === "\\") {
      const letter = raw[at] ?? "";
      at += 1;
      const digits = letter === "u" ? 4 : letter === "U" ? 8 : 0;
      if (digits > 0) {
        piece = String.fromCodePoint(Number.parseInt(raw.slice(at, at + digits), 16));
        at += digits;
      } else if (/\s/.test(letter)) {
        // A backslash at the end of a line swallows all white space after it.
        while (/\s/.test(raw[at] ?? "")) at += 1;
        piece = "";
      } else piece = escapes[letter] ?? letter;
    }
    for (let i = 0; i < piece.length; i++) offsets.push(offset + begin);
    text += piece;
  }
  offsets.push(offset + raw.length);
  return mappedText(source, text, offsets);
}
