// `expect`: what a policy says of itself, proved or refuted with a call.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readPolicy } from "../../src/formats/index.ts";
import { lint } from "../../src/lint/index.ts";
import { brief, policyOfText, target } from "../policy/reading.ts";

function failures(expect: readonly string[], rules: string, head = ""): readonly string[] {
  const text = `version = 1\nexpect = ${JSON.stringify(expect)}\n[syscalls]\n${head}\nrules = '''\n${rules}\n'''\n`;
  const policy = policyOfText(text, { filename: "p.toml" });
  return lint(policy, { target })
    .filter((one) => one.id === "expectation-failed")
    .map((one) => one.message);
}

describe("what holds", () => {
  for (const [expect, rules, head] of [
    ["deny keyctl", "allow @default"],
    ["allow read", "allow @basic-io"],
    ["errno(ENOSYS) clone3", "errno(ENOSYS) clone3\nallow @process"],
    ["deny socket(domain == AF_VSOCK)", "allow socket(domain != AF_VSOCK)"],
    ["allow write(fd == 1), write(fd == 2)", "allow write(fd in {1..2})"],
    ["deny @keyring", "allow @default"],
    ["deny setuid", "allow getuid", 'abis = ["x86_64", "x86"]'],
    ["errno(ENOSYS) #511", "allow @default"],
    // Newer than the baseline and named by nobody.
    ["errno(ENOSYS) mseal", "allow @default", 'baseline = "6.1"'],
    ["kill ptrace", "allow @default, ptrace", 'require = "kill ptrace"'],
  ] as const) {
    test(`${expect}: ${rules.replaceAll("\n", " / ")}`, () =>
      assert.deepEqual(failures([expect], rules, head ?? ""), []));
  }
});

describe("what does not, with a call", () => {
  const table: readonly (readonly [string, string, RegExp])[] = [
    [
      "deny keyctl",
      "allow keyctl(operation == 5)",
      /^this does not hold: x86_64 keyctl\(operation = 5, .*\) gets allow$/,
    ],
    ["allow read", "allow read(fd == 0)", /x86_64 read\(fd = 1, .*\) gets deny/],
    ["errno(ENOSYS) clone3", "deny clone3", /gets deny/],
  ];
  for (const [expect, rules, message] of table) {
    test(`${expect}: ${rules}`, () => {
      const [found, ...more] = failures([expect], rules);
      assert.match(found ?? "", message);
      assert.deepEqual(more, []);
    });
  }
});

test("an expectation holds on every ABI, and behind multiplexers", () => {
  const rules = "deny x86_64:socket\nallow socket, bind";
  assert.deepEqual(failures(["deny socket"], rules, 'abis = ["x86_64"]'), []);
  assert.match(
    failures(["deny socket"], rules, 'abis = ["x86_64", "x86"]')[0] ?? "",
    /^this does not hold: x86 /,
  );
  // Behind socketcall the family cannot be seen: it may be the one that is expected to be refused.
  const head = 'abis = ["x86"]\nmultiplexed = "open"';
  const message = failures(
    ["deny socket(domain == AF_VSOCK)"],
    "deny socket(domain == AF_VSOCK)\nallow socket",
    head,
  )[0];
  assert.match(message ?? "", /socketcall\(call = 1, .*\), which is socket, gets allow/);
});

test("an expectation about no call, or with a mistake in it, fails", () => {
  assert.match(failures(["deny x86:keyctl"], "allow read")[0] ?? "", /about no call of x86_64/);
  assert.match(failures(["deny keyclt"], "allow read")[0] ?? "", /no system call "keyclt"/);
});

test("a failed expectation points at its line and names the rule that decides", () => {
  const text = 'version = 1\nexpect = ["deny read"]\n[syscalls]\nrules = "allow read"\n';
  const [found] = lint(policyOfText(text, { filename: "p.toml" }), { target }).filter(
    (one) => one.id === "expectation-failed",
  );
  assert.ok(found !== undefined);
  assert.equal(brief(found), 'expectation-failed 2:12 "deny read"');
  assert.equal(found.severity, "error");
  assert.equal(found.notes?.[0]?.message, "line 4 says so");
});

test("a parent's expectations are its own", () => {
  const resolve = () => ({ text: 'version = 1\nexpect = ["deny read"]\n', filename: "base.toml" });
  const child = 'version = 1\nextends = ["./base.toml"]\n[syscalls]\nrules = "allow read"\n';
  const { policy } = readPolicy(child, { filename: "p.toml", target, resolve });
  assert.ok(policy !== undefined);
  assert.equal(policy.expect, undefined);
});
