// `callgate merge`: files, stacks and processes as one filter.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { encode, instruction, load, RET_A, readFilter } from "../../src/bpf/index.ts";
import { diff, merge } from "../../src/index.ts";
import { root, scratchFile, scratchPath } from "../kernel/native.ts";
import { callgate } from "./callgate.ts";

const [one, other] = ["firejail-1", "firejail-2"].map((name) =>
  join(root, "tests", "fixtures", "filters", `${name}.bpf`),
);
assert.ok(one !== undefined && other !== undefined);
const filters = [one, other].map((file) => readFilter(readFileSync(file)));

describe("merge", () => {
  test("writes the library's filter, which is equal to both together", () => {
    const out = scratchPath("merged.bpf");
    const { status, stdout, stderr } = callgate(["merge", one, other, "-o", out]);
    assert.deepEqual([status, stdout], [0, ""], stderr);
    assert.match(stderr, /merged\.bpf: \d+ instructions, proved equal to them together\n$/);
    const merged = readFilter(readFileSync(out));
    assert.deepEqual(merged.instructions, merge(filters).instructions);
    assert.deepEqual(diff(filters, merged), []);
    assert.equal(callgate(["diff", `${one}+${other}`, out]).status, 0);
    const joined = callgate(["merge", `${one}+${other}`, "--format", "asm"]);
    assert.match(
      joined.stdout,
      /^; 2 filters of 80 \+ 54 instructions: \d+ instructions; proved equal to them together by/,
    );
  });

  test("what is no filter, cannot be merged, or is missing", () => {
    const hard = scratchFile("hard.bpf", encode([load(16), instruction(RET_A)]));
    for (const [args, status, message] of [
      [[], 2, /the filters are missing/],
      [[one, "/no/such"], 2, /cannot read "\/no\/such": there is no such file/],
      [[one, "default"], 2, /default is a policy, and a filter is wanted/],
      [[scratchFile("odd.bpf", Buffer.alloc(9))], 2, /9 bytes are not a whole number of instructions/],
      [[hard], 3, /returns more than 4096 different values/],
      [[one, "--format", "bfp"], 2, /did you mean bpf\?/],
    ] as const) {
      const outcome = callgate(["merge", ...args]);
      assert.equal(outcome.status, status, outcome.stderr);
      assert.match(outcome.stderr, message);
      assert.doesNotMatch(outcome.stderr, /\n\s+at /);
    }
  });
});
