// What the proof shows as a witness, made as a real call under the real filter: the kernel's answer is the emulator's.
// Debian packages: gcc libc6-dev
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  actionOf,
  dataOf,
  emulate,
  encode,
  filterOf,
  type Instruction,
  RET_ALLOW,
  RET_ERRNO,
  RET_LOG,
  RET_TRACE,
  RET_USER_NOTIF,
} from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { prove, type Witness } from "../../src/proof/index.ts";
import { policyOf, target } from "../policy/reading.ts";
import { mutantsOf } from "../proof/mutants.ts";
import { drawing, randomOf, seed } from "../seed.ts";

const nativeArch = 0xc000_003e;
/**
 * Not made: -1, which tracers use; and uretprobe and uprobe, which newer kernels let past every filter, since they
 * put these calls into programs themselves.
 */
const leftOut = [0xffff_ffff, 335, 336];

/** Refusals of every kind, under conditions of every kind. */
const policy = policyOf(
  `kill ptrace(request == 4), process_vm_readv
errno(77) socket(domain not in {AF_UNIX, AF_INET}), x32:socket(type & 7)
trap(9) prctl(option in {1..4, 15, 0x59616d61})
trace(3) clone(flags & (CLONE_NEWUSER | CLONE_NEWNS))
errno(5) pread64(offset >= 0x2_0000_0000), lseek(offset < -4096), chmod(mode & 0o7000 == 0o4000 || mode > 0o7777)
kill-thread personality(persona not in {0, 8, 0xffffffff})
allow @default, @basic-io, socket, prctl, clone, chmod, personality`.replace(
    "mode & 0o7000 == 0o4000",
    "(mode & 0o7000) == 0o4000",
  ),
  'abis = ["x86_64", "x32"]\ndefault = "errno(99)"\nnewer = "errno(38)"',
);

interface Trial {
  readonly instructions: readonly Instruction[];
  readonly witness: Witness;
}

describe(`witnesses in the real kernel (seed ${seed})`, { skip: reasonToSkip() }, () => {
  const scratch = mkdtempSync(join(tmpdir(), "callgate-witnesses-"));
  const runner = join(scratch, "run-filters");
  before(() => {
    // At a fixed address: a mutant may look at the instruction pointer, and the calls are chosen by one run of the
    // program and made by another.
    const compiled = spawnSync("gcc", ["-O1", "-no-pie", "-o", runner, "tests/bpf/run-filters.c"], {
      encoding: "utf8",
    });
    assert.equal(compiled.status, 0, compiled.stderr);
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  test(
    "a refuted filter, and the filter of the policy, answer the witness as was said",
    drawing((context) => {
      const random = randomOf(seed);
      const filter = compile(policy, { target });
      const trials: Trial[] = [];
      for (let round = 0; round < 250; round++) {
        const at = Math.floor(random() * filter.instructions.length);
        const mutants = mutantsOf(filter, at, random);
        const mutant = mutants[Math.floor(random() * mutants.length)];
        if (mutant === undefined) continue;
        const changed = filterOf(filter.instructions.with(at, mutant));
        const verdict = prove(changed, policy, { target });
        if (verdict.verdict !== "refuted" || verdict.witness.arch !== nativeArch) continue;
        for (const { instructions } of [changed, filter])
          trials.push({ instructions, witness: verdict.witness });
      }
      const { instructionPointer } = ask(runner, []);
      // Only calls that are refused are made: what is let through would be carried out, whatever it is.
      const answered = trials.flatMap(({ instructions, witness: { nr, args, arch } }) => {
        const returnValue = emulate(instructions, { nr, args, arch, instructionPointer });
        const isRefused = ![RET_ALLOW, RET_LOG].includes(actionOf(returnValue));
        return isRefused && !leftOut.includes(nr) ? [{ instructions, nr, args, returnValue }] : [];
      });
      const { outcomes } = ask(runner, answered);
      assert.equal(outcomes.length, answered.length);
      const classes = new Map<string, number>();
      for (const [index, { nr, args, returnValue }] of answered.entries()) {
        const expected = expectedOutcome(returnValue);
        assert.equal(outcomes[index], expected, `call ${nr}(${args.join(", ")})`);
        const name = `${nr >= 0x4000_0000 ? "x32 " : ""}${expected.split(" ")[0]}`;
        classes.set(name, (classes.get(name) ?? 0) + 1);
      }
      context.diagnostic(JSON.stringify(Object.fromEntries(classes)));
      assert.ok(answered.length > 50, `${answered.length} calls`);
      const sum = (how: string): number => (classes.get(how) ?? 0) + (classes.get(`x32 ${how}`) ?? 0);
      assert.ok(sum("returned") > 10 && sum("killed") > 0);
    }),
  );
});

/** What a caller notices of a refusal, where nobody traces, listens or catches SIGSYS. */
function expectedOutcome(returnValue: number): string {
  switch (actionOf(returnValue)) {
    case RET_ERRNO:
      return `returned -${Math.min(dataOf(returnValue), 4095)}`;
    case RET_USER_NOTIF:
    case RET_TRACE:
      return "returned -38";
    default:
      return "killed 31";
  }
}

interface Asked {
  readonly instructions: readonly Instruction[];
  readonly nr: number;
  readonly args: readonly bigint[];
}

function ask(
  runner: string,
  asked: readonly Asked[],
): { readonly instructionPointer: bigint; readonly outcomes: readonly string[] } {
  const input = Buffer.concat(
    asked.flatMap(({ instructions, nr, args }) => [
      new Uint8Array(Uint32Array.of(instructions.length, 1).buffer),
      encode(instructions),
      new Uint8Array(BigUint64Array.of(BigInt(nr), ...args).buffer),
    ]),
  );
  const { status, stdout, stderr } = spawnSync(runner, { input, maxBuffer: 1 << 26 });
  assert.equal(status, 0, stderr.toString());
  const outcomes: string[] = [];
  for (let at = 16; at < stdout.length; at += 16) {
    const how = ["", "refused", "returned", "killed", "loaded"][Number(stdout.readBigInt64LE(at))];
    outcomes.push(`${how} ${stdout.readBigInt64LE(at + 8)}`);
  }
  return { instructionPointer: stdout.readBigUInt64LE(0), outcomes };
}

function reasonToSkip(): string | false {
  return process.platform === "linux" && process.arch === "x64" ? false : "needs Linux on x86_64";
}
