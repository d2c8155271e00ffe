/** Which selectors decide anything, and which of them change anything: kept for a policy, since two lints ask. */
import type { Entry, ResolvedCall, ResolvedPolicy } from "../policy/resolved.ts";
import type { Action, Rule } from "../policy/types.ts";
import type { Origin } from "../proof/policy.ts";
import {
  comparePolicies,
  coveringRules,
  policyOfCalls,
  reachableCases,
  withEntries,
} from "../proof/reach.ts";
import { type Item, lets, type Placement, type Subject } from "./subject.ts";

const idleOf = new WeakMap<Subject, readonly Item[]>();

/** The selectors of the policy's own that stand at some call and decide none. */
export function idleItems(subject: Subject): readonly Item[] {
  let idle = idleOf.get(subject);
  if (idle === undefined) {
    const deciders = new Deciders(subject);
    idle = subject.items.filter((item) => {
      const placements = item.isOwn ? subject.placementsOf(item) : [];
      if (placements.length === 0 || placements.some(isForemost)) return false;
      return !placements.some((placement) => deciders.mayDecide(item.single, placement));
    });
    idleOf.set(subject, idle);
  }
  return idle;
}

/** Whether everything that decides in an idle selector's place has the same action. */
export function isHarmless(subject: Subject, item: Item): boolean {
  const coverers = coveringRules(subject.resolved, item.single) ?? [];
  const same = JSON.stringify(item.rule.action);
  return coverers.length > 0 && coverers.every((one) => JSON.stringify(one.action) === same);
}

/** First of its call and without a condition: it decides, and no walk is needed to know. */
function isForemost({ at, entry }: Placement): boolean {
  return at === 0 && isSure(entry);
}

function isSure({ condition }: Entry): boolean {
  return condition.kind === "known" && condition.value;
}

/** What decides some call of each number. */
class Deciders {
  readonly #subject: Subject;
  readonly #unsure = new Set<ResolvedCall>();
  readonly #deciding = new Map<ResolvedCall, ReadonlySet<Origin>>();

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  /** Whether the rule decides; where the search had to give up, it may. */
  mayDecide(rule: Rule, { call }: Placement): boolean {
    let deciding = this.#deciding.get(call);
    if (deciding === undefined) {
      const alone = policyOfCalls(this.#subject.resolved, (one) => one === call);
      const wanted = new Set(
        [call, ...(call.behind?.calls ?? [])].flatMap(({ entries }) => entries.map((one) => one.rule)),
      );
      const reach = reachableCases(alone, { wanted });
      deciding = new Set(reach.cases.map((one) => one.origin));
      this.#deciding.set(call, deciding);
      // Where all of them were seen there is nothing left to be found out.
      if (!reach.isComplete && [...wanted].some((one) => !deciding?.has(one))) this.#unsure.add(call);
    }
    return deciding.has(rule) || this.#unsure.has(call);
  }
}

/** Calls with more rules than this are left out of the exact search: it looks at the call once for each of them. */
const mostEntries = 300;

export interface RedundantItem {
  readonly item: Item;
  /** What would decide the same without it: rules, or what holds where no rule matches. */
  readonly instead: readonly (Rule | "fallback")[];
  /** It has a condition, and the calls that this excludes get the same action from later rules. */
  readonly keepsNothingOut: boolean;
}

/**
 * The selectors of the policy's own that decide, and without which every decision is the same. They can all be
 * left out together: each is judged without those that were found before it, and without the idle ones that say
 * the same as what decides in their place. (What hides an idle rule of another action does change something.)
 */
export function redundantItems(subject: Subject): readonly RedundantItem[] {
  let known = redundantOf.get(subject);
  if (known === undefined) {
    known = findRedundant(subject);
    redundantOf.set(subject, known);
  }
  return known;
}

const redundantOf = new WeakMap<Subject, readonly RedundantItem[]>();

function findRedundant(subject: Subject): readonly RedundantItem[] {
  const idle = idleItems(subject);
  const left = new Set<Rule>(idle.filter((item) => isHarmless(subject, item)).map((item) => item.single));
  const isIdle = new Set(idle);
  const redundant: RedundantItem[] = [];
  for (const item of subject.items) {
    if (!item.isOwn || isIdle.has(item)) continue;
    const placements = subject.placementsOf(item);
    if (placements.length === 0) continue;
    if (placements.some((placement) => surelyChanges(placement, left))) continue;
    if (placements.some((placement) => changes(subject, placement, left))) continue;
    const keepsNothingOut =
      item.selector.condition !== undefined &&
      lets(item.rule.action) &&
      placements.every((placement) => isSameWithoutCondition(subject, placement, left));
    left.add(item.single);
    redundant.push({ item, instead: insteadOf(placements, left), keepsNothingOut });
  }
  return redundant;
}

/** Nothing that can follow has the same action, and the rule decides something: no search is needed. */
function surelyChanges(placement: Placement, left: ReadonlySet<Rule>): boolean {
  const before = placement.decisions.entries.slice(0, placement.at).filter((one) => !left.has(one.rule));
  if (before.length > 0 || !isSure(placement.entry)) return false;
  return following(placement, left).every((one) => !isSame(one.action, placement.entry.rule.action));
}

/** What can decide in the place of a rule. */
function following(
  { decisions, at }: Placement,
  left: ReadonlySet<Rule>,
): readonly { readonly action: Action; readonly by: Rule | "fallback" }[] {
  const found: { action: Action; by: Rule | "fallback" }[] = [];
  for (const entry of decisions.entries.slice(at + 1)) {
    if (left.has(entry.rule) || (entry.condition.kind === "known" && !entry.condition.value)) continue;
    found.push({ action: entry.rule.action, by: entry.rule });
    if (isSure(entry)) return found;
  }
  return [...found, { action: decisions.fallback.action, by: "fallback" }];
}

function changes(subject: Subject, { call, entry }: Placement, left: ReadonlySet<Rule>): boolean {
  if (call.entries.length > mostEntries) return true;
  const kept = keptOf(subject, call, left);
  const without = withEntries(kept, (entries) => entries.filter((one) => one.rule !== entry.rule));
  return comparePolicies(kept, without).verdict !== "equal";
}

/** Whether every decision would be the same if the rule held whatever the arguments. */
function isSameWithoutCondition(
  subject: Subject,
  { call, entry }: Placement,
  left: ReadonlySet<Rule>,
): boolean {
  const kept = keptOf(subject, call, left);
  const always = { kind: "known", value: true } as const;
  const widened = withEntries(kept, (entries) =>
    entries.map((one) => (one.rule === entry.rule ? { ...one, condition: always } : one)),
  );
  return comparePolicies(kept, widened).verdict === "equal";
}

function keptOf(subject: Subject, call: ResolvedCall, left: ReadonlySet<Rule>): ResolvedPolicy {
  const alone = policyOfCalls(subject.resolved, (one) => one === call);
  return withEntries(alone, (entries) => entries.filter((one) => !left.has(one.rule)));
}

function insteadOf(placements: readonly Placement[], left: ReadonlySet<Rule>): RedundantItem["instead"] {
  const action = placements[0]?.entry.rule.action;
  const all = placements
    .flatMap((placement) => following(placement, left))
    .filter((one) => action !== undefined && isSame(one.action, action));
  return [...new Set(all.map((one) => one.by))];
}

function isSame(a: Action, b: Action): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
