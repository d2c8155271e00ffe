import assert from "node:assert/strict";
import { test } from "node:test";
import * as bpf from "../../src/bpf/index.ts";
import {
  dataWordName,
  disassemble,
  format,
  instruction,
  jump,
  jumpAlways,
  load,
  ret,
  returnValueName,
} from "../../src/bpf/index.ts";

test("a listing", () => {
  const program = [
    load(4),
    jump(bpf.JEQ_K, 0xc000003e, 1, 0),
    ret(bpf.RET_KILL_PROCESS),
    load(0),
    jump(bpf.JGE_K, 0x40000000, 5, 0),
    jump(bpf.JEQ_K, 41, 0, 5),
    load(20),
    jump(bpf.JEQ_K, 0, 0, 2),
    load(16),
    jump(bpf.JSET_K, 3, 1, 0),
    ret(bpf.errno(1)),
    ret(bpf.RET_ALLOW),
  ];
  const nameOf41 = (row: bpf.ListingRow) =>
    row.accumulator === 0 && row.instruction.k === 41 ? "socket" : undefined;
  assert.equal(
    format(disassemble(program, { annotate: nameOf41 })),
    `  0  ld    [4]                  ; arch
  1  jeq   0xc000003e ? 3 : 2
  2  ret   KILL_PROCESS
  3  ld    [0]                  ; nr
  4  jge   0x40000000 ? 10 : 5
  5  jeq   0x29 ? 6 : 11        ; socket
  6  ld    [20]                 ; args[0] high
  7  jeq   0x0 ? 8 : 10
  8  ld    [16]                 ; args[0] low
  9  jset  0x3 ? 11 : 10
 10  ret   ERRNO(1)
 11  ret   ALLOW
`,
  );
});

test("every instruction has its line", () => {
  const codes = [...bpf.PERMITTED_CODES, 0x94];
  const lines = format(disassemble(codes.map((code) => instruction(code, 4, 1, 2)))).split("\n");
  assert.deepEqual(
    lines.map((line) => line.slice(5)),
    [
      "ld    [4]              ; arch",
      "ld    #0x4",
      "ld    M[4]",
      "ld    #len",
      "ldx   #0x4",
      "ldx   M[4]",
      "ldx   #len",
      "st    M[4]",
      "stx   M[4]",
      "tax",
      "txa",
      "add   #0x4",
      "add   x",
      "sub   #0x4",
      "sub   x",
      "mul   #0x4",
      "mul   x",
      "div   #0x4",
      "div   x",
      "or    #0x4",
      "or    x",
      "and   #0x4",
      "and   x",
      "lsh   #4",
      "lsh   x",
      "rsh   #4",
      "rsh   x",
      "neg",
      "xor   #0x4",
      "xor   x",
      "ja    35",
      "jeq   0x4 ? 33 : 34",
      "jeq   x ? 34 : 35",
      "jgt   0x4 ? 35 : 36",
      "jgt   x ? 36 : 37",
      "jge   0x4 ? 37 : 38",
      "jge   x ? 38 : 39",
      "jset  0x4 ? 39 : 40",
      "jset  x ? 40 : 41",
      "ret   KILL_THREAD(4)",
      "ret   a",
      ".word 0x94, 1, 2, 0x4",
      "",
    ],
  );
});

test("return values by name", () => {
  const cases: readonly (readonly [number, string])[] = [
    [bpf.RET_KILL_PROCESS, "KILL_PROCESS"],
    [bpf.RET_KILL_THREAD, "KILL_THREAD"],
    [bpf.RET_TRAP | 7, "TRAP(7)"],
    [bpf.RET_ERRNO, "ERRNO(0)"],
    [bpf.errno(38), "ERRNO(38)"],
    [bpf.RET_USER_NOTIF, "USER_NOTIF"],
    [bpf.RET_TRACE | 1, "TRACE(1)"],
    [bpf.RET_LOG, "LOG"],
    [bpf.RET_ALLOW, "ALLOW"],
    [0x12345678, "0x12345678"],
  ];
  for (const [value, name] of cases) assert.equal(returnValueName(value), name);
});

test("the words of seccomp_data by name", () => {
  assert.deepEqual(
    [0, 4, 8, 12, 16, 20, 60].map((offset) => dataWordName(offset)),
    ["nr", "arch", "ip low", "ip high", "args[0] low", "args[0] high", "args[5] high"],
  );
  assert.equal(dataWordName(16, "big"), "args[0] high");
  assert.deepEqual(
    [2, 64, 68].map((offset) => dataWordName(offset)),
    [undefined, undefined, undefined],
  );
});

test("what A holds is known where every way agrees", () => {
  const program = [
    jump(bpf.JEQ_K, 0, 0, 2), // 0: nothing loaded yet
    load(16), //                 1
    jumpAlways(1), //            2: holds 16
    load(16), //                 3
    jump(bpf.JEQ_K, 1, 0, 1), // 4: holds 16 on both ways
    instruction(bpf.ALU_AND_K, 3), // 5
    jump(bpf.JEQ_K, 1, 0, 0), // 6: masked on one way
    ret(0), //                   7
    load(0), //                  8: not reached
  ];
  assert.deepEqual(
    disassemble(program).map((row) => row.accumulator),
    [undefined, undefined, 16, undefined, 16, 16, undefined, undefined, undefined],
  );
});
