// Policies made to be hard: each is decided, correctly. How long it takes, `npm run bench` tells.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { emulate, emulateWords, errno } from "../../src/bpf/index.ts";
import { compile, TooLargeError } from "../../src/compiler/index.ts";
import { compileStack } from "../../src/compiler/stack.ts";
import type { Policy } from "../../src/policy/types.ts";
import { prove } from "../../src/proof/index.ts";
import { syscallByName } from "../../src/syscalls/index.ts";
import { policyOf, policyOfText, target } from "../policy/reading.ts";
import { callsOn } from "../property/arbitrary.ts";
import { count, hardPolicies } from "./hard-policies.ts";

function assertCorrect(policy: Policy, instructions: Parameters<typeof emulateWords>[0]): void {
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  for (const { words, expected } of callsOn(policy, random, 1000))
    assert.equal(emulateWords(instructions, words), expected);
}

describe("hard policies are compiled and proved", () => {
  for (const [name, text] of Object.entries(hardPolicies)) {
    test(name, (context) => {
      const policy = policyOfText(text);
      const filter = compile(policy, { target });
      context.diagnostic(`${filter.instructions.length} instructions`);
      assertCorrect(policy, filter.instructions);
    });
  }
});

describe("five thousand rules on one call", () => {
  const rules = (length: number) =>
    count(length).map((i) => `errno(${i % 7}) personality(persona == ${i * 3})`);

  test("are more than the kernel takes, and said to be", () => {
    assert.throws(() => compile(policyOf(rules(5000).join("\n")), { target }), TooLargeError);
  });

  test("that either of two arguments meets are a stack", () => {
    const either = count(1000).map(
      (i) => `errno(${i % 7}) dup3(oldfd == ${i * 3} || newfd == ${(i * 7919) % 5003})`,
    );
    const stack = compileStack(policyOf(either.join("\n")), { target });
    assert.ok(stack.length > 1);
    const { nr = -1 } = syscallByName(target, "dup3") ?? {};
    const answers = (...args: readonly bigint[]): readonly number[] =>
      stack.map(({ instructions }) => emulate(instructions, { nr, arch: 0xc000_003e, args }));
    // The first rule that one of both meets.
    assert.ok(answers(3n * 999n, 7919n % 5003n).includes(errno(1)));
    assert.ok(answers(3n * 5n, 1n).includes(errno(5)));
  });

  test("on every ABI, with an argument in memory among them", () => {
    const mmap = count(5000).map((i) => `errno(${i % 7}) mmap(args[0] == ${i} || prot == ${i})`);
    assert.throws(() => compile(policyOf(mmap.join("\n"), 'abis = ["all"]'), { target }), TooLargeError);
  });

  test("are compared with a filter that lacks the last of them", () => {
    const filter = compile(policyOf(rules(1900).join("\n")), { target });
    const verdict = prove(filter, policyOf(rules(5000).join("\n")), { target });
    assert.equal(verdict.verdict, "refuted");
    if (verdict.verdict === "refuted") assert.equal(verdict.witness.args[0], BigInt(1900 * 3));
  });
});
