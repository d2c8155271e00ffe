// `callgate audit`, and the document that is made by it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { callgate } from "./callgate.ts";

const root = join(import.meta.dirname, "..", "..", "..");

test("says which holes stay in reach, by which call and which line", () => {
  const { status, stdout, stderr } = callgate(["audit", "default"]);
  assert.equal(stderr, "");
  assert.equal(status, 1);
  assert.match(
    stdout,
    /^CVE-2014-3153 {2}\w+ {2}futex .*\n {4}futex\(.*\): allowed on x86_64, by built-in default:\d+$/m,
  );
  assert.match(stdout, /^default: \d+ of \d+ known kernel holes stay in reach, \d+ are out of reach$/m);
  assert.doesNotMatch(stdout, /out of reach without/);
});

test("--all lists what is out of reach too, and what it lacks", () => {
  const { stdout } = callgate(["audit", "--all", "default"]);
  assert.match(stdout, /^CVE-2016-0728 {2}out of reach without keyctl/m);
});

test("--json", () => {
  const { status, stdout } = callgate(["audit", "--json", "strict"]);
  const { date, reachable, outOfReach } = JSON.parse(stdout);
  assert.match(date, /^\d{4}-\d\d-\d\d$/);
  assert.equal(status, reachable.length === 0 ? 0 : 1);
  assert.ok(outOfReach.length > 100);
  for (const { id, passages } of reachable) {
    assert.match(id, /^CVE-/);
    assert.ok(passages.length > 0, id);
  }
});

test("mistakes: no file, a file that is not there, an ABI that is none", () => {
  for (const [args, message] of [
    [["audit"], /the policy is missing/],
    [["audit", "nowhere.toml"], /nowhere\.toml/],
    [["audit", "default", "--target", "pdp11"], /there is no ABI "pdp11"/],
    [["audit", "default", "strict"], /one policy/],
  ] as const) {
    const { status, stderr, stdout } = callgate([...args]);
    assert.equal(status, 2, args.join(" "));
    assert.match(stderr, message);
    assert.equal(stdout, "");
  }
});

test("docs/cve-reach.md is what the audit says today", () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(root, "scripts/gen-cve-reach.mjs"), "--check"],
    {
      encoding: "utf8",
    },
  );
  assert.equal(stderr, "");
  assert.equal(status, 0);
});
