/** Carries out fixes on the text that they are for. */
import type { Diagnostic, Fix, Source } from "./diagnostic.ts";

export interface FixedText {
  readonly text: string;
  /** The fixes that were carried out; those that touch the same place as an earlier one have to wait. */
  readonly applied: readonly Fix[];
}

/**
 * The text with the fixes of all diagnostics, each whole or not at all. Edits never overlap: of two fixes that do
 * the first is carried out, and the other is for the next reading of the result.
 */
export function applyFixes(diagnostics: readonly Diagnostic[], source: Source): FixedText {
  const applied: Fix[] = [];
  const taken: Edit[] = [];
  for (const { fix } of diagnostics) {
    if (fix === undefined || fix.edits.length === 0) continue;
    const edits = fix.edits.map(({ span, text }) => ({ start: span.start, end: span.end, text }));
    if (fix.edits.some(({ span }) => span.source.name !== source.name)) continue;
    if (edits.some((edit) => taken.some((other) => overlap(edit, other)))) continue;
    taken.push(...edits);
    applied.push(fix);
  }
  taken.sort((a, b) => b.start - a.start);
  const text = taken.reduce(
    (before, edit) => before.slice(0, edit.start) + edit.text + before.slice(edit.end),
    source.text,
  );
  return { text, applied };
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Two edits at one point overlap too: their order would be a guess. */
function overlap(a: Edit, b: Edit): boolean {
  return a.start <= b.end && b.start <= a.end;
}
