// Policies made to be hard: each is decided, correctly, and how long it took is told.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { emulateWords } from "../../src/bpf/index.ts";
import { compile, TooLargeError } from "../../src/compiler/index.ts";
import type { Policy } from "../../src/policy/types.ts";
import { prove } from "../../src/proof/index.ts";
import { syscallsOf } from "../../src/syscalls/index.ts";
import { policyOf, target } from "../policy/reading.ts";
import { callsOn } from "../property/arbitrary.ts";

const count = (length: number): readonly number[] => [...Array(length).keys()];
const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** Multiplies and adds: numbers without a pattern, the same in each run. */
function scattered(index: number): number {
  return Math.imul(index + 1, 0x9e37_79b9) >>> 0;
}

const withArguments = syscallsOf(target).filter(
  ({ args, since }) =>
    since !== undefined && args?.some(({ kind, place }) => kind === "integer" && place.kind === "word"),
);

const policies: Readonly<Record<string, string>> = {
  "twenty rules of two arguments that multiply": count(20)
    .map((i) => `${i % 2 === 0 ? "allow" : "errno(2)"} prctl(arg2 & ${hex(1 << i)} && arg3 & ${hex(1 << i)})`)
    .join("\n"),
  "twenty rules of three arguments, each bit against another": count(20)
    .map(
      (i) =>
        `errno(${i}) prctl(arg2 & ${hex(1 << i)} && arg3 & ${hex(1 << (19 - i))} && arg4 & ${hex(1 << ((i * 7) % 20))})`,
    )
    .join("\n"),
  "ranges that interleave over two arguments": count(40)
    .map(
      (i) =>
        `errno(${i % 5}) dup3(oldfd in {${i * 10}..${i * 10 + 400}} && newfd in {${i * 7}..${i * 7 + 300}})`,
    )
    .join("\n"),
  "masks over masks": count(30)
    .map(
      (i) =>
        `errno(${i % 3}) personality((persona & ${hex(scattered(i))}) == ${hex(scattered(i) & scattered(i + 7))})`,
    )
    .join("\n"),
  "a thousand masks over masks": count(1000)
    .map(
      (i) =>
        `errno(${i % 3}) personality((persona & ${hex(scattered(i))}) == ${hex(scattered(i) & scattered(i + 7))})`,
    )
    .join("\n"),
  "masks and ranges over one word of 64 bits": count(16)
    .map(
      (i) =>
        `errno(${i % 3}) prctl((arg2 & ${hex(scattered(i))}) in {${hex(scattered(i) & 0xff00)}..${hex((scattered(i) & 0xff00) | 0xffff)}} || arg2 > 0x1_0000_0000)`,
    )
    .join("\n"),
  "every call with a condition": withArguments
    .map(({ name, args }, i) => {
      const arg = args?.find(({ kind, place }) => kind === "integer" && place.kind === "word");
      return `allow ${name}(${arg?.name} in {${i % 90}..${(i % 90) + 20}, 3${i % 10}})`;
    })
    .join("\n"),
  "a thousand values of one argument": count(1000)
    .map((i) => `${i % 2 === 0 ? "allow" : "deny"} personality(persona == ${hex(scattered(i))})`)
    .join("\n"),
};

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
  for (const [name, rules] of Object.entries(policies)) {
    test(name, (context) => {
      const policy = policyOf(rules);
      const start = performance.now();
      const filter = compile(policy, { target });
      const took = Math.round(performance.now() - start);
      context.diagnostic(`${filter.instructions.length} instructions, ${took} ms`);
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

  test("on every ABI, with an argument in memory among them", () => {
    const mmap = count(5000).map((i) => `errno(${i % 7}) mmap(args[0] == ${i} || prot == ${i})`);
    assert.throws(() => compile(policyOf(mmap.join("\n"), 'abis = ["all"]'), { target }), TooLargeError);
  });

  test("are compared with a filter that lacks the last of them", (context) => {
    const filter = compile(policyOf(rules(1900).join("\n")), { target });
    const start = performance.now();
    const verdict = prove(filter, policyOf(rules(5000).join("\n")), { target });
    context.diagnostic(
      `${filter.instructions.length} instructions, ${Math.round(performance.now() - start)} ms`,
    );
    assert.equal(verdict.verdict, "refuted");
    if (verdict.verdict === "refuted") assert.equal(verdict.witness.args[0], BigInt(1900 * 3));
  });
});
