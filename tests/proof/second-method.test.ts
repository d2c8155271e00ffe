// The two methods of comparing filters, which share no code, against each other.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { emulateWords, type Instruction, JEQ_K, jump, load, ret } from "../../src/bpf/index.ts";
import { DecisionMaker } from "../../src/proof/decisions.ts";
import { compareDecisions } from "../../src/proof/equality.ts";
import { decisionsOfFilter } from "../../src/proof/filter.ts";
import { seed } from "../seed.ts";
import { changed, filterIn, filterOfTable } from "./narrow-words.ts";
import { secondOpinion } from "./second-method.ts";

/** Makes constants of 4 bits into ones of 32: near the ends, with few bits and with many. */
const wide = [
  0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff, 0xff00, 0xffff, 0x1_0000, 0xf0f0_f0f0,
  0x8000_0001, 0x5555_5555, 3, 0xffff_0000, 0x4000_0000,
];

function widened(instructions: readonly Instruction[]): readonly Instruction[] {
  return instructions.map((step) =>
    step.code === 0x20 || step.code === 6 || step.code === 5 ? step : { ...step, k: wide[step.k] ?? 0 },
  );
}

function assertAgreement(a: readonly Instruction[], b: readonly Instruction[]): string {
  const maker = new DecisionMaker();
  const proof = compareDecisions(decisionsOfFilter(a, maker), decisionsOfFilter(b, maker));
  const other = secondOpinion(a, b);
  assert.equal(other.verdict, proof.verdict);
  if (other.verdict === "different")
    assert.notEqual(emulateWords(a, other.words), emulateWords(b, other.words));
  return proof.verdict;
}

describe(`the second method and the proof agree (seed ${seed})`, () => {
  test("on random filters of 32-bit words, with masks, changed and not", () => {
    const count: Record<string, number> = {};
    const add = (verdict: string): void => {
      count[verdict] = (count[verdict] ?? 0) + 1;
    };
    const filter = filterIn({ width: 4, words: [0, 1, 4] });
    fc.assert(
      fc.property(filter, filter, fc.nat(), fc.nat(), (first, other, at, way) => {
        const one = widened(first);
        add(assertAgreement(one, widened(other)));
        for (let step = 0; step < 4; step++)
          add(assertAgreement(one, widened(changed(first, at + step, way, 15))));
      }),
      { numRuns: 400 },
    );
    assert.ok((count["equal"] ?? 0) > 200 && (count["different"] ?? 0) > 200, JSON.stringify(count));
  });

  test("on one answer among four thousand calls, by programs of thousands of tests", () => {
    const shape = { width: 4, words: [0, 4, 5] };
    const answer = (call: Uint32Array): number => ((call[0] ?? 0) * (call[4] ?? 0) + (call[5] ?? 0)) % 3;
    const one = filterOfTable(shape, answer);
    const other = filterOfTable(shape, (call) =>
      call[0] === 7 && call[4] === 3 && call[5] === 9 ? 2 - answer(call) : answer(call),
    );
    assert.equal(assertAgreement(one, one), "equal");
    assert.equal(
      assertAgreement(one, other),
      answer(Uint32Array.of(7, 0, 0, 0, 3, 9)) === 1 ? "equal" : "different",
    );
  });
});

test("the second method follows no arithmetic", () => {
  const program = [load(0), jump(JEQ_K, 1, 0, 0), { code: 0x04, jt: 0, jf: 0, k: 1 }, ret(0)];
  assert.equal(secondOpinion(program, program).verdict, "not followed");
});
