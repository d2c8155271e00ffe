/**
 * The terminal on which is asked. It is the program's too. The descriptor is an opening of its own, of a session without a
 * terminal: so reading is never stopped for being in the background, and never waits; when to read is decided here.
 */
import { readFileSync, readSync, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { errorCode } from "../../diagnostics/error-code.ts";

export interface Terminal {
  /** Whether all of it is on the terminal; false: it is held (Ctrl-S) or gone. */
  readonly write: (text: string) => boolean;
  /** What was typed since; undefined: nothing. The empty text: its end (Ctrl-D, or it is gone). */
  readonly read: () => string | undefined;
  /** Why nobody can be asked on it any more: the first error that does not pass. */
  readonly problem: () => string | undefined;
  /** Whether a process, or the job that callgate itself belongs to, is in front. Otherwise what is typed is for others. */
  readonly isInFront: (pid: number) => boolean;
}

/** Undefined where the launcher has found none. */
export function terminalOn(descriptor: number): Terminal | undefined {
  if (!isatty(descriptor)) return undefined;
  let problem: string | undefined;
  const fail = (doing: string, error: unknown): void => {
    problem ??= `${doing}: ${errorCode(error) ?? String(error)}`;
  };
  return {
    write: (text) => writeAll(descriptor, Buffer.from(text.replaceAll("\n", "\r\n")), fail),
    read: () => readSome(descriptor, fail),
    problem: () => problem,
    isInFront: (pid) => {
      const own = jobOf(process.ppid);
      const asking = jobOf(pid);
      if (own === undefined || own.foreground === own.group) return own !== undefined;
      return asking !== undefined && asking.session === own.session && asking.group === own.foreground;
    },
  };
}

type Fail = (doing: string, error: unknown) => void;

/** Nothing is wrong: a signal came, or the terminal takes or has nothing just now. */
function passes(error: unknown): boolean {
  const code = errorCode(error);
  return code === "EAGAIN" || code === "EINTR";
}

/** A terminal that is held (Ctrl-S) takes nothing. Nothing may wait for it for ever. */
const patience = 400;

function writeAll(descriptor: number, bytes: Uint8Array, fail: Fail): boolean {
  let failed = 0;
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      if (!passes(error)) {
        fail("writing to it", error);
        return false;
      }
      failed += 1;
      if (failed === patience) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
  return true;
}

function readSome(descriptor: number, fail: Fail): string | undefined {
  const bytes = Buffer.alloc(4096);
  try {
    return bytes.toString("utf8", 0, readSync(descriptor, bytes));
  } catch (error) {
    if (passes(error)) return undefined;
    fail("reading from it", error);
    return "";
  }
}

/** Of a process: its group, its session, and the group in front on its terminal. */
function jobOf(
  pid: number,
): { readonly group: number; readonly session: number; readonly foreground: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name may have anything in it, but no number behind its last parenthesis.
    const [, , group, session, , foreground] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { group: Number(group), session: Number(session), foreground: Number(foreground) };
  } catch {
    return undefined;
  }
}
