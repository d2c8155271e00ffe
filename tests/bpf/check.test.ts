import assert from "node:assert/strict";
import { test } from "node:test";
import * as bpf from "../../src/bpf/index.ts";
import { check, instruction, jump, load, PERMITTED_CODES, ret } from "../../src/bpf/index.ts";
import { accepted, rejected } from "./acceptance.ts";

const allow = ret(bpf.RET_ALLOW);

test("what the kernel accepts", () => {
  for (const [name, program] of accepted) assert.deepEqual(check(program), [], name);
});

test("what the kernel rejects, and why", () => {
  for (const [name, program, index, reason] of rejected) {
    assert.deepEqual(
      check(program),
      [{ index, message: `instruction ${index}: ${reason}; the kernel says EINVAL` }],
      name,
    );
  }
});

test("every one of the 65536 opcodes is permitted or not", () => {
  assert.equal(PERMITTED_CODES.size, 41);
  for (let code = 0; code <= 0xffff; code++) {
    // Offset, index, shift, divisor and distance 0 would do for all but the division.
    const program = [
      instruction(bpf.ST, 1),
      instruction(code, code === bpf.ALU_DIV_K ? 1 : code === bpf.LD_MEM || code === bpf.LDX_MEM ? 1 : 0),
      allow,
    ];
    assert.equal(check(program).length === 0, PERMITTED_CODES.has(code), `0x${code.toString(16)}`);
  }
});

test("every reason is given, not just the first", () => {
  const found = check([load(66), jump(bpf.JEQ_K, 0, 9, 9), instruction(0x94)]);
  assert.deepEqual(
    found.map(({ index }) => index),
    [0, 0, 1, 1, 2, 2],
  );
});
