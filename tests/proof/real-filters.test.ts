// Filters of others, read back from their processes: the proof decides them, and tells them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  emulate,
  type Filter,
  filterOf,
  RET_ALLOW,
  RET_K,
  RET_KILL_PROCESS,
  ret,
} from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { writePolicy } from "../../src/formats/write.ts";
import { DecisionMaker } from "../../src/proof/decisions.ts";
import { decompile } from "../../src/proof/decompile.ts";
import { diff } from "../../src/proof/diff.ts";
import { compareStacks } from "../../src/proof/equality.ts";
import { decisionsOfFilter } from "../../src/proof/filter.ts";
import { inspectFilters } from "../../src/proof/inspect.ts";
import { compareStackMembers } from "../../src/proof/stack.ts";
import { syscallByName } from "../../src/syscalls/index.ts";
import { filterNamed, realStacks } from "./corpus.ts";

describe("each real filter", () => {
  test("there are those that are spoken of", () => {
    const names = realStacks.map(({ name }) => name).join();
    for (const whose of ["chromium", "crun", "firejail", "lxc", "man", "runc", "systemd"])
      assert.match(names, new RegExp(whose));
  });
  for (const { name, filters } of realStacks) {
    test(`${name} is decided, equal to itself and not to what is changed`, () => {
      const members = filters.map((filter) => ({ filter }));
      assert.equal(compareStackMembers(members, [...members, ...members]).verdict, "equal");
      assert.deepEqual(diff(filters, [...filters, ...filters]), []);
      // In the newest, one that refuses lets pass instead: the last of those that some call comes to.
      const newest = filters[filters.length - 1];
      assert.ok(newest !== undefined);
      const found = [...newest.instructions.entries()].reverse().some(([at, step]) => {
        if (step.code !== RET_K || step.k === RET_ALLOW) return false;
        const changed = filterOf(newest.instructions.with(at, ret(RET_ALLOW)));
        const verdict = compareStackMembers([{ filter: newest }], [{ filter: changed }]).verdict;
        const differences = diff(newest, changed);
        assert.equal(verdict, differences.length === 0 ? "equal" : "different");
        assert.ok(differences.every((one) => one.milder));
        return differences.length > 0;
      });
      assert.ok(found);
    });

    // The bounds that keep a comparison to a second or two are at least twice as far away.
    test(`${name} is compared in few steps`, () => {
      const maker = new DecisionMaker();
      const [first, second] = [filters, [...filters, ...filters].reverse()].map((members) =>
        members.map(({ instructions }) => decisionsOfFilter(instructions, maker)),
      );
      assert.ok(first !== undefined && second !== undefined);
      assert.equal(compareStacks(first, second, { budget: 30_000 }).verdict, "equal");
    });

    test(`${name} is told as the emulator runs it`, () => {
      for (const { abi, always } of inspectFilters(filters, "x86_64").abis) {
        for (const call of always["allow"] ?? []) {
          const nr = syscallByName(abi, call)?.nr ?? -1;
          const arch = abi === "x86" ? 0x4000_0003 : 0xc000_003e;
          for (const value of [0n, 1n, 0xffff_ffff_ffff_ffffn, 0x1_0000_0000n])
            for (const { instructions } of filters)
              assert.equal(
                emulate(instructions, { nr, arch, args: new Array<bigint>(6).fill(value) }),
                RET_ALLOW,
              );
        }
      }
    });
  }
});

test("the weaknesses of real filters are told, and their witnesses pass", () => {
  const ids = (...files: readonly string[]): readonly string[] =>
    inspectFilters(
      files.map((file) => filterNamed(file)),
      "x86_64",
    ).weaknesses.map((one) => one.id);
  assert.ok(ids("firejail-1", "firejail-2").includes("unknown-numbers"));
  assert.ok(ids("firejail-1", "firejail-2").includes("x86-open"));
  const runc = inspectFilters([filterNamed("runc")], "x86_64");
  const wide = runc.weaknesses.find((one) => one.id === "wide-compare" && one.message.includes("socket"));
  assert.match(wide?.witness ?? "", /^socket\(AF_VSOCK \+ 2\^32/);
});

test("conditions are told as a person would: what is let pass first, and the others without the exception", () => {
  for (const file of ["chromium-renderer", "chromium-utility"]) {
    const [native] = inspectFilters([filterNamed(file)], "x86_64").abis;
    const thread =
      "CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID";
    assert.deepEqual(native?.conditional.find(({ syscall }) => syscall === "clone")?.cases, [
      { condition: `args[0] == ${thread}`, action: "allow" },
      {
        condition:
          "(flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM || (flags & (CLONE_VM | CLONE_THREAD)) == CLONE_THREAD",
        action: "trap(4)",
      },
      { condition: "else", action: "errno(EPERM)" },
    ]);
  }
});

test("bits that may be set are told as such, and lists by what takes fewer values", () => {
  const told = (file: string, abi: number, syscall: string): string | undefined => {
    const { abis } = inspectFilters([filterNamed(file)], "x86_64");
    const cases = abis[abi]?.conditional.find((one) => one.syscall === syscall)?.cases;
    return cases?.find(({ action }) => action === "allow")?.condition;
  };
  assert.equal(told("chromium-renderer", 0, "getrandom"), "args[2] within GRND_NONBLOCK | GRND_INSECURE");
  assert.match(told("chromium-renderer", 0, "mmap") ?? "", /^flags within MAP_SHARED_VALIDATE \| /);
  const personas = "{PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26, 0xffffffff}";
  assert.equal(told("crun-docker3", 0, "personality"), `args[0] in ${personas}`);
  assert.equal(told("crun-docker3", 1, "personality"), `persona in ${personas}`);
});

test("kinds of sockets and files are told by their mask, protocols and options by their domain and level", () => {
  const { policy } = readPolicy('version = 1\nextends = ["container"]\n', { target: "x86_64" });
  assert.ok(policy !== undefined);
  const [native] = inspectFilters([compile(policy, { target: "x86_64" })], "x86_64").abis;
  const told = (syscall: string): readonly string[] =>
    native?.conditional.find((one) => one.syscall === syscall)?.cases.map(({ condition }) => condition) ?? [];
  assert.deepEqual(told("socket"), [
    "domain in {AF_INET, AF_INET6} && (type & SOCK_TYPE_MASK) not in {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW}",
    "domain == AF_NETLINK && protocol not in {NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_AUDIT, NETLINK_KOBJECT_UEVENT, NETLINK_GENERIC} || domain in {AF_INET, AF_INET6} && (type & SOCK_TYPE_MASK) in {SOCK_STREAM, SOCK_DGRAM} && protocol not in {IPPROTO_IP, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6}",
    "domain in {AF_UNIX, AF_INET, AF_INET6, AF_PACKET} || domain == AF_NETLINK && protocol != NETLINK_AUDIT",
    "else",
  ]);
  assert.ok(told("setsockopt").includes("level == SOL_TCP && optname == TCP_ULP"));
  const without = readPolicy(
    'version = 1\n[syscalls]\nrules = "deny mknod(mode & S_IFMT not in {0, S_IFREG, S_IFIFO, S_IFSOCK})\\nallow *"\n',
    { target: "x86_64" },
  );
  assert.ok(without.policy !== undefined);
  const [said] = diff(compile(without.policy, { target: "x86_64" }), filterOf([ret(RET_ALLOW)])).filter(
    ({ syscall, abi }) => syscall === "mknod" && abi === "x86_64",
  );
  assert.equal(said?.condition, "(mode & S_IFMT) not in {0, S_IFIFO, S_IFREG, S_IFSOCK}");
});

// What is left of many outcomes is told by itself, where that is shorter than what the others are not.
test("what is left is told by itself in a difference", () => {
  const { policy } = readPolicy('version = 1\nextends = ["container"]\n', { target: "x86_64" });
  assert.ok(policy !== undefined);
  const conditions = diff(compile(policy, { target: "x86_64" }), filterOf([ret(RET_KILL_PROCESS)]))
    .filter(({ syscall, abi }) => syscall === "socket" && abi === "x86_64")
    .map(({ condition }) => condition);
  assert.ok(
    conditions.includes(
      "domain not in {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET} || domain == AF_NETLINK && protocol == NETLINK_AUDIT",
    ),
  );
});

/** The conditions of a call on an ABI, in their order. */
function conditionsOf(files: readonly Filter[], abi: number, syscall: string): readonly string[] {
  const found = inspectFilters(files, "x86_64").abis[abi]?.conditional.find((one) => one.syscall === syscall);
  return found?.cases.map(({ condition }) => condition) ?? [];
}

test("a register that has to hold a 32-bit value is said to, and not which values are none", () => {
  const renderer = [filterNamed("chromium-renderer")];
  assert.deepEqual(conditionsOf(renderer, 0, "kill"), ["args[0] == 1", "args[0] fits in 32 bits", "else"]);
  assert.equal(
    conditionsOf(renderer, 0, "setsockopt")[1],
    "args[1] fits in 32 bits && args[1] != SOL_SOCKET || args[1] == SOL_SOCKET && args[2] fits in 32 bits",
  );
  // A policy cannot say it in these words.
  const policy = writePolicy(decompile(renderer, { lost: () => undefined }), "toml");
  assert.match(policy.text, /^trap\(5\) kill\(args\[0\] not in \{0x100000000\.\.0xffffffff7fffffff\}\)$/m);
});

test("modes are told by their 16 bits and their names, flags with the few bits that have none", () => {
  const service = realStacks.find(({ name }) => name === "systemd-service")?.filters ?? [];
  assert.deepEqual(conditionsOf(service, 0, "chmod"), [
    "(mode & (S_ISGID | S_ISUID)) == 0",
    "mode & (S_ISGID | S_ISUID)",
  ]);
  assert.match(conditionsOf(service, 0, "clone")[0] ?? "", /^\(flags & \(CLONE_NEWNS \| .* \| 128\)\) == 0$/);
  const man = [filterNamed("man")];
  assert.deepEqual(
    conditionsOf(man, 1, "ipc")[0],
    "call in {SHMDT, SHMGET} || call == SHMAT && second == 0x1000 || call == SHMCTL && first == 2",
  );
});

test("an ABI of which all calls get one answer is said in one rule, and first", () => {
  const policy = writePolicy(
    decompile([filterNamed("chromium-renderer")], { lost: () => undefined }),
    "toml",
  );
  assert.match(policy.text, /^rules = '''\ntrap\(9\) x32:\*$/m);
  assert.equal(policy.text.match(/x32:/g)?.length, 1);
});
