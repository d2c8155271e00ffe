// What `inspect` calls a weakness: each is found where it is, with a call that passes, and not where it is not.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  emulate,
  errno,
  type Filter,
  filterOf,
  JEQ_K,
  JGE_K,
  jump,
  load,
  RET_ALLOW,
  ret,
} from "../../src/bpf/index.ts";
import { inspectFilters } from "../../src/proof/inspect.ts";

const [allow, deny] = [ret(RET_ALLOW), ret(errno(1))];
const x86_64 = 0xc000_003e;
const socket = 41;
const ioUringSetup = 425;

const withoutArch = filterOf([load(0), jump(JEQ_K, socket, 0, 1), deny, allow]);
/** Refuses socket on x86_64, and what `others` says of other architectures. */
const refusing = (others: typeof allow): Filter =>
  filterOf([
    ...[load(4), jump(JEQ_K, x86_64, 1, 0), others],
    ...[load(0), jump(JEQ_K, socket, 1, 0), jump(JEQ_K, ioUringSetup, 0, 1), deny, allow],
  ]);
const rings = filterOf([
  ...[load(4), jump(JEQ_K, x86_64, 1, 0), deny],
  ...[load(0), jump(JGE_K, 0x4000_0000, 1, 0), jump(JEQ_K, socket, 0, 1), deny, allow],
]);
/** socket's domain, both halves compared with AF_VSOCK's. */
const wide = filterOf([
  ...[load(4), jump(JEQ_K, x86_64, 1, 0), deny],
  ...[load(0), jump(JEQ_K, socket, 1, 0), allow],
  ...[load(20), jump(JEQ_K, 0, 0, 2), load(16), jump(JEQ_K, 40, 1, 0), allow, deny],
]);

const rows: readonly (readonly [
  string,
  Filter,
  RegExp,
  { arch: number; nr: number; args?: readonly bigint[] },
])[] = [
  ["no-architecture-check", withoutArch, /^x86 socket\(/, { arch: 0x4000_0003, nr: 359 }],
  ["x86-open", refusing(allow), /^x86 socket\(/, { arch: 0x4000_0003, nr: 359 }],
  ["x32-open", refusing(deny), /^x32 socket\(/, { arch: x86_64, nr: 0x4000_0000 + socket }],
  ["io-uring", rings, /^io_uring_setup\(/, { arch: x86_64, nr: ioUringSetup }],
  ["unknown-numbers", rings, /^#\d+\(\)$/, { arch: x86_64, nr: 0x3fff_fff0 }],
  [
    "wide-compare",
    wide,
    /^socket\(AF_VSOCK \+ 2\^32/,
    { arch: x86_64, nr: socket, args: [40n + (1n << 32n)] },
  ],
];

describe("a weakness", () => {
  for (const [id, filter, witness, { args = [], ...call }] of rows)
    test(`${id}: with a remedy, and a call that passes`, () => {
      const found = inspectFilters([filter], "x86_64").weaknesses.find((one) => one.id === id);
      assert.ok(found !== undefined);
      assert.match(found.witness, witness);
      assert.notEqual(found.remedy, "");
      assert.equal(emulate(filter.instructions, { ...call, args }), RET_ALLOW);
    });

  test("where there is none, none is told", () => {
    // Numbers from x32's on, other architectures and unknown numbers are refused; socket is refused by its number alone.
    const strict = filterOf([
      ...[load(4), jump(JEQ_K, x86_64, 1, 0), deny],
      ...[load(0), jump(JGE_K, 400, 2, 0), jump(JEQ_K, socket, 1, 0), allow, deny],
    ]);
    assert.deepEqual(inspectFilters([strict], "x86_64").weaknesses, []);
  });
});
