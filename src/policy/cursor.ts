/** A cursor over the tokens of one rule, and what every reading of rules needs of it. */
import type { Diagnostic, Span } from "../diagnostics/index.ts";
import { readInteger, type Token } from "./lexer.ts";

/** A text and the place of each of its stretches in the source that it was written in. */
export interface RuleText {
  readonly text: string;
  /** Undefined for texts that were given as values, not in a file. */
  readonly spanOf?: (start: number, end: number) => Span;
}

const deepestNesting = 64;

/** Stops the reading of one rule; the next one is read all the same. */
export class RuleSyntaxError extends Error {
  readonly diagnostic: Diagnostic;
  constructor(diagnostic: Diagnostic) {
    super(diagnostic.message);
    this.diagnostic = diagnostic;
  }
}

/** A cursor over the tokens of one rule; reasons are set aside as they come. */
export class Reader {
  readonly source: RuleText;
  readonly #tokens: readonly Token[];
  readonly #reasons: string[] = [];
  #at = 0;
  #depth = 0;

  constructor(source: RuleText, tokens: readonly Token[]) {
    this.source = source;
    this.#tokens = tokens.filter((token) => token.kind !== "reason");
    for (const token of tokens) {
      if (token.kind === "reason") this.#reasons.push(token.text.slice(1).trim());
    }
    const bad = tokens.find((token) => token.kind === "bad");
    if (bad !== undefined) this.fail(bad, "syntax", `unexpected ${JSON.stringify(bad.text)}`, bad.problem);
  }

  /** Reads something that can contain itself; its depth is bounded, so that no text overflows the stack. */
  nested<T>(read: () => T): T {
    this.#depth += 1;
    if (this.#depth > deepestNesting)
      this.fail(this.peek(), "syntax", `more than ${deepestNesting} nested parentheses`);
    const result = read();
    this.#depth -= 1;
    return result;
  }

  get reason(): string | undefined {
    const text = this.#reasons.filter((reason) => reason !== "").join(" ");
    return text === "" ? undefined : text;
  }

  peek(ahead = 0): Token {
    const last = this.#tokens[this.#tokens.length - 1];
    const token = this.#tokens[this.#at + ahead] ?? last;
    if (token === undefined) throw new Error("a rule has at least its end token");
    return token;
  }

  next(): Token {
    const token = this.peek();
    if (token.kind !== "end") this.#at += 1;
    return token;
  }

  /** Takes the symbol (or the word) if it comes next. */
  accept(text: string): Token | undefined {
    const token = this.peek();
    return (token.kind === "symbol" || token.kind === "word") && token.text === text
      ? this.next()
      : undefined;
  }

  expect(text: string, why: string): Token {
    return (
      this.accept(text) ??
      this.fail(
        this.peek(),
        "syntax",
        `expected ${JSON.stringify(text)} ${why}, found ${describe(this.peek())}`,
      )
    );
  }

  expectEnd(what: string): void {
    const token = this.peek();
    if (token.kind !== "end") this.fail(token, "syntax", `unexpected ${describe(token)}`, `expected ${what}`);
  }

  /** The span from a token to the last one taken. */
  spanFrom(first: Token): Span | undefined {
    const last = this.#tokens[this.#at - 1] ?? first;
    return this.source.spanOf?.(first.start, Math.max(first.end, last.end));
  }

  fail(token: Token, id: string, message: string, label?: string): never {
    const span = this.source.spanOf?.(token.start, token.end);
    throw new RuleSyntaxError({
      id,
      severity: "error",
      message,
      ...(span === undefined ? {} : { span }),
      ...(label === undefined ? {} : { label }),
    });
  }
}

/** A token as a message names it. */
export function describe(token: Token): string {
  return token.kind === "end" ? "the end of the rule" : JSON.stringify(token.text);
}

/** Adds the span where there is one: values of the API have none. */
export function placed<T extends object>(value: T, span: Span | undefined): T & { readonly span?: Span } {
  return span === undefined ? value : { ...value, span };
}

export function smallInteger(reader: Reader, token: Token, largest: number, what: string): number {
  const value = integerOf(reader, token);
  if (value > BigInt(largest)) reader.fail(token, "number-out-of-range", `${what} is at most ${largest}`);
  return Number(value);
}

export function integerOf(reader: Reader, token: Token): bigint {
  if (token.kind !== "number")
    return reader.fail(token, "syntax", `expected a number, found ${describe(token)}`);
  const value = readInteger(token.text);
  return typeof value === "string"
    ? reader.fail(token, "bad-number", `${JSON.stringify(token.text)} cannot be read as a number`, value)
    : value;
}

export function unclosed(reader: Reader, open: Token): never {
  const token = reader.peek();
  if (token.kind === "end") return reader.fail(open, "syntax", "this parenthesis is never closed");
  return reader.fail(token, "syntax", `unexpected ${describe(token)}`, "expected &&, || or )");
}
