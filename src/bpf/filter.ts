import type { Instruction } from "./instruction.ts";

/** A classic BPF program, once as instructions and once as the bytes the kernel takes (`struct sock_filter[]`). */
export interface Filter {
  readonly instructions: readonly Instruction[];
  readonly bytes: Uint8Array;
}

/** @throws TypeError for what is no filter: callers in JavaScript may pass anything */
export function requireFilter(value: unknown): asserts value is Filter {
  if (
    typeof value !== "object" ||
    value === null ||
    !("instructions" in value) ||
    !Array.isArray(value.instructions)
  )
    throw new TypeError("this is no filter: compile and readFilter give one");
}
