/** What a program that could not be started is reported as. */
import { constants } from "node:os";
import type { PlanStep } from "./plan.ts";

/**
 * Where a start failed. `launcher`: callgate's own launcher is not there, is damaged, or could not be started;
 * `plan`: it could not read what it was to do; `launchKey`: no random numbers; `execute`: the program itself. The
 * others are the steps of a plan.
 */
export type StartStep = "launcher" | "plan" | "launchKey" | PlanStep["kind"];

/** What `SandboxError` is made from. */
export interface StartFailure {
  readonly step: StartStep;
  /** As the kernel counts, 0 where no call failed. */
  readonly errno: number;
  /** A sentence: what failed, why, and what to do. */
  readonly message: string;
}

/**
 * The program was not started: a step of the set-up failed, or there is no such program. It is the `error` event of
 * `spawn` and what `exec` rejects with, and has the fields of Node's own errors (`code` is `ENOENT` for a command
 * that is not there).
 */
export class SandboxError extends Error {
  override readonly name = "SandboxError";
  /** Which step failed. */
  readonly step: StartStep;
  /** The error's name, as `ENOENT`; `ERR_SANDBOX` where it was no system call that failed. */
  readonly code: string;
  /** The error's number as Node gives it: negative. Undefined where it was no system call that failed. */
  readonly errno: number | undefined;
  readonly syscall: string;
  /** The command, as it was given. */
  readonly path: string;
  readonly spawnargs: readonly string[];

  constructor({ step, errno, message }: StartFailure, command: string, args: readonly string[]) {
    const code = errorName(errno) ?? "ERR_SANDBOX";
    super(`spawn ${command} ${code}: ${message}`);
    this.step = step;
    this.code = code;
    this.errno = errno === 0 ? undefined : -errno;
    this.syscall = `spawn ${command}`;
    this.path = command;
    this.spawnargs = args;
  }
}

/** Node's own `getSystemErrorName` does not know all of them (`ENOEXEC`). */
function errorName(errno: number): string | undefined {
  return Object.entries(constants.errno).find(([, number]) => number === errno)?.[0];
}
