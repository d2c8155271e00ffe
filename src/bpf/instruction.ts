/**
 * One instruction of classic BPF, as `struct sock_filter` has it.
 *
 * The machine has an accumulator A, an index register X and sixteen words of memory, M[0] to M[15]; all are
 * 32 bits wide and unsigned. A and X start as 0. Jumps go forward only, so every program ends.
 */
export interface Instruction {
  /** What to do: one of the constants below (16 bits). */
  readonly code: number;
  /** How many instructions to skip when a test holds (8 bits). */
  readonly jt: number;
  /** How many instructions to skip when a test does not hold (8 bits). */
  readonly jf: number;
  /** The operand: a constant, an offset, or an index (unsigned, 32 bits). */
  readonly k: number;
}

/** The most instructions a filter may have (`BPF_MAXINSNS`). */
export const MAX_INSTRUCTIONS = 4096;
/** The number of words in M[] (`BPF_MEMWORDS`). */
export const MEMORY_WORDS = 16;
/** The size of `struct seccomp_data` in bytes: what `ld #len` gives. */
export const SECCOMP_DATA_SIZE = 64;

// Loads and stores. All that seccomp lets a filter read is a 32-bit word of struct seccomp_data.

/** A = the word of seccomp_data at offset k */
export const LD_W_ABS = 0x20;
/** A = k */
export const LD_IMM = 0x00;
/** A = M[k] */
export const LD_MEM = 0x60;
/** A = 64, the size of seccomp_data */
export const LD_LEN = 0x80;
/** X = k */
export const LDX_IMM = 0x01;
/** X = M[k] */
export const LDX_MEM = 0x61;
/** X = 64, the size of seccomp_data */
export const LDX_LEN = 0x81;
/** M[k] = A */
export const ST = 0x02;
/** M[k] = X */
export const STX = 0x03;
/** X = A */
export const TAX = 0x07;
/** A = X */
export const TXA = 0x87;

// Arithmetic on A: with k (_K) or with X (_X). There is no modulus: the kernel refuses it in seccomp filters.

/** A += k */
export const ALU_ADD_K = 0x04;
/** A += X */
export const ALU_ADD_X = 0x0c;
/** A -= k */
export const ALU_SUB_K = 0x14;
/** A -= X */
export const ALU_SUB_X = 0x1c;
/** A *= k */
export const ALU_MUL_K = 0x24;
/** A *= X */
export const ALU_MUL_X = 0x2c;
/** A /= k */
export const ALU_DIV_K = 0x34;
/** A /= X; where X is 0 the filter returns 0, which kills the thread */
export const ALU_DIV_X = 0x3c;
/** A |= k */
export const ALU_OR_K = 0x44;
/** A |= X */
export const ALU_OR_X = 0x4c;
/** A &= k */
export const ALU_AND_K = 0x54;
/** A &= X */
export const ALU_AND_X = 0x5c;
/** A <<= k */
export const ALU_LSH_K = 0x64;
/** A <<= X modulo 32 */
export const ALU_LSH_X = 0x6c;
/** A >>= k */
export const ALU_RSH_K = 0x74;
/** A >>= X modulo 32 */
export const ALU_RSH_X = 0x7c;
/** A = -A */
export const ALU_NEG = 0x84;
/** A ^= k */
export const ALU_XOR_K = 0xa4;
/** A ^= X */
export const ALU_XOR_X = 0xac;

// Jumps. Every comparison is unsigned.

/** skip k instructions */
export const JA = 0x05;
/** A == k ? */
export const JEQ_K = 0x15;
/** A == X ? */
export const JEQ_X = 0x1d;
/** A > k ? */
export const JGT_K = 0x25;
/** A > X ? */
export const JGT_X = 0x2d;
/** A >= k ? */
export const JGE_K = 0x35;
/** A >= X ? */
export const JGE_X = 0x3d;
/** (A & k) != 0 ? */
export const JSET_K = 0x45;
/** (A & X) != 0 ? */
export const JSET_X = 0x4d;

/** return k */
export const RET_K = 0x06;
/** return A */
export const RET_A = 0x16;

/** Any instruction. `k` may be given signed: it is kept as its 32 bits, unsigned. */
export function instruction(code: number, k = 0, jt = 0, jf = 0): Instruction {
  return { code, jt, jf, k: k >>> 0 };
}

/** `ld [offset]`: A = the word of seccomp_data at that offset. */
export function load(offset: number): Instruction {
  return instruction(LD_W_ABS, offset);
}

/** A test of A against `k`: skip `jt` instructions when it holds, `jf` when it does not. */
export function jump(code: number, k: number, jt: number, jf: number): Instruction {
  return instruction(code, k, jt, jf);
}

/** `ja`: skip `distance` instructions. */
export function jumpAlways(distance: number): Instruction {
  return instruction(JA, distance);
}

/** `and #mask`: A &= mask. */
export function and(mask: number): Instruction {
  return instruction(ALU_AND_K, mask);
}

/** `ret`: end with this return value, for instance `ret(RET_ALLOW)` or `ret(errno(1))`. */
export function ret(returnValue: number): Instruction {
  return instruction(RET_K, returnValue);
}

/** Whether the instruction ends the program. */
export function isReturn(code: number): boolean {
  return code === RET_K || code === RET_A;
}

/** Whether the instruction is a test with two targets. */
export function isConditionalJump(code: number): boolean {
  switch (code) {
    case JEQ_K:
    case JEQ_X:
    case JGT_K:
    case JGT_X:
    case JGE_K:
    case JGE_X:
    case JSET_K:
    case JSET_X:
      return true;
    default:
      return false;
  }
}
