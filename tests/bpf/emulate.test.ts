import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as bpf from "../../src/bpf/index.ts";
import {
  check,
  dataWords,
  EmulationError,
  emulate,
  emulateWords,
  errno,
  type Instruction,
  instruction,
  isCacheable,
  jump,
  jumpAlways,
  load,
  RET_ALLOW,
  ret,
  trace,
} from "../../src/bpf/index.ts";
import "../seed.ts";
import { harmlessCall, lawfulBody, memoryPrologue, word } from "./arbitrary.ts";

const someCall = { nr: 0, arch: 0, args: [] };
const retA = instruction(bpf.RET_A);

test("arithmetic is unsigned, of 32 bits, with k and with X", () => {
  const cases: readonly (readonly [string, number, number, number, number, number])[] = [
    ["ALU_ADD_K", bpf.ALU_ADD_K, bpf.ALU_ADD_X, 7, 5, 12],
    ["ALU_ADD_K", bpf.ALU_ADD_K, bpf.ALU_ADD_X, 0xffffffff, 2, 1],
    ["ALU_SUB_K", bpf.ALU_SUB_K, bpf.ALU_SUB_X, 7, 5, 2],
    ["ALU_SUB_K", bpf.ALU_SUB_K, bpf.ALU_SUB_X, 0, 1, 0xffffffff],
    ["ALU_MUL_K", bpf.ALU_MUL_K, bpf.ALU_MUL_X, 7, 5, 35],
    ["ALU_MUL_K", bpf.ALU_MUL_K, bpf.ALU_MUL_X, 0xffffffff, 0xffffffff, 1],
    ["ALU_MUL_K", bpf.ALU_MUL_K, bpf.ALU_MUL_X, 0x12345679, 0x87654321, 0xf81dd099],
    ["ALU_DIV_K", bpf.ALU_DIV_K, bpf.ALU_DIV_X, 7, 5, 1],
    ["ALU_DIV_K", bpf.ALU_DIV_K, bpf.ALU_DIV_X, 0xffffffff, 2, 0x7fffffff],
    ["ALU_DIV_K", bpf.ALU_DIV_K, bpf.ALU_DIV_X, 0xffffffff, 0xffffffff, 1],
    ["ALU_DIV_K", bpf.ALU_DIV_K, bpf.ALU_DIV_X, 0xfffffffe, 0xffffffff, 0],
    ["ALU_OR_K", bpf.ALU_OR_K, bpf.ALU_OR_X, 0x80000001, 0x00000010, 0x80000011],
    ["ALU_AND_K", bpf.ALU_AND_K, bpf.ALU_AND_X, 0xf0000010, 0x80000011, 0x80000010],
    ["ALU_XOR_K", bpf.ALU_XOR_K, bpf.ALU_XOR_X, 0xf0000010, 0x80000011, 0x70000001],
    ["ALU_LSH_K", bpf.ALU_LSH_K, bpf.ALU_LSH_X, 3, 31, 0x80000000],
    ["ALU_LSH_K", bpf.ALU_LSH_K, bpf.ALU_LSH_X, 3, 0, 3],
    ["ALU_RSH_K", bpf.ALU_RSH_K, bpf.ALU_RSH_X, 0x80000000, 31, 1],
    ["ALU_RSH_K", bpf.ALU_RSH_K, bpf.ALU_RSH_X, 0x80000000, 0, 0x80000000],
  ];
  for (const [name, withK, withX, a, operand, expected] of cases) {
    const byK = [instruction(bpf.LD_IMM, a), instruction(withK, operand), retA];
    const byX = [instruction(bpf.LDX_IMM, operand), instruction(bpf.LD_IMM, a), instruction(withX, 99), retA];
    assert.equal(emulate(byK, someCall), expected, `${name} ${a} ${operand}`);
    assert.equal(emulate(byX, someCall), expected, `${name} with X ${a} ${operand}`);
  }
});

test("multiplication and division agree with exact arithmetic", () => {
  fc.assert(
    fc.property(word, word, (a, b) => {
      const binary = (code: number) =>
        emulate([instruction(bpf.LD_IMM, a), instruction(code, b), retA], someCall);
      assert.equal(BigInt(binary(bpf.ALU_MUL_K)), BigInt.asUintN(32, BigInt(a) * BigInt(b)));
      if (b !== 0) assert.equal(BigInt(binary(bpf.ALU_DIV_K)), BigInt(a) / BigInt(b));
    }),
  );
});

test("negation, and shifts by X modulo 32", () => {
  const run = (a: number, x: number, code: number) =>
    emulate([instruction(bpf.LDX_IMM, x), instruction(bpf.LD_IMM, a), instruction(code), retA], someCall);
  assert.equal(run(1, 0, bpf.ALU_NEG), 0xffffffff);
  assert.equal(run(0, 0, bpf.ALU_NEG), 0);
  assert.equal(run(0x80000000, 0, bpf.ALU_NEG), 0x80000000);
  assert.equal(run(5, 33, bpf.ALU_LSH_X), 10);
  assert.equal(run(5, 0xffffffe1, bpf.ALU_RSH_X), 2);
});

test("division by an X of 0 ends the filter with 0, which kills", () => {
  const program = [instruction(bpf.LD_IMM, 5), instruction(bpf.ALU_DIV_X), ret(RET_ALLOW)];
  assert.deepEqual(trace(program, someCall), { returnValue: bpf.RET_KILL_THREAD, path: [0, 1] });
});

test("tests are unsigned, with k and with X", () => {
  const cases: readonly (readonly [string, number, number, number, number, boolean])[] = [
    ["JEQ_K", bpf.JEQ_K, bpf.JEQ_X, 0xffffffff, 0xffffffff, true],
    ["JEQ_K", bpf.JEQ_K, bpf.JEQ_X, 0, 0xffffffff, false],
    ["JGT_K", bpf.JGT_K, bpf.JGT_X, 0x80000000, 0x7fffffff, true],
    ["JGT_K", bpf.JGT_K, bpf.JGT_X, 5, 5, false],
    ["JGE_K", bpf.JGE_K, bpf.JGE_X, 5, 5, true],
    ["JGE_K", bpf.JGE_K, bpf.JGE_X, 1, 0xffffffff, false],
    ["JSET_K", bpf.JSET_K, bpf.JSET_X, 0x80000000, 0x80000001, true],
    ["JSET_K", bpf.JSET_K, bpf.JSET_X, 6, 9, false],
  ];
  for (const [name, withK, withX, a, operand, holds] of cases) {
    const ends = [ret(0xbad), ret(1), ret(0)];
    const byK = [instruction(bpf.LD_IMM, a), jump(withK, operand, 1, 2), ...ends];
    const byX = [
      instruction(bpf.LDX_IMM, operand),
      instruction(bpf.LD_IMM, a),
      jump(withX, 99, 1, 2),
      ...ends,
    ];
    assert.equal(emulate(byK, someCall), holds ? 1 : 0, `${name} ${a} ${operand}`);
    assert.equal(emulate(byX, someCall), holds ? 1 : 0, `${name} with X ${a} ${operand}`);
  }
});

test("loads, stores and transfers", () => {
  const cases: readonly (readonly [string, readonly Instruction[], number])[] = [
    ["A begins as 0", [retA], 0],
    ["X begins as 0", [instruction(bpf.LD_IMM, 9), instruction(bpf.TXA), retA], 0],
    ["ld #len", [instruction(bpf.LD_LEN), retA], 64],
    ["ldx #len", [instruction(bpf.LDX_LEN), instruction(bpf.TXA), retA], 64],
    [
      "tax, txa",
      [instruction(bpf.LD_IMM, 7), instruction(bpf.TAX), instruction(bpf.LD_IMM), instruction(bpf.TXA), retA],
      7,
    ],
    [
      "st, ld",
      [
        instruction(bpf.LD_IMM, 7),
        instruction(bpf.ST, 15),
        instruction(bpf.LD_IMM),
        instruction(bpf.LD_MEM, 15),
        retA,
      ],
      7,
    ],
    [
      "stx, ldx",
      [
        instruction(bpf.LDX_IMM, 8),
        instruction(bpf.STX, 0),
        instruction(bpf.LDX_IMM),
        instruction(bpf.LDX_MEM, 0),
        instruction(bpf.TXA),
        retA,
      ],
      8,
    ],
    ["ja", [jumpAlways(1), ret(1), ret(2)], 2],
    ["ret k", [ret(bpf.RET_KILL_PROCESS)], 0x80000000],
  ];
  for (const [name, program, expected] of cases) {
    assert.deepEqual(check(program), [], name);
    assert.equal(emulate(program, someCall), expected, name);
  }
});

test("every word of seccomp_data can be loaded", () => {
  const call = {
    nr: 0xabc,
    arch: 0xc000003e,
    args: [0, 1, 2, 3, 4, 5].map((index) => BigInt(0x1000 + index) | (BigInt(0x2000 + index) << 32n)),
    instructionPointer: 0x7fff_0000_1234n,
  };
  const expected = [0xabc, 0xc000003e, 0x1234, 0x7fff].concat(
    ...[0, 1, 2, 3, 4, 5].map((i) => [0x1000 + i, 0x2000 + i]),
  );
  for (const [index, value] of expected.entries()) {
    assert.equal(emulate([load(index * 4), retA], call), value, `offset ${index * 4}`);
  }
  assert.equal(emulate([load(16), retA], call, "big"), 0x2000);
});

test("programs that the kernel would not load are not run to some answer", () => {
  const cases: readonly (readonly [readonly Instruction[], string])[] = [
    [[], "instruction 0: the program runs past its end"],
    [[load(0)], "instruction 1: the program runs past its end"],
    [[load(64), retA], "instruction 0: there is no word at offset 64"],
    [[load(2), retA], "instruction 0: there is no word at offset 2"],
    [[instruction(bpf.ALU_DIV_K, 0), retA], "instruction 0: division by the constant 0"],
    [[instruction(0x94, 3), retA], "instruction 0: seccomp has no instruction 0x94"],
  ];
  for (const [program, message] of cases) {
    assert.throws(
      () => emulate(program, someCall),
      (error) => error instanceof EmulationError && error.message === message,
    );
  }
});

test("whatever check accepts runs, to the same end in each form", () => {
  fc.assert(
    fc.property(lawfulBody(30), harmlessCall, (body, call) => {
      const program = [...memoryPrologue, ...body, retA];
      assert.deepEqual(check(program), []);
      const { returnValue, path } = trace(program, call);
      assert.equal(emulate(program, call), returnValue);
      assert.equal(emulateWords(program, dataWords(call)), returnValue);
      assert.ok(
        path.every((index, at) => at === 0 || index > (path[at - 1] ?? -1)),
        "it only goes forward",
      );
      assert.ok(Number.isInteger(returnValue) && returnValue >= 0 && returnValue <= 0xffffffff);
    }),
  );
});

test("the kernel's cache: what keeps a call in it, and what does not", () => {
  const allow = ret(RET_ALLOW);
  const cases: readonly (readonly [string, readonly Instruction[], boolean])[] = [
    ["ALLOW", [allow], true],
    ["ALLOW with data", [ret(RET_ALLOW | 1)], false],
    ["ERRNO", [ret(errno(1))], false],
    ["LOG", [ret(bpf.RET_LOG)], false],
    ["RET A", [load(0), retA], false],
    ["nr, equal", [load(0), jump(bpf.JEQ_K, 5, 0, 1), allow, ret(0)], true],
    ["nr, other", [load(0), jump(bpf.JEQ_K, 6, 0, 1), allow, ret(0)], false],
    ["arch", [load(4), jump(bpf.JEQ_K, 0xc000003e, 0, 1), allow, ret(0)], true],
    ["JGT, JGE", [load(0), jump(bpf.JGT_K, 4, 0, 2), jump(bpf.JGE_K, 6, 1, 0), allow, ret(0)], true],
    ["JSET", [load(0), jump(bpf.JSET_K, 0x40000000, 1, 0), allow, ret(0)], true],
    ["AND k", [load(0), instruction(bpf.ALU_AND_K, 4), jump(bpf.JEQ_K, 4, 0, 1), allow, ret(0)], true],
    ["JA", [jumpAlways(1), ret(0), allow], true],
    ["an argument, though unused", [load(16), allow], false],
    ["the instruction pointer", [load(8), allow], false],
    ["an argument, only for other calls", [load(0), jump(bpf.JEQ_K, 5, 1, 0), load(16), allow], true],
    ["ld #len", [instruction(bpf.LD_LEN), allow], false],
    ["ld #k", [instruction(bpf.LD_IMM), allow], false],
    ["tax", [instruction(bpf.TAX), allow], false],
    ["or", [load(0), instruction(bpf.ALU_OR_K, 0), allow], false],
    ["and x", [load(0), instruction(bpf.ALU_AND_X), allow], false],
    ["jeq x", [load(0), jump(bpf.JEQ_X, 0, 0, 0), allow], false],
  ];
  for (const [name, program, expected] of cases) {
    assert.deepEqual(check(program), [], name);
    assert.equal(isCacheable(program, 5, 0xc000003e), expected, name);
  }
});

test("a cacheable call is allowed whatever its arguments are", () => {
  fc.assert(
    fc.property(lawfulBody(8), harmlessCall, (body, call) => {
      const program = [...body, ret(RET_ALLOW)];
      if (isCacheable(program, call.nr, call.arch)) assert.equal(emulate(program, call), RET_ALLOW);
    }),
    { numRuns: 1000 },
  );
});
