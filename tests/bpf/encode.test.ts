import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  decode,
  encode,
  FilterFormatError,
  filterOf,
  JEQ_K,
  jump,
  MAX_INSTRUCTIONS,
  RET_ALLOW,
  readFilter,
  ret,
} from "../../src/bpf/index.ts";
import "../seed.ts";
import { anyInstruction } from "./arbitrary.ts";

test("an instruction is eight bytes, in the byte order asked for", () => {
  const program = [jump(JEQ_K, 0xc000003e, 1, 2)];
  assert.deepEqual([...encode(program)], [0x15, 0x00, 1, 2, 0x3e, 0x00, 0x00, 0xc0]);
  assert.deepEqual([...encode(program, "big")], [0x00, 0x15, 1, 2, 0xc0, 0x00, 0x00, 0x3e]);
});

test("decode undoes encode, in both byte orders", () => {
  const programs = fc.array(anyInstruction, { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(programs, fc.constantFrom("little" as const, "big" as const), (program, endianness) => {
      assert.deepEqual(decode(encode(program, endianness), endianness), program);
    }),
  );
});

test("encode undoes decode for whatever bytes", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((some) => {
    const whole = new Uint8Array(some.length * 8);
    for (let at = 0; at < whole.length; at++) whole[at] = (some[at % some.length] ?? 0) ^ (at * 37);
    return whole;
  });
  fc.assert(fc.property(bytes, (whole) => assert.deepEqual(encode(decode(whole)), whole)));
});

test("decode reads a part of a larger buffer, and readFilter keeps bytes of its own", () => {
  const program = [ret(RET_ALLOW)];
  const padded = new Uint8Array(24);
  padded.set(encode(program), 8);
  assert.deepEqual(decode(padded.subarray(8, 16)), program);

  const filter = readFilter(padded.subarray(8, 16));
  padded.fill(0);
  assert.deepEqual(filter, filterOf(program));
});

test("what is no program is refused with a reason", () => {
  const cases = [
    [0, "empty", "the filter is empty; the kernel wants at least one instruction and would say EINVAL"],
    [
      13,
      "odd-length",
      "13 bytes are not a whole number of instructions (8 bytes each: 1 and 5 bytes more); " +
        "the kernel counts in instructions and could not be handed this",
    ],
    [
      8 * (MAX_INSTRUCTIONS + 1),
      "too-long",
      "the filter has 4097 instructions; the kernel takes at most 4096 and would say EINVAL",
    ],
  ] as const;
  for (const [length, problem, message] of cases) {
    assert.throws(
      () => decode(new Uint8Array(length)),
      (error) => error instanceof FilterFormatError && error.problem === problem && error.message === message,
    );
  }
  assert.equal(decode(new Uint8Array(8 * MAX_INSTRUCTIONS)).length, MAX_INSTRUCTIONS);
});

test("encode cuts nothing off", () => {
  assert.throws(() => encode([ret(0), jump(JEQ_K, 0, 256, 0)]), {
    name: "RangeError",
    message: "instruction 1: jt is 256, but it must be an integer from 0 to 255",
  });
  for (const k of [-1, 2 ** 32, 0.5, Number.NaN]) {
    assert.throws(() => encode([{ code: 6, jt: 0, jf: 0, k }]), RangeError);
  }
});
