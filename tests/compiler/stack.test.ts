// Policies that take more than one filter: the stack answers as the policy does.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  check,
  emulateWords,
  errno,
  type Filter,
  isCacheable,
  MAX_INSTRUCTIONS,
  RET_ALLOW,
  strictness,
} from "../../src/bpf/index.ts";
import { TooLargeError } from "../../src/compiler/index.ts";
import { returnValueOf } from "../../src/compiler/return-value.ts";
import { compileStack, compileStackForLaunch } from "../../src/compiler/stack.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Policy } from "../../src/policy/types.ts";
import { abiByName, syscallNumber } from "../../src/syscalls/index.ts";
import { policyOf, target } from "../policy/reading.ts";
import { count } from "../proof/hard-policies.ts";

test("a policy that fits is one filter", () => {
  assert.equal(compileStack(policyOf("allow read"), { target }).length, 1);
});

/** The strictest answer of all filters, as the kernel takes it, is the policy's for calls with these two arguments. */
function answersAsThePolicy(
  filters: readonly Filter[],
  policy: Policy,
  syscall: number,
  [first, second]: readonly [number, number],
): void {
  const words = new Uint32Array(16);
  words.set([syscall, abiByName(target)?.arch ?? 0, 0, 0, first, 0, second]);
  const answers = filters.map(({ instructions }) => emulateWords(instructions, words));
  const strictest = answers.reduce((a, b) => (strictness(b) > strictness(a) ? b : a));
  const args = [BigInt(first), BigInt(second)];
  const { action } = evaluate(policy, { abi: target, syscall, args }, { target });
  assert.equal(strictest, returnValueOf(action, target), `${syscall}(${first}, ${second})`);
}

/** The filters of a policy that takes more than one, each as the kernel takes it. */
function several(policy: Policy): readonly Filter[] {
  const filters = compileStack(policy, { target });
  assert.ok(filters.length > 1 && filters.length <= 16, `${filters.length} filters`);
  for (const { instructions } of filters) {
    assert.ok(instructions.length <= MAX_INSTRUCTIONS);
    assert.deepEqual(check(instructions), []);
  }
  return filters;
}

test("five thousand rules on one call are several filters, and the strictest answer is the policy's", () => {
  const rules = count(5000).map((i) => `errno(${(i % 7) + 1}) personality(persona == ${i * 3})`);
  const policy = policyOf(`${rules.join("\n")}\nallow personality, read`);
  const filters = several(policy);
  const nr = syscallNumber(target, "personality") ?? -1;
  for (const value of [0, 1, 3, 2997, 7_500, 7_501, 14_997, 14_998, 0xffff_ffff])
    answersAsThePolicy(filters, policy, nr, [value, 0]);
  for (const other of [syscallNumber(target, "read") ?? -1, 500])
    answersAsThePolicy(filters, policy, other, [0, 0]);
});

describe("thousands of rules with conditions on two arguments", () => {
  const nr = syscallNumber(target, "dup3") ?? -1;
  for (const [name, number, condition] of [
    [
      "both, in an order of their own",
      5000,
      (i: number) => `oldfd == ${i * 3} && newfd == ${(i * 7919) % 5003}`,
    ],
    // Put together word by word this takes as many cases as there are pairs; rule by rule it is one long chain.
    ["one of the two", 1000, (i: number) => `oldfd == ${i * 3} || newfd == ${i * 5}`],
  ] as const)
    test(name, () => {
      const rules = count(number).map((i) => `errno(${(i % 7) + 1}) dup3(${condition(i)})`);
      const policy = policyOf(`${rules.join("\n")}\nallow dup3`);
      const filters = several(policy);
      for (const i of [0, 1, 2, number >> 1, number - 1, number])
        for (const [j, by] of [
          [i, 7919],
          [i, 5],
          [number - 2, 5],
          [3, 5],
        ] as const)
          answersAsThePolicy(filters, policy, nr, [i * 3, by === 5 ? j * 5 : (j * by) % 5003]);
    });
});

test("what cannot be parted is refused, with its size, and soon", () => {
  // Every mask looks at other bits, so that no value of the word settles any.
  const scattered = (i: number): number => Math.imul(i + 1, 0x9e37_79b9) >>> 0;
  const rules = count(3000).map(
    (i) =>
      `errno(${(i % 3) + 1}) personality((persona & ${scattered(i)}) == ${(scattered(i) & scattered(i + 7)) >>> 0})`,
  );
  assert.throws(
    () => compileStack(policyOf(`${rules.join("\n")}\nallow personality`), { target }),
    (error) => error instanceof TooLargeError && error.instructions > MAX_INSTRUCTIONS,
  );
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
