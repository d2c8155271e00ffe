/** Runs a program under the watcher and gives what it did beyond what a policy permits. */
import { spawn } from "node:child_process";
import { Socket } from "node:net";
import { compile } from "../compiler/index.ts";
import { answerNumber, encodeJob, type Observation, readRecords, watchPolicy } from "../learn/index.ts";
import { evaluate } from "../policy/evaluate.ts";
import { resolve } from "../policy/resolve.ts";
import type { Policy } from "../policy/types.ts";
import type { AbiName, Syscall } from "../syscalls/index.ts";
import type { ProgramFile } from "./command.ts";
import { descendantsOf } from "./descendants.ts";
import { nativeProgram } from "./package-files.ts";

export interface WatchOptions {
  /** Of `watchJob`. */
  readonly job: Uint8Array;
  readonly program: ProgramFile;
  /** What the program reads on its standard input: a descriptor, or nothing. */
  readonly input: number | "ignore";
  /** The descriptor that is its standard output. */
  readonly output: 1 | 2;
  readonly env: NodeJS.ProcessEnv;
  /** Called when the program has ended and has left others behind that are still watched. */
  readonly onLeftBehind?: (count: number) => void;
}

export interface WatchedRun {
  readonly observation: Observation;
  /** A signal that ended the learning: the program was ended by it, or by callgate after it. */
  readonly interruptedBy: NodeJS.Signals | undefined;
  /** The watcher's own status: 0 when it saw the program's end. */
  readonly watcherStatus: number | null;
}

const eperm = 1;
/**
 * After a Ctrl-C the program has this long; then it is told to end, as a service manager does it, so that it ends its
 * own processes and that is learned too; then they all are; then they are killed.
 */
const patience = { terminate: 1000, terminateAll: 3000, kill: 5000 };
/** native/kept-job.h has it too. */
const leftBehindAfter = 2000;

/**
 * What the watcher is to do, to be used for as many runs as one likes.
 * @param refused calls that the policy does not permit: let them go on, or refuse them where no rule decides, by their number
 * @throws ProofError, TooLargeError as `compile`
 */
export function watchJob(policy: Policy, native: AbiName, refused: "permit" | "refuse"): Uint8Array {
  return encodeJob({
    native,
    filter: compile(watchPolicy(policy, refused === "permit"), { target: native }).bytes,
    answer: refused === "refuse" ? answersOf(policy, native) : undefined,
  });
}

/** Rejects where the watcher cannot be started. */
export function watch(options: WatchOptions): Promise<WatchedRun> {
  const { job, program, env } = options;
  const child = spawn(nativeProgram("watcher"), [textOf(program.path), ...program.arguments], {
    stdio: [options.input, options.output, 2, "pipe", "pipe"],
    env,
  });
  const [, , , jobs, records] = child.stdio;
  if (jobs instanceof Socket) {
    // A watcher that did not even read its job says so itself.
    jobs.on("error", () => {});
    jobs.end(job);
  }
  const ended = new Promise<number | null>((settle, reject) => {
    child.on("error", reject);
    child.on("close", settle);
  });
  return follow({ pid: child.pid, records: records instanceof Socket ? records : undefined, ended }, options);
}

/** A run that somebody else has begun to follow, and that this process goes on with: the watcher is its child. */
export interface BegunRun {
  readonly watcher: number;
  /** What the watcher has said until now. */
  readonly said: Uint8Array;
  /** The watcher's own status where it has ended; else the descriptor on which it says more. */
  readonly rest: { readonly status: number | null } | { readonly descriptor: number };
  /** The signal that has ended learning already. */
  readonly signal: NodeJS.Signals | undefined;
}

export async function goOnWatching(
  { watcher, said, rest, signal }: BegunRun,
  options: Pick<WatchOptions, "onLeftBehind">,
): Promise<WatchedRun> {
  if ("status" in rest)
    return { observation: readRecords(said), interruptedBy: signal, watcherStatus: rest.status };
  const records = new Socket({ fd: rest.descriptor, readable: true, writable: false });
  // It is no child that Node has started, so that its status is not told: one that has not told all was killed.
  const ended = new Promise<null>((settle) => records.on("close", () => settle(null)));
  const run = await follow({ pid: watcher, records, ended, said, signal }, options);
  return run.observation.complete ? { ...run, watcherStatus: 0 } : run;
}

interface Watcher extends Partial<Pick<BegunRun, "said" | "signal">> {
  readonly pid: number | undefined;
  readonly records: Socket | undefined;
  readonly ended: Promise<number | null>;
}

/** Waits for the watcher's end, and for a signal that ends learning. */
async function follow(
  { pid, records, ended, said, signal: earlier }: Watcher,
  { onLeftBehind }: Pick<WatchOptions, "onLeftBehind">,
): Promise<WatchedRun> {
  const chunks: Uint8Array[] = [];
  const timers: NodeJS.Timeout[] = [];
  let interruptedBy: NodeJS.Signals | undefined;

  const end = (signal: NodeJS.Signals, most = Infinity): void => {
    if (pid === undefined) return;
    for (const one of descendantsOf(pid).slice(0, most)) {
      try {
        process.kill(one, signal);
      } catch {
        // It has ended by itself meanwhile.
      }
    }
  };
  // The terminal has sent the signal to the program too; one that does not end by it is ended.
  const interrupt = (signal: NodeJS.Signals): void => {
    if (interruptedBy !== undefined) return;
    interruptedBy = signal;
    timers.push(setTimeout(end, patience.terminate, "SIGTERM", 1));
    timers.push(setTimeout(end, patience.terminateAll, "SIGTERM"));
    timers.push(setInterval(end, patience.kill, "SIGKILL"));
  };
  const tellLeftBehind = (): void => {
    const count = pid === undefined ? 0 : descendantsOf(pid).length;
    if (count > 0) onLeftBehind?.(count);
  };
  const hear = (chunk: Uint8Array, wait: number): void => {
    chunks.push(chunk);
    if (onLeftBehind !== undefined && hasEnded(chunk)) timers.push(setTimeout(tellLeftBehind, wait));
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, interrupt);
  if (earlier !== undefined) interrupt(earlier);
  // Who followed it until now has waited so long for the others, or for a signal.
  if (said !== undefined) hear(said, earlier === undefined ? 0 : leftBehindAfter);
  records?.on("data", (chunk: Buffer) => hear(chunk, leftBehindAfter));
  records?.on("error", () => records.destroy());
  try {
    const watcherStatus = await ended;
    return { observation: readRecords(Buffer.concat(chunks)), interruptedBy, watcherStatus };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    for (const signal of signals) process.off(signal, interrupt);
  }
}

/** The end of the main program is a short record of its own; that other bytes look like one costs a look at /proc. */
function hasEnded(chunk: Uint8Array): boolean {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).includes(
    Buffer.from([4, 0, 0, 0, 32, 0, 0, 0]),
  );
}

/**
 * The errno that each call gets where no rule of the policy decides: `newer`'s or the default's. A notification can
 * only be answered by an errno, so that a default which kills is EPERM here.
 */
export function answersOf(policy: Policy, native: AbiName): (call: Syscall | undefined) => number {
  const { resolved } = resolve(policy, native);
  const calls = new Map(
    resolved.abis.flatMap((own) =>
      own.calls.map((call) => [`${own.abi.name} ${call.nr}`, call.fallback] as const),
    ),
  );
  return (call) => {
    const abi = call?.abi ?? native;
    const fallback = call === undefined ? undefined : calls.get(`${abi} ${call.nr}`);
    // Starting programs is handed up always, permitted or not.
    const isStart = call?.name === "execve" || call?.name === "execveat";
    const action = isStart
      ? evaluate(policy, { abi, syscall: call.nr }, { target: native }).action
      : (fallback?.action ?? policy.syscalls.newer);
    if (action.kind === "errno") return answerNumber(abi, action.errno);
    return isStart && action.kind === "allow" ? 0 : eperm;
  };
}

function textOf(path: ProgramFile["path"]): string {
  return typeof path === "string" ? path : Buffer.from(path).toString();
}
