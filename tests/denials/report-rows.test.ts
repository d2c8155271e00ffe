/** By which bits of a call's arguments questions are told apart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { reportRows } from "../../src/denials/index.ts";
import { readPolicy } from "../../src/index.ts";

function bitsOf(rules: string, nr: number): readonly number[] {
  const { policy, diagnostics } = readPolicy(
    `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = "${rules}"\n`,
  );
  assert.ok(policy !== undefined, JSON.stringify(diagnostics));
  const row = reportRows(policy, "x86_64").find((one) => one.nr === nr);
  assert.ok(row !== undefined);
  return [0, 1, 2, 3, 4, 5].map((index) => [0, 16, 32, 64][(row.widths >> (2 * index)) & 3] ?? 0);
}

const ioctl = 16;
const ptrace = 101;
const socket = 41;

test("scalars tell questions apart, as far as the kernel reads them", () => {
  assert.deepEqual(bitsOf("ask socket", socket), [32, 32, 32, 0, 0, 0]);
});

test("what may be an address tells none apart", () => {
  assert.deepEqual(bitsOf("ask ioctl(request == FIONREAD)", ioctl), [32, 32, 0, 0, 0, 0]);
  assert.deepEqual(bitsOf("ask ptrace", ptrace), [64, 32, 0, 0, 0, 0]);
});

test("unless a rule looks at it", () => {
  for (const condition of [
    "arg == 1",
    "!(request == FIONREAD && arg != 1)",
    "args[2] == 1",
    "arg & 0x1_0000_0000_0000",
  ])
    assert.deepEqual(
      bitsOf(`deny ioctl(${condition}), ask ioctl`.replace(", ask", "\\nask"), ioctl),
      [32, 32, 64, 0, 0, 0],
    );
});
