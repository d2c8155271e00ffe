// What policies mean, as tables. Every row is decided by reading the rules and by the compiled, proved filter.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { emulate } from "../../src/bpf/index.ts";
import { compile, returnValueOf } from "../../src/compiler/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { abis } from "../../src/syscalls/index.ts";
import { assertDecisions, brief, fileOf, policyOf, policyOfText, readRules, target } from "./reading.ts";

interface Table {
  readonly title: string;
  readonly head?: string;
  readonly rules: string;
  /** A call and its decision: the action and the rule's number, or what decided instead of a rule. */
  readonly calls: Readonly<Record<string, string>>;
}

function tables(title: string, list: readonly Table[]): void {
  describe(title, () => {
    for (const { title, head, rules, calls } of list)
      test(title, () => assertDecisions(policyOf(rules, head), calls));
  });
}

const all = 'abis = ["all"]';
const lenient = `default = "allow"\nbaseline = "7.2"`;

tables("which rule decides", [
  {
    title: "the first rule that matches decides, whatever its action",
    rules: "allow read\nkill read, write\ndeny write\nlog write",
    calls: { "x86_64 read()": "allow 1", "x86_64 write()": "kill 2", "x86_64 close()": "deny default" },
  },
  {
    title: "a condition that does not hold leaves the call to the rules after it",
    rules: "errno(1) dup3(oldfd == 1)\nerrno(2) dup3(newfd == 1)\nerrno(3) dup3",
    calls: {
      "x86_64 dup3(1, 1)": "errno(1) 1",
      "x86_64 dup3(2, 1)": "errno(2) 2",
      "x86_64 dup3(2, 2)": "errno(3) 3",
    },
  },
  {
    title: "a rule of require comes before every other",
    head: "require = '''deny keyctl\nkill add_key(args[0] == 0)'''",
    rules: "allow keyctl, add_key",
    calls: {
      "x86_64 keyctl()": "deny 1",
      "x86_64 add_key()": "kill 2",
      "x86_64 add_key(1)": "allow 3",
    },
  },
  {
    title: "an ABI before a selector keeps the rule to that ABI",
    head: all,
    rules: "errno(1) x86:read\nerrno(2) x32:read, x86:write\nallow read",
    calls: {
      "x86 read()": "errno(1) 1",
      "x32 read()": "errno(2) 2",
      "x86 write()": "errno(2) 2",
      "x86_64 read()": "allow 3",
      "x86_64 write()": "deny default",
    },
  },
  {
    title: "every action is what the filter returns",
    rules: [
      "allow read",
      "deny write",
      "errno(4095) open",
      "errno(0) close",
      "kill stat",
      "kill-thread fstat",
      "trap poll",
      "trap(65535) lseek",
      "log brk",
      "trace(65535) ioctl",
      "notify access",
      "ask pipe",
    ].join("\n"),
    calls: {
      "x86_64 read()": "allow 1",
      "x86_64 write()": "deny 2",
      "x86_64 open()": "errno(4095) 3",
      "x86_64 close()": "errno(0) 4",
      "x86_64 stat()": "kill 5",
      "x86_64 fstat()": "kill-thread 6",
      "x86_64 poll()": "trap 7",
      "x86_64 lseek()": "trap(65535) 8",
      "x86_64 brk()": "log 9",
      "x86_64 ioctl()": "trace(65535) 10",
      "x86_64 access()": "notify 11",
      "x86_64 pipe()": "ask 12",
    },
  },
]);

test("what every action is to the kernel", () => {
  const expected = [
    [{ kind: "allow" }, 0x7fff_0000],
    [{ kind: "errno", errno: "EPERM" }, 0x0005_0001],
    [{ kind: "errno", errno: 4095 }, 0x0005_0fff],
    [{ kind: "kill" }, 0x8000_0000],
    [{ kind: "kill-thread" }, 0],
    [{ kind: "trap", data: 65535 }, 0x0003_ffff],
    [{ kind: "log" }, 0x7ffc_0000],
    [{ kind: "trace", data: 7 }, 0x7ff0_0007],
    [{ kind: "notify" }, 0x7fc0_0000],
    [{ kind: "ask" }, 0x7fc0_0000],
  ] as const;
  for (const [action, value] of expected) assert.equal(returnValueOf(action, target), value, action.kind);
});

describe("extends", () => {
  const files: Readonly<Record<string, string>> = {
    "/p/child.toml": `extends = ["mother.toml", "father.toml"]\n${fileOf("errno(1) read")}`,
    "/p/mother.toml": `name = "mother"\nextends = ["grandmother.toml"]\n${fileOf("errno(2) read, write", 'newer = "kill"')}`,
    "/p/grandmother.toml": `name = "grandmother"\n${fileOf("errno(3) read, write, open", 'default = "trap"\nabis = ["x86"]')}`,
    "/p/father.toml": `${fileOf("errno(4) read, write, open, close", 'default = "log"\nnewer = "trap"\nother-abis = "trap"\nrequire = "deny kill"\nabis = ["x86_64"]')}`,
    "/p/diamond.toml": `extends = ["mother.toml", "grandmother.toml", "mother.toml"]\n${fileOf("errno(1) read")}`,
  };
  const resolve = (path: string, from: string | undefined) => {
    const filename = `${(from ?? "/p/x").replace(/[^/]*$/, "")}${path}`;
    const text = files[filename];
    return text === undefined ? "there is no such file" : { text, filename };
  };
  const read = (filename: string) => policyOfText(files[filename] ?? "", { filename, resolve });

  test("own rules come before the parents', parents depth first in their order, require before all", () => {
    assertDecisions(read("/p/child.toml"), {
      "x86_64 kill()": "deny 1",
      "x86_64 read()": "errno(1) 2",
      "x86_64 write()": "errno(2) 3",
      "x86_64 open()": "errno(3) 4",
      "x86_64 close()": "errno(4) 5",
      "x86_64 brk()": "trap default",
      "x86_64 #2000()": "kill newer",
      "x32 read()": "trap other-abis",
      "x86 close()": "errno(4) 5",
    });
  });

  test("of a scalar the first that is there counts, lists are joined", () => {
    const { name, syscalls } = read("/p/child.toml");
    assert.equal(name, "mother");
    assert.deepEqual(syscalls.default, { kind: "trap", data: 0 });
    assert.deepEqual(syscalls.newer, { kind: "kill" });
    assert.deepEqual(syscalls.otherAbis, { kind: "trap", data: 0 });
    assert.deepEqual([...syscalls.abis].sort(), ["x86", "x86_64"]);
  });

  test("a parent that is reached twice counts once", () => {
    const { syscalls } = read("/p/diamond.toml");
    assert.equal(syscalls.rules.length, 3);
  });
});

tables("baseline and newer", [
  {
    title: "a call newer than the baseline is in no group and not in *, but its own name is",
    head: 'baseline = "6.1"\nabis = ["all"]',
    rules: "allow mseal(flags == 0)\nallow @system-service\nallow *",
    calls: {
      // 6.10, with a rule of its own: where its condition does not hold, `newer` decides.
      "x86_64 mseal(0, 0, 0)": "allow 1",
      "x86_64 mseal(0, 0, 1)": "errno(ENOSYS) newer",
      // 6.5 and 6.8, in @system-service.
      "x86_64 cachestat()": "errno(ENOSYS) newer",
      "x86_64 statmount()": "errno(ENOSYS) newer",
      "x86_64 read()": "allow 2",
      // Version 6.0 and older, in no group that is named here.
      "x86_64 ptrace()": "allow 3",
      "x86 cachestat()": "errno(ENOSYS) newer",
      "x32 mseal(0, 0, 0)": "allow 1",
    },
  },
  {
    title: "without a baseline only unknown numbers are newer",
    head: 'newer = "kill"\ndefault = "errno(2)"',
    rules: "allow read",
    calls: {
      "x86_64 mseal()": "errno(2) default",
      "x86_64 #9999()": "kill newer",
      "x86_64 #4294967295()": "kill newer",
    },
  },
  {
    title: "a number with a rule is decided by it, known or not",
    head: 'abis = ["all"]\nbaseline = "6.1"\nnewer = "kill"',
    rules:
      "errno(1) #999\nerrno(2) x86:#400\nerrno(3) x86_64:#4294967295\nerrno(4) x32:#512\nerrno(5) #435\nerrno(6) x32:#0x40000201",
    calls: {
      "x86_64 #999()": "errno(1) 1",
      "x86 #999()": "errno(1) 1",
      "x32 #1073742823()": "errno(1) 1",
      "x86_64 #400()": "kill newer",
      "x86 #400()": "errno(2) 2",
      "x86_64 #4294967295()": "errno(3) 3",
      "x86_64 #4294967294()": "kill newer",
      "x86 #4294967295()": "kill newer",
      // x32's numbers are written with the bit that marks them or without it.
      "x32 #1073742336()": "errno(4) 4",
      "x86_64 clone3()": "errno(5) 5",
      "x32 clone3()": "errno(5) 5",
      "x32 #1073742337()": "errno(6) 6",
    },
  },
  {
    title: "what stands behind a multiplexer is as old as the call, not as its number",
    head: 'abis = ["all"]\nbaseline = "3.0"\ndefault = "allow"',
    rules: "kill ptrace",
    calls: {
      // The direct numbers of x86 came with 4.3 …
      "x86 socket(2)": "errno(ENOSYS) newer",
      // … but socket, accept4, send and recv behind socketcall are old, and recvmmsg's 2.6.33 as well.
      "x86 socketcall(1)": "allow default",
      "x86 socketcall(9)": "allow default",
      "x86 socketcall(10)": "allow default",
      "x86 socketcall(18)": "allow default",
      "x86 socketcall(19)": "allow default",
      "x86 ipc(1)": "allow default",
    },
  },
]);

test("a default that lets calls through needs a baseline, and the error offers one", () => {
  for (const action of ["allow", "log"]) {
    const { policy, diagnostics } = readPolicy(fileOf("deny keyctl", `default = "${action}"`), {
      kernel: "6.18.44-cloud",
      target,
    });
    assert.equal(policy, undefined);
    assert.deepEqual(diagnostics.map(brief), [`missing-baseline 3:11 "\\"${action}\\""`]);
    assert.equal(diagnostics[0]?.label, 'add baseline = "6.18"');
  }
});

tables("widths, signs and comparisons", [
  {
    title: "16 bits: what is above them is not looked at",
    rules: "allow chmod(mode == 0o644), fchmod(mode & 0o4000), creat(mode > 0x8000)",
    calls: {
      "x86_64 chmod(0, 0o644)": "allow 1",
      "x86_64 chmod(0, 0xffffffffffff01a4)": "allow 1",
      "x86_64 chmod(0, 0x101a5)": "deny default",
      "x86_64 fchmod(0, 0x10000)": "deny default",
      "x86_64 fchmod(0, 0xffff0800)": "allow 1",
      "x86_64 creat(0, 0x18000)": "deny default",
      "x86_64 creat(0, 0x8001)": "allow 1",
    },
  },
  {
    title: "32 bits: the high half is not looked at",
    rules: "deny socket(domain == AF_VSOCK)\nallow socket, close(fd < 3)",
    calls: {
      "x86_64 socket(AF_VSOCK)": "deny 1",
      "x86_64 socket(0x100000028)": "deny 1",
      "x86_64 socket(0xffffffff00000028)": "deny 1",
      "x86_64 socket(41)": "allow 2",
      "x86_64 close(0xdeadbeef00000002)": "allow 2",
      "x86_64 close(0xffffffff)": "deny default",
    },
  },
  {
    title: "64 bits: both halves count",
    rules: "allow prctl(arg2 == 0x100000001), prctl(option == 5 && arg3 > 0xffffffff)",
    calls: {
      "x86_64 prctl(0, 0x100000001)": "allow 1",
      "x86_64 prctl(0, 1)": "deny default",
      "x86_64 prctl(0, 0x300000001)": "deny default",
      "x86_64 prctl(5, 0, 0x100000000)": "allow 1",
      "x86_64 prctl(5, 0, 0xffffffff)": "deny default",
      "x86_64 prctl(0x700000005, 0, -1)": "allow 1",
    },
  },
  {
    title: "signed arguments are ordered as signed numbers",
    rules: "errno(1) kill(pid < -1)\nerrno(2) kill(pid in {-1..0})\nerrno(3) kill(pid >= 100)\nallow kill",
    calls: {
      "x86_64 kill(-2)": "errno(1) 1",
      "x86_64 kill(0x80000000)": "errno(1) 1",
      "x86_64 kill(-1)": "errno(2) 2",
      "x86_64 kill(0x1ffffffff)": "errno(2) 2",
      "x86_64 kill(0)": "errno(2) 2",
      "x86_64 kill(1)": "allow 4",
      "x86_64 kill(0x7fffffff)": "errno(3) 3",
    },
  },
  {
    title: "signed arguments of 64 bits too",
    rules:
      "errno(1) lseek(offset < -5)\nerrno(2) lseek(offset <= -1)\nerrno(3) lseek(offset > 0xffffffff)\nallow lseek",
    calls: {
      "x86_64 lseek(0, -6)": "errno(1) 1",
      "x86_64 lseek(0, 0x8000000000000000)": "errno(1) 1",
      "x86_64 lseek(0, -5)": "errno(2) 2",
      "x86_64 lseek(0, -1)": "errno(2) 2",
      "x86_64 lseek(0, 0)": "allow 4",
      "x86_64 lseek(0, 0xffffffff)": "allow 4",
      "x86_64 lseek(0, 0x100000000)": "errno(3) 3",
      "x86_64 lseek(0, 0x7fffffffffffffff)": "errno(3) 3",
    },
  },
  {
    title: "behind a mask there is no sign",
    rules: "allow dup3((flags & 0x80000000) > 0), kill((pid & 0xf0) in {0x10..0x30, 0xf0})",
    calls: {
      "x86_64 dup3(0, 0, -1)": "allow 1",
      "x86_64 dup3(0, 0, 1)": "deny default",
      "x86_64 kill(0x2f)": "allow 1",
      "x86_64 kill(0x31)": "allow 1",
      "x86_64 kill(0x4f)": "deny default",
      "x86_64 kill(0xffff)": "allow 1",
    },
  },
  {
    title: "every comparison at its edge",
    rules: [
      "errno(1) close(fd == 10)",
      "errno(2) dup(oldfd != 10)",
      "errno(3) fsync(fd < 10)",
      "errno(4) fdatasync(fd <= 10)",
      "errno(5) fchdir(fd > 10)",
      "errno(6) syncfs(fd >= 10)",
      "errno(7) flock(fd in {1, 3..5, 0xffffffff})",
      "errno(8) fstat(fd not in {1, 3..5})",
      "errno(9) dup3(flags within O_CLOEXEC | 1)",
      "errno(10) pipe2(flags)",
      "errno(11) fcntl(cmd & ~3)",
      "errno(12) personality(persona == ~1)",
      "errno(13) epoll_create1((flags & 6) == 4 || !(flags within 7))",
    ].join("\n"),
    calls: {
      "x86_64 close(9)": "deny default",
      "x86_64 close(10)": "errno(1) 1",
      "x86_64 dup(10)": "deny default",
      "x86_64 dup(11)": "errno(2) 2",
      "x86_64 fsync(9)": "errno(3) 3",
      "x86_64 fsync(10)": "deny default",
      "x86_64 fdatasync(10)": "errno(4) 4",
      "x86_64 fdatasync(11)": "deny default",
      "x86_64 fchdir(10)": "deny default",
      "x86_64 fchdir(11)": "errno(5) 5",
      "x86_64 syncfs(9)": "deny default",
      "x86_64 syncfs(10)": "errno(6) 6",
      "x86_64 flock(2)": "deny default",
      "x86_64 flock(5)": "errno(7) 7",
      "x86_64 flock(-1)": "errno(7) 7",
      "x86_64 fstat(5)": "deny default",
      "x86_64 fstat(6)": "errno(8) 8",
      "x86_64 dup3(0, 0, O_CLOEXEC|1)": "errno(9) 9",
      "x86_64 dup3(0, 0, O_CLOEXEC|2)": "deny default",
      "x86_64 dup3(0, 0, 0)": "errno(9) 9",
      "x86_64 pipe2(0, 0)": "deny default",
      "x86_64 pipe2(0, 0x100000000)": "deny default",
      "x86_64 pipe2(0, 4)": "errno(10) 10",
      "x86_64 fcntl(0, 3)": "deny default",
      "x86_64 fcntl(0, 4)": "errno(11) 11",
      "x86_64 personality(0xfffffffe)": "errno(12) 12",
      "x86_64 personality(0xffffffff)": "deny default",
      "x86_64 epoll_create1(4)": "errno(13) 13",
      "x86_64 epoll_create1(6)": "deny default",
      "x86_64 epoll_create1(8)": "errno(13) 13",
    },
  },
  {
    title: "&& binds closer than ||, and parentheses closest",
    rules:
      "errno(1) dup2(oldfd == 1 || oldfd == 2 && newfd == 3)\nerrno(2) dup3((oldfd == 1 || oldfd == 2) && newfd == 3)\nerrno(3) kill(!(pid == 1 && sig == 2))",
    calls: {
      "x86_64 dup2(1, 0)": "errno(1) 1",
      "x86_64 dup2(2, 0)": "deny default",
      "x86_64 dup2(2, 3)": "errno(1) 1",
      "x86_64 dup3(1, 0)": "deny default",
      "x86_64 dup3(1, 3)": "errno(2) 2",
      "x86_64 kill(1, 2)": "deny default",
      "x86_64 kill(1, 1)": "errno(3) 3",
    },
  },
  {
    title: "raw words are 64 bits wide and without sign",
    rules: "allow close(args[0] == 1), kill(args[1] > 0x7fffffff), *(args[5] == 0xdeadbeef00000000)",
    calls: {
      "x86_64 close(1)": "allow 1",
      "x86_64 close(0x100000001)": "deny default",
      "x86_64 kill(0, -1)": "allow 1",
      "x86_64 fsync(0, 0, 0, 0, 0, 0xdeadbeef00000000)": "allow 1",
      "x86_64 fsync(0, 0, 0, 0, 0, 0xdeadbeef00000001)": "deny default",
    },
  },
]);

test("the instruction pointer is a word like the others", () => {
  const policy = policyOf("deny read(ip in {0x7f0000000000..0x7fffffffffff})\nallow read");
  const filter = compile(policy, { target });
  for (const [instructionPointer, kind] of [
    [0x7eff_ffff_ffffn, "allow"],
    [0x7f00_0000_0000n, "errno"],
    [0x7fff_ffff_ffffn, "errno"],
    [0x8000_0000_0000n, "allow"],
  ] as const) {
    const decision = evaluate(policy, { abi: target, syscall: "read", instructionPointer }, { target });
    assert.equal(decision.action.kind, kind);
    assert.equal(
      emulate(filter.instructions, { nr: 0, arch: 0xc000_003e, args: [], instructionPointer }),
      returnValueOf(decision.action, target),
    );
  }
});

tables("pointers", [
  {
    title: "a pointer can be compared with null",
    head: all,
    rules: "errno(1) recvfrom(src_addr == 0)\nerrno(2) recvfrom(addrlen)\nallow recvfrom(src_addr != 0)",
    calls: {
      "x86_64 recvfrom()": "errno(1) 1",
      "x86_64 recvfrom(0, 0, 0, 0, 0x100000000, 0x200000000)": "errno(2) 2",
      "x86_64 recvfrom(0, 0, 0, 0, 0x100000000)": "allow 3",
      "x86 recvfrom(0, 0, 0, 0, 1)": "allow 3",
      "x86 recvfrom(0, 0, 0, 0, 0)": "errno(1) 1",
    },
  },
]);

tables("ABIs", [
  {
    title: "calls of ABIs that the policy leaves out are decided by other-abis",
    head: 'other-abis = "errno(9)"',
    rules: "allow *",
    calls: {
      "x86_64 read()": "allow 1",
      "x86 read()": "errno(9) other-abis",
      "x32 read()": "errno(9) other-abis",
      "aarch64 read()": "errno(9) other-abis",
      "x86_64 #0x7fffffff()": "errno(9) other-abis",
      "x86_64 #0x80000000()": "errno(ENOSYS) newer",
      "x86_64 #0xffffffff()": "errno(ENOSYS) newer",
    },
  },
  {
    title: "x32 alone: what x86_64 calls with the same architecture value is foreign",
    head: 'abis = ["x32"]\nother-abis = "errno(9)"',
    rules: "allow read",
    calls: {
      "x32 read()": "allow 1",
      "x86_64 read()": "errno(9) other-abis",
      "x32 #0x40001234()": "errno(ENOSYS) newer",
      "x86_64 #0xffffffff()": "errno(9) other-abis",
    },
  },
  {
    title: "clone's flags stand first on x86 and on aarch64, its tls not",
    head: 'abis = ["x86_64", "x86", "aarch64"]',
    rules: "deny clone(flags & CLONE_NEWUSER)\nerrno(2) clone(tls == 7)\nallow clone",
    calls: {
      "x86_64 clone(CLONE_NEWUSER)": "deny 1",
      "x86 clone(CLONE_NEWUSER)": "deny 1",
      "aarch64 clone(CLONE_NEWUSER)": "deny 1",
      "x86_64 clone(0, CLONE_NEWUSER)": "allow 3",
      "x86_64 clone(0, 0, 0, 7, 0)": "allow 3",
      "x86_64 clone(0, 0, 0, 0, 7)": "errno(2) 2",
      "x86 clone(0, 0, 0, 7, 0)": "errno(2) 2",
      "aarch64 clone(0, 0, 0, 7, 0)": "errno(2) 2",
      "aarch64 clone(0, 0, 0, 0, 7)": "allow 3",
    },
  },
  {
    title: "an offset of 64 bits in two words of x86",
    head: all,
    rules: "errno(1) pread64(offset == 0x200000001)\nerrno(2) pread64(offset < 0)\nallow pread64",
    calls: {
      "x86_64 pread64(0, 0, 0, 0x200000001)": "errno(1) 1",
      "x86_64 pread64(0, 0, 0, -1)": "errno(2) 2",
      "x86 pread64(0, 0, 0, 1, 2)": "errno(1) 1",
      "x86 pread64(0, 0, 0, 2, 1)": "allow 3",
      "x86 pread64(0, 0, 0, 0, 0x80000000)": "errno(2) 2",
      "x86 pread64(0, 0, 0, 0x80000000, 0)": "allow 3",
    },
  },
  {
    title: "constants have each ABI's value",
    head: 'abis = ["x86_64", "aarch64"]',
    rules: "deny openat(flags & O_DIRECT)\nallow openat",
    calls: {
      "x86_64 openat(0, 0, 0x4000)": "deny 1",
      "x86_64 openat(0, 0, 0x10000)": "allow 2",
      "aarch64 openat(0, 0, 0x10000)": "deny 1",
      "aarch64 openat(0, 0, 0x4000)": "allow 2",
    },
  },
  {
    title: "an argument in memory: the strictest action that is possible",
    head: all,
    rules: "deny mmap(prot & PROT_EXEC)\nallow mmap",
    calls: {
      "x86_64 mmap(0, 0, 3)": "allow 2",
      "x86_64 mmap(0, 0, PROT_EXEC)": "deny 1",
      "x86 mmap2(0, 0, 3)": "allow 2",
      "x86 mmap2(0, 0, 4)": "deny 1",
      "x86 mmap(0, 0, 3)": "deny 1",
    },
  },
  {
    title: "… which may be a later rule's, or the default's; of equals the first rule's",
    head: `${all}\ndefault = "kill"`,
    rules: "errno(1) mmap(prot == 1)\nerrno(2) mmap(prot == 2)\ntrap mmap(prot == 3)\nerrno(3) mmap",
    calls: { "x86 mmap()": "trap 3", "x86 mmap2(0, 0, 1)": "errno(1) 1" },
  },
  {
    title: "… the first rule's also where the condition is a negation",
    head: all,
    rules: "errno(1) mmap(!(prot == 1))\nerrno(2) mmap",
    calls: { "x86 mmap()": "errno(1) 1", "x86 mmap2(0, 0, 1)": "errno(2) 2" },
  },
  {
    title: "… and where it is a negation of several that could be known in part",
    head: all,
    rules:
      "errno(1) mmap(!(prot == 1 && args[0] == 5))\nerrno(2) mmap(!(args[0] == 6 || prot == 2))\nerrno(3) mmap",
    calls: {
      "x86 mmap(4)": "errno(1) 1",
      "x86 mmap(5)": "errno(1) 1",
      "x86 mmap(6)": "errno(1) 1",
      "x86 mmap2(5, 0, 1)": "errno(2) 2",
      "x86 mmap2(6, 0, 1)": "errno(1) 1",
    },
  },
  {
    title: "an argument that a form of the call lacks has the value that the kernel takes",
    head: all,
    rules: "errno(1) umount2(flags & MNT_DETACH)\nerrno(2) umount2(flags == 0)\nallow umount2",
    calls: {
      "x86 umount(0, MNT_DETACH)": "errno(2) 2",
      "x86 umount2(0, MNT_DETACH)": "errno(1) 1",
      "x86_64 umount2(0, 4)": "allow 3",
    },
  },
]);

tables("twins", [
  {
    title: "a rule governs every number of the same kernel function",
    head: all,
    rules: "errno(1) setuid(uid == 0)\nerrno(2) setuid32(uid == 0xffff)\nerrno(3) lseek\nallow setuid",
    calls: {
      "x86_64 setuid(0)": "errno(1) 1",
      "x86_64 setuid(0x100000000)": "errno(1) 1",
      "x86_64 setuid(0x10000)": "allow 4",
      "x86 setuid(0x10000)": "errno(1) 1",
      "x86 setuid32(0)": "errno(1) 1",
      "x86 setuid32(0x10000)": "allow 4",
      "x86 setuid(0x1ffff)": "errno(2) 2",
      "x86_64 setuid(0xffff)": "errno(2) 2",
      "x86 _llseek()": "errno(3) 3",
    },
  },
  {
    title: "a twin is governed though it is newer than the baseline",
    head: 'abis = ["all"]\nbaseline = "4.9"',
    rules: "allow futex",
    calls: { "x86 futex_time64()": "allow 1", "x86 clock_gettime64()": "errno(ENOSYS) newer" },
  },
  {
    title: "a value that only the wider form can have is never met by the narrower one",
    head: all,
    rules: "errno(1) setuid(uid == 0x10000)\nerrno(2) setuid(uid != 0x20000)\nallow setuid",
    calls: {
      "x86 setuid32(0x10000)": "errno(1) 1",
      "x86 setuid(0x10000)": "errno(2) 2",
      "x86 setuid32(0x20000)": "allow 3",
    },
  },
]);

tables("multiplexed calls", [
  {
    title: "without conditions a rule holds behind the multiplexer exactly",
    head: all,
    rules: "errno(1) socket, semget\nerrno(2) sendto\nallow @network-io, @ipc",
    calls: {
      "x86 socketcall(SYS_SOCKET)": "errno(1) 1",
      "x86 socketcall(0xffffffff00000001)": "errno(1) 1",
      "x86 socketcall(SYS_SENDTO)": "errno(2) 2",
      "x86 socketcall(9)": "errno(2) 2",
      "x86 socketcall(SYS_BIND)": "allow 3",
      "x86 socketcall(99)": "allow 3",
      "x86 ipc(SEMGET)": "errno(1) 1",
      // The upper half of ipc's first argument is a version.
      "x86 ipc(0x10002)": "errno(1) 1",
      "x86 ipc(SHMGET)": "allow 3",
      "x86 socket(2)": "errno(1) 1",
    },
  },
  {
    title: "send and recv, which have no number of their own here, can be named",
    head: all,
    rules: "errno(1) send\nerrno(2) recv\nallow @network-io",
    calls: {
      "x86 socketcall(9)": "errno(1) 1",
      "x86 socketcall(10)": "errno(2) 2",
      "x86_64 sendto()": "errno(1) 1",
      "x86_64 recvfrom()": "errno(2) 2",
    },
  },
  {
    title: "conditions cannot be seen behind socketcall: strictly, the strictest possible action",
    head: all,
    rules: "allow socket(domain == AF_UNIX)\nallow bind\nerrno(1) connect(sockfd == 5)\nallow connect",
    calls: {
      "x86 socket(AF_UNIX)": "allow 1",
      "x86 socketcall(SYS_SOCKET)": "deny default",
      "x86 socketcall(SYS_BIND)": "allow 2",
      "x86 socketcall(SYS_CONNECT)": "errno(1) 3",
    },
  },
  {
    title: "… and openly, what the direct call might allow",
    head: `${all}\nmultiplexed = "open"`,
    rules:
      "allow socket(domain == AF_UNIX)\nerrno(1) connect(sockfd == 5)\nallow connect\ndeny mmap(prot & 4)\nallow mmap",
    calls: {
      "x86 socketcall(SYS_SOCKET)": "allow 1",
      "x86 socketcall(SYS_CONNECT)": "allow 3",
      "x86 connect(5)": "errno(1) 2",
      // Not a multiplexer: still the strictest.
      "x86 mmap()": "deny 4",
    },
  },
  {
    title: "arguments that ipc has in words of its own are looked at there",
    head: all,
    rules: "errno(1) shmget(key == 7)\nallow shmget, msgsnd(msgflg == IPC_NOWAIT)",
    calls: {
      "x86_64 shmget(7)": "errno(1) 1",
      "x86 ipc(SHMGET, 7)": "errno(1) 1",
      "x86 ipc(SHMGET, 8)": "allow 2",
      "x86 ipc(MSGSND, 0, 0, IPC_NOWAIT)": "allow 2",
      "x86 ipc(MSGSND, 0, 0, 0)": "deny default",
    },
  },
  {
    title: "a rule on the multiplexer is a rule on all that is behind it, and sees its words",
    head: all,
    rules: "allow socket\nerrno(1) socketcall(call == 3)\nerrno(2) x86:#102",
    calls: {
      "x86 socketcall(1)": "allow 1",
      "x86 socketcall(3)": "errno(1) 2",
      "x86 socketcall(4)": "errno(2) 3",
      "x86 socketcall(77)": "errno(2) 3",
    },
  },
  {
    title: "a group with a condition leaves out the members without that argument, behind multiplexers too",
    head: all,
    rules: "allow @network-io(domain == AF_UNIX)",
    calls: {
      "x86_64 socket(AF_UNIX)": "allow 1",
      "x86_64 socketpair(AF_UNIX)": "allow 1",
      "x86_64 socketpair(AF_INET)": "deny default",
      "x86_64 bind(AF_UNIX)": "deny default",
      "x86 socketcall(SYS_SOCKET)": "deny default",
      "x86 socketcall(9)": "deny default",
    },
  },
]);

tables("a default that allows", [
  {
    title: "refusals under a condition on an argument in memory refuse",
    head: `${all}\n${lenient}`,
    rules: "deny socket(domain == AF_VSOCK), keyctl",
    calls: {
      "x86 socketcall(SYS_SOCKET)": "deny 1",
      "x86 socket(AF_VSOCK)": "deny 1",
      "x86_64 keyctl()": "deny 1",
      "x32 keyctl()": "deny 1",
      "x86_64 read()": "allow default",
      "x86_64 tuxcall()": "errno(ENOSYS) newer",
    },
  },
]);

describe("what cannot be settled everywhere", () => {
  const rows: readonly (readonly [
    title: string,
    head: string,
    rules: string,
    expected: readonly string[],
    message?: RegExp,
  ])[] = [
    [
      "an argument that lies in memory on some ABI is said, and the strictest action holds there",
      all,
      "deny mmap(prot & PROT_EXEC)\nallow mmap",
      ['note argument-in-memory 5:11 "prot & PROT_EXEC"'],
      /x86 mmap.*strictest/,
    ],
    [
      "a constant that one ABI does not know",
      'abis = ["x86_64", "aarch64"]',
      "deny mmap(flags & MAP_32BIT)\nallow mmap",
      ['warning constant-not-on-abi 5:19 "MAP_32BIT"'],
      /MAP_32BIT is not known on aarch64; for aarch64 mmap the strictest action that is possible holds/,
    ],
    [
      "a constant that no ABI of the policy knows",
      'abis = ["aarch64"]',
      "deny mmap(flags & MAP_32BIT)\nallow mmap",
      ['error constant-not-on-abi 5:19 "MAP_32BIT"'],
    ],
    [
      "an argument that the call has on no ABI is an error, also where a multiplexer hides the call",
      all,
      "deny socket(domian == AF_INET)",
      ['error unknown-argument 5:13 "domian"'],
      /^socket has no argument "domian"$/,
    ],
    [
      "a pointer compared with anything but null",
      "",
      "deny openat(pathname == 5)",
      ['error pointer-compared 5:13 "pathname"'],
    ],
    [
      "a group with a condition lists whom it leaves out",
      "",
      "allow @pkey(pkey == 1)",
      ['note group-members-left-out 5:7 "@pkey(pkey == 1)"'],
      /pkey_alloc/,
    ],
    [
      "a condition on a group with an action that refuses",
      "",
      "deny @network-io(domain == AF_UNIX)",
      ['error group-condition 5:6 "@network-io"'],
    ],
    [
      "a value that only a wider form of the call can have",
      all,
      "deny setuid(uid == 0x10000)\nallow setuid",
      ['warning value-too-wide 5:20 "0x10000"'],
      /x86 setuid/,
    ],
  ];
  for (const [title, head, rules, expected, message] of rows) {
    test(title, () => {
      const { policy, diagnostics } = readRules(rules, head);
      assert.deepEqual(
        diagnostics.map((one) => `${one.severity} ${brief(one)}`),
        expected,
      );
      assert.equal(
        policy === undefined,
        expected.some((one) => one.startsWith("error")),
      );
      if (message !== undefined) assert.match(diagnostics[0]?.message ?? "", message);
    });
  }
});

test("an unknown constant refuses what it might refuse on that ABI, and nothing elsewhere", () => {
  assertDecisions(policyOf("deny mmap(flags & MAP_32BIT)\nallow mmap", 'abis = ["x86_64", "aarch64"]'), {
    "x86_64 mmap(0, 0, 0, 0x40)": "deny 1",
    "x86_64 mmap(0, 0, 0, 0)": "allow 2",
    "aarch64 mmap(0, 0, 0, 0)": "deny 1",
  });
});

test("architectures that no table has are decided by other-abis", () => {
  const filter = compile(policyOf("allow *", `${all}\nother-abis = "errno(9)"`), { target });
  for (const arch of [0, 1, 0x4000_0004, 0xc000_003d, 0xc000_00b7, 0xffff_ffff])
    assert.equal(emulate(filter.instructions, { nr: 0, arch, args: [] }), 0x0005_0009);
  for (const { arch, name } of abis.filter((abi) => abi.machine === "x86_64"))
    assert.equal(
      emulate(filter.instructions, { nr: name === "x32" ? 0x4000_0000 : 3, arch, args: [] }),
      0x7fff_0000,
    );
});

test("a call that the ABI does not have cannot be asked about", () => {
  const policy = policyOf("allow read");
  assert.throws(() => evaluate(policy, { abi: "aarch64", syscall: "open" }, { target }), {
    name: "TypeError",
    message: 'aarch64 has no system call "open"',
  });
});
