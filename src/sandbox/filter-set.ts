/** The filters that a policy comes to, and who makes them: `compiled-filters.ts`, or the build, beforehand (`ready-files.ts`). */
import type { Policy } from "../policy/types.ts";
import type { AbiName } from "../syscalls/index.ts";
import type { FilterStep } from "./plan.ts";

/** By which a program's denied calls are handed to a supervisor. Both are proved equal to the policies that they are made from. */
export interface Supervision {
  readonly notifying: FilterStep;
  /** Only where the policy asks. */
  readonly deciding: FilterStep | undefined;
  /** What the supervisor looks at in each call, as the report step has it. */
  readonly rows: Uint8Array;
}

/** Everything that starts under one policy have in common in the kernel. */
export interface FilterSet {
  /** The kernel's interfaces that the policy has rules for. */
  readonly abis: readonly AbiName[];
  /**
   * Proved equal to the policy, with the rules that its other layers have in the filter: one filter, or as many as it
   * takes, in the order in which they are installed.
   */
  readonly filters: readonly FilterStep[];
  /** Made when it is first wanted. @throws ProofError and TooLargeError as `compile` */
  readonly supervision: (asks: boolean) => Supervision;
  /** The calls' rules to which the filters are equal, for who tells of denials: `policyText`, deflated. */
  readonly toldRules: () => Uint8Array;
}

/**
 * Makes the filters for starts on this machine.
 * @param isAlone whether the program gets namespaces of its own; undefined: nothing but the filter is set up
 * @throws ProofError and TooLargeError as `compile`
 */
export type FilterMaker = (policy: Policy, isAlone: boolean | undefined) => FilterSet;
