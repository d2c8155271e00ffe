/**
 * Policies that are larger than the kernel takes, as several filters. Each answers as the policy does for a part of all
 * calls and lets the others pass; the kernel takes the strictest answer of all, which is that of the one part that a
 * call belongs to.
 */
import { check, type Filter, filterOf, isCacheable, MAX_INSTRUCTIONS, RET_ALLOW } from "../bpf/index.ts";
import { resolveSound } from "../policy/resolve.ts";
import type { ResolvedPolicy } from "../policy/resolved.ts";
import type { Policy } from "../policy/types.ts";
import { compareStackMembers } from "../proof/index.ts";
import type { StackPolicy } from "../proof/stack.ts";
import { type AbiName, abiByName, hostAbi, syscallNumber } from "../syscalls/index.ts";
import { type Assembly, assemble } from "./assemble.ts";
import { childrenFirst, Graph, type Node } from "./graph.ts";
import { type CompileOptions, ProofError, TooLargeError } from "./index.ts";
import {
  alwaysAllowsExecve,
  keyInstructions,
  keyRule,
  type LaunchFilter,
  standInsFor,
  withKey,
} from "./launch-key.ts";
import { lower } from "./lower.ts";
import { optimize } from "./passes/index.ts";
import { type Weights, weightsFor } from "./weights.ts";

export interface StackOptions extends CompileOptions {
  /** How many instructions a filter may have; by default as many as the kernel takes, 4096. */
  readonly mostInstructions?: number;
}

function mostIn({ mostInstructions = MAX_INSTRUCTIONS }: StackOptions): number {
  return Math.min(mostInstructions, MAX_INSTRUCTIONS);
}

/**
 * Compiles a policy to as many filters as it takes, and proves that the stack of them equals the policy. Mostly that is
 * one. They are in the order in which they can be installed one under the other: what the policy says of `seccomp`
 * stands in the last.
 * @throws ProofError where the stack is not proved equal to the policy, TypeError where the policy has errors
 */
export function compileStack(policy: Policy, options: StackOptions = {}): readonly Filter[] {
  const target = options.target ?? hostAbi();
  const resolved = resolveSound(policy, target);
  const weights = weightsFor(options.optimize ?? "kernel", resolved.abis);
  const graph = new Graph();
  const parts = partsOf(graph, lower(graph, resolved), weights, mostIn(options));
  return proved(
    inOrderOfInstalling(parts, target).map(({ assembly }) => filterFor(assembly, resolved)),
    { resolved },
  );
}

/**
 * The same for a launch on this machine (or `target`): each filter lets the launcher's one execve pass, whatever the
 * policy says of execve. All keys are one and the same.
 * @throws TooLargeError where it takes more filters than a plan has; else as `compileStack`
 */
export function compileStackForLaunch(policy: Policy, options: StackOptions = {}): readonly LaunchFilter[] {
  const target = options.target ?? hostAbi();
  if (target === undefined) throw new TypeError("this machine's ABI is not known: name a target");
  const resolved = resolveSound(policy, target);
  const weights = weightsFor(options.optimize ?? "kernel", resolved.abis);
  const graph = new Graph();
  const parts = inOrderOfInstalling(
    partsOf(graph, lower(graph, resolved), weights, mostIn(options) - keyInstructions),
    target,
  );
  if (parts.length > mostLaunchFilters)
    throw new TooLargeError(parts.reduce((sum, { assembly }) => sum + assembly.instructions.length, 0));
  const rule = keyRule(target, standInsFor(parts.map(({ assembly }) => assembly)));
  const needsKey = !alwaysAllowsExecve(resolved, target);
  const filters = parts.map(({ root, assembly }): LaunchFilter => {
    if (!needsKey || isCacheable(assembly.instructions, rule.nr, rule.arch))
      return { filter: filterFor(assembly, resolved), keyPlaces: [] };
    const keyed = withKey(graph, root, rule);
    return { filter: filterFor(keyed.assembly, resolved), keyPlaces: keyed.keyPlaces };
  });
  proved(
    filters.map(({ filter }) => filter),
    needsKey ? { resolved, launchKey: rule } : { resolved },
  );
  return filters;
}

/** So many filter steps a plan has at most (native/plan.h). */
const mostLaunchFilters = 16;

function filterFor({ instructions }: Assembly, { abis }: ResolvedPolicy): Filter {
  return filterOf(instructions, abis[0]?.abi.endian);
}

/** Nothing leaves here unproved. */
function proved(filters: readonly Filter[], policy: StackPolicy): readonly Filter[] {
  for (const { instructions } of filters) {
    const [refusal] = check(instructions);
    if (refusal !== undefined)
      throw new ProofError({
        verdict: "undecided",
        reason: `instruction ${refusal.index}: ${refusal.message}`,
      });
  }
  const verdict = compareStackMembers(
    filters.map((filter) => ({ filter })),
    [policy],
  );
  if (verdict.verdict === "equal") return filters;
  const reason =
    verdict.verdict === "undecided" ? verdict.reason : `the stack differs on call ${verdict.witness.nr}`;
  throw new ProofError({ verdict: "undecided", reason });
}

/** A part of a policy, which fits into a filter. */
interface Part {
  /** A graph of tests. */
  readonly root: Node;
  readonly assembly: Assembly;
}

/** Every filter is installed under those before it: what may refuse that comes last. */
function inOrderOfInstalling(parts: readonly Part[], target: AbiName | undefined): readonly Part[] {
  const arch = target === undefined ? undefined : abiByName(target)?.arch;
  const nr = target === undefined ? undefined : syscallNumber(target, "seccomp");
  if (arch === undefined || nr === undefined) return parts;
  const mayRefuse = ({ assembly }: Part): number => (isCacheable(assembly.instructions, nr, arch) ? 0 : 1);
  return [...parts].sort((a, b) => mayRefuse(a) - mayRefuse(b));
}

/** Parts of at most so many instructions, each halved until it fits. */
function partsOf(graph: Graph, root: Node, weights: Weights, most: number): readonly Part[] {
  // What has far more branches than the kernel takes instructions need not be tried.
  if (sizeOf(root) < 4 * MAX_INSTRUCTIONS) {
    const tests = optimize(graph, root, weights);
    const assembly = assemble(tests);
    if (assembly.instructions.length <= most) return [{ root: tests, assembly }];
  }
  return halves(graph, root).flatMap((half) => partsOf(graph, half, weights, most));
}

/** The branches below a node: a measure of the instructions that it takes. */
function sizeOf(root: Node): number {
  return childrenFirst(root).reduce(
    (sum, node) => sum + (node.kind === "choice" ? node.segments.length : node.kind === "test" ? 1 : 0),
    0,
  );
}

/** The node for a part of its calls and for the rest of them, each letting the other's pass. */
function halves(graph: Graph, node: Node): readonly Node[] {
  const pass = graph.leaf(RET_ALLOW);
  if (node.kind === "leaf") return [node];
  if (node.kind === "test") {
    const of = (then: Node, otherwise: Node): Node =>
      graph.test(node.word, node.mask, node.test, node.k, then, otherwise);
    const [one, other] =
      sizeOf(node.then) > sizeOf(node.else) ? [node.then, node.else] : [node.else, node.then];
    const isThen = one === node.then;
    // The smaller branch goes with the first half of the larger.
    return halves(graph, one).map((half, index) => {
      const rest = index === 0 ? other : pass;
      return isThen ? of(half, rest) : of(rest, half);
    });
  }
  const sizes = node.segments.map((one) => 1 + sizeOf(one.node));
  const half = sizes.reduce((sum, size) => sum + size, 0) / 2;
  const largest = sizes.findIndex((size) => size > half);
  const only = node.segments[largest];
  if (only !== undefined && only.node.kind !== "leaf") {
    // One branch outweighs the others: it is halved, and they go with its first half.
    return halves(graph, only.node).map((part, index) =>
      graph.choice(
        node.word,
        node.mask,
        node.segments.map((one, at) => ({
          start: one.start,
          node: at === largest ? part : index === 0 ? one.node : pass,
        })),
      ),
    );
  }
  let sum = 0;
  const isFirst = sizes.map((size) => {
    sum += size;
    return sum <= half;
  });
  return [true, false].map((first) =>
    graph.choice(
      node.word,
      node.mask,
      node.segments.map((one, at) => ({ start: one.start, node: isFirst[at] === first ? one.node : pass })),
    ),
  );
}
