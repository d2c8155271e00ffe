// check() and emulate() against the kernel itself: thousands of programs, loaded and run for real.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import {
  ALU_AND_K,
  ALU_DIV_K,
  ALU_OR_K,
  ALU_RSH_K,
  actionOf,
  check,
  dataOf,
  disassemble,
  emulate,
  encode,
  format,
  type Instruction,
  instruction,
  LD_MEM,
  LDX_IMM,
  LDX_MEM,
  load,
  MAX_ERRNO,
  RET_A,
  RET_ALLOW,
  RET_ERRNO,
  RET_LOG,
  RET_TRACE,
  RET_USER_NOTIF,
  ret,
  type SeccompData,
  ST,
} from "../../src/bpf/index.ts";
import { accepted, rejected } from "../bpf/acceptance.ts";
import { anyInstruction, harmlessCall, lawfulBody, memoryPrologue, word } from "../bpf/arbitrary.ts";
import { drawing } from "../seed.ts";

type Program = readonly Instruction[];

/** A program and the calls to make under it; without calls it is only loaded. */
interface Trial {
  readonly program: Program;
  readonly calls: readonly SeccompData[];
}

/** What became of one trial and call: the `how` and `value` of run-filters.c. */
interface Outcome {
  readonly how: "refused" | "returned" | "killed" | "loaded";
  readonly value: bigint;
}

interface Answer {
  readonly instructionPointer: bigint;
  readonly arch: number;
  readonly outcomes: readonly Outcome[];
}

const EINVAL = 22n;
const ENOSYS = 38n;
const SIGSYS = 31n;
const getuidNumbers: ReadonlyMap<string, number> = new Map([
  ["x64", 102],
  ["arm64", 174],
]);
const getuidNumber = getuidNumbers.get(process.arch);

describe("the kernel agrees", { skip: reasonToSkip() }, () => {
  const scratch = mkdtempSync(join(tmpdir(), "callgate-bpf-"));
  const runner = join(scratch, "run-filters");

  before(() => {
    // At a fixed address: programs look at the instruction pointer, and one seed is to give one run.
    const compiled = spawnSync("gcc", ["-O1", "-no-pie", "-o", runner, "tests/bpf/run-filters.c"], {
      encoding: "utf8",
    });
    assert.equal(compiled.status, 0, compiled.stderr);
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  function assertSameVerdicts(programs: readonly Program[]): void {
    const { outcomes } = ask(
      runner,
      programs.map((program) => ({ program, calls: [] })),
    );
    assert.equal(outcomes.length, programs.length);
    for (const [index, program] of programs.entries()) {
      const rejections = check(program);
      const expected =
        rejections.length === 0 ? { how: "loaded", value: 0n } : { how: "refused", value: EINVAL };
      const listing = format(disassemble(program.slice(0, 50)));
      assert.deepEqual(outcomes[index], expected, `${JSON.stringify(rejections)}\n${listing}`);
    }
  }

  test("on the tables of accepted and rejected programs", () => {
    assertSameVerdicts([...accepted, ...rejected].map(([, program]) => program));
  });

  test("on which opcodes there are", () => {
    const codes = [...Array(0x200).keys(), 0x1006, 0x8020, 0xff06, 0xffff];
    const operandOf = (code: number) => (code === ALU_DIV_K || code === LD_MEM || code === LDX_MEM ? 1 : 0);
    assertSameVerdicts(
      codes.map((code) => [instruction(ST, 1), instruction(code, operandOf(code)), ret(RET_ALLOW)]),
    );
  });

  test(
    "on random programs, lawful and not",
    drawing(() => {
      const lawful = lawfulBody(20).map((body): Program => [...memoryPrologue, ...body, ret(RET_ALLOW)]);
      const unwrittenMemory = lawfulBody(12).map((body): Program => [...body, ret(RET_ALLOW)]);
      const spoiled = fc
        .tuple(lawful, fc.nat(), anyInstruction)
        .map(([program, at, step]): Program => program.with(at % program.length, step));
      const wild = fc
        .array(anyInstruction, { maxLength: 4 })
        .map((steps): Program => [...steps, ret(RET_ALLOW)]);
      const programs = [lawful, unwrittenMemory, spoiled, wild].flatMap((kind) =>
        fc.sample(kind, { numRuns: 500 }),
      );
      const refused = programs.filter((program) => check(program).length > 0).length;
      assert.ok(refused > 500 && refused < 1500, `${refused} of ${programs.length} are refused`);
      assertSameVerdicts(programs);
    }),
  );

  test(
    "on what programs return",
    drawing(() => {
      // Twelve bits of A at a time become an errno; and A itself as the return value, which mostly kills.
      const asErrno = (shift: number): Program => [
        instruction(ALU_RSH_K, shift),
        instruction(ALU_AND_K, 0xfff),
        instruction(ALU_OR_K, RET_ERRNO),
        instruction(RET_A),
      ];
      const end = fc.constantFrom<Program>(asErrno(0), asErrno(0), asErrno(12), asErrno(20), [
        instruction(RET_A),
      ]);
      const call = fc.tuple(harmlessCall, fc.nat(9)).map(([data, choice]) => {
        return choice === 0 && getuidNumber !== undefined ? { ...data, nr: getuidNumber } : data;
      });
      const trial = fc.tuple(lawfulBody(12), end, fc.array(call, { minLength: 3, maxLength: 3 }), word).map(
        ([body, last, calls, x]): Trial => ({
          program: [...memoryPrologue, load(16), instruction(LDX_IMM, x), ...body, ...last],
          calls,
        }),
      );
      const trials = fc.sample(trial, { numRuns: 1500 });

      const { instructionPointer, arch, outcomes } = ask(runner, trials);
      const seen = new Map<string, number>();
      let at = 0;
      for (const { program, calls } of trials) {
        for (const data of calls) {
          const returnValue = emulate(program, { ...data, arch, instructionPointer });
          const outcome = outcomes[at++];
          const listing = format(disassemble(program));
          const message = `nr ${data.nr} args ${data.args.join(" ")} gave ${returnValue.toString(16)}\n${listing}`;
          assert.deepEqual(outcome, expectedOutcome(returnValue, data.nr), message);
          seen.set(
            expectedOutcome(returnValue, data.nr).how,
            (seen.get(expectedOutcome(returnValue, data.nr).how) ?? 0) + 1,
          );
        }
      }
      assert.equal(at, outcomes.length);
      assert.ok(
        (seen.get("returned") ?? 0) > 1000 && (seen.get("killed") ?? 0) > 100,
        JSON.stringify([...seen]),
      );
    }),
  );
});

/** What a caller notices of a return value, where nobody traces, listens or catches SIGSYS. */
function expectedOutcome(returnValue: number, nr: number): Outcome {
  switch (actionOf(returnValue)) {
    case RET_ERRNO:
      return { how: "returned", value: -BigInt(Math.min(dataOf(returnValue), MAX_ERRNO)) };
    case RET_USER_NOTIF:
    case RET_TRACE:
      return { how: "returned", value: -ENOSYS };
    case RET_LOG:
    case RET_ALLOW:
      return { how: "returned", value: nr === getuidNumber ? BigInt(process.getuid?.() ?? 0) : -ENOSYS };
    default:
      return { how: "killed", value: SIGSYS };
  }
}

function ask(runner: string, trials: readonly Trial[]): Answer {
  const { status, stdout, stderr } = spawnSync(runner, {
    input: Buffer.concat(trials.map(trialBytes)),
    maxBuffer: 1 << 28,
  });
  assert.equal(status, 0, stderr.toString());
  const outcomes: Outcome[] = [];
  for (let at = 16; at < stdout.length; at += 16) {
    outcomes.push({ how: howOf(stdout.readBigInt64LE(at)), value: stdout.readBigInt64LE(at + 8) });
  }
  return { instructionPointer: stdout.readBigUInt64LE(0), arch: Number(stdout.readBigUInt64LE(8)), outcomes };
}

function trialBytes({ program, calls }: Trial): Uint8Array {
  const counts = Uint32Array.of(program.length, calls.length);
  const words = calls.flatMap(({ nr, args }) => [BigInt(nr), ...args]);
  return Buffer.concat([
    new Uint8Array(counts.buffer),
    encode(program),
    new Uint8Array(BigUint64Array.from(words).buffer),
  ]);
}

function howOf(code: bigint): Outcome["how"] {
  switch (code) {
    case 1n:
      return "refused";
    case 2n:
      return "returned";
    case 3n:
      return "killed";
    case 4n:
      return "loaded";
    default:
      throw new Error(`run-filters.c answered ${code}`);
  }
}

function reasonToSkip(): string | false {
  if (process.platform !== "linux") return "needs a Linux kernel";
  if (getuidNumber === undefined) return `run-filters.c makes no calls on ${process.arch}`;
  if (spawnSync("gcc", ["--version"]).status !== 0) return "needs gcc";
  return false;
}
