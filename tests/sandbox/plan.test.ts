import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodePlan,
  type PlanError,
  type PlanStep,
  planChecksum,
  planLimits,
} from "../../src/sandbox/plan.ts";

const execute: PlanStep = { kind: "execute", path: "/bin/true", arguments: ["true"] };
const encode = (...steps: readonly PlanStep[]) => encodePlan({ architecture: "x86_64", steps });

/** The same checksum, written down as its definition is. */
function checksumByBigint(bytes: Uint8Array): bigint {
  const word = (start: number): bigint =>
    [0, 1, 2, 3].reduce((sum, place) => {
      const at = start + place;
      const counted = at >= 24 && at < 32 ? 0n : BigInt(bytes[at] ?? 0);
      return sum | (counted << BigInt(8 * place));
    }, 0n);
  const step = (hash: bigint): bigint => BigInt.asUintN(32, hash * 0x1000193n);
  let low = 0x811c9dc5n;
  let high = 0xcbf29ce4n;
  for (let start = 0; start < bytes.length; start += 8) {
    low = step(low ^ word(start));
    high = step(high ^ (low >> 15n) ^ word(start + 4));
  }
  return (high << 32n) | low;
}

test("a small plan, byte by byte", () => {
  const bytes = encode({ kind: "noNewPrivileges" }, execute);
  const view = new DataView(bytes.buffer);
  assert.equal(new TextDecoder().decode(bytes.subarray(0, 8)), "callgate");
  assert.deepEqual(
    [8, 12, 16, 20].map((at) => view.getUint32(at, true)),
    [1, bytes.length, 2, 0xc000003e],
  );
  assert.equal(view.getBigUint64(24, true), checksumByBigint(bytes));
  assert.equal(view.getBigUint64(32, true), 0n);
  assert.deepEqual([...bytes.subarray(40, 48)], [120, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...bytes.subarray(48, 64)], [170, 0, 0, 0, 23, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(new TextDecoder().decode(bytes.subarray(64)), "/bin/true\0true\0\0");
});

test("the checksum is what its definition says, for plans of any length", () => {
  let seed = 1;
  for (const length of [0, 1, 23, 24, 31, 32, 33, 1000, 65_537]) {
    const bytes = new Uint8Array(length).map(() => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return seed >>> 16;
    });
    const [low, high] = planChecksum(bytes);
    assert.equal((BigInt(high) << 32n) | BigInt(low), checksumByBigint(bytes), `length ${length}`);
  }
});

test("the checksum changes with every single byte", () => {
  const bytes = encode({ kind: "noNewPrivileges" }, execute);
  const whole = planChecksum(bytes);
  for (let at = 0; at < bytes.length; at += 1) {
    if (at >= 24 && at < 32) continue;
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ 0x40;
    assert.notDeepEqual(planChecksum(changed), whole, `byte ${at}`);
  }
});

test("arguments may be bytes that are no text", () => {
  const bytes = encode({ kind: "execute", path: "/bin/cat", arguments: ["cat", Uint8Array.of(0xff, 0x41)] });
  assert.ok(Buffer.from(bytes).includes(Buffer.of(0x74, 0, 0xff, 0x41, 0)));
});

test("descriptors to keep are sorted and counted once", () => {
  const bytes = encode({ kind: "closeDescriptors", keep: [9, 4, 9] }, execute);
  const view = new DataView(bytes.buffer);
  assert.deepEqual(
    [44, 48, 52, 56].map((at) => view.getUint32(at, true)),
    [12, 2, 4, 9],
  );
});

test("a launch key is asked for when a filter has a place for it", () => {
  const bytes = Uint8Array.of(0x15, 0, 0, 0, 0, 0, 0, 0, 0x06, 0, 0, 0, 0, 0, 0xff, 0x7f);
  const without = encode({ kind: "filter", bytes }, execute);
  const withKey = encode({ kind: "filter", bytes, patches: [{ instruction: 0, word: 5 }] }, execute);
  const flagsFromEnd = 24 - 4;
  assert.equal(without[without.length - flagsFromEnd], 0);
  assert.equal(withKey[withKey.length - flagsFromEnd], 1);
});

const filter = (instructions: number): Uint8Array => new Uint8Array(instructions * 8).fill(0x06);
const refused: readonly (readonly [string, readonly PlanStep[], RegExp])[] = [
  ["no step", [], /^the plan starts no program/],
  ["no program", [{ kind: "noNewPrivileges" }], /^the plan starts no program/],
  [
    "a step twice",
    [{ kind: "noNewPrivileges" }, { kind: "noNewPrivileges" }, execute],
    /noNewPrivileges: it stands twice/,
  ],
  [
    "steps out of order",
    [{ kind: "filter", bytes: filter(1) }, { kind: "noNewPrivileges" }, execute],
    /after filter/,
  ],
  [
    "a step after the program",
    [execute, { kind: "filter", bytes: filter(1) }],
    /filter: it stands after execute/,
  ],
  [
    "NUL in an argument",
    [{ ...execute, arguments: ["true", "a\0b"] }],
    /argument 1 has a NUL byte.*"a\\u0000b"/,
  ],
  ["NUL in a path", [{ ...execute, path: Uint8Array.of(47, 0) }], /execute: the path has a NUL/],
  ["a lone surrogate", [{ ...execute, path: "/\ud800" }], /not well-formed/],
  ["no argv[0]", [{ ...execute, arguments: [] }], /argv\[0\]/],
  ["a variable without a name", [{ kind: "environment", keep: [], set: { "": "x" } }, execute], /no name/],
  ["a name with =", [{ kind: "environment", keep: ["A=B"], set: {} }, execute], /"A=B" is no name/],
  [
    "NUL in a value",
    [{ kind: "environment", keep: [], set: { A: "\0" } }, execute],
    /the value of A has a NUL/,
  ],
  [
    "standard output to keep",
    [{ kind: "closeDescriptors", keep: [1] }, execute],
    /1 is no descriptor above 2/,
  ],
  ["signal 65", [{ kind: "signals", keepIgnored: [65] }, execute], /65 is no signal/],
  ["half an instruction", [{ kind: "filter", bytes: new Uint8Array(12) }, execute], /12 bytes are no filter/],
  ["an empty filter", [{ kind: "filter", bytes: filter(0) }, execute], /0 bytes are no filter/],
  [
    "4097 instructions",
    [{ kind: "filter", bytes: filter(4097) }, execute],
    /4097 instructions are more than 4096/,
  ],
  [
    "17 filters",
    [...Array(17).fill({ kind: "filter", bytes: filter(1) }), execute],
    /17 filters are more than 16/,
  ],
  [
    "a place outside the filter",
    [{ kind: "filter", bytes: filter(1), patches: [{ instruction: 1, word: 0 }] }, execute],
    /no instruction 1/,
  ],
  [
    "a seventh key word",
    [{ kind: "filter", bytes: filter(1), patches: [{ instruction: 0, word: 6 }] }, execute],
    /word 6/,
  ],
  [
    "a place that compares nothing",
    [{ kind: "filter", bytes: filter(1), patches: [{ instruction: 0, word: 0 }] }, execute],
    /instruction 0 does not compare/,
  ],
  ["5 MiB", [{ ...execute, arguments: ["true", "x".repeat(5 << 20)] }], /larger than 4194304 bytes/],
];

for (const [name, steps, message] of refused) {
  test(`refused: ${name}`, () => {
    assert.throws(() => encode(...steps), { name: "PlanError", message });
  });
}

test("an error names its step", () => {
  assert.throws(
    () => encode({ kind: "signals", keepIgnored: [0] }, execute),
    (error: PlanError) => error instanceof TypeError && error.step === "signals",
  );
});

test("a plan may be as large as the launcher's buffer", () => {
  const room = planLimits.bytes - encode({ ...execute, arguments: ["true", ""] }).length;
  assert.equal(encode({ ...execute, arguments: ["true", "x".repeat(room)] }).length, planLimits.bytes);
});
