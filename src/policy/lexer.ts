/**
 * Splits the text of a rule into tokens. A token keeps its place, so that every message can point at the exact
 * word.
 */
export interface Token {
  readonly kind: "word" | "number" | "symbol" | "reason" | "end" | "bad";
  readonly text: string;
  /** Offsets into the rule text. */
  readonly start: number;
  readonly end: number;
  /** Of a bad token: what is wrong with it. */
  readonly problem?: string;
}

const symbols = [
  "==",
  "!=",
  "<=",
  ">=",
  "&&",
  "||",
  "..",
  "(",
  ")",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "@",
  "#",
  "*",
  "&",
  "|",
  "~",
  "-",
  "!",
  "=",
  "<",
  ">",
];
const word = /[A-Za-z_][A-Za-z0-9_]*/y;
const number = /[0-9][0-9A-Za-z_]*/y;

/**
 * The tokens of `text` from `start` to `end`; the last one is of kind `end`. `#` followed by a digit begins a
 * call number, `#` after white space and before white space begins the reason.
 */
export function tokenize(text: string, start: number, end: number): readonly Token[] {
  const tokens: Token[] = [];
  let at = start;
  const push = (kind: Token["kind"], to: number, problem?: string): void => {
    const token = { kind, text: text.slice(at, to), start: at, end: to };
    tokens.push(problem === undefined ? token : { ...token, problem });
    at = to;
  };
  const match = (pattern: RegExp): number | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    return found === null ? undefined : Math.min(end, at + found[0].length);
  };
  while (at < end) {
    const character = text[at] ?? "";
    if (character === " " || character === "\t" || character === "\r") {
      at += 1;
      continue;
    }
    if (character === "#" && !/[0-9]/.test(text[at + 1] ?? "")) {
      if (at + 1 < end && !/\s/.test(text[at + 1] ?? "")) {
        push("bad", end, "a reason begins with # and a space");
      } else push("reason", end);
      continue;
    }
    const wordEnd = match(word);
    if (wordEnd !== undefined) {
      push("word", wordEnd);
      continue;
    }
    const numberEnd = match(number);
    if (numberEnd !== undefined) {
      push("number", numberEnd);
      continue;
    }
    const symbol = symbols.find((candidate) => text.startsWith(candidate, at));
    if (symbol !== undefined && at + symbol.length <= end) {
      push("symbol", at + symbol.length);
      continue;
    }
    const codePoint = text.codePointAt(at) ?? 0;
    push("bad", at + (codePoint > 0xffff ? 2 : 1), `this character has no meaning in a rule`);
  }
  at = end;
  push("end", end);
  return tokens;
}

/** An integer as the language writes it, or what is wrong with it. */
export function readInteger(text: string): bigint | string {
  const digits = text.replaceAll("_", "");
  if (/_(_|$)/.test(text) || /^0[xob]_/i.test(text)) return "underscores stand between digits";
  if (/^(0|[1-9][0-9]*)$/.test(digits)) return BigInt(digits);
  if (/^0x[0-9a-f]+$/i.test(digits) || /^0o[0-7]+$/.test(digits) || /^0b[01]+$/.test(digits))
    return BigInt(digits);
  if (/^0[0-7]+$/.test(digits))
    return `write 0o${digits.replace(/^0+/, "") || "0"} for octal, or ${digits.replace(/^0+/, "") || "0"} for decimal`;
  if (/^0[0-9]+$/.test(digits)) return "a decimal number does not begin with 0";
  return "this is not a number: write decimal, 0x…, 0o… or 0b…";
}
