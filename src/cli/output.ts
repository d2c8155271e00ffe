/** Writing for people and programs: whole or not at all, whatever is on the other side. */
import { writeSync } from "node:fs";
import { isatty } from "node:tty";

/** The reader has gone: the command ends as quietly as other programs do. */
class ReaderGone extends Error {}

function write(descriptor: 1 | 2, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      // A pipe that somebody else made non-blocking: wait for its reader.
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else if (code === "EPIPE") throw new ReaderGone();
      else throw error;
    }
  }
}

export function print(text: string): void {
  write(1, text);
}

export function printError(text: string): void {
  write(2, text);
}

export function isReaderGone(error: unknown): boolean {
  return error instanceof ReaderGone;
}

/** How a descriptor's terminal wants text: colour only on a terminal, and only where NO_COLOR does not refuse it. */
export function terminalOptions(descriptor: 1 | 2): { readonly colour: boolean; readonly width: number } {
  const terminal = isatty(descriptor);
  const { NO_COLOR, TERM, COLUMNS } = process.env;
  const stream = descriptor === 1 ? process.stdout : process.stderr;
  const columns = terminal ? stream.columns : Number.parseInt(COLUMNS ?? "", 10);
  return {
    colour: terminal && (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb",
    width: Number.isInteger(columns) && columns >= 20 ? columns : 80,
  };
}
