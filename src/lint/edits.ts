/** Edits that more than one lint offers. */
import type { Fix, Span } from "../diagnostics/index.ts";
import { lineText, positionAt } from "../diagnostics/index.ts";
import type { Rule } from "../policy/types.ts";

export function insertion(span: Span, offset: number, text: string): Fix["edits"][number] {
  return { span: { source: span.source, start: offset, end: offset }, text };
}

/**
 * A rule on a line of its own before another one; undefined where the other does not begin its line, as in a
 * list of strings.
 */
export function ruleBefore(rule: Rule, text: string): Fix["edits"][number] | undefined {
  const { span } = rule;
  if (span === undefined || !beginsItsLine(span)) return undefined;
  const { column } = positionAt(span.source, span.start);
  const indent = " ".repeat(column - 1);
  return insertion(span, span.start, `${text}\n${indent}`);
}

/** Whether only white space stands before the span on its line, so that a line of a rule block begins there. */
export function beginsItsLine(span: Span): boolean {
  const { line, column } = positionAt(span.source, span.start);
  return /^[ \t]*$/.test(lineText(span.source, line).slice(0, column - 1));
}

/** The fix as a part of a finding, where there is one. */
export function fixOf(
  message: string,
  ...edits: readonly (Fix["edits"][number] | undefined)[]
): { fix?: Fix } {
  const known = edits.filter((edit) => edit !== undefined);
  return known.length === edits.length && known.length > 0 ? { fix: { message, edits: known } } : {};
}

/** The place as a part of a finding, where there is one. */
export function at(span: Span | undefined): { span?: Span } {
  return span === undefined ? {} : { span };
}
