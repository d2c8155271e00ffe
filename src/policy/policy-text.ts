/**
 * A policy that was read, as one line of JSON, and back: every value and every place as it was, with the texts of the
 * sources that its places lie in. For programs of one build to hand a policy on; people write policies in TOML.
 *
 * A place is `[source, start, end]`, a value with an integer `{ "integer": "0x1f" }`; everything else is itself.
 */
import type { Source, Span } from "../diagnostics/index.ts";
import type { Policy } from "./types.ts";

export function policyText(policy: Policy): string {
  const sources: Source[] = [];
  const place = ({ source, start, end }: Span): readonly number[] => {
    if (!sources.includes(source)) sources.push(source);
    return [sources.indexOf(source), start, end];
  };
  // The policy first: the list of sources is whole when all places are written.
  const written = JSON.stringify(policy, (key, value: unknown) => {
    if (typeof value === "bigint") return { integer: `0x${value.toString(16)}` };
    // A variable that is called so has a text.
    return key === "span" && typeof value === "object" ? place(value as Span) : value;
  });
  return `{"policy":${written},"sources":${JSON.stringify(sources)}}`;
}

/** @param text what `policyText` of the same build has written */
export function policyOfText(text: string): Policy {
  const { policy, sources } = JSON.parse(text);
  restore(policy, sources);
  return policy;
}

/** Puts places and integers back into what JSON has made. */
function restore(within: Record<string, unknown>, sources: readonly Source[]): void {
  for (const key in within) {
    const value = within[key];
    if (typeof value !== "object" || value === null) continue;
    if (key === "span" && Array.isArray(value)) {
      const [source, start, end] = value;
      within[key] = { source: sources[source], start, end };
    } else if (key === "value" && "integer" in value) within[key] = BigInt(String(value.integer));
    else restore(value as Record<string, unknown>, sources);
  }
}
