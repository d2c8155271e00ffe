// Policies for ten real uses: each is read without a complaint, compiled, proved, and decides as its author meant.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { renderDiagnostics } from "../../src/diagnostics/index.ts";
import { loadPolicy } from "../../src/formats/load.ts";
import { printAction } from "../../src/policy/action.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { assertDecisions, callOf, target, tell } from "./reading.ts";

const folder = "tests/fixtures/policies";

/** A few decisions of each; the action only. */
const decisions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "browser.toml": {
    "x86_64 clone(CLONE_NEWUSER)": "allow",
    "x86_64 clone(CLONE_NEWUSER|CLONE_NEWNS)": "deny",
    "x86_64 socket(AF_VSOCK)": "errno(EAFNOSUPPORT)",
    "x86_64 ioctl(0, 0x100005412)": "deny",
    "x86_64 mseal()": "errno(ENOSYS)",
    "x86 read()": "kill",
  },
  "build.toml": {
    "x86_64 socket(AF_UNIX)": "allow",
    "x86_64 socket(AF_INET)": "errno(EAFNOSUPPORT)",
    "x86_64 chmod(0, 0o755)": "allow",
    "x86_64 chmod(0, 0o4755)": "deny",
    "x86_64 mknod(0, S_IFCHR)": "deny",
    "x86_64 mknod(0, S_IFREG)": "allow",
    "x86_64 execve()": "allow",
  },
  "python.toml": {
    "x86_64 openat(AT_FDCWD, 1, O_RDONLY|O_CLOEXEC)": "allow",
    "x86_64 openat(AT_FDCWD, 1, O_RDWR)": "errno(EROFS)",
    "x86_64 write(2)": "allow",
    "x86_64 write(3)": "deny",
    "x86_64 clone(CLONE_VM|CLONE_THREAD)": "allow",
    "x86_64 clone(CLONE_VM)": "errno(EAGAIN)",
    "x86_64 mmap(0, 0, PROT_WRITE|PROT_EXEC)": "deny",
    "x86_64 socket()": "deny",
  },
  "compute.toml": {
    "x86_64 read(0)": "allow",
    "x86_64 read(1)": "kill",
    "x86_64 execve()": "kill",
    "x86_64 mmap(0, 0, PROT_READ, MAP_ANONYMOUS)": "allow",
    "x86_64 mmap(0, 0, PROT_EXEC, MAP_ANONYMOUS)": "kill",
    "x86_64 #9999()": "kill",
    "x86_64 clone()": "trap",
  },
  "redis.toml": {
    "x86_64 socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK)": "allow",
    "x86_64 socket(AF_INET, SOCK_RAW)": "deny",
    "x86_64 kill(1, SIGUSR1)": "allow",
    "x86_64 kill(1, SIGSTOP)": "deny",
    "x86_64 mprotect(0, 0, PROT_WRITE|PROT_EXEC)": "deny",
    "x86_64 mprotect(0, 0, PROT_EXEC)": "allow",
  },
  "nginx.toml": {
    "x86_64 ptrace()": "kill",
    "x86_64 setuid(0)": "deny",
    "x86_64 setuid(0x100000000)": "deny",
    "x86_64 setuid(33)": "allow",
    "x86_64 io_uring_setup()": "errno(ENOSYS)",
    "x86_64 io_submit()": "allow",
    "x86_64 socket(AF_INET, SOCK_RAW)": "deny",
  },
  "lxc-web.toml": {
    "x86_64 keyctl()": "deny",
    "x86 keyctl()": "deny",
    "x32 keyctl()": "deny",
    "x86 socketcall(SYS_SOCKET)": "errno(EAFNOSUPPORT)",
    "x86 socketcall(SYS_CONNECT)": "allow",
    "x86_64 socket(AF_PACKET)": "errno(EAFNOSUPPORT)",
    "x86_64 mseal()": "errno(ENOSYS)",
    "x86_64 mount()": "allow",
    "x86 setsockopt(3, SOL_TCP, TCP_ULP)": "deny",
    "aarch64 read()": "kill",
  },
  "ci.toml": {
    "x86_64 socket(AF_INET, SOCK_STREAM)": "allow",
    "x86_64 socket(AF_INET, SOCK_RAW)": "errno(EAFNOSUPPORT)",
    "x86_64 ptrace(PTRACE_SEIZE)": "allow",
    "x86_64 unshare(CLONE_NEWUSER)": "log",
    "x86_64 bpf()": "kill",
    "x86_64 init_module()": "kill",
    "x86_64 chmod(0, 0o4755)": "deny",
  },
  "pdf.toml": {
    "x86_64 execveat()": "kill",
    "x86_64 socket()": "kill",
    "x86_64 open(1, O_RDONLY)": "allow",
    "x86_64 open(1, O_WRONLY)": "errno(EACCES)",
    "x86_64 openat(AT_FDCWD, 1, O_RDONLY)": "allow",
    "x86_64 openat(0xffffff9c, 1, O_RDONLY)": "allow",
    "x86_64 openat(3, 1, O_RDONLY)": "errno(EACCES)",
    "x86_64 ftruncate(3, 0xfffffff)": "allow",
    "x86_64 ftruncate(3, 0x10000000)": "errno(EACCES)",
    "x86_64 execve(1)": "allow",
    "x86_64 statx()": "errno(EACCES)",
    "x86_64 mseal()": "kill",
  },
  "agent-shell.toml": {
    "x86_64 mount()": "deny",
    "x86_64 ioctl(0, TIOCSTI)": "deny",
    "x86_64 ioctl(0, 0xabcdef0000005412)": "deny",
    "x86_64 ioctl(0, TCGETS)": "allow",
    "x86_64 unshare()": "ask",
    "x86_64 ptrace(PTRACE_ATTACH)": "notify",
    "x86_64 ptrace(PTRACE_TRACEME)": "allow",
    "x86_64 kill(-1, 9)": "deny",
    "x86_64 kill(-2, 9)": "allow",
    "x86_64 execve(1)": "log",
  },
};

test("every fixture has its decisions here", () => {
  assert.deepEqual(readdirSync(folder).sort(), Object.keys(decisions).sort());
});

describe("policies for real uses", () => {
  for (const [name, expected] of Object.entries(decisions)) {
    test(name, () => {
      const { policy, diagnostics } = loadPolicy(join(folder, name), { target });
      const serious = diagnostics.filter((one) => one.severity !== "note");
      assert.ok(policy !== undefined && serious.length === 0, renderDiagnostics(serious));
      const actions = Object.keys(expected).map((call) => [
        call,
        printAction(evaluate(policy, callOf(call), { target }).action),
      ]);
      assert.deepEqual(Object.fromEntries(actions), expected);
      // The same through the proved filter.
      const told = Object.keys(expected).map((call) => [
        call,
        tell(policy, evaluate(policy, callOf(call), { target })),
      ]);
      assertDecisions(policy, Object.fromEntries(told));
      for (const rule of [...policy.syscalls.require, ...policy.syscalls.rules])
        assert.ok((rule.reason ?? "").length > 5, "every line has its reason");
    });
  }
});
