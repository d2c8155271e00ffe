/** `allow read, write(fd == 1)`: was the condition meant for both? */
import { listWords } from "../../diagnostics/index.ts";
import { argumentNames } from "../../policy/check-target.ts";
import { printCondition, printSelector } from "../../policy/printer.ts";
import type { Rule, Selector } from "../../policy/types.ts";
import { argumentNamed } from "../../syscalls/index.ts";
import { at } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import { argumentsAt, type Item, type Subject } from "../subject.ts";

export const conditionOnLast: Lint = {
  documentation: {
    id: "condition-on-last",
    severity: "warning",
    what: "Only the last selector of a rule has a condition, although the calls before it have that argument too.",
    why: "A condition belongs to its own selector alone: `allow read, write(fd == 1)` allows every read. Where that is meant, two rules say it without a doubt.",
    example: "allow read, write(fd == 1)",
    instead: "allow read(fd == 1), write(fd == 1)",
  },
  check: (subject) => {
    const findings: Finding[] = [];
    const items = new Map<Rule, Item[]>();
    for (const item of subject.items) {
      if (!item.isOwn || item.rule.selectors.length < 2) continue;
      items.set(item.rule, [...(items.get(item.rule) ?? []), item]);
    }
    for (const list of items.values()) {
      const last = list[list.length - 1];
      const before = list.slice(0, -1);
      if (last === undefined || last.selector.condition === undefined) continue;
      if (before.some((item) => !isNamed(item.selector) || item.selector.condition !== undefined)) continue;
      const names = [...new Set(argumentNames(last.selector.condition))];
      if (names.length === 0 || !before.every((item) => hasArguments(subject, item, names))) continue;
      const others = before.map((item) => printSelector(item.selector));
      findings.push({
        message: `the condition is for ${printSelector({ target: last.selector.target })} alone: ${listWords(others, "and")} ${others.length === 1 ? "is" : "are"} meant without one?`,
        label: `write ${others[0]}(${printCondition(last.selector.condition)}), or a rule for each`,
        ...at(last.selector.span),
      });
    }
    return findings;
  },
};

function isNamed({ target }: Selector): boolean {
  return target.kind === "name";
}

function hasArguments(subject: Subject, item: Item, names: readonly string[]): boolean {
  const placements = subject.placementsOf(item);
  return (
    placements.length > 0 &&
    placements.every((placement) =>
      names.every((name) => argumentNamed(argumentsAt(placement) ?? [], name) !== undefined),
    )
  );
}
