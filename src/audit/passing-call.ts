/**
 * Whether a policy lets some call pass that a selector means: for every value of the arguments, by the proof's
 * exact walk, not by trying some.
 */
import { actionOf, RET_ALLOW, RET_LOG, RET_TRACE, RET_USER_NOTIF } from "../bpf/index.ts";
import { plainText } from "../policy/document.ts";
import { parseSelectors } from "../policy/parser.ts";
import { resolveCondition } from "../policy/resolve-condition.ts";
import {
  type Decisions,
  type Entry,
  type Fallback,
  type ResolvedAbi,
  type ResolvedCall,
  type ResolvedCondition,
  type ResolvedPolicy,
  wordOfArch,
  wordOfNumber,
} from "../policy/resolved.ts";
import { hasUnknown } from "../policy/resolved-condition.ts";
import type { Action, Condition, Rule } from "../policy/types.ts";
import { DecisionMaker } from "../proof/decisions.ts";
import { compareDecisions } from "../proof/index.ts";
import { decisionsOfPolicy } from "../proof/policy.ts";
import { isOrigin, policyOfCalls } from "../proof/reach.ts";
import { type AbiName, type Argument, multiplexedOf, syscallByNumber, twinsOf } from "../syscalls/index.ts";

/** A call that passes. */
export interface PassingCall {
  readonly abi: AbiName;
  /** The call that the selector means, or a twin of it. */
  readonly name: string;
  /** The call that it is made through: `socketcall`, or `io_uring_enter`. */
  readonly through?: string;
  /** `asked`: a tracer or a supervisor decides. `undecided`: the walk gave up, which counts as passing. */
  readonly how: "allowed" | "asked" | "undecided";
  /** The 16 words of such a call; undefined where none was looked for. */
  readonly words: readonly number[] | undefined;
  /** What lets it pass. */
  readonly by: Rule | "default" | "newer" | "other-abis" | "launch key" | undefined;
}

/**
 * The first call, over the policy's ABIs, that the selector means and the policy lets pass; one that is allowed
 * before one that somebody is asked about.
 * @throws TypeError where the text is no selector of one call
 */
export function passingCall(resolved: ResolvedPolicy, selector: string): PassingCall | undefined {
  const { name, condition } = parsed(selector);
  return passing(resolved, name, condition);
}

/** Whether any call of an ABI passes; the first that does. */
export function passingCallOfAbi(resolved: ResolvedPolicy, abi: AbiName): PassingCall | undefined {
  const own = resolved.abis.find((one) => one.abi.name === abi);
  const names = own?.calls.flatMap(({ name }) => (name === undefined ? [] : [name])) ?? [];
  for (const name of names) {
    const found = passing({ ...resolved, abis: own === undefined ? [] : [own] }, name, undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether an action can end in the call being made. */
export function letsPass({ kind }: Action): boolean {
  return kind === "allow" || kind === "log" || kind === "trace" || kind === "notify" || kind === "ask";
}

function parsed(text: string): { readonly name: string; readonly condition: Condition | undefined } {
  const { selectors, diagnostics } = parseSelectors(plainText({ name: "audit", text }, text, 0));
  const [selector] = selectors;
  if (diagnostics.length > 0 || selectors.length !== 1 || selector?.target.kind !== "name")
    throw new TypeError(`${JSON.stringify(text)} is no selector of one call`);
  return { name: selector.target.name, condition: selector.condition };
}

function passing(
  resolved: ResolvedPolicy,
  name: string,
  condition: Condition | undefined,
): PassingCall | undefined {
  let asked: PassingCall | undefined;
  for (const own of resolved.abis) {
    for (const way of waysOf(own, name)) {
      const found = passingWay(resolved, own, way, condition);
      if (found?.how === "allowed") return found;
      asked ??= found;
    }
  }
  return asked;
}

/** One number, and the code behind it, under which an ABI has a call. */
interface Way {
  readonly call: ResolvedCall;
  readonly name: string;
  readonly args: readonly Argument[] | undefined;
  readonly behind?: { readonly code: number; readonly multiplexer: string };
}

function waysOf({ abi, calls }: ResolvedAbi, name: string): readonly Way[] {
  const names = twinsOf(name);
  const multiplexed = multiplexedOf(abi.name);
  return calls.flatMap((call): Way[] => {
    const direct: Way[] =
      call.name !== undefined && names.includes(call.name)
        ? [{ call, name: call.name, args: syscallByNumber(abi.name, call.nr)?.args }]
        : [];
    const behind = (call.behind?.calls ?? []).flatMap((one): Way[] => {
      if (!names.includes(one.name) || call.name === undefined) return [];
      const args = multiplexed.find(
        (other) => other.multiplexer === call.name && other.code === one.code,
      )?.args;
      return [{ call, name: one.name, args, behind: { code: one.code, multiplexer: call.name } }];
    });
    return [...direct, ...behind];
  });
}

const refused: Rule = { action: { kind: "kill" }, selectors: [] };

function passingWay(
  resolved: ResolvedPolicy,
  own: ResolvedAbi,
  way: Way,
  condition: Condition | undefined,
): PassingCall | undefined {
  const meant = condition === undefined ? yes : meantCalls(condition, own, way);
  // What the selector does not mean is refused in front of everything: whatever then passes is meant.
  const guard: Entry = { rule: refused, condition: { kind: "not", item: meant }, unknown: "strictest" };
  const only = policyOfCalls(resolved, (call, { abi }) => call === way.call && abi === own.abi);
  const guarded = {
    ...only,
    abis: only.abis.map((abi) => ({ ...abi, calls: abi.calls.map((call) => guardedCall(call, way, guard)) })),
  };
  let found: PassingCall | undefined;
  const { abi } = own;
  const told = { abi: abi.name, name: way.name, ...throughOf(way) };
  const decisions = decisionsOfPolicy(guarded, new DecisionMaker(), { telling: "origins" });
  const { verdict } = compareDecisions(decisions, decisions, {
    known: new Map([
      [wordOfArch, abi.arch],
      [wordOfNumber, way.call.nr],
    ]),
    visit: ({ by, returnValue }, _same, call) => {
      const how = howItPasses(returnValue);
      if (how === undefined || found?.how === "allowed") return;
      found = { ...told, how, words: call(), by: isOrigin(by) ? by : undefined };
    },
  });
  return (
    found ??
    (verdict === "undecided" ? { ...told, how: "undecided", words: undefined, by: undefined } : undefined)
  );
}

function throughOf({ behind }: Way): Pick<PassingCall, "through"> {
  return behind === undefined ? {} : { through: behind.multiplexer };
}

function howItPasses(returnValue: number): "allowed" | "asked" | undefined {
  switch (actionOf(returnValue)) {
    case RET_ALLOW:
    case RET_LOG:
      return "allowed";
    case RET_TRACE:
    case RET_USER_NOTIF:
      return "asked";
    default:
      return undefined;
  }
}

const refusedFallback: Fallback = { action: refused.action, by: "default" };

/** The call with the guard before its rules; behind a multiplexer, all other codes are refused. */
function guardedCall(call: ResolvedCall, way: Way, guard: Entry): ResolvedCall {
  const guardedDecisions = <T extends Decisions>(one: T): T => ({ ...one, entries: [guard, ...one.entries] });
  if (call.behind === undefined) return guardedDecisions(call);
  const { behind } = way;
  // A rule on the multiplexer itself asks what passes in any way.
  if (behind === undefined) return call;
  return {
    ...call,
    entries: [],
    fallback: refusedFallback,
    behind: {
      ...call.behind,
      calls: call.behind.calls.map((one) =>
        one.code === behind.code ? guardedDecisions(one) : { ...one, entries: [], fallback: refusedFallback },
      ),
    },
  };
}

const yes: ResolvedCondition = { kind: "known", value: true };

/** The selector's condition on an ABI, where what no filter can see there counts as met. */
function meantCalls(
  condition: Condition,
  { abi }: ResolvedAbi,
  { name, args, behind }: Way,
): ResolvedCondition {
  const scope = { abi: abi.name, name, args, report: () => undefined };
  return withoutUnknown(
    resolveCondition(condition, behind === undefined ? scope : { ...scope, multiplexer: behind.multiplexer }),
  );
}

function withoutUnknown(condition: ResolvedCondition): ResolvedCondition {
  switch (condition.kind) {
    case "and":
    case "or":
      return { kind: condition.kind, items: condition.items.map(withoutUnknown) };
    case "not":
      // The needs have no negations; under one, "met" would turn around.
      return hasUnknown(condition.item) ? yes : condition;
    case "unknown":
      return yes;
    default:
      return condition;
  }
}
