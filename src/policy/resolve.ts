/**
 * Settles what each rule is about: which numbers of which ABI (names, groups, twins, multiplexed calls, the
 * baseline) and, through `resolve-condition.ts`, which words its condition looks at.
 */
import { type Diagnostic, listWords } from "../diagnostics/index.ts";
import {
  type Abi,
  type AbiName,
  abiByName,
  abis as allAbis,
  argumentNamed,
  compareVersions,
  groupMembers,
  hostAbi,
  type KernelVersion,
  type Multiplexed,
  multiplexedOf,
  type Syscall,
  syscallByName,
  syscallByNumber,
  syscallsOf,
  twinsOf,
} from "../syscalls/index.ts";
import { requireAbi } from "./abi-name.ts";
import { unaskable, whyNotAsked } from "./askable.ts";
import { argumentNames, checkTarget } from "./check-target.ts";
import { resolveCondition } from "./resolve-condition.ts";
import { Report } from "./resolve-report.ts";
import {
  type Entry,
  type Fallback,
  type ResolvedAbi,
  type ResolvedCall,
  type ResolvedCondition,
  type ResolvedPolicy,
  wordsOfArgument,
} from "./resolved.ts";
import type { AbiSelection, Policy, Rule, Selector, SyscallRules } from "./types.ts";

export interface Resolution {
  readonly resolved: ResolvedPolicy;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * The ABIs that a selection means on a target machine; `undefined` where it asks for the native one and there
 * is no target to tell which that is.
 */
export function selectAbis(selection: AbiSelection, target: AbiName | undefined): readonly Abi[] | undefined {
  const machine = target === undefined ? undefined : abiByName(target)?.machine;
  const names = new Set<AbiName>();
  for (const name of selection) {
    if (name !== "native" && name !== "all") names.add(name);
    else if (target === undefined) return undefined;
    else if (name === "native") names.add(target);
    else for (const abi of allAbis) if (abi.machine === machine) names.add(abi.name);
  }
  return allAbis.filter((abi) => names.has(abi.name));
}

const known = new WeakMap<Policy, Map<AbiName | undefined, Resolution>>();

/**
 * Resolves a policy for a target (by default this machine's ABI); `native` and `all` in the policy are the
 * target's. Kept per policy, since policies are values.
 */
export function resolve(policy: Policy, target: AbiName | undefined = hostAbi()): Resolution {
  let resolutions = known.get(policy);
  if (resolutions === undefined) {
    resolutions = new Map();
    known.set(policy, resolutions);
  }
  let resolution = resolutions.get(target);
  if (resolution === undefined) {
    resolution = resolveAnew(policy, target);
    resolutions.set(target, resolution);
  }
  return resolution;
}

function resolveAnew(policy: Policy, target: AbiName | undefined): Resolution {
  const { syscalls } = policy;
  const abis = selectAbis(syscalls.abis, target);
  if (abis === undefined)
    throw new TypeError("the policy is for the native ABI: name a target, since this machine's is not known");
  const report = new Report();
  const rules = [...syscalls.require, ...syscalls.rules];
  for (const rule of rules) for (const selector of rule.selectors) checkTarget(selector, rule, report);
  const resolvedAbis = abis.map((abi) => resolveAbi(abi, syscalls, rules, report));
  return {
    resolved: { policy, abis: resolvedAbis, otherAbis: { action: syscalls.otherAbis, by: "other-abis" } },
    diagnostics: report.diagnostics(),
  };
}

/** Whether a value is a policy that was read: it has its actions as objects; a document has them as text. */
export function isPolicy(value: unknown): value is Policy {
  const syscalls =
    typeof value === "object" && value !== null && "syscalls" in value ? value.syscalls : undefined;
  if (typeof syscalls !== "object" || syscalls === null || !("default" in syscalls)) return false;
  return typeof syscalls.default === "object";
}

/** @throws TypeError for what is no policy: callers in JavaScript may pass anything, above all what was not looked at */
export function requirePolicy(value: unknown): asserts value is Policy {
  if (!isPolicy(value))
    throw new TypeError(
      "this is no policy: readPolicy and loadPolicy give one, or undefined and diagnostics that say why",
    );
}

/**
 * The same for those who go by what the policy says: one with errors says nothing.
 * @throws TypeError where the policy has errors on this target, or is none, and where there is no such target
 */
export function resolveSound(policy: Policy, target: AbiName | undefined = hostAbi()): ResolvedPolicy {
  requirePolicy(policy);
  if (target !== undefined) requireAbi(target);
  const { resolved, diagnostics } = resolve(policy, target);
  const mistake = diagnostics.find((one) => one.severity === "error");
  if (mistake !== undefined) throw new TypeError(`the policy has an error: ${mistake.message}`);
  return resolved;
}

/** Entries as they are gathered: by number, and behind multiplexers by number and code. */
interface Gathered {
  readonly calls: Map<number, Entry[]>;
  readonly behind: Map<string, Entry[]>;
}

function resolveAbi(abi: Abi, syscalls: SyscallRules, rules: readonly Rule[], report: Report): ResolvedAbi {
  const { baseline } = syscalls;
  const isNewer = (since: KernelVersion | undefined): boolean =>
    baseline !== undefined && (since === undefined || compareVersions(since, baseline) > 0);
  // A call's release is only read where there is something to compare it with.
  const isNew = (call: Syscall): boolean => baseline !== undefined && isNewer(call.since);
  // The number of a call may be younger than the call: x86's socket is of 4.3, socketcall's of the first day.
  const isNewBehind = (one: Multiplexed): boolean =>
    isNewer(
      syscallByName("x86_64", one.name)?.since ??
        syscallByName(abi.name, one.multiplexer)?.since ??
        syscallByName(abi.name, one.name)?.since,
    );
  const multiplexed = multiplexedOf(abi.name).map((one) => ({ ...one, isNew: isNewBehind(one) }));
  const gathered: Gathered = { calls: new Map(), behind: new Map() };
  const hiddenNames = new Set(multiplexed.flatMap((one) => [one.name, one.multiplexer]));
  const place = { abi, syscalls, multiplexed, hiddenNames, isNew, gathered, report };

  for (const rule of rules) {
    for (const selector of rule.selectors) {
      if (selector.abi !== undefined && selector.abi !== abi.name) continue;
      gather(selector, rule, place);
    }
  }

  const known: Fallback = { action: syscalls.default, by: "default" };
  const newer: Fallback = { action: syscalls.newer, by: "newer" };
  const codesOf = groupBy(multiplexed, (one) => one.multiplexer);
  const calls: ResolvedCall[] = syscallsOf(abi.name).map((call) => {
    const { nr, name } = call;
    const entries = gathered.calls.get(nr) ?? [];
    const own = { nr, name, entries, fallback: isNew(call) ? newer : known };
    const codes = codesOf.get(name);
    const first = codes?.[0];
    if (codes === undefined || first === undefined) return own;
    return {
      ...own,
      behind: {
        word: wordsOfArgument(first.selector.index, abi.endian).low,
        mask: first.selector.mask,
        calls: codes.map((one) => ({
          code: one.code,
          name: one.name,
          entries: gathered.behind.get(behindKey(one)) ?? [],
          fallback: one.isNew ? newer : known,
        })),
      },
    };
  });
  const inTable = new Set(calls.map((call) => call.nr));
  for (const [nr, entries] of gathered.calls) {
    if (!inTable.has(nr)) calls.push({ nr, name: undefined, entries, fallback: newer });
  }
  calls.sort((a, b) => a.nr - b.nr);
  return { abi, calls, unknownNumber: newer };
}

function behindKey(one: Multiplexed): string {
  return `${one.multiplexer}:${one.code}`;
}

function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): ReadonlyMap<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) push(groups, keyOf(item), item);
  return groups;
}

function push<Key, Item>(map: Map<Key, Item[]>, key: Key, item: Item): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [item]);
  else list.push(item);
}

/** What rules are gathered for: one ABI. */
interface Place {
  readonly abi: Abi;
  readonly syscalls: SyscallRules;
  readonly multiplexed: readonly (Multiplexed & { readonly isNew: boolean })[];
  /** The names of the multiplexers and of all that is behind them. */
  readonly hiddenNames: ReadonlySet<string>;
  readonly isNew: (call: Syscall) => boolean;
  readonly gathered: Gathered;
  readonly report: Report;
}

/** Puts one selector's entries where they belong. */
function gather(selector: Selector, rule: Rule, place: Place): void {
  const { abi, syscalls, multiplexed, isNew, gathered, report } = place;
  const { target, condition } = selector;
  const isMisplaced =
    (target.kind === "group" && rule.action.kind !== "allow") ||
    (target.kind === "any" && condition !== undefined && argumentNames(condition).length > 0);
  const conditionFor = (
    call: Named,
    multiplexer: string | undefined,
    unknown: Entry["unknown"],
  ): ResolvedCondition => {
    if (condition === undefined) return { kind: "known", value: true };
    const { name, args } = call;
    const settledFor = `${abi.name} ${name}`;
    report.placed(selector, settledFor);
    return resolveCondition(condition, {
      abi: abi.name,
      name,
      args,
      ...(multiplexer === undefined ? {} : { multiplexer }),
      unknown,
      // A condition that cannot stand there is one error, not one for each call.
      report: (problem) => (isMisplaced ? undefined : report.add(selector, settledFor, problem)),
    });
  };
  const checkAsked = (call: Named, multiplexer: string | undefined): void => {
    if (rule.action.kind !== "ask") return;
    const why = whyNotAsked(call, abi.name, multiplexer);
    if (why !== undefined) report.add(selector, abi.name, unaskable(selector, call.name, why));
  };
  const direct = (nr: number, call: Named): void => {
    checkAsked(call, undefined);
    const at = abi.numberBase > nr ? abi.numberBase + nr : nr;
    const decided = conditionFor(call, undefined, "strictest");
    push(gathered.calls, at, { rule, condition: decided, unknown: "strictest" });
  };
  const behind = (one: Multiplexed, call: Named, unknown: Entry["unknown"]): void => {
    checkAsked(call, one.multiplexer);
    const decided = conditionFor(call, call.name === one.multiplexer ? undefined : one.multiplexer, unknown);
    push(gathered.behind, behindKey(one), { rule, condition: decided, unknown });
  };

  if (target.kind === "number") {
    const call =
      syscallByNumber(abi.name, target.nr) ?? syscallByNumber(abi.name, abi.numberBase + target.nr);
    direct(target.nr, call ?? { name: `#${target.nr}`, args: undefined });
    for (const one of multiplexed) {
      if (call !== undefined && one.multiplexer === call.name) behind(one, call, "strictest");
    }
    return;
  }

  const hiddenConditions = syscalls.multiplexed === "open" ? "most-lenient" : "strictest";
  /** A rule on a call governs it behind the multiplexer too; one on the multiplexer all that is behind it. */
  const behindMeant = (one: Multiplexed, isWanted: (name: string) => boolean): void => {
    if (isWanted(one.name)) behind(one, one, hiddenConditions);
    else if (isWanted(one.multiplexer)) {
      const call = syscallByName(abi.name, one.multiplexer);
      behind(one, call ?? { name: one.multiplexer, args: undefined }, "strictest");
    }
  };
  // A policy can have a rule for each call: names are looked up, not looked for.
  if (target.kind === "name") {
    const names = twinsOf(target.name);
    const calls = names.flatMap((name) => syscallByName(abi.name, name) ?? []);
    for (const call of calls.sort((a, b) => a.nr - b.nr)) direct(call.nr, call);
    if (names.some((name) => place.hiddenNames.has(name)))
      for (const one of multiplexed) behindMeant(one, (name) => names.includes(name));
    return;
  }
  // Calls newer than the baseline are in no group and not in `*`.
  const isWanted = wantedNames(abi, selector, rule, multiplexed, report);
  for (const call of syscallsOf(abi.name)) {
    if (isWanted(call.name) && !isNew(call)) direct(call.nr, call);
  }
  for (const one of multiplexed) if (!one.isNew) behindMeant(one, isWanted);
}

/** A call as a condition is settled for it. */
type Named = Pick<Syscall, "name" | "args">;

/** Tells which names a selector of a group or of all calls means on an ABI, whatever the baseline. */
function wantedNames(
  abi: Abi,
  selector: Selector,
  rule: Rule,
  multiplexed: readonly Multiplexed[],
  report: Report,
): (name: string) => boolean {
  const { target, condition } = selector;
  if (target.kind !== "group") return () => true;
  const members = new Set((groupMembers(target.name) ?? []).flatMap((name) => [name, ...twinsOf(name)]));
  const needed = condition === undefined ? [] : [...new Set(argumentNames(condition))];
  // A condition on a group with another action is an error, and said to be one.
  if (needed.length === 0 || rule.action.kind !== "allow") return (name) => members.has(name);
  const lacks = (call: Pick<Syscall, "name" | "args">): boolean =>
    members.has(call.name) &&
    (call.args === undefined || needed.some((name) => argumentNamed(call.args ?? [], name) === undefined));
  const left = syscallsOf(abi.name).filter(lacks);
  if (left.length > 0) {
    report.add(selector, abi.name, {
      id: "group-members-left-out",
      severity: "note",
      message: `${target.name} without ${listWords(
        left.map((call) => call.name),
        "and",
      )}: ${left.length === 1 ? "it has" : "they have"} no ${listWords(needed)}`,
      consequence: "",
      always: false,
    });
  }
  const leftOut = new Set([...left, ...multiplexed.filter(lacks)].map((call) => call.name));
  return (name) => members.has(name) && !leftOut.has(name);
}
