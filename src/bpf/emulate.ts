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
  MEMORY_WORDS,
  RET_A,
  RET_K,
  SECCOMP_DATA_SIZE,
  ST,
  STX,
  TAX,
  TXA,
} from "./instruction.ts";
import { RET_ALLOW } from "./return-value.ts";
import {
  ARCH_OFFSET,
  dataWords,
  type Endianness,
  endiannessOf,
  NR_OFFSET,
  type SeccompData,
} from "./seccomp-data.ts";

/** A run, told step by step. */
export interface Trace {
  readonly returnValue: number;
  /** The indices of the instructions that were executed, in order; the last is the return. */
  readonly path: readonly number[];
}

/** Thrown when a program is run that the kernel would not have loaded: `check` says what is wrong with it. */
export class EmulationError extends Error {
  override readonly name = "EmulationError";
}

/**
 * What the kernel gets when it runs the filter on this call: the 32-bit return value, unsigned. The call is laid
 * out as its architecture has it: on a big-endian one the high half of an argument lies first.
 * The program must be one that `check` accepts.
 */
export function emulate(
  instructions: readonly Instruction[],
  data: SeccompData,
  endianness: Endianness = endiannessOf(data.arch),
): number {
  return execute(instructions, dataWords(data, endianness), undefined);
}

/** As `emulate`, for a call that is already in words (see `dataWords`): some three times as fast. */
export function emulateWords(instructions: readonly Instruction[], words: Uint32Array): number {
  return execute(instructions, words, undefined);
}

/** As `emulate`, and says which way the run went. */
export function trace(
  instructions: readonly Instruction[],
  data: SeccompData,
  endianness: Endianness = endiannessOf(data.arch),
): Trace {
  const path: number[] = [];
  const returnValue = execute(instructions, dataWords(data, endianness), path);
  return { returnValue, path };
}

/**
 * Whether the kernel (since 5.11) would note in its cache that this call is always allowed, and so never run the
 * filter for it: `seccomp_is_const_allow`. It follows the program for one number and one architecture and gives
 * up at the first instruction whose result could depend on anything else, even where it would not matter.
 *
 * What this cannot know: the cache only has room for the numbers of the native ABI and its 32-bit companion (not
 * for x32), and in a stack every filter must agree.
 */
export function isCacheable(instructions: readonly Instruction[], nr: number, arch: number): boolean {
  let a = 0;
  for (let pc = 0; pc < instructions.length; pc++) {
    const step = instructions[pc];
    if (step === undefined) return false;
    const k = step.k;
    switch (step.code) {
      case LD_W_ABS:
        if (k === NR_OFFSET) a = nr >>> 0;
        else if (k === ARCH_OFFSET) a = arch >>> 0;
        else return false;
        break;
      case ALU_AND_K:
        a = (a & k) >>> 0;
        break;
      case JA:
        pc += k;
        break;
      case JEQ_K:
        pc += a === k ? step.jt : step.jf;
        break;
      case JGT_K:
        pc += a > k ? step.jt : step.jf;
        break;
      case JGE_K:
        pc += a >= k ? step.jt : step.jf;
        break;
      case JSET_K:
        pc += (a & k) !== 0 ? step.jt : step.jf;
        break;
      case RET_K:
        return k === RET_ALLOW;
      default:
        return false;
    }
  }
  return false;
}

/** The machine itself. Registers are kept unsigned: `>>> 0` after whatever could leave a signed value. */
function execute(
  instructions: readonly Instruction[],
  words: Uint32Array,
  path: number[] | undefined,
): number {
  let a = 0;
  let x = 0;
  let memory: Uint32Array | undefined;

  for (let pc = 0; ; pc++) {
    const step = instructions[pc];
    if (step === undefined) throw new EmulationError(`instruction ${pc}: the program runs past its end`);
    path?.push(pc);
    const k = step.k;
    switch (step.code) {
      case LD_W_ABS: {
        const word = k % 4 === 0 ? words[k / 4] : undefined;
        if (word === undefined)
          throw new EmulationError(`instruction ${pc}: there is no word at offset ${k}`);
        a = word;
        break;
      }
      case JEQ_K:
        pc += a === k ? step.jt : step.jf;
        break;
      case JGT_K:
        pc += a > k ? step.jt : step.jf;
        break;
      case JGE_K:
        pc += a >= k ? step.jt : step.jf;
        break;
      case JSET_K:
        pc += (a & k) !== 0 ? step.jt : step.jf;
        break;
      case JEQ_X:
        pc += a === x ? step.jt : step.jf;
        break;
      case JGT_X:
        pc += a > x ? step.jt : step.jf;
        break;
      case JGE_X:
        pc += a >= x ? step.jt : step.jf;
        break;
      case JSET_X:
        pc += (a & x) !== 0 ? step.jt : step.jf;
        break;
      case JA:
        pc += k;
        break;

      case RET_K:
        return k;
      case RET_A:
        return a;

      case ALU_ADD_K:
        a = (a + k) >>> 0;
        break;
      case ALU_ADD_X:
        a = (a + x) >>> 0;
        break;
      case ALU_SUB_K:
        a = (a - k) >>> 0;
        break;
      case ALU_SUB_X:
        a = (a - x) >>> 0;
        break;
      case ALU_MUL_K:
        a = Math.imul(a, k) >>> 0;
        break;
      case ALU_MUL_X:
        a = Math.imul(a, x) >>> 0;
        break;
      case ALU_DIV_K:
        if (k === 0) throw new EmulationError(`instruction ${pc}: division by the constant 0`);
        a = Math.floor(a / k);
        break;
      case ALU_DIV_X:
        // Not an exception: the kernel leaves the filter with 0, which as an action is RET_KILL_THREAD.
        if (x === 0) return 0;
        a = Math.floor(a / x);
        break;
      case ALU_OR_K:
        a = (a | k) >>> 0;
        break;
      case ALU_OR_X:
        a = (a | x) >>> 0;
        break;
      case ALU_AND_K:
        a = (a & k) >>> 0;
        break;
      case ALU_AND_X:
        a = (a & x) >>> 0;
        break;
      case ALU_XOR_K:
        a = (a ^ k) >>> 0;
        break;
      case ALU_XOR_X:
        a = (a ^ x) >>> 0;
        break;
      // JavaScript shifts by the count modulo 32, as the kernel does for _X; `check` refuses such a _K.
      case ALU_LSH_K:
        a = (a << k) >>> 0;
        break;
      case ALU_LSH_X:
        a = (a << x) >>> 0;
        break;
      case ALU_RSH_K:
        a = a >>> k;
        break;
      case ALU_RSH_X:
        a = a >>> x;
        break;
      case ALU_NEG:
        a = (0 - a) >>> 0;
        break;

      case LD_IMM:
        a = k;
        break;
      case LDX_IMM:
        x = k;
        break;
      case LD_LEN:
        a = SECCOMP_DATA_SIZE;
        break;
      case LDX_LEN:
        x = SECCOMP_DATA_SIZE;
        break;
      case LD_MEM:
        a = memory?.[k] ?? 0;
        break;
      case LDX_MEM:
        x = memory?.[k] ?? 0;
        break;
      case ST:
        memory ??= new Uint32Array(MEMORY_WORDS);
        memory[k] = a;
        break;
      case STX:
        memory ??= new Uint32Array(MEMORY_WORDS);
        memory[k] = x;
        break;
      case TAX:
        x = a;
        break;
      case TXA:
        a = x;
        break;

      default:
        throw new EmulationError(`instruction ${pc}: seccomp has no instruction 0x${step.code.toString(16)}`);
    }
  }
}
