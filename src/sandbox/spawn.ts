/**
 * `spawn`, as Node has it, under a policy.
 *
 * Node starts the launcher, which reads its plan on one more descriptor, a socket just above the program's own, says
 * on it how the start went, and becomes the program. So the process is the program's from the beginning: its id, its
 * descriptors, its exit status, the signals sent to it.
 */
import {
  type ChildProcess,
  type ChildProcessByStdio,
  type ChildProcessWithoutNullStreams,
  type SpawnOptions as NodeSpawnOptions,
  spawn as nodeSpawn,
  type SpawnOptionsWithoutStdio,
  type SpawnOptionsWithStdioTuple,
  type StdioNull,
  type StdioPipe,
} from "node:child_process";
import { existsSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { TooLargeError } from "../compiler/too-large-error.ts";
import { hasQuestions } from "../denials/index.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import { answerQuestions, type OnAsk } from "./answer-questions.ts";
import { findCommand, workingDirectoryProblem } from "./command.ts";
import { policyOfFilters } from "./compiled-filters.ts";
import { type DenialStream, denialStream } from "./denial-stream.ts";
import { findLauncher, launcherMissing } from "./launcher.ts";
import { encodePlan } from "./plan.ts";
import { type PolicyInput, prepare } from "./policy-input.ts";
import {
  isAlone,
  type PreparedPlan,
  PrepareError,
  type ProgramStart,
  planFor,
  type ReportOptions,
} from "./prepare.ts";
import { SandboxError, type StartFailure } from "./sandbox-error.ts";
import { holdEvents } from "./start-events.ts";
import { channelVariables, extraDescriptors, stdioEntries } from "./stdio.ts";
import { whyNoSupervisor } from "./supervision.ts";

/** What a program is started under. */
export interface SandboxOptions {
  /**
   * What the program may do: what `prepare` gave, or any form of a policy, which is then compiled at every start.
   */
  readonly policy: PreparedPlan | PolicyInput;
  /**
   * Answers the policy's questions (`ask`): the program's call waits until it does, and other calls and questions go on
   * meanwhile. Without it, where it throws, and where nobody listens any more, a question is a refusal (EPERM).
   */
  readonly onAsk?: OnAsk | undefined;
}

/** Node's options for `spawn`, and the policy. */
export interface SpawnOptions extends Omit<NodeSpawnOptions, "windowsVerbatimArguments">, SandboxOptions {}

/** What a child process under a policy has besides. */
export interface Denials {
  /**
   * Calls that the policy denied, each kind as it happens first. They are told only where this is looked at in the very
   * turn of the event loop in which the program was started; a supervisor then answers its denied calls.
   *
   * @throws PrepareError where there can be no supervisor, since the program could reach it or the policy is too large; TypeError where it was not started under one
   */
  readonly denials: DenialStream;
}

type In = StdioNull | StdioPipe;
type StreamOf<Entry, Stream> = Entry extends StdioPipe ? Stream : null;

/**
 * Starts a program under a policy. It is Node's `spawn`, with the same options and the same `ChildProcess`: streams,
 * `ipc`, `signal`, `timeout`, `kill()`, exit code and signal are the program's.
 *
 * ```ts
 * const child = spawn("python3", ["untrusted.py"], { policy: "default", stdio: "inherit" });
 * child.on("error", (error) => console.error(error.message));   // a SandboxError: nothing was started
 * child.on("exit", (code, signal) => console.log(code, signal));
 * ```
 *
 * `spawn` is emitted when the program has replaced the launcher, with the policy in force; `error` when a step of the
 * set-up failed or the program cannot be executed. Descriptors above 2 that `stdio` does not name are closed. The
 * policy's environment rules hold for `env` too.
 *
 * @throws PolicyError where the policy has mistakes, PrepareError where it asks for or grants what is not here,
 * TypeError where the call itself is wrong
 */
export function spawn(
  command: string,
  args: readonly string[],
  options: SpawnOptionsWithoutStdio & SandboxOptions,
): ChildProcessWithoutNullStreams & Denials;
export function spawn<I extends In, O extends In, E extends In>(
  command: string,
  args: readonly string[],
  options: SpawnOptionsWithStdioTuple<I, O, E> & SandboxOptions,
): ChildProcessByStdio<StreamOf<I, Writable>, StreamOf<O, Readable>, StreamOf<E, Readable>> & Denials;
export function spawn(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess & Denials;
export function spawn(
  command: string,
  options: SpawnOptionsWithoutStdio & SandboxOptions,
): ChildProcessWithoutNullStreams & Denials;
export function spawn<I extends In, O extends In, E extends In>(
  command: string,
  options: SpawnOptionsWithStdioTuple<I, O, E> & SandboxOptions,
): ChildProcessByStdio<StreamOf<I, Writable>, StreamOf<O, Readable>, StreamOf<E, Readable>> & Denials;
export function spawn(command: string, options: SpawnOptions): ChildProcess & Denials;
export function spawn(
  command: string,
  second: readonly string[] | SpawnOptions | undefined,
  third?: SpawnOptions,
): ChildProcess & Denials {
  // As Node: no arguments may be written as undefined.
  const [args, options] = isArguments(second) ? [second ?? [], third] : [[], second];
  checkUsage(command, args, options);
  if (options.onAsk !== undefined && typeof options.onAsk !== "function")
    throw new TypeError('onAsk is a function that answers "once", "run" or "deny"');
  return start(command, args, options);
}

function isArguments(
  value: readonly string[] | SpawnOptions | undefined,
): value is readonly string[] | undefined {
  return value === undefined || value === null || Array.isArray(value);
}

/** Callers in JavaScript may pass anything; what Node itself looks at is left to it. */
function checkUsage(
  command: unknown,
  args: readonly unknown[],
  options: unknown,
): asserts options is SpawnOptions {
  if (typeof command !== "string" || command === "")
    throw new TypeError("the command is a text that is not empty: spawn(command, args, { policy })");
  if (command.includes("\0"))
    throw new TypeError("the command has a NUL byte in it, which no file's name has");
  if (!args.every((argument) => typeof argument === "string"))
    throw new TypeError("the arguments are an array of texts: spawn(command, args, { policy })");
  if (
    typeof options !== "object" ||
    options === null ||
    !("policy" in options) ||
    options.policy === undefined
  )
    throw new TypeError("the policy is missing: spawn(command, args, { policy })");
}

function start(command: string, args: readonly string[], options: SpawnOptions): ChildProcess & Denials {
  const { policy, onAsk, argv0, shell, stdio, ...others } = options;
  const prepared = isPrepared(policy) ? policy : prepare(policy);
  const errorOf = (failure: StartFailure): Error => new SandboxError(failure, command, args);
  const launcher = findLauncher();
  if ("step" in launcher) return failedStart(options, errorOf(launcher));
  const program = findCommand(command, args, options);
  if ("step" in program) return failedStart(options, errorOf(program));

  const entries = stdioEntries(stdio);
  const programStart: ProgramStart = {
    ...program,
    keepDescriptors: extraDescriptors(entries),
    keepVariables: channelVariables(entries),
    cwd: folderOf(options),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.uid === undefined ? {} : { uid: options.uid }),
  };
  const questions =
    onAsk === undefined || !hasQuestions(prepared.policy)
      ? undefined
      : { onAsk, native: nativeForSupervisor(prepared, nobodyAsked) };
  const plan =
    questions === undefined
      ? encodePlan(planFor(prepared, programStart))
      : supervisedPlan(
          prepared,
          { ...programStart, report: reportTo(entries.length + 1, true) },
          nobodyAsked,
        );
  // The launcher's reports, and the supervisor's records.
  const child = nodeSpawn(launcher.path, ["spawn", String(entries.length)], {
    ...others,
    stdio: [...entries, "pipe", "pipe"],
  });
  const records = takeSocket(child, entries.length + 1);
  const reports = takeSocket(child, entries.length);
  named(child, command, args);
  holdEvents(child, reports, (error) => errorOf(launcherFailure(error, launcher.path, options)), errorOf);
  if (records !== undefined) {
    if (questions !== undefined) answerQuestions(records, policyOfFilters(prepared), questions);
    const asks = questions !== undefined;
    return startLater(child, prepared, programStart, plan, { reports, records, entries, options, asks });
  }
  reports?.end(plan);
  return withoutDenials(child);
}

const nothingTold = "denials cannot be told";
const nobodyAsked = "nobody can be asked";

interface Sockets {
  readonly reports: Socket | undefined;
  readonly records: Socket;
  readonly entries: readonly unknown[];
  readonly options: SpawnOptions;
  /** The plan has a supervisor already, which asks. */
  readonly asks: boolean;
}

/** @throws PrepareError where there can be no supervisor here */
function nativeForSupervisor(prepared: PreparedPlan, otherwise: string): AbiName {
  const problem = whyNoSupervisor(isAlone(prepared));
  const native = hostAbi();
  if (problem === undefined && native !== undefined) return native;
  throw new PrepareError(`${otherwise}: ${problem ?? "this is no machine that callgate knows"}`);
}

/** @throws PrepareError where the filter that hands calls up is too large */
function supervisedPlan(prepared: PreparedPlan, program: ProgramStart, otherwise: string): Uint8Array {
  try {
    return encodePlan(planFor(prepared, program));
  } catch (error) {
    if (!(error instanceof TooLargeError)) throw error;
    throw new PrepareError(`${otherwise}: the policy is too large for a filter that hands calls up`);
  }
}

function reportTo(descriptor: number, asks: boolean): ReportOptions {
  return { live: true, all: false, asks, to: { kind: "socket", descriptor } };
}

/** Sends the plan when the caller's turn is over, and it is known whether denials are wanted. */
function startLater(
  child: ChildProcess,
  prepared: PreparedPlan,
  program: ProgramStart,
  plain: Uint8Array,
  { reports, records, entries, options, asks }: Sockets,
): ChildProcess & Denials {
  let plan = plain;
  let stream: DenialStream | undefined;
  let isSent = false;
  process.nextTick(() => {
    isSent = true;
    if (stream === undefined && !asks) records.destroy();
    // A start that was called off before it began: the launcher gets no plan.
    if (options.signal?.aborted === true) reports?.destroy();
    else reports?.end(plan);
  });
  return Object.defineProperty(child, "denials", {
    configurable: true,
    get(): DenialStream {
      if (stream !== undefined) return stream;
      if (isSent)
        throw new TypeError("child.denials must be looked at in the turn in which the program is started");
      const native = nativeForSupervisor(prepared, nothingTold);
      const report = reportTo(entries.length + 1, false);
      if (!asks) plan = supervisedPlan(prepared, { ...program, report }, nothingTold);
      stream = denialStream(records, policyOfFilters(prepared), native);
      return stream;
    },
  }) as ChildProcess & Denials;
}

/** A program that was not started was denied nothing. */
function withoutDenials(child: ChildProcess): ChildProcess & Denials {
  return Object.assign(child, { denials: { all: () => [], async *[Symbol.asyncIterator]() {} } });
}

function folderOf({ cwd }: SpawnOptions): string {
  return cwd instanceof URL ? fileURLToPath(cwd) : (cwd ?? process.cwd());
}

function isPrepared(policy: SandboxOptions["policy"]): policy is PreparedPlan {
  return typeof policy === "object" && policy !== null && "kind" in policy && policy.kind === "plan";
}

/** A socket of the launcher's, the last one, which is no business of the caller's: it leaves the list of the child's streams. */
function takeSocket(child: ChildProcess, descriptor: number): Socket | undefined {
  // Where Node could not even make the descriptors (EMFILE), there are no streams at all.
  const stream: unknown = child.stdio?.[descriptor];
  if (!(stream instanceof Socket)) return undefined;
  child.stdio.pop();
  return stream;
}

/** The child says what was asked for, not how it was done. */
function named(child: ChildProcess, command: string, args: readonly string[]): void {
  Object.assign(child, { spawnfile: command, spawnargs: [command, ...args] });
}

/** In /proc nobody can make a file, so nothing is ever started by this name. */
const nothing = "/proc/callgate-starts-nothing";

/** A child process as Node gives it for a command that is not there, with an error of ours. */
function failedStart(options: SpawnOptions, error: Error): ChildProcess & Denials {
  const child = nodeSpawn(nothing, [], { stdio: options.stdio });
  if (error instanceof SandboxError) named(child, error.path, error.spawnargs);
  holdEvents(
    child,
    undefined,
    () => error,
    () => error,
  );
  return withoutDenials(child);
}

/** Why the launcher itself was not started: Node knows no more than the kernel's error. */
function launcherFailure(error: Error, launcher: string, options: SpawnOptions): StartFailure {
  const errno = "errno" in error && typeof error.errno === "number" ? -error.errno : 0;
  const { cwd, uid, gid } = options;
  const folder = cwd instanceof URL ? fileURLToPath(cwd) : cwd;
  const wrong = folder === undefined ? undefined : workingDirectoryProblem(folder);
  if (wrong !== undefined) return wrong;
  if (!existsSync(launcher)) return launcherMissing(launcher);
  const other =
    uid === undefined && gid === undefined
      ? ""
      : `: user ${uid ?? "–"} and group ${gid ?? "–"} must be able to execute it and to enter the working directory`;
  return { step: "launcher", errno, message: `the launcher ${launcher} cannot be started${other}` };
}
