import { emulate as emulateInstructions, type Filter, type SeccompData } from "./bpf/index.ts";

/** One call as the kernel shows it to a filter. */
export type FilterInput = SeccompData;

/**
 * What a filter answers to a call: the 32-bit value that seccomp acts on (the action in the upper 16 bits, its
 * data in the lower).
 */
export function emulate(filter: Filter, input: FilterInput): number {
  return emulateInstructions(filter.instructions, input);
}
