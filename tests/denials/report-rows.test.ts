/** By which bits of a call's arguments questions are told apart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { reportRows } from "../../src/denials/index.ts";
import { readPolicy } from "../../src/index.ts";
import { whyNotAsked } from "../../src/policy/askable.ts";
import { syscallsOf } from "../../src/syscalls/table.ts";

/** @param value of the argument that tells what the others are */
function bitsOf(rules: string, nr: number, value?: number): readonly number[] {
  const { policy, diagnostics } = readPolicy(
    `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = "${rules}"\n`,
  );
  assert.ok(policy !== undefined, JSON.stringify(diagnostics));
  const rows = reportRows(policy, "x86_64").filter((one) => one.nr === nr);
  // As the supervisor looks: the last of a call's is for the rest.
  const row = rows.find(({ only }) => only === undefined || only.value === value);
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

test("an address that another argument says to be one tells none apart, a number does", () => {
  const [prctl, keyctl] = [157, 250];
  const whole = [64, 64, 64, 64];
  assert.deepEqual(bitsOf("ask prctl", prctl, 15 /* PR_SET_NAME */), [32, 0, 64, 64, 64, 0]);
  assert.deepEqual(bitsOf("ask prctl", prctl, 35 /* PR_SET_MM */), [32, 64, 0, 64, 64, 0]);
  assert.deepEqual(bitsOf("ask prctl", prctl, 24 /* PR_CAPBSET_DROP */), [32, ...whole, 0]);
  assert.deepEqual(bitsOf("ask keyctl", keyctl, 10 /* KEYCTL_SEARCH */), [32, 64, 0, 0, 64, 0]);
  assert.deepEqual(bitsOf("ask keyctl", keyctl, 8 /* KEYCTL_LINK */), [32, ...whole, 0]);
  const looking = "deny prctl(arg2 == 1)\\nask prctl";
  assert.deepEqual(bitsOf(looking, prctl, 15), [32, ...whole, 0]);
  // Nobody is asked: there is one row for the call.
  assert.deepEqual(bitsOf("deny prctl", prctl, 15), [32, ...whole, 0]);
});

test("what is given an address as a number is asked about once for all of them, by every call that has one", () => {
  // Sizes and counts, and numbers of another kind, although they are called so.
  const numbers = new Set(["addrlen", "argsz", "nr_args", "targetfd", "func", "entry", "arg1", "arg2"]);
  const named = /addr|start|stack|tls|arg|data|entry|func/;
  const open: string[] = [];
  for (const { name, args, nr } of syscallsOf("x86_64")) {
    const found = (args ?? []).filter(
      (one) => one.kind !== "pointer" && named.test(one.name) && !numbers.has(one.name),
    );
    if (found.length === 0 || whyNotAsked({ name, args }, "x86_64", undefined) !== undefined) continue;
    const bits = bitsOf(`ask ${name}`, nr);
    for (const one of found)
      if (name !== "prctl" && name !== "keyctl" && one.place.kind === "word" && bits[one.place.index] !== 0)
        open.push(`${name}(${one.name})`);
  }
  assert.deepEqual(open, []);
});
