/** A resolved policy as one decision graph: architecture, then number, then what the rules look at. */

import {
  type Decisions,
  type Entry,
  type Fallback,
  firstNegativeNumber,
  firstX32Number,
  type ResolvedAbi,
  type ResolvedCall,
  type ResolvedPolicy,
  wordOfArch,
  wordOfNumber,
} from "../policy/resolved.ts";
import { type AbiName, abiByName, abis as allAbis } from "../syscalls/index.ts";
import { type Graph, type Node, type Segment, TooManyNodes, wholeWord } from "./graph.ts";
import { hasUnknown, inRuleOrder, inWordOrder, type Join, lowerCondition } from "./lower-condition.ts";
import { returnValueOf } from "./return-value.ts";

export function lower(graph: Graph, resolved: ResolvedPolicy): Node {
  const foreign = graph.leaf(
    returnValueOf(resolved.otherAbis.action, resolved.abis[0]?.abi.name ?? "x86_64"),
  );
  const byArch = new Map<number, Node>();
  for (const { abi } of resolved.abis) {
    if (!byArch.has(abi.arch)) byArch.set(abi.arch, numbersOfArch(graph, abi.arch, resolved, foreign));
  }
  // The architecture of most calls is that of the machine's first ABI: it is tested first.
  let root: Node = foreign;
  for (const [arch, node] of [...byArch].reverse()) {
    root = graph.test(wordOfArch, wholeWord, "equal", arch, node, root);
  }
  return root;
}

/** The choice of all numbers of one architecture value: x86_64 and x32 share theirs. */
function numbersOfArch(graph: Graph, arch: number, resolved: ResolvedPolicy, foreign: Node): Node {
  const resolvedAbi = (name: AbiName): ResolvedAbi | undefined =>
    resolved.abis.find((one) => one.abi.name === name);
  const segments: Segment[] = [];
  const append = (abi: ResolvedAbi | undefined, from: number, to: number): void => {
    segments.push(
      ...(abi === undefined ? [{ start: from, node: foreign }] : numbersOfAbi(graph, abi, from, to)),
    );
  };
  if (arch === abiByName("x86_64")?.arch) {
    const native = resolvedAbi("x86_64");
    append(native, 0, firstX32Number);
    append(resolvedAbi("x32"), firstX32Number, firstNegativeNumber);
    append(native, firstNegativeNumber, wholeWord + 1);
  } else {
    const abi = allAbis.find((one) => one.arch === arch);
    append(abi === undefined ? undefined : resolvedAbi(abi.name), 0, wholeWord + 1);
  }
  return graph.choice(wordOfNumber, wholeWord, segments);
}

/** Segments for the numbers from `from` to below `to`; those that are no call get what unknown numbers get. */
function numbersOfAbi(graph: Graph, abi: ResolvedAbi, from: number, to: number): readonly Segment[] {
  const unknown = fallbackLeaf(graph, abi.unknownNumber, abi.abi.name);
  const segments: Segment[] = [];
  let next = from;
  for (const call of abi.calls) {
    if (call.nr < from || call.nr >= to) continue;
    if (next < call.nr) segments.push({ start: next, node: unknown });
    segments.push({ start: call.nr, node: lowerCall(graph, call, abi.abi.name) });
    next = call.nr + 1;
  }
  if (next < to) segments.push({ start: next, node: unknown });
  return segments;
}

/**
 * The rules of a call in the order of the words that they look at: each word is looked at once. Where that takes far
 * more nodes than there are rules, in the order of the rules.
 */
export function lowerCall(graph: Graph, call: ResolvedCall, abi: AbiName): Node {
  const { behind, entries, fallback } = call;
  const [first] = entries;
  // Most calls are decided without a look at their arguments, and these are most of what a cold start lowers.
  if (behind === undefined) {
    if (first === undefined) return fallbackLeaf(graph, fallback, abi);
    if (first.condition.kind === "known" && first.condition.value)
      return graph.leaf(returnValueOf(first.rule.action, abi));
  }
  const rules = [call, ...(call.behind?.calls ?? [])].reduce((sum, one) => sum + one.entries.length, 0);
  const before = graph.limit;
  graph.limit = Math.min(
    before,
    graph.branches + 2_000 + rules * (40 + 8 * Math.max(0, Math.log2(rules / 64))),
  );
  try {
    return joinCall(graph, inWordOrder(graph), call, abi);
  } catch (error) {
    if (!(error instanceof TooManyNodes) || graph.limit === before) throw error;
    graph.limit = before;
    return joinCall(graph, inRuleOrder(graph), call, abi);
  } finally {
    graph.limit = before;
  }
}

function joinCall(graph: Graph, join: Join, call: ResolvedCall, abi: AbiName): Node {
  const own = lowerDecisions(graph, join, call, abi);
  const { behind } = call;
  if (behind === undefined) return own;
  return [...behind.calls]
    .sort((a, b) => a.code - b.code)
    .reduceRight<Node>((rest, one) => {
      const isCode = graph.choice(behind.word, behind.mask, [
        { start: 0, node: graph.fails },
        { start: one.code, node: graph.holds },
        { start: one.code + 1, node: graph.fails },
      ]);
      return join.ifElse(isCode, lowerDecisions(graph, join, one, abi), rest);
    }, own);
}

/** Rules in order: runs of rules whose conditions can be seen are put together by halves, the others one by one. */
function lowerDecisions(graph: Graph, join: Join, { entries, fallback }: Decisions, abi: AbiName): Node {
  const lowerEntry = (entry: Entry, rest: Node): Node =>
    lowerCondition(
      graph,
      join,
      entry.condition,
      entry.unknown,
      graph.leaf(returnValueOf(entry.rule.action, abi)),
      rest,
    );
  const firstOf = (from: number, to: number): Node => {
    const entry = entries[from];
    if (entry === undefined) return graph.fails;
    if (to - from === 1) return lowerEntry(entry, graph.fails);
    const middle = (from + to) >> 1;
    return graph.firstOf(firstOf(from, middle), firstOf(middle, to));
  };
  let rest: Node = fallbackLeaf(graph, fallback, abi);
  for (let to = entries.length; to > 0; ) {
    let from = to - 1;
    const last = entries[from];
    if (last === undefined) break;
    const isSeen = (index: number): boolean => {
      const entry = entries[index];
      return entry !== undefined && !hasUnknown(entry.condition);
    };
    if (join.order === "words" && isSeen(from)) {
      while (from > 0 && isSeen(from - 1)) from -= 1;
      rest = graph.firstOf(firstOf(from, to), rest);
    } else rest = lowerEntry(last, rest);
    to = from;
  }
  return rest;
}

function fallbackLeaf(graph: Graph, fallback: Fallback, abi: AbiName): Node {
  return graph.leaf(returnValueOf(fallback.action, abi));
}
