/** Questions of a policy that goes where nobody answers them, as `callgate build` and `compile` find them. */
import type { Diagnostic } from "../diagnostics/index.ts";
import { isDenial } from "../policy/action.ts";
import { askWord } from "../policy/askable.ts";
import type { Policy } from "../policy/types.ts";

/** What becomes of a question: in a built file, and in a filter alone. */
const fates = {
  file: {
    message: "nobody can be asked by a built file: what this rule asks about is refused with EPERM",
    label: "callgate run asks; write deny where the refusal is meant",
  },
  filter: {
    message:
      "a filter asks nobody: this becomes SECCOMP_RET_USER_NOTIF, which fails with ENOSYS where whoever loads it does not listen",
    label: "callgate run asks; write deny where a refusal is meant",
  },
} as const;

/** A warning for each rule that asks. */
export function unaskedQuestions({ syscalls }: Policy, where: keyof typeof fates): readonly Diagnostic[] {
  return [...syscalls.require, ...syscalls.rules].flatMap(({ action, span }) => {
    if (action.kind !== "ask") return [];
    const place = askWord(span) ?? span;
    return {
      id: "unasked-question",
      severity: "warning",
      ...fates[where],
      ...(place === undefined ? {} : { span: place }),
    };
  });
}

/** Whether a program could answer for itself: calls of an ABI that has no rules may type (TIOCSTI) into the terminal. */
export function canTypeAnswers({ syscalls }: Policy): boolean {
  return !isDenial(syscalls.otherAbis);
}
