// Programs at the edges of the kernel's rules: check.test.ts asks check() about them, tests/kernel asks the kernel.
import * as bpf from "../../src/bpf/index.ts";
import { type Instruction, instruction, jump, jumpAlways, load, ret } from "../../src/bpf/index.ts";

const allow = ret(bpf.RET_ALLOW);
const st = (k: number) => instruction(bpf.ST, k);
const ldm = (k: number) => instruction(bpf.LD_MEM, k);
const either = (jt: number, jf: number) => jump(bpf.JEQ_K, 0, jt, jf);
const filling = (count: number): readonly Instruction[] => Array.from({ length: count }, () => load(0));

/** Name and program. */
export const accepted: readonly (readonly [string, readonly Instruction[]])[] = [
  ["one return", [allow]],
  ["return A", [instruction(bpf.RET_A)]],
  ["4096 instructions", [...filling(4095), allow]],
  ["the last word", [load(60), allow]],
  ["a jump to the last instruction", [jumpAlways(0), allow]],
  ["the longest conditional jump", [either(255, 255), ...filling(255), allow]],
  ["a long unconditional jump", [jumpAlways(4094), ...filling(4094), allow]],
  ["a shift by 31", [instruction(bpf.ALU_LSH_K, 31), instruction(bpf.ALU_RSH_K, 31), allow]],
  ["a shift by X, however large", [instruction(bpf.LDX_IMM, 99), instruction(bpf.ALU_LSH_X), allow]],
  ["a division by X, even by 0", [instruction(bpf.LDX_IMM, 0), instruction(bpf.ALU_DIV_X), allow]],
  ["M[15]", [st(15), ldm(15), allow]],
  ["code that nothing reaches", [allow, load(0), allow]],
  ["an unknown action", [ret(0x12345678)]],
  ["operands where none belong", [instruction(bpf.TAX, 77, 3, 9), instruction(bpf.RET_A, 0xffffffff, 1, 1)]],
  ["a read of memory written on both ways", [either(0, 2), st(1), jumpAlways(1), st(1), ldm(1), allow]],
  ["a read of memory where nothing leads", [jumpAlways(1), ldm(3), allow]],
];

/** Name, program, and the one instruction that check() names with its reason. */
export const rejected: readonly (readonly [string, readonly Instruction[], number, string])[] = [
  ["nothing", [], 0, "the program is empty"],
  ["4097 instructions", [...filling(4096), allow], 4096, "4097 instructions are more than 4096"],
  ["no return at the end", [allow, load(0)], 1, "the last instruction is not a return"],
  ["an odd offset", [load(2), allow], 0, "offset 2 is not a multiple of 4"],
  ["an offset outside", [load(64), allow], 0, "offset 64 is outside struct seccomp_data, which has 64 bytes"],
  [
    "an ancillary offset",
    [load(0xfffff000), allow],
    0,
    "offset 4294963200 is outside struct seccomp_data, which has 64 bytes",
  ],
  ["modulus", [instruction(0x94, 3), allow], 0, "seccomp does not permit the modulus (mod #k)"],
  ["modulus by X", [instruction(0x9c), allow], 0, "seccomp does not permit the modulus (mod x)"],
  ["a byte load", [instruction(0x30, 0), allow], 0, "seccomp does not permit a load of 8 bits (ldb [k])"],
  [
    "an indexed load",
    [instruction(0x40, 0), allow],
    0,
    "seccomp does not permit an indexed load (ld [x + k])",
  ],
  ["ret x", [instruction(0x0e), allow], 0, "there is no instruction 0xe"],
  ["high bits in an opcode", [instruction(0x0106), allow], 0, "there is no instruction 0x106"],
  ["ja to behind the end", [jumpAlways(1), allow], 0, "it jumps to instruction 2, but the last is 1"],
  [
    "ja backwards",
    [load(0), jumpAlways(-2), allow],
    1,
    "it jumps back by 2, and filters only jump on: the kernel takes it for instruction 4294967296, but the last is 2",
  ],
  [
    "a true branch to behind the end",
    [either(1, 0), allow],
    0,
    "it jumps when true to instruction 2, but the last is 1",
  ],
  [
    "a false branch to behind the end",
    [either(0, 1), allow],
    0,
    "it jumps when false to instruction 2, but the last is 1",
  ],
  [
    "a bad jump that nothing reaches",
    [allow, jumpAlways(7), allow],
    1,
    "it jumps to instruction 9, but the last is 2",
  ],
  ["division by 0", [instruction(bpf.ALU_DIV_K, 0), allow], 0, "it divides by 0"],
  ["a left shift by 32", [instruction(bpf.ALU_LSH_K, 32), allow], 0, "it shifts 32 bits by 32"],
  [
    "a right shift by 2^31",
    [instruction(bpf.ALU_RSH_K, 0x80000000), allow],
    0,
    "it shifts 32 bits by 2147483648",
  ],
  ["M[16], stored", [st(16), allow], 0, "there is no M[16], only M[0] to M[15]"],
  ["M[16], stored from X", [instruction(bpf.STX, 16), allow], 0, "there is no M[16], only M[0] to M[15]"],
  ["M[16], loaded", [ldm(16), allow], 0, "there is no M[16], only M[0] to M[15]"],
  ["M[16], loaded to X", [instruction(bpf.LDX_MEM, 16), allow], 0, "there is no M[16], only M[0] to M[15]"],
  [
    "unwritten memory",
    [ldm(0), allow],
    0,
    "it reads M[0], which is not written on every way that the kernel sees here",
  ],
  [
    "memory written on one way only",
    [either(0, 1), st(1), ldm(1), allow],
    2,
    "it reads M[1], which is not written on every way that the kernel sees here",
  ],
  // No way to instruction 4 leaves M[0] unwritten, but the kernel lets the return at 3 flow into it.
  [
    "memory that the kernel wrongly takes as unwritten",
    [either(0, 2), st(0), jumpAlways(1), allow, ldm(0), allow],
    4,
    "it reads M[0], which is not written on every way that the kernel sees here",
  ],
];
