import { emulate as emulateInstructions, type Filter, requireFilter, type SeccompData } from "./bpf/index.ts";
import { requireRegisters } from "./policy/evaluate.ts";

/** One call as the kernel shows it to a filter. */
export type FilterInput = SeccompData;

/**
 * What a filter answers to a call: the 32-bit value that seccomp acts on (the action in the upper 16 bits, its
 * data in the lower).
 *
 * @throws TypeError for what is no filter, and for numbers and registers that are none
 */
export function emulate(filter: Filter, input: FilterInput): number {
  requireFilter(filter);
  if (typeof input?.arch !== "number" || typeof input.nr !== "number")
    throw new TypeError(
      "what a filter sees is { arch, nr, args }: arch is the kernel's AUDIT_ARCH_… value, nr a number",
    );
  requireRegisters(input.args);
  return emulateInstructions(filter.instructions, input);
}
