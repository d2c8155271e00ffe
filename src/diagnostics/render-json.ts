import { type Diagnostic, positionAt, type Span } from "./diagnostic.ts";

/** A place in a file for programs: lines and columns from 1, the end not included. */
export interface JsonPlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** A diagnostic for programs; absent things are null, so that every object has the same keys. */
export interface JsonDiagnostic {
  readonly id: string;
  readonly severity: string;
  readonly message: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
  readonly endLine: number | null;
  readonly endColumn: number | null;
  readonly label: string | null;
  readonly notes: readonly { readonly message: string; readonly place: JsonPlace | null }[];
  readonly fix: {
    readonly message: string;
    readonly edits: readonly { readonly place: JsonPlace; readonly text: string }[];
  } | null;
}

function jsonPlace(span: Span): JsonPlace {
  const start = positionAt(span.source, span.start);
  const end = positionAt(span.source, span.end);
  return {
    file: span.source.name,
    line: start.line,
    column: start.column,
    endLine: end.line,
    endColumn: end.column,
  };
}

/** Diagnostics as plain objects, ready for `JSON.stringify`. */
export function diagnosticsToJson(diagnostics: readonly Diagnostic[]): readonly JsonDiagnostic[] {
  return diagnostics.map((diagnostic) => {
    const where = diagnostic.span === undefined ? undefined : jsonPlace(diagnostic.span);
    return {
      id: diagnostic.id,
      severity: diagnostic.severity,
      message: diagnostic.message,
      file: where?.file ?? null,
      line: where?.line ?? null,
      column: where?.column ?? null,
      endLine: where?.endLine ?? null,
      endColumn: where?.endColumn ?? null,
      label: diagnostic.label ?? null,
      notes: (diagnostic.notes ?? []).map((note) => ({
        message: note.message,
        place: note.span === undefined ? null : jsonPlace(note.span),
      })),
      fix:
        diagnostic.fix === undefined
          ? null
          : {
              message: diagnostic.fix.message,
              edits: diagnostic.fix.edits.map((edit) => ({ place: jsonPlace(edit.span), text: edit.text })),
            },
    };
  });
}
