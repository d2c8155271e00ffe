/** The launcher's file, checked once in a process. */
import { existsSync } from "node:fs";
import { nativeProgram } from "./package-files.ts";
import type { StartFailure } from "./sandbox-error.ts";
import { launcherProblem } from "./verify-launcher.ts";

let sound: { readonly path: string } | undefined;

/** The launcher's path, or why it cannot be used. */
export function findLauncher(): { readonly path: string } | StartFailure {
  if (sound !== undefined) return sound;
  const path = nativeProgram("launcher");
  if (!existsSync(path)) return launcherMissing(path);
  const problem = launcherProblem();
  if (problem !== undefined) return { step: "launcher", errno: 0, message: problem };
  sound = { path };
  return sound;
}

/** What to do where there is none. */
export function launcherMissing(path: string): StartFailure {
  const message = `the launcher ${path} is not there: install callgate again, or build it with \`npm run build:native\` (needs gcc)`;
  return { step: "launcher", errno: ENOENT, message };
}

const ENOENT = 2;
