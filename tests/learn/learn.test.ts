// From what was watched to a policy, without watching anything.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readPolicy } from "../../src/formats/index.ts";
import {
  addRules,
  describeAddress,
  fileUse,
  fold,
  historyOf,
  learnedRules,
  newPolicyText,
  type Observation,
  readRecords,
  type SeenCall,
  unwatched,
  withHistory,
} from "../../src/learn/index.ts";
import type { Policy } from "../../src/policy/types.ts";
import { type AbiName, syscallNumber } from "../../src/syscalls/index.ts";

let sequence = 1;

function seen(abi: AbiName, name: string, ...args: readonly bigint[]): SeenCall {
  const nr = syscallNumber(abi, name);
  assert.ok(nr !== undefined, name);
  sequence += 1;
  const all = [0, 1, 2, 3, 4, 5].map((index) => args[index] ?? 0n);
  return { abi, nr, args: all, program: "app", pid: 1, first: sequence, last: sequence, count: 1 };
}

function observed(
  calls: readonly SeenCall[],
  paths: readonly (readonly [SeenCall, string])[] = [],
): Observation {
  return {
    calls,
    texts: paths.map(([call, path]) => ({ call, kind: "path", bytes: new TextEncoder().encode(path) })),
    handedUp: calls.length,
    status: 0,
    execError: 0,
    lost: { calls: 0, texts: 0 },
    complete: true,
  };
}

const empty = newPolicyText("app", ["app"], "x86_64");

function read(text: string): Policy {
  const { policy, diagnostics } = readPolicy(text, { target: "x86_64" });
  assert.ok(policy !== undefined, JSON.stringify(diagnostics));
  return policy;
}

function rulesFor(...calls: readonly SeenCall[]): readonly string[] {
  return learnedRules(observed(calls), read(empty), "x86_64").rules.map(({ text }) => text);
}

describe("rules for what was seen", () => {
  test("what is permitted already needs none", () => {
    assert.deepEqual(rulesFor(seen("x86_64", "read"), seen("x86_64", "mmap", 0n, 1n, 3n)), []);
  });

  test("values of one argument are one list", () => {
    assert.deepEqual(rulesFor(seen("x86_64", "ioctl", 0n, 0x5401n), seen("x86_64", "ioctl", 0n, 0x5413n)), [
      "allow ioctl(request in {TCGETS, TIOCGWINSZ})",
    ]);
  });

  test("values of several arguments stay together", () => {
    const rules = rulesFor(
      seen("x86_64", "setsockopt", 3n, 1n, 2n),
      seen("x86_64", "setsockopt", 3n, 1n, 9n),
      seen("x86_64", "setsockopt", 3n, 6n, 1n),
    );
    assert.deepEqual(rules, [
      "allow setsockopt(level == SOL_SOCKET && optname in {SO_REUSEADDR, SO_KEEPALIVE} || level == IPPROTO_TCP && optname == TCP_NODELAY)",
    ]);
  });

  test("flags are a mask of what was ever set", () => {
    assert.deepEqual(
      rulesFor(
        seen("x86_64", "clone", 0x04000011n),
        seen("x86_64", "clone", 0x10900n),
        seen("x86_64", "clone", 0x20000n),
      ),
      ["allow clone(flags within SIGCHLD | CLONE_NEWNS | CLONE_NEWUTS)"],
    );
  });

  test("the same work by another call is derived, with the same condition", () => {
    assert.deepEqual(rulesFor(seen("x86_64", "openat", 0n, 1n, 0o1101n)), [
      "allow openat((flags & (O_ACCMODE | O_CREAT)) == O_WRONLY | O_CREAT)",
      "allow open((flags & (O_ACCMODE | O_CREAT)) == O_WRONLY | O_CREAT)",
    ]);
  });

  test("a 32-bit program gets its ABI; what is behind socketcall has no condition", () => {
    const { rules, abis } = learnedRules(
      observed([seen("x86", "socketcall", 1n, 0x1000n)]),
      read(empty),
      "x86_64",
    );
    assert.deepEqual([rules.map(({ text }) => text), abis], [["allow x86:socket"], ["x86"]]);
  });

  test("a number that no table knows is told, not permitted", () => {
    const call: SeenCall = { ...seen("x86_64", "getpid"), nr: 99_999 };
    const { rules, unknown } = learnedRules(observed([call]), read(empty), "x86_64");
    assert.deepEqual([rules, unknown], [[], [{ abi: "x86_64", nr: 99_999 }]]);
  });

  test("where start-up ends", () => {
    const calls = [seen("x86_64", "bind"), seen("x86_64", "listen"), seen("x86_64", "accept4")];
    const { rules } = learnedRules(observed(calls), read(empty), "x86_64");
    const comment = (call: string): string | undefined => rules.find((rule) => rule.call === call)?.comment;
    assert.equal(comment("bind"), "app ×1, in start-up only");
    assert.equal(comment("accept4"), "app ×1, later");
    assert.equal(comment("accept"), "derived from accept4");
  });

  test("a program's name cannot end the block of rules", () => {
    const evil = { ...seen("x86_64", "bind"), program: "'''\n#\u001b[m" };
    const learned = learnedRules(observed([evil]), read(empty), "x86_64");
    const text = addRules({ name: "x", text: empty }, learned);
    assert.ok(typeof text === "string");
    assert.equal(read(text).syscalls.rules.length, read(empty).syscalls.rules.length + learned.rules.length);
  });
});

describe("the policy's text", () => {
  test("a new policy has no mistakes on any machine", () => {
    for (const target of ["x86_64", "aarch64"] as const) {
      const { diagnostics } = readPolicy(newPolicyText("app", ["app"], target), { target });
      assert.deepEqual(
        diagnostics.filter(({ severity }) => severity === "error"),
        [],
      );
    }
    assert.ok(unwatched.length > 5);
  });

  test("rules are added at the end of the block, ABIs to the list", () => {
    const learned = learnedRules(
      observed([seen("x86", "write"), seen("x86_64", "bind")]),
      read(empty),
      "x86_64",
    );
    const text = addRules({ name: "x", text: empty }, learned);
    assert.ok(typeof text === "string");
    const policy = read(text);
    assert.deepEqual(policy.syscalls.abis, ["native", "x86"]);
    assert.equal(policy.syscalls.rules.length, read(empty).syscalls.rules.length + 2);
  });

  test("a policy without a block of rules is not touched", () => {
    const learned = learnedRules(observed([seen("x86_64", "bind")]), read(empty), "x86_64");
    for (const rules of ["", 'rules = ["allow read"]\n']) {
      const found = addRules({ name: "x", text: `version = 1\n[syscalls]\n${rules}` }, learned);
      assert.ok(typeof found !== "string" && found.problem.includes("rules = '''"));
    }
  });

  test("history", () => {
    assert.deepEqual(historyOf("version = 1\n"), { runs: 0, idle: 0 });
    assert.deepEqual(historyOf(withHistory(empty, { runs: 7, idle: 3 })), { runs: 7, idle: 3 });
  });
});

describe("files and addresses", () => {
  test("many files of a folder are the folder, system folders are whole", () => {
    const many = [...Array(9).keys()].map((index) => `/srv/data/images/${index}.png`);
    assert.deepEqual(fold([...many, "/srv/data/list", "/usr/lib/x/libc.so", "/lib/ld.so", "/etc/passwd"]), [
      "/etc/passwd",
      "/lib",
      "/srv/data/images",
      "/srv/data/list",
      "/usr",
    ]);
  });

  test("what is read, written, secret and volatile", () => {
    const reads = seen("x86_64", "openat", 0n, 0n, 0n);
    const writes = seen("x86_64", "openat", 0n, 0n, 0o101n);
    const use = fileUse(
      observed(
        [],
        [
          [reads, "/etc/./x/../hosts"],
          [reads, "/not/there"],
          [reads, "/home/a/.ssh/id_ed25519"],
          [reads, "/tmp/x1"],
          [writes, "/srv/out/new.txt"],
          [seen("x86_64", "unlink"), "/srv/out/old.txt"],
          [seen("x86_64", "execve"), "/usr/bin/true"],
        ],
      ),
      (path) => path !== "/not/there" && path !== "/srv/out/new.txt",
    );
    assert.deepEqual(use, {
      read: ["/etc/hosts"],
      write: ["/srv/out"],
      secrets: ["/home/a/.ssh/id_ed25519"],
      volatile: ["/tmp/x1"],
      programs: ["/usr/bin/true"],
    });
  });

  test("socket addresses", () => {
    const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
    assert.equal(describeAddress(bytes(2, 0, 0x1f, 0x90, 127, 0, 0, 1)), "127.0.0.1:8080");
    assert.equal(
      describeAddress(bytes(10, 0, 0, 80, 0, 0, 0, 0, ...Array<number>(15).fill(0), 1, 0, 0, 0, 0)),
      "[::1]:80",
    );
    assert.equal(describeAddress(bytes(1, 0, 0x2f, 0x61, 0x1b, 0)), 'unix "/a\\x1b"');
    assert.equal(describeAddress(bytes(1, 0, 0, 0x61)), 'unix "@a"');
    for (const short of [bytes(), bytes(2), bytes(2, 0, 1), bytes(10, 0, 1, 1), bytes(16, 0, 0, 0)])
      assert.equal(describeAddress(short), undefined);
  });
});

test("records that are cut off or make no sense are left out", () => {
  for (let length = 0; length < 200; length += 1) {
    const bytes = new Uint8Array(length).fill(length);
    assert.equal(readRecords(bytes).complete, false);
  }
});
