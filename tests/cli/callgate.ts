/** Starts the command as users do: through bin/callgate, bounded in time. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../../src/sandbox/package-files.ts";

export const callgatePath = join(packageRoot(), "bin", "callgate");

export interface Outcome {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
}

/** Runs `callgate ARGS…` to its end, at most four minutes. */
export function callgate(args: readonly string[], options: CommandOptions = {}): Outcome {
  return start(callgatePath, args, options);
}

/** Runs a shell line with `$callgate` in its environment. */
export function shell(line: string, options: CommandOptions = {}): Outcome {
  return start("/bin/sh", ["-c", line], { ...options, env: { ...options.env, callgate: callgatePath } });
}

function start(command: string, args: readonly string[], { input, cwd, env, uid }: CommandOptions): Outcome {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    input: input ?? "",
    encoding: "utf8",
    timeout: 240_000,
    killSignal: "SIGKILL",
    env: { ...process.env, NO_COLOR: "1", COLUMNS: "80", ...env },
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  if (error !== undefined) throw error;
  return { status, signal, stdout, stderr };
}
