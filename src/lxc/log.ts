/** What went wrong at a start, where people look: the container's callgate.log and the system's log. */
import { appendFileSync, statSync } from "node:fs";

/** Larger than this, the log is begun anew: a container that is restarted all the time must not fill the disk. */
const largestLog = 1 << 20;

/** Both are best effort: that the container does not start does not depend on them. */
export function logFailure(file: string, container: string, text: string): void {
  const entry = `${new Date().toISOString()} ${container}: the container does not start\n${text.trimEnd()}\n`;
  try {
    appendFileSync(file, entry, { flag: sizeOf(file) > largestLog ? "w" : "a", mode: 0o600 });
  } catch {}
  const line = text.trim().split("\n")[0] ?? "";
  // Asked for where it is needed: it costs a start some milliseconds.
  process
    .getBuiltinModule("node:child_process")
    .spawnSync("logger", ["-t", "callgate", "-p", "daemon.err", "--", `${container}: ${line}`], {
      stdio: "ignore",
      timeout: 5000,
    });
}

export function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}
