import type { Instruction } from "./instruction.ts";

/** A classic BPF program, once as instructions and once as the bytes the kernel takes (`struct sock_filter[]`). */
export interface Filter {
  readonly instructions: readonly Instruction[];
  readonly bytes: Uint8Array;
}
