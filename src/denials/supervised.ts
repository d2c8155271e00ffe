/**
 * The policies behind the filters of a program whose denials are reported:
 *
 *   handedUp(policy)         installed: each refusal by an errno, and each question, goes to the supervisor
 *   policy itself            what the supervisor decides by; a question is a notification there
 *   withoutQuestions(policy) installed where nobody can be asked: a question is refused
 *
 * The kernel ranks a notification next below an errno, so that where one of several actions is possible, the strictest of
 * them is handed up exactly where it was an errno (or a question) before. What kills, traps, traces or logs stays the kernel's own.
 */
import { deny } from "../policy/action.ts";
import type { Action, Policy, Rule } from "../policy/types.ts";

/** Each refusal by an errno, and each question, as a notification. */
export function handedUp(policy: Policy): Policy {
  return withActions(policy, (action) =>
    action.kind === "errno" || action.kind === "ask" ? { kind: "notify" } : action,
  );
}

/** Each question as a refusal. */
export function withoutQuestions(policy: Policy): Policy {
  return hasQuestions(policy)
    ? withActions(policy, (action) => (action.kind === "ask" ? deny : action))
    : policy;
}

/** Whether a policy answers any call by `ask`. */
export function hasQuestions({ syscalls }: Policy): boolean {
  const { require, rules, default: fallback, newer, otherAbis } = syscalls;
  const actions = [...require, ...rules].map(({ action }) => action);
  return [...actions, fallback, newer, otherAbis].some(({ kind }) => kind === "ask");
}

function withActions(policy: Policy, change: (action: Action) => Action): Policy {
  const changeRule = (rule: Rule): Rule => ({ ...rule, action: change(rule.action) });
  const { syscalls } = policy;
  return {
    ...policy,
    syscalls: {
      ...syscalls,
      default: change(syscalls.default),
      newer: change(syscalls.newer),
      otherAbis: change(syscalls.otherAbis),
      require: syscalls.require.map(changeRule),
      rules: syscalls.rules.map(changeRule),
    },
  };
}
