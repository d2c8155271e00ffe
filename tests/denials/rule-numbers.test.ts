// The filter that names rules, and the reading of the rules: of each refused call they name the same one. A built file has
// nothing but the filter.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { emulateWords } from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { describeReason, ruleFacts } from "../../src/denials/describe-denial.ts";
import {
  callWords,
  hasQuestions,
  type RuleNumbers,
  ruleNumbers,
  withoutQuestions,
} from "../../src/denials/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { evaluateWords } from "../../src/policy/evaluate.ts";
import { resolve } from "../../src/policy/resolve.ts";
import { abiOfNumber } from "../../src/policy/resolved.ts";
import type { Policy } from "../../src/policy/types.ts";
import { abis, errnoNumber } from "../../src/syscalls/index.ts";
import { target } from "../policy/reading.ts";
import { callsOn, chances, textOf, written } from "../property/arbitrary.ts";
import { seed } from "../seed.ts";

const refused = 0x0005_0000;

function numbered(policy: Policy, all = true): RuleNumbers {
  const numbers = ruleNumbers(policy, all);
  assert.ok(numbers !== undefined);
  return numbers;
}

/** How many refusals were compared. */
function compare(policy: Policy, random: () => number, count: number): number {
  const { policy: other, refusals } = numbered(policy);
  const filter = compile(other, { target });
  const { resolved } = resolve(policy, target);
  let compared = 0;
  for (const { words, expected } of callsOn(policy, random, count)) {
    const value = emulateWords(filter.instructions, words);
    if ((expected & 0xffff_0000) >>> 0 !== refused) {
      assert.equal(value, expected, "what is no refusal is the same");
      continue;
    }
    assert.equal((value & 0xffff_0000) >>> 0, refused);
    const refusal = refusals[(value & 0xffff) - 1];
    const [nr = 0, arch = 0] = words;
    const owner = abis.find((one) => one.arch === arch)?.name;
    const abi = owner === undefined ? undefined : abiOfNumber(owner, nr);
    if (abi === undefined) continue;
    const { by, rule } = evaluateWords(resolved, abi, nr, (index) => BigInt(words[index] ?? 0));
    // An ABI that the policy has no rules for is answered with this machine's number.
    const errno = refusal?.errno ?? "";
    const number = Number(errno) || errnoNumber(by === "other-abis" ? target : abi, errno);
    assert.equal(number ?? 0, expected & 0xffff);
    const facts = rule === undefined ? undefined : ruleFacts(rule);
    assert.equal(refusal?.reason, describeReason({ by, rule: facts }, policy));
    compared += 1;
  }
  return compared;
}

describe(`refusals by number (seed ${seed})`, () => {
  test("of random policies the filter names the rule that evaluate names", () => {
    let compared = 0;
    fc.assert(
      fc.property(written, chances, (one, stream) => {
        const { policy } = readPolicy(textOf(one), { target });
        if (policy !== undefined)
          compared += compare(withoutQuestions(policy), () => stream.next().value ?? 0, 200);
      }),
      { numRuns: 60 },
    );
    assert.ok(compared > 0, `only ${compared} refusals were compared`);
  });

  test("two rules with the same errno are told apart, and a question has a number as a refusal", () => {
    const { policy } = readPolicy(
      'version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = """\ndeny keyctl # one\ndeny acct\nask personality\n"""\n',
      { filename: "p.toml", target: "x86_64" },
    );
    assert.ok(policy !== undefined);
    assert.deepEqual(numbered(policy, false).refusals, [
      { errno: "EPERM", reason: "p.toml:6  deny keyctl  # one" },
      { errno: "EPERM", reason: "p.toml:7  deny acct" },
      { errno: "EPERM", reason: "p.toml:8  ask personality" },
      { errno: "ENOSYS", reason: "" },
    ]);
    assert.equal(numbered(policy).refusals.at(-1)?.reason.includes("newer"), true);
  });

  test("a default that asks is a question too, and a refusal where nobody can be asked", () => {
    const { policy: plain } = readPolicy('version = 1\nsyscalls.rules = "allow read"\n', {
      target: "x86_64",
    });
    assert.ok(plain !== undefined);
    // No file may say so, since these would ask about calls whose pointers decide.
    for (const key of ["default", "newer"]) {
      const policy: Policy = { ...plain, syscalls: { ...plain.syscalls, [key]: { kind: "ask" } } };
      assert.equal(hasQuestions(policy), true);
      assert.equal(hasQuestions(withoutQuestions(policy)), false);
    }
  });

  test("a policy with more refusals than an errno can count has none", () => {
    const rules = Array.from({ length: 4096 }, (_, index) => `deny personality(persona == ${index})`).join(
      "\n",
    );
    const { policy } = readPolicy(
      `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = '''\n${rules}\n'''\n`,
      { target: "x86_64" },
    );
    assert.ok(policy !== undefined);
    assert.equal(ruleNumbers(policy, true), undefined);
  });
});

test("a call has a byte where a register is to be shown", () => {
  assert.equal(callWords("x86_64", 41, "x86_64"), "socket(domain\u0001, type\u0002, protocol\u0003)");
  assert.ok(callWords("x86", 192, "x86_64").startsWith("x86: mmap2(addr\u0001, "));
  assert.equal(callWords("x86_64", 9999, "x86_64"), "#9999()");
});
