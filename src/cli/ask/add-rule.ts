/** A rule put into a policy's text, before the one that asks, with everything else as it is. */
import type { Source, Span } from "../../diagnostics/index.ts";
import { parseTomlDocument } from "../../formats/toml.ts";

/**
 * The text with the rule added; a sentence where it has no place for it.
 * @param asking the rule that asks; where that is in another file, the new rule comes before all others of this one
 */
export function addRuleBefore(
  source: Source,
  rule: string,
  asking: Pick<Span, "start"> | undefined,
): { readonly text: string } | { readonly problem: string } {
  const { root } = parseTomlDocument(source);
  const section = root?.entries.get("syscalls")?.value;
  const rules = section?.kind === "table" ? section.entries.get("rules")?.value : undefined;
  const { text } = source;
  if (rules === undefined) return addRules(text, `rules = '''\n${rule}\n'''\n`, section !== undefined);
  if (rules?.kind === "array") {
    const spans = rules.items.flatMap((item) => (item.span === undefined ? [] : [item.span]));
    const at =
      spans.find(({ start, end }) => asking !== undefined && start <= asking.start && asking.start < end) ??
      spans[0];
    if (at === undefined)
      return rules.span === undefined ? nowhere : insert(text, rules.span.start + 1, `"${rule}"`);
    const indent = indentBefore(text, at.start);
    return insert(text, at.start, `"${rule}",${indent === undefined ? " " : `\n${indent}`}`);
  }
  const block = rules?.span;
  const isBlock = block !== undefined && /^('''|""")/.test(text.slice(block.start, block.start + 3));
  if (block === undefined || !isBlock) return nowhere;
  const inside = asking !== undefined && block.start <= asking.start && asking.start < block.end;
  const indent = inside ? indentBefore(text, asking.start) : undefined;
  if (inside && indent !== undefined) return insert(text, asking.start, `${rule}\n${indent}`);
  // Right behind the opening quotes, where a line's end is not a part of the text.
  const quotes = block.start + 3;
  const newline = /^\r?\n/.exec(text.slice(quotes))?.[0].length ?? 0;
  return insert(text, quotes + newline, `${rule}\n`);
}

const nowhere = { problem: "it has no rules = '''…''' and no list of rules under [syscalls]" };

/** A file's first rules: one that says nothing but what it extends may have asked, too. */
function addRules(
  text: string,
  rules: string,
  hasSection: boolean,
): { readonly text: string } | { readonly problem: string } {
  if (!hasSection) {
    const gap = text === "" || text.endsWith("\n") ? "\n" : "\n\n";
    return insert(text, text.length, `${gap}[syscalls]\n${rules}`);
  }
  const header = /^[ \t]*\[syscalls\][^\n]*\n/m.exec(text);
  return header === null ? nowhere : insert(text, header.index + header[0].length, rules);
}

function insert(text: string, at: number, added: string): { readonly text: string } {
  const newline = text.includes("\r\n") ? added.replaceAll("\n", "\r\n") : added;
  return { text: text.slice(0, at) + newline + text.slice(at) };
}

/** What stands before it in its line, where that is nothing but space. */
function indentBefore(text: string, at: number): string | undefined {
  const line = text.slice(text.lastIndexOf("\n", at - 1) + 1, at);
  return /^[ \t]*$/.test(line) ? line : undefined;
}
