/** The filters by which a program's denied calls are handed to a supervisor, and where there can be one. */
import { compile } from "../compiler/index.ts";
import { compileForLaunch, type LaunchFilter } from "../compiler/launch-key.ts";
import { compileStackForLaunch } from "../compiler/stack.ts";
import { handedUp, hasQuestions, type ReportRow, reportRows, ruleNumbers } from "../denials/index.ts";
import type { Policy } from "../policy/types.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import { thisMachine } from "./layers.ts";
import type { FilterStep } from "./plan.ts";
import type { ReportStep } from "./report-step.ts";

/** Both are proved equal to the policies that they are made from. */
export interface Supervision {
  readonly notifying: FilterStep;
  /** Only where the policy asks. */
  readonly deciding: FilterStep | undefined;
  readonly rows: readonly ReportRow[];
}

/** @throws ProofError and TooLargeError as `compile` */
export function supervisionOf(
  policy: Policy,
  asks: boolean,
  target: AbiName | undefined = hostAbi(),
): Supervision {
  if (target === undefined) throw new TypeError("this machine's ABI is not known");
  return {
    notifying: stepOf("notifyingFilter", compileForLaunch(handedUp(policy), target)),
    deciding:
      asks && hasQuestions(policy) ? stepOf("decidingFilter", compileForLaunch(policy, target)) : undefined,
    rows: reportRows(policy, target),
  };
}

/**
 * What the launcher tells denials by where there is no Node, whose words are in the plan. Undefined where there are more
 * refusals than a filter can name. @throws ProofError and TooLargeError as `compile`
 */
export function toldByLauncher(
  policy: Policy,
  all: boolean,
  native: AbiName | undefined = hostAbi(),
): { readonly to: ReportStep["to"]; readonly ruleFilter: FilterStep } | undefined {
  if (native === undefined) throw new TypeError("this machine's ABI is not known");
  const numbers = ruleNumbers(policy, all);
  if (numbers === undefined) return undefined;
  return {
    to: { kind: "launcher", refusals: numbers.refusals, native },
    ruleFilter: { kind: "ruleFilter", bytes: compile(numbers.policy, { target: native }).bytes },
  };
}

/** The policy's filters for the start of a program: mostly one. @throws ProofError as `compile` */
export function filterSteps(policy: Policy): readonly FilterStep[] {
  return compileStackForLaunch(policy).map((one) => stepOf("filter", one));
}

function stepOf(kind: FilterStep["kind"], { filter, keyPlaces }: LaunchFilter): FilterStep {
  return {
    kind,
    bytes: filter.bytes,
    patches: keyPlaces.map(({ instruction, keyWord }) => ({ instruction, word: keyWord })),
  };
}

/**
 * Why there can be no supervisor on this machine that the program cannot reach; undefined where there can.
 * @param isAlone whether the program gets a user and a pid namespace of its own
 */
export function whyNoSupervisor(isAlone: boolean): string | undefined {
  const { landlock } = thisMachine();
  // A program without namespaces is kept from its supervisor by a Landlock domain; version 2 lets it move its files.
  if (isAlone || landlock >= 2) return undefined;
  return "without namespaces and without Landlock (Linux 5.19) the program could take the place of the supervisor, which answers denied calls";
}
