/** A policy's text for another folder: what it extends by a relative path is still the same file. */
import { dirname, isAbsolute, relative, resolve } from "node:path";
import type { Source } from "../../diagnostics/index.ts";
import { builtinPolicyText } from "../../formats/index.ts";
import { parseTomlDocument } from "../../formats/toml.ts";

/** @param folder where the text was read @param output where it will be */
export function withExtendsFrom(source: Source, folder: string, output: string): string {
  const there = dirname(resolve(output));
  if (there === folder) return source.text;
  const extended = parseTomlDocument(source).root?.entries.get("extends")?.value;
  const nodes = extended?.kind === "array" ? extended.items : extended === undefined ? [] : [extended];
  let { text } = source;
  // From the last on, so that what stands before keeps its place.
  for (const node of nodes.toReversed()) {
    if (node.kind !== "string" || node.span === undefined) continue;
    if (builtinPolicyText(node.value) !== undefined || isAbsolute(node.value)) continue;
    const path = relative(there, resolve(folder, node.value));
    const written = JSON.stringify(path.startsWith(".") ? path : `./${path}`);
    text = text.slice(0, node.span.start) + written + text.slice(node.span.end);
  }
  return text;
}
