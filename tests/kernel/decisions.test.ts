// Policies in the real kernel: what a call comes to is what the rules say, on each ABI of x86-64 machines.
// Nearly every rule answers with an errno of its own, so that nothing is done and the filter's answer is seen.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Filter } from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Action, Policy } from "../../src/policy/types.ts";
import { callOf, policyOf, target } from "../policy/reading.ts";

interface Table {
  readonly title: string;
  readonly head?: string;
  readonly rules: string;
  readonly calls: readonly string[];
}

const all = 'abis = ["all"]';
const closed = 'default = "errno(70)"\nnewer = "errno(71)"\nother-abis = "errno(72)"';

const tables: readonly Table[] = [
  {
    title: "widths: what the kernel does not read is not compared",
    rules:
      "errno(77) socket(domain == 40), chmod(mode == 0o644), prctl(arg2 == 0x1_0000_0001)\nerrno(78) close(fd < 3)",
    calls: [
      "x86_64 socket(40)",
      "x86_64 socket(0xdeadbeef00000028)",
      "x86_64 socket(41)",
      "x86_64 chmod(0, 0xffffffffffff01a4)",
      "x86_64 chmod(0, 0x1a5)",
      "x86_64 prctl(0, 0x100000001)",
      "x86_64 prctl(0, 1)",
      "x86_64 close(0xffffffff00000002)",
      "x86_64 close(3)",
    ],
  },
  {
    title: "signs and ranges",
    head: all,
    rules:
      "errno(77) kill(pid < -1)\nerrno(78) kill(pid in {-1..0})\nerrno(79) lseek(offset < -5)\nerrno(80) lseek(offset > 0x7fff_fffe)",
    calls: [
      ...["-2", "-1", "0", "1", "0x80000000", "0x1ffffffff", "0x7fffffff"].flatMap((pid) => [
        `x86_64 kill(${pid})`,
        `x86 kill(${pid})`,
        `x32 kill(${pid})`,
      ]),
      ...["-6", "-5", "0x80000000", "0x7fffffff", "0x8000000000000000"].flatMap((offset) => [
        `x86_64 lseek(0, ${offset})`,
        `x86 lseek(0, ${offset})`,
      ]),
    ],
  },
  {
    title: "masks, within, sets and complements",
    rules:
      "errno(77) personality((persona & 0xff00) in {0x100..0x300, 0x800})\nerrno(78) dup3(!(flags within O_CLOEXEC))\nerrno(79) dup3(flags & ~1)",
    calls: [
      ...["0x1ff", "0x300", "0x301", "0x400", "0x8ff", "0xff"].map(
        (persona) => `x86_64 personality(${persona})`,
      ),
      ...["0", "0x80000", "0x80001", "1", "0x100000000"].map((flags) => `x86_64 dup3(0, 0, ${flags})`),
    ],
  },
  {
    title: "clone's flags on each ABI",
    head: all,
    rules: "errno(77) clone(flags & CLONE_NEWUSER)",
    calls: ["x86_64", "x86", "x32"].flatMap((abi) => [
      `${abi} clone(0x10000000)`,
      `${abi} clone(0xffffffff10000011)`,
      `${abi} clone(0x11)`,
      `${abi} clone(0x11, 0x10000000)`,
    ]),
  },
  {
    title: "twins",
    head: all,
    rules: "errno(77) setuid(uid == 0x10000)\nerrno(78) setuid(uid == 5)\nerrno(79) mmap(flags & 0x20)",
    calls: [
      ...["x86_64 setuid", "x86 setuid", "x86 setuid32", "x32 setuid"].flatMap((call) => [
        `${call}(5)`,
        `${call}(0x10005)`,
        `${call}(0x10000)`,
      ]),
      "x86_64 mmap(0, 0, 0, 0x20)",
      "x86_64 mmap(0, 0, 0, 1)",
      "x86 mmap2(0, 0, 0, 0x20)",
      "x86 mmap2(0, 0, 0, 1)",
      "x86 mmap(0)",
    ],
  },
  {
    title: "two words of x86 for 64 bits",
    head: all,
    rules:
      "errno(77) pread64(offset == 0x2_0000_0001)\nerrno(78) ftruncate(length < 0)\nerrno(79) fallocate(len > 0xffff_ffff)",
    calls: [
      "x86 pread64(0, 0, 0, 1, 2)",
      "x86 pread64(0, 0, 0, 2, 1)",
      "x86_64 pread64(0, 0, 0, 0x200000001)",
      "x86 ftruncate64(0, 0, 0x80000000)",
      "x86 ftruncate64(0, 0x80000000, 0)",
      "x86 ftruncate(0, 0x80000000)",
      "x86 fallocate(0, 0, 0, 0, 0, 1)",
      "x86 fallocate(0, 0, 0, 1, 0xffffffff, 0)",
    ],
  },
  {
    title: "socketcall and ipc",
    head: all,
    rules:
      "errno(77) socket\nerrno(78) connect(sockfd == 5)\nerrno(79) shmget(key == 7)\nerrno(80) bind, socketcall(call == 99)",
    calls: [
      ...["1", "2", "3", "4", "99", "100", "0xffffffff00000001"].map((code) => `x86 socketcall(${code})`),
      ...["23, 7", "23, 8", "0x10017, 7", "0x100000017, 7"].map((args) => `x86 ipc(${args})`),
      "x86 socket(1)",
      "x86 connect(5)",
      "x86 connect(6)",
    ],
  },
  {
    title: "… openly: what the direct call might allow is let through, here to fail with EFAULT",
    head: `${all}\nmultiplexed = "open"`,
    rules: "allow connect(sockfd == 5)\nerrno(77) connect",
    calls: ["x86 socketcall(3)", "x86 connect(6)"],
  },
  {
    title: "x32, negative and unknown numbers",
    head: 'abis = ["x86_64", "x32"]',
    rules: "errno(77) #999, x32:#512\nerrno(78) x86_64:#0xffffffff, getpid",
    calls: [
      "x86_64 #999()",
      "x86_64 #998()",
      "x32 #0x400003e7()",
      "x32 #0x40000200()",
      "x32 #0x40000201()",
      "x32 getpid()",
      "x86_64 getpid()",
      "x86_64 #0xffffffff()",
      "x86_64 #0x80000000()",
      "x86_64 #0x7fffffff()",
      "x86 getpid()",
      "x86 #999()",
    ],
  },
  {
    title: "x32 where the policy is for x86_64 alone, and 32-bit calls too",
    rules: "errno(77) getpid",
    calls: ["x32 getpid()", "x86 getpid()", "x86_64 getpid()", "x32 #0x40000fff()", "x86_64 #0xfffffffe()"],
  },
  {
    title: "every action",
    rules:
      "allow getpid\nlog getppid\nkill getuid\nkill-thread getgid\ntrap(513) geteuid\ntrap getegid\ntrace(5) getpgrp\nnotify gettid\nask getsid\nerrno(0) sync\nerrno(4095) umask",
    calls: [
      "getpid",
      "getppid",
      "getuid",
      "getgid",
      "geteuid",
      "getegid",
      "getpgrp",
      "gettid",
      "getsid",
      "sync",
      "umask",
    ].map((name) => `x86_64 ${name}()`),
  },
];

describe("the kernel decides as the rules say", { skip: reasonToSkip() }, () => {
  const scratch = mkdtempSync(join(tmpdir(), "callgate-decisions-"));
  const runner = join(scratch, "decisions");
  before(() => {
    const compiled = spawnSync(
      "gcc",
      ["-O1", "-static", "-pthread", "-o", runner, "tests/kernel/decisions.c"],
      { encoding: "utf8" },
    );
    assert.equal(compiled.status, 0, compiled.stderr);
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  for (const { title, head = "", rules, calls } of tables) {
    test(title, () => {
      const policy = policyOf(rules, `${closed}\n${head}`);
      const seen = run(runner, compile(policy, { target }), calls);
      const expected = calls.map((call) => `${call}: ${expectedOf(policy, call)}`);
      // What passes is done: all that is known of it is that no rule's errno came back.
      const told = calls.map((call, index) => {
        const passed =
          expected[index]?.endsWith(": passes") === true &&
          /^returned (?!-(7\d|80)$)/.test(seen[index] ?? "");
        return `${call}: ${passed ? "passes" : seen[index]}`;
      });
      assert.deepEqual(told, expected);
    });
  }
});

/** What the caller notices of the policy's decision. */
function expectedOf(policy: Policy, text: string): string {
  return outcomeOf(evaluate(policy, callOf(text), { target }).action);
}

function outcomeOf(action: Action): string {
  switch (action.kind) {
    case "allow":
    case "log":
      return "passes";
    case "errno":
      assert.ok(typeof action.errno === "number");
      return `returned ${-action.errno + 0}`;
    case "trap":
      return `trapped ${action.data}`;
    case "kill-thread":
      return "thread 0";
    case "kill":
      return "process 31";
    case "trace":
    case "notify":
    case "ask":
      // Nobody listens: ENOSYS.
      return "returned -38";
  }
}

function run(runner: string, { instructions, bytes }: Filter, calls: readonly string[]): readonly string[] {
  const words = calls.map(callOf).flatMap(({ abi, nr, args }) => {
    const six = [0, 1, 2, 3, 4, 5].map((index) => BigInt.asUintN(64, args[index] ?? 0n));
    return [abi === "x86" ? 1n : 0n, BigInt(nr), ...six];
  });
  const counts = Uint32Array.of(instructions.length, calls.length);
  const input = Buffer.concat([
    new Uint8Array(counts.buffer),
    bytes,
    new Uint8Array(BigUint64Array.from(words).buffer),
  ]);
  const { status, stdout, stderr } = spawnSync(runner, { input });
  assert.equal(status, 0, stderr.toString());
  assert.equal(stdout.length, 16 * calls.length);
  const kinds = ["nothing", "returned", "trapped", "thread", "process"];
  return calls.map((_, index) => {
    const kind = kinds[Number(stdout.readBigInt64LE(16 * index))];
    return `${kind} ${stdout.readBigInt64LE(16 * index + 8)}`;
  });
}

function reasonToSkip(): string | false {
  if (process.platform !== "linux" || process.arch !== "x64")
    return "decisions.c makes calls on x86-64 Linux only";
  if (spawnSync("gcc", ["--version"]).status !== 0) return "needs gcc";
  return false;
}
