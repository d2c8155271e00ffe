/** Which descriptors a program gets, from the `stdio` option as Node has it. */
import type { SpawnOptions, StdioOptions } from "node:child_process";

/** One descriptor of the program, as an element of Node's `stdio`. */
export type StdioEntry = Exclude<StdioOptions, string>[number];

/** All of a program's descriptors, in their order. */
export function stdioEntries(stdio: SpawnOptions["stdio"]): readonly StdioEntry[] {
  if (Array.isArray(stdio))
    return [...stdio, ...Array<undefined>(Math.max(0, 3 - stdio.length)).fill(undefined)];
  const all: StdioEntry = stdio === undefined || stdio === null ? "pipe" : stdio;
  return [all, all, all];
}

/** Those above 2 that the program is given. */
export function extraDescriptors(entries: readonly StdioEntry[]): readonly number[] {
  return entries.flatMap((entry, descriptor) =>
    descriptor > 2 && entry !== undefined && entry !== null && entry !== "ignore" ? [descriptor] : [],
  );
}

/** What Node tells a program in its environment where there is a channel for messages. */
export function channelVariables(entries: readonly StdioEntry[]): readonly string[] {
  return entries.includes("ipc") ? ["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE"] : [];
}
