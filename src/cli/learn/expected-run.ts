/**
 * What the next run of a learned policy looks like if it brings nothing new, for the watcher to do it without Node: the
 * same programs are started, and nothing else is handed up.
 */
import { lstatSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, resolve as resolvePath } from "node:path";
import { hasErrors } from "../../diagnostics/index.ts";
import { readFound } from "../../formats/load.ts";
import {
  addressUse,
  aroundHistory,
  type FileFacts,
  fileUse,
  historyOf,
  historyText,
  limitsText,
  type Observation,
  type SeenCall,
} from "../../learn/index.ts";
import { resolve } from "../../policy/resolve.ts";
import type { Policy } from "../../policy/types.ts";
import { findProgram } from "../../sandbox/find-program.ts";
import { type ExpectedCall, encodeExpected, keepJob, places } from "../../sandbox/kept-jobs.ts";
import { factsProblem, restOnCallgate } from "../../sandbox/kept-plans.ts";
import { realPath, recordLookups, restOnContent } from "../../sandbox/lookups.ts";
import { type AbiName, abiByName } from "../../syscalls/index.ts";
import { nodeInPath, stringsOf } from "../own-command-line.ts";
import { describeGrants, describeNothingNew, describeUse } from "./describe.ts";
import type { JobOf } from "./jobs.ts";
import { hasNews, lessonsOf } from "./lessons.ts";

export interface LearnedFrom {
  readonly output: string;
  readonly native: AbiName;
  /** The program and its arguments: for people, and each by itself. */
  readonly command: string;
  readonly words: readonly string[];
  /** What is in the policy's file now. */
  readonly text: string;
  readonly run: { readonly observation: Observation };
  readonly facts: FileFacts;
  readonly job: JobOf;
}

/** Keeps what the next run needs where it can be kept; never fails, since the next run can be Node's. */
export async function keepExpectedRun(learned: LearnedFrom): Promise<void> {
  const commandLine = ownCommandLine();
  if (process.env["CALLGATE_FRESH"] !== undefined || commandLine.some((one) => one.includes("\ufffd")))
    return;
  const { result, lookups } = recordLookups(() => {
    restOnCallgate();
    return expectedRun(learned);
  });
  if (result === undefined || factsProblem(lookups) !== undefined || !("facts" in lookups)) return;
  await keepJob(result, lookups.facts, commandLine);
}

/** NODE CLI ARGUMENT…, without the command's name. */
function ownCommandLine(): readonly string[] {
  const [node = "", cli = "", , ...rest] = stringsOf("/proc/self/cmdline").map(String);
  return [nodeInPath() ?? node, cli, ...rest];
}

function expectedRun(learned: LearnedFrom): Uint8Array | undefined {
  const { output, native, words, text, run } = learned;
  const [command = ""] = words;
  const found = findProgram(command, process.env["PATH"]);
  const around = aroundHistory(text);
  const { runs } = historyOf(text);
  const folder = realPath(dirname(resolvePath(output)));
  if (found.kind !== "found" || typeof found.path !== "string" || raisesRights(found.path)) return undefined;
  if (around === undefined || runs === 0 || folder === undefined) return undefined;
  if (!isText(join(folder, basename(output)), text)) return undefined;
  const { policy, diagnostics } = readFound({ filename: output, text }, { onRead: restOnContent });
  if (policy === undefined || hasErrors(diagnostics)) return undefined;

  const calls = permittedStarts(policy, native);
  const observation = startsOf(run.observation, calls, native);
  const said = wordsFor(learned, observation, policy);
  if (said === undefined) return undefined;
  return encodeExpected({
    job: learned.job(policy, "permit"),
    calls,
    texts: observation.texts.map(({ call, bytes }) => ({ ...numbersOf(call), which: 0, bytes })),
    files: said.files,
    program: found.path,
    arguments: words,
    policy: {
      folder,
      name: basename(output),
      ...around,
      counted: [historyText("run", places.runs, places.idle), historyText("runs", places.runs, places.idle)],
    },
    said: said.words,
  });
}

/** Of such a program it is said, each time, that it does not get them. */
function raisesRights(path: string): boolean {
  return (statSync(path).mode & 0o6000) !== 0;
}

/** The file itself, no link to one, has this text and nothing before it. */
function isText(path: string, text: string): boolean {
  try {
    return lstatSync(path).isFile() && readFileSync(path).equals(Buffer.from(text));
  } catch {
    return false;
  }
}

/** How programs are started, where the policy permits that whatever the arguments are: it is handed up nevertheless. */
function permittedStarts(policy: Policy, native: AbiName): readonly ExpectedCall[] {
  const own = resolve(policy, native).resolved.abis.find(({ abi }) => abi.name === native);
  return (own?.calls ?? []).flatMap(({ name, nr, entries }) => {
    if (own === undefined || (name !== "execve" && name !== "execveat")) return [];
    const [first] = entries;
    const isPermitted = first?.rule.action.kind === "allow" || first?.rule.action.kind === "log";
    const isAlways = first?.condition.kind === "known" && first.condition.value;
    return isPermitted && isAlways ? [{ arch: own.abi.arch, nr }] : [];
  });
}

/** Of a run, what every run has that brings nothing new: the program's own start, and those that the policy permits. */
function startsOf(
  observation: Observation,
  permitted: readonly ExpectedCall[],
  native: AbiName,
): Observation {
  const isStart = (call: SeenCall): boolean => {
    const { arch, nr } = numbersOf(call);
    return call.abi === native && permitted.some((one) => one.arch === arch && one.nr === nr);
  };
  // The first text of all is the path of the program.
  return {
    ...observation,
    calls: observation.calls.filter(isStart),
    texts: observation.texts.filter(({ call }) => call.first === 1 || isStart(call)),
  };
}

function numbersOf({ abi, nr }: SeenCall): ExpectedCall {
  return { arch: abiByName(abi)?.arch ?? 0, nr };
}

/** What is said of such a run; undefined where it is not the same each time. */
function wordsFor(
  learned: LearnedFrom,
  observation: Observation,
  policy: Policy,
): { readonly words: readonly [string, string]; readonly files: ReadonlyMap<string, boolean> } | undefined {
  const files = new Map<string, boolean>();
  let isOfAge = false;
  const facts: FileFacts = {
    exists: (path) => {
      const isThere = learned.facts.exists(path);
      files.set(path, isThere);
      return isThere;
    },
    // The age of a file is another one for each run.
    wasThere: (path) => {
      isOfAge = true;
      return learned.facts.wasThere(path);
    },
  };
  const lessons = lessonsOf(learned.native, observation, policy, facts);
  const used = describeUse(fileUse(observation, facts), addressUse(observation));
  if (hasNews(lessons) || lessons.unknown.length > 0 || lessons.abis.length > 0 || isOfAge) return undefined;
  const limits = `  used      ${limitsText(places.mebibytes, places.seconds)}\n`;
  const words = (runs: string): string =>
    `callgate learn: ${describeNothingNew(learned, `status ${places.status}`, runs)}\n${used}${describeGrants(lessons.grants)}${limits}`;
  return { words: [words("this run"), words(`the last ${places.idle} runs`)], files };
}
