import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AbiName,
  type Argument,
  argumentNamed,
  formatVersion,
  multiplexedOf,
  syscallByName,
  syscallNumber,
  twinsOf,
} from "../../src/syscalls/index.ts";

/** An argument in a few letters, as in the tables: `u16@1`, `s64@3+4`, `p@mem`, `s32=0`. */
function brief(arg: Argument | undefined): string {
  if (arg === undefined) return "none";
  const type = arg.kind === "pointer" ? `p${arg.width}` : `${arg.signed ? "s" : "u"}${arg.width}`;
  const { place } = arg;
  switch (place.kind) {
    case "word":
      return `${type}@${place.index}`;
    case "words":
      return `${type}@${place.low}+${place.high}`;
    case "constant":
      return `${type}=${place.value}`;
    case "memory":
      return `${type}@mem`;
  }
}

const all: readonly AbiName[] = ["x86_64", "x86", "x32", "aarch64"];
const wide: readonly AbiName[] = ["x86_64", "x32", "aarch64"];
const intel: readonly AbiName[] = ["x86_64", "x86", "x32"];

/** ABIs, call, argument, what the kernel reads and where. */
const facts: readonly (readonly [readonly AbiName[], string, string, string])[] = [
  // umode_t has 16 bits: what is above does not reach the file.
  [intel, "chmod", "mode", "u16@1"],
  [all, "fchmod", "mode", "u16@1"],
  [all, "fchmodat", "mode", "u16@2"],
  [all, "fchmodat2", "mode", "u16@2"],
  [all, "mkdirat", "mode", "u16@2"],
  [all, "mknodat", "mode", "u16@2"],
  [intel, "open", "mode", "u16@2"],
  [intel, "creat", "mode", "u16@1"],
  [all, "openat", "mode", "u16@3"],
  [all, "openat", "flags", "s32@2"],
  [all, "mq_open", "mode", "u16@2"],
  [all, "umask", "mask", "s32@0"],
  // clone: lower_32_bits(), and an order of its own on each machine.
  [all, "clone", "flags", "u32@0"],
  [["x86_64", "x32", "aarch64"], "clone", "stack", "u64@1"],
  [["x86_64", "x32"], "clone", "child_tid", "p64@3"],
  [["x86_64", "x32"], "clone", "tls", "u64@4"],
  [["x86", "aarch64"], "clone", "parent_tid", "p32@2"],
  [["x86"], "clone", "tls", "u32@3"],
  [["x86"], "clone", "child_tid", "p32@4"],
  [["aarch64"], "clone", "tls", "u64@3"],
  [["aarch64"], "clone", "child_tid", "p64@4"],
  [wide, "unshare", "flags", "u64@0"],
  [["x86"], "unshare", "flags", "u32@0"],
  [all, "setns", "nstype", "s32@1"],
  [wide, "clone3", "size", "u64@1"],
  // Plain ints stay 32 bits on every ABI.
  [all, "ioctl", "request", "u32@1"],
  [all, "ioctl", "cmd", "u32@1"],
  [["x86_64", "aarch64"], "ioctl", "arg", "u64@2"],
  [["x86", "x32"], "ioctl", "arg", "u32@2"],
  [all, "socket", "domain", "s32@0"],
  [all, "socket", "family", "s32@0"],
  [all, "prctl", "option", "s32@0"],
  [wide, "prctl", "arg2", "u64@1"],
  [all, "personality", "persona", "u32@0"],
  [all, "bpf", "cmd", "s32@0"],
  [wide, "keyctl", "operation", "s32@0"],
  [["x86"], "keyctl", "operation", "u32@0"],
  [all, "futex", "futex_op", "s32@1"],
  [all, "kill", "sig", "s32@1"],
  [all, "umount2", "flags", "s32@1"],
  [all, "madvise", "advice", "s32@2"],
  // Longs that stay long.
  [wide, "mprotect", "prot", "u64@2"],
  [["x86_64", "aarch64"], "ptrace", "request", "s64@0"],
  [["x86", "x32"], "ptrace", "request", "s32@0"],
  [wide, "mount", "mountflags", "u64@3"],
  [wide, "mount", "flags", "u64@3"],
  [wide, "lseek", "offset", "s64@1"],
  [["x86"], "lseek", "offset", "s32@1"],
  // Longs that the kernel narrows.
  [all, "ptrace", "pid", "s32@1"],
  [wide, "mmap", "fd", "u32@4"],
  [all, "readv", "fd", "u32@0"],
  [all, "pwritev2", "fd", "u32@0"],
  [all, "mbind", "mode", "s32@2"],
  // The old mmap and select of x86.
  [["x86"], "mmap", "prot", "u32@mem"],
  [["x86"], "mmap", "offset", "u32@mem"],
  [["x86"], "mmap2", "prot", "u32@2"],
  [["x86"], "mmap2", "pgoffset", "u32@5"],
  [["x86"], "mmap2", "fd", "u32@4"],
  [["x86"], "select", "nfds", "s32@mem"],
  [["x86"], "_newselect", "nfds", "s32@0"],
  [wide, "mmap", "prot", "u64@2"],
  // 64-bit values in two words.
  [["x86"], "pread64", "offset", "s64@3+4"],
  [["x86"], "pwrite64", "offset", "s64@3+4"],
  [["x86"], "truncate64", "length", "s64@1+2"],
  [["x86"], "ftruncate64", "length", "s64@1+2"],
  [["x86"], "fallocate", "offset", "s64@2+3"],
  [["x86"], "fallocate", "len", "s64@4+5"],
  [["x86"], "fadvise64", "offset", "s64@1+2"],
  [["x86"], "fadvise64", "len", "u32@3"],
  [["x86"], "fadvise64", "advice", "s32@4"],
  [["x86"], "fadvise64_64", "len", "s64@3+4"],
  [["x86"], "fadvise64_64", "advice", "s32@5"],
  [["x86"], "readahead", "offset", "s64@1+2"],
  [["x86"], "readahead", "count", "u32@3"],
  [["x86"], "sync_file_range", "offset", "s64@1+2"],
  [["x86"], "sync_file_range", "nbytes", "s64@3+4"],
  [["x86"], "sync_file_range", "flags", "s32@5"],
  [["x86"], "fanotify_mark", "mask", "u64@2+3"],
  [["x86"], "fanotify_mark", "pathname", "p32@5"],
  [["x86"], "lookup_dcookie", "cookie", "u64@0+1"],
  [["x86"], "_llseek", "offset", "s64@2+1"],
  [["x86"], "preadv", "offset", "s64@3+4"],
  [["x86"], "preadv2", "flags", "s32@5"],
  [["x86_64", "aarch64"], "preadv2", "flags", "s32@5"],
  [["x32"], "preadv2", "flags", "s32@4"],
  [wide, "preadv", "offset", "s64@3"],
  [["x86_64"], "pread64", "offset", "s64@3"],
  // Ids that were 16 bits once.
  [["x86"], "setuid", "uid", "u16@0"],
  [["x86"], "setuid32", "uid", "u32@0"],
  [wide, "setuid", "uid", "u32@0"],
  [["x86"], "chown", "owner", "u16@1"],
  [["x86"], "chown32", "group", "u32@2"],
  [["x86"], "setresgid", "sgid", "u16@2"],
  [["x86"], "setfsuid", "fsuid", "u16@0"],
  [all, "fchownat", "owner", "u32@2"],
  // What a call lacks.
  [["x86"], "umount", "flags", "s32=0"],
  [["x86"], "waitpid", "rusage", "p32=0"],
  [["x86"], "umount2", "flags", "s32@1"],
  // x32's own entries are compat entries, the others are those of x86_64.
  [["x32"], "kexec_load", "flags", "u32@3"],
  [["x86_64"], "kexec_load", "flags", "u64@3"],
  [["x32"], "execve", "pathname", "p64@0"],
  [["x32"], "write", "count", "u64@2"],
  [all, "openat", "dirfd", "s32@0"],
  [all, "openat", "dfd", "s32@0"],
  [["x86"], "fstatat64", "dirfd", "s32@0"],
];

test("what the kernel reads of an argument, and where it stands", () => {
  for (const [abiNames, call, name, expected] of facts) {
    for (const abi of abiNames) {
      const found = brief(argumentNamed(syscallByName(abi, call)?.args ?? [], name));
      const here = abi === "x86" || abiNames.length === 1 ? expected : expected.replace(/^p32/, "p64");
      assert.equal(found, here, `${abi} ${call}(${name})`);
    }
  }
});

test("names of manual pages, with the kernel's as aliases", () => {
  const names = (call: string) => {
    const args = syscallByName("x86_64", call)?.args ?? [];
    return args.map((arg) => [arg.name, ...arg.aliases].join("/")).join(" ");
  };
  assert.equal(names("socket"), "domain/family type protocol");
  assert.equal(names("openat"), "dirfd/dfd pathname/path/filename flags mode");
  assert.equal(names("fcntl"), "fd cmd arg");
  assert.equal(names("mount"), "source/dev_name target/dir_name filesystemtype/type mountflags/flags data");
  assert.equal(names("setsockopt"), "sockfd/fd level optname optval optlen");
  assert.equal(
    names("clone"),
    "flags/clone_flags stack/newsp parent_tid/parent_tidptr/ptid child_tid/child_tidptr/ctid tls",
  );
  assert.equal(names("keyctl"), "operation/option/cmd/op arg2 arg3 arg4 arg5");
  assert.equal(names("mmap"), "addr length/len prot flags fd offset/off");
  assert.equal(names("unshare"), "flags/unshare_flags");
});

test("socketcall: codes of linux/net.h, everything in memory", () => {
  const expected =
    "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";
  const calls = multiplexedOf("x86").filter(({ multiplexer }) => multiplexer === "socketcall");
  assert.deepEqual(
    calls.map(({ name }) => name),
    expected.split(" "),
  );
  calls.forEach((call, i) => {
    assert.equal(call.code, i + 1);
    assert.deepEqual(call.selector, { index: 0, mask: 0xffff_ffff });
    for (const arg of call.args)
      assert.ok(arg.place.kind === "memory" || arg.place.kind === "constant", call.name);
  });
});

test("ipc: codes of linux/ipc.h, arguments where they stand", () => {
  const calls = multiplexedOf("x86").filter(({ multiplexer }) => multiplexer === "ipc");
  const rows = calls.map(
    (call) => `${call.code} ${call.name} ${call.args.map((arg) => `${arg.name}:${brief(arg)}`).join(" ")}`,
  );
  assert.deepEqual(rows, [
    "1 semop semid:s32@1 sops:p32@4 nsops:u32@2",
    "2 semget key:s32@1 nsems:s32@2 semflg:s32@3",
    "3 semctl semid:s32@1 semnum:s32@2 cmd:s32@mem arg:s32@mem",
    "4 semtimedop semid:s32@1 sops:p32@4 nsops:u32@2 timeout:p32@5",
    "11 msgsnd msqid:s32@1 msgp:p32@4 msgsz:s32@2 msgflg:s32@3",
    "12 msgrcv msqid:s32@1 msgp:p32@mem msgsz:s32@2 msgtyp:s32@mem msgflg:s32@3",
    "13 msgget key:s32@1 msgflg:s32@2",
    "14 msgctl msqid:s32@1 cmd:s32@mem buf:p32@4",
    "21 shmat shmid:s32@1 shmaddr:p32@4 shmflg:s32@2",
    "22 shmdt shmaddr:p32@4",
    "23 shmget key:s32@1 size:u32@2 shmflg:s32@3",
    "24 shmctl shmid:s32@1 cmd:s32@mem buf:p32@4",
  ]);
  for (const call of calls) assert.deepEqual(call.selector, { index: 0, mask: 0xffff });
});

test("numbers that every policy meets", () => {
  const numbers: readonly (readonly [AbiName, string, number | undefined])[] = [
    ["x86_64", "read", 0],
    ["x86_64", "openat", 257],
    ["x86_64", "clone3", 435],
    ["x86", "socketcall", 102],
    ["x86", "mmap", 90],
    ["x86", "setuid32", 213],
    ["x86", "accept", undefined],
    ["x32", "ioctl", 0x4000_0202],
    ["x32", "read", 0x4000_0000],
    ["aarch64", "openat", 56],
    ["aarch64", "open", undefined],
  ];
  for (const [abi, call, nr] of numbers) assert.equal(syscallNumber(abi, call), nr, `${abi} ${call}`);
});

test("first releases, later where an ABI got the number later", () => {
  const releases: readonly (readonly [AbiName, string, string])[] = [
    ["x86_64", "openat", "2.6.16"],
    ["x86_64", "socket", "2.0"],
    ["x86", "socket", "4.3"],
    ["x86", "shmget", "5.1"],
    ["x86", "futex_time64", "5.1"],
    ["x86_64", "clone3", "5.3"],
    ["x86_64", "mseal", "6.10"],
    ["aarch64", "kexec_file_load", "5.0"],
    ["x86_64", "listns", "6.19"],
  ];
  for (const [abi, call, release] of releases) {
    const since = syscallByName(abi, call)?.since;
    assert.equal(since && formatVersion(since), release, `${abi} ${call}`);
  }
});

test("twins", () => {
  assert.deepEqual(twinsOf("setuid"), ["setuid", "setuid32"]);
  assert.deepEqual(twinsOf("stat64"), ["stat64", "stat", "oldstat"]);
  assert.deepEqual(twinsOf("clock_gettime64"), ["clock_gettime64", "clock_gettime"]);
  assert.deepEqual(twinsOf("futex_time64"), ["futex_time64", "futex"]);
  assert.deepEqual(twinsOf("umount"), ["umount", "umount2"]);
  assert.deepEqual(twinsOf("sendto"), ["sendto", "send"]);
  for (const name of ["open", "dup", "getdents", "clone", "eventfd", "accept", "signal", "vm86old"]) {
    assert.deepEqual(twinsOf(name), [name]);
  }
});
