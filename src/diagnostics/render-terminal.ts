import { displayWidth, firstColumns, lastColumns } from "./columns.ts";
import { type Diagnostic, lineText, positionAt, type Severity, type Span } from "./diagnostic.ts";
import { sanitise } from "./sanitise.ts";

/** How a terminal wants its text. */
export interface TerminalOptions {
  /** Colours are sent only where this is true. */
  readonly colour: boolean;
  /** Columns; a longer source line is cut around the caret. */
  readonly width: number;
}

const colours: Readonly<Record<Severity | "place" | "caret", string>> = {
  error: "31;1",
  warning: "33;1",
  note: "36",
  place: "1",
  caret: "32",
};

/**
 * Diagnostics as people read them: `file:line:column severity id: message`, the line, and a caret under the
 * exact word.
 */
export function renderTerminal(diagnostics: readonly Diagnostic[], options: TerminalOptions): string {
  const paint = (colour: keyof typeof colours, text: string): string =>
    options.colour ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text;

  const frame = (span: Span, label: string): string => {
    const { line, column } = positionAt(span.source, span.start);
    const gutter = String(line).padStart(4);
    const whole = lineText(span.source, line);
    const room = Math.max(20, options.width - gutter.length - 3);
    // A long line is cut so that the caret stays in view, between characters and never inside one.
    const left = sanitise(whole.slice(0, column - 1));
    const middle = sanitise(whole.slice(column - 1, column - 1 + Math.max(1, span.end - span.start)));
    const right = sanitise(whole.slice(column - 1 + Math.max(1, span.end - span.start)));
    const start = displayWidth(left) + 16 <= room ? left : lastColumns(left, room >> 1);
    const before = displayWidth(start);
    const shown = firstColumns(start + middle + right, room);
    const carets = "^".repeat(Math.max(1, Math.min(displayWidth(middle), room - before)));
    const caretLine = `${" ".repeat(before)}${paint("caret", carets)}`;
    const beside = label === "" ? "" : ` ${paint("caret", sanitise(label))}`;
    const wide = before + carets.length + 1 + displayWidth(label) > room && label !== "";
    return [
      `${gutter} | ${shown}`,
      wide
        ? `${" ".repeat(gutter.length)} | ${caretLine}\n${" ".repeat(gutter.length)} =${beside}`
        : `${" ".repeat(gutter.length)} | ${caretLine}${beside}`,
    ].join("\n");
  };

  const lines: string[] = [];
  for (const diagnostic of diagnostics) {
    const head = `${paint(diagnostic.severity, diagnostic.severity)} ${diagnostic.id}: ${sanitise(diagnostic.message)}`;
    lines.push(diagnostic.span === undefined ? head : `${paint("place", place(diagnostic.span))} ${head}`);
    if (diagnostic.span !== undefined) lines.push(frame(diagnostic.span, diagnostic.label ?? ""));
    else if (diagnostic.label !== undefined) lines.push(`     = ${sanitise(diagnostic.label)}`);
    for (const note of diagnostic.notes ?? []) {
      lines.push(`     = ${note.span === undefined ? "" : `${place(note.span)}: `}${sanitise(note.message)}`);
    }
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

/** `file:line:column` of a span's start. */
export function place(span: Span): string {
  const { line, column } = positionAt(span.source, span.start);
  return `${sanitise(span.source.name)}:${line}:${column}`;
}
