/** Whether the launcher is the one that was built: a damaged or mixed-up file must not start anything. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { nativeProgram } from "./package-files.ts";

/**
 * What is wrong with this package's launcher (or another native program of it), or undefined when it has the checksum that its build wrote down. It
 * guards against damage and mixed-up versions, not against somebody who can write to the package.
 */
export function launcherProblem(program: "launcher" | "watcher" | "proxy" = "launcher"): string | undefined {
  const launcher = nativeProgram(program);
  const folder = dirname(launcher);
  try {
    const sums = readFileSync(join(dirname(folder), "SHA256SUMS"), "utf8");
    const own = `${basename(folder)}/${basename(launcher)}`;
    const wanted = sums
      .split("\n")
      .find((line) => line.endsWith(`  ${own}`))
      ?.slice(0, 64);
    const found = createHash("sha256").update(readFileSync(launcher)).digest("hex");
    if (wanted === found) return undefined;
    return `the ${program} ${launcher} does not have the checksum that ${join(dirname(folder), "SHA256SUMS")} gives: install callgate again`;
  } catch (error) {
    return `the ${program} cannot be checked: ${error instanceof Error ? error.message : String(error)}: install callgate again`;
  }
}
