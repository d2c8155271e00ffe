/**
 * `callgate lxc learn`: starts a container, watches it until it ends, writes a policy of what it did, and starts it again
 * under that policy.
 */
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { compile, TooLargeError } from "../../compiler/index.ts";
import { type Diagnostic, hasErrors, renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import {
  addRules,
  historyOf,
  type LearnedRules,
  learnedRules,
  newPolicyText,
  watchPolicy,
  withHistory,
} from "../../learn/index.ts";
import { filesOf, hasBlock, isSocketPath } from "../../lxc/block.ts";
import { readConfig, readConfigText } from "../../lxc/config.ts";
import { type Container, initOf } from "../../lxc/container.ts";
import { installLearning } from "../../lxc/install.ts";
import { learningProgram, type Protection, protectionOf } from "../../lxc/protection.ts";
import { wiringProblems } from "../../lxc/wiring.ts";
import type { Policy } from "../../policy/types.ts";
import { nativeProgram } from "../../sandbox/package-files.ts";
import { launcherProblem } from "../../sandbox/verify-launcher.ts";
import { answersOf } from "../../sandbox/watch.ts";
import { type AbiName, hostAbi } from "../../syscalls/index.ts";
import { hasOption, UsageError, valueOfOption } from "../arguments.ts";
import { policyToExtend, prepareOutput, writeOutput } from "../learn/output-file.ts";
import { print, printError, terminalOptions } from "../output.ts";
import type { LxcCommand } from "./command.ts";
import { type StartEnd, type WatchedStart, watchStart } from "./watched-start.ts";

/** A start under the policy may reach further than the first one, and so lack more: it is tried this often. */
const mostTries = 4;

interface Lesson {
  readonly container: Container;
  readonly output: string;
  readonly native: AbiName;
  readonly protection: Protection;
  readonly json: boolean;
  readonly once: boolean;
}

export const learn: LxcCommand = async ({ parsed, operands, containers }) => {
  const [container, ...more] = containers(operands);
  if (container === undefined || more.length > 0) throw new UsageError("lxc learn takes one container");
  const native = hostAbi();
  if (native === undefined) return fail("this machine's system calls are not known");
  const damaged = launcherProblem() ?? launcherProblem("watcher");
  if (damaged !== undefined) return fail(damaged);
  const output = valueOfOption(parsed, "output") ?? join(container.folder, "learned.toml");
  const prepared = prepareOutput(output, hasOption(parsed, "force"));
  if (typeof prepared !== "string") return fail(prepared.problem);
  const protection = protectionFor(container);
  if (protection === undefined) return 2;
  if (initOf(container) !== undefined) return fail(`${container.name} runs: stop it first`);

  const start =
    prepared === "" ? newPolicyText(container.name, ["lxc-start", container.name], native) : prepared;
  const policy = policyToExtend(output, start, fail);
  if (policy === undefined) return 2;
  const foreign = foreignTables(policy);
  if (foreign.length > 0)
    return fail(
      `${sanitise(output)} has ${foreign.join(", ")}: for a container, LXC's own configuration decides that. Take that out, or learn into another file (-o)`,
    );
  const json = hasOption(parsed, "json");
  const lesson = { container, output, native, protection, json, once: hasOption(parsed, "once") };
  try {
    return await learnFrom(lesson, start, policy);
  } catch (error) {
    if (!(error instanceof TooLargeError)) throw error;
    return fail(
      `the policy is too large to be learned with: ${error.message}, and the watcher has one filter`,
    );
  }
};

/** What a container's policy cannot have. */
function foreignTables({ files, network, limits }: Policy): readonly string[] {
  const tables = { "[files]": files, "[network]": network, "[limits]": limits };
  return Object.entries(tables).flatMap(([name, table]) => (table === undefined ? [] : [name]));
}

/** What learning came to, for programs: `--json`. */
interface Summary {
  readonly container: string;
  readonly file: string;
  readonly end: StartEnd;
  readonly seconds: number;
  /** The policy was tried, and nothing was missing; null where it was not tried. */
  readonly confirmed: boolean | null;
  readonly notTried: string | null;
  readonly runs: number;
  /** How many of the last runs brought nothing new. */
  readonly idleRuns: number;
  readonly added: Added;
  readonly unknownCalls: LearnedRules["unknown"];
  readonly lost: WatchedStart["observation"]["lost"];
  readonly trials: readonly Trial[];
}

interface Added {
  readonly rules: readonly { readonly text: string; readonly comment: string; readonly isDerived: boolean }[];
  readonly abis: readonly string[];
}

/** A start under what was written. */
interface Trial {
  /** Null where it could not be started. */
  readonly end: StartEnd | null;
  readonly seconds: number;
  readonly endedAsBefore: boolean;
  /** What was still missing, and was added. */
  readonly missing: Added;
}

const addedOf = ({ rules, abis }: LearnedRules): Added => ({
  rules: rules.map(({ text, comment, isDerived }) => ({ text, comment, isDerived })),
  abis,
});

async function learnFrom(lesson: Lesson, start: string, policy: Policy): Promise<number> {
  const { container, output, native, protection } = lesson;
  const shown = sanitise(output);
  const filter = compile(watchPolicy(withRefusals(policy, protection.policy), true), {
    target: native,
  }).bytes;
  const first = await watchStart(container, {
    job: { native, filter },
    install: installer(lesson, filter),
    say,
    started: `${container.name} has been started and is watched; Ctrl-C stops it and ends learning`,
  });
  if (first === undefined) return 2;
  const { observation, status } = first;
  if (status !== 0 && observation.handedUp === 0) return 2;
  const learned = learnedRules(observation, policy, native);
  const { runs, idle } = historyOf(start);
  const isNew = learned.rules.length > 0;
  let text = addedTo(lesson, withHistory(start, { runs: runs + 1, idle: isNew ? 0 : idle + 1 }), learned);
  if (text === undefined) return 2;
  const seen = learned.rules.filter(({ isDerived }) => !isDerived).length;
  say(
    isNew
      ? `${shown}: ${seen} ${seen === 1 ? "rule" : "rules"} for what was seen and ${learned.rules.length - seen} derived; files and network of a container are LXC's configuration's, and not in it`
      : `nothing new: ${shown} permits what ${container.name} did`,
  );
  sayLeftOut(learned, first);

  const trials: Trial[] = [];
  const finish = (result: 0 | 1 | 2, notTried?: string): number => {
    if (notTried !== undefined) say(`not tried: ${notTried}`);
    sayHowToEnforce(lesson);
    if (lesson.json)
      print(
        `${JSON.stringify(
          {
            container: container.name,
            file: output,
            end: first.end,
            seconds: rounded(first.seconds),
            confirmed: trials.length === 0 ? null : result === 0,
            notTried: notTried ?? null,
            runs: runs + 1,
            idleRuns: historyOf(text ?? "").idle,
            added: addedOf(learned),
            unknownCalls: learned.unknown,
            lost: observation.lost,
            trials,
          } satisfies Summary,
          null,
          2,
        )}\n`,
      );
    return result;
  };

  if (status !== 0) return finish(1, "the watcher was killed, and the container was ended with it");
  if (first.end === "signal") return finish(0, "learning was ended by a signal");
  if (lesson.once) return finish(0, "--once");
  if (!isNew && runs > 0)
    return finish(0, "nothing new was seen, and what the policy permits was not watched");
  for (let tries = 1; ; tries += 1) {
    const current = policyToExtend(output, text, fail);
    const enforced = current === undefined ? undefined : enforcedPolicy(lesson);
    if (current === undefined || enforced === undefined) return finish(2);
    const limit = trialLimit(first);
    const trial = await tryPolicy(lesson, enforced, limit);
    const asBefore =
      trial !== undefined &&
      (trial.end === "ctrl-c" || (trial.end === "by-itself") === (first.end === "by-itself"));
    const lacking =
      trial === undefined
        ? { rules: [], abis: [], unknown: [] }
        : learnedRules(trial.observation, current, native);
    trials.push({
      end: trial?.end ?? null,
      seconds: rounded(trial?.seconds ?? 0),
      endedAsBefore: asBefore,
      missing: addedOf(lacking),
    });
    if (lacking.rules.length === 0) {
      const how = trial === undefined ? "it did not start" : describeEnd(trial);
      if (asBefore) say(`tried: started again under ${shown}: nothing was denied; ${how}`);
      else if (trial === undefined || trial.end === "by-itself")
        say(`tried: started again under ${shown}: nothing was denied that could be learned, but ${how}`);
      else
        say(
          `tried: started again under ${shown}: nothing was denied, but ${how}, and before it had ended by itself`,
        );
      return finish(asBefore ? 0 : 1);
    }
    const next = addedTo(lesson, text, lacking);
    if (next === undefined) return finish(2);
    text = next;
    say(`tried: started again under ${shown}: this was still missing, and is added:`);
    for (const { text: rule, isDerived } of lacking.rules) if (!isDerived) printError(`  ${rule}\n`);
    if (trial?.end === "ctrl-c" || trial?.end === "signal") return finish(1);
    if (tries === mostTries) {
      say(`after ${mostTries} starts there is still something new: run callgate lxc learn again`);
      return finish(1);
    }
  }
}

const rounded = (seconds: number): number => Math.round(seconds * 10) / 10;

/** A trial lasts as long as what was learned from, a minute at most; one that ended by itself gets four times as long. */
function trialLimit({ end, seconds }: WatchedStart): number {
  return end === "by-itself" ? Math.max(60, 4 * seconds) : Math.min(60, Math.max(3, Math.ceil(seconds)));
}

function describeEnd({ end, seconds }: WatchedStart): string {
  const time = `${rounded(seconds)} s`;
  return end === "by-itself" ? `it ended by itself after ${time}` : `it ran ${time}, until it was stopped`;
}

/** A start under the policy itself: what it refuses because nothing is said of it is told, and refused. */
async function tryPolicy(lesson: Lesson, policy: Policy, seconds: number): Promise<WatchedStart | undefined> {
  const { container, native } = lesson;
  const filter = compile(watchPolicy(policy, false), { target: native }).bytes;
  const trial = await watchStart(container, {
    job: { native, filter, answer: answersOf(policy, native) },
    install: installer(lesson, filter),
    seconds,
    say,
    started: `${container.name} has been started again, under what was written, for ${seconds} s at most; Ctrl-C ends that`,
  });
  return trial === undefined || trial.status === 0 ? trial : undefined;
}

const installer =
  ({ container, protection }: Lesson, filter: Uint8Array) =>
  (): void =>
    installLearning(
      container.folder,
      protection,
      learningProgram(readFileSync(nativeProgram("launcher")), protection, filter),
    );

/** What the configuration says with the learned policy in it; undefined, with the mistakes, where it cannot be had. */
function enforcedPolicy({ container, output }: Lesson): Policy | undefined {
  const config = readConfig(container.configFile);
  const now = protectionOf(config, release());
  const isNamed = now.statements.consulted.includes(resolve(output));
  const { protection, diagnostics } = isNamed
    ? now
    : protectionOf(
        readConfigText({
          name: container.configFile,
          text: `${config.source.text.replace(/\n?$/, "\n")}syscall.policy = ${resolve(output)}\n`,
        }),
        release(),
      );
  if (protection === undefined) printErrors(diagnostics);
  return protection?.policy;
}

function addedTo({ output }: Lesson, text: string, learned: LearnedRules): string | undefined {
  const added = addRules({ name: output, text }, learned);
  if (typeof added !== "string") {
    fail(`${sanitise(output)} cannot be added to: ${added.problem}`);
    return undefined;
  }
  const unwritten = writeOutput(output, added);
  if (unwritten === undefined) return added;
  fail(unwritten);
  return undefined;
}

function protectionFor(container: Container): Protection | undefined {
  const config = readConfig(container.configFile);
  if (!hasBlock(config.source.text)) {
    fail(`${container.name} is not protected: callgate lxc enable ${container.name}`);
    return undefined;
  }
  if (!isSocketPath(filesOf(container.folder).learn)) {
    fail(`the path of ${container.folder} is too long for a socket`);
    return undefined;
  }
  const { protection, diagnostics } = protectionOf(config, release());
  const found = [...diagnostics, ...wiringProblems(config, container.folder)];
  if (protection !== undefined && !hasErrors(found)) return protection;
  printErrors(found);
  return undefined;
}

function printErrors(diagnostics: readonly Diagnostic[]): void {
  printError(
    renderDiagnostics(
      diagnostics.filter((one) => one.severity === "error"),
      terminalOptions(2),
    ),
  );
}

/** What the container's statements refuse stays refused: that was somebody's decision. */
function withRefusals(policy: Policy, statements: Policy): Policy {
  const refusals = [...statements.syscalls.require, ...statements.syscalls.rules].filter(
    ({ action }) => action.kind !== "allow" && action.kind !== "log",
  );
  return { ...policy, syscalls: { ...policy.syscalls, rules: [...refusals, ...policy.syscalls.rules] } };
}

function sayHowToEnforce({ container, output }: Lesson): void {
  const near = relative(dirname(container.configFile), resolve(output));
  const named = near.startsWith("..") ? resolve(output) : near;
  const { consulted } = protectionOf(readConfig(container.configFile), release()).statements;
  if (!consulted.includes(resolve(output)))
    say(`to enforce it: add the line syscall.policy = ${sanitise(named)} to ${container.configFile}`);
}

function sayLeftOut({ unknown }: LearnedRules, { observation: { lost } }: WatchedStart): void {
  if (unknown.length > 0)
    say(`calls that no table knows: ${unknown.map(({ abi, nr }) => `${abi}:#${nr}`).join(", ")}`);
  if (lost.calls > 0 || lost.texts > 0)
    say(`not all was kept: ${lost.calls} calls and ${lost.texts} paths did not fit`);
}

function say(text: string): void {
  printError(`callgate lxc learn: ${text}\n`);
}

function fail(text: string): 2 {
  say(text);
  return 2;
}
