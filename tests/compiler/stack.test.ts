// Policies that take more than one filter: the stack answers as the policy does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { check, emulateWords, MAX_INSTRUCTIONS, strictness } from "../../src/bpf/index.ts";
import { returnValueOf } from "../../src/compiler/return-value.ts";
import { compileStack } from "../../src/compiler/stack.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { abiByName, syscallNumber } from "../../src/syscalls/index.ts";
import { policyOf, target } from "../policy/reading.ts";

test("a policy that fits is one filter", () => {
  assert.equal(compileStack(policyOf("allow read"), { target }).length, 1);
});

test("five thousand rules on one call are several filters, and the strictest answer is the policy's", () => {
  const rules = [...Array(5000).keys()].map((i) => `errno(${(i % 7) + 1}) personality(persona == ${i * 3})`);
  const policy = policyOf(`${rules.join("\n")}\nallow personality, read`);
  const filters = compileStack(policy, { target });
  assert.ok(filters.length > 1 && filters.length <= 16, `${filters.length} filters`);
  for (const { instructions } of filters) {
    assert.ok(instructions.length <= MAX_INSTRUCTIONS);
    assert.deepEqual(check(instructions), []);
  }
  const nr = syscallNumber(target, "personality") ?? -1;
  const read = syscallNumber(target, "read") ?? -1;
  for (const [syscall, value] of [
    ...[0, 1, 3, 2997, 7_500, 7_501, 14_997, 14_998, 0xffff_ffff].map((one) => [nr, one] as const),
    [read, 0] as const,
    [500, 0] as const,
  ]) {
    const words = new Uint32Array(16);
    words.set([syscall, abiByName(target)?.arch ?? 0, 0, 0, value]);
    const answers = filters.map(({ instructions }) => emulateWords(instructions, words));
    const strictest = answers.reduce((a, b) => (strictness(b) > strictness(a) ? b : a));
    const { action } = evaluate(policy, { abi: target, syscall, args: [BigInt(value)] }, { target });
    assert.equal(strictest, returnValueOf(action, target), `${syscall}(${value})`);
  }
});
