/** A resolved policy as one decision graph: architecture, then number, then what the rules look at. */

import {
  type Decisions,
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
import { type Graph, type Node, type Segment, segmentTree, wholeWord } from "./graph.ts";
import { lowerCondition } from "./lower-condition.ts";
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

/** The tree over all numbers of one architecture value: x86_64 and x32 share theirs. */
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
  return segmentTree(graph, wordOfNumber, wholeWord, segments);
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

function lowerCall(graph: Graph, call: ResolvedCall, abi: AbiName): Node {
  const own = lowerDecisions(graph, call, abi);
  const { behind } = call;
  if (behind === undefined) return own;
  const segments: Segment[] = [];
  let next = 0;
  for (const one of [...behind.calls].sort((a, b) => a.code - b.code)) {
    if (next < one.code) segments.push({ start: next, node: own });
    segments.push({ start: one.code, node: lowerDecisions(graph, one, abi) });
    next = one.code + 1;
  }
  segments.push({ start: next, node: own });
  return segmentTree(graph, behind.word, behind.mask, segments);
}

/** Rules in order, from the last to the first: each goes on with what comes after it. */
function lowerDecisions(graph: Graph, decisions: Decisions, abi: AbiName): Node {
  return decisions.entries.reduceRight<Node>(
    (rest, entry) =>
      lowerCondition(
        graph,
        entry.condition,
        entry.unknown,
        graph.leaf(returnValueOf(entry.rule.action, abi)),
        rest,
      ),
    fallbackLeaf(graph, decisions.fallback, abi),
  );
}

function fallbackLeaf(graph: Graph, fallback: Fallback, abi: AbiName): Node {
  return graph.leaf(returnValueOf(fallback.action, abi));
}
