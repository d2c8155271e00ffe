/** `exec`: a program under a policy, to its end, with what it wrote. */
import type { SpawnOptions as NodeSpawnOptions } from "node:child_process";
import type { Readable } from "node:stream";
import type { Denial } from "../denials/index.ts";
import type { DenialStream } from "./denial-stream.ts";
import { PrepareError } from "./prepare-error.ts";
import { type SandboxOptions, spawn } from "./spawn.ts";

/** Node's options for `spawn` without those of streams, and what is to be done with the output. */
export interface ExecOptions
  extends SandboxOptions,
    Omit<NodeSpawnOptions, "stdio" | "serialization" | "detached" | "windowsVerbatimArguments"> {
  /** What the program reads on its standard input; without it, nothing. */
  readonly input?: string | Uint8Array | undefined;
  /** How the output is given: text of this encoding (`utf8` by default), or `"buffer"`. */
  readonly encoding?: BufferEncoding | "buffer" | undefined;
  /** The most bytes kept of each output, 16 MiB by default; a program that writes more is killed (`truncated`). */
  readonly maxBuffer?: number | undefined;
  /**
   * Whether the result says which calls were denied; a supervisor then answers them. By default it does wherever there
   * can be one; with `true` its absence is a PrepareError, with `false` there is none.
   */
  readonly denials?: boolean | undefined;
  /** What kills the program where `timeout`, `maxBuffer` or `signal` says so; SIGKILL by default. */
  readonly killSignal?: NodeJS.Signals | number | undefined;
}

/** How a program ended, what it wrote, and what it was denied. */
export interface ExecResult<Output = string> {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  /** Null where it ended by itself. */
  readonly signal: NodeJS.Signals | null;
  /** It was killed because it took longer than `timeout`. */
  readonly timedOut: boolean;
  /** It was killed because it wrote more than `maxBuffer`. */
  readonly truncated: boolean;
  /**
   * Calls that the policy denied, each kind once with its count. Empty with `{ denials: false }`, and where there can be
   * no supervisor, which a process warning says.
   */
  readonly denials: readonly Denial[];
}

/**
 * Runs a program under a policy and waits for its end.
 *
 * ```ts
 * const { stdout, exitCode } = await exec("python3", ["-c", "print(6 * 7)"], { policy: "default", timeout: 5_000 });
 * ```
 *
 * A program that fails, is killed, takes too long or writes too much is a result, not an error.
 *
 * @throws SandboxError where it could not be started; AbortError where `signal` said so; PolicyError, PrepareError and
 * TypeError as `spawn`
 */
export async function exec(
  command: string,
  args: readonly string[],
  options: ExecOptions & { readonly encoding: "buffer" },
): Promise<ExecResult<Buffer>>;
export async function exec(
  command: string,
  args: readonly string[],
  options: ExecOptions & { readonly encoding?: BufferEncoding | undefined },
): Promise<ExecResult>;
export async function exec(
  command: string,
  args: readonly string[],
  options: ExecOptions,
): Promise<ExecResult<string | Buffer>> {
  const {
    input,
    encoding = "utf8",
    maxBuffer = 16 * 1024 * 1024,
    timeout,
    killSignal = "SIGKILL",
    denials,
    ...others
  } = options ?? {};
  if (!(maxBuffer >= 0)) throw new TypeError("maxBuffer is a number of bytes");
  if (encoding !== "buffer" && !Buffer.isEncoding(encoding))
    throw new TypeError(`there is no encoding ${JSON.stringify(encoding)}`);
  const child = spawn(command, args, {
    ...others,
    killSignal,
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  let stream: DenialStream | undefined;
  try {
    stream = denials === false ? undefined : child.denials;
  } catch (error) {
    if (denials === true || !(error instanceof PrepareError)) {
      // The launcher has no plan yet, and nothing has run.
      child.on("error", () => {});
      child.kill("SIGKILL");
      throw error;
    }
    warnOnce(error.message);
  }
  const denied = stream === undefined ? [] : collectDenials(stream);
  const streams = [child.stdout, child.stderr];
  // What the program has started may hold its output open for as long as it likes: who is done does not wait for that.
  const letGo = (): void => {
    for (const stream of streams) stream?.destroy();
  };
  const kill = (): boolean => {
    child.once("exit", letGo);
    return child.kill(killSignal);
  };
  let timedOut = false;
  let truncated = false;
  const tooMuch = (): void => {
    truncated = true;
    kill();
  };
  const stdout = collect(child.stdout, maxBuffer, tooMuch);
  const stderr = collect(child.stderr, maxBuffer, tooMuch);
  // A program need not read its input to the end.
  child.stdin?.on("error", () => {});
  child.stdin?.end(input);
  const stop = (): void => {
    timedOut = kill();
  };
  const timer = timeout === undefined || timeout <= 0 ? undefined : setTimeout(stop, timeout);
  child.on("error", letGo);
  const { exitCode, signal } = await ended(child).finally(() => clearTimeout(timer));
  const output = (bytes: Buffer): string | Buffer =>
    encoding === "buffer" ? bytes : bytes.toString(encoding);
  return {
    stdout: output(stdout()),
    stderr: output(stderr()),
    exitCode,
    signal,
    timedOut,
    truncated,
    denials: await denied,
  };
}

const warned = new Set<string>();

/** Once for each reason: who runs many programs has read it. */
function warnOnce(message: string): void {
  if (warned.has(message)) return;
  warned.add(message);
  process.emitWarning(`exec: ${message}`, "CallgateWarning");
}

async function collectDenials(stream: DenialStream): Promise<readonly Denial[]> {
  for await (const _ of stream);
  return stream.all();
}

function ended(
  child: ReturnType<typeof spawn>,
): Promise<{ readonly exitCode: number | null; readonly signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.once("close", (exitCode, signal) => resolve({ exitCode, signal }));
  });
}

/** Keeps what a stream brings up to a limit; then says so, once, and throws the rest away. */
function collect(stream: Readable | null, limit: number, tooMuch: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let left = limit;
  stream?.on("data", (chunk: Buffer) => {
    if (left < 0) return;
    chunks.push(chunk.length > left ? chunk.subarray(0, left) : chunk);
    left -= chunk.length;
    if (left < 0) tooMuch();
  });
  return () => Buffer.concat(chunks);
}
