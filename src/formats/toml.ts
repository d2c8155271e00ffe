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
  let at = (offset: number): number => offset;
  try {
    const { text, restore, tooLong } = withoutLongBlocks(source.text);
    if (tooLong !== undefined) {
      const span = { source, start: tooLong, end: tooLong + 3 };
      return { diagnostics: [syntaxError("this string is too long to be read: write it between '''", span)] };
    }
    at = restore;
    const program = parseTOML(text, { tomlVersion: "1.0.0" });
    return { root: rootTable({ source, restore }, program.body[0].body), diagnostics: [] };
  } catch (error) {
    if (error instanceof ParseError) {
      const start = Math.min(at(error.index), source.text.length);
      return {
        diagnostics: [
          syntaxError(`this is not TOML: ${lowerFirst(error.message)}`, {
            source,
            start,
            end: Math.min(start + 1, source.text.length),
          }),
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

/** The source, and where in it a place is that the parser names. */
interface TomlFile {
  readonly source: Source;
  readonly restore: (offset: number) => number;
}

/** The parser overflows the stack on strings of some 120,000 characters; rules can be as long. */
const longestString = 64 * 1024;
const beginning = /#[^\n]*|"""|'''|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'/g;

/** Where the closing quotes of a block begin: the last three of a run, and in a basic block no escaped ones. */
function endOfBlock(text: string, quotes: string, start: number): number {
  let end = text.indexOf(quotes, start);
  while (end !== -1 && quotes === '"""' && /(?<!\\)(?:\\\\)*\\$/.test(text.slice(start, end).slice(-64))) {
    end = text.indexOf(quotes, end + 1);
  }
  while (end !== -1 && text.startsWith(quotes, end + 1)) end += 1;
  return end;
}

/** The text without the contents of its long ''' blocks. `tooLong` is where a long """ block begins, which has escapes. */
function withoutLongBlocks(text: string): {
  readonly text: string;
  readonly restore: (offset: number) => number;
  readonly tooLong?: number;
} {
  const cuts: { readonly at: number; readonly length: number }[] = [];
  let kept = "";
  let from = 0;
  const restore = (offset: number): number =>
    cuts.reduce((sum, { at, length }) => (at < offset ? sum + length : sum), offset);
  if (text.length <= longestString) return { text, restore };
  beginning.lastIndex = 0;
  for (let found = beginning.exec(text); found !== null; found = beginning.exec(text)) {
    const [quotes] = found;
    if (quotes !== "'''" && quotes !== '"""') continue;
    const start = found.index + 3;
    const end = endOfBlock(text, quotes, start);
    if (end === -1) break;
    beginning.lastIndex = end + 3;
    if (end - start <= longestString) continue;
    if (quotes !== "'''") return { text, restore, tooLong: found.index };
    kept += text.slice(from, start);
    cuts.push({ at: kept.length, length: end - start });
    from = end;
  }
  return { text: kept + text.slice(from), restore };
}

function rootTable(file: TomlFile, body: readonly (AST.TOMLKeyValue | AST.TOMLTable)[]): TableNode {
  const entries: Entries = new Map();
  for (const item of body) {
    if (item.type === "TOMLKeyValue") {
      assign(file, entries, item);
      continue;
    }
    const path = item.key.keys;
    let table = entries;
    for (const key of item.kind === "array" ? path.slice(0, -1) : path) table = descend(file, table, key);
    const last = path[path.length - 1];
    if (item.kind === "array" && last !== undefined) {
      // Policies have no lists of tables: `read.ts` says so, whatever is in them.
      const span = spanOf(file, last);
      table.set(keyName(last), { key: span, value: { kind: "array", items: [], span } });
      continue;
    }
    for (const pair of item.body) assign(file, table, pair);
  }
  return { kind: "table", entries, span: { source: file.source, start: 0, end: 0 } };
}

function spanOf({ source, restore }: TomlFile, node: { readonly range: readonly [number, number] }): Span {
  const start = restore(node.range[0]);
  // To the parser a lone 0 at the end of the file is of no length.
  return { source, start, end: Math.max(start + 1, restore(node.range[1])) };
}

function keyName(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === "TOMLBare" ? key.name : key.value;
}

/** The entries of the table under `key`, made when it is not there. The parser has refused duplicates already. */
function descend(file: TomlFile, entries: Entries, key: AST.TOMLBare | AST.TOMLQuoted): Entries {
  const found = entries.get(keyName(key));
  if (found?.value.kind === "table" && found.value.entries instanceof Map) return found.value.entries;
  // Inside a list of tables.
  if (found?.value.kind === "array") return new Map();
  const inner: Entries = new Map();
  const span = spanOf(file, key);
  entries.set(keyName(key), { key: span, value: { kind: "table", entries: inner, span } });
  return inner;
}

function assign(file: TomlFile, entries: Entries, pair: AST.TOMLKeyValue): void {
  let table = entries;
  const keys = pair.key.keys;
  for (const key of keys.slice(0, -1)) table = descend(file, table, key);
  const last = keys[keys.length - 1];
  if (last === undefined) return;
  table.set(keyName(last), { key: spanOf(file, last), value: nodeOf(file, pair.value) });
}

function nodeOf(file: TomlFile, node: AST.TOMLContentNode): DocumentNode {
  const span = spanOf(file, node);
  switch (node.type) {
    case "TOMLArray":
      return { kind: "array", items: node.elements.map((element) => nodeOf(file, element)), span };
    case "TOMLInlineTable": {
      const entries: Entries = new Map();
      for (const pair of node.body) assign(file, entries, pair);
      return { kind: "table", entries, span };
    }
    case "TOMLValue":
      switch (node.kind) {
        case "string":
          return stringNode(stringText(file, node), span);
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

function stringNode(text: RuleText, span: Span): DocumentNode {
  return { kind: "string", value: text.text, text, span };
}

/** The string's text, every character of it tied to where it stands in the file. */
function stringText(file: TomlFile, node: AST.TOMLStringValue): RuleText {
  const { source } = file;
  const quotes = node.multiline ? 3 : 1;
  const span = spanOf(file, node);
  let start = span.start + quotes;
  const end = span.end - quotes;
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
