/** Two readings of names, twins, baseline, multiplexing and byte order, on every call of every ABI. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { compile, returnValueOfDecision } from "../../src/compiler/index.ts";
import { emulate } from "../../src/emulate.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { printAction } from "../../src/policy/action.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { resolve } from "../../src/policy/resolve.ts";
import type { Policy, Rule } from "../../src/policy/types.ts";
import { type AbiName, abiByName, abis, syscallNames, twinsOf } from "../../src/syscalls/index.ts";
import { textOf, written } from "../property/arbitrary.ts";
import { seed } from "../seed.ts";
import {
  canonical,
  innersOf,
  type RegisterCall,
  rowsOf,
  secondOpinion,
  type Told,
} from "./second-resolver.ts";

/** More with CALLGATE_RUNS. */
const numRuns = Number(process.env["CALLGATE_RUNS"] ?? 6);
const all = abis.map(({ name }) => name);

function tell(policy: Policy, { action, by, rule }: Told): string {
  const rules: readonly Rule[] = [...policy.syscalls.require, ...policy.syscalls.rules];
  return `${printAction(action)} ${rule === undefined ? by : rules.indexOf(rule)}`;
}

function assertAgreed(policy: Policy, target: AbiName, call: RegisterCall): void {
  const { abi, nr, registers, instructionPointer } = call;
  const first = evaluate(policy, { abi, syscall: nr, args: registers, instructionPointer }, { target });
  const shown = `${abi} ${nr} ${registers.map((one) => one.toString(16))}`;
  assert.equal(tell(policy, first), tell(policy, secondOpinion(policy, target, call)), shown);
}

/** Every number of an ABI and some of nobody's; of a multiplexer each code, with and without bits above it. */
function callsOf(abi: AbiName, registers: () => readonly bigint[]): readonly RegisterCall[] {
  const calls: RegisterCall[] = [];
  const add = (nr: number, first?: bigint): void => {
    const [own = 0n, ...rest] = registers();
    calls.push({ abi, nr, registers: [first ?? own, ...rest], instructionPointer: 0x1000n });
  };
  for (const row of rowsOf(abi).values()) {
    add(row.nr);
    for (const { code } of innersOf(abi, row.name)) {
      add(row.nr, BigInt(code));
      add(row.nr, BigInt(code) | 0xabcd_0000_0000n);
      add(row.nr, BigInt(code) | 0x1_0000n);
    }
  }
  const first = abiByName(abi)?.numberBase ?? 0;
  for (const nr of [first + 511, first + 999]) add(nr);
  return calls;
}

const nothing = (): readonly bigint[] => [0n, 0n, 0n, 0n, 0n, 0n];

describe("every call by its name", () => {
  test("twins are the same by both", () => {
    const names = syscallNames();
    for (const name of names) {
      const ours = names.filter((one) => canonical(one) === canonical(name));
      assert.deepEqual([...twinsOf(name)].sort(), ours, name);
    }
  });

  for (const abi of all) {
    test(abi, () => {
      // A rule for each name, with an answer of its own: which of them decides on which number?
      const names = syscallNames();
      const rules = names.map((name, index) => `errno(${index + 1}) ${name}`).join("\n");
      for (const baseline of ["3.0", "6.6"]) {
        const text = `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "${baseline}"\nabis = ["native"]\nrules = '''\n${rules}\n'''\n`;
        const { policy } = readPolicy(text, { target: abi });
        assert.ok(policy !== undefined);
        for (const call of callsOf(abi, nothing)) assertAgreed(policy, abi, call);
        const some: Policy = {
          ...policy,
          syscalls: { ...policy.syscalls, rules: readRules(abi, "log @system-service\ntrap @known\nkill *") },
        };
        for (const call of callsOf(abi, nothing)) assertAgreed(some, abi, call);
      }
    });
  }
});

function readRules(target: AbiName, rules: string): readonly Rule[] {
  const text = `version = 1\n[syscalls]\ndefault = "deny"\nrules = '''\n${rules}\n'''\n`;
  return readPolicy(text, { target }).policy?.syscalls.rules ?? assert.fail(rules);
}

describe(`random policies on every call of every ABI (seed ${seed})`, () => {
  for (const abi of all) {
    test(abi, () => {
      let compiled = 0;
      fc.assert(
        fc.property(
          written,
          fc.infiniteStream(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
          fc.infiniteStream(fc.nat(9)),
          (one, words, shapes) => {
            const { policy } = readPolicy(textOf({ ...one, abis: ["native"] }), { target: abi });
            fc.pre(policy !== undefined);
            const word = (): bigint => {
              const whole = words.next().value ?? 0n;
              const shape = shapes.next().value ?? 0;
              // Mostly small numbers and few bits, where decisions change; sometimes garbage in the upper half.
              if (shape < 4) return whole % 6n;
              if (shape < 7) return 1n << (whole % 64n);
              return shape < 8 ? (whole << 32n) % 2n ** 64n : whole;
            };
            const calls = callsOf(abi, () => [word(), word(), word(), word(), word(), word()]);
            for (const call of calls) assertAgreed(policy, abi, call);
            if (compiled >= 2) return;
            compiled += 1;
            // The filter, with the registers laid out as this machine does.
            const filter = compile(policy, { target: abi });
            const { resolved } = resolve(policy, abi);
            const { arch } = abiByName(abi) ?? assert.fail(abi);
            for (const { nr, registers, instructionPointer } of calls) {
              const said = secondOpinion(policy, abi, { abi, nr, registers, instructionPointer });
              assert.equal(
                emulate(filter, { nr, arch, args: registers, instructionPointer }),
                returnValueOfDecision(said, abi, resolved),
                `${abi} ${nr}`,
              );
            }
          },
        ),
        { numRuns },
      );
    });
  }
});
