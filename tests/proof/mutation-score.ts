// All compiled policies that are here, and what becomes of their filters' mutants. `scripts/mutation-score.mjs` tries
// every mutant, the tests some.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import type { Filter } from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { renderDiagnostics } from "../../src/diagnostics/index.ts";
import { builtinPolicies, type ReadResult } from "../../src/formats/index.ts";
import { loadPolicy, readFound } from "../../src/formats/load.ts";
import type { Policy } from "../../src/policy/types.ts";
import { target } from "../policy/reading.ts";
import { type Fate, fateOf, mutantsOf } from "./mutants.ts";

const policyFolder = "tests/fixtures/policies";
const benchFolder = "bench/policies";
const exampleFolder = "examples";

export interface Subject {
  readonly name: string;
  readonly policy: Policy;
  readonly filter: Filter;
}

const filesIn = (folder: string, extension: string): readonly string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith(extension))
    .sort()
    .map((file) => join(folder, file));

/** The policy that an example gives to `prepare`, as a text; undefined where it takes a built-in one. */
function policyInExample(file: string): string | undefined {
  const [, literal] = /\bprepare\((\{\n.*?\n\})\)/s.exec(readFileSync(file, "utf8")) ?? [];
  return literal === undefined ? undefined : JSON.stringify(runInNewContext(`(${literal})`));
}

/** Every policy that is here and without mistakes: built-in, of the tests, of the bench, of the examples. */
function read(): readonly (readonly [string, ReadResult])[] {
  const sources = [
    ...builtinPolicies(),
    ...filesIn(policyFolder, ".toml"),
    ...filesIn(benchFolder, ".json").filter((file) => !file.endsWith("frequencies.json")),
    join(exampleFolder, "script.toml"),
  ];
  const examples = filesIn(exampleFolder, ".mjs").flatMap((file) => {
    const text = policyInExample(file);
    return text === undefined ? [] : [[file, readFound({ text, filename: file }, { target })] as const];
  });
  return [...sources.map((source) => [source, loadPolicy(source, { target })] as const), ...examples];
}

/** All of them, compiled. */
export function subjects(): readonly Subject[] {
  return read().map(([source, { policy, diagnostics }]) => {
    if (policy === undefined) throw new Error(renderDiagnostics(diagnostics));
    return { name: source.replace(`${policyFolder}/`, ""), policy, filter: compile(policy, { target }) };
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
