/** Other rules, as a message about one of them names them. */
import { listWords, positionAt } from "../diagnostics/index.ts";
import type { Rule } from "../policy/types.ts";
import type { RedundantItem } from "./reach.ts";
import type { Subject } from "./subject.ts";

/** `line 8 and the default say the same`: what would decide in a rule's place. */
export function describeInstead(subject: Subject, instead: RedundantItem["instead"], rule: Rule): string {
  const rules = [
    ...new Set(instead.map((one) => (one === "fallback" ? one : (subject.itemOf(one)?.rule ?? one)))),
  ];
  const places = rules.map((one) => {
    if (one === "fallback") return "the default";
    if (one.span === undefined) return "another rule";
    const { line } = positionAt(one.span.source, one.span.start);
    return one.span.source === rule.span?.source ? `line ${line}` : `${one.span.source.name}:${line}`;
  });
  const unique = [...new Set(places)].slice(0, 3);
  return `${listWords(unique, "and")} ${unique.length === 1 ? "says" : "say"} the same`;
}
