/**
 * Which rule refuses a call, as a filter can say it: the policy with each refusal's errno replaced by the number of the
 * refusal. Nothing else is changed, and the kernel ranks all errnos equal (the first rule's holds); so a filter that is
 * proved equal to it names, of each refused call, the very rule that `evaluate` names. For programs of `callgate build`,
 * which print their denials where there is no `evaluate`.
 */
import { sanitise } from "../diagnostics/index.ts";
import type { Decision } from "../policy/resolved.ts";
import type { Action, Policy, Rule } from "../policy/types.ts";
import { type AbiName, type Argument, syscallByNumber } from "../syscalls/index.ts";
import { describeReason, ruleFacts } from "./describe-denial.ts";

/** What a refusal is told as. */
export interface Refusal {
  readonly errno: string;
  /** Where the rule is, and what it says. Empty: it is not told. */
  readonly reason: string;
}

export interface RuleNumbers {
  /** Answers each refused call by an errno that is no error, but a refusal's place in the list, counted from 1. */
  readonly policy: Policy;
  readonly refusals: readonly Refusal[];
}

const mostNumbers = 4095;

/**
 * Undefined where there are more refusals than an errno can count.
 * @param all whether to tell what is newer than the policy, too
 */
export function ruleNumbers(policy: Policy, all: boolean): RuleNumbers | undefined {
  const refusals: Refusal[] = [];
  const numbered = (action: Action, by: Decision["by"], rule?: Rule): Action => {
    if (action.kind !== "errno" && action.kind !== "ask") return action;
    const errno = action.kind === "errno" ? String(action.errno) : "EPERM";
    const facts = rule === undefined ? undefined : ruleFacts(rule);
    const reason = by === "newer" && !all ? "" : sanitise(describeReason({ by, rule: facts }, policy));
    refusals.push({ errno: sanitise(errno), reason });
    return { kind: "errno", errno: refusals.length };
  };
  const numberedRule = (rule: Rule): Rule => ({ ...rule, action: numbered(rule.action, "rule", rule) });
  const { syscalls } = policy;
  const result = {
    ...policy,
    syscalls: {
      ...syscalls,
      require: syscalls.require.map(numberedRule),
      rules: syscalls.rules.map(numberedRule),
      default: numbered(syscalls.default, "default"),
      newer: numbered(syscalls.newer, "newer"),
      otherAbis: numbered(syscalls.otherAbis, "other-abis"),
    },
  };
  return refusals.length > mostNumbers ? undefined : { policy: result, refusals };
}

/**
 * A call in words, with a byte 1 to 6 where the launcher puts an argument register: ` = 0x2`, or ` says "/etc"`.
 * What is in memory, or in two registers, is not shown.
 */
export function callWords(abi: AbiName, nr: number, native: AbiName): string {
  const call = syscallByNumber(abi, nr);
  const args = (call?.args ?? []).map(argumentWords).join(", ");
  return `${abi === native ? "" : `${abi}: `}${call?.name ?? `#${nr}`}(${args})`;
}

function argumentWords({ name, place }: Argument): string {
  return place.kind === "word" ? `${name}${String.fromCharCode(place.index + 1)}` : `${name} = …`;
}
