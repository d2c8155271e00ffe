/**
 * What lints look at: a policy selector by selector, each with the places where it stands among a call's rules.
 *
 * A policy is resolved rule by rule; to tell its selectors apart, every rule is taken for as many rules as it has
 * selectors. That changes no decision.
 */
import type { Source } from "../diagnostics/index.ts";
import { resolve } from "../policy/resolve.ts";
import type { Decisions, Entry, ResolvedAbi, ResolvedCall, ResolvedPolicy } from "../policy/resolved.ts";
import type { Action, Policy, Rule, Selector } from "../policy/types.ts";
import { type AbiName, type Argument, multiplexedOf, syscallByNumber } from "../syscalls/index.ts";

/** One selector of one rule. */
export interface Item {
  readonly rule: Rule;
  readonly selector: Selector;
  /** The rule with this selector alone, as it stands in `Subject.resolved`. */
  readonly single: Rule;
  /** Written in the file that is checked, not in a policy that it extends. */
  readonly isOwn: boolean;
}

/** Where an item stands: at one call of one ABI, at one position among the call's rules. */
export interface Placement {
  readonly abi: ResolvedAbi;
  readonly call: ResolvedCall;
  /** The call itself, or the one behind a multiplexer. */
  readonly decisions: Decisions;
  readonly at: number;
  readonly entry: Entry;
  /** Of the call: undefined where the table has no name for its number. */
  readonly name: string | undefined;
  /** The multiplexer that the call is made through. */
  readonly through: string | undefined;
}

export interface Subject {
  readonly policy: Policy;
  /** With one rule for each selector. */
  readonly resolved: ResolvedPolicy;
  readonly items: readonly Item[];
  readonly itemOf: (single: Rule) => Item | undefined;
  readonly placementsOf: (item: Item) => readonly Placement[];
  /** The text that is checked, where it is known. */
  readonly source: Source | undefined;
  readonly target: AbiName | undefined;
}

export interface LintOptions {
  /** What `native` in the policy means; by default this machine's ABI. */
  readonly target?: AbiName;
  /**
   * Whether a source is the text that is checked. What a policy extends is checked where it is written; by
   * default everything is looked at.
   */
  readonly isOwn?: (source: Source) => boolean;
}

export function subjectOf(policy: Policy, options: LintOptions = {}): Subject {
  const items: Item[] = [];
  const isOwn = (rule: Rule): boolean =>
    rule.span === undefined || options.isOwn === undefined || options.isOwn(rule.span.source);
  const singles = (rules: readonly Rule[]): readonly Rule[] =>
    rules.flatMap((rule) =>
      rule.selectors.map((selector) => {
        const span = selector.span ?? rule.span;
        const single = { ...rule, selectors: [selector], ...(span === undefined ? {} : { span }) };
        items.push({ rule, selector, single, isOwn: isOwn(rule) });
        return single;
      }),
    );
  const { syscalls } = policy;
  const split: Policy = {
    ...policy,
    syscalls: { ...syscalls, require: singles(syscalls.require), rules: singles(syscalls.rules) },
  };
  const { resolved } = resolve(split, ...(options.target === undefined ? [] : [options.target]));
  const byRule = new Map(items.map((item) => [item.single, item]));
  let placements: ReadonlyMap<Rule, readonly Placement[]> | undefined;
  return {
    policy,
    resolved,
    items,
    itemOf: (single) => byRule.get(single),
    placementsOf: (item) => {
      placements ??= placementsIn(resolved);
      return placements.get(item.single) ?? [];
    },
    source: items.find((item) => item.isOwn && item.rule.span !== undefined)?.rule.span?.source,
    target: options.target,
  };
}

function placementsIn(resolved: ResolvedPolicy): ReadonlyMap<Rule, readonly Placement[]> {
  const found = new Map<Rule, Placement[]>();
  const put = (rule: Rule, placement: Placement): void => {
    const list = found.get(rule);
    if (list === undefined) found.set(rule, [placement]);
    else list.push(placement);
  };
  for (const abi of resolved.abis) {
    for (const call of abi.calls) {
      for (const { decisions, name, through } of waysTo(call)) {
        decisions.entries.forEach((entry, at) => {
          put(entry.rule, { abi, call, decisions, at, entry, name, through });
        });
      }
    }
  }
  return found;
}

/** A number's own decisions, and those of each call behind it. */
export function waysTo(call: ResolvedCall): readonly Pick<Placement, "decisions" | "name" | "through">[] {
  const own = { decisions: call, name: call.name, through: undefined };
  const behind = call.behind?.calls ?? [];
  return [own, ...behind.map((one) => ({ decisions: one, name: one.name, through: call.name }))];
}

/** The arguments of the call at a placement, as they stand there. */
export function argumentsAt({ abi, call, name, through }: Placement): readonly Argument[] | undefined {
  if (through === undefined) return syscallByNumber(abi.abi.name, call.nr)?.args;
  return multiplexedOf(abi.abi.name).find((one) => one.name === name && one.multiplexer === through)?.args;
}

/** The actions that are possible at a call, by its conditions one by one: the first that surely holds is the last. */
export function possibleActions({ entries, fallback }: Decisions): readonly Action[] {
  const actions: Action[] = [];
  for (const { condition, rule } of entries) {
    if (condition.kind === "known" && !condition.value) continue;
    actions.push(rule.action);
    if (condition.kind === "known") return actions;
  }
  return [...actions, fallback.action];
}

/** Whether an action lets the call through. */
export function lets(action: Action): boolean {
  return action.kind === "allow" || action.kind === "log";
}

/** All of the calls of these names on an ABI, those behind multiplexers too. */
export function decisionsNamed(abi: ResolvedAbi, name: string): readonly Decisions[] {
  let byName = decisionsByName.get(abi);
  if (byName === undefined) {
    const made = new Map<string, Decisions[]>();
    for (const call of abi.calls) {
      for (const way of waysTo(call)) {
        if (way.name === undefined) continue;
        made.set(way.name, [...(made.get(way.name) ?? []), way.decisions]);
      }
    }
    decisionsByName.set(abi, made);
    byName = made;
  }
  return byName.get(name) ?? [];
}

const decisionsByName = new WeakMap<ResolvedAbi, ReadonlyMap<string, readonly Decisions[]>>();
