import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as bpf from "../../src/bpf/index.ts";
import {
  actionOf,
  argumentOffsets,
  dataOf,
  dataWords,
  errno,
  instruction,
  instructionPointerOffsets,
  RET_ALLOW,
  RET_ERRNO,
  RET_KILL_PROCESS,
  RET_KILL_THREAD,
  RET_LOG,
  RET_TRACE,
  RET_TRAP,
  RET_USER_NOTIF,
  strictest,
  strictness,
} from "../../src/bpf/index.ts";

test("the example at the head of index.ts is true", () => {
  const { ARCH_OFFSET, NR_OFFSET, JEQ_K, load, jump, ret } = bpf;
  const program = [
    load(ARCH_OFFSET),
    jump(JEQ_K, 0xc000003e, 1, 0),
    ret(RET_KILL_PROCESS),
    load(NR_OFFSET),
    jump(JEQ_K, 101, 0, 1),
    ret(errno(1)),
    ret(RET_ALLOW),
  ];
  assert.deepEqual(bpf.check(program), []);
  assert.equal(bpf.emulate(program, { nr: 101, arch: 0xc000003e, args: [] }), errno(1));
  assert.equal(bpf.isCacheable(program, 0, 0xc000003e), true);
  assert.equal(bpf.isCacheable(program, 101, 0xc000003e), false);
  assert.deepEqual(bpf.decode(bpf.encode(program)), program);

  const source = readFileSync("src/bpf/index.ts", "utf8");
  const listing = [...source.matchAll(/,\s+\/\/( +\d+ {2}.*)$/gm)].map(([, line]) => `${line}\n`).join("");
  assert.equal(bpf.format(bpf.disassemble(program)), listing);
});

test("an operand is kept as its 32 bits, unsigned", () => {
  assert.deepEqual(instruction(bpf.JEQ_K, -1, 2, 3), { code: 0x15, jt: 2, jf: 3, k: 0xffffffff });
  assert.equal(bpf.ret(RET_KILL_PROCESS | 0).k, RET_KILL_PROCESS);
});

test("the halves of 64-bit fields lie as the byte order has them", () => {
  assert.deepEqual(instructionPointerOffsets(), { low: 8, high: 12 });
  assert.deepEqual(instructionPointerOffsets("big"), { low: 12, high: 8 });
  assert.deepEqual(argumentOffsets(0), { low: 16, high: 20 });
  assert.deepEqual(argumentOffsets(5), { low: 56, high: 60 });
  assert.deepEqual(argumentOffsets(5, "big"), { low: 60, high: 56 });
});

test("a call in words", () => {
  const data = {
    nr: -1,
    arch: 0xc000003e,
    args: [0x1_0000_0002n, -1n],
    instructionPointer: 0x7fff_0000_1000n,
  };
  const little = [
    0xffffffff, 0xc000003e, 0x1000, 0x7fff, 2, 1, 0xffffffff, 0xffffffff, 0, 0, 0, 0, 0, 0, 0, 0,
  ];
  const big = [0xffffffff, 0xc000003e, 0x7fff, 0x1000, 1, 2, 0xffffffff, 0xffffffff, 0, 0, 0, 0, 0, 0, 0, 0];
  assert.deepEqual([...dataWords(data)], little);
  assert.deepEqual([...dataWords(data, "big")], big);
});

test("return values: action, data and the kernel's order", () => {
  assert.equal(errno(38), 0x50026);
  assert.equal(actionOf(RET_KILL_PROCESS | 7), RET_KILL_PROCESS);
  assert.equal(dataOf(errno(38)), 38);

  const strictestFirst = [
    RET_KILL_PROCESS,
    0x80010000, // an action the kernel does not know
    0xffff0000,
    RET_KILL_THREAD,
    RET_TRAP,
    RET_ERRNO,
    RET_USER_NOTIF,
    RET_TRACE,
    RET_LOG,
    RET_ALLOW,
  ];
  for (const [place, stricter] of strictestFirst.entries()) {
    for (const laxer of strictestFirst.slice(place + 1)) {
      assert.ok(
        strictness(stricter) > strictness(laxer),
        `${stricter.toString(16)} over ${laxer.toString(16)}`,
      );
      assert.equal(strictest(stricter, laxer), stricter);
      assert.equal(strictest(laxer, stricter), stricter);
    }
  }
  assert.equal(strictness(RET_KILL_THREAD), 0);
});

test("among equal actions the newer filter's data counts", () => {
  assert.equal(strictest(errno(1), errno(2)), errno(1));
  assert.equal(strictest(errno(2), errno(1)), errno(2));
  assert.equal(strictness(errno(1)), strictness(errno(2)));
});
