/**
 * Which rules decide anything at all, and what can be decided for a call of which only a part is known: walks of
 * the policy's own decisions, with the proof's exact sets.
 */
import type { Diagnostic } from "../diagnostics/index.ts";
import { listWords, place, positionAt } from "../diagnostics/index.ts";
import { printSelector } from "../policy/printer.ts";
import type { Entry, ResolvedAbi, ResolvedCall, ResolvedPolicy } from "../policy/resolved.ts";
import type { Rule } from "../policy/types.ts";
import { DecisionMaker } from "./decisions.ts";
import { compareDecisions, type Equality } from "./equality.ts";
import { decisionsOfPolicy, type Origin } from "./policy.ts";

/** One outcome that some call has. */
export interface Case {
  readonly origin: Origin;
  readonly returnValue: number;
  /** The 16 words of such a call. */
  readonly words: readonly number[];
}

/** What a search for outcomes has found. */
export interface Reach {
  readonly cases: readonly Case[];
  /** Whether these are all: the search gives up where it would take too long, and then there may be more. */
  readonly isComplete: boolean;
}

export interface ReachOptions {
  /** Values that words are known to have. */
  readonly known?: ReadonlyMap<number, number>;
  /** Origins that are asked for: once all of them were seen the search ends, and need not be complete. */
  readonly wanted?: ReadonlySet<Origin>;
  /** Steps after which it gives up. */
  readonly budget?: number;
}

/** A person waits for the answer, and no filter hangs on it: some seconds at most. */
const mostSteps = 200_000;

/** The outcomes of all calls whose words have the known values, each with a call that has it. */
export function reachableCases(
  resolved: ResolvedPolicy,
  { known, wanted, budget = mostSteps }: ReachOptions = {},
): Reach {
  const decisions = decisionsOfPolicy(resolved, new DecisionMaker(), { telling: "origins" });
  const found = new Map<number, Case>();
  const missing = new Set(wanted);
  const walk = compareDecisions(decisions, decisions, {
    budget,
    ...(known === undefined ? {} : { known }),
    visit: ({ by, returnValue, id }, _same, call) => {
      if (!isOrigin(by) || found.has(id)) return undefined;
      found.set(id, { origin: by, returnValue, words: call() });
      return missing.delete(by) && missing.size === 0 ? "enough" : undefined;
    },
  });
  return { cases: [...found.values()], isComplete: walk.verdict === "equal" };
}

export function isOrigin(by: unknown): by is Origin {
  return typeof by === "string" || (typeof by === "object" && by !== null && "selectors" in by);
}

/**
 * A warning for each rule that can never decide, because the rules before it decide every call that it is about;
 * none where that cannot be told in time.
 * Rules about calls that none of the policy's ABIs has are left alone: they wait for another ABI.
 * @param isAsked which rules to speak of
 */
export function unreachableRules(
  resolved: ResolvedPolicy,
  isAsked: (rule: Rule) => boolean = () => true,
): readonly Diagnostic[] {
  const { require, rules } = resolved.policy.syscalls;
  const foremost = foremostRules(resolved);
  const doubtful = [...require, ...rules].filter((rule) => isAsked(rule) && !foremost.has(rule));
  if (doubtful.length === 0) return [];
  const { cases, isComplete } = reachableCases(resolved, { wanted: new Set(doubtful) });
  // What was not found in half a search may be in the other half.
  if (!isComplete) return [];
  const deciding = new Set<Origin>(cases.map((one) => one.origin));
  const diagnostics: Diagnostic[] = [];
  for (const rule of doubtful) {
    if (deciding.has(rule)) continue;
    const coverers = coveringRules(resolved, rule);
    if (coverers === undefined) continue;
    diagnostics.push({
      id: "unreachable-rule",
      severity: "warning",
      message: `this rule never decides: ${describeCover(coverers, rule)}`,
      ...(rule.span === undefined ? {} : { span: rule.span }),
      label: coverers.length === 0 ? "its condition never holds" : "move it above, or remove it",
    });
  }
  return diagnostics;
}

/** The rules that stand first, and without a condition, at some call: these decide, and no walk is needed to know. */
function foremostRules(resolved: ResolvedPolicy): ReadonlySet<Rule> {
  const foremost = new Set<Rule>();
  for (const { calls } of resolved.abis) {
    for (const call of calls) {
      if (call.behind !== undefined) continue;
      const [first] = call.entries;
      if (first?.condition.kind === "known" && first.condition.value) foremost.add(first.rule);
    }
  }
  return foremost;
}

/** The rules that stand before `rule` at the numbers that it is about; undefined where it is about none. */
export function coveringRules(resolved: ResolvedPolicy, rule: Rule): readonly Rule[] | undefined {
  const before = new Set<Rule>();
  let isAboutSomething = false;
  for (const { calls } of resolved.abis) {
    for (const call of calls) {
      for (const { entries } of [call, ...(call.behind?.calls ?? [])]) {
        const at = entries.findIndex((entry) => entry.rule === rule);
        if (at === -1) continue;
        isAboutSomething = true;
        // The last rule that decides whatever is left is the one that covers; conditions before it do not matter.
        const whole = entries
          .slice(0, at)
          .find((entry) => entry.condition.kind === "known" && entry.condition.value);
        for (const entry of whole === undefined ? entries.slice(0, at) : [whole]) before.add(entry.rule);
      }
    }
  }
  return isAboutSomething ? [...before] : undefined;
}

/** The policy with some of its calls alone: what is asked of few calls is answered without a look at the others. */
export function policyOfCalls(
  resolved: ResolvedPolicy,
  isAsked: (call: ResolvedCall, abi: ResolvedAbi) => boolean,
): ResolvedPolicy {
  const abis = resolved.abis.map((abi) => ({
    ...abi,
    calls: abi.calls.filter((call) => isAsked(call, abi)),
  }));
  return { ...resolved, abis: abis.filter((abi) => abi.calls.length > 0) };
}

/** The policy with the rules of every call changed, before and behind multiplexers. */
export function withEntries(
  resolved: ResolvedPolicy,
  change: (entries: readonly Entry[]) => readonly Entry[],
): ResolvedPolicy {
  const abis = resolved.abis.map((abi) => ({
    ...abi,
    calls: abi.calls.map((call) => ({
      ...call,
      entries: change(call.entries),
      ...(call.behind === undefined
        ? {}
        : {
            behind: {
              ...call.behind,
              calls: call.behind.calls.map((one) => ({ ...one, entries: change(one.entries) })),
            },
          }),
    })),
  }));
  return { ...resolved, abis };
}

/** Whether two policies answer every call alike; where not, a call and what each says of it. */
export function comparePolicies(a: ResolvedPolicy, b: ResolvedPolicy): Equality {
  const maker = new DecisionMaker();
  return compareDecisions(
    decisionsOfPolicy(a, maker, { telling: "origins" }),
    decisionsOfPolicy(b, maker, { telling: "origins" }),
  );
}

export function describeCover(coverers: readonly Rule[], rule: Rule): string {
  if (coverers.length === 0) return "no call can match it";
  const places = coverers.slice(0, 3).map((one) => describePlace(one, rule));
  const more = coverers.length > 3 ? [...places, `${coverers.length - 3} more`] : places;
  const what = rule.selectors.map((selector) =>
    printSelector(selector.condition === undefined ? selector : { target: selector.target }),
  );
  const verb = coverers.length === 1 ? "matches" : "match";
  return `${listWords(more, "and")} already ${verb} every call to ${listWords(what.slice(0, 3), "and")}${what.length > 3 ? " …" : ""}`;
}

function describePlace(rule: Rule, seenFrom: Rule): string {
  if (rule.span === undefined) return "an earlier rule";
  if (rule.span.source !== seenFrom.span?.source) return place(rule.span);
  return `line ${positionAt(rule.span.source, rule.span.start).line}`;
}
