/**
 * Fixes for what the readers report. They say beside the caret what was meant; where that is one word in the
 * place of another, it can be written there.
 */
import {
  type Diagnostic,
  type Fix,
  lineText,
  positionAt,
  type Span,
  spanText,
} from "../diagnostics/index.ts";

/** The diagnostic with its fix, where it has none yet and one follows from what it says. */
export function withFix(diagnostic: Diagnostic): Diagnostic {
  if (diagnostic.fix !== undefined || diagnostic.span === undefined) return diagnostic;
  const fix = fixFor(diagnostic, diagnostic.span);
  return fix === undefined ? diagnostic : { ...diagnostic, fix };
}

function fixFor({ id, label = "", message }: Diagnostic, span: Span): Fix | undefined {
  switch (id) {
    case "unknown-syscall":
    case "unknown-group":
    case "unknown-action":
    case "unknown-errno":
    case "unknown-abi":
    case "unknown-argument":
    case "unknown-constant":
    case "unknown-key": {
      const meant = /^did you mean ([^\s?]+)\?/.exec(label)?.[1];
      const word = wordOf(span);
      return meant === undefined || word === undefined
        ? undefined
        : { message: `write ${meant}`, edits: [{ span: word, text: meant }] };
    }
    case "syntax":
      return message === 'unexpected "="' && spanText(span) === "="
        ? { message: "write ==", edits: [{ span, text: "==" }] }
        : undefined;
    case "missing-baseline":
      return baselineAfter(span, /baseline = "([0-9.]+)"/.exec(label)?.[1]);
    default:
      return undefined;
  }
}

/** The misspelt word itself: without quotes around it, and without a mask behind it. */
function wordOf(span: Span): Span | undefined {
  const found = /^["']?([^\s"'&|()]+)/.exec(spanText(span));
  const [whole = "", word = ""] = found ?? [];
  if (word === "") return undefined;
  const start = span.start + whole.length - word.length;
  return { ...span, start, end: start + word.length };
}

/** A baseline beside the default that needs it, where the two can be keys of one section. */
function baselineAfter(value: Span, version: string | undefined): Fix | undefined {
  if (version === undefined) return undefined;
  const { source } = value;
  const { line, column } = positionAt(source, value.start);
  const text = lineText(source, line);
  const before = text.slice(0, column - 1);
  const edit = (at: number, written: string): Fix => ({
    message: `write baseline = "${version}"`,
    edits: [{ span: { source, start: at, end: at }, text: written }],
  });
  if (/"default"\s*:\s*$/.test(before)) return edit(value.end, `, "baseline": "${version}"`);
  const indent = /^([ \t]*)default[ \t]*=[ \t]*$/.exec(before)?.[1];
  if (indent === undefined) return undefined;
  const lineEnd = value.start - (column - 1) + text.length;
  return edit(lineEnd, `\n${indent}baseline = "${version}"`);
}
