/** A call that is refused or under a condition, while one that does the same is open. */
import { listWords } from "../../diagnostics/index.ts";
import { isDenial } from "../../policy/action.ts";
import type { Rule } from "../../policy/types.ts";
import { at, fixOf, insertion, ruleBefore } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import {
  decisionsNamed,
  type Item,
  lets,
  type Placement,
  possibleActions,
  type Subject,
} from "../subject.ts";
import { type Successor, successors } from "../successors.ts";

export const openSuccessor: Lint = {
  documentation: {
    id: "open-successor",
    severity: "warning",
    what: "A call is refused, or allowed under a condition, while a newer call that does the same is open.",
    why: "openat2 opens what openat is kept from, clone3 starts what clone may not, move_mount mounts without mount. They are different calls with different arguments, so that a rule on the one says nothing of the other; where the flags of the newer one lie in memory it can only be allowed or refused whole. For clone3 and openat2 errno(ENOSYS) makes libraries go back to the older call.",
    example: "deny clone(flags & CLONE_NEWUSER)\nallow clone, clone3",
    instead: "deny clone(flags & CLONE_NEWUSER)\nerrno(ENOSYS) clone3\nallow clone",
  },
  check: (subject) => {
    const findings: Finding[] = [];
    const reported = new Set<string>();
    for (const item of subject.items) {
      if (!item.isOwn) continue;
      const open = new Map<string, Successor>();
      const names: string[] = [];
      for (const placement of subject.placementsOf(item)) {
        const { name } = placement;
        const known = name === undefined ? undefined : successors[name];
        if (name === undefined || known === undefined || !restricts(placement)) continue;
        for (const successor of known) {
          const pair = `${name} ${successor.name}`;
          if (reported.has(pair) || !isOpen(placement, successor)) continue;
          reported.add(pair);
          open.set(successor.name, successor);
          if (!names.includes(name)) names.push(name);
        }
      }
      if (open.size > 0) findings.push(describe(subject, item, names, [...open.values()]));
    }
    return findings;
  },
};

/** Whether a rule keeps calls from being made that could be made without it, or allows only some of them. */
function restricts({ entry, at: index, decisions }: Placement): boolean {
  const { condition, rule } = entry;
  if (condition.kind === "known" && !condition.value) return false;
  const rest = { ...decisions, entries: decisions.entries.slice(index + 1) };
  // Where something is decided already, a later rule restricts nothing.
  const before = decisions.entries.slice(0, index);
  if (before.some((one) => one.condition.kind === "known" && one.condition.value)) return false;
  if (isDenial(rule.action)) return true;
  return lets(rule.action) && condition.kind !== "known" && possibleActions(rest).some(isDenial);
}

/** Every call to it passes. */
function isOpen({ abi, entry }: Placement, { name, onlyConditions }: Successor): boolean {
  if (onlyConditions === true && entry.condition.kind === "known") return false;
  return decisionsNamed(abi, name).some((decisions) => possibleActions(decisions).every(lets));
}

function describe(
  subject: Subject,
  item: Item,
  names: readonly string[],
  open: readonly Successor[],
): Finding {
  const shown = open.map((one) => one.name);
  const isConditioned = item.selector.condition !== undefined;
  const reasons = [...new Set(open.map((one) => one.reason))];
  const notes =
    reasons.length === 1
      ? [{ message: `${listWords(shown, "and")}: ${reasons[0]}` }]
      : open.map((one) => ({ message: `${one.name}: ${one.reason}` }));
  return {
    message: `${listWords(names, "and")} ${names.length === 1 ? "is" : "are"} ${isConditioned ? "under a condition" : "refused"}, but ${listWords(shown, "and")} ${shown.length === 1 ? "is" : "are"} open`,
    label: `refuse ${listWords(shown, "and")} too`,
    notes,
    ...at(item.single.span),
    ...fixFor(subject, item, open),
  };
}

/** Refuses the successors where the rule refuses; what a rule allows under a condition is left to its author. */
function fixFor(
  subject: Subject,
  { rule, selector }: Item,
  open: readonly Successor[],
): ReturnType<typeof fixOf> {
  if (!isDenial(rule.action) || selector.span === undefined) return {};
  const isPlain = selector.condition === undefined && selector.target.kind === "name";
  const own = open.filter((one) => one.answer === undefined);
  const answered = open.filter((one) => one.answer !== undefined);
  // Under a condition the rule means some calls only: to refuse all of the successor's may be too much.
  if (!isPlain && own.length > 0) return {};
  const first = firstRuleNaming(subject, answered, rule);
  const lines = answered.map((one) => `${one.answer ?? ""} ${one.name}`).join("\n");
  return fixOf(
    "refuse the newer calls too",
    ...(own.length === 0
      ? []
      : [insertion(selector.span, selector.span.end, own.map((one) => `, ${one.name}`).join(""))]),
    ...(answered.length === 0 ? [] : [ruleBefore(first, lines)]),
  );
}

/** The new rule has to stand before every rule that lets the call through: before this one, or an earlier one. */
function firstRuleNaming(subject: Subject, open: readonly Successor[], rule: Rule): Rule {
  const names = new Set(open.map((one) => one.name));
  for (const item of subject.items) {
    if (item.rule === rule) return rule;
    if (item.isOwn && subject.placementsOf(item).some((one) => names.has(one.name ?? ""))) return item.rule;
  }
  return rule;
}
