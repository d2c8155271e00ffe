/**
 * Lints: what is probably not meant in a policy that has no errors.
 *
 * A lint is a file in `checks/`: its documentation, and one function that looks at a policy (`subject.ts`) and
 * says what it found. To add one, copy the shortest (`baseline-too-new.ts`) and put it into the list below;
 * `docs/diagnostics.md` and the tests take its example from there.
 */
import type { Diagnostic } from "../diagnostics/index.ts";
import type { Policy } from "../policy/types.ts";
import { baselineTooNew } from "./checks/baseline-too-new.ts";
import { cLibrary } from "./checks/c-library.ts";
import { conditionOnLast } from "./checks/condition-on-last.ts";
import { constantCondition } from "./checks/constant-condition.ts";
import { equalFlags } from "./checks/equal-flags.ts";
import { expectationFailed } from "./checks/expectation-failed.ts";
import { idleCondition } from "./checks/idle-condition.ts";
import { ioUring } from "./checks/io-uring.ts";
import { multiplexedLoss } from "./checks/multiplexed-loss.ts";
import { openSuccessor } from "./checks/open-successor.ts";
import { rawWord } from "./checks/raw-word.ts";
import { redundantRule } from "./checks/redundant-rule.ts";
import { unmaskedSocketType } from "./checks/unmasked-socket-type.ts";
import { unreachableRule } from "./checks/unreachable-rule.ts";
import { wideArgument } from "./checks/wide-argument.ts";
import { zeroMask } from "./checks/zero-mask.ts";
import type { Lint } from "./lint.ts";
import { type LintOptions, subjectOf } from "./subject.ts";

export type { LintOptions } from "./subject.ts";

/** In order: what is read off the policy first, what searches it last. */
export const lints: readonly Lint[] = [
  baselineTooNew,
  rawWord,
  zeroMask,
  constantCondition,
  equalFlags,
  unmaskedSocketType,
  wideArgument,
  conditionOnLast,
  openSuccessor,
  ioUring,
  cLibrary,
  multiplexedLoss,
  unreachableRule,
  // After the unreachable rules: it leaves them out, and what is left out there is judged here.
  redundantRule,
  idleCondition,
  expectationFailed,
];

/** Everything that the lints say of a policy, from top to bottom of its text; what has no place comes last. */
export function lint(policy: Policy, options: LintOptions = {}): readonly Diagnostic[] {
  return findings(lints, policy, options);
}

/**
 * What is true already of a policy whose other rules have mistakes and were left out: a rule that never decides after
 * those that are there never does after more of them.
 */
export function lintSound(policy: Policy, options: LintOptions = {}): readonly Diagnostic[] {
  return findings([unreachableRule], policy, options);
}

function findings(chosen: readonly Lint[], policy: Policy, options: LintOptions): readonly Diagnostic[] {
  const subject = subjectOf(policy, options);
  const found = chosen.flatMap(({ documentation, check }) =>
    check(subject).map(
      (finding): Diagnostic => ({ id: documentation.id, severity: documentation.severity, ...finding }),
    ),
  );
  const start = ({ span }: Diagnostic): number => span?.start ?? Number.MAX_SAFE_INTEGER;
  return found.sort((a, b) => start(a) - start(b));
}
