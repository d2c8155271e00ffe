import { MAX_INSTRUCTIONS } from "../bpf/index.ts";

/** The filter has more instructions than the kernel takes. */
export class TooLargeError extends Error {
  override readonly name = "TooLargeError";
  /** How many instructions it has. */
  readonly instructions: number;
  constructor(instructions: number) {
    super(`the filter has ${instructions} instructions, but the kernel takes ${MAX_INSTRUCTIONS} at most`);
    this.instructions = instructions;
  }
}
