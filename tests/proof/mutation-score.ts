// All compiled policies that are here, and what becomes of their filters' mutants. `scripts/mutation-score.mjs` tries
// every mutant, the tests some.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Filter } from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { renderDiagnostics } from "../../src/diagnostics/index.ts";
import { builtinPolicies } from "../../src/formats/index.ts";
import { loadPolicy } from "../../src/formats/load.ts";
import type { Policy } from "../../src/policy/types.ts";
import { target } from "../policy/reading.ts";
import { type Fate, fateOf, mutantsOf } from "./mutants.ts";

const folder = "tests/fixtures/policies";

export interface Subject {
  readonly name: string;
  readonly policy: Policy;
  readonly filter: Filter;
}

/** The built-in policies and those of tests/fixtures/policies, compiled. */
export function subjects(): readonly Subject[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".toml"));
  const sources = [...builtinPolicies(), ...files.sort().map((file) => join(folder, file))];
  return sources.map((source) => {
    const { policy, diagnostics } = loadPolicy(source, { target });
    if (policy === undefined) throw new Error(renderDiagnostics(diagnostics));
    return { name: source.replace(`${folder}/`, ""), policy, filter: compile(policy, { target }) };
  });
}

export type Score = Record<Fate, number>;

/**
 * What became of the mutants of a policy's filter; throws where two methods disagree about one.
 * @param share how many of the mutants are tried, 1 for all
 */
export function scoreOf({ filter, policy }: Subject, random: () => number, share = 1): Score {
  const score: Score = { refuted: 0, refused: 0, equal: 0, "not followed": 0 };
  for (const at of filter.instructions.keys()) {
    for (const mutant of mutantsOf(filter, at, random)) {
      if (share < 1 && random() >= share) continue;
      score[fateOf(filter, policy, at, mutant)] += 1;
    }
  }
  return score;
}

export function sumOf(scores: readonly Score[]): Score {
  const sum: Score = { refuted: 0, refused: 0, equal: 0, "not followed": 0 };
  for (const score of scores) {
    sum.refuted += score.refuted;
    sum.refused += score.refused;
    sum.equal += score.equal;
    sum["not followed"] += score["not followed"];
  }
  return sum;
}

export const mutantsIn = (score: Score): number =>
  score.refuted + score.refused + score.equal + score["not followed"];
