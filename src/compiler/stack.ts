/**
 * Policies that are larger than the kernel takes, as several filters. Each answers as the policy does for a part of all
 * calls and lets the others pass; the kernel takes the strictest answer of all, which is that of the one part that a
 * call belongs to.
 */
import { check, type Filter, filterOf, MAX_INSTRUCTIONS, RET_ALLOW } from "../bpf/index.ts";
import { resolveSound } from "../policy/resolve.ts";
import type { Policy } from "../policy/types.ts";
import { compareStackMembers } from "../proof/index.ts";
import { hostAbi } from "../syscalls/index.ts";
import { type Assembly, assemble } from "./assemble.ts";
import { childrenFirst, Graph, type Node } from "./graph.ts";
import { type CompileOptions, ProofError } from "./index.ts";
import { lower } from "./lower.ts";
import { optimize } from "./passes/index.ts";
import { weightsFor } from "./weights.ts";

/**
 * Compiles a policy to as many filters as it takes, and proves that the stack of them equals the policy. Mostly that is
 * one; the order in which they are installed does not matter.
 * @throws ProofError where the stack is not proved equal to the policy, TypeError where the policy has errors
 */
export function compileStack(policy: Policy, options: CompileOptions = {}): readonly Filter[] {
  const resolved = resolveSound(policy, options.target ?? hostAbi());
  const graph = new Graph();
  const weights = weightsFor(options.optimize ?? "kernel", resolved);
  const endian = resolved.abis[0]?.abi.endian;
  const filters = assembleParts(graph, lower(graph, resolved), (root) =>
    assemble(optimize(graph, root, weights)),
  ).map(({ instructions }) => filterOf(instructions, endian));
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
    [{ resolved }],
  );
  if (verdict.verdict === "equal") return filters;
  const reason =
    verdict.verdict === "undecided" ? verdict.reason : `the stack differs on call ${verdict.witness.nr}`;
  throw new ProofError({ verdict: "undecided", reason });
}

/** Parts that fit, each halved until it does. */
function assembleParts(
  graph: Graph,
  root: Node,
  toInstructions: (root: Node) => Assembly,
): readonly Assembly[] {
  // What has far more branches than the kernel takes instructions need not be tried.
  if (sizeOf(root) < 4 * MAX_INSTRUCTIONS) {
    const assembly = toInstructions(root);
    if (assembly.instructions.length <= MAX_INSTRUCTIONS) return [assembly];
  }
  return halves(graph, root).flatMap((half) => assembleParts(graph, half, toInstructions));
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
