/** The filters of a process that runs, for `inspect`, `prove`, `diff`, `convert` and `merge`. */
import { readFileSync } from "node:fs";
import type { Filter } from "../bpf/index.ts";
import { sanitise } from "../diagnostics/index.ts";
import { withoutLaunchKey } from "../proof/launch-key.ts";
import { readProcessFilters } from "../sandbox/process-filters.ts";

export interface LiveFilters {
  /** The name of its program. */
  readonly name: string;
  /** The oldest first, without the rule of a launch key. */
  readonly filters: readonly Filter[];
  /** Whether the launcher's key was among the rules: the one execve with it passes, or did. */
  readonly launchKey: boolean;
}

/** What is said where filters have a launch key. */
export const launchKeyNote =
  "execve passes also with callgate's launch key, six random words in args[3] to args[5]: the launcher has used it, and nobody else knows it";

/** Reads the filters of a process back, or says why that cannot be. */
export function readLiveFilters(pid: string): LiveFilters | { readonly problem: string } {
  const status = statusOf(pid);
  if (status === undefined) return { problem: `there is no process ${pid}` };
  const field = (key: string): string => new RegExp(`^${key}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
  const name = sanitise(field("Name"));
  const mode = field("Seccomp");
  const count = field("Seccomp_filters");
  if (mode === "") return { problem: "this kernel has no seccomp" };
  if (mode === "1")
    return { problem: `process ${pid} (${name}) is in strict mode: read, write and exit, and no filter` };
  if (mode === "0") return { problem: `process ${pid} (${name}) has no filter` };
  const read = readProcessFilters(Number(pid));
  if ("problem" in read) {
    const known = `what can be seen without: it has ${count === "" ? "filters" : `${count} filter${count === "1" ? "" : "s"}`} (Seccomp in /proc/${pid}/status)`;
    return {
      problem: `cannot read the filters of process ${pid} (${name}): ${read.problem}\nthis needs root (CAP_SYS_ADMIN in the first user namespace), and a callgate that is itself under no filter; ${known}`,
    };
  }
  if (read.filters.length === 0) return { problem: `process ${pid} (${name}) has no filter` };
  return { name, ...withoutKeys(read.filters) };
}

/** Filters that a process of ours may have, without the rules of launch keys. */
export function withoutKeys(filters: readonly Filter[]): Omit<LiveFilters, "name"> {
  const keyless = filters.map((filter) => withoutLaunchKey(filter));
  return {
    filters: filters.map((filter, index) => keyless[index]?.filter ?? filter),
    launchKey: keyless.some((one) => one !== undefined),
  };
}

function statusOf(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return undefined;
  }
}
