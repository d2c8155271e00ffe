/**
 * Filters for other machines, run on calls as these machines' kernels lay them out. Compiler and proof share where
 * an argument lies (policy/resolve.ts), so that neither sees a mistake in it: the layout and the machine here are
 * written anew, from linux/seccomp.h and from what each kernel's system-call entry does, and use nothing of src/bpf.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compile } from "../../src/compiler/index.ts";
import { emulate } from "../../src/emulate.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { resolve, selectAbis } from "../../src/policy/resolve.ts";
import type { Policy } from "../../src/policy/types.ts";
import { type AbiName, abiByName, abis, syscallNumber } from "../../src/syscalls/index.ts";

/** `struct seccomp_data`: int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]. In the machine's order. */
function seccompData(abi: AbiName, nr: number, args: readonly bigint[]): DataView {
  const { arch, endian } = abiByName(abi) ?? assert.fail(abi);
  const little = endian === "little";
  const view = new DataView(new ArrayBuffer(64));
  view.setInt32(0, nr | 0, little);
  view.setUint32(4, arch, little);
  for (const [index, value] of args.entries())
    view.setBigUint64(16 + 8 * index, BigInt.asUintN(64, value), little);
  return view;
}

/** Runs a filter's bytes as a machine of that order does: sock_filter { u16 code; u8 jt; u8 jf; u32 k }. */
function run(bytes: Uint8Array, data: DataView, little: boolean): number {
  const program = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let accumulator = 0;
  for (let at = 0; at < bytes.byteLength / 8; at++) {
    const code = program.getUint16(8 * at, little);
    const k = program.getUint32(8 * at + 4, little);
    const jump = (holds: boolean): number => program.getUint8(8 * at + (holds ? 2 : 3));
    if (code === 0x20) accumulator = data.getUint32(k, little);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += jump(accumulator === k);
    else if (code === 0x25) at += jump(accumulator > k);
    else if (code === 0x35) at += jump(accumulator >= k);
    else if (code === 0x45) at += jump((accumulator & k) !== 0);
    else if (code === 0x06) return k;
    else assert.fail(`instruction 0x${code.toString(16)}`);
  }
  return assert.fail("the program has no end");
}

const allow = 0x7fff_0000;
const errnoValue = 0x0005_0000;

function policyFor(abi: AbiName, rules: string, head = ""): Policy {
  const text = `version = 1\n[syscalls]\ndefault = "errno(7)"\nabis = ["native"]\n${head}rules = '''\n${rules}\n'''\n`;
  const { policy, diagnostics } = readPolicy(text, { target: abi });
  assert.ok(policy !== undefined, diagnostics.map((one) => one.message).join("\n"));
  return policy;
}

/** A call's decision, by the machine above and by emulate(); they have to agree. */
function decide(policy: Policy, abi: AbiName, name: string, args: readonly bigint[]): number {
  const filter = compile(policy, { target: abi });
  const nr = syscallNumber(abi, name) ?? assert.fail(`${abi} has no ${name}`);
  const { arch, endian } = abiByName(abi) ?? assert.fail(abi);
  const returned = run(filter.bytes, seccompData(abi, nr, args), endian === "little");
  assert.equal(emulate(filter, { nr, arch, args }), returned, `${abi} ${name}`);
  return returned;
}

/** Some other bits in the half of a word that the kernel does not read. */
const garbage = 0xdead_beef_0000_0000n;
const all = abis.map(({ name }) => name);
const wide = abis.filter(({ bits }) => bits === 64).map(({ name }) => name);

describe("an int is compared in the half that the kernel reads", () => {
  for (const abi of all) {
    test(abi, () => {
      const policy = policyFor(abi, "allow ioctl(request == 0x5412)");
      const name = "ioctl";
      assert.equal(decide(policy, abi, name, [0n, 0x5412n, 0n]), allow);
      assert.equal(decide(policy, abi, name, [0n, 0x5412n | garbage, 0n]), allow);
      assert.equal(decide(policy, abi, name, [0n, 0x5413n, 0n]), errnoValue | 7);
      assert.equal(decide(policy, abi, name, [0n, 0x5412n << 32n, 0n]), errnoValue | 7);
    });
  }
});

describe("a long is compared whole, high half first", () => {
  for (const abi of wide) {
    test(abi, () => {
      const policy = policyFor(abi, "allow mprotect(prot == 1), munmap(length <= 0x1_0000_0005)");
      assert.equal(decide(policy, abi, "mprotect", [0n, 0n, 1n]), allow);
      assert.equal(decide(policy, abi, "mprotect", [0n, 0n, 1n << 32n]), errnoValue | 7);
      assert.equal(decide(policy, abi, "mprotect", [0n, 0n, (1n << 32n) | 1n]), errnoValue | 7);
      assert.equal(decide(policy, abi, "munmap", [0n, 0x1_0000_0005n]), allow);
      assert.equal(decide(policy, abi, "munmap", [0n, 0x1_0000_0006n]), errnoValue | 7);
      assert.equal(decide(policy, abi, "munmap", [0n, 0xffff_ffffn]), allow);
      assert.equal(decide(policy, abi, "munmap", [0n, 0x5_0000_0001n]), errnoValue | 7);
    });
  }
});

describe("clone's flags are where the ABI has them", () => {
  for (const abi of all) {
    test(abi, () => {
      // s390 has the stack first (CONFIG_CLONE_BACKWARDS2); nobody else here.
      const flags = (value: bigint): readonly bigint[] =>
        abi === "s390x" ? [0x7000n, value] : [value, 0x7000n];
      const policy = policyFor(abi, "allow clone(!(flags & CLONE_NEWUSER))");
      assert.equal(decide(policy, abi, "clone", flags(0x11n)), allow);
      assert.equal(decide(policy, abi, "clone", flags(0x1000_0011n)), errnoValue | 7);
      assert.equal(decide(policy, abi, "clone", flags(0x1000_0011n | garbage)), errnoValue | 7);
    });
  }
});

test("values of two words: aligned pairs on arm, two halves of registers on n32", () => {
  const rules = "allow ftruncate64(length <= 0x2_0000_0001), pread64(offset == 0x3_0000_0004)";
  const policy = policyFor("arm", rules);
  // AAPCS: a 64-bit value begins at an even register, so r1 (r3) is a gap and r2, r3 (r4, r5) are low, high.
  assert.equal(decide(policy, "arm", "ftruncate64", [3n, 0xffn, 1n, 2n]), allow);
  assert.equal(decide(policy, "arm", "ftruncate64", [3n, 0xffn, 2n, 2n]), errnoValue | 7);
  assert.equal(decide(policy, "arm", "pread64", [3n, 0n, 8n, 0xffn, 4n, 3n]), allow);
  assert.equal(decide(policy, "arm", "pread64", [3n, 0n, 8n, 4n, 3n, 0n]), errnoValue | 7);
  for (const abi of ["mips64n32", "mipsel64n32"] as const) {
    const vector = policyFor(abi, "allow preadv(offset == 0x3_0000_0004)");
    assert.equal(decide(vector, abi, "preadv", [3n, 0n, 1n, 4n | garbage, 3n | garbage]), allow);
    assert.equal(decide(vector, abi, "preadv", [3n, 0n, 1n, 3n, 4n]), errnoValue | 7);
  }
});

describe("what lies on mips' o32 stack cannot be seen: the strictest of what is possible", () => {
  for (const abi of ["mips", "mipsel"] as const) {
    test(abi, () => {
      // The fourth word is on the stack too, when the call comes through `syscall`.
      const policy = policyFor(
        abi,
        "allow openat(mode == 0), prctl(arg4 == 0), prctl(args[4] == 0), mmap(flags == 1)",
      );
      assert.equal(decide(policy, abi, "openat", [0n, 0n, 0n, 0n]), errnoValue | 7);
      assert.equal(decide(policy, abi, "prctl", [0n, 0n, 0n, 0n, 0n]), errnoValue | 7);
      assert.equal(decide(policy, abi, "mmap", [0n, 0n, 0n, 1n]), errnoValue | 7);
      const denied = policyFor(abi, "deny prctl(args[3] == 5)\nallow prctl");
      assert.equal(decide(denied, abi, "prctl", [0n, 0n, 0n, 0n]), errnoValue | 1);
      const { diagnostics } = resolve(policy, abi);
      assert.ok(diagnostics.some((one) => one.id === "argument-in-memory"));
    });
  }
});

describe("calls behind a multiplexer", () => {
  for (const abi of ["x86", "ppc64le", "s390x", "mips", "mipsel"] as const) {
    test(abi, () => {
      const policy = policyFor(abi, "allow listen, shmget");
      assert.equal(decide(policy, abi, "socketcall", [4n, 0n]), allow);
      assert.equal(decide(policy, abi, "socketcall", [4n | garbage, 0n]), allow);
      assert.equal(decide(policy, abi, "socketcall", [1n, 0n]), errnoValue | 7);
      assert.equal(decide(policy, abi, "ipc", [23n, 1n]), allow);
      // The version stands above the call.
      assert.equal(decide(policy, abi, "ipc", [0x1_0017n, 1n]), allow);
      assert.equal(decide(policy, abi, "ipc", [24n, 1n]), errnoValue | 7);
    });
  }
  test("s390's semtimedop has its timeout in the third word, since its ipc takes five", () => {
    const rules = "allow semtimedop(timeout == 0)";
    const s390x = policyFor("s390x", rules);
    assert.equal(decide(s390x, "s390x", "ipc", [4n, 1n, 1n, 0n, 0x1000n, 9n]), allow);
    assert.equal(decide(s390x, "s390x", "ipc", [4n, 1n, 1n, 9n, 0x1000n, 0n]), errnoValue | 7);
    const ppc64le = policyFor("ppc64le", rules);
    assert.equal(decide(ppc64le, "ppc64le", "ipc", [4n, 1n, 1n, 9n, 0x1000n, 0n]), allow);
    assert.equal(decide(ppc64le, "ppc64le", "ipc", [4n, 1n, 1n, 0n, 0x1000n, 9n]), errnoValue | 7);
  });
});

test("constants and errnos are the ABI's own", () => {
  const rules = "errno(ENOSYS) keyctl\nallow socket(type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK) == SOCK_STREAM)";
  const mips = policyFor("mips64", rules);
  assert.equal(decide(mips, "mips64", "keyctl", []), errnoValue | 89);
  assert.equal(decide(mips, "mips64", "socket", [1n, 2n | 0x80n]), allow);
  assert.equal(decide(mips, "mips64", "socket", [1n, 1n]), errnoValue | 7);
  const s390x = policyFor("s390x", rules);
  assert.equal(decide(s390x, "s390x", "keyctl", []), errnoValue | 38);
  assert.equal(decide(s390x, "s390x", "socket", [1n, 1n | 0x800n]), allow);
  const foreign = compile(policyFor("mips64", "allow read", 'other-abis = "errno(ENOSYS)"\n'), {
    target: "mips64",
  });
  const data = seccompData("mips", 4003, []);
  assert.equal(run(foreign.bytes, data, false), errnoValue | 89);
});

test("a call's twins and numbers", () => {
  const policy = policyFor("arm", "allow sync_file_range(flags == 1), fadvise64(advice == 2), #424");
  assert.equal(decide(policy, "arm", "arm_sync_file_range", [3n, 1n]), allow);
  assert.equal(decide(policy, "arm", "arm_sync_file_range", [3n, 2n]), errnoValue | 7);
  assert.equal(decide(policy, "arm", "arm_fadvise64_64", [3n, 2n]), allow);
  for (const abi of all) {
    const own = policyFor(abi, "allow #424");
    assert.equal(decide(own, abi, "pidfd_send_signal", []), allow, abi);
  }
});

test("all: the ABIs that a machine's kernel serves", () => {
  const selected = (target: AbiName) => selectAbis(["all"], target)?.map(({ name }) => name);
  assert.deepEqual(selected("x86_64"), ["x86_64", "x86", "x32"]);
  assert.deepEqual(selected("aarch64"), ["aarch64", "arm"]);
  assert.deepEqual(selected("arm"), ["aarch64", "arm"]);
  assert.deepEqual(selected("riscv64"), ["riscv64"]);
  assert.deepEqual(selected("ppc64le"), ["ppc64le"]);
  assert.deepEqual(selected("s390x"), ["s390x"]);
  assert.deepEqual(selected("loongarch64"), ["loongarch64"]);
  assert.deepEqual(selected("mips64"), ["mips64", "mips64n32", "mips"]);
  assert.deepEqual(selected("mips64el"), ["mips64el", "mipsel64n32", "mipsel"]);
});

test("one filter for ABIs of both byte orders", () => {
  const text = `version = 1\n[syscalls]\ndefault = "deny"\nabis = ["x86_64", "s390x"]\nrules = "allow mprotect(prot == 1)"\n`;
  const { policy } = readPolicy(text, { target: "x86_64" });
  assert.ok(policy !== undefined);
  const filter = compile(policy, { target: "x86_64" });
  for (const abi of ["x86_64", "s390x"] as const) {
    const { arch } = abiByName(abi) ?? assert.fail(abi);
    const nr = syscallNumber(abi, "mprotect") ?? -1;
    assert.equal(emulate(filter, { nr, arch, args: [0n, 0n, 1n] }), allow);
    assert.equal(emulate(filter, { nr, arch, args: [0n, 0n, 1n << 32n] }), errnoValue | 1);
  }
});

describe("the built-in policies have a proved filter on every ABI", () => {
  for (const abi of all) {
    test(abi, () => {
      for (const name of ["default", "strict", "container"]) {
        const { policy, diagnostics } = readPolicy(`version = 1\nextends = ["${name}"]\n`, { target: abi });
        assert.ok(policy !== undefined, diagnostics.map((one) => one.message).join("\n"));
        const filter = compile(policy, { target: abi });
        const { arch } = abiByName(abi) ?? assert.fail(abi);
        const decided = (call: string): number =>
          emulate(filter, { nr: syscallNumber(abi, call) ?? -1, arch, args: [] });
        assert.equal(decided("read"), allow, name);
        assert.notEqual(decided("init_module"), allow, name);
        assert.notEqual(emulate(filter, { nr: 0x3fff_ffff, arch, args: [] }), allow, name);
      }
    });
  }
});
