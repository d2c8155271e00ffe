/** `callgate convert`, as users start it. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { callgate } from "./callgate.ts";

const folder = mkdtempSync(join(tmpdir(), "callgate-convert-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const profile = join(folder, "web.seccomp");
writeFileSync(profile, "2\ndenylist\nreject_force_umount\n[all]\nkeyctl errno 38\nkeyclt errno 38\n");

test("an LXC profile as TOML, with what LXC ignores, and back", () => {
  const toml = callgate(["convert", profile, "--to", "toml"]);
  assert.equal(toml.status, 0);
  assert.match(
    toml.stderr,
    /web\.seccomp:6:1 warning lxc-unknown-name: .*"keyclt"\n.*\n.*did you mean keyctl\?/,
  );
  assert.match(toml.stdout, /^errno\(38\) keyctl$/m);
  const back = callgate(["convert", "-", "--to", "lxc"], { input: toml.stdout });
  assert.equal(back.status, 0, back.stderr);
  assert.equal(back.stderr, "");
  assert.match(back.stdout, /^2\ndenylist\n[\s\S]*^keyctl errno 38$/m);
});

test("what is lost is said, a line each, and the file is written", () => {
  const out = join(folder, "out.seccomp");
  const { status, stderr, stdout } = callgate(["convert", "default", "--to", "lxc", "-o", out]);
  assert.equal(status, 0);
  assert.equal(stdout, "");
  assert.match(stderr, /^lost: \S/m);
  assert.match(readFileSync(out, "utf8"), /^2\nallowlist errno 1\n/);
});

test("an LXC profile is a policy like any other to the other commands", () => {
  assert.equal(callgate(["check", profile]).status, 0);
  assert.match(
    callgate(["explain", profile, "keyctl", "--abi", "x86_64"]).stdout,
    /ENOSYS, by .*web\.seccomp:5/,
  );
});

test("wrong usage and unreadable files", () => {
  assert.match(callgate(["convert", profile]).stderr, /say what to convert to: --to toml\|json\|lxc/);
  assert.match(callgate(["convert", profile, "--to", "tml"]).stderr, /did you mean toml\?/);
  assert.equal(callgate(["convert", join(folder, "no"), "--to", "toml"]).status, 2);
  writeFileSync(join(folder, "bad"), "2\ndenylist\nkeyctl log\n");
  assert.equal(callgate(["convert", join(folder, "bad"), "--to", "toml"]).status, 1);
});
