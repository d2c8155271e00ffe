/** Puts what is granted into a policy's text: in front of its lists' items, or as sections of their own at its end. */
import type { Source } from "../diagnostics/index.ts";
import { parseTomlDocument } from "../formats/toml.ts";
import type { DocumentNode } from "../policy/document.ts";
import type { LearnedGrants } from "./grants.ts";

type Problem = { readonly problem: string };

/** The text with the grants; a sentence where the file has no place for them. */
export function addGrants(source: Source, grants: LearnedGrants): string | Problem {
  const { read, write, network } = grants;
  let text: string | Problem = source.text;
  const apply = (edit: (current: Source) => string | Problem): void => {
    if (typeof text === "string") text = edit({ name: source.name, text });
  };
  // A new key comes first in its section: the last one here is the first one there.
  apply((current) => addItems(current, "files", "write", write.map(quote)));
  apply((current) => addItems(current, "files", "read", read.map(quote)));
  if (network === "host") {
    apply((current) => setValue(current, "network", "mode", '"host"'));
    // Ports beside the whole network would contradict it.
    apply((current) =>
      find(current, "network", "ports").value === undefined
        ? current.text
        : setValue(current, "network", "ports", "[]"),
    );
  }
  if (Array.isArray(network)) {
    apply((current) => addItems(current, "network", "ports", network.map(String)));
    apply((current) => setValue(current, "network", "mode", '"ports"'));
  }
  return text;
}

/** A basic string: what JSON writes is one, since paths with control characters are never granted. */
function quote(path: string): string {
  return JSON.stringify(path);
}

/** The value of a key, and whether its section is there. */
function find(
  source: Source,
  section: string,
  key: string,
): { readonly isThere: boolean; readonly value: DocumentNode | undefined } {
  const table = parseTomlDocument(source).root?.entries.get(section)?.value;
  if (table?.kind !== "table") return { isThere: false, value: undefined };
  return { isThere: true, value: table.entries.get(key)?.value };
}

function addItems(source: Source, section: string, key: string, items: readonly string[]): string | Problem {
  if (items.length === 0) return source.text;
  const lines = items.map((item) => `  ${item},\n`).join("");
  const { value } = find(source, section, key);
  if (value === undefined) return setValue(source, section, key, `[\n${lines}]`);
  if (value.kind !== "array" || value.span === undefined)
    return { problem: `its ${key} under [${section}] is no list, to which could be added` };
  // In front: behind the last item may be a comma, a comment, or none.
  const at = value.span.start + 1;
  const rest = source.text.slice(at);
  return `${source.text.slice(0, at)}\n${lines}${rest.startsWith("\n") ? rest.slice(1) : `  ${rest.trimStart()}`}`;
}

function setValue(source: Source, section: string, key: string, written: string): string | Problem {
  const { text } = source;
  const { isThere, value } = find(source, section, key);
  if (value?.span !== undefined)
    return `${text.slice(0, value.span.start)}${written}${text.slice(value.span.end)}`;
  if (!isThere) return `${text.trimEnd()}\n\n[${section}]\n${key} = ${written}\n`;
  const header = new RegExp(`^\\[${section}\\][^\\n]*\\n`, "m").exec(text);
  if (header === null)
    return { problem: `it has no [${section}] on a line of its own, below which could be added` };
  const at = header.index + header[0].length;
  return `${text.slice(0, at)}${key} = ${written}\n${text.slice(at)}`;
}
