/** JSON, strictly as RFC 8259 has it, with the place of every key and value. */
import type { Source, Span } from "../diagnostics/index.ts";
import {
  type DocumentNode,
  mappedText,
  type ParsedDocument,
  plainText,
  type TableNode,
} from "../policy/document.ts";
import type { RuleText } from "../policy/parser.ts";
import { halfCharacter } from "./limits.ts";

const deepestNesting = 64;

class JsonSyntaxError extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

/** A syntax error is reported alone: nothing after it can be trusted. */
export function parseJsonDocument(source: Source): ParsedDocument {
  try {
    const reader = new JsonReader(source);
    const root = reader.document();
    if (root.kind === "table") return { root, diagnostics: [] };
    const span = root.span ?? { source, start: 0, end: 1 };
    return {
      diagnostics: [
        {
          id: "not-a-policy",
          severity: "error",
          message: 'a policy is an object: { "version": 1, … }',
          span,
        },
      ],
    };
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const start = Math.min(error.at, source.text.length);
    return {
      diagnostics: [
        {
          id: "json-syntax",
          severity: "error",
          message: `this is not JSON: ${error.message}`,
          span: { source, start, end: Math.min(start + 1, source.text.length) },
        },
      ],
    };
  }
}

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};
/** What a string has until its end or its first escape. */
const plainCharacters = /[ !#-[\]-\uffff]*/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

function halfCharacterAt(at: number): JsonSyntaxError {
  return new JsonSyntaxError("this is half a character (a lone surrogate)", at);
}

class JsonReader {
  readonly #source: Source;
  #at = 0;
  #depth = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  document(): DocumentNode {
    const value = this.#value();
    this.#space();
    if (this.#at < this.#source.text.length)
      throw new JsonSyntaxError("there is more text after its end", this.#at);
    return value;
  }

  #space(): void {
    const { text } = this.#source;
    let code = text.charCodeAt(this.#at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      this.#at += 1;
      code = text.charCodeAt(this.#at);
    }
  }

  #spanFrom(start: number): Span {
    return { source: this.#source, start, end: this.#at };
  }

  #take(character: string): boolean {
    this.#space();
    if (this.#source.text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #expect(character: string, where: string): void {
    if (!this.#take(character)) throw new JsonSyntaxError(`expected ${character} ${where}`, this.#at);
  }

  #value(): DocumentNode {
    this.#space();
    const start = this.#at;
    const { text } = this.#source;
    const character = text[start] ?? "";
    if (character === "{" || character === "[") {
      this.#depth += 1;
      if (this.#depth > deepestNesting) throw new JsonSyntaxError("it is nested too deeply", start);
      const node = character === "{" ? this.#object() : this.#array();
      this.#depth -= 1;
      return node;
    }
    if (character === '"') {
      const string = this.#string();
      return { kind: "string", value: string.text, text: string, span: this.#spanFrom(start) };
    }
    for (const [word, node] of [
      ["true", { kind: "boolean", value: true }],
      ["false", { kind: "boolean", value: false }],
      ["null", { kind: "other", what: "null" }],
    ] as const) {
      if (text.startsWith(word, start)) {
        this.#at += word.length;
        return { ...node, span: this.#spanFrom(start) };
      }
    }
    number.lastIndex = start;
    const found = number.exec(text);
    if (found === null) throw new JsonSyntaxError("a value is missing or misspelt here", start);
    this.#at += found[0].length;
    const span = this.#spanFrom(start);
    return /[.eE]/.test(found[0])
      ? { kind: "other", what: "a fraction", span }
      : { kind: "integer", value: BigInt(found[0]), span };
  }

  #object(): TableNode {
    const start = this.#at;
    this.#at += 1;
    const entries = new Map<string, { key: Span; value: DocumentNode }>();
    if (!this.#take("}")) {
      do {
        this.#space();
        const keyStart = this.#at;
        if (this.#source.text[keyStart] !== '"')
          throw new JsonSyntaxError("expected a key in double quotes", keyStart);
        const key = this.#string().text;
        if (entries.has(key))
          throw new JsonSyntaxError(`the key ${JSON.stringify(key)} stands here a second time`, keyStart);
        const span = this.#spanFrom(keyStart);
        this.#expect(":", "after the key");
        entries.set(key, { key: span, value: this.#value() });
      } while (this.#take(","));
      this.#expect("}", "or a comma");
    }
    return { kind: "table", entries, span: this.#spanFrom(start) };
  }

  #array(): DocumentNode {
    const start = this.#at;
    this.#at += 1;
    const items: DocumentNode[] = [];
    if (!this.#take("]")) {
      do items.push(this.#value());
      while (this.#take(","));
      this.#expect("]", "or a comma");
    }
    return { kind: "array", items, span: this.#spanFrom(start) };
  }

  /** The string that begins here, every character of it tied to where it stands in the file. */
  #string(): RuleText {
    const { text } = this.#source;
    const start = this.#at;
    plainCharacters.lastIndex = start + 1;
    plainCharacters.test(text);
    const end = plainCharacters.lastIndex;
    if (text[end] !== '"') return this.#escapedString();
    const value = text.slice(start + 1, end);
    const half = halfCharacter(value);
    if (half !== -1) throw halfCharacterAt(start + 1 + half);
    this.#at = end + 1;
    return plainText(this.#source, value, start + 1);
  }

  /** The same, character by character. */
  #escapedString(): RuleText {
    const { text } = this.#source;
    const start = this.#at;
    const offsets: number[] = [];
    let value = "";
    for (this.#at += 1; ; ) {
      const begin = this.#at;
      const character = text[begin];
      if (character === undefined) throw new JsonSyntaxError("this string is never closed", start);
      this.#at += 1;
      if (character === '"') break;
      if (character < " ")
        throw new JsonSyntaxError("a control character in a string must be escaped", begin);
      let piece = character;
      if (character === "\\") {
        const letter = text[this.#at] ?? "";
        this.#at += 1;
        const hex = text.slice(this.#at, this.#at + 4);
        if (letter === "u" && /^[0-9a-fA-F]{4}$/.test(hex)) {
          piece = String.fromCharCode(Number.parseInt(hex, 16));
          this.#at += 4;
        } else {
          const known = escapes[letter];
          if (known === undefined) throw new JsonSyntaxError("there is no such escape", begin);
          piece = known;
        }
      }
      value += piece;
      offsets.push(begin);
    }
    const half = halfCharacter(value);
    if (half !== -1) throw halfCharacterAt(offsets[half] ?? start);
    offsets.push(this.#at - 1);
    return mappedText(this.#source, value, offsets);
  }
}
