// The filters of a program whose denials are reported, beside the policy's own meaning: what is handed up is what the policy
// refuses by an errno or asks about, whatever else it is; everything else is answered as before.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { emulateWords } from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { handedUp, withoutQuestions } from "../../src/denials/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import type { Policy } from "../../src/policy/types.ts";
import { target } from "../policy/reading.ts";
import { callsOn, chances, textOf, written } from "../property/arbitrary.ts";
import { seed } from "../seed.ts";

const refused = 0x0005_0000;
const notification = 0x7fc0_0000;
const isRefusal = (value: number): boolean => (value & 0xffff_0000) >>> 0 === refused;

/** How many calls were compared that the policy refuses, and that it does not. */
function compare(policy: Policy, random: () => number): readonly [number, number] {
  const [notifying, plain] = [handedUp(policy), withoutQuestions(policy)].map(
    (one) => compile(one, { target }).instructions,
  );
  assert.ok(notifying !== undefined && plain !== undefined);
  const counts: [number, number] = [0, 0];
  for (const { words, expected } of callsOn(policy, random, 200)) {
    const isUp = isRefusal(expected) || expected === notification;
    assert.equal(emulateWords(notifying, words), isUp ? notification : expected);
    const answer = emulateWords(plain, words);
    // Of a question and of `notify` the kernel has one value; the one is a refusal where nobody can be asked.
    assert.ok(answer === expected || (expected === notification && answer === (refused | 1)));
    counts[isUp ? 0 : 1] += 1;
  }
  return counts;
}

describe(`what is handed up (seed ${seed})`, () => {
  test("of random policies: each refusal by an errno and each question, and nothing else", () => {
    const counts = [0, 0];
    fc.assert(
      fc.property(written, chances, (one, stream) => {
        const { policy } = readPolicy(textOf(one), { target });
        if (policy === undefined) return;
        const found = compare(policy, () => stream.next().value ?? 0);
        for (const [index, count] of found.entries()) counts[index] = (counts[index] ?? 0) + count;
      }),
      { numRuns: 60 },
    );
    for (const count of counts) assert.ok(count > 100, `refused and not refused: ${counts.join()}`);
  });

  test("a question is handed up, and refused where nobody can be asked", () => {
    const { policy } = readPolicy(
      'version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = "ask personality(persona == 1)"\n',
      { target },
    );
    assert.ok(policy !== undefined);
    const words = (persona: number): Uint32Array =>
      Uint32Array.of(135, 0xc000_003e, 0, 0, persona, ...Array<number>(11).fill(0));
    const [up, plain] = [handedUp(policy), withoutQuestions(policy)].map((one) =>
      compile(one, { target: "x86_64" }),
    );
    assert.ok(up !== undefined && plain !== undefined);
    assert.equal(emulateWords(up.instructions, words(1)), notification);
    assert.equal(emulateWords(plain.instructions, words(1)), refused | 1);
    for (const { instructions } of [up, plain])
      assert.equal(emulateWords(instructions, words(2)), 0x7fff_0000);
  });
});
