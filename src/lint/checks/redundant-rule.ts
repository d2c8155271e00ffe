/** A rule, or one selector of it, without which every decision is the same. */
import type { Fix, Span } from "../../diagnostics/index.ts";
import type { Rule } from "../../policy/types.ts";
import { describeInstead } from "../describe-rules.ts";
import { at, beginsItsLine, fixOf } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import { isHarmless, type RedundantItem, redundantItems } from "../reach.ts";
import type { Item } from "../subject.ts";
import { idleRules } from "./unreachable-rule.ts";

export const redundantRule: Lint = {
  documentation: {
    id: "redundant-rule",
    severity: "note",
    what: "A rule (or one of its selectors) changes nothing: without it every decision is the same.",
    why: "What changes nothing misleads: who edits it expects an effect. Not reported are rules with a reason that say what holds anyway where no rule matches, and single selectors of rules with a reason: these tell the reader why.",
    example: "allow read, @basic-io",
    instead: "allow @basic-io",
  },
  check: (subject) => {
    const findings: Finding[] = [];
    for (const { rule, items, isWhole } of idleRules(subject)) {
      if (isWhole || rule.reason !== undefined) continue;
      for (const item of items) {
        if (isHarmless(subject, item)) findings.push(describe(item, "a rule before it says the same"));
      }
    }
    for (const [rule, found] of byRule(redundantItems(subject))) {
      const instead = [...new Set(found.flatMap((one) => one.instead))];
      const isWhole = found.length === rule.selectors.length;
      if (rule.reason !== undefined && (!isWhole || instead.every((one) => one === "fallback"))) continue;
      // As long as one of its selectors changes something, the rule is there for more than the default.
      const spare = isWhole ? found : found.filter((one) => one.instead.some((by) => by !== "fallback"));
      // A condition that keeps nothing out is worse than redundant: `idle-condition` speaks of it.
      if (
        spare.some(
          ({ keepsNothingOut, instead: by }) => keepsNothingOut && by.some((one) => one !== "fallback"),
        )
      )
        continue;
      const why = `${describeInstead(subject, instead, rule)} without it`;
      if (!isWhole) findings.push(...spare.map((one) => describe(one.item, why)));
      else
        findings.push({
          message: `this rule changes nothing: ${why}`,
          label: rule.reason === undefined ? "remove it, or say why it stands here: # …" : "remove it",
          ...at(rule.span),
        });
    }
    return findings;
  },
};

function byRule(redundant: readonly RedundantItem[]): ReadonlyMap<Rule, readonly RedundantItem[]> {
  const found = new Map<Rule, RedundantItem[]>();
  for (const one of redundant) found.set(one.item.rule, [...(found.get(one.item.rule) ?? []), one]);
  return found;
}

function describe(item: Item, why: string): Finding {
  return {
    message: `this selector changes nothing: ${why}`,
    label: "remove it",
    ...at(item.single.span),
    ...fixOf("remove the selector", removal(item)),
  };
}

/** A selector with the comma beside it; undefined where lines would have to be joined. */
function removal({ rule, selector }: Item): Fix["edits"][number] | undefined {
  const index = rule.selectors.indexOf(selector);
  const [before, after] = [rule.selectors[index - 1]?.span, rule.selectors[index + 1]?.span];
  const { span } = selector;
  if (span === undefined) return undefined;
  const between = (start: number, end: number): Fix["edits"][number] | undefined => {
    const cut: Span = { source: span.source, start, end };
    return span.source.text.slice(start, end).includes("\n") || beginsItsLine(span)
      ? undefined
      : { span: cut, text: "" };
  };
  if (after !== undefined) return between(span.start, after.start);
  return before === undefined ? undefined : between(before.end, span.end);
}
