/**
 * Whether a filter says the same as a policy, for every architecture, number and argument. What is not proved is
 * refuted with a call that shows it, or undecided: never taken for proved.
 */
import { callOfWords, check, emulateWords, type Filter, requireFilter } from "../bpf/index.ts";
import { returnValueOfDecision } from "../compiler/return-value.ts";
import { evaluateWords } from "../policy/evaluate.ts";
import { resolveSound } from "../policy/resolve.ts";
import { abiOfNumber, type Decision, type ResolvedPolicy } from "../policy/resolved.ts";
import type { Policy } from "../policy/types.ts";
import { type Abi, type AbiName, abis, hostAbi } from "../syscalls/index.ts";
import { DecisionMaker } from "./decisions.ts";
import { compareDecisions } from "./equality.ts";
import { decisionsOfFilter, UnreadableFilter } from "./filter.ts";
import { decisionsOfPolicy, type LaunchKeyRule } from "./policy.ts";

/** A call on which two sides differ. */
export interface Witness {
  /** The architecture value; `abi` is undefined where no known ABI has it. */
  readonly arch: number;
  readonly abi: AbiName | undefined;
  readonly nr: number;
  /** The six argument registers. */
  readonly args: readonly bigint[];
  readonly instructionPointer: bigint;
  /** What the filter returns. */
  readonly returnValue: number;
  /** What the policy says, and the value that a filter should return for it. */
  readonly expected: Decision;
  readonly expectedReturnValue: number;
}

export type Verdict =
  | { readonly verdict: "proved"; readonly regions: number }
  | { readonly verdict: "refuted"; readonly witness: Witness }
  | { readonly verdict: "undecided"; readonly reason: string };

export interface ProveOptions {
  /** What `native` in the policy means; by default this machine's ABI. */
  readonly target?: AbiName;
}

/** Proves a filter equal to a policy, or shows a call on which they differ. */
export function prove(filter: Filter, policy: Policy, options: ProveOptions = {}): Verdict {
  requireFilter(filter);
  return proveResolved(filter, resolveSound(policy, options.target ?? hostAbi()));
}

/** The same for a resolved policy; with a launch key, the policy has that one rule in front. */
export function proveResolved(filter: Filter, resolved: ResolvedPolicy, launchKey?: LaunchKeyRule): Verdict {
  const [refusal] = check(filter.instructions);
  if (refusal !== undefined) {
    return {
      verdict: "undecided",
      reason: `the kernel refuses this filter: instruction ${refusal.index}: ${refusal.message}`,
    };
  }
  const maker = new DecisionMaker();
  try {
    const actual = decisionsOfFilter(filter.instructions, maker);
    const wanted = decisionsOfPolicy(resolved, maker, {
      telling: "values",
      ...(launchKey === undefined ? {} : { launchKey }),
    });
    const equality = compareDecisions(actual, wanted);
    switch (equality.verdict) {
      case "equal":
        return { verdict: "proved", regions: equality.regions };
      case "undecided":
        return equality;
      case "different":
        return refutation(filter, resolved, equality.words);
    }
  } catch (error) {
    if (error instanceof UnreadableFilter) return { verdict: "undecided", reason: error.message };
    throw error;
  }
}

/** The witness, confirmed: the filter is emulated and the policy's rules are read, both for this one call. */
function refutation(filter: Filter, resolved: ResolvedPolicy, words: readonly number[]): Verdict {
  const wordAt = (index: number): number => words[index] ?? 0;
  const { nr, arch, args, instructionPointer } = callOfWords(words);
  const abi = abiOf(arch, nr);
  const expected = decide(resolved, arch, nr, (index) => BigInt(wordAt(index)));
  const witness: Witness = {
    arch,
    abi: abi?.name,
    nr,
    args,
    instructionPointer,
    returnValue: emulateWords(filter.instructions, Uint32Array.from(words)),
    expected,
    expectedReturnValue: returnValueOfDecision(expected, abi?.name, resolved),
  };
  if (witness.returnValue === witness.expectedReturnValue) {
    return {
      verdict: "undecided",
      reason: "the counterexample could not be confirmed: this is a mistake in callgate, please report it",
    };
  }
  return { verdict: "refuted", witness };
}

function abiOf(arch: number, nr: number): Abi | undefined {
  const first = abis.find((abi) => abi.arch === arch);
  const name = first === undefined ? undefined : abiOfNumber(first.name, nr);
  return abis.find((abi) => abi.name === name);
}

/** What the rules say of a call given as words, whatever its architecture. */
function decide(
  resolved: ResolvedPolicy,
  arch: number,
  nr: number,
  wordAt: (index: number) => bigint,
): Decision {
  const abi = abiOf(arch, nr);
  return abi === undefined
    ? { ...resolved.otherAbis, rule: undefined }
    : evaluateWords(resolved, abi.name, nr, wordAt);
}
