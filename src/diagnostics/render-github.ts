/**
 * Diagnostics as workflow commands of GitHub Actions: annotations beside the lines of a pull request.
 *
 *     ::error file=p.toml,line=4,col=6,endColumn=13,title=unknown-syscall::there is no system call "unshaer"
 */
import { type Diagnostic, positionAt, type Severity, type Span } from "./diagnostic.ts";
import { place } from "./render-terminal.ts";
import { sanitise } from "./sanitise.ts";

const commands: Readonly<Record<Severity, string>> = { error: "error", warning: "warning", note: "notice" };

/** @param isFile whether a source is a file that the workflow can show; others are named in the message */
export function renderGithub(
  diagnostics: readonly Diagnostic[],
  isFile: (name: string) => boolean = () => true,
): string {
  return diagnostics.map((diagnostic) => `${commandOf(diagnostic, isFile)}\n`).join("");
}

function commandOf(diagnostic: Diagnostic, isFile: (name: string) => boolean): string {
  const { span, id, severity } = diagnostic;
  const shown = span !== undefined && isFile(span.source.name);
  const properties = [...(shown ? placeOf(span) : []), ["title", id] as const]
    .map(([key, value]) => `${key}=${escapeProperty(value)}`)
    .join(",");
  const where = span === undefined || shown ? "" : `${place(span)}: `;
  const lines = [
    `${where}${diagnostic.message}`,
    ...(diagnostic.label === undefined ? [] : [diagnostic.label]),
    ...(diagnostic.notes ?? []).map((note) =>
      note.span === undefined ? note.message : `${place(note.span)}: ${note.message}`,
    ),
  ];
  return `::${commands[severity]} ${properties}::${escapeMessage(lines.map(sanitise).join("\n"))}`;
}

/** Columns only where the span stays in its line: GitHub takes no others. */
function placeOf({ source, start, end }: Span): readonly (readonly [string, string])[] {
  const from = positionAt(source, start);
  const to = positionAt(source, end);
  const line = ["line", `${from.line}`] as const;
  const file = ["file", source.name] as const;
  if (from.line !== to.line) return [file, line, ["endLine", `${to.line}`]];
  return [file, line, ["col", `${from.column}`], ["endColumn", `${Math.max(to.column, from.column)}`]];
}

/** A line break would end the command, and a message could begin another. */
function escapeMessage(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function escapeProperty(text: string): string {
  return escapeMessage(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
