/** What the launcher says of this machine, `callgate run` goes by; where it says nothing that can be read, it is tried. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../src/sandbox/package-files.ts";

const main = join(packageRoot(), "dist", "cli", "main.cjs");

/** What is said where the launcher, which takes the plan on descriptor 3, has said this on standard input. */
function complaint(layers: string): string {
  const line = 'printf %s "$LAYERS" | "$@" 3>&1 >/dev/null | cat >/dev/null';
  const command = [process.execPath, main, "run", "--", "/bin/true"];
  const { stderr } = spawnSync("/bin/sh", ["-c", line, "sh", ...command], {
    encoding: "utf8",
    timeout: 240_000,
    env: { PATH: process.env["PATH"], LAYERS: layers },
  });
  return stderr;
}

test("no namespaces, no Landlock, no /proc: what it says is what is missing", () => {
  assert.match(complaint("landlock 7\nnamespaces 1\nproc 1\n"), /nothing was started:\n +namespaces: /);
  assert.match(complaint("landlock 0\nnamespaces 0\nproc 0\n"), /nothing was started:\n +landlock: /);
  assert.match(complaint("landlock 7\nnamespaces 0\nproc 1\n"), /nothing was started:\n +proc: /);
});

test("nothing, half of it and something else are not taken for an answer", () => {
  const tried = complaint("");
  for (const told of [
    "landlock 7\n",
    "landlock 0\nnamespaces 1\nproc 1",
    "namespaces 1\nlandlock 0\nproc 1\n",
  ])
    assert.equal(complaint(told), tried, told);
});
