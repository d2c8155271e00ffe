/** `callgate prove` and `callgate diff`: what they print, how they end, and what they make of bad files. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { encode, errno, instruction, JEQ_K, jump, load, RET_A, RET_ALLOW, ret } from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { scratchFile, scratchPath } from "../kernel/native.ts";
import { policyOf } from "../policy/reading.ts";
import { callgate } from "./callgate.ts";

const policyText = (rules: string): string =>
  `version = 1\n[syscalls]\ndefault = "deny"\nabis = ["x86_64"]\nrules = '''\n${rules}\n'''\n`;
const before = scratchFile("before.toml", policyText("allow read, socket(domain == AF_UNIX)"));
const after = scratchFile(
  "after.toml",
  policyText("allow read, write, socket(domain in {AF_UNIX, AF_VSOCK})"),
);

function filterFile(name: string, bytes: Uint8Array): string {
  const path = scratchPath(name);
  writeFileSync(path, bytes);
  return path;
}

const filter = filterFile(
  "before.bpf",
  compile(policyOf("allow read, socket(domain == AF_UNIX)", "abis = ['x86_64']"), { target: "x86_64" }).bytes,
);

describe("prove", () => {
  test("a filter is proved", () => {
    const { status, stdout } = callgate(["prove", filter, before]);
    assert.equal(status, 0);
    assert.match(
      stdout,
      /^proved: .*\nx86_64: every number and argument; and every other architecture\n\d+ regions, \d+ ms\n$/,
    );
    const json: unknown = JSON.parse(callgate(["prove", "--json", filter, before]).stdout);
    assert.ok(typeof json === "object" && json !== null && "verdict" in json && json.verdict === "proved");
  });

  test("a filter is refuted, with a call", () => {
    const { status, stdout } = callgate(["prove", filter, after]);
    assert.equal(status, 1);
    assert.match(stdout, /^refuted: /);
    assert.match(
      stdout,
      /x86_64 {2}write\(0, 0, 0\)\n {8}the filter returns ERRNO\(1\)\n {8}the policy says allow, by .*after\.toml:6/,
    );
    assert.match(stdout, /^x86_64 {2}differs$/m);
  });

  test("a filter that is too hard is not decided", () => {
    const hard = filterFile("hard.bpf", encode([load(16), instruction(RET_A)]));
    assert.equal(callgate(["prove", hard, before]).status, 3);
    assert.match(callgate(["prove", hard, before]).stdout, /^undecided: instruction 1 returns/);
    assert.equal(callgate(["diff", hard, before]).status, 3);
  });
});

describe("diff", () => {
  test("tells each difference with a call", () => {
    const { status, stdout } = callgate(["diff", before, after]);
    assert.equal(status, 1);
    assert.match(stdout, /^write \(x86_64\) +always +errno\(EPERM\) → allow {2}e\.g\. write\(0, 0, 0\)$/m);
    assert.match(
      stdout,
      /^socket \(x86_64\) +domain == AF_VSOCK +errno\(EPERM\) → allow {2}e\.g\. socket\(AF_VSOCK, 0, 0\)$/m,
    );
    assert.match(stdout, /^the rest is equal: .*every number and argument$/m);
  });

  test("equal sides end with 0, whatever they are", () => {
    for (const [a, b] of [
      [before, before],
      [filter, before],
      [`${filter}+${filter}`, filter],
    ])
      assert.deepEqual([callgate(["diff", a ?? "", b ?? ""]).status], [0]);
  });

  test("--stricter asks for one direction", () => {
    assert.equal(callgate(["diff", "--stricter", after, before]).status, 0);
    assert.equal(callgate(["diff", "--stricter", before, after]).status, 1);
  });

  test("what is answered otherwise in the same way for many calls is one row, with the calls below", () => {
    const open = scratchFile("open.toml", policyText("allow read, socket(domain == AF_UNIX)"));
    const both = scratchFile("both.toml", policyText("allow read, socket(domain == AF_UNIX), @file-system"));
    const { status, stdout } = callgate(["diff", open, both]);
    assert.equal(status, 1);
    const lines = stdout.trimEnd().split("\n");
    assert.match(lines[0] ?? "", /^\d+ calls \(x86_64\) {2}always +errno\(EPERM\) → allow +e\.g\. \w+\(/);
    const listed = lines
      .slice(1, -1)
      .join(" ")
      .split(",")
      .map((name) => name.trim());
    assert.equal(Number(/^\d+/.exec(lines[0] ?? "")?.[0]), listed.length);
    assert.ok(listed.includes("openat") && listed.includes("unlink"));
    assert.ok(lines.every((line, at) => at === 0 || line.length <= 100));
    assert.match(lines.at(-1) ?? "", /^the rest is equal/);
    // For programs nothing is put together.
    const { differences } = JSON.parse(callgate(["diff", "--json", open, both]).stdout);
    assert.equal(differences.length, listed.length);
  });

  test("a row names the ABIs it is about, where another has the call too", () => {
    const { stdout } = callgate(["diff", "bench/policies/lxc.json", "bench/policies/lxc3.json"]);
    const [first = ""] = stdout.split("\n");
    assert.match(first, /^\d+ calls \(x86, x32\) +always +kill-thread → allow/);
    assert.match(stdout, /^umount2 \(x86, x32\) +flags & MNT_DETACH/m);
  });

  test("--json has every difference", () => {
    const { differences } = JSON.parse(callgate(["diff", "--json", before, after]).stdout);
    assert.deepEqual(
      differences.map((one: { syscall: string; before: string; after: string }) => [
        one.syscall,
        one.before,
        one.after,
      ]),
      [
        ["write", "errno(EPERM)", "allow"],
        ["socket", "errno(EPERM)", "allow"],
      ],
    );
  });
});

const allow = ret(RET_ALLOW);

describe("bad filters", () => {
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    [
      "odd length",
      encode([ret(errno(1)), allow]).slice(0, 13),
      /13 bytes are not a whole number of instructions/,
    ],
    [
      "too long",
      encode(new Array(4097).fill(allow)),
      /4097 instructions; the kernel takes at most 4096 and would say EINVAL/,
    ],
    [
      "a jump out of the program",
      encode([load(0), jump(JEQ_K, 1, 5, 0), allow]),
      /instruction 1: it jumps when true to instruction 7, but the last is 2; the kernel says EINVAL/,
    ],
    [
      "a jump backwards",
      encode([load(0), instruction(0x05, 0xffff_fffe), allow]),
      /instruction 1: it jumps back by 2, and filters only jump on: .*; the kernel says EINVAL/,
    ],
    [
      "an unknown opcode",
      encode([instruction(0xff), allow]),
      /instruction 0: there is no instruction 0xff; the kernel says EINVAL/,
    ],
    [
      "without a return",
      encode([load(0)]),
      /instruction 0: the last instruction is not a return; the kernel says EINVAL/,
    ],
  ];
  for (const [name, bytes, message] of cases)
    test(name, () => {
      const path = filterFile("bad.bpf", bytes);
      for (const args of [
        ["prove", path, before],
        ["diff", before, path],
      ]) {
        const { status, stderr } = callgate(args);
        assert.equal(status, 2);
        assert.match(stderr, message);
        assert.doesNotMatch(stderr, /\n\s+at /);
      }
    });

  test("what comes through a pipe is read once, policy or filter", () => {
    const input = readFileSync(before, "utf8");
    assert.equal(callgate(["diff", "-", before], { input }).status, 0);
    assert.equal(callgate(["prove", filter, "-"], { input }).status, 0);
    for (const command of ["diff", "prove"]) {
      const { status, stderr } = callgate([command, "-", "-"], { input });
      assert.equal(status, 2);
      assert.match(stderr, /standard input can be one of the two only/);
    }
  });

  test("an empty file, and one without an end", () => {
    const empty = filterFile("empty.bpf", new Uint8Array());
    for (const args of [
      ["inspect", empty],
      ["diff", before, empty],
      ["prove", empty, before],
    ]) {
      const { status, stderr } = callgate(args);
      assert.equal(status, 2);
      assert.match(stderr, /empty\.bpf is empty: .* a filter has one instruction at least\n$/);
    }
    const endless = callgate(["inspect", "/dev/zero"]);
    assert.equal(endless.status, 2);
    assert.match(endless.stderr, /it is larger than 8 MiB/);
  });

  test("no such file, a policy for a filter, a directory", () => {
    assert.equal(callgate(["prove", "/nowhere", before]).status, 2);
    assert.match(callgate(["prove", before, before]).stderr, /is a policy, and a filter is wanted/);
    assert.match(callgate(["diff", "/tmp", before]).stderr, /it is a directory/);
    assert.equal(callgate(["diff", before]).status, 2);
  });
});

test("inspect --asm lists the instructions behind what it says, each with its meaning", () => {
  const { status, stdout } = callgate(["inspect", "--asm", filter]);
  assert.equal(status, 0);
  const [, listing = ""] = stdout.split("\nfilter 1\n");
  const size = Number(/(\d+) instructions$/m.exec(stdout)?.[1]);
  assert.equal(listing.trimEnd().split("\n").length, size);
  assert.match(listing, /socket/);
});

describe("convert", () => {
  test("a filter becomes a policy that is proved to say the same", () => {
    const out = scratchPath("again.toml");
    const { status, stderr } = callgate(["convert", filter, "--to", "toml", "-o", out]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(readFileSync(out, "utf8"), /^allow socket\(domain == AF_UNIX\)$/m);
    assert.equal(callgate(["prove", filter, out]).status, 0);
  });

  test("what a policy cannot say is named", () => {
    const odd = filterFile("odd.bpf", encode([load(0), jump(0x35, 1000, 0, 1), ret(errno(1)), allow]));
    const { status, stderr } = callgate(["convert", odd, "--to", "toml"]);
    assert.equal(status, 0);
    assert.match(stderr, /^lost: .*the filter says allow, the policy (deny|kill)/m);
  });

  test("numbers without a call that lose the same are one line", () => {
    const { status, stderr } = callgate([
      "convert",
      "tests/fixtures/filters/chromium-renderer.bpf",
      "--to",
      "toml",
    ]);
    assert.equal(status, 0);
    const lines = stderr.trimEnd().split("\n");
    assert.equal(lines.filter((line) => line.startsWith("lost: x32 numbers")).length, 1, stderr);
    assert.match(
      stderr,
      /^lost: x32 numbers 1073741837 and \d+ more ranges up to \d+ to 2147483647: the filter says/m,
    );
  });

  test("flags have their names, and what is left by a long condition is `else`", () => {
    const policy = scratchFile(
      "named.toml",
      policyText(`allow pipe2(flags within O_CLOEXEC | O_NONBLOCK)
allow dup3(flags == O_CLOEXEC)
allow madvise(advice in {MADV_NORMAL..MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE})`),
    );
    const filter = scratchPath("named.bpf");
    assert.equal(callgate(["compile", policy, "-o", filter]).status, 0);
    const { stdout } = callgate(["inspect", filter]);
    for (const line of [
      "pipe2           if flags within O_CLOEXEC | O_NONBLOCK: allow\n",
      "dup3            if flags == O_CLOEXEC: allow\n                            if flags != O_CLOEXEC: errno(EPERM)\n",
      "MADV_FREE, MADV_HUGEPAGE}: allow\n                            else: errno(EPERM)\n",
    ])
      assert.ok(stdout.includes(line), `${line}\n${stdout}`);
    const { stdout: back } = callgate(["convert", filter, "--to", "toml"]);
    assert.match(back, /^allow pipe2\(flags within O_CLOEXEC \| O_NONBLOCK\)$/m);
  });
  test("a file that is no filter is refused with the instruction", () => {
    const bad = filterFile("bad.bpf", encode([load(0)]));
    const { status, stderr } = callgate(["convert", bad, "--to", "toml"]);
    assert.equal(status, 2);
    assert.match(stderr, /instruction 0: the last instruction is not a return/);
  });
});
