/** A policy's filters, compiled and proved anew. */
import { deflateRawSync } from "node:zlib";
import { compileForLaunch, type LaunchFilter } from "../compiler/launch-key.ts";
import { compileStackForLaunch } from "../compiler/stack.ts";
import { handedUp, hasQuestions, reportRows, withoutQuestions } from "../denials/index.ts";
import { policyText } from "../policy/policy-text.ts";
import { resolve } from "../policy/resolve.ts";
import type { Policy } from "../policy/types.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import type { FilterSet, Supervision } from "./filter-set.ts";
import type { FilterStep } from "./plan.ts";
import { isAlone, type PreparedPlan } from "./prepare.ts";
import { encodeRows } from "./report-step.ts";
import { withSandboxRules } from "./sandbox-rules.ts";

/** The policy that the filter is equal to: with the rules that stand for other layers. See `FilterMaker`. */
export function filteredPolicy(policy: Policy, hasNamespaces: boolean | undefined): Policy {
  return hasNamespaces === undefined ? policy : withSandboxRules(policy, hasNamespaces);
}

/** The same of a plan that was prepared. */
export function policyOfFilters(prepared: PreparedPlan): Policy {
  return filteredPolicy(prepared.policy, prepared.sandbox === undefined ? undefined : isAlone(prepared));
}

/** @throws ProofError and TooLargeError as `compile` */
export function compiledFilters(
  policy: Policy,
  hasNamespaces: boolean | undefined,
  target: AbiName | undefined = hostAbi(),
): FilterSet {
  if (target === undefined) throw new TypeError("this machine's ABI is not known");
  const filtered = filteredPolicy(policy, hasNamespaces);
  const supervisions = new Map<boolean, Supervision>();
  return {
    abis: resolve(policy, target).resolved.abis.map(({ abi }) => abi.name),
    filters: compileStackForLaunch(withoutQuestions(filtered), { target }).map((one) =>
      stepOf("filter", one),
    ),
    supervision: (asks) => {
      const made = supervisions.get(asks) ?? supervisionOf(filtered, asks, target);
      supervisions.set(asks, made);
      return made;
    },
    toldRules: () => deflateRawSync(policyText({ version: 1, syscalls: filtered.syscalls }), { level: 1 }),
  };
}

function supervisionOf(policy: Policy, asks: boolean, target: AbiName): Supervision {
  return {
    notifying: stepOf("notifyingFilter", compileForLaunch(handedUp(policy), target)),
    deciding:
      asks && hasQuestions(policy) ? stepOf("decidingFilter", compileForLaunch(policy, target)) : undefined,
    rows: encodeRows(reportRows(policy, target)),
  };
}

function stepOf(kind: FilterStep["kind"], { filter, keyPlaces }: LaunchFilter): FilterStep {
  return {
    kind,
    bytes: filter.bytes,
    patches: keyPlaces.map(({ instruction, keyWord }) => ({ instruction, word: keyWord })),
  };
}
