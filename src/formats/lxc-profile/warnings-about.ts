/** Of what there is to say of an LXC profile, what concerns one call: where LXC does otherwise than is written. */
import type { Diagnostic } from "../../diagnostics/index.ts";

/**
 * The warnings about lines with a call's name in them, however it is written there, and about sections with such a line.
 * @param call as one writes it: a name, or a number, with or without arguments
 */
export function warningsAbout(call: string, diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const word = /[a-z0-9_]+(?=[^a-z0-9_:]*(?:\(|$))/i.exec(call)?.[0].toLowerCase();
  if (word === undefined) return [];
  const names = (text: string): boolean =>
    text
      .toLowerCase()
      .split(/[^a-z0-9_]+/)
      .includes(word);
  return diagnostics.filter(({ id, severity, span }) => {
    if (severity !== "warning" || span === undefined || !id.startsWith("lxc-")) return false;
    if (!id.startsWith("lxc-section-")) return names(lineAt(span.source.text, span.start));
    const section = span.source.text.slice(span.end);
    const end = section.search(/\n\[/);
    return names(end === -1 ? section : section.slice(0, end));
  });
}

/** The whole line: what is marked may be a part of it, an argument's test for instance. */
function lineAt(text: string, at: number): string {
  const start = text.lastIndexOf("\n", at - 1) + 1;
  const end = text.indexOf("\n", at);
  return text.slice(start, end === -1 ? undefined : end);
}
