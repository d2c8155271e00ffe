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
  RET_A,
  RET_K,
  ST,
  STX,
  TAX,
  TXA,
} from "./instruction.ts";
import {
  actionOf,
  dataOf,
  RET_ALLOW,
  RET_ERRNO,
  RET_KILL_PROCESS,
  RET_KILL_THREAD,
  RET_LOG,
  RET_TRACE,
  RET_TRAP,
  RET_USER_NOTIF,
} from "./return-value.ts";
import {
  ARCH_OFFSET,
  ARGUMENTS_OFFSET,
  type Endianness,
  INSTRUCTION_POINTER_OFFSET,
  NR_OFFSET,
} from "./seccomp-data.ts";

/** One line of a listing. */
export interface ListingRow {
  readonly index: number;
  readonly instruction: Instruction;
  /** `ld`, `jeq`, `ret`; `.word` for an opcode that seccomp does not have. */
  readonly mnemonic: string;
  /** `[0]`, `0xc000003e ? 2 : 9`, `ERRNO(1)`: jump targets are the indices of rows. */
  readonly operand: string;
  /** Where it can go from here: none for a return, two for a test. */
  readonly targets: readonly number[];
  /**
   * The offset in `struct seccomp_data` of the word that A holds unchanged when this instruction begins, where
   * that is the same on every way here: what a test compares.
   */
  readonly accumulator: number | undefined;
  /** What a reader is told besides; the name of the word for a load. */
  readonly comment: string | undefined;
}

/** Gives a row its comment, from the row with the comment it has; undefined leaves that one. */
export type Annotate = (row: ListingRow) => string | undefined;

/** What a listing can be told. */
export interface DisassembleOptions {
  readonly endianness?: Endianness;
  readonly annotate?: Annotate;
}

/** The program as rows of a listing. Any program will do, also one that the kernel would refuse. */
export function disassemble(
  instructions: readonly Instruction[],
  options: DisassembleOptions = {},
): readonly ListingRow[] {
  const accumulators = accumulatorAtEach(instructions);
  return instructions.map((step, index) => {
    const row: ListingRow = {
      index,
      instruction: step,
      mnemonic: mnemonics.get(step.code) ?? ".word",
      operand: operandOf(step, index),
      targets: targetsOf(step, index),
      accumulator: accumulators[index],
      comment: step.code === LD_W_ABS ? dataWordName(step.k, options.endianness) : undefined,
    };
    const comment = options.annotate?.(row);
    return comment === undefined ? row : { ...row, comment };
  });
}

/** The rows as text, a line each, with aligned columns. */
export function format(rows: readonly ListingRow[]): string {
  const indexWidth = Math.max(3, ...rows.map((row) => String(row.index).length));
  const operandWidth = rows.reduce((width, row) => Math.max(width, row.operand.length), 0);
  return rows
    .map((row) => {
      const code = `${String(row.index).padStart(indexWidth)}  ${row.mnemonic.padEnd(5)} ${row.operand}`;
      const commentColumn = indexWidth + 8 + operandWidth;
      const line = row.comment === undefined ? code : `${code.padEnd(commentColumn)}  ; ${row.comment}`;
      return `${line.trimEnd()}\n`;
    })
    .join("");
}

/** `ALLOW`, `ERRNO(1)`, `KILL_PROCESS`; a value whose action the kernel does not know in hexadecimal. */
export function returnValueName(returnValue: number): string {
  const data = dataOf(returnValue);
  switch (actionOf(returnValue)) {
    case RET_KILL_PROCESS:
      return withData("KILL_PROCESS", data);
    case RET_KILL_THREAD:
      return withData("KILL_THREAD", data);
    case RET_TRAP:
      return withData("TRAP", data);
    case RET_ERRNO:
      return `ERRNO(${data})`;
    case RET_USER_NOTIF:
      return withData("USER_NOTIF", data);
    case RET_TRACE:
      return withData("TRACE", data);
    case RET_LOG:
      return withData("LOG", data);
    case RET_ALLOW:
      return withData("ALLOW", data);
    default:
      return hex(returnValue);
  }
}

/** `nr`, `arch`, `args[0] low`, `ip high`; undefined where no word begins. */
export function dataWordName(offset: number, endianness: Endianness = "little"): string | undefined {
  if (offset === NR_OFFSET) return "nr";
  if (offset === ARCH_OFFSET) return "arch";
  if (offset % 4 !== 0 || offset < INSTRUCTION_POINTER_OFFSET || offset >= 64) return undefined;
  const half = (offset % 8 === 0) === (endianness === "little") ? "low" : "high";
  if (offset < ARGUMENTS_OFFSET) return `ip ${half}`;
  return `args[${Math.floor((offset - ARGUMENTS_OFFSET) / 8)}] ${half}`;
}

const mnemonics: ReadonlyMap<number, string> = new Map([
  [LD_W_ABS, "ld"],
  [LD_IMM, "ld"],
  [LD_MEM, "ld"],
  [LD_LEN, "ld"],
  [LDX_IMM, "ldx"],
  [LDX_MEM, "ldx"],
  [LDX_LEN, "ldx"],
  [ST, "st"],
  [STX, "stx"],
  [TAX, "tax"],
  [TXA, "txa"],
  [ALU_ADD_K, "add"],
  [ALU_ADD_X, "add"],
  [ALU_SUB_K, "sub"],
  [ALU_SUB_X, "sub"],
  [ALU_MUL_K, "mul"],
  [ALU_MUL_X, "mul"],
  [ALU_DIV_K, "div"],
  [ALU_DIV_X, "div"],
  [ALU_OR_K, "or"],
  [ALU_OR_X, "or"],
  [ALU_AND_K, "and"],
  [ALU_AND_X, "and"],
  [ALU_LSH_K, "lsh"],
  [ALU_LSH_X, "lsh"],
  [ALU_RSH_K, "rsh"],
  [ALU_RSH_X, "rsh"],
  [ALU_NEG, "neg"],
  [ALU_XOR_K, "xor"],
  [ALU_XOR_X, "xor"],
  [JA, "ja"],
  [JEQ_K, "jeq"],
  [JEQ_X, "jeq"],
  [JGT_K, "jgt"],
  [JGT_X, "jgt"],
  [JGE_K, "jge"],
  [JGE_X, "jge"],
  [JSET_K, "jset"],
  [JSET_X, "jset"],
  [RET_K, "ret"],
  [RET_A, "ret"],
]);

/** In an opcode of arithmetic or of a test: the operand is X, not k (`BPF_X`). */
const OPERAND_IS_X = 0x08;

function operandOf({ code, jt, jf, k }: Instruction, index: number): string {
  if (isConditionalJump(code)) {
    const against = (code & OPERAND_IS_X) === 0 ? hex(k) : "x";
    return `${against} ? ${index + 1 + jt} : ${index + 1 + jf}`;
  }
  switch (code) {
    case LD_W_ABS:
      return `[${k}]`;
    case LD_IMM:
    case LDX_IMM:
      return `#${hex(k)}`;
    case LD_LEN:
    case LDX_LEN:
      return "#len";
    case LD_MEM:
    case LDX_MEM:
    case ST:
    case STX:
      return `M[${k}]`;
    case TAX:
    case TXA:
    case ALU_NEG:
      return "";
    case JA:
      return String(index + 1 + k);
    case RET_K:
      return returnValueName(k);
    case RET_A:
      return "a";
    case ALU_LSH_K:
    case ALU_RSH_K:
      return `#${k}`;
  }
  if (!mnemonics.has(code)) return `${hex(code)}, ${jt}, ${jf}, ${hex(k)}`;
  return (code & OPERAND_IS_X) === 0 ? `#${hex(k)}` : "x";
}

function targetsOf({ code, jt, jf, k }: Instruction, index: number): readonly number[] {
  if (isReturn(code)) return [];
  if (code === JA) return [index + 1 + k];
  if (isConditionalJump(code)) return [index + 1 + jt, index + 1 + jf];
  return [index + 1];
}

/** What A holds before each instruction: the offset it was loaded from, or undefined where that is not certain. */
function accumulatorAtEach(instructions: readonly Instruction[]): readonly (number | undefined)[] {
  const unreached = -1;
  const before: (number | undefined)[] = instructions.map((_, index) =>
    index === 0 ? undefined : unreached,
  );
  for (const [index, step] of instructions.entries()) {
    const after = step.code === LD_W_ABS ? step.k : changesAccumulator(step.code) ? undefined : before[index];
    if (before[index] === unreached) continue;
    for (const target of targetsOf(step, index)) {
      if (target < before.length)
        before[target] = before[target] === unreached ? after : agreed(before[target], after);
    }
  }
  return before.map((offset) => (offset === unreached ? undefined : offset));
}

function agreed(one: number | undefined, other: number | undefined): number | undefined {
  return one === other ? one : undefined;
}

function changesAccumulator(code: number): boolean {
  const isArithmetic = (code & 0x07) === 0x04;
  return (
    isArithmetic ||
    code === LD_IMM ||
    code === LD_MEM ||
    code === LD_LEN ||
    code === TXA ||
    !mnemonics.has(code)
  );
}

function withData(name: string, data: number): string {
  return data === 0 ? name : `${name}(${data})`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
