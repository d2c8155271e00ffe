/** Rules for what was seen: one a call, each with where it comes from; and those that follow from them. */
import { type Denial, kindOf, narrowSelector, visibleMatters } from "../denials/index.ts";
import { sanitise } from "../diagnostics/index.ts";
import { plainText } from "../policy/document.ts";
import { evaluate } from "../policy/evaluate.ts";
import { extendPolicy } from "../policy/extend.ts";
import { parseRules } from "../policy/parser.ts";
import { printSelector } from "../policy/printer.ts";
import type { Policy, Selector } from "../policy/types.ts";
import { type AbiName, multiplexedOf, syscallByName, syscallByNumber } from "../syscalls/index.ts";
import { families, successors } from "./families.ts";
import type { Observation, SeenCall } from "./records.ts";

export interface LearnedRule {
  /** `allow socket(domain == AF_UNIX)`. */
  readonly text: string;
  /** Where it comes from, for the end of its line. */
  readonly comment: string;
  readonly call: string;
  readonly abi: AbiName;
  readonly isDerived: boolean;
}

export interface LearnedRules {
  readonly rules: readonly LearnedRule[];
  /** ABIs that the program used and the policy has no rules for. */
  readonly abis: readonly AbiName[];
  /** Numbers that no table knows: they cannot be permitted by name. */
  readonly unknown: readonly { readonly abi: AbiName; readonly nr: number }[];
}

/**
 * What a policy lacks for a run that was watched.
 * @param policy what is permitted already
 */
export function learnedRules(observation: Observation, policy: Policy, native: AbiName): LearnedRules {
  const boundary = servingFrom(observation);
  const groups = new Map<string, SeenCall[]>();
  const unknown: { readonly abi: AbiName; readonly nr: number }[] = [];
  for (const call of observation.calls) {
    if (isPermitted(policy, call, native)) continue;
    if (syscallByNumber(call.abi, call.nr) === undefined) {
      if (!unknown.some(({ abi, nr }) => abi === call.abi && nr === call.nr))
        unknown.push({ abi: call.abi, nr: call.nr });
      continue;
    }
    const key = `${call.abi} ${behindName(call) ?? call.nr}`;
    groups.set(key, [...(groups.get(key) ?? []), call]);
  }
  const seen = [...groups.values()].map((calls) => seenRule(calls, native, boundary));
  // What was seen of a relative needs not be derived for it.
  const known = withRules(policy, seen);
  const derived = [...groups.values()].flatMap((calls) => derivedRules(calls, known, native));
  const fresh = new Map<string, LearnedRule>();
  for (const rule of [...seen, ...derived]) if (!fresh.has(rule.text)) fresh.set(rule.text, rule);
  return {
    rules: [...fresh.values()].sort(
      (a, b) => Number(a.isDerived) - Number(b.isDerived) || (a.call < b.call ? -1 : a.call > b.call ? 1 : 0),
    ),
    abis: [...new Set(observation.calls.map(({ abi }) => abi))].filter(
      (abi) => abi !== native && !policy.syscalls.abis.includes(abi) && !policy.syscalls.abis.includes("all"),
    ),
    unknown,
  };
}

function isPermitted(policy: Policy, { abi, nr, args }: SeenCall, native: AbiName): boolean {
  const { action } = evaluate(policy, { abi, syscall: nr, args }, { target: native });
  return action.kind === "allow" || action.kind === "log";
}

function withRules(policy: Policy, learned: readonly LearnedRule[]): Policy {
  const text = learned.map((rule) => rule.text).join("\n");
  const { rules } = parseRules(plainText({ name: "learned", text }, text, 0));
  return extendPolicy(policy, { rules, abis: learned.map(({ abi }) => abi) });
}

/** Where start-up ends: with the first call to listen. Undefined for a program that serves nobody. */
export function servingFrom(observation: Observation): number | undefined {
  const listens = observation.calls.filter(
    (call) => (behindName(call) ?? syscallByNumber(call.abi, call.nr)?.name) === "listen",
  );
  return listens.length === 0 ? undefined : Math.min(...listens.map(({ first }) => first));
}

/** The call that is behind a multiplexer. */
export function behindName({ abi, nr, args }: SeenCall): string | undefined {
  const name = syscallByNumber(abi, nr)?.name;
  return multiplexedOf(abi).find(
    ({ multiplexer, selector, code }) =>
      multiplexer === name && (Number(args[selector.index] ?? 0n) & selector.mask) === code,
  )?.name;
}

function seenRule(calls: readonly SeenCall[], native: AbiName, boundary: number | undefined): LearnedRule {
  const [first] = [...calls].sort((a, b) => a.first - b.first);
  if (first === undefined) throw new TypeError("a rule comes from at least one call");
  const { abi } = first;
  const selector = selectorOf(calls, first);
  const count = calls.reduce((sum, call) => sum + call.count, 0);
  const when =
    boundary === undefined
      ? ""
      : first.first >= boundary
        ? ", later"
        : calls.every(({ last }) => last < boundary)
          ? ", in start-up only"
          : ", in start-up and later";
  const own = abi === native ? selector : { ...selector, abi };
  return {
    text: `allow ${printSelector(own)}`,
    comment: `${plainComment(first.program)} ×${count}${when}`,
    call: selector.target.kind === "name" ? selector.target.name : "",
    abi,
    isDerived: false,
  };
}

function selectorOf(calls: readonly SeenCall[], first: SeenCall): Selector {
  // Behind a multiplexer arguments lie in memory: no condition could be kept there.
  const behind = behindName(first);
  if (behind !== undefined) return { target: { kind: "name", name: behind } };
  const found = narrowSelector(
    first.abi,
    first.nr,
    calls.map(({ args }) => args),
  );
  return found ?? { target: { kind: "number", nr: first.nr } };
}

function derivedRules(calls: readonly SeenCall[], policy: Policy, native: AbiName): readonly LearnedRule[] {
  const [first] = calls;
  if (first === undefined || first.abi !== native) return [];
  const name = syscallByNumber(native, first.nr)?.name;
  const family = families.find((one) => name !== undefined && one.calls.includes(name));
  if (name === undefined) return [];
  const rule = (call: string, text: string): LearnedRule => ({
    text,
    comment: `derived from ${name}`,
    call,
    abi: native,
    isDerived: true,
  });
  const relatives = (family?.calls ?? []).flatMap((other) => {
    const known = syscallByName(native, other);
    if (other === name || known === undefined) return [];
    const moved = calls
      .map((call) => ({ ...call, nr: known.nr, args: moveArguments(call, name, other) }))
      .filter((call) => !isPermitted(policy, call, native));
    if (moved.length === 0) return [];
    const selector =
      family?.keepsCondition === true
        ? narrowSelector(
            native,
            known.nr,
            moved.map(({ args }) => args),
          )
        : undefined;
    return [rule(other, `allow ${printSelector(selector ?? { target: { kind: "name", name: other } })}`)];
  });
  const successor = Object.hasOwn(successors, name) ? successors[name] : undefined;
  return successor === undefined ? relatives : [...relatives, rule(successor, `allow ${successor}`)];
}

/** The bits that matter of one call's arguments, at the places where another has those of the same names. */
function moveArguments(call: SeenCall, from: string, to: string): readonly bigint[] {
  const moved = [0n, 0n, 0n, 0n, 0n, 0n];
  const source = visibleMatters(call.abi, from, syscallByName(call.abi, from)?.args ?? []);
  const target = visibleMatters(call.abi, to, syscallByName(call.abi, to)?.args ?? []);
  for (const { argument, field, bits } of target) {
    const same = source.find(
      (one) => one.argument === argument && kindOf(from, argument) === kindOf(to, argument),
    );
    if (field.place.kind === "word" && same?.field.place.kind === "word")
      moved[field.place.index] = (call.args[same.field.place.index] ?? 0n) & bits;
  }
  return moved;
}

/**
 * Rules for calls that were denied in the whole sandbox: there programs find other files, and do something else. Each is the
 * narrowest that permits one.
 */
export function rulesForDenials(denials: readonly Denial[]): LearnedRules {
  const rules = new Map<string, LearnedRule>();
  for (const { permit, program, count, syscall = "", abi } of denials)
    if (permit !== undefined && !rules.has(permit))
      rules.set(permit, {
        text: permit,
        comment: `${plainComment(program)} ×${count}, in the whole sandbox`,
        call: syscall,
        abi,
        isDerived: false,
      });
  return { rules: [...rules.values()], abis: [], unknown: [] };
}

/** A program's name, made fit for a comment between ''' in a file. */
export function plainComment(text: string): string {
  return sanitise(text).replaceAll("'", "’").replaceAll("#", "＃") || "?";
}
