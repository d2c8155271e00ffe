/** `callgate learn`: watches a program, writes a policy that permits what it did, and tries the policy on it. */
import { fstatSync, openSync, statSync } from "node:fs";
import { basename } from "node:path";
import { TooLargeError } from "../../compiler/index.ts";
import { sanitise } from "../../diagnostics/index.ts";
import {
  addGrants,
  addRules,
  addressUse,
  describeLimits,
  type FileFacts,
  fileUse,
  historyOf,
  type LearnedRules,
  newPolicyText,
  rulesForDenials,
  withHistory,
  withLimits,
} from "../../learn/index.ts";
import type { Policy } from "../../policy/types.ts";
import { findProgram } from "../../sandbox/find-program.ts";
import { launcherProblem } from "../../sandbox/verify-launcher.ts";
import { goOnWatching, type WatchedRun, watch } from "../../sandbox/watch.ts";
import { type AbiName, hostAbi } from "../../syscalls/index.ts";
import { hasOption, type ParsedArguments, UsageError, valueOfOption } from "../arguments.ts";
import {
  describeEnd,
  describeGrants,
  describeNothingNew,
  describePhases,
  describeUse,
} from "../learn/describe.ts";
import { keepExpectedRun } from "../learn/expected-run.ts";
import { type HandedOver, readHandedOver } from "../learn/handed-over.ts";
import { type JobOf, jobMaker } from "../learn/jobs.ts";
import { factsSince, hasNews, type Lessons, lessonsOf, noGrants } from "../learn/lessons.ts";
import { mergePolicies } from "../learn/merge.ts";
import { editedText, policyToExtend, prepareOutput, writeOutput } from "../learn/output-file.ts";
import { addedOf, summaryOf, type Trial } from "../learn/summary.ts";
import { tryWholeSandbox } from "../learn/whole-sandbox.ts";
import { print, printError } from "../output.ts";
import { ownWords, refuseOwnWord } from "../own-word.ts";

/** A run under the policy may reach further than the first one, and so lack more: it is tried this often. */
const mostTries = 4;

export async function main(parsed: ParsedArguments): Promise<number> {
  const isOn = process.argv[2] === ownWords.learnOn;
  const handedOver = isOn ? readHandedOver() : undefined;
  if (isOn && handedOver === undefined) return refuseOwnWord(ownWords.learnOn, "learn");
  const output = valueOfOption(parsed, "output");
  if (output === undefined)
    throw new UsageError("the policy's file is missing: callgate learn -o FILE -- CMD");
  const native = hostAbi();
  if (process.platform !== "linux" || (native !== "x86_64" && native !== "aarch64"))
    return fail("programs can be watched on Linux only, on x86_64 and aarch64");
  const prepared = handedOver?.policy ?? prepareOutput(output, hasOption(parsed, "force"));
  if (typeof prepared !== "string") return fail(prepared.problem);
  if (hasOption(parsed, "merge"))
    return mergePolicies(output, prepared, parsed.operands, hasOption(parsed, "json"));
  const [command] = parsed.operands;
  if (command === undefined) throw new UsageError("the command is missing: callgate learn -o FILE -- CMD");
  const found = findProgram(command, process.env["PATH"]);
  if (found.kind !== "found") return fail(found.message);
  const damaged = launcherProblem("watcher");
  if (damaged !== undefined) return fail(damaged);

  const start = prepared === "" ? newPolicyText(basename(command), parsed.operands, native) : prepared;
  const policy = policyToExtend(output, start, fail);
  if (policy === undefined) return 2;
  const lesson: Lesson = {
    output,
    native,
    program: { path: found.path, arguments: parsed.operands },
    stdout: hasOption(parsed, "json") ? 2 : 1,
    command: parsed.operands.join(" "),
    words: parsed.operands,
    begins: prepared === "",
    replaces: hasOption(parsed, "force"),
    once: hasOption(parsed, "once"),
    phases: hasOption(parsed, "phases"),
    // The watcher can say no more than what is the same in every run that brings nothing new.
    keeps: !["force", "json", "phases"].some((option) => hasOption(parsed, option)),
    job: jobMaker(native),
  };
  if (handedOver === undefined) warnOfRights(found.path);
  try {
    return await learn(lesson, { text: start, policy }, handedOver);
  } catch (error) {
    if (!(error instanceof TooLargeError)) throw error;
    return fail(
      `the policy is too large to be learned with: ${error.message}, and the watcher has one filter`,
    );
  }
}

interface Lesson {
  readonly output: string;
  readonly native: AbiName;
  readonly program: Parameters<typeof watch>[0]["program"];
  /** The descriptor that is the program's standard output: with `--json`, what callgate says has ours for itself. */
  readonly stdout: 1 | 2;
  readonly command: string;
  readonly words: readonly string[];
  /** There was no policy before. */
  readonly begins: boolean;
  /** What is there is not asked about. */
  readonly replaces: boolean;
  readonly once: boolean;
  readonly phases: boolean;
  /** The next run may be done by the watcher alone. */
  readonly keeps: boolean;
  readonly job: JobOf;
}

interface Written {
  readonly text: string;
  readonly policy: Policy;
}

async function learn(lesson: Lesson, start: Written, handedOver: HandedOver | undefined): Promise<number> {
  const { output } = lesson;
  const input = inputOf();
  const facts = factsSince(handedOver?.begin ?? Date.now());
  const run = await (handedOver === undefined
    ? watchOnce(lesson, start.policy, "permit", input.first())
    : goOnWatching(handedOver.run, { onLeftBehind: sayLeftBehind }));
  const { observation } = run;
  if (observation.execError !== 0) return fail(`the program could not be started: ${describeEnd(run)}`);
  const isCut = run.watcherStatus !== 0 && run.interruptedBy === undefined;
  // One that could not begin has said why.
  if (isCut && observation.handedUp === 0) {
    if (run.watcherStatus === null)
      say("the watcher was killed before it had told anything: there is nothing to learn from");
    return 2;
  }
  if (isCut) say("the watcher was killed, and the program with it: what was seen until then is written");
  const now = asItIsNow(lesson, start, lesson.begins ? "" : start.text);
  if (now === undefined) return 2;
  const lessons = lessonsOf(lesson.native, observation, now.policy, facts);
  const isNew = hasNews(lessons);
  const { runs, idle: before } = historyOf(now.text);
  const idle = isNew ? 0 : before + 1;
  let text = addedTo(lesson, withHistory(now.text, { runs: runs + 1, idle }), lessons);
  if (text === undefined) return 2;
  if (lesson.begins && now === start) text = withLimits(text, observation);
  const wrong = writeOutput(output, text);
  if (wrong !== undefined) return fail(wrong);
  sayLearned(lesson, run, lessons, facts, idle);

  const trials: Trial[] = [];
  const finish = async (status: 0 | 1 | 2, notTried?: string): Promise<number> => {
    if (lesson.keeps && text !== undefined) await keepExpectedRun({ ...lesson, text, run, facts });
    if (lesson.stdout === 2)
      print(
        `${JSON.stringify(
          summaryOf(lesson, run, lessons, facts, {
            ...historyOf(text ?? ""),
            trials,
            confirmed: trials.length === 0 ? null : status === 0,
            notTried: notTried ?? null,
          }),
          null,
          2,
        )}\n`,
      );
    return status;
  };

  if (isCut) return finish(1, "the watcher was killed");
  // The run was one under the policy itself: nothing was let through that it does not permit.
  if (!isNew && runs > 0 && now === start && run.interruptedBy === undefined)
    return finish(0, "nothing new was seen, and the run was one under the policy already");
  const again = reasonNotToRepeat(lesson, run, input.second !== undefined);
  if (again !== undefined) {
    say(`not tried: ${again}`);
    return finish(0, again);
  }
  const shown = sanitise(output);
  for (let tries = 1; ; tries += 1) {
    const current = policyToExtend(output, text, fail);
    if (current === undefined) return finish(2);
    const trial = await watchOnce(lesson, current, "refuse", input.second?.() ?? "ignore");
    const then = asItIsNow(lesson, { text, policy: current }, text);
    if (then === undefined) return finish(2);
    text = then.text;
    let lacking = lessonsOf(lesson.native, trial.observation, then.policy, facts);
    let tried = `ran again under ${shown}`;
    const endedAsBefore = describeEnd(trial) === describeEnd(run);
    trials.push({ sandbox: "filter", end: describeEnd(trial), endedAsBefore, missing: addedOf(lacking) });
    if (!hasNews(lacking)) {
      if (!endedAsBefore) {
        say(
          `tried: ran again under ${shown}: nothing was denied, but it ended otherwise: ${describeEnd(trial)}, before: ${describeEnd(run)}`,
        );
        return finish(1);
      }
      say(`tried: ran again under ${shown}: nothing was denied; ${describeEnd(trial)}, as before`);
      const trying = tryWholeSandbox(
        lesson,
        then.policy,
        describeEnd(run),
        input.second?.() ?? "ignore",
        say,
      );
      // What will be kept is compiled while that runs.
      if (lesson.keeps) lesson.job(current, "permit");
      const { end, missing } = await trying;
      lacking = { ...rulesForDenials(missing), grants: noGrants };
      tried = "ran in the whole sandbox";
      const isAsBefore = end === describeEnd(run);
      trials.push({
        sandbox: "whole",
        end: end ?? null,
        endedAsBefore: isAsBefore,
        missing: end === undefined ? null : addedOf(lacking),
      });
      if (!hasNews(lacking)) return finish(isAsBefore ? 0 : 1);
      const after = asItIsNow(lesson, then, then.text);
      if (after === undefined) return finish(2);
      text = after.text;
    }
    const next = addedTo(lesson, text, lacking);
    if (next === undefined) return finish(2);
    text = next;
    const unwritten = writeOutput(output, text);
    if (unwritten !== undefined) return finish(fail(unwritten));
    say(`tried: ${tried}: this was still missing, and is added:`);
    for (const { text: rule, isDerived } of lacking.rules) if (!isDerived) printError(`  ${rule}\n`);
    printError(describeGrants(lacking.grants));
    if (trial.interruptedBy !== undefined) return finish(1);
    if (tries === mostTries) {
      say(`after ${mostTries} runs there is still something new: run callgate learn again`);
      return finish(1);
    }
  }
}

/**
 * The policy as it stands in its file now, since it may have been edited while the program ran: what was learned is then added to
 * that. Undefined, with a message, where it is no policy any more.
 * @param was the file's content before; empty where there was none
 */
function asItIsNow({ output, replaces }: Lesson, before: Written, was: string): Written | undefined {
  const text = replaces && was === "" ? undefined : editedText(output, was);
  if (text === undefined) return before;
  say(`${sanitise(output)} was changed while the program ran: what was learned is for what is there now`);
  const policy = policyToExtend(output, text, fail);
  return policy === undefined ? undefined : { text, policy };
}

async function watchOnce(
  { job, program, stdout }: Lesson,
  policy: Policy,
  refused: "permit" | "refuse",
  input: number | "ignore",
): Promise<WatchedRun> {
  return watch({
    job: job(policy, refused),
    program,
    input,
    output: stdout,
    env: process.env,
    onLeftBehind: sayLeftBehind,
  });
}

function sayLeftBehind(count: number): void {
  say(
    `the program has ended and left ${count === 1 ? "a process" : `${count} processes`} behind: Ctrl-C ends learning`,
  );
}

/** The policy's text with what was learned; undefined, with a message, where there is no place for it. */
function addedTo({ output }: Lesson, text: string, lessons: Lessons): string | undefined {
  let added = addRules({ name: output, text }, lessons);
  if (typeof added === "string") added = addGrants({ name: output, text: added }, lessons.grants);
  if (typeof added === "string") return added;
  fail(`${sanitise(output)} cannot be added to: ${added.problem}`);
  return undefined;
}

function reasonNotToRepeat(lesson: Lesson, run: WatchedRun, hasInput: boolean): string | undefined {
  if (run.interruptedBy !== undefined)
    return "learning was ended by a signal; what was seen until then is in the policy";
  if (lesson.once) return "--once";
  return hasInput
    ? undefined
    : "the program's input came from a pipe and is used up; give it a file, or try callgate run";
}

/** The program's standard input, for each run: a file is read from its beginning again. */
function inputOf(): {
  readonly first: () => number | "ignore";
  readonly second: (() => number | "ignore") | undefined;
} {
  try {
    const status = fstatSync(0);
    const again = (): number => openSync("/proc/self/fd/0", "r");
    if (status.isFile()) return { first: again, second: again };
    const isUsedUp = status.isFIFO() || status.isSocket();
    return { first: () => 0, second: isUsedUp ? undefined : () => 0 };
  } catch {
    return { first: () => "ignore", second: () => "ignore" };
  }
}

function sayLearned(lesson: Lesson, run: WatchedRun, learned: Lessons, facts: FileFacts, idle: number): void {
  const { observation } = run;
  const seen = learned.rules.filter(({ isDerived }) => !isDerived).length;
  const derived = learned.rules.length - seen;
  const file = sanitise(lesson.output);
  say(
    !hasNews(learned)
      ? describeNothingNew(lesson, describeEnd(run), idle === 1 ? "this run" : `the last ${idle} runs`)
      : `${file}: ${seen} ${seen === 1 ? "rule" : "rules"} for what was seen and ${derived} derived (${describeEnd(run)})`,
  );
  const calls = unknownCalls(learned);
  if (calls !== "") say(`calls that no table knows, and no rule can name: ${calls}`);
  const { lost } = observation;
  if (lost.calls > 0 || lost.texts > 0 || (!observation.complete && run.interruptedBy === undefined))
    say(
      `not all was kept: ${lost.calls} calls and ${lost.texts} paths did not fit; run it again to learn the rest`,
    );
  printError(describeUse(fileUse(observation, facts), addressUse(observation)));
  printError(describeGrants(learned.grants));
  if (observation.use !== undefined) printError(`  used      ${describeLimits(observation.use)}\n`);
  if (lesson.phases) printError(describePhases(observation));
}

function unknownCalls({ unknown }: LearnedRules): string {
  return unknown.map(({ abi, nr }) => `${abi}:#${nr}`).join(", ");
}

/** Set-user-id programs run without the rights of their owner, here as under every policy. */
function warnOfRights(path: string | Uint8Array): void {
  const status = statSync(typeof path === "string" ? path : Buffer.from(path), { throwIfNoEntry: false });
  const raised = status === undefined ? 0 : status.mode & 0o6000;
  if (raised !== 0 && (status?.uid !== process.getuid?.() || (raised & 0o2000) !== 0))
    say(
      `${sanitise(Buffer.from(path).toString())} is set-user-id: it runs without the rights of its owner, here as under any policy`,
    );
}

function say(text: string): void {
  printError(`callgate learn: ${text}\n`);
}

function fail(text: string): 2 {
  say(text);
  return 2;
}
