// The proof of the proof: filters with one instruction changed. Whenever a call is found that the changed filter
// answers otherwise, the proof must refute it; and what it refutes must be refuted by its own witness.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { check, emulateWords, filterOf, type Instruction, LD_W_ABS, RET_K } from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import type { Policy } from "../../src/policy/types.ts";
import { prove } from "../../src/proof/index.ts";
import { policyOf, target } from "../policy/reading.ts";
import { callsOn } from "../property/arbitrary.ts";
import { drawing, randomOf, seed } from "../seed.ts";
import { assertWitness, mutantsOf } from "./mutants.ts";
import { mutantsIn, scoreOf, subjects, sumOf } from "./mutation-score.ts";

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

describe(`filters with one instruction changed (seed ${seed})`, () => {
  for (const [name, policy] of Object.entries(policies)) {
    test(
      name,
      drawing((context) => {
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
          if (mutant === undefined) continue;
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
      }),
    );
  }
});

describe(`every compiled policy's mutants, some of each, by two methods (seed ${seed})`, () => {
  for (const subject of subjects()) {
    test(
      subject.name,
      drawing((context) => {
        const share = Math.min(1, 40 / (8 * subject.filter.instructions.length));
        const score = scoreOf(subject, randomOf(seed), share);
        context.diagnostic(JSON.stringify(score));
        assert.ok(score.refuted > 0 && mutantsIn(score) > 10, JSON.stringify(score));
      }),
    );
  }

  test(
    "conditions of every kind",
    drawing((context) => {
      const random = randomOf(seed);
      const scores = Object.entries(policies).map(([name, policy]) =>
        scoreOf({ name, policy, filter: compile(policy, { target }) }, random, 0.05),
      );
      context.diagnostic(JSON.stringify(sumOf(scores)));
    }),
  );
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
