import type { Filter } from "./filter.ts";
import type { Instruction } from "./instruction.ts";
import type { Endianness } from "./seccomp-data.ts";

/** The size of one encoded instruction (`struct sock_filter`: u16 code, u8 jt, u8 jf, u32 k). */
export const INSTRUCTION_SIZE = 8;

/** The program as the kernel takes it. A field too large for its place is a RangeError, never cut. */
export function encode(instructions: readonly Instruction[], endianness: Endianness = "little"): Uint8Array {
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_SIZE);
  const view = new DataView(bytes.buffer);
  const little = endianness === "little";
  for (const [index, { code, jt, jf, k }] of instructions.entries()) {
    const at = index * INSTRUCTION_SIZE;
    view.setUint16(at, fitting(index, "code", code, 0xffff), little);
    view.setUint8(at + 2, fitting(index, "jt", jt, 0xff));
    view.setUint8(at + 3, fitting(index, "jf", jf, 0xff));
    view.setUint32(at + 4, fitting(index, "k", k, 0xffffffff), little);
  }
  return bytes;
}

/** The program as a filter: its instructions together with their bytes. */
export function filterOf(instructions: readonly Instruction[], endianness: Endianness = "little"): Filter {
  return { instructions, bytes: encode(instructions, endianness) };
}

function fitting(index: number, field: string, value: number, limit: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= limit) return value;
  throw new RangeError(
    `instruction ${index}: ${field} is ${value}, but it must be an integer from 0 to ${limit}`,
  );
}
