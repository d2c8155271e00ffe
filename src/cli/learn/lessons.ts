/** What there is to learn from a run that was watched. */
import { existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import {
  type FileFacts,
  type LearnedGrants,
  type LearnedRules,
  learnedGrants,
  learnedRules,
  type Observation,
} from "../../learn/index.ts";
import type { Policy } from "../../policy/types.ts";
import { isSystem } from "../../sandbox/file-system.ts";
import { absolutePath } from "../../sandbox/grants.ts";
import type { AbiName } from "../../syscalls/index.ts";

/** What a policy lacks for a run: rules, and files and ports. */
export interface Lessons extends LearnedRules {
  readonly grants: LearnedGrants;
}

export const noGrants: LearnedGrants = { read: [], write: [], network: undefined, left: [], exposed: [] };

export function lessonsOf(
  native: AbiName,
  observation: Observation,
  policy: Policy,
  facts: FileFacts,
): Lessons {
  const home = homedir();
  const cwd = process.cwd();
  const absolute = (paths: readonly string[] = []): readonly string[] =>
    paths.map((path) => absolutePath(path, { cwd, home }));
  const { files, network } = policy;
  return {
    ...learnedRules(observation, policy, native),
    grants: learnedGrants(observation, {
      ...facts,
      home,
      cwd,
      isSystem,
      granted: { read: absolute(files?.read), write: absolute(files?.write) },
      network: network?.mode === "ports" ? network.ports : (network?.mode ?? "off"),
    }),
  };
}

export function hasNews({ rules, grants }: Lessons): boolean {
  return (
    rules.length > 0 || grants.read.length > 0 || grants.write.length > 0 || grants.network !== undefined
  );
}

/** Files that a run makes are told from those that it finds by the time at which they came to be. */
export function factsSince(begin: number): FileFacts {
  const bornAt = (path: string): number | undefined => {
    try {
      return statSync(path, { throwIfNoEntry: false })?.birthtimeMs;
    } catch {
      return undefined;
    }
  };
  return { exists: existsSync, wasThere: (path) => (bornAt(path) ?? Infinity) < begin };
}
