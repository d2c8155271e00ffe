/** What learning came to, for programs: `callgate learn --json`. */
import {
  addressUse,
  type FileFacts,
  type FileUse,
  fileUse,
  type LearnedGrants,
  type LearnedRule,
  type LearnedRules,
  type Observation,
} from "../../learn/index.ts";
import type { WatchedRun } from "../../sandbox/watch.ts";
import { describeEnd, droppableCalls } from "./describe.ts";

/** What was added to a policy in one run. */
export interface Added {
  readonly rules: readonly Pick<LearnedRule, "text" | "comment" | "isDerived">[];
  readonly abis: readonly string[];
  readonly read: readonly string[];
  readonly write: readonly string[];
  /** The whole network, or TCP ports, or null where nothing was added. */
  readonly network: "host" | readonly number[] | null;
}

/** A run under what was written. */
export interface Trial {
  readonly sandbox: "filter" | "whole";
  /** How it ended; null where it was not started. */
  readonly end: string | null;
  /** As the run that was learned from did. */
  readonly endedAsBefore: boolean;
  /** What was still missing, and was added; null where it was not started. In the whole sandbox, calls alone can be known. */
  readonly missing: Added | null;
}

export interface Summary {
  readonly file: string;
  readonly command: readonly string[];
  readonly end: string;
  /** The policy was written and tried, and the program ended as before; null where it was not tried. */
  readonly confirmed: boolean | null;
  readonly notTried: string | null;
  readonly runs: number;
  /** How many of the last runs brought nothing new. */
  readonly idleRuns: number;
  readonly added: Added;
  readonly leftOut: LearnedGrants["left"];
  readonly exposed: LearnedGrants["exposed"];
  /** What the program did, granted or not. */
  readonly used: FileUse & {
    readonly addresses: readonly string[];
    readonly memoryKiB: number | null;
    readonly processorMicroseconds: number | null;
  };
  readonly unknownCalls: LearnedRules["unknown"];
  /** Kinds of calls and paths that were not kept. */
  readonly lost: Observation["lost"];
  /** With `--phases`: what was not seen after the first `listen`; null where there was none. */
  readonly droppable?: readonly string[] | null;
  readonly trials: readonly Trial[];
}

/** What `--merge` came to. */
export interface Merged {
  readonly file: string;
  /** The policies, the first one first: it has got what the others had more. */
  readonly merged: readonly string[];
  readonly added: Added;
}

export function addedOf({
  rules,
  abis,
  grants,
}: Pick<LearnedRules, "rules" | "abis"> & { readonly grants: LearnedGrants }): Added {
  return {
    rules: rules.map(({ text, comment, isDerived }) => ({ text, comment, isDerived })),
    abis,
    read: grants.read,
    write: grants.write,
    network: grants.network ?? null,
  };
}

/** @param run the first one, from which was learned */
export function summaryOf(
  {
    output,
    words,
    phases,
  }: { readonly output: string; readonly words: readonly string[]; readonly phases: boolean },
  run: WatchedRun,
  learned: LearnedRules & { readonly grants: LearnedGrants },
  facts: FileFacts,
  {
    runs,
    idle,
    ...rest
  }: { readonly runs: number; readonly idle: number } & Pick<Summary, "trials" | "confirmed" | "notTried">,
): Summary {
  const { observation } = run;
  const { use } = observation;
  return {
    file: output,
    command: words,
    end: describeEnd(run),
    confirmed: rest.confirmed,
    notTried: rest.notTried,
    runs,
    idleRuns: idle,
    added: addedOf(learned),
    leftOut: learned.grants.left,
    exposed: learned.grants.exposed,
    used: {
      ...fileUse(observation, facts),
      addresses: addressUse(observation),
      memoryKiB: use?.largest ?? null,
      processorMicroseconds: use?.processor ?? null,
    },
    unknownCalls: learned.unknown,
    lost: observation.lost,
    ...(phases ? { droppable: droppableCalls(observation) ?? null } : {}),
    trials: rest.trials,
  };
}
