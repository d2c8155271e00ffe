/** Writing for people and programs: whole or not at all, whatever is on the other side. */
import { fstatSync, writeSync } from "node:fs";
import { errorCode } from "../diagnostics/error-code.ts";

/** The reader has gone: the command ends as other programs do, by endBySigpipe. */
class ReaderGone extends Error {}

/** An answer that could not be written is no answer; the message says why. */
export class OutputError extends Error {
  override readonly name = "OutputError";
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on the device",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file may not become larger",
  EBADF: "it is not open for writing",
};

function write(descriptor: 1 | 2, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      const code = errorCode(error) ?? "";
      // A pipe that somebody else made non-blocking: wait for its reader.
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else if (code === "EPIPE") throw new ReaderGone();
      else if (code === "") throw error;
      else throw new OutputError(`cannot write to standard output: ${reasons[code] ?? code}`);
    }
  }
}

export function print(text: string): void {
  write(1, Buffer.from(text));
}

/** What is not text. */
export function printBytes(bytes: Uint8Array): void {
  write(1, bytes);
}

/** Nothing can be said where this fails, and the exit status still has to be right. */
export function printError(text: string): void {
  try {
    write(2, Buffer.from(text));
  } catch {}
}

export function isReaderGone(error: unknown): boolean {
  return error instanceof ReaderGone;
}

/**
 * Ends as a program does that nobody told to ignore SIGPIPE: without a word, and by a status (141 to a shell) that is no
 * command's answer. What a caller ignores cannot be seen here: Node itself has ignored the signal since its start.
 */
export function endBySigpipe(): void {
  // A signal whose last listener leaves is back at its default.
  const listener = (): void => undefined;
  process.on("SIGPIPE", listener);
  process.off("SIGPIPE", listener);
  // Where a caller has blocked the signal, it waits.
  process.exitCode = 141;
  process.kill(process.pid, "SIGPIPE");
}

/** How a descriptor's terminal wants text: colour only on a terminal, and only where NO_COLOR does not refuse it. */
export function terminalOptions(descriptor: 1 | 2): {
  readonly terminal: boolean;
  readonly colour: boolean;
  readonly width: number;
} {
  // Asking a stream makes Node load all that streams need: only where there may be a terminal at all.
  const stream = mayBeTerminal(descriptor) ? (descriptor === 1 ? process.stdout : process.stderr) : undefined;
  const terminal = stream?.isTTY === true;
  const { NO_COLOR, TERM, COLUMNS } = process.env;
  const columns = terminal ? stream.columns : Number.parseInt(COLUMNS ?? "", 10);
  return {
    terminal,
    colour: terminal && (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb",
    width: Number.isInteger(columns) && columns >= 20 ? columns : 80,
  };
}

/** The memory devices, /dev/null among them, have the major number 1 on Linux. */
function mayBeTerminal(descriptor: number): boolean {
  try {
    const status = fstatSync(descriptor);
    return status.isCharacterDevice() && !(process.platform === "linux" && status.rdev >> 8 === 1);
  } catch {
    return false;
  }
}
