/** What a command comes to: a program's file and its arguments. */
import { statSync } from "node:fs";
import { resolve as resolvePath } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram } from "./find-program.ts";
import type { StartFailure } from "./sandbox-error.ts";

/** The options that say what is started and where. */
export interface CommandOptions {
  readonly argv0?: string | undefined;
  readonly shell?: boolean | string | undefined;
  readonly cwd?: string | URL | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

export interface ProgramFile {
  readonly path: string | Uint8Array;
  /** From argv[0] on. */
  readonly arguments: readonly string[];
}

const ENOENT = 2;
const EACCES = 13;
const ENOTDIR = 20;

/**
 * The program that a command names, looked up as Node looks it up: in the PATH of `env`, relative to `cwd`.
 *
 * A program that is named with a slash is not looked at here: only the launcher, as the user that `uid` says, can
 * tell whether it may be executed.
 */
export function findCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): ProgramFile | StartFailure {
  const folder = options.cwd instanceof URL ? fileURLToPath(options.cwd) : options.cwd;
  const wrong = folder === undefined ? undefined : workingDirectoryProblem(folder);
  if (wrong !== undefined) return wrong;
  const { shell } = options;
  if (shell !== undefined && shell !== false && shell !== "") {
    const file = shell === true ? "/bin/sh" : shell;
    return search(file, [options.argv0 ?? file, "-c", [command, ...args].join(" ")], folder, options.env);
  }
  return search(command, [options.argv0 ?? command, ...args], folder, options.env);
}

function search(
  command: string,
  args: readonly string[],
  folder: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): ProgramFile | StartFailure {
  if (command.includes("/")) return { path: command, arguments: args };
  const path = env["PATH"];
  const folders =
    folder === undefined
      ? path
      : path
          ?.split(":")
          .map((one) => resolvePath(folder, one))
          .join(":");
  const found = findProgram(command, folders);
  if (found.kind === "found") return { path: found.path, arguments: args };
  return { step: "execute", errno: found.kind === "not-found" ? ENOENT : EACCES, message: found.message };
}

/** Why nothing can be started in a folder, as far as it can be told. */
export function workingDirectoryProblem(folder: string): StartFailure | undefined {
  const fail = (errno: number, why: string): StartFailure => ({
    step: "workingDirectory",
    errno,
    message: `the working directory ${JSON.stringify(folder)} ${why}`,
  });
  try {
    const status = statSync(folder, { throwIfNoEntry: false });
    if (status === undefined) return fail(ENOENT, "does not exist");
    return status.isDirectory() ? undefined : fail(ENOTDIR, "is not a directory");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail(EACCES, `cannot be looked at: ${why}`);
  }
}
