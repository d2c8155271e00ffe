/**
 * Diagnostics as SARIF 2.1.0 (OASIS): what code scanning services take.
 *
 * A text without a place in the file system (a built-in policy, standard input) gets a logical location instead.
 */
import { type Diagnostic, positionAt, type Severity, type Span } from "./diagnostic.ts";
import type { Documentation } from "./documentation.ts";

export interface SarifOptions {
  /** Of callgate. */
  readonly version: string;
  /** What the manual says of an id. */
  readonly documentationOf: (id: string) => Documentation | undefined;
  /** Whether a source is a file; others have no artifact. */
  readonly isFile?: (name: string) => boolean;
}

const schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

export function renderSarif(diagnostics: readonly Diagnostic[], options: SarifOptions): string {
  const isFile = options.isFile ?? (() => true);
  const ids = [...new Set(diagnostics.map((one) => one.id))].sort();
  const log = {
    $schema: schema,
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "callgate",
            semanticVersion: options.version,
            rules: ids.map((id) => ruleOf(id, options.documentationOf(id))),
          },
        },
        // Lines and columns are counted as JavaScript does.
        columnKind: "utf16CodeUnits",
        results: diagnostics.map((one) => resultOf(one, ids.indexOf(one.id), isFile)),
      },
    ],
  };
  return JSON.stringify(log, null, 2);
}

function ruleOf(id: string, documentation: Documentation | undefined): object {
  if (documentation === undefined) return { id };
  const { what, why, severity, example, instead } = documentation;
  const block = (title: string, text: string | undefined): string =>
    text === undefined ? "" : `\n\n${title}\n\n\`\`\`\n${text.trimEnd()}\n\`\`\``;
  return {
    id,
    shortDescription: { text: plain(what) },
    fullDescription: { text: plain(why) },
    help: {
      text: `${plain(what)}\n\n${plain(why)}`,
      markdown: `${what}\n\n${why}${block("Instead of", example)}${block("write", instead)}`,
    },
    defaultConfiguration: { level: severity },
  };
}

function plain(text: string): string {
  return text.replaceAll("`", "");
}

function resultOf(
  { id, severity, message, label, span, notes, fix }: Diagnostic,
  ruleIndex: number,
  isFile: (name: string) => boolean,
): object {
  const text = label === undefined ? message : `${message}: ${label}`;
  const related = (notes ?? []).map((note, index) => ({
    id: index + 1,
    message: { text: note.message },
    ...(note.span !== undefined && isFile(note.span.source.name) ? physical(note.span) : {}),
  }));
  const edits = fix?.edits.filter((edit) => isFile(edit.span.source.name)) ?? [];
  const isWhole = fix !== undefined && edits.length === fix.edits.length && edits.length > 0;
  return {
    ruleId: id,
    ruleIndex,
    level: levels[severity],
    message: { text },
    locations: span === undefined ? [] : [locationOf(span, isFile)],
    ...(related.length === 0 ? {} : { relatedLocations: related }),
    ...(isWhole
      ? { fixes: [{ description: { text: fix.message }, artifactChanges: changesOf(fix.edits) }] }
      : {}),
  };
}

const levels: Readonly<Record<Severity, string>> = { error: "error", warning: "warning", note: "note" };

function locationOf(span: Span, isFile: (name: string) => boolean): object {
  if (isFile(span.source.name)) return physical(span);
  const { line, column } = positionAt(span.source, span.start);
  return {
    logicalLocations: [{ fullyQualifiedName: span.source.name, kind: "module" }],
    message: { text: `${span.source.name}:${line}:${column}` },
  };
}

function physical(span: Span): object {
  return {
    physicalLocation: {
      artifactLocation: { uri: uriOf(span.source.name) },
      region: regionOf(span),
    },
  };
}

function regionOf({ source, start, end }: Span): object {
  const from = positionAt(source, start);
  const to = positionAt(source, end);
  return {
    startLine: from.line,
    startColumn: from.column,
    endLine: to.line,
    endColumn: to.column,
  };
}

/** Edits by file. */
function changesOf(edits: NonNullable<Diagnostic["fix"]>["edits"]): readonly object[] {
  const names = [...new Set(edits.map((edit) => edit.span.source.name))];
  return names.map((name) => ({
    artifactLocation: { uri: uriOf(name) },
    replacements: edits
      .filter((edit) => edit.span.source.name === name)
      .map((edit) => ({ deletedRegion: regionOf(edit.span), insertedContent: { text: edit.text } })),
  }));
}

/** A path as a URI reference: relative paths stay relative, to where the command ran. */
function uriOf(path: string): string {
  const encoded = path.replaceAll("\\", "/").split("/").map(encodeURIComponent).join("/");
  return path.startsWith("/") ? `file://${encoded}` : encoded;
}
