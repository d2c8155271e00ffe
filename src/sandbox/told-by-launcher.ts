/** What the launcher tells denials by where there is no Node. */
import { compile } from "../compiler/index.ts";
import { callWords, reportRows, ruleNumbers } from "../denials/index.ts";
import type { Policy } from "../policy/types.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import type { FilterStep } from "./plan.ts";
import type { ReportStep } from "./report-step.ts";

/**
 * The words are in the plan. Undefined where there are more refusals than a filter can name.
 * @param policy the one that the filters are equal to
 * @throws ProofError and TooLargeError as `compile`
 */
export function toldByLauncher(
  policy: Policy,
  all: boolean,
  native: AbiName | undefined = hostAbi(),
): { readonly to: ReportStep["to"]; readonly ruleFilter: FilterStep } | undefined {
  if (native === undefined) throw new TypeError("this machine's ABI is not known");
  const numbers = ruleNumbers(policy, all);
  if (numbers === undefined) return undefined;
  const calls = reportRows(policy, native).map(({ abi, nr }) => callWords(abi, nr, native));
  return {
    to: { kind: "launcher", calls, refusals: numbers.refusals },
    ruleFilter: { kind: "ruleFilter", bytes: compile(numbers.policy, { target: native }).bytes },
  };
}
