// The policies of the bench, exhaustively: every number of every ABI and every argument at its boundaries, in each mode.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { disassemble, emulateWords, format } from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { returnValueOfDecision } from "../../src/compiler/return-value.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { evaluateWords } from "../../src/policy/evaluate.ts";
import { resolveSound } from "../../src/policy/resolve.ts";
import type { ResolvedCall, ResolvedCondition } from "../../src/policy/resolved.ts";
import type { Policy } from "../../src/policy/types.ts";
import { prove } from "../../src/proof/index.ts";
import { target } from "../policy/reading.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const folder = join(root, "bench", "policies");
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".json") && name !== "frequencies.json")
  .map((name) => name.slice(0, -5));

function policyNamed(name: string): Policy {
  const { policy } = readPolicy(readFileSync(join(folder, `${name}.json`), "utf8"), { target });
  assert.ok(policy !== undefined);
  return policy;
}

/** The low word of each argument that a condition looks at, with the numbers that it is compared with. */
function comparedIn(condition: ResolvedCondition, found: Map<number, Set<bigint>>): void {
  switch (condition.kind) {
    case "and":
    case "or":
      for (const item of condition.items) comparedIn(item, found);
      return;
    case "not":
      comparedIn(condition.item, found);
      return;
    case "test": {
      const { field, mask = 0n, comparison } = condition;
      const values = found.get(field.low) ?? new Set();
      found.set(field.low, values);
      const compared =
        comparison.operator === "in"
          ? comparison.ranges.flatMap(({ low, high }) => [low, high])
          : comparison.operator === "nonzero"
            ? [0n]
            : [comparison.value];
      for (const one of compared) for (const value of [one, one | mask, one ^ mask, mask]) values.add(value);
    }
  }
}

/** The calls of a number: arguments that conditions look at take every boundary, all of them together. */
function* callsOf(call: ResolvedCall, arch: number): Generator<Uint32Array> {
  const compared = new Map<number, Set<bigint>>();
  for (const { condition } of call.entries) comparedIn(condition, compared);
  const choices = [...compared].map(([low, values]) => {
    const near = [...values].flatMap((one) => [
      one - 1n,
      one,
      one + 1n,
      one | (1n << 32n),
      one | (1n << 63n),
    ]);
    return { low, values: [...new Set([0n, 1n, ~0n, ...near].map((one) => BigInt.asUintN(64, one)))] };
  });
  for (const fill of [0, 0xffff_ffff]) {
    const words = new Uint32Array(16).fill(fill);
    words.set([call.nr, arch]);
    yield* within(words, choices);
  }
}

function* within(
  words: Uint32Array,
  [first, ...others]: readonly { readonly low: number; readonly values: readonly bigint[] }[],
): Generator<Uint32Array> {
  if (first === undefined) {
    yield words;
    return;
  }
  for (const value of first.values) {
    words[first.low] = Number(value & 0xffff_ffffn);
    words[first.low + 1] = Number(value >> 32n);
    yield* within(words, others);
  }
}

describe("each of the bench's policies", () => {
  for (const name of names)
    test(name, (context) => {
      const policy = policyNamed(name);
      const resolved = resolveSound(policy, target);
      let calls = 0;
      for (const optimize of ["kernel", "size", "classic"] as const) {
        const filter = compile(policy, { target, optimize });
        assert.equal(prove(filter, policy, { target }).verdict, "proved");
        for (const { abi, calls: known } of resolved.abis) {
          const byNumber = new Map(known.map((call) => [call.nr, call]));
          const numbers = [...Array(620).keys()].map((offset) => abi.numberBase + offset);
          for (const nr of [
            ...numbers,
            abi.numberBase + 0x3fff_ffff,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
          ]) {
            const owner = nr >= 0x8000_0000 && abi.name === "x32" ? "x86_64" : abi.name;
            const call = byNumber.get(nr) ?? {
              nr,
              name: undefined,
              entries: [],
              fallback: resolved.otherAbis,
            };
            for (const words of callsOf(call, abi.arch)) {
              calls += 1;
              const decision = evaluateWords(resolved, owner, nr, (index) => BigInt(words[index] ?? 0));
              const expected = returnValueOfDecision(decision, owner, resolved);
              const answer = emulateWords(filter.instructions, words);
              if (answer !== expected)
                assert.equal(answer, expected, `${optimize} ${abi.name} ${[...words].join()}`);
            }
          }
        }
        // Architectures that the policy does not have.
        for (const arch of [0, 1, 0x4000_0002, 0x4000_0028, 0xc000_00b7, 0xffff_ffff]) {
          const words = new Uint32Array(16);
          words[1] = arch;
          const expected = returnValueOfDecision(
            { ...resolved.otherAbis, rule: undefined },
            undefined,
            resolved,
          );
          assert.equal(emulateWords(filter.instructions, words), expected);
        }
      }
      context.diagnostic(`${calls} calls`);
      assert.ok(calls > 3000);
    });
});

// Short ones, of which a person can see what they do: conditions, trees of numbers, x32 in the tree of x86_64.
for (const [name, optimize] of [
  ["pledge", "size"],
  ["pledge", "kernel"],
  ["lxc", "size"],
  ["lxc", "classic"],
] as const)
  test(`${name}, for ${optimize}, instruction by instruction`, () => {
    const { instructions } = compile(policyNamed(name), { target, optimize });
    assert.equal(
      format(disassemble(instructions)),
      readFileSync(join(root, "tests", "golden", `${name}-${optimize}.txt`), "utf8"),
    );
  });
