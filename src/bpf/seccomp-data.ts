/** The order of bytes in a word, and so of the two halves of a 64-bit argument in `struct seccomp_data`. */
export type Endianness = "little" | "big";

/** Where the two 32-bit halves of a 64-bit field lie in `struct seccomp_data`. */
export interface Halves {
  readonly low: number;
  readonly high: number;
}

/** One call as a filter sees it: `struct seccomp_data`. */
export interface SeccompData {
  /** The call's number; negative numbers stand for their 32 bits. */
  readonly nr: number;
  /** The kernel's `AUDIT_ARCH_…` value. */
  readonly arch: number;
  /** The raw argument registers; those left out are 0, and only the low 64 bits of each count. */
  readonly args: readonly bigint[];
  /** Where the program is when it makes the call; 0 when left out. */
  readonly instructionPointer?: bigint;
}

/** The offset of the call's number in `struct seccomp_data`. */
export const NR_OFFSET = 0;
/** The offset of the architecture. */
export const ARCH_OFFSET = 4;
/** The offset of the instruction pointer, 64 bits. */
export const INSTRUCTION_POINTER_OFFSET = 8;
/** The offset of the first of the arguments, 64 bits each. */
export const ARGUMENTS_OFFSET = 16;
/** The number of arguments. */
export const ARGUMENT_COUNT = 6;

/** The order of bytes of the machines with this `AUDIT_ARCH_…` value: a bit of it says so. */
export function endiannessOf(arch: number): Endianness {
  return (arch & AUDIT_ARCH_LITTLE_ENDIAN) === 0 ? "big" : "little";
}

const AUDIT_ARCH_LITTLE_ENDIAN = 0x4000_0000;

/** The offsets of the halves of the instruction pointer. */
export function instructionPointerOffsets(endianness: Endianness = "little"): Halves {
  return halvesAt(INSTRUCTION_POINTER_OFFSET, endianness);
}

/** The offsets of the halves of argument `index`, 0 to 5. */
export function argumentOffsets(index: number, endianness: Endianness = "little"): Halves {
  return halvesAt(ARGUMENTS_OFFSET + 8 * index, endianness);
}

function halvesAt(offset: number, endianness: Endianness): Halves {
  return endianness === "little" ? { low: offset, high: offset + 4 } : { low: offset + 4, high: offset };
}

/** The call as the sixteen words a filter can load: the word at offset n is `words[n / 4]`. */
export function dataWords(data: SeccompData, endianness: Endianness = endiannessOf(data.arch)): Uint32Array {
  const words = new Uint32Array(16);
  words[NR_OFFSET / 4] = data.nr;
  words[ARCH_OFFSET / 4] = data.arch;
  putHalves(words, INSTRUCTION_POINTER_OFFSET / 4, data.instructionPointer ?? 0n, endianness);
  for (let index = 0; index < ARGUMENT_COUNT; index++) {
    putHalves(words, ARGUMENTS_OFFSET / 4 + 2 * index, data.args[index] ?? 0n, endianness);
  }
  return words;
}

/** The call that these sixteen words are, as its architecture lays it out. */
export function callOfWords(words: readonly number[]): Required<SeccompData> {
  const [nr = 0, arch = 0] = words;
  const endianness = endiannessOf(arch);
  const at = (offset: number): bigint => BigInt(words[offset / 4] ?? 0);
  const join = ({ low, high }: Halves): bigint => at(low) | (at(high) << 32n);
  return {
    nr,
    arch,
    args: Array.from({ length: ARGUMENT_COUNT }, (_, index) => join(argumentOffsets(index, endianness))),
    instructionPointer: join(instructionPointerOffsets(endianness)),
  };
}

function putHalves(words: Uint32Array, at: number, value: bigint, endianness: Endianness): void {
  if (value === 0n) return;
  const low = Number(BigInt.asUintN(32, value));
  const high = Number(BigInt.asUintN(32, value >> 32n));
  words[at] = endianness === "little" ? low : high;
  words[at + 1] = endianness === "little" ? high : low;
}
