/** Which of the machine's registers are still read: what is not cannot tell two runs apart. */
import {
  ALU_NEG,
  type Instruction,
  isConditionalJump,
  JA,
  LD_IMM,
  LD_LEN,
  LD_MEM,
  LD_W_ABS,
  LDX_IMM,
  LDX_LEN,
  LDX_MEM,
  RET_A,
  RET_K,
  ST,
  STX,
  TAX,
  TXA,
} from "../bpf/index.ts";

/** M[0] to M[15] are the bits 0 to 15 of a set of registers, A and X the next. */
export const registerA = 16;
export const registerX = 17;

export function isLive(live: number, register: number): boolean {
  return ((live >>> register) & 1) === 1;
}

/** For each instruction the registers that it or a later one reads before they are written. */
export function liveAtEach(instructions: readonly Instruction[]): readonly number[] {
  const live = new Array<number>(instructions.length + 1).fill(0);
  for (let at = instructions.length - 1; at >= 0; at--) {
    const instruction = instructions[at];
    if (instruction === undefined) continue;
    // Jumps go forward only: what follows is known already.
    const after = followers(instruction, at).reduce((all, next) => all | (live[next] ?? 0), 0);
    const { reads, writes } = effectOf(instruction);
    live[at] = (after & ~writes) | reads;
  }
  return live;
}

function followers({ code, jt, jf, k }: Instruction, at: number): readonly number[] {
  if (code === RET_K || code === RET_A) return [];
  if (code === JA) return [at + 1 + k];
  return isConditionalJump(code) ? [at + 1 + jt, at + 1 + jf] : [at + 1];
}

const a = 1 << registerA;
const x = 1 << registerX;

function effectOf({ code, k }: Instruction): { readonly reads: number; readonly writes: number } {
  const memory = 1 << (k & 15);
  switch (code) {
    case LD_W_ABS:
    case LD_IMM:
    case LD_LEN:
      return { reads: 0, writes: a };
    case LD_MEM:
      return { reads: memory, writes: a };
    case LDX_IMM:
    case LDX_LEN:
      return { reads: 0, writes: x };
    case LDX_MEM:
      return { reads: memory, writes: x };
    case ST:
      return { reads: a, writes: memory };
    case STX:
      return { reads: x, writes: memory };
    case TAX:
      return { reads: a, writes: x };
    case TXA:
      return { reads: x, writes: a };
    case JA:
    case RET_K:
      return { reads: 0, writes: 0 };
    case RET_A:
    case ALU_NEG:
      return { reads: a, writes: 0 };
    default:
      // Arithmetic and tests: of A, and of X where the opcode's BPF_X bit is set.
      return { reads: (code & 0x08) === 0 ? a : a | x, writes: 0 };
  }
}
