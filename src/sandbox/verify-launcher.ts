/** Whether the launcher is the one that was built: a damaged or mixed-up file must not start anything. */
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fingerprint } from "./fingerprint.ts";
import { nativeProgram } from "./package-files.ts";

/**
 * What is wrong with this package's launcher (or another native program of it), or undefined when it has the SHA-256 that its
 * build wrote down. It guards against damage and mixed-up versions, not against somebody who can write to the package.
 */
export function launcherProblem(program: "launcher" | "watcher" | "proxy" = "launcher"): string | undefined {
  return sumProblem(program, "SHA256SUMS", sha256);
}

/** The same of the launcher by its fingerprint, for starts: `callgate run` alone, when it has kept no plan. */
export function launcherProblemAtStart(): string | undefined {
  return sumProblem("launcher", "FINGERPRINTS", fingerprint);
}

/** @param list the file in `native/prebuilt` that has a sum and a name a line, as `sha256sum` writes them */
function sumProblem(
  program: "launcher" | "watcher" | "proxy",
  list: string,
  sumOf: (bytes: Buffer) => string,
): string | undefined {
  const file = nativeProgram(program);
  const folder = dirname(file);
  const sums = join(dirname(folder), list);
  try {
    const end = `  ${basename(folder)}/${basename(file)}`;
    const wanted = readFileSync(sums, "utf8")
      .split("\n")
      .find((line) => line.endsWith(end))
      ?.slice(0, -end.length);
    if (wanted === sumOf(readFileSync(file))) return undefined;
    return `the ${program} ${file} does not have the checksum that ${sums} gives: install callgate again`;
  } catch (error) {
    return `the ${program} cannot be checked: ${error instanceof Error ? error.message : String(error)}: install callgate again`;
  }
}

function sha256(bytes: Buffer): string {
  // Asked for where it is needed: it costs a cold start some milliseconds.
  return process.getBuiltinModule("node:crypto").createHash("sha256").update(bytes).digest("hex");
}
