import { check } from "./check.ts";
import { INSTRUCTION_SIZE } from "./encode.ts";
import type { Filter } from "./filter.ts";
import { type Instruction, MAX_INSTRUCTIONS } from "./instruction.ts";
import type { Endianness } from "./seccomp-data.ts";

/** What can keep bytes from being a program at all. */
export type FilterFormatProblem = "empty" | "odd-length" | "too-long" | "refused";

/** Thrown for bytes that are no program, and by `readFilter` also for a program that the kernel would refuse. */
export class FilterFormatError extends Error {
  override readonly name = "FilterFormatError";
  readonly problem: FilterFormatProblem;
  /** The instruction that the kernel would refuse, where it is about one. */
  readonly index: number | undefined;

  constructor(problem: FilterFormatProblem, message: string, index?: number) {
    super(message);
    this.problem = problem;
    this.index = index;
  }
}

/** The instructions in the bytes of a `struct sock_filter[]`. Throws a FilterFormatError. */
export function decode(bytes: Uint8Array, endianness: Endianness = "little"): readonly Instruction[] {
  requireProgramLength(bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = endianness === "little";
  const instructions: Instruction[] = [];
  for (let at = 0; at < bytes.length; at += INSTRUCTION_SIZE) {
    instructions.push({
      code: view.getUint16(at, little),
      jt: view.getUint8(at + 2),
      jf: view.getUint8(at + 3),
      k: view.getUint32(at + 4, little),
    });
  }
  return instructions;
}

/**
 * The filter in the bytes of a `struct sock_filter[]`, as the kernel takes it: 8 bytes an instruction, in the byte
 * order of the machine.
 * @throws FilterFormatError for bytes that are no program, and for a program that the kernel would refuse: its message
 * has the instruction's number and what the kernel would say
 */
export function readFilter(bytes: Uint8Array, endianness: Endianness = "little"): Filter {
  if (!(bytes instanceof Uint8Array))
    throw new TypeError("a filter is read from its bytes: a Uint8Array, as readFileSync gives it");
  const instructions = decode(bytes, endianness);
  const [refusal] = check(instructions);
  if (refusal !== undefined) throw new FilterFormatError("refused", refusal.message, refusal.index);
  return { instructions, bytes: bytes.slice() };
}

function requireProgramLength(length: number): void {
  if (length === 0) {
    throw new FilterFormatError(
      "empty",
      "the filter is empty; the kernel wants at least one instruction and would say EINVAL",
    );
  }
  if (length % INSTRUCTION_SIZE !== 0) {
    const whole = Math.floor(length / INSTRUCTION_SIZE);
    throw new FilterFormatError(
      "odd-length",
      `${length} bytes are not a whole number of instructions (8 bytes each: ${whole} and ${length % INSTRUCTION_SIZE} bytes more); ` +
        "the kernel counts in instructions and could not be handed this",
    );
  }
  const count = length / INSTRUCTION_SIZE;
  if (count > MAX_INSTRUCTIONS) {
    throw new FilterFormatError(
      "too-long",
      `the filter has ${count} instructions; the kernel takes at most ${MAX_INSTRUCTIONS} and would say EINVAL`,
    );
  }
}
