/**
 * A policy file as data with places: what the TOML, JSON and object readers make, and what `read.ts` takes.
 */
import type { Diagnostic, Source, Span } from "../diagnostics/index.ts";
import type { RuleText } from "./parser.ts";

export type DocumentNode =
  | { readonly kind: "string"; readonly value: string; readonly text: RuleText; readonly span?: Span }
  | { readonly kind: "integer"; readonly value: bigint; readonly span?: Span }
  | { readonly kind: "boolean"; readonly value: boolean; readonly span?: Span }
  | { readonly kind: "array"; readonly items: readonly DocumentNode[]; readonly span?: Span }
  | TableNode
  /** Something that no policy holds: a date, a fraction, null. */
  | { readonly kind: "other"; readonly what: string; readonly span?: Span };

export interface TableNode {
  readonly kind: "table";
  readonly entries: ReadonlyMap<string, { readonly key?: Span; readonly value: DocumentNode }>;
  readonly span?: Span;
}

export interface ParsedDocument {
  readonly root?: TableNode;
  readonly diagnostics: readonly Diagnostic[];
}

/** The rule text of a string whose characters stand unchanged in the source from `offset` on. */
export function plainText(source: Source, text: string, offset: number): RuleText {
  return { text, spanOf: (start, end) => ({ source, start: offset + start, end: offset + end }) };
}

/** The rule text of a string with escapes: `offsets[i]` is where its character `i` stands, with one more for its end. */
export function mappedText(source: Source, text: string, offsets: readonly number[]): RuleText {
  const last = offsets[offsets.length - 1] ?? 0;
  return {
    text,
    spanOf: (start, end) => ({ source, start: offsets[start] ?? last, end: offsets[end] ?? last }),
  };
}
