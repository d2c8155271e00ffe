import {
  ALU_ADD_K,
  ALU_ADD_X,
  ALU_AND_K,
  ALU_AND_X,
  ALU_DIV_K,
  ALU_DIV_X,
  ALU_LSH_K,
  ALU_LSH_X,
  ALU_MUL_K,
  ALU_MUL_X,
  ALU_NEG,
  ALU_OR_K,
  ALU_OR_X,
  ALU_RSH_K,
  ALU_RSH_X,
  ALU_SUB_K,
  ALU_SUB_X,
  ALU_XOR_K,
  ALU_XOR_X,
  type Instruction,
  isConditionalJump,
  isReturn,
  JA,
  JEQ_K,
  JEQ_X,
  JGE_K,
  JGE_X,
  JGT_K,
  JGT_X,
  JSET_K,
  JSET_X,
  LD_IMM,
  LD_LEN,
  LD_MEM,
  LD_W_ABS,
  LDX_IMM,
  LDX_LEN,
  LDX_MEM,
  MAX_INSTRUCTIONS,
  MEMORY_WORDS,
  RET_A,
  RET_K,
  SECCOMP_DATA_SIZE,
  ST,
  STX,
  TAX,
  TXA,
} from "./instruction.ts";

/** One reason for which the kernel would refuse a program. */
export interface Rejection {
  /** The instruction it is about. */
  readonly index: number;
  /** What is wrong with it, and what the kernel says. */
  readonly message: string;
}

/**
 * Why the kernel would refuse the program as a seccomp filter; empty when it would take it.
 *
 * These are the kernel's own rules, no more and no fewer: `bpf_check_classic` and `check_load_and_stores` of
 * net/core/filter.c, `seccomp_check_filter` of kernel/seccomp.c. The kernel stops at the first and says EINVAL,
 * without a reason. Code that cannot be reached is no reason, but it must obey the rules too.
 */
export function check(instructions: readonly Instruction[]): readonly Rejection[] {
  const length = checkLength(instructions);
  if (length.length > 0) return length;
  const single = [...instructions.flatMap(checkInstruction), ...checkLast(instructions)];
  // Only then: the search for reads of unwritten memory needs jumps that stay inside and indices that exist.
  return single.length > 0 ? single : checkMemory(instructions);
}

/** The instructions that seccomp permits. Classic BPF has more: modulus, loads of bytes and halves, indexed loads. */
export const PERMITTED_CODES: ReadonlySet<number> = new Set([
  LD_W_ABS,
  LD_IMM,
  LD_MEM,
  LD_LEN,
  LDX_IMM,
  LDX_MEM,
  LDX_LEN,
  ST,
  STX,
  TAX,
  TXA,
  ALU_ADD_K,
  ALU_ADD_X,
  ALU_SUB_K,
  ALU_SUB_X,
  ALU_MUL_K,
  ALU_MUL_X,
  ALU_DIV_K,
  ALU_DIV_X,
  ALU_OR_K,
  ALU_OR_X,
  ALU_AND_K,
  ALU_AND_X,
  ALU_LSH_K,
  ALU_LSH_X,
  ALU_RSH_K,
  ALU_RSH_X,
  ALU_NEG,
  ALU_XOR_K,
  ALU_XOR_X,
  JA,
  JEQ_K,
  JEQ_X,
  JGT_K,
  JGT_X,
  JGE_K,
  JGE_X,
  JSET_K,
  JSET_X,
  RET_K,
  RET_A,
]);

/** Instructions of classic BPF that packet filters may use and seccomp filters may not. */
const forbiddenCodes: ReadonlyMap<number, string> = new Map([
  [0x94, "the modulus (mod #k)"],
  [0x9c, "the modulus (mod x)"],
  [0x28, "a load of 16 bits (ldh [k])"],
  [0x30, "a load of 8 bits (ldb [k])"],
  [0x40, "an indexed load (ld [x + k])"],
  [0x48, "an indexed load (ldh [x + k])"],
  [0x50, "an indexed load (ldb [x + k])"],
  [0xb1, "a packet header load (ldxb 4*([k]&0xf))"],
]);

function checkLength(instructions: readonly Instruction[]): readonly Rejection[] {
  if (instructions.length === 0) return [refuse(0, "the program is empty")];
  if (instructions.length <= MAX_INSTRUCTIONS) return [];
  const count = `${instructions.length} instructions are more than ${MAX_INSTRUCTIONS}`;
  return [refuse(MAX_INSTRUCTIONS, count)];
}

function checkLast(instructions: readonly Instruction[]): readonly Rejection[] {
  const last = instructions.length - 1;
  if (isReturn(instructions[last]?.code ?? JA)) return [];
  return [refuse(last, "the last instruction is not a return")];
}

/** What can be said of an instruction by itself and by its distance from the end. */
function checkInstruction(
  { code, jt, jf, k }: Instruction,
  index: number,
  all: readonly Instruction[],
): readonly Rejection[] {
  if (!PERMITTED_CODES.has(code)) {
    const known = forbiddenCodes.get(code);
    const what =
      known === undefined
        ? `there is no instruction 0x${code.toString(16)}`
        : `seccomp does not permit ${known}`;
    return [refuse(index, what)];
  }
  const beyond = all.length - index - 1;
  const found: Rejection[] = [];
  switch (code) {
    case LD_W_ABS:
      if (k % 4 !== 0) found.push(refuse(index, `offset ${k} is not a multiple of 4`));
      if (k >= SECCOMP_DATA_SIZE) {
        found.push(
          refuse(index, `offset ${k} is outside struct seccomp_data, which has ${SECCOMP_DATA_SIZE} bytes`),
        );
      }
      break;
    case LD_MEM:
    case LDX_MEM:
    case ST:
    case STX:
      if (k >= MEMORY_WORDS)
        found.push(refuse(index, `there is no M[${k}], only M[0] to M[${MEMORY_WORDS - 1}]`));
      break;
    case ALU_DIV_K:
      if (k === 0) found.push(refuse(index, "it divides by 0"));
      break;
    case ALU_LSH_K:
    case ALU_RSH_K:
      if (k >= 32) found.push(refuse(index, `it shifts 32 bits by ${k}`));
      break;
    case JA:
      if (k >= beyond) found.push(refuse(index, jumpsOut("jumps", index, k, all.length)));
      break;
    default:
      if (!isConditionalJump(code)) break;
      if (jt >= beyond) found.push(refuse(index, jumpsOut("jumps when true", index, jt, all.length)));
      if (jf >= beyond) found.push(refuse(index, jumpsOut("jumps when false", index, jf, all.length)));
  }
  return found;
}

function jumpsOut(verb: string, index: number, distance: number, length: number): string {
  const to = index + 1 + distance;
  // What a program meant as negative, the kernel counts as the number that it then is.
  if (distance >= 0x8000_0000)
    return `it ${verb} back by ${2 ** 32 - distance}, and filters only jump on: the kernel takes it for instruction ${to}, but the last is ${length - 1}`;
  return `it ${verb} to instruction ${to}, but the last is ${length - 1}`;
}

/**
 * Memory words that may be read before they are written, by the kernel's own single pass from top to bottom.
 *
 * That pass is coarser than the truth in two ways, and so is this. It lets what holds before a *return* flow into
 * the next instruction, as if a return did not end the path: a program none of whose paths reads an unwritten
 * word can be refused. And it takes every word as written at instructions that nothing before them reaches.
 */
function checkMemory(instructions: readonly Instruction[]): readonly Rejection[] {
  const everything = 0xffff;
  const writtenAt = new Uint16Array(instructions.length + 1).fill(everything);
  const found: Rejection[] = [];
  const meet = (target: number, written: number): void => {
    writtenAt[target] = (writtenAt[target] ?? everything) & written;
  };

  let written = 0;
  for (const [index, { code, jt, jf, k }] of instructions.entries()) {
    written &= writtenAt[index] ?? everything;
    switch (code) {
      case ST:
      case STX:
        written |= 1 << k;
        break;
      case LD_MEM:
      case LDX_MEM:
        if ((written & (1 << k)) === 0) {
          found.push(
            refuse(index, `it reads M[${k}], which is not written on every way that the kernel sees here`),
          );
        }
        break;
      case JA:
        meet(index + 1 + k, written);
        written = everything;
        break;
      default:
        if (!isConditionalJump(code)) break;
        meet(index + 1 + jt, written);
        meet(index + 1 + jf, written);
        written = everything;
    }
  }
  return found;
}

function refuse(index: number, reason: string): Rejection {
  return { index, message: `instruction ${index}: ${reason}; the kernel says EINVAL` };
}
