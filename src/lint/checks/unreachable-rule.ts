/** A rule, or one selector of it, that never decides. */
import type { Rule } from "../../policy/types.ts";
import { coveringRules, describeCover } from "../../proof/reach.ts";
import { at } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import { idleItems, isHarmless } from "../reach.ts";
import type { Item, Subject } from "../subject.ts";

export const unreachableRule: Lint = {
  documentation: {
    id: "unreachable-rule",
    severity: "warning",
    what: "A rule (or one of its selectors) never decides: the rules before it decide every call that it is about.",
    why: "Rules are tried from top to bottom and the first that matches decides. An exception has to stand above the rule that it is an exception of. Found by an exact search over every number and argument; rules about calls that none of the policy's ABIs has are left alone. In a rule given on the command line or in a container's statement it is an error.",
    example: "deny ptrace\nallow ptrace(request == PTRACE_TRACEME)",
    instead: "allow ptrace(request == PTRACE_TRACEME)\ndeny ptrace",
  },
  check: (subject) => {
    const findings: Finding[] = [];
    for (const { rule, items, isWhole } of idleRules(subject)) {
      if (isWhole) {
        findings.push({ ...describe(subject, items, rule), ...at(rule.span) });
        continue;
      }
      for (const item of items) {
        // The same action twice is no mistake: `redundant-rule` speaks of it.
        if (isHarmless(subject, item)) continue;
        findings.push({ ...describe(subject, [item], item.single), ...at(item.single.span) });
      }
    }
    return findings;
  },
};

interface IdleRule {
  readonly rule: Rule;
  readonly items: readonly Item[];
  /** All of the rule's selectors that are about some call are idle. */
  readonly isWhole: boolean;
}

/** The rules that have idle selectors. */
export function idleRules(subject: Subject): readonly IdleRule[] {
  const byRule = new Map<Rule, Item[]>();
  for (const item of idleItems(subject)) {
    const list = byRule.get(item.rule);
    if (list === undefined) byRule.set(item.rule, [item]);
    else list.push(item);
  }
  if (byRule.size === 0) return [];
  const living = new Map<Rule, number>();
  for (const item of subject.items) {
    if (subject.placementsOf(item).length > 0) living.set(item.rule, (living.get(item.rule) ?? 0) + 1);
  }
  return [...byRule].map(([rule, items]) => ({ rule, items, isWhole: items.length === living.get(rule) }));
}

function describe(subject: Subject, items: readonly Item[], seenFrom: Rule): Finding {
  const coverers = [...new Set(items.flatMap((item) => coveringRules(subject.resolved, item.single) ?? []))];
  const written = { ...seenFrom, selectors: items.map((item) => item.selector) };
  return {
    message: `this rule never decides: ${describeCover(onePerRule(subject, coverers), written)}`,
    label: coverers.length === 0 ? "its condition never holds" : "move it above, or remove it",
  };
}

/** Selectors of one rule are one rule to the reader. */
function onePerRule(subject: Subject, singles: readonly Rule[]): readonly Rule[] {
  return [...new Set(singles.map((single) => subject.itemOf(single)?.rule ?? single))];
}
