/**
 * The proof: that a filter and a policy give the same decision for every possible call.
 *
 *     const filter = compile(policy);
 *     prove(filter, policy);                       // { verdict: "proved", regions: 431 }
 *     prove(filter, policyWithOneRuleLess);        // { verdict: "refuted", witness: { nr: 41, args: [16n, …], … } }
 *
 * - **decisions**: either side as questions about single 32-bit words, ending in answers.
 * - **region**: a set of calls (one set of values a word) to which both sides give one answer each.
 * - **witness**: a call on which the sides differ, confirmed by emulating the filter and reading the rules.
 */
export { DecompileError, type DecompileOptions, decompile } from "./decompile.ts";
export {
  type Difference,
  type DifferenceWitness,
  type DiffOptions,
  diff,
  UndecidedError,
} from "./diff.ts";
export { compareDecisions, compareStacks, type Equality } from "./equality.ts";
export { type ProveOptions, prove, proveResolved, type Verdict, type Witness } from "./prove.ts";
export type { Comparable } from "./side.ts";
export { compareStackMembers, type StackDifference, type StackMember, type StackVerdict } from "./stack.ts";
export { writtenCall } from "./written-call.ts";
