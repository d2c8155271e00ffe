/** What can be compared: a policy, a filter, or a stack of filters of which the strictest answer holds. */
import { check, emulateWords, type Filter, requireFilter, strictest } from "../bpf/index.ts";
import { returnValueOf } from "../compiler/return-value.ts";
import { evaluateWords } from "../policy/evaluate.ts";
import { resolveSound } from "../policy/resolve.ts";
import type { ResolvedPolicy } from "../policy/resolved.ts";
import type { Policy } from "../policy/types.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import type { DecisionMaker, Decisions } from "./decisions.ts";
import { decisionsOfFilter } from "./filter.ts";
import { effectOf } from "./meaning.ts";
import type { Partition, Partitions } from "./partition.ts";
import { decisionsOfPolicy } from "./policy.ts";
import type { Relations } from "./relations.ts";
import { abiOfCall } from "./written-call.ts";

/** A policy, a filter, or a stack of filters (the oldest first). */
export type Comparable = Policy | Filter | readonly Filter[];

/** One side of a comparison, read. */
export type Side =
  | { readonly kind: "policy"; readonly resolved: ResolvedPolicy }
  | { readonly kind: "stack"; readonly filters: readonly Filter[] };

/**
 * A side, ready to be compared.
 * @throws TypeError for a policy with errors, a filter that the kernel would refuse, and a stack without filters
 */
export function sideOf(one: Comparable, target: AbiName | undefined = hostAbi()): Side {
  if (typeof one !== "object" || one === null)
    throw new TypeError("a policy, a filter or an array of filters can be compared");
  if ("syscalls" in one) return { kind: "policy", resolved: resolveSound(one, target) };
  const filters = Array.isArray(one) ? one : [one];
  if (filters.length === 0) throw new TypeError("a stack has one filter at least");
  for (const filter of filters) {
    requireFilter(filter);
    const [refusal] = check(filter.instructions);
    if (refusal !== undefined) throw new TypeError(`the kernel refuses this filter: ${refusal.message}`);
  }
  return { kind: "stack", filters };
}

/** The side's members as decisions, the oldest first; with `relations` tests of several words are told as such. */
export function decisionsOfSide(
  side: Side,
  maker: DecisionMaker,
  relations?: Relations,
): readonly Decisions[] {
  if (side.kind === "policy") return [decisionsOfPolicy(side.resolved, maker, { telling: "values" })];
  return side.filters.map(({ instructions }) => decisionsOfFilter(instructions, maker, relations));
}

/** The side as one partition, whose values are effects. */
export function partitionOfSide(side: Side, maker: DecisionMaker, partitions: Partitions): Partition {
  return decisionsOfSide(side, maker, partitions.relations)
    .map((decisions) => partitions.ofDecisions(decisions, effectOf))
    .reduce((older, newer) =>
      partitions.combine(newer, older, (value, other) => strictest(value, other) >>> 0),
    );
}

/** What a side answers to one call: by emulating its filters, or by reading its rules. */
export function answerOfSide(side: Side, words: readonly number[]): number {
  if (side.kind === "stack")
    return side.filters
      .map(({ instructions }) => emulateWords(instructions, Uint32Array.from(words)))
      .reduce((older, newer) => strictest(newer, older));
  const [nr = 0, arch = 0] = words;
  const { resolved } = side;
  const abi = abiOfCall(arch, nr);
  const { action } =
    abi === undefined
      ? resolved.otherAbis
      : evaluateWords(resolved, abi, nr, (index) => BigInt(words[index] ?? 0));
  return returnValueOf(action, abi ?? resolved.abis[0]?.abi.name ?? "x86_64");
}
