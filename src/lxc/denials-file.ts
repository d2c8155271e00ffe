/** callgate.denials: what the watcher of a container has seen since the container's start, for `status`. */
import { readFileSync } from "node:fs";
import { filesOf } from "./block.ts";

export interface CountedDenial {
  readonly syscall: string;
  readonly count: number;
}

/** Counts by call, the most frequent first. */
export interface DenialCounts {
  readonly total: number;
  readonly calls: readonly CountedDenial[];
}

export function encodeDenials(counts: DenialCounts): string {
  return `${JSON.stringify(counts)}\n`;
}

/** Undefined where nothing was counted, or where the file is damaged. */
export function readDenials(folder: string): DenialCounts | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(filesOf(folder).denials, "utf8"));
    return isCounts(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isCounts(value: unknown): value is DenialCounts {
  return (
    typeof value === "object" &&
    value !== null &&
    "total" in value &&
    typeof value.total === "number" &&
    "calls" in value &&
    Array.isArray(value.calls) &&
    value.calls.every(isCounted)
  );
}

function isCounted(value: unknown): value is CountedDenial {
  return (
    typeof value === "object" &&
    value !== null &&
    "syscall" in value &&
    typeof value.syscall === "string" &&
    "count" in value &&
    typeof value.count === "number"
  );
}
