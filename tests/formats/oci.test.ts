// OCI profiles: what runc and libseccomp make of them, entry by entry.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { compile } from "../../src/compiler/index.ts";
import { type ReadOptions, readPolicy } from "../../src/formats/index.ts";
import { printAction } from "../../src/policy/action.ts";
import { type Call, evaluate } from "../../src/policy/evaluate.ts";
import type { Policy } from "../../src/policy/types.ts";

const target = "x86_64";

function read(profile: unknown, options: ReadOptions = {}): Policy {
  const { policy, diagnostics } = readPolicy(JSON.stringify(profile), { target, ...options });
  assert.ok(policy, diagnostics.map((one) => one.message).join("\n"));
  return policy;
}

function answer(
  policy: Policy,
  syscall: string | number,
  args: readonly bigint[] = [],
  abi: Call["abi"] = target,
): string {
  return printAction(evaluate(policy, { abi, syscall, args }, { target }).action);
}

const entry = (names: string, action: string, rest: object = {}): object => ({
  names: names.split(" "),
  action: `SCMP_ACT_${action}`,
  ...rest,
});
const profile = (...syscalls: readonly object[]): object => ({ defaultAction: "SCMP_ACT_ERRNO", syscalls });
const arg = (index: number, op: string, value: number, valueTwo = 0): object => ({
  index,
  op: `SCMP_CMP_${op}`,
  value,
  valueTwo,
});

describe("OCI profiles", () => {
  test("actions and their numbers", () => {
    const policy = read({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 38,
      syscalls: [
        entry("read", "ALLOW"),
        entry("write", "ERRNO", { errnoRet: 13 }),
        entry("open", "ERRNO"),
        entry("close", "KILL"),
        entry("stat", "KILL_PROCESS"),
        entry("fstat", "TRAP"),
        entry("lstat", "TRACE", { errnoRet: 7 }),
        entry("poll", "LOG"),
        entry("lseek", "NOTIFY"),
        entry("mmap", "ERRNO", { errno: "EACCES" }),
      ],
    });
    const names = [
      "read",
      "write",
      "open",
      "close",
      "stat",
      "fstat",
      "lstat",
      "poll",
      "lseek",
      "mmap",
      "brk",
    ];
    assert.deepEqual(
      names.map((name) => answer(policy, name)),
      [
        "allow",
        "errno(EACCES)",
        "deny",
        "kill-thread",
        "kill",
        "trap",
        "trace(7)",
        "log",
        "notify",
        "errno(EACCES)",
        "errno(ENOSYS)",
      ],
    );
    assert.equal(answer(policy, 1_000), "errno(ENOSYS)", "numbers without a name get the default action");
    assert.equal(answer(policy, "read", [], "x86"), "kill-thread", "other ABIs");
  });

  test("arguments are whole registers", () => {
    const policy = read(
      profile(
        entry("socket", "ALLOW", { args: [arg(0, "EQ", 1)] }),
        entry("clone", "ALLOW", { args: [arg(0, "MASKED_EQ", 0xf0, 0x1ff)] }),
      ),
    );
    assert.equal(answer(policy, "socket", [1n]), "allow");
    assert.equal(answer(policy, "socket", [0x1_0000_0001n]), "deny");
    assert.equal(answer(policy, "clone", [0xf0fn | 0xf0n]), "allow", "the value is masked too");
    assert.equal(answer(policy, "clone", [0xe0n]), "deny");
  });

  test("several arguments are AND; one twice makes each an entry of its own", () => {
    const both = read(profile(entry("socket", "ALLOW", { args: [arg(0, "EQ", 1), arg(1, "EQ", 2)] })));
    assert.deepEqual([answer(both, "socket", [1n, 2n]), answer(both, "socket", [1n, 3n])], ["allow", "deny"]);
    const either = read(
      profile(entry("socket", "ALLOW", { args: [arg(0, "EQ", 1), arg(0, "EQ", 2), arg(1, "EQ", 9)] })),
    );
    assert.deepEqual(
      [
        [1n, 0n],
        [2n, 0n],
        [7n, 9n],
        [7n, 0n],
      ].map((args) => answer(either, "socket", args)),
      ["allow", "allow", "allow", "deny"],
    );
  });

  test("an entry without arguments wins, wherever it stands; one with the default action says nothing", () => {
    const policy = read(
      profile(
        entry("socket", "KILL", { args: [arg(0, "EQ", 1)] }),
        entry("socket", "ALLOW"),
        entry("personality", "ERRNO", { errnoRet: 1 }),
        entry("personality", "LOG"),
      ),
    );
    assert.equal(answer(policy, "socket", [1n]), "allow");
    assert.equal(answer(policy, "personality"), "log");
  });

  test("a name is no more than itself, but on x86 also its code behind socketcall", () => {
    const policy = read({
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      syscalls: [entry("setuid", "ALLOW"), entry("socket", "ALLOW", { args: [arg(0, "EQ", 1)] })],
    });
    assert.deepEqual(
      [answer(policy, "setuid", [], "x86"), answer(policy, "setuid32", [], "x86")],
      ["allow", "deny"],
    );
    assert.deepEqual(
      [answer(policy, "socket", [2n], "x86"), answer(policy, "socketcall", [1n], "x86")],
      ["deny", "allow"],
    );
    assert.equal(answer(policy, "socketcall", [2n], "x86"), "deny");
  });

  test("includes and excludes by machine, kernel and capability", () => {
    const file = profile(
      entry("read", "ALLOW", { includes: { arches: ["amd64"] } }),
      entry("write", "ALLOW", { excludes: { arches: ["amd64"] } }),
      entry("open", "ALLOW", { includes: { minKernel: "6.0" } }),
      entry("close", "ALLOW", { includes: { caps: ["CAP_SYS_ADMIN"] } }),
      entry("stat", "ALLOW", { excludes: { caps: ["CAP_SYS_ADMIN"] } }),
    );
    const names = ["read", "write", "open", "close", "stat"];
    const answers = (options: ReadOptions): readonly string[] => {
      const policy = read(file, options);
      return names.map((name) => answer(policy, name));
    };
    assert.deepEqual(answers({ kernel: "5.15.0-1" }), ["allow", "deny", "deny", "deny", "allow"]);
    assert.deepEqual(answers({ kernel: "6.1", capabilities: ["CAP_SYS_ADMIN"] }), [
      "allow",
      "deny",
      "allow",
      "allow",
      "deny",
    ]);
  });

  test("the machine's sub-architectures from archMap", () => {
    const archMap = [
      { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
      { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
    ];
    assert.deepEqual(read({ ...profile(entry("read", "ALLOW")), archMap }).syscalls.abis, [
      "x86_64",
      "x86",
      "x32",
    ]);
    assert.deepEqual(read({ ...profile(entry("read", "ALLOW")) }).syscalls.abis, ["x86_64"]);
  });

  test("the more particular test decides where two entries match", () => {
    const policy = read(
      profile(
        entry("socket", "ALLOW", { args: [arg(0, "GT", 1)] }),
        entry("socket", "KILL", { args: [arg(0, "EQ", 3)] }),
      ),
    );
    assert.deepEqual(
      [answer(policy, "socket", [3n]), answer(policy, "socket", [4n])],
      ["kill-thread", "allow"],
    );
  });

  test("entries that exclude each other, or say the same, are not warned of", () => {
    const apart = profile(
      entry("socket", "ALLOW", { args: [arg(0, "LE", 1)] }),
      entry("socket", "KILL", { args: [arg(0, "GT", 1)] }),
      entry("clone", "LOG", { args: [arg(0, "MASKED_EQ", 3, 1)] }),
      entry("clone", "KILL", { args: [arg(0, "MASKED_EQ", 1, 0)] }),
      entry("ioctl", "LOG", { args: [arg(1, "EQ", 3), arg(0, "EQ", 1)] }),
      entry("ioctl", "KILL", { args: [arg(1, "EQ", 4)] }),
      entry("prctl", "LOG", { args: [arg(0, "EQ", 3)] }),
      entry("prctl", "LOG", { args: [arg(1, "NE", 4)] }),
    );
    assert.deepEqual(readPolicy(JSON.stringify(apart), { target }).diagnostics, []);
  });

  test("the profile of a bundle's config.json", () => {
    assert.equal(
      answer(read({ ociVersion: "1.0.2", linux: { seccomp: profile(entry("read", "ALLOW")) } }), "read"),
      "allow",
    );
  });

  const rows: readonly (readonly [what: string, profile: object, severity: string, message: RegExp])[] = [
    [
      "an unknown name",
      profile(entry("raed", "ALLOW")),
      "warning",
      /no system call "raed": this name decides nothing/,
    ],
    ["an unknown action", profile(entry("read", "ALOW")), "error", /no action "SCMP_ACT_ALOW"/],
    [
      "an unknown comparison",
      profile(entry("read", "ALLOW", { args: [arg(0, "IN", 1)] })),
      "error",
      /no comparison/,
    ],
    [
      "an index out of range",
      profile(entry("read", "ALLOW", { args: [arg(6, "EQ", 1)] })),
      "error",
      /index is a number from 0 to 5/,
    ],
    [
      "an unknown architecture",
      { ...profile(entry("read", "ALLOW")), architectures: ["amd65"] },
      "error",
      /no architecture "amd65"/,
    ],
    [
      "entries that overlap with different actions",
      profile(
        entry("socket", "ALLOW", { args: [arg(0, "GT", 1)] }),
        entry("socket", "KILL", { args: [arg(0, "NE", 3)] }),
      ),
      "warning",
      /which of the entries on socket decides/,
    ],
    ["a misspelt key", profile(entry("read", "ALLOW", { arg: [] })), "warning", /no key "arg"/],
    ["an entry without names", profile({ action: "SCMP_ACT_ALLOW" }), "error", /names no system call/],
    [
      "syscalls that is no list",
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: {} },
      "error",
      /syscalls is a list/,
    ],
  ];
  for (const [what, file, severity, message] of rows) {
    test(`${what} is a diagnostic`, () => {
      const { diagnostics } = readPolicy(JSON.stringify(file), { target });
      assert.match(
        diagnostics.map((one) => `${one.severity} ${one.message}`).join("\n"),
        new RegExp(`${severity} .*(${message.source})`),
      );
    });
  }

  test("the profiles of moby, podman and the bench are read and compiled", () => {
    const root = join(import.meta.dirname, "..", "..", "..");
    const folders = [join(root, "bench", "policies"), "/work/shared/bench-policies", "/work/shared/profiles"];
    const files = folders
      .filter((folder) => existsSync(folder))
      .flatMap((folder) =>
        readdirSync(folder)
          .filter((name) => name.endsWith(".json") && name !== "frequencies.json")
          .map((name) => join(folder, name)),
      );
    assert.ok(files.length > 0);
    for (const file of files) {
      const { policy, diagnostics } = readPolicy(readFileSync(file, "utf8"), { target, filename: file });
      assert.deepEqual(
        diagnostics.filter((one) => one.severity === "error"),
        [],
      );
      assert.ok(policy !== undefined && compile(policy, { target }).instructions.length > 5);
    }
  });
});
