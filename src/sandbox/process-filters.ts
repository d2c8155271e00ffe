/** The filters that a process has in the kernel, read back by ptrace. */
import { spawnSync } from "node:child_process";
import { type Filter, readFilter } from "../bpf/index.ts";
import { nativeProgram } from "./package-files.ts";

export type ProcessFilters =
  /** The oldest first; none where the process has none. */
  { readonly filters: readonly Filter[] } | { readonly problem: string };

/**
 * Reads a process's filters back. It needs CAP_SYS_ADMIN in the first user namespace, and a caller that is itself
 * under no filter; else there is a problem, which says so.
 */
export function readProcessFilters(pid: number): ProcessFilters {
  const { status, stdout, stderr, error } = spawnSync(nativeProgram("tracer"), ["filters", String(pid)], {
    maxBuffer: 64 << 20,
    timeout: 30_000,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (error !== undefined) return { problem: `the tracer cannot be started: ${error.message}` };
  if (status !== 0)
    return {
      problem: stderr
        .toString()
        .trim()
        .replace(/^callgate: /, ""),
    };
  const filters: Filter[] = [];
  for (let at = 0; at < stdout.length; ) {
    const end = at + 4 + stdout.readUInt32LE(at) * 8;
    filters.push(readFilter(stdout.subarray(at + 4, end)));
    at = end;
  }
  return { filters };
}
