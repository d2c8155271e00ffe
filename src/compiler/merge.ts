/**
 * Several filters as one. A service of systemd's has a filter for each directive, and the kernel runs all of them for
 * every call that its cache does not hold; one filter that answers as they do together is installed and run once.
 *
 * The filters are read as the proof reads them (`proof/filter.ts`), put together word by word, each call with the
 * strictest answer, and go through the same passes as a policy. What comes out is proved equal to the stack.
 */
import { check, type Filter, filterOf, MAX_INSTRUCTIONS, requireFilter } from "../bpf/index.ts";
import { requireAbi } from "../policy/abi-name.ts";
import { wordOfArch, wordsOfArgument, wordsOfInstructionPointer } from "../policy/resolved.ts";
import { DecisionMaker, type Decisions, type Question } from "../proof/decisions.ts";
import { decisionsOfFilter, UnreadableFilter } from "../proof/filter.ts";
import { compareStackMembers } from "../proof/stack.ts";
import { type AbiName, abiByName, abis, hostAbi, syscallsOf } from "../syscalls/index.ts";
import { assemble } from "./assemble.ts";
import { Graph, type Node, TooManyNodes, wholeWord } from "./graph.ts";
import { ProofError, TooLargeError } from "./index.ts";
import { optimize } from "./passes/index.ts";
import { type Optimize, weightsFor } from "./weights.ts";

export interface MergeOptions {
  /** What the filter is made good for, as for `compile`. */
  readonly optimize?: Optimize;
  /** The machine that the filters are for; by default this one. */
  readonly target?: AbiName;
}

/** The filters could not be put together: what they ask is too much for one graph, or cannot be followed. */
export class MergeError extends Error {
  override readonly name = "MergeError";
}

/** Far more branches than a filter of 4096 instructions can have. */
const mostBranches = 2_000_000;

/**
 * Merges a stack of filters, the oldest first, into one that answers every call as the stack does: with the strictest
 * answer, and among equal actions with the newest filter's.
 * @throws TypeError for no filter at all, or one that the kernel would refuse; MergeError where the filters cannot be
 * put together; TooLargeError where the kernel would not take the result; ProofError where it is not proved equal
 */
export function merge(filters: readonly Filter[], options: MergeOptions = {}): Filter {
  if (!Array.isArray(filters) || filters.length === 0) throw new TypeError("there is no filter to merge");
  if (options.target !== undefined) requireAbi(options.target);
  for (const [index, filter] of filters.entries()) {
    requireFilter(filter);
    const [refusal] = check(filter.instructions);
    if (refusal !== undefined)
      throw new TypeError(
        `the kernel refuses filter ${index + 1}: instruction ${refusal.index}: ${refusal.message}`,
      );
  }
  const target = abiByName(options.target ?? hostAbi() ?? "x86_64");
  const endian = target?.endian ?? "little";
  const graph = new Graph();
  graph.limit = mostBranches;
  for (const { high } of [
    wordsOfInstructionPointer(endian),
    ...[0, 1, 2, 3, 4, 5].map((index) => wordsOfArgument(index, endian)),
  ])
    graph.noteHighHalf(high);
  const weights = weightsFor(
    options.optimize ?? "kernel",
    abis.map((abi) => ({ abi, calls: syscallsOf(abi.name) })),
  );
  const together = readTogether(graph, filters);
  const root = architecturesApart(graph, together, target?.arch);
  const { instructions } = assemble(optimize(graph, root, weights));
  if (instructions.length > MAX_INSTRUCTIONS) throw new TooLargeError(instructions.length);
  return proved(filterOf(instructions, endian), filters);
}

/** The whole stack as one graph of choices. */
function readTogether(graph: Graph, filters: readonly Filter[]): Node {
  const maker = new DecisionMaker();
  try {
    return filters
      .map(({ instructions }) => graphOf(graph, decisionsOfFilter(instructions, maker)))
      .reduce((older, newer) => graph.merge(newer, older, "strictest"));
  } catch (error) {
    if (error instanceof UnreadableFilter) throw new MergeError(error.message);
    if (error instanceof TooManyNodes)
      throw new MergeError("the filters ask about the same words in more ways than one filter can");
    throw error;
  }
}

/** Decisions as choices in the graph's one order of words, from the answers up. */
function graphOf(graph: Graph, decisions: Decisions): Node {
  const known = new Map<Decisions, Node>();
  const open: Decisions[] = [decisions];
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    if (top.kind === "answer") known.set(top, graph.leaf(top.returnValue));
    else {
      const [holds, fails] = [known.get(top.holds), known.get(top.fails)];
      if (holds === undefined) open.push(top.holds);
      if (fails === undefined) open.push(top.fails);
      if (holds === undefined || fails === undefined) continue;
      known.set(top, graph.ifElse(outcomeOf(graph, top), holds, fails));
    }
    open.pop();
  }
  const made = known.get(decisions);
  if (made === undefined) throw new Error("every decision is made by now");
  return made;
}

/** A question's own outcome, as a choice between `holds` and `fails`. */
function outcomeOf(graph: Graph, { word, mask, test, k }: Question): Node {
  const { holds, fails } = graph;
  const start = { start: 0, node: test === "any-bit" || k > 0 ? fails : holds };
  switch (test) {
    case "any-bit":
      return graph.choice(word, (mask & k) >>> 0, [
        { start: 0, node: fails },
        { start: 1, node: holds },
      ]);
    case "at-least":
      return graph.choice(word, mask, [start, { start: k, node: holds }]);
    case "equal":
      return graph.choice(word, mask, [start, { start: k, node: holds }, { start: k + 1, node: fails }]);
  }
}

/** The choice of the architecture as tests in a row, the machine's own first: it is that of most calls. */
function architecturesApart(graph: Graph, root: Node, own: number | undefined): Node {
  if (root.kind !== "choice" || root.word !== wordOfArch || root.mask !== wholeWord) return root;
  const segments = root.segments.map(({ start, node }, index) => ({
    start,
    last: (root.segments[index + 1]?.start ?? wholeWord + 1) - 1,
    node,
  }));
  const others = new Set(segments.filter(({ start, last }) => start < last).map(({ node }) => node));
  const [other] = others;
  if (other === undefined || others.size > 1) return root;
  return segments
    .filter(({ start, last, node }) => start === last && node !== other)
    .sort((a, b) => Number(a.start === own) - Number(b.start === own))
    .reduce<Node>(
      (rest, { start, node }) => graph.test(wordOfArch, wholeWord, "equal", start, node, rest),
      other,
    );
}

/** Nothing leaves here unproved. */
function proved(merged: Filter, filters: readonly Filter[]): Filter {
  const [refusal] = check(merged.instructions);
  if (refusal !== undefined)
    throw new ProofError({
      verdict: "undecided",
      reason: `instruction ${refusal.index}: ${refusal.message}`,
    });
  const verdict = compareStackMembers(
    [{ filter: merged }],
    filters.map((filter) => ({ filter })),
  );
  if (verdict.verdict === "equal") return merged;
  throw new ProofError({
    verdict: "undecided",
    reason:
      verdict.verdict === "undecided"
        ? verdict.reason
        : `the merged filter differs on call ${verdict.witness.nr}`,
  });
}
