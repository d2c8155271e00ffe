// Policies that take more than one filter: the stack answers as the policy does.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  check,
  emulateWords,
  errno,
  isCacheable,
  MAX_INSTRUCTIONS,
  RET_ALLOW,
  strictness,
} from "../../src/bpf/index.ts";
import { TooLargeError } from "../../src/compiler/index.ts";
import { returnValueOf } from "../../src/compiler/return-value.ts";
import { compileStack, compileStackForLaunch } from "../../src/compiler/stack.ts";
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

describe("policies that are split although they would fit", () => {
  const rules = `deny socket(domain == AF_VSOCK), seccomp, execve
errno(5) personality(persona in {1, 5, 9})
errno(ENOSYS) clone3
allow clone(!(flags & (CLONE_NEWUSER | CLONE_NEWNS)))
allow @system-service`;
  const policy = policyOf(rules, "abis = ['all']");
  const seccomp = syscallNumber(target, "seccomp") ?? -1;
  const execve = syscallNumber(target, "execve") ?? -1;
  const arch = abiByName(target)?.arch ?? 0;

  test("each part can be installed under those before it", () => {
    const parts = compileStack(policy, { target, mostInstructions: 60 });
    assert.ok(parts.length > 2);
    const [last, ...others] = [...parts].reverse();
    assert.ok(last !== undefined && !isCacheable(last.instructions, seccomp, arch));
    for (const { instructions } of others) assert.ok(isCacheable(instructions, seccomp, arch));
  });

  test("for a launch, one execve passes all of them, by one key", () => {
    const parts = compileStackForLaunch(policy, { target, mostInstructions: 60 });
    assert.ok(parts.length > 2);
    assert.ok(parts.some(({ keyPlaces }) => keyPlaces.length === 6));
    const words = new Uint32Array(16);
    words.set([execve, arch]);
    const answer = (): number =>
      parts
        .map(({ filter }) => emulateWords(filter.instructions, words))
        .reduce((a, b) => (strictness(b) > strictness(a) ? b : a));
    assert.equal(answer(), errno(1));
    for (const { filter, keyPlaces } of parts)
      for (const { instruction, keyWord } of keyPlaces)
        words[10 + keyWord] = filter.instructions[instruction]?.k ?? 0;
    assert.equal(answer(), RET_ALLOW);
    words[15] = (words[15] ?? 0) + 1;
    assert.equal(answer(), errno(1));
  });

  test("a plan has no more filters than the launcher takes", () => {
    assert.throws(
      () => compileStackForLaunch(policy, { target, mostInstructions: 30 }),
      (error) => error instanceof TooLargeError && error.instructions > 200,
    );
  });
});
