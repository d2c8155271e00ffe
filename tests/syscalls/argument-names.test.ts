// Names for the values of arguments: each value has one, and it is the argument's own. The kernel's headers call values
// of other arguments alike (F_SETFL and F_EXLCK are both 4), so every list is looked at, on every ABI.
import assert from "node:assert/strict";
import { test } from "node:test";
import { describedArguments } from "../../src/denials/index.ts";
import {
  type AbiName,
  abis,
  argumentsWithNames,
  constantsOf,
  namedValues,
  namesOfValue,
  syscallsOf,
} from "../../src/syscalls/index.ts";

/** The values of a list that have several names, where the list does not spell out which is the one to show. */
function doubled(abi: AbiName, list: string): readonly string[] {
  const spelled = new Set(list.split(" "));
  const first = new Map<bigint, string>();
  return constantsOf(abi, list).flatMap(({ name, value }) => {
    const before = first.get(value);
    first.set(value, before ?? name);
    return before === undefined || before === name || spelled.has(before) ? [] : [`${before} = ${name}`];
  });
}

test("no list has two names for one value, on any ABI", () => {
  const found = argumentsWithNames().flatMap(([argument, { names }]) =>
    abis.flatMap(({ name }) => doubled(name, names).map((pair) => `${name} ${argument}: ${pair}`)),
  );
  assert.deepEqual(found, []);
});

// Devices that callgate has no list of its own for (CDROM_*, KVM_*) are named by their prefix there, the terminal's first.
test("nor has a list of the denials, but for the requests of ioctl", () => {
  const found = new Set(
    describedArguments().flatMap(({ call, argument, kind }) =>
      kind.kind === "one" && call !== "ioctl"
        ? abis.flatMap(({ name }) => doubled(name, kind.names).map((pair) => `${call}.${argument}: ${pair}`))
        : [],
    ),
  );
  assert.deepEqual([...found], []);
});

test("every word of a list is a constant or the beginning of some", () => {
  const unknown = argumentsWithNames().flatMap(([argument, { names }]) =>
    names
      .split(" ")
      .map((word) => word.replace(/^-/, ""))
      .filter((word) => abis.every(({ name }) => constantsOf(name, word).length === 0))
      .map((word) => `${argument}: ${word}`),
  );
  assert.deepEqual(unknown, []);
});

test("the arguments are those of calls that there are, by a name that the tables use or the kernel's", () => {
  const calls = new Set(abis.flatMap(({ name }) => syscallsOf(name).map((call) => call.name)));
  const unknown = argumentsWithNames().filter(([argument]) => !calls.has(argument.split(".")[0] ?? ""));
  assert.deepEqual(unknown, []);
});

const expected: readonly (readonly [call: string, argument: string, value: bigint, names: string])[] = [
  ["fcntl", "op", 0n, "F_DUPFD"],
  ["fcntl", "op", 1n, "F_GETFD"],
  ["fcntl", "op", 2n, "F_SETFD"],
  ["fcntl", "op", 4n, "F_SETFL"],
  ["fcntl", "op", 8n, "F_SETOWN"],
  ["fcntl", "op", 16n, "F_GETOWN_EX"],
  ["fcntl", "op", 1024n, "F_SETLEASE"],
  ["bpf", "cmd", 0n, "BPF_MAP_CREATE"],
  ["bpf", "cmd", 5n, "BPF_PROG_LOAD"],
  ["bpf", "cmd", 10n, "BPF_PROG_RUN"],
  ["bpf", "cmd", 17n, "BPF_RAW_TRACEPOINT_OPEN"],
  ["bpf", "cmd", 28n, "BPF_LINK_CREATE"],
  ["ptrace", "op", 0n, "PTRACE_TRACEME"],
  ["ptrace", "op", 1n, "PTRACE_PEEKTEXT"],
  ["ptrace", "op", 7n, "PTRACE_CONT"],
  ["ptrace", "op", 16n, "PTRACE_ATTACH"],
  ["keyctl", "operation", 1n, "KEYCTL_JOIN_SESSION_KEYRING"],
  ["keyctl", "operation", 16n, "KEYCTL_ASSUME_AUTHORITY"],
  ["kill", "sig", 1n, "SIGHUP"],
  ["kill", "sig", 2n, "SIGINT"],
  ["kill", "sig", 6n, "SIGABRT"],
  ["kill", "sig", 17n, "SIGCHLD"],
  ["futex", "futex_op", 0n, "FUTEX_WAIT"],
  ["futex", "futex_op", 1n, "FUTEX_WAKE"],
  ["futex", "futex_op", 128n, "FUTEX_WAIT_PRIVATE"],
  ["ioctl", "op", 0x5412n, "TIOCSTI"],
  ["ioctl", "op", 0x541bn, "FIONREAD"],
  ["ioctl", "op", 0x5411n, "TIOCOUTQ"],
  ["mount", "mountflags", 1n, "MS_RDONLY"],
  ["mount", "mountflags", 6n, "MS_NOSUID MS_NODEV"],
  ["open", "flags", 0x101000n, "O_SYNC"],
  ["prctl", "op", 8n, "PR_SET_KEEPCAPS"],
  ["prctl", "op", 38n, "PR_SET_NO_NEW_PRIVS"],
  ["socketcall", "call", 1n, "SYS_SOCKET"],
  ["socketcall", "call", 2n, "SYS_BIND"],
  ["madvise", "advice", 4n, "MADV_DONTNEED"],
  ["clone", "flags", 0x11n, "SIGCHLD"],
  ["clone", "flags", 0x1200011n, "SIGCHLD CLONE_CHILD_CLEARTID CLONE_CHILD_SETTID"],
  ["unshare", "flags", 0x80n, "CLONE_NEWTIME"],
  ["mmap", "flags", 0x22n, "MAP_PRIVATE MAP_ANONYMOUS"],
  ["umount2", "flags", 2n, "MNT_DETACH"],
  ["umount2", "flags", 8n, "UMOUNT_NOFOLLOW"],
  ["flock", "operation", 6n, "LOCK_EX LOCK_NB"],
  ["clock_gettime", "clockid", 2n, "CLOCK_PROCESS_CPUTIME_ID"],
  ["prlimit64", "resource", 7n, "RLIMIT_NOFILE"],
  ["pipe2", "flags", 0x80800n, "O_CLOEXEC O_NONBLOCK"],
  ["pipe2", "flags", 0x80n, "O_NOTIFICATION_PIPE"],
  ["dup3", "flags", 0x80000n, "O_CLOEXEC"],
  ["accept4", "flags", 0x80800n, "SOCK_CLOEXEC SOCK_NONBLOCK"],
  ["eventfd2", "flags", 1n, "EFD_SEMAPHORE"],
  ["getrandom", "flags", 3n, "GRND_NONBLOCK GRND_RANDOM"],
  ["epoll_ctl", "op", 3n, "EPOLL_CTL_MOD"],
  ["lseek", "whence", 2n, "SEEK_END"],
  ["shutdown", "how", 1n, "SHUT_WR"],
  ["rt_sigprocmask", "how", 0n, "SIG_BLOCK"],
  ["mremap", "flags", 1n, "MREMAP_MAYMOVE"],
  ["mlockall", "flags", 4n, "MCL_ONFAULT"],
  ["fadvise64", "advice", 4n, "POSIX_FADV_DONTNEED"],
  ["inotify_init1", "flags", 0x800n, "IN_NONBLOCK"],
  ["epoll_create1", "flags", 0x80000n, "EPOLL_CLOEXEC"],
  ["socket", "type", 2n, "SOCK_DGRAM"],
  ["socket", "type", 0x80801n, "SOCK_STREAM SOCK_NONBLOCK SOCK_CLOEXEC"],
  ["personality", "persona", 0x20008n, "PER_LINUX32 UNAME26"],
  ["mknod", "mode", 0x2000n, "S_IFCHR"],
  ["reboot", "cmd", 0x1234567n, "LINUX_REBOOT_CMD_RESTART"],
];

test("a protocol is named by its domain, an option by its level, where all that these can be agree", () => {
  const name = (call: string, argument: string, other: string, values: readonly bigint[], value: bigint) => {
    const found = namedValues("x86_64", call, argument, new Map([[other, values]]));
    return found === undefined ? undefined : namesOfValue("x86_64", found, value)?.join(" ");
  };
  assert.equal(name("socket", "protocol", "domain", [16n], 9n), "NETLINK_AUDIT");
  assert.equal(name("socket", "protocol", "domain", [2n, 10n], 17n), "IPPROTO_UDP");
  assert.equal(name("socket", "protocol", "domain", [2n, 16n], 9n), undefined);
  assert.equal(name("socket", "protocol", "type", [2n], 9n), undefined);
  assert.equal(name("setsockopt", "optname", "level", [6n], 31n), "TCP_ULP");
  assert.equal(name("setsockopt", "optname", "level", [1n], 31n), "SO_PEERSEC");
});

for (const [call, argument, value, names] of expected) {
  test(`${call}'s ${argument} ${value} is ${names}`, () => {
    const values = namedValues("x86_64", call, argument, new Map());
    assert.ok(values !== undefined);
    assert.equal(namesOfValue("x86_64", values, value)?.join(" "), names);
  });
}

test("what is no value of the argument stays a number", () => {
  for (const [call, argument, value] of [
    ["ioctl", "op", 0n],
    ["ioctl", "op", 2n],
    ["kill", "sig", 0n],
    ["fcntl", "op", 32n],
    ["ptrace", "op", 0x100000n],
    ["keyctl", "operation", 64n],
    ["clone", "flags", 0x40n],
    ["socket", "domain", 46n],
    ["socket", "type", 0x80007n],
    ["mknod", "mode", 0x21b6n],
  ] as const) {
    const values = namedValues("x86_64", call, argument, new Map());
    assert.ok(values !== undefined);
    assert.equal(namesOfValue("x86_64", values, value), undefined, `${call}.${argument} ${value}`);
  }
});
