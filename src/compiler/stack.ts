/**
 * Policies that are larger than the kernel takes, as several filters. Each answers as the policy does for a part of all
 * calls and lets the others pass; the kernel takes the strictest answer of all, which is that of the one part that a
 * call belongs to.
 */
import { check, type Filter, filterOf, isCacheable, MAX_INSTRUCTIONS, RET_ALLOW } from "../bpf/index.ts";
import { resolveSound } from "../policy/resolve.ts";
import type { ResolvedPolicy, WordIndex } from "../policy/resolved.ts";
import type { Policy } from "../policy/types.ts";
import { compareStackMembers, type StackPolicy } from "../proof/stack.ts";
import { type AbiName, abiByName, hostAbi, syscallNumber } from "../syscalls/index.ts";
import { type Assembly, assemble } from "./assemble.ts";
import { childrenFirst, Graph, type Node, rewrite, wholeWord } from "./graph.ts";
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
import { fewestTests } from "./search-tree.ts";
import { rangesOf, type Weights, weightsFor } from "./weights.ts";

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
 * @throws ProofError where the stack is not proved equal to the policy, TooLargeError where halving does not make it smaller,
 * TypeError where the policy has errors
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
  const parts: Part[] = [];
  const left: Node[] = [root];
  let instructions = 0;
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const size = sizeOf(next);
    let length = testsOf(next);
    // What takes far more tests than the kernel takes instructions need not be tried.
    if (length < 1.25 * MAX_INSTRUCTIONS) {
      const tests = optimize(graph, next, weights);
      const assembly = assemble(tests);
      ({ length } = assembly.instructions);
      if (length <= most) {
        parts.push({ root: tests, assembly });
        instructions += length;
        continue;
      }
    }
    // The first half is taken first.
    const smaller = [...halves(graph, next)].reverse();
    const isSmaller = smaller.every((half) => sizeOf(half) < size * leastGain);
    if (!isSmaller || parts.length + left.length > mostParts) throw new TooLargeError(instructions + length);
    left.push(...smaller);
  }
  return parts;
}

/** Halves that are nearly as large as the whole lead nowhere. */
const leastGain = 0.97;
/** More filters than any kernel takes of one process. */
const mostParts = 256;

/**
 * The node for the lower and for the upper values of the one word with which both halves become smallest. Undefined where
 * they stay too large.
 */
function halvesByValue(graph: Graph, node: Node): readonly Node[] | undefined {
  const starts = new Map<WordIndex, number[]>();
  for (const one of childrenFirst(node)) {
    if (one.kind !== "choice" || one.mask !== wholeWord) continue;
    const known = starts.get(one.word) ?? [];
    starts.set(one.word, known);
    for (const { start } of one.segments) if (start > 0) known.push(start);
  }
  const pass = graph.leaf(RET_ALLOW);
  let found: readonly Node[] | undefined;
  let least = sizeOf(node) * mostOfHalf;
  for (const [word, places] of starts) {
    const cut = Float64Array.from(places).sort()[places.length >> 1];
    if (cut === undefined) continue;
    const lower = within(graph, node, word, 0, cut - 1);
    const upper = within(graph, node, word, cut, wholeWord);
    const larger = Math.max(sizeOf(lower), sizeOf(upper));
    if (larger >= least) continue;
    least = larger;
    found = [
      graph.choice(word, wholeWord, [
        { start: 0, node: lower },
        { start: cut, node: pass },
      ]),
      graph.choice(word, wholeWord, [
        { start: 0, node: pass },
        { start: cut, node: upper },
      ]),
    ];
  }
  return found;
}

/** The share of the whole that a half may have at most. */
const mostOfHalf = 0.8;

/** The graph where a word is known to lie between two values. */
function within(graph: Graph, root: Node, word: WordIndex, low: number, high: number): Node {
  return rewrite(graph, root, (node) => {
    if (node.kind !== "choice" || node.word !== word || node.mask !== wholeWord) return node;
    const segments = node.segments
      .filter(({ start }, index) => start <= high && (node.segments[index + 1]?.start ?? wholeWord + 1) > low)
      .map((one, index) => (index === 0 ? { ...one, start: 0 } : one));
    return graph.choice(word, wholeWord, segments);
  });
}

/** The branches below a node: a measure of the instructions that it takes. */
function sizeOf(root: Node): number {
  return childrenFirst(root).reduce(
    (sum, node) => sum + (node.kind === "choice" ? node.segments.length : node.kind === "test" ? 1 : 0),
    0,
  );
}

/** The tests of all trees below a node: a measure of its instructions, which the passes can make somewhat smaller. */
function testsOf(root: Node): number {
  return childrenFirst(root).reduce(
    (sum, node) => sum + (node.kind === "choice" ? fewestTests(rangesOf(node.segments)) : 1),
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
    // In a long chain of conditions every branch outweighs the others, and halving it would take off one of them.
    const byValue = node.word < 2 ? undefined : halvesByValue(graph, node);
    if (byValue !== undefined) return byValue;
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
