import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AbiName,
  abiByName,
  abis,
  constantNames,
  constantsNamed,
  constantValue,
  errnoName,
  errnoNumber,
  isConstant,
} from "../../src/syscalls/index.ts";
import { rows as constants } from "../../src/syscalls/tables/constants.ts";
import { rows as aarch64 } from "../../src/syscalls/tables/constants_aarch64.ts";
import { rows as arm } from "../../src/syscalls/tables/constants_arm.ts";
import { rows as loongarch64 } from "../../src/syscalls/tables/constants_loongarch64.ts";
import { rows as mips } from "../../src/syscalls/tables/constants_mips.ts";
import { rows as mips64 } from "../../src/syscalls/tables/constants_mips64.ts";
import { rows as mips64n32 } from "../../src/syscalls/tables/constants_mips64n32.ts";
import { rows as ppc64le } from "../../src/syscalls/tables/constants_ppc64le.ts";
import { rows as riscv64 } from "../../src/syscalls/tables/constants_riscv64.ts";
import { rows as s390x } from "../../src/syscalls/tables/constants_s390x.ts";
import { rows as x32 } from "../../src/syscalls/tables/constants_x32.ts";
import { rows as x86 } from "../../src/syscalls/tables/constants_x86.ts";

const first: readonly AbiName[] = ["x86_64", "x86", "x32", "aarch64"];

/** Name, and the value on these; one where it is the same on all. */
const facts: Readonly<Record<string, readonly (bigint | undefined)[]>> = {
  AF_UNIX: [1n],
  AF_VSOCK: [40n],
  SOCK_STREAM: [1n],
  SOCK_CLOEXEC: [0o2000000n],
  SYS_SOCKET: [1n],
  SYS_SENDMMSG: [20n],
  CLONE_NEWUSER: [0x1000_0000n],
  CLONE_IO: [0x8000_0000n],
  CLONE_INTO_CGROUP: [0x2_0000_0000n],
  O_DIRECT: [16384n, 16384n, 16384n, 65536n],
  O_DIRECTORY: [65536n, 65536n, 65536n, 16384n],
  O_LARGEFILE: [0o100000n, 0o100000n, 0o100000n, 0o400000n],
  AT_FDCWD: [-100n],
  PROT_EXEC: [4n],
  MAP_ANONYMOUS: [32n],
  MAP_32BIT: [64n, 64n, 64n, undefined],
  TIOCSTI: [0x5412n],
  TIOCLINUX: [0x541cn],
  FIONBIO: [0x5421n],
  FS_IOC_GETFLAGS: [0x8008_6601n, 0x8004_6601n, 0x8004_6601n, 0x8008_6601n],
  SECCOMP_IOCTL_NOTIF_RECV: [0xc050_2100n],
  PR_SET_NO_NEW_PRIVS: [38n],
  PR_SET_PTRACER_ANY: [2n ** 64n - 1n, 2n ** 32n - 1n, 2n ** 32n - 1n, 2n ** 64n - 1n],
  PTRACE_TRACEME: [0n],
  PTRACE_GETREGS: [12n, 12n, 12n, undefined],
  PER_LINUX32: [8n],
  READ_IMPLIES_EXEC: [0x40_0000n],
  ADDR_NO_RANDOMIZE: [0x4_0000n],
  KEY_SPEC_SESSION_KEYRING: [-3n],
  MS_NOUSER: [0x8000_0000n],
  MNT_DETACH: [2n],
  TCP_ULP: [31n],
  BPF_PROG_LOAD: [5n],
  BPF_PROG_TYPE_KPROBE: [2n],
  IORING_REGISTER_RESTRICTIONS: [11n],
  CAP_SYS_ADMIN: [21n],
  SIGSYS: [31n],
  SIGRTMIN: [32n],
  W_OK: [2n],
  EPERM: [1n],
  ENOTSUP: [95n],
  ARCH_SET_FS: [0x1002n, 0x1002n, 0x1002n, undefined],
};

test("the kernel's values, ABI by ABI", () => {
  for (const [name, values] of Object.entries(facts)) {
    first.forEach((abi, i) => {
      assert.equal(constantValue(abi, name), values.length === 1 ? values[0] : values[i], `${abi} ${name}`);
    });
  }
});

/** The others: a name, and ABIs with the value that they have of their own. */
const others: readonly (readonly [string, bigint | undefined, string])[] = [
  ["O_DIRECTORY", 0o40000n, "arm ppc64le"],
  ["O_DIRECTORY", 0o200000n, "riscv64 s390x loongarch64 mips64 mips64n32 mips mips64el mipsel"],
  ["O_DIRECT", 0o200000n, "arm"],
  ["O_DIRECT", 0o400000n, "ppc64le"],
  ["O_DIRECT", 0o40000n, "riscv64 s390x loongarch64"],
  ["O_DIRECT", 0x8000n, "mips64 mipsel64n32 mips"],
  ["O_CREAT", 0x100n, "mips64 mips64n32 mips mips64el"],
  ["O_CREAT", 0o100n, "arm riscv64 ppc64le s390x loongarch64"],
  ["MAP_ANONYMOUS", 0x800n, "mips mips64"],
  ["MAP_ANONYMOUS", 0x20n, "arm riscv64 ppc64le s390x loongarch64"],
  ["MAP_NORESERVE", 0x40n, "ppc64le"],
  ["MAP_NORESERVE", 0x400n, "mips"],
  ["SOL_SOCKET", 0xffffn, "mips mips64n32"],
  ["SOL_SOCKET", 1n, "arm s390x"],
  ["SO_REUSEADDR", 4n, "mips"],
  ["SO_RCVLOWAT", 16n, "ppc64le"],
  ["SOCK_STREAM", 2n, "mips mips64 mips64n32 mipsel"],
  ["SOCK_DGRAM", 1n, "mips"],
  ["SOCK_STREAM", 1n, "arm ppc64le s390x"],
  ["SOCK_NONBLOCK", 0x80n, "mips64"],
  ["ENOSYS", 89n, "mips mips64 mips64el"],
  ["ENOSYS", 38n, "arm riscv64 ppc64le s390x loongarch64"],
  ["EDEADLK", 45n, "mips"],
  ["EDEADLOCK", 58n, "ppc64le"],
  ["EDQUOT", 1133n, "mips"],
  ["SIGSYS", 12n, "mips"],
  ["SIGCHLD", 18n, "mips64"],
  ["SIGSYS", 31n, "arm s390x"],
  ["SIGRTMAX", 128n, "mips"],
  ["SIGRTMAX", 64n, "s390x"],
  ["TIOCSTI", 0x5472n, "mips mips64"],
  ["TIOCSTI", 0x5412n, "arm ppc64le s390x"],
  ["TIOCGWINSZ", 0x4008_7468n, "ppc64le mips"],
  ["TIOCGWINSZ", 0x5413n, "arm s390x loongarch64"],
  ["FIONBIO", 0x8004_667en, "ppc64le"],
  ["FIONBIO", 0x667en, "mips"],
  ["FS_IOC_GETFLAGS", 0x4008_6601n, "ppc64le mips64"],
  ["FS_IOC_GETFLAGS", 0x4004_6601n, "mips mips64n32"],
  ["FS_IOC_GETFLAGS", 0x8004_6601n, "arm"],
  ["SECCOMP_IOCTL_NOTIF_RECV", 0xc050_2100n, "mips ppc64le arm"],
  ["PTRACE_GETREGS", undefined, "riscv64 s390x loongarch64"],
  ["PR_SET_PTRACER_ANY", 2n ** 32n - 1n, "arm mips mips64n32"],
  ["MAP_32BIT", undefined, "arm riscv64 ppc64le s390x loongarch64 mips64"],
  ["ARCH_SET_FS", undefined, "arm mips"],
  ["MCL_CURRENT", 0x2000n, "ppc64le"],
];

test("the kernel's values on the other ABIs", () => {
  for (const [name, value, where] of others) {
    for (const abi of where.split(" ")) {
      const known = abiByName(abi)?.name;
      assert.ok(known !== undefined, abi);
      assert.equal(constantValue(known, name), value, `${abi} ${name}`);
    }
  }
});

test("the families that policies use are there", () => {
  const families =
    "AF_ PF_ SOCK_ SOL_ SO_ IPPROTO_ TCP_ NETLINK_ MSG_ CLONE_ O_ F_ FD_ AT_ S_I SEEK_ PROT_ MAP_ MADV_ MREMAP_ MCL_ MS_ MNT_ UMOUNT_ PR_ PTRACE_ PER_ TIOC TC FIO SIOC FS_IOC_ FICLONE BLK UFFDIO_ PERF_EVENT_IOC_ TUN SECCOMP_ LOOP_ RND HDIO_ KEYCTL_ KEY_SPEC_ FUTEX_ EPOLL EFD_ TFD_ SFD_ IN_ FAN_ GRND_ MFD_ RENAME_ RWF_ SPLICE_F_ PERF_FLAG_ UFFD_ LANDLOCK_ RESOLVE_ MEMBARRIER_CMD_ BPF_PROG_TYPE_ IORING_SETUP_ IORING_REGISTER_ CAP_ RLIMIT_ CLOCK_ SIG SA_ W P_ IPC_ SHM_ SEM_ SCHED_ IOPRIO_ MPOL_ KEXEC_ LINUX_REBOOT_ SWAP_FLAG_ Q_ AUDIT_ARCH_ STATX_ XATTR_ OPEN_TREE_ MOVE_MOUNT_ FSOPEN_ FSMOUNT_ MOUNT_ATTR_ CLOSE_RANGE_ PKEY_ POSIX_FADV_ LOCK_ PIDFD_ RSEQ_";
  for (const { name: abi } of abis) {
    for (const prefix of families.split(" "))
      assert.ok(constantsNamed(abi, prefix).length > 0, `${abi} ${prefix}`);
  }
});

test("AUDIT_ARCH_ names the ABIs", () => {
  const arch = (abi: string) => abis.find(({ name }) => name === abi)?.arch;
  assert.equal(constantValue("x86_64", "AUDIT_ARCH_X86_64"), BigInt(arch("x86_64") ?? 0));
  assert.equal(constantValue("x86_64", "AUDIT_ARCH_I386"), BigInt(arch("x86") ?? 0));
  assert.equal(constantValue("x86_64", "AUDIT_ARCH_AARCH64"), BigInt(arch("aarch64") ?? 0));
  assert.equal(arch("x32"), arch("x86_64"));
});

test("every name has a value somewhere, and no value has more than 64 bits", () => {
  const names = constantNames();
  assert.ok(names.length > 5000);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) {
    assert.match(name, /^[A-Za-z_][A-Za-z0-9_]*$/);
    assert.ok(isConstant(name), name);
    const values = abis
      .map(({ name: abi }) => constantValue(abi, name))
      .filter((value) => value !== undefined);
    assert.ok(values.length > 0, name);
    for (const value of values) assert.ok(value >= -(2n ** 63n) && value < 2n ** 64n, name);
  }
});

/** Tables that are searched by halves, with an ABI that has the values of each. */
const sortedTables: readonly (readonly [AbiName, string])[] = [
  ["x86_64", constants],
  ["x86", x86],
  ["x32", x32],
  ["aarch64", aarch64],
  ["arm", arm],
  ["riscv64", riscv64],
  ["ppc64le", ppc64le],
  ["s390x", s390x],
  ["loongarch64", loongarch64],
  ["mips64", mips64],
  ["mips64n32", mips64n32],
  ["mips", mips],
];

test("each row of each table is found, and nothing between two of them", () => {
  for (const [abi, table] of sortedTables) {
    assert.match(table, /^\n.*\n$/s);
    const rows = table.trim().split("\n");
    assert.ok(rows.length > 10, abi);
    let before = "";
    for (const row of rows) {
      const [name = "", value = ""] = row.split(" ");
      assert.ok(before < name, `${abi}: ${before} is before ${name}`);
      assert.equal(constantValue(abi, name), value === "-" ? undefined : BigInt(value), `${abi} ${name}`);
      before = name;
    }
  }
  const names = new Set(constantNames());
  for (const name of names)
    for (const other of [`${name}_`, `${name}0`, name.slice(0, -1), name.slice(1)])
      assert.equal(isConstant(other), names.has(other), other);
});

test("what is not known is undefined", () => {
  for (const name of ["", "AF_", "AF_UNIX 1", "NO_SUCH", "constructor", "\nAF_UNIX", "O_DIRECT 16384"]) {
    assert.equal(isConstant(name), false, JSON.stringify(name));
    assert.equal(constantValue("x86_64", name), undefined, JSON.stringify(name));
  }
  assert.deepEqual(constantsNamed("x86_64", "NO_SUCH_"), []);
});

test("constants of a prefix come by value, then by name", () => {
  const first = constantsNamed("x86_64", "AF_").slice(0, 4);
  assert.deepEqual(
    first.map(({ name }) => name),
    ["AF_UNSPEC", "AF_FILE", "AF_LOCAL", "AF_UNIX"],
  );
  assert.deepEqual(
    first.map(({ value }) => value),
    [0n, 1n, 1n, 1n],
  );
});

test("errnos, both ways", () => {
  for (const { name: abi } of abis) {
    assert.equal(errnoNumber(abi, "EPERM"), 1);
    const isMips = abi.startsWith("mips");
    assert.equal(errnoNumber(abi, "ENOSYS"), isMips ? 89 : 38);
    assert.equal(errnoNumber(abi, "EHWPOISON"), isMips ? 168 : 133);
    assert.equal(errnoNumber(abi, "EPOLLIN"), undefined);
    assert.equal(errnoName(abi, 1), "EPERM");
    assert.equal(errnoName(abi, 11), "EAGAIN");
    assert.equal(errnoName(abi, isMips ? 45 : 35), "EDEADLK");
    assert.equal(errnoName(abi, isMips ? 122 : 95), "EOPNOTSUPP");
    assert.equal(errnoName(abi, 0), undefined);
    assert.equal(errnoName(abi, 4095), undefined);
  }
});
