/** `callgate check` as a whole: lints, formats, fixes written to files. */
import assert from "node:assert/strict";
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { callgate } from "./callgate.ts";

const folder = mkdtempSync(join(tmpdir(), "callgate-check-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const policy = (rules: string, head = ""): string =>
  `version = 1\n${head}[syscalls]\nrules = '''\nallow @default\n${rules}\n'''\n`;
const mistaken = policy("deny unshaer   # x");

describe("findings", () => {
  test("warnings are shown, counted, and no failure", () => {
    const { status, stdout } = callgate(["check", file("w.toml", policy("allow read, write(fd == 1)"))]);
    assert.equal(status, 0);
    assert.match(stdout, /w\.toml:5:13 warning condition-on-last: /);
    assert.match(stdout, /\n1 warning\n$/);
  });

  test("a failed expectation is an error, with a call that shows it", () => {
    const path = file("e.toml", policy("allow keyctl(operation == 5)   # x", 'expect = ["deny keyctl"]\n'));
    const { status, stdout } = callgate(["check", path]);
    assert.equal(status, 1);
    assert.match(
      stdout,
      /e\.toml:2:12 error expectation-failed: this does not hold: \w+ keyctl\(operation = 5, /,
    );
  });

  test("a rule that never decides is told beside mistakes in other rules, in the order of the text", () => {
    const rules =
      "deny unshaer\ndeny ptrace\ndeny socket(domian == 2)\nallow ptrace(request == PTRACE_TRACEME)";
    const { status, stdout } = callgate(["check", file("m.toml", policy(rules))]);
    assert.equal(status, 1);
    const ids = [...stdout.matchAll(/^\S*m\.toml:(\d+):\d+ \w+ ([a-z-]+):/gm)].map(
      ([, line, id]) => `${line} ${id}`,
    );
    assert.deepEqual(ids, ["5 unknown-syscall", "7 unknown-argument", "8 unreachable-rule"]);
    assert.match(stdout, /line 6 already matches every call to ptrace/);
    assert.match(stdout, /\n2 errors, 1 warning\n$/);
  });

  test("beside a mistake in anything but rules nothing is said of rules, since it may decide what they mean", () => {
    const rules = "deny @keyring\nallow keyctl";
    const { stdout } = callgate(["check", file("n.toml", policy(rules, 'baseline = "six"\n'))]);
    assert.doesNotMatch(stdout, /unreachable/);
    assert.match(stdout, /error/);
  });

  test("what a policy extends is not reported again", () => {
    file("base.toml", policy("allow read, write(fd == 1)"));
    const child = file("child.toml", 'version = 1\nextends = ["base.toml"]\n');
    const { stdout } = callgate(["check", child]);
    assert.equal(stdout, `${child}: no mistakes found\n`);
  });
});

describe("formats", () => {
  const path = file("f.toml", mistaken);

  test("--format json is --json", () => {
    const [a, b] = [callgate(["check", "--format", "json", path]), callgate(["check", "--json", path])];
    assert.equal(a.stdout, b.stdout);
    assert.equal(a.status, 1);
  });

  test("--format github", () => {
    const { status, stdout } = callgate(["check", "--format=github", path]);
    assert.equal(status, 1);
    assert.equal(
      stdout,
      `::error file=${path},line=5,col=6,endColumn=13,title=unknown-syscall::there is no system call "unshaer"%0Adid you mean unshare?\n`,
    );
  });

  test("--format sarif", () => {
    const { status, stdout } = callgate(["check", "--format", "sarif", path, "default"]);
    assert.equal(status, 1);
    const log: unknown = JSON.parse(stdout);
    assert.match(JSON.stringify(log), /"version":"2\.1\.0".*"ruleId":"unknown-syscall"/);
  });

  test("a format that does not exist", () => {
    const { status, stderr } = callgate(["check", "--format", "sarfi", path]);
    assert.equal(status, 2);
    assert.match(stderr, /no format "sarfi": did you mean sarif\?/);
    assert.equal(callgate(["check", "--json", "--format", "github", path]).status, 2);
  });
});

describe("--fix", () => {
  test("mends the file, keeps its mode, and checks again", () => {
    const path = file("m.toml", `\ufeff${mistaken}`);
    chmodSync(path, 0o640);
    const { status, stdout, stderr } = callgate(["check", "--fix", path]);
    assert.equal(stderr, `${path}: 1 fix made\n`);
    assert.equal(stdout, `${path}: no mistakes found\n`);
    assert.equal(status, 0);
    assert.equal(readFileSync(path, "utf8"), `\ufeff${policy("deny unshare   # x")}`);
    assert.equal(statSync(path).mode & 0o777, 0o640);
  });

  test("a link stays a link, and nothing else is left in the folder", () => {
    const path = file("real.toml", mistaken);
    const link = join(folder, "link.toml");
    symlinkSync("real.toml", link);
    const before = readdirSync(folder).length;
    assert.equal(callgate(["check", "--fix", link]).status, 0);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.match(readFileSync(path, "utf8"), /deny unshare/);
    assert.equal(readdirSync(folder).length, before);
  });

  test("fixes that wait for each other are all made", () => {
    const path = file("o.toml", policy("allow @signal, rt_sigaction, rt_sigprocmask, rt_sigpending"));
    callgate(["check", "--fix", path]);
    assert.equal(readFileSync(path, "utf8"), policy("allow @signal"));
  });

  test("what has no fix is left, and said", () => {
    const path = file("l.toml", policy("deny unshaer, qwertyuiop   # x"));
    const { status, stdout } = callgate(["check", "--fix", path]);
    assert.equal(status, 1);
    assert.match(stdout, /qwertyuiop/);
    assert.match(readFileSync(path, "utf8"), /deny unshare, qwertyuiop/);
  });

  test("never on standard input or built-in policies", () => {
    const { status, stdout } = callgate(["check", "--fix", "-"], { input: mistaken });
    assert.equal(status, 1);
    assert.match(stdout, /unshaer/);
    assert.equal(callgate(["check", "--fix", "default"]).status, 0);
  });

  test("a parent is not touched", () => {
    const parent = file("p.toml", policy("allow read, kill, @signal, rt_sigaction"));
    const child = file("c.toml", 'version = 1\nextends = ["p.toml"]\n');
    callgate(["check", "--fix", child]);
    assert.equal(readFileSync(parent, "utf8"), policy("allow read, kill, @signal, rt_sigaction"));
  });

  test("a file that cannot be written: 2, and why", () => {
    const path = file("ro.toml", mistaken);
    chmodSync(folder, 0o555);
    try {
      if (process.getuid?.() === 0) return;
      const { status, stdout } = callgate(["check", "--fix", path]);
      assert.equal(status, 2);
      assert.match(stdout, /unwritable/);
    } finally {
      chmodSync(folder, 0o755);
    }
  });
});
