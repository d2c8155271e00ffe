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

/** The filters that a process of an observed program had when it ended. */
export interface ObservedFilters {
  readonly pid: number;
  /** The name of its program, as the kernel has it: 15 bytes. */
  readonly name: string;
  /** The oldest first. */
  readonly filters: readonly Filter[];
}

/**
 * Runs a program to its end, on this terminal, and reads back the filters of each of its processes and threads that has
 * any. The same right is needed as for `readProcessFilters`.
 */
export function observeFilters(
  path: string,
  args: readonly string[],
): { readonly processes: readonly ObservedFilters[] } | { readonly problem: string } {
  const { error, output, status, signal } = spawnSync(nativeProgram("tracer"), ["loads", path, ...args], {
    maxBuffer: 64 << 20,
    stdio: ["inherit", "inherit", "inherit", "pipe"],
  });
  if (error !== undefined) return { problem: `the tracer cannot be started: ${error.message}` };
  if (status !== 0)
    return { problem: signal === null ? "the program could not be observed" : `ended by ${signal}` };
  const found = output[3];
  const bytes = Buffer.isBuffer(found) ? found : Buffer.from(found ?? "");
  const processes: ObservedFilters[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [pid, count] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
    const name = bytes.toString("latin1", at + 8, at + 24).replace(/[\n\0].*$/s, "");
    at += 24;
    const filters: Filter[] = [];
    for (let index = 0; index < count; index++) {
      const end = at + 4 + bytes.readUInt32LE(at) * 8;
      filters.push(readFilter(bytes.subarray(at + 4, end)));
      at = end;
    }
    processes.push({ pid, name, filters });
  }
  return { processes };
}
