// Fixes: what the text is after each, and that fixes never get into each other's way.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { applyFixes, type Diagnostic, policyOfExample, type Source } from "../../src/diagnostics/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { lint } from "../../src/lint/index.ts";
import { withFix } from "../../src/lint/mend.ts";
import { formatVersion, newestVersion } from "../../src/syscalls/index.ts";
import { target } from "../policy/reading.ts";

function checked(text: string): readonly Diagnostic[] {
  const { policy, diagnostics } = readPolicy(text, { filename: "p.toml", target, kernel: "6.12.0" });
  return policy === undefined
    ? diagnostics.map(withFix)
    : [...diagnostics, ...lint(policy, { target })].map(withFix);
}

/** The text after the fixes of every round. */
function mend(text: string): string {
  let current = text;
  for (let round = 0; round < 10; round++) {
    const { text: next, applied } = applyFixes(checked(current), { name: "p.toml", text: current });
    if (applied.length === 0) break;
    current = next;
  }
  return current;
}

const rules: readonly (readonly [string, string])[] = [
  ["deny unshaer   # x", "deny unshare   # x"],
  ["dney ptrace   # x", "deny ptrace   # x"],
  ["allow @basicio", "allow @basic-io"],
  ["errno(EPREM) keyctl", "errno(EPERM) keyctl"],
  ["deny x86_46:keyctl   # x", "deny x86_64:keyctl   # x"],
  ["allow socket(domian == AF_UNIX)", "allow socket(domain == AF_UNIX)"],
  ["allow socket(domian & 3 == 1)", "allow socket(domain & 3 == 1)"],
  ["allow socket(domain == AF_UNX)", "allow socket(domain == AF_UNIX)"],
  ["allow socket(domain = AF_UNIX)", "allow socket(domain == AF_UNIX)"],
  [
    "deny unshare(flags == CLONE_NEWUSER)\nallow unshare",
    "deny unshare(flags & CLONE_NEWUSER)\nallow unshare",
  ],
  [
    "deny unshare(flags == CLONE_NEWUSER | CLONE_NEWNS)\nallow unshare",
    "deny unshare(flags & (CLONE_NEWUSER | CLONE_NEWNS) == CLONE_NEWUSER | CLONE_NEWNS)\nallow unshare",
  ],
  ["allow unshare(flags != CLONE_NEWUSER)", "allow unshare(!(flags & CLONE_NEWUSER))"],
  [
    "deny socket(type == SOCK_RAW)\nallow socket",
    "deny socket(type & SOCK_TYPE_MASK == SOCK_RAW)\nallow socket",
  ],
  ["allow open(flags & O_RDONLY)", "allow open(flags & O_ACCMODE == O_RDONLY)"],
  [
    "deny fcntl(cmd == 2 && arg == 0)\nallow fcntl",
    "deny fcntl(cmd == 2 && arg & 0xffff_ffff == 0)\nallow fcntl",
  ],
  ["deny socket(args[0] == 16)\nallow socket", "deny socket(domain == 16)\nallow socket"],
  ["deny socket(args[0] & 3 == 1)\nallow socket", "deny socket(domain & 3 == 1)\nallow socket"],
  ["allow kill, rt_sigaction, @signal", "allow kill, @signal"],
  ["allow @signal, rt_sigaction, rt_sigprocmask", "allow @signal"],
  ["deny mount   # x\nallow move_mount", "deny mount, move_mount   # x\nallow move_mount"],
  [
    "deny clone(flags & CLONE_NEWUSER)\nallow clone, clone3",
    "errno(ENOSYS) clone3\ndeny clone(flags & CLONE_NEWUSER)\nallow clone, clone3",
  ],
  [
    "allow io_uring_enter\nallow @aio   # x",
    "allow io_uring_enter\nerrno(ENOSYS) io_uring_setup\nallow @aio   # x",
  ],
];

describe("fixes of rules", () => {
  for (const [before, after] of rules) {
    test(before.replaceAll("\n", " / "), () => {
      const whole = policyOfExample(`allow @default   # all need it\n${before}`);
      const mended = mend(whole);
      assert.equal(
        mended
          .split("'''")[1]
          ?.trim()
          .replace(/^allow @default .*\n/, ""),
        after,
      );
    });
  }
});

describe("fixes of the file", () => {
  const table: readonly (readonly [string, string])[] = [
    ['[syscalls]\nrules = "allow @default"\n', 'version = 1\n[syscalls]\nrules = "allow @default"\n'],
    [
      '{ "syscalls": { "rules": "allow @default" } }',
      '{ "version": 1, "syscalls": { "rules": "allow @default" } }',
    ],
    [
      'version = 1\n[syscalls]\ndefault = "allow"  # x\nrules = "kill keyctl"\n',
      'version = 1\n[syscalls]\ndefault = "allow"  # x\nbaseline = "6.12"\nrules = "kill keyctl"\n',
    ],
    [
      '{ "version": 1, "syscalls": { "default": "allow", "rules": "kill keyctl" } }',
      '{ "version": 1, "syscalls": { "default": "allow", "baseline": "6.12", "rules": "kill keyctl" } }',
    ],
    [
      'version = 1\n[syscals]\nrules = "allow @default"\n',
      'version = 1\n[syscalls]\nrules = "allow @default"\n',
    ],
    [
      'version = 1\n[syscalls]\nbaseline = "99.0"  # x\nrules = "allow @default"\n',
      `version = 1\n[syscalls]\nbaseline = "${formatVersion(newestVersion)}"  # x\nrules = "allow @default"\n`,
    ],
    ['version = 1\n[syscalls]\nabis = ["x86_46"]\n', 'version = 1\n[syscalls]\nabis = ["x86_64"]\n'],
  ];
  for (const [before, after] of table) test(before.trim(), () => assert.equal(mend(before), after));
});

describe("applying", () => {
  const source: Source = { name: "p", text: "abcdef" };
  const fix = (...edits: readonly (readonly [number, number, string])[]): Diagnostic => ({
    id: "x",
    severity: "note",
    message: "x",
    fix: { message: "x", edits: edits.map(([start, end, text]) => ({ span: { source, start, end }, text })) },
  });

  test("edits of several fixes, whatever their order", () => {
    assert.equal(applyFixes([fix([4, 5, "E"]), fix([0, 1, "A"], [2, 3, "CC"])], source).text, "AbCCdEf");
  });
  test("of two that overlap, or insert at one point, the first", () => {
    const { text, applied } = applyFixes([fix([1, 3, "-"]), fix([2, 4, "+"]), fix([3, 3, "!"])], source);
    assert.equal(text, "a-def");
    assert.equal(applied.length, 1);
  });
  test("a fix is carried out whole, or not at all", () => {
    assert.equal(applyFixes([fix([0, 1, "A"]), fix([0, 1, "B"], [5, 6, "F"])], source).text, "Abcdef");
  });
  test("edits of other files are not for this one", () => {
    assert.equal(applyFixes([fix([0, 1, "A"])], { name: "other", text: "abcdef" }).text, "abcdef");
  });
});
