// Filters with one instruction changed, and what the proof says of them, held against everything else that knows.
import assert from "node:assert/strict";
import {
  ALU_AND_K,
  ALU_OR_K,
  check,
  emulate,
  emulateWords,
  type Filter,
  filterOf,
  type Instruction,
  isConditionalJump,
  JEQ_K,
  JGE_K,
  JGT_K,
  JSET_K,
  LD_W_ABS,
  RET_K,
} from "../../src/bpf/index.ts";
import { returnValueOf } from "../../src/compiler/index.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Policy } from "../../src/policy/types.ts";
import { prove } from "../../src/proof/index.ts";
import { target } from "../policy/reading.ts";
import { secondOpinion } from "./second-method.ts";

/** Every way in which one instruction is changed here. */
export function mutantsOf(
  { instructions }: Filter,
  at: number,
  random: () => number,
): readonly Instruction[] {
  const step = instructions[at];
  if (step === undefined) return [];
  const mutants = new Map<string, Instruction>();
  for (const one of changesOf(step, random)) mutants.set(JSON.stringify(one), one);
  mutants.delete(JSON.stringify(step));
  return [...mutants.values()];
}

function changesOf(step: Instruction, random: () => number): readonly Instruction[] {
  const k = (value: number): Instruction => ({ ...step, k: value >>> 0 });
  const bit = 2 ** Math.floor(random() * 32);
  switch (step.code) {
    case RET_K:
      return [k(step.k ^ 1), k(0x7fff_0000), k(0x8000_0000), { ...step, code: LD_W_ABS, k: 0 }];
    case LD_W_ABS:
      return [
        k((step.k + 4) % 64),
        k(Math.floor(random() * 16) * 4),
        k(step.k ^ 4),
        { ...step, code: RET_K },
      ];
    case ALU_AND_K:
      return [k(step.k ^ bit), k(~0), k(0), { ...step, code: ALU_OR_K }];
    default:
      if (!isConditionalJump(step.code)) return [k(step.k + 1), k(step.k - 1)];
      return [
        k(step.k + 1),
        k(step.k - 1),
        k(step.k ^ bit),
        { ...step, jt: step.jf, jf: step.jt },
        { ...step, jt: (step.jt + 1) & 255 },
        { ...step, jf: (step.jf + 1) & 255 },
        { ...step, jt: Math.max(0, step.jt - 1) },
        ...[JEQ_K, JGE_K, JGT_K, JSET_K].map((code) => ({ ...step, code })),
      ];
  }
}

/** A refutation's witness: emulating the filter and reading the rules each say of it what it says. */
export function assertWitness(filter: Filter, policy: Policy, verdict: ReturnType<typeof prove>): void {
  if (verdict.verdict !== "refuted") return;
  const { arch, nr, args, instructionPointer, returnValue, expectedReturnValue, abi, expected } =
    verdict.witness;
  assert.equal(emulate(filter.instructions, { arch, nr, args, instructionPointer }), returnValue);
  assert.notEqual(returnValue, expectedReturnValue);
  assert.equal(
    returnValueOf(expected.action, expected.by === "other-abis" ? target : (abi ?? target)),
    expectedReturnValue,
  );
  if (abi === undefined) assert.equal(expected.by, "other-abis");
  else
    assert.deepEqual(evaluate(policy, { abi, syscall: nr, args, instructionPointer }, { target }), expected);
}

/** What became of a mutant. */
export type Fate =
  /** The proof gives a call on which it differs; the emulator, the rules and the second method confirm it. */
  | "refuted"
  /** The kernel would not load it. */
  | "refused"
  /** The proof says that it is equal, and the second method too. */
  | "equal"
  /** It computes what the proof does not follow, and so is not proved. */
  | "not followed";

/** What becomes of a filter with one instruction changed; throws where two methods disagree. */
export function fateOf(filter: Filter, policy: Policy, at: number, mutant: Instruction): Fate {
  const message = `instruction ${at}: ${JSON.stringify(filter.instructions[at])} to ${JSON.stringify(mutant)}`;
  const instructions = filter.instructions.with(at, mutant);
  const changed = filterOf(instructions);
  const verdict = prove(changed, policy, { target });
  if (check(instructions).length > 0) {
    assert.equal(verdict.verdict, "undecided", message);
    return "refused";
  }
  if (verdict.verdict === "undecided") {
    assert.match(verdict.reason, /more than the proof can follow|returns a word/, message);
    return "not followed";
  }
  assertWitness(changed, policy, verdict);
  const other = secondOpinion(filter.instructions, instructions);
  assert.equal(other.verdict, verdict.verdict === "proved" ? "equal" : "different", message);
  if (other.verdict === "different")
    assert.notEqual(
      emulateWords(filter.instructions, other.words),
      emulateWords(instructions, other.words),
      message,
    );
  return verdict.verdict === "proved" ? "equal" : "refuted";
}
