/**
 * Whether a stack of filters, as a process has it, says the same as policies that hold together: of each side the
 * strictest answer counts, and among equal actions the newest one's, as in the kernel.
 */
import { callOfWords, emulateWords, type Filter, strictest } from "../bpf/index.ts";
import { returnValueOfDecision } from "../compiler/return-value.ts";
import { evaluateWords } from "../policy/evaluate.ts";
import type { Decision, ResolvedPolicy } from "../policy/resolved.ts";
import { type Abi, type AbiName, abis } from "../syscalls/index.ts";
import { DecisionMaker, type Decisions } from "./decisions.ts";
import { compareStacks } from "./equality.ts";
import { decisionsOfFilter, UnreadableFilter } from "./filter.ts";
import { decisionsOfPolicy, type LaunchKeyRule } from "./policy.ts";

/** A policy of a stack; with a launch key, it has that one rule in front. */
export interface StackPolicy {
  readonly resolved: ResolvedPolicy;
  readonly launchKey?: LaunchKeyRule;
}

/** A member of a stack. */
export type StackMember = { readonly filter: Filter } | StackPolicy;

/** A call that two stacks answer differently. */
export interface StackDifference {
  readonly arch: number;
  readonly abi: AbiName | undefined;
  readonly nr: number;
  readonly args: readonly bigint[];
  readonly first: number;
  readonly second: number;
}

export type StackVerdict =
  | { readonly verdict: "equal"; readonly regions: number }
  | { readonly verdict: "different"; readonly witness: StackDifference }
  | { readonly verdict: "undecided"; readonly reason: string };

/** Compares two stacks, the oldest member first, over every architecture, number and argument. */
export function compareStackMembers(
  first: readonly StackMember[],
  second: readonly StackMember[],
): StackVerdict {
  const maker = new DecisionMaker();
  /** A member that stands on both sides is read once. */
  const known = new Map<StackMember, Decisions>();
  const decisionsOf = (member: StackMember): Decisions => {
    const read =
      known.get(member) ??
      ("filter" in member
        ? decisionsOfFilter(member.filter.instructions, maker)
        : decisionsOfPolicy(member.resolved, maker, {
            telling: "values",
            ...(member.launchKey === undefined ? {} : { launchKey: member.launchKey }),
          }));
    known.set(member, read);
    return read;
  };
  try {
    const equality = compareStacks(first.map(decisionsOf), second.map(decisionsOf));
    if (equality.verdict !== "different") return equality;
    const { words } = equality;
    const witness = {
      ...callOf(words),
      first: answerOf(first, words),
      second: answerOf(second, words),
    };
    if (witness.first === witness.second)
      return {
        verdict: "undecided",
        reason: "the counterexample could not be confirmed: this is a mistake in callgate, please report it",
      };
    return { verdict: "different", witness };
  } catch (error) {
    if (error instanceof UnreadableFilter) return { verdict: "undecided", reason: error.message };
    throw error;
  }
}

function callOf(words: readonly number[]): Pick<StackDifference, "arch" | "abi" | "nr" | "args"> {
  const { arch, nr, args } = callOfWords(words);
  return { arch, abi: abiOf(arch, nr)?.name, nr, args };
}

/** The confirmation: filters are emulated and rules are read for this one call, apart from the search. */
function answerOf(stack: readonly StackMember[], words: readonly number[]): number {
  const answers = stack.map((member) =>
    "filter" in member
      ? emulateWords(member.filter.instructions, Uint32Array.from(words))
      : answerOfPolicy(member, words),
  );
  return answers.reduce((older, newer) => strictest(newer, older));
}

function answerOfPolicy({ resolved, launchKey }: StackPolicy, words: readonly number[]): number {
  const [nr = 0, arch = 0] = words;
  const keyed =
    launchKey !== undefined &&
    arch === launchKey.arch &&
    nr === launchKey.nr &&
    launchKey.key.every((word, index) => word === words[10 + index]);
  if (keyed) return launchKey.returnValue;
  const abi = abiOf(arch, nr);
  const decision: Decision =
    abi === undefined
      ? { ...resolved.otherAbis, rule: undefined }
      : evaluateWords(resolved, abi.name, nr, (index) => BigInt(words[index] ?? 0));
  return returnValueOfDecision(decision, abi?.name, resolved);
}

function abiOf(arch: number, nr: number): Abi | undefined {
  const sharing = abis.filter((abi) => abi.arch === arch);
  if (sharing.length < 2) return sharing[0];
  const isX32 = nr >= 0x4000_0000 && nr < 0x8000_0000;
  return sharing.find((abi) => (abi.name === "x32") === isX32);
}
