/**
 * What callgate has to say about a text, as data. Readers and checks make diagnostics; the renderers beside
 * this file turn them into lines for people or objects for programs.
 */

/** A text that was read, and the name it is known by in messages: a path, `built-in default`, `--deny`. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

/** A stretch of a source, in UTF-16 offsets; `end` is not included. */
export interface Span {
  readonly source: Source;
  readonly start: number;
  readonly end: number;
}

export type Severity = "error" | "warning" | "note";

/** Something said in addition, at a place of its own or at none. */
export interface Note {
  readonly message: string;
  readonly span?: Span;
}

/** What to write instead: edits to the source that mend the finding. */
export interface Fix {
  readonly message: string;
  readonly edits: readonly { readonly span: Span; readonly text: string }[];
}

export interface Diagnostic {
  /** Stable, lower-case, hyphenated: `unknown-syscall`. */
  readonly id: string;
  readonly severity: Severity;
  /** One sentence without a full stop: what is wrong, in the reader's own words. */
  readonly message: string;
  readonly span?: Span;
  /** What stands beside the caret: what to write instead. */
  readonly label?: string;
  readonly notes?: readonly Note[];
  readonly fix?: Fix;
}

/** A place as people count it: lines and columns from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

const lineStartsOf = new WeakMap<Source, readonly number[]>();

function lineStarts(source: Source): readonly number[] {
  const known = lineStartsOf.get(source);
  if (known !== undefined) return known;
  const starts = [0];
  for (let at = source.text.indexOf("\n"); at !== -1; at = source.text.indexOf("\n", at + 1))
    starts.push(at + 1);
  lineStartsOf.set(source, starts);
  return starts;
}

/** The line and column of an offset into the source's text. */
export function positionAt(source: Source, offset: number): Position {
  const starts = lineStarts(source);
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
}

/** The text of a line (counted from 1), without its line break. */
export function lineText(source: Source, line: number): string {
  const starts = lineStarts(source);
  const start = starts[line - 1] ?? source.text.length;
  const end = starts[line] ?? source.text.length + 1;
  return source.text.slice(start, end - 1).replace(/\r$/, "");
}

/** The text that a span covers. */
export function spanText(span: Span): string {
  return span.source.text.slice(span.start, span.end);
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((diagnostic) => diagnostic.severity === "error");
}
