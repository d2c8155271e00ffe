// The proof of the proof: filters with one instruction changed. Whenever a call is found that the changed filter
// answers otherwise, the proof must refute it; and what it refutes must be refuted by its own witness.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  ALU_AND_K,
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
import { compile, returnValueOf } from "../../src/compiler/index.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Policy } from "../../src/policy/types.ts";
import { prove } from "../../src/proof/index.ts";
import { policyOf, target } from "../policy/reading.ts";
import { callsOn } from "../property/arbitrary.ts";

const seed = Date.now() & 0x7fff_ffff;

const policies: Readonly<Record<string, Policy>> = {
  "an allow list with conditions": policyOf(
    `kill ptrace, process_vm_readv
deny socket(domain not in {AF_UNIX, AF_INET, AF_INET6})
errno(ENOSYS) clone3
allow clone(!(flags & (CLONE_NEWUSER | CLONE_NEWNS))), prctl(option in {1..4, 15, 0x59616d61})
allow kill(pid > 0 && sig within 15 || pid == -1), lseek(offset < -4096), chmod(mode & 0o7000 == 0 || mode > 0o700)
allow @basic-io, socket, pread64(offset in {0..0x1_0000_0000})`.replace(
      "mode & 0o7000 == 0",
      "(mode & 0o7000) == 0",
    ),
  ),
  "all ABIs, twins and multiplexed calls": policyOf(
    `deny setuid(uid == 0), mmap(prot & PROT_EXEC && flags & MAP_ANONYMOUS)
errno(77) shmget(key in {5, 7..9}), pread64(offset >= 0x2_0000_0000)
allow mmap, setuid, @network-io, @ipc, pread64
trap(9) x86:#0x1ff, #999, x32:#512
log read(fd == 0)
trace(3) *(args[5] & 0x8000_0000_0000_0000)`,
    'abis = ["all"]\nbaseline = "5.10"\nother-abis = "errno(9)"',
  ),
  "a deny list": policyOf(
    `deny keyctl, add_key, request_key, bpf, @module, @reboot
deny ioctl(request in {TIOCSTI, TIOCLINUX}), personality(persona not in {0, 8, 0xffffffff})
errno(38) clone3, ioctl((args[2] & 0xff00) == 0x5400)`,
    'default = "allow"\nbaseline = "6.6"\nabis = ["x86_64", "x32"]',
  ),
};

/** A generator of numbers from 0 to 1 that a seed repeats. */
function randomOf(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Every way in which one instruction is changed here. */
function mutantsOf({ instructions }: Filter, at: number, random: () => number): readonly Instruction[] {
  const step = instructions[at];
  if (step === undefined) return [];
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
      return [k(step.k ^ bit), k(~0), k(0), { ...step, code: 0x44 }];
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

function assertWitness(filter: Filter, policy: Policy, verdict: ReturnType<typeof prove>): void {
  if (verdict.verdict !== "refuted") return;
  const { arch, nr, args, instructionPointer, returnValue, expectedReturnValue, abi, expected } =
    verdict.witness;
  assert.equal(emulate(filter.instructions, { arch, nr, args, instructionPointer }), returnValue);
  assert.notEqual(returnValue, expectedReturnValue);
  assert.equal(returnValueOf(expected.action, abi ?? target), expectedReturnValue);
  if (abi === undefined) assert.equal(expected.by, "other-abis");
  else
    assert.deepEqual(evaluate(policy, { abi, syscall: nr, args, instructionPointer }, { target }), expected);
}

describe(`filters with one instruction changed (seed ${seed})`, () => {
  for (const [name, policy] of Object.entries(policies)) {
    test(name, (context) => {
      const random = randomOf(seed);
      const filter = compile(policy, { target });
      const calls = [...callsOn(policy, random, 3000)];
      for (const { words, expected } of calls)
        assert.equal(emulateWords(filter.instructions, words), expected);
      const count = { refuted: 0, proved: 0, undecided: 0, seen: 0 };
      for (let round = 0; round < 130; round++) {
        const at = Math.floor(random() * filter.instructions.length);
        const mutants = mutantsOf(filter, at, random);
        const mutant = mutants[Math.floor(random() * mutants.length)];
        const original = filter.instructions[at];
        if (mutant === undefined || JSON.stringify(mutant) === JSON.stringify(original)) continue;
        const instructions = filter.instructions.with(at, mutant);
        const changed = filterOf(instructions);
        const verdict = prove(changed, policy, { target });
        count[verdict.verdict] += 1;
        assertWitness(changed, policy, verdict);
        const lawful = check(instructions).length === 0;
        const difference = lawful
          ? calls.find(({ words, expected }) => emulateWords(instructions, words) !== expected)
          : undefined;
        const message = `instruction ${at}: ${JSON.stringify(original)} to ${JSON.stringify(mutant)}`;
        if (difference !== undefined) count.seen += 1;
        if (difference !== undefined) assert.notEqual(verdict.verdict, "proved", message);
        if (verdict.verdict === "undecided")
          assert.match(
            verdict.reason,
            lawful ? /more than the proof can follow|returns a word/ : /kernel refuses/,
          );
      }
      context.diagnostic(`${filter.instructions.length} instructions: ${JSON.stringify(count)}`);
      assert.ok(count.refuted > 50 && count.seen > 20, JSON.stringify(count));
    });
  }
});

test("a policy with a rule less, or one constant changed, is refuted", () => {
  const rules = [
    "deny socket(domain == AF_VSOCK)",
    "allow socket, kill(sig == 0)",
    "errno(2) kill(pid < -1)",
  ];
  const filter = compile(policyOf(rules.join("\n")), { target });
  const others = [
    ...rules.map((_, index) => rules.toSpliced(index, 1)),
    rules.with(0, "deny socket(domain == AF_XDP)"),
    rules.with(2, "errno(2) kill(pid <= -1)"),
    rules.with(2, "errno(3) kill(pid < -1)"),
    [...rules, "allow x32:read", "allow read"],
  ];
  for (const other of others) {
    const policy = policyOf(other.join("\n"));
    const verdict = prove(filter, policy, { target });
    assert.equal(verdict.verdict, "refuted", other.join("; "));
    assertWitness(filter, policy, verdict);
  }
  assert.equal(prove(filter, policyOf(rules.join("\n")), { target }).verdict, "proved");
});

test("a filter that the kernel refuses, or that computes, is never proved", () => {
  const policy = policyOf("", 'default = "kill"\nnewer = "kill"');
  const kill: Instruction = { code: RET_K, jt: 0, jf: 0, k: 0x8000_0000 };
  assert.equal(prove(filterOf([kill]), policy, { target }).verdict, "proved");
  const load: Instruction = { code: LD_W_ABS, jt: 0, jf: 0, k: 0 };
  const undecidable: readonly (readonly Instruction[])[] = [
    [],
    [load],
    [{ ...load, k: 2 }, kill],
    [load, { code: 0x44, jt: 0, jf: 0, k: 0x8000_0000 }, { code: 0x16, jt: 0, jf: 0, k: 0 }],
    [load, { code: 0x16, jt: 0, jf: 0, k: 0 }],
  ];
  for (const instructions of undecidable)
    assert.equal(prove(filterOf(instructions), policy, { target }).verdict, "undecided");
});
