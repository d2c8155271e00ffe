/**
 * Compiles a policy to a filter, and proves the filter equal to the policy before anybody gets it.
 *
 *     policy ── resolve ─► rules per number ── lower ─► choices ── passes ─► tests ── assemble ─► instructions ── prove ─► Filter
 *
 * - **graph**: hash-consed decisions over the 32-bit words of a call (`graph.ts`).
 * - **passes**: from what is decided to how; their list says why in this order (`passes/index.ts`).
 * - **launch key**: what lets the launcher's one execve pass a policy that denies execve (`launch-key.ts`).
 */
import { check, type Filter, filterOf, MAX_INSTRUCTIONS } from "../bpf/index.ts";
import { resolveSound } from "../policy/resolve.ts";
import type { ResolvedPolicy } from "../policy/resolved.ts";
import type { Policy } from "../policy/types.ts";
import type { LaunchKeyRule } from "../proof/policy.ts";
import { proveResolved, type Verdict, type Witness } from "../proof/prove.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import { type Assembly, assemble } from "./assemble.ts";
import { Graph } from "./graph.ts";
import { lower } from "./lower.ts";
import { optimize } from "./passes/index.ts";
import { TooLargeError } from "./too-large-error.ts";
import { type Optimize, weightsFor } from "./weights.ts";

export { returnValueOf, returnValueOfDecision } from "./return-value.ts";
export { TooLargeError } from "./too-large-error.ts";
export type { Optimize } from "./weights.ts";

export interface CompileOptions {
  /**
   * What the filter is made good for: `kernel` (the default) for kernels from 5.11 on, which never run it for calls that
   * are allowed whatever their arguments; `classic` for older ones; `size` for few instructions.
   */
  readonly optimize?: Optimize;
  /** What `native` in the policy means; by default this machine's ABI. */
  readonly target?: AbiName;
}

/** The filter was not proved equal to its policy, and so there is no filter. A mistake in callgate. */
export class ProofError extends Error {
  override readonly name = "ProofError";
  /** The call on which they differ; undefined where the proof was not decided. */
  readonly witness: Witness | undefined;
  constructor(verdict: Exclude<Verdict, { verdict: "proved" }>) {
    super(
      verdict.verdict === "refuted"
        ? `the compiled filter differs from the policy on call ${verdict.witness.nr} (architecture 0x${verdict.witness.arch.toString(16)})`
        : `the compiled filter could not be proved equal to the policy: ${verdict.reason}`,
    );
    this.witness = verdict.verdict === "refuted" ? verdict.witness : undefined;
  }
}

/**
 * Compiles a policy to one filter for all its ABIs.
 * @throws TooLargeError where the kernel would not take it, ProofError where it is not proved equal to the policy,
 * TypeError where the policy has errors
 */
export function compile(policy: Policy, options: CompileOptions = {}): Filter {
  const resolved = resolveSound(policy, options.target ?? hostAbi());
  const graph = new Graph();
  const root = optimize(
    graph,
    lower(graph, resolved),
    weightsFor(options.optimize ?? "kernel", resolved.abis),
  );
  return finish(assemble(root), resolved);
}

/** Nothing leaves here unproved. */
export function finish(assembly: Assembly, resolved: ResolvedPolicy, launchKey?: LaunchKeyRule): Filter {
  const { instructions } = assembly;
  if (instructions.length > MAX_INSTRUCTIONS) throw new TooLargeError(instructions.length);
  const [refusal] = check(instructions);
  if (refusal !== undefined)
    throw new ProofError({
      verdict: "undecided",
      reason: `instruction ${refusal.index}: ${refusal.message}`,
    });
  // The bytes are for the machine that the policy is for.
  const filter = filterOf(instructions, resolved.abis[0]?.abi.endian);
  const verdict = proveResolved(filter, resolved, launchKey);
  if (verdict.verdict !== "proved") throw new ProofError(verdict);
  return filter;
}
