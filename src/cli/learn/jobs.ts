/** The watcher's jobs of one command. */
import type { Policy } from "../../policy/types.ts";
import { watchJob } from "../../sandbox/watch.ts";
import type { AbiName } from "../../syscalls/index.ts";

export type JobOf = (policy: Policy, refused: "permit" | "refuse") => Uint8Array;

/**
 * Makes jobs, each once: compiling and proving takes longer than all the rest, and a policy that was watched with is often the one
 * whose job is kept. Policies that differ in places and comments alone are the same.
 */
export function jobMaker(native: AbiName): JobOf {
  const made = new Map<string, Uint8Array>();
  return (policy, refused) => {
    const meaning = `${refused} ${JSON.stringify(policy, withoutPlaces)}`;
    const job = made.get(meaning) ?? watchJob(policy, native, refused);
    made.set(meaning, job);
    return job;
  };
}

function withoutPlaces(key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}`;
  // A variable that is called so has a text.
  return key === "span" && typeof value === "object" ? undefined : value;
}
