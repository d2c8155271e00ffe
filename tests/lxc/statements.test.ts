// Debian packages: lxc, busybox-static, uidmap, gcc
// A hundred statements in real containers: what each call then does inside, natively and by int 0x80, is what the
// policy says, and the live filters are proved equal to it.
import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readConfig, readConfigText } from "../../src/lxc/config.ts";
import { protectionOf } from "../../src/lxc/protection.ts";
import { verifyContainer } from "../../src/lxc/verify.ts";
import { compareStrictness } from "../../src/policy/action.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { type AbiName, errnoNumber, syscallByName } from "../../src/syscalls/index.ts";
import { compileC, scratch } from "../kernel/native.ts";
import { createContainer, type Kind, noContainers, putProgram, run } from "./containers.ts";

/** A call that does no harm where it is allowed: its arguments make it fail, or change its own process only. */
type Tried = readonly [name: string, ...args: readonly bigint[]];
type Statement = readonly [line: string, ...calls: readonly Tried[]];

const high = 1n << 32n;

/** Names refused as a whole; each is tried with arguments that no kernel takes. */
const plain: readonly Statement[] = [
  ...("keyctl add_key request_key bpf userfaultfd perf_event_open io_uring_setup io_uring_enter io_uring_register ptrace " +
    "process_vm_readv process_vm_writev kcmp open_by_handle_at name_to_handle_at fanotify_init fanotify_mark quotactl acct " +
    "swapon swapoff mount fsopen fsmount move_mount open_tree fspick pivot_root chroot init_module finit_module delete_module " +
    "lookup_dcookie mbind set_mempolicy migrate_pages move_pages clock_settime clock_adjtime settimeofday personality " +
    "vmsplice splice tee sync_file_range memfd_create memfd_secret pidfd_open pidfd_getfd process_madvise landlock_restrict_self " +
    "mlock munlock munlockall mincore sched_rr_get_interval sched_get_priority_max get_mempolicy getitimer ioprio_get"),
]
  .join("")
  .split(" ")
  .map((name, index): Statement => {
    const errno = ["EPERM", "ENOSYS", "EACCES", "EXDEV", "ENOTTY"][index % 5] ?? "EPERM";
    const rule = errno === "EPERM" ? `syscall.deny = ${name}` : `syscall.rule = errno(${errno}) ${name}`;
    return [rule, [name, -1n, -1n, -1n, -1n, -1n, -1n]];
  });

const conditional: readonly Statement[] = [
  [
    "syscall.deny = socket(domain == AF_VSOCK)",
    ["socket", 40n, 1n],
    ["socket", 40n + high, 1n],
    ["socket", 999n, 1n],
  ],
  [
    "syscall.rule = errno(EXDEV) socketpair(domain != AF_UNIX)",
    ["socketpair", 2n],
    ["socketpair", 1n, 99n],
    ["socketpair", 1n + high, 99n],
  ],
  [
    "syscall.rule = errno(EXDEV) unshare(flags & CLONE_NEWUSER)",
    ["unshare", 0x10000000n],
    ["unshare", 0n],
    ["unshare", 0x10000000n + high],
  ],
  [
    "syscall.deny = setns(nstype in {CLONE_NEWNET, CLONE_NEWUTS})",
    ["setns", -1n, 0x40000000n],
    ["setns", -1n, 0x04000000n],
    ["setns", -1n, 7n],
  ],
  [
    "syscall.rule = errno(ENOTTY) ioctl(request == TIOCSTI)",
    ["ioctl", -1n, 0x5412n],
    ["ioctl", -1n, 0x5412n + high],
    ["ioctl", -1n, 1n],
  ],
  [
    "syscall.rule = errno(EXDEV) ioctl(request in {0x9400..0x94ff})",
    ["ioctl", -1n, 0x9410n],
    ["ioctl", -1n, 0x9500n],
  ],
  ["syscall.rule = errno(EXDEV) prlimit64(resource > 7)", ["prlimit64", -1n, 8n], ["prlimit64", -1n, 7n]],
  [
    "syscall.rule = errno(EXDEV) getpriority(which == 1 && who < 0)",
    ["getpriority", 1n, -1n],
    ["getpriority", 1n, 1n],
    ["getpriority", 77n, -1n],
  ],
  ["syscall.rule = errno(EXDEV) lseek(whence not in {0..2})", ["lseek", -1n, 0n, 9n], ["lseek", -1n, 0n, 1n]],
  ["syscall.rule = errno(EXDEV) madvise(advice == 12)", ["madvise", 0n, 0n, 12n], ["madvise", 0n, 0n, 0n]],
  [
    "syscall.rule = errno(EXDEV) mprotect(prot & PROT_EXEC && prot & PROT_WRITE)",
    ["mprotect", 0n, 4096n, 6n],
    ["mprotect", 0n, 4096n, 4n],
  ],
  ["syscall.rule = errno(EXDEV) semget(nsems > 4096)", ["semget", 0n, 5000n], ["semget", 0n, -5n]],
  [
    "syscall.rule = errno(EXDEV) shmget(shmflg & 0o1000)",
    ["shmget", 0n, 0n, 0o1000n],
    ["shmget", 0n, 0n, 0n],
  ],
  // All 64 bits of it: libseccomp would compare the lower half on x32, so that only the second part can say it.
  [
    "syscall.rule = errno(EXDEV) keyctl(args[1] == 5)",
    ["keyctl", 99n, 5n],
    ["keyctl", 99n, 5n + high],
    ["keyctl", 99n, 4n],
  ],
  [
    "syscall.rule = errno(EXDEV) sched_setaffinity(pid != 0)",
    ["sched_setaffinity", -1n],
    ["sched_setaffinity", 0n],
  ],
  [
    "syscall.rule = errno(EXDEV) sched_setscheduler(policy in {1, 2})",
    ["sched_setscheduler", -1n, 1n],
    ["sched_setscheduler", -1n, 77n],
  ],
  ["syscall.rule = errno(EXDEV) timer_create(clockid == 9)", ["timer_create", 9n], ["timer_create", 77n]],
  [
    "syscall.rule = errno(EXDEV) flock(operation within LOCK_SH | LOCK_NB)",
    ["flock", -1n, 5n],
    ["flock", -1n, 2n],
  ],
  ["syscall.rule = errno(EXDEV) inotify_init1(flags != 0)", ["inotify_init1", 0x800n], ["inotify_init1", 0n]],
  ["syscall.rule = errno(EXDEV) eventfd2(flags & 1)", ["eventfd2", 0n, 1n], ["eventfd2", 0n, 0x100n]],
  [
    "syscall.rule = errno(EXDEV) signalfd4(flags == 0x800)",
    ["signalfd4", -1n, 0n, 8n, 0x800n],
    ["signalfd4", -1n, 0n, 8n, 0n],
  ],
  [
    "syscall.rule = errno(EXDEV) epoll_create1(flags == O_CLOEXEC)",
    ["epoll_create1", 0x80000n],
    ["epoll_create1", 7n],
  ],
  ["syscall.rule = errno(EXDEV) getrandom(flags & 2)", ["getrandom", 0n, 0n, 2n], ["getrandom", 0n, 0n, 0n]],
  [
    "syscall.rule = errno(EXDEV) copy_file_range(flags == 0)",
    ["copy_file_range", -1n, 0n, -1n, 0n, 0n, 0n],
    ["copy_file_range", -1n, 0n, -1n, 0n, 0n, 1n],
  ],
  [
    "syscall.rule = errno(EXDEV) renameat2(flags & 4)",
    ["renameat2", -1n, 0n, -1n, 0n, 4n],
    ["renameat2", -1n, 0n, -1n, 0n, 0n],
  ],
  ["syscall.rule = errno(EXDEV) mlockall(flags == 4)", ["mlockall", 4n], ["mlockall", 99n]],
  ["syscall.rule = errno(EXDEV) msync(flags < 0)", ["msync", 0n, 0n, 0x80000000n], ["msync", 0n, 0n, 4n]],
  ["syscall.rule = errno(EXDEV) mremap(flags & 2)", ["mremap", 0n, 0n, 0n, 2n], ["mremap", 0n, 0n, 0n, 0n]],
  [
    "syscall.rule = errno(EXDEV) setpriority(prio >= -5 && prio <= -1)",
    ["setpriority", 77n, 0n, -3n],
    ["setpriority", 77n, 0n, 3n],
  ],
  ["syscall.rule = kill umask(mask == 0o777)", ["umask", 0o777n], ["umask", 0o22n]],
  ["syscall.rule = kill-thread getpgid(pid == 4242)", ["getpgid", 4242n], ["getpgid", 0n]],
  ["syscall.rule = trap getsid(pid == 4242)", ["getsid", 4242n], ["getsid", 0n]],
  ["syscall.rule = kill vhangup", ["vhangup"]],
  ["syscall.rule = log sysinfo", ["sysinfo", 0n]],
  ["syscall.rule = errno(EXDEV) x86:getppid", ["getppid"]],
  ["syscall.rule = errno(EXDEV) x86_64:getpgrp", ["getpgrp"]],
  ["syscall.rule = errno(4000) sched_yield", ["sched_yield"]],
  ["syscall.rule = errno(0) getcpu(cpup == 0)", ["getcpu", 0n, 0n, 0n], ["getcpu", 8n, 0n, 0n]],
  ["syscall.allow = fchdir(fd == 77)", ["fchdir", 77n]],
  ["syscall.deny = fchdir", ["fchdir", 78n]],
  ["syscall.rule = errno(EXDEV) #470", ["#470"]],
];

/** Newer than Debian 12's libseccomp knows, and served by this kernel where it is new enough. */
const fresh: readonly Tried[] = [
  ["mseal", 1n, 1n, 1n],
  ["statmount", 0n, 0n, 0n, 0n],
  ["listmount", 0n, 0n, 0n, 0n],
  ["lsm_get_self_attr", 0n, 0n, 0n, -1n],
  ["cachestat", -1n, 0n, 0n, 1n],
  ["file_getattr", -1n, 0n, 0n, 0n, -1n],
];

const all = [...plain, ...conditional];
const source = readFileSync(join(packageRoot(), "tests", "lxc", "calls.c"), "utf8");
const program = noContainers === false ? compileC("calls", source) : "";

test("there are a hundred of them", () => assert.ok(all.length >= 100, String(all.length)));

/** In containers whose root is another user's, all in a few starts. */
for (const [kind, perStart] of [
  ["privileged", 17],
  ["userns", 60],
  ["user", 60],
] as const)
  describe(`statements, tried inside, ${kind}`, { skip: noContainers }, () => {
    const groups = Array.from({ length: Math.ceil(all.length / perStart) }, (_, at) =>
      all.slice(at * perStart, (at + 1) * perStart),
    );
    const tryAll = trierIn(kind);
    groups.forEach((group, index) => {
      test(`${index * perStart + 1} to ${index * perStart + group.length}: ${group[0]?.[0]} …`, () => {
        tryAll(
          `${group.map(([line]) => `${line}\n`).join("")}syscall.baseline = 6.18\n`,
          group.flatMap(([, ...calls]) => calls),
        );
      });
    });

    test("what is newer than the baseline is ENOSYS inside, also what libseccomp has never heard of", () =>
      tryAll("syscall.baseline = 5.15\n", fresh));
  });

/** A container in which calls are tried under statements. */
function trierIn(kind: Kind): (statements: string, calls: readonly Tried[]) => void {
  if (noContainers !== false) return () => undefined;
  const container = createContainer({
    kind,
    config: "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n",
  });
  putProgram(container, program, "calls");

  return (statements, calls) => {
    container.configure(container.original + statements);
    const enabled = container.callgate("enable", container.name);
    assert.equal(enabled.status, 0, enabled.stderr);
    const { protection } = protectionOf(readConfig(container.configFile), "6.18");
    assert.ok(protection !== undefined);
    const started = container.start();
    assert.equal(started.status, 0, started.stderr + container.callgate("check", container.name).stdout);
    try {
      const made = calls.flatMap(([name, ...args]) =>
        (["x86_64", "x86"] as const).flatMap((abi) => {
          const nr = name.startsWith("#") ? Number(name.slice(1)) : syscallByName(abi, name)?.nr;
          return nr === undefined ? [] : [{ abi, nr, name, args: wide(args, abi) }];
        }),
      );
      const lines = made.map(({ abi, nr, args }) =>
        [abi, ...[BigInt(nr), ...args].map((word) => word.toString(16))].join(" "),
      );
      writeFileSync(join(container.rootfs, "calls.in"), `${lines.join("\n")}\n`);
      const results = container.inside("/calls < /calls.in").trim().split("\n");
      assert.equal(results.length, made.length, results.join("; "));
      made.forEach(({ abi, nr, name, args }, index) => {
        const [own, below] = [protection.policy, protection.floor?.policy].map((policy) =>
          policy === undefined ? undefined : evaluate(policy, { abi, syscall: nr, args }).action,
        );
        assert.ok(own !== undefined);
        const action = below !== undefined && compareStrictness(below, own) < 0 ? below : own;
        const result = results[index] ?? "";
        const what = `${abi} ${name}(${args.join(", ")}): ${result}, by ${JSON.stringify(action)}`;
        if (action.kind === "errno") {
          const errno =
            typeof action.errno === "number" ? action.errno : (errnoNumber(abi, action.errno) ?? 0);
          assert.equal(result, String(-errno), what);
        } else if (action.kind === "allow" || action.kind === "log") {
          // EXDEV is no answer that the kernel gives to any of these.
          assert.ok(
            result !== `signal ${constants.signals.SIGSYS}` && result !== "-18" && result !== "-4000",
            what,
          );
        } else {
          assert.equal(result, `signal ${constants.signals.SIGSYS}`, what);
        }
      });
      const verdict = verifyContainer(container.pid(), protection);
      assert.equal(
        verdict.verdict,
        "proved",
        JSON.stringify(verdict, (_, value) => String(value)),
      );
    } finally {
      container.stop();
    }
  };
}

describe("statements, beside the containers", { skip: noContainers }, () => {
  test("what compares 64 bits is the second part's alone", () => {
    const line = "syscall.rule = errno(EXDEV) keyctl(args[1] == 5)\nsyscall.baseline = 6.18\n";
    const { protection } = protectionOf(readConfigText({ name: "config", text: line }), "6.18");
    assert.doesNotMatch(protection?.profile ?? "keyctl", /keyctl/);
    assert.ok(protection?.beyondProfile.some(({ syscall }) => syscall === "keyctl"));
  });

  test("what is newer than the baseline is there outside", () => {
    const outside = fresh.map(([name, ...args]) =>
      [
        "x86_64",
        ...[BigInt(syscallByName("x86_64", name)?.nr ?? 0), ...wide(args, "x86_64")].map((word) =>
          word.toString(16),
        ),
      ].join(" "),
    );
    const file = join(scratch(), "calls.in");
    writeFileSync(file, `${outside.join("\n")}\n`);
    chmodSync(program, 0o755);
    const results = run("/bin/sh", ["-c", `${program} < ${file}`])
      .stdout.trim()
      .split("\n");
    // cachestat has been there since 6.5; older kernels are not what these tests run on.
    assert.notEqual(results[fresh.findIndex(([name]) => name === "cachestat")], "-38");
  });
});

/** Six registers; of a 32-bit call their lower halves. */
function wide(args: readonly bigint[], abi: AbiName): readonly bigint[] {
  const bits = abi === "x86" ? 32 : 64;
  return Array.from({ length: 6 }, (_, index) => BigInt.asUintN(bits, args[index] ?? 0n));
}
