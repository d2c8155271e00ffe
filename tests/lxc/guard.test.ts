// Debian packages: busybox-static
// Whom the pre-start hook follows, and what becomes of it without the one that follows. Whole starts: enable.test.ts.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { nativeProgram } from "../../src/sandbox/package-files.ts";
import { atEnd, isRoot, run } from "./containers.ts";

describe("the hook that holds lxc-start", {
  skip: isRoot ? false : "only root's hook holds lxc-start",
}, () => {
  const folder = mkdtempSync(join(tmpdir(), "callgate-guard-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const hook = nativeProgram("hook");
  const words = ["guard", join(folder, "init"), join(folder, "log"), join(folder, "kept"), "/bin/true"];

  test("a shell between LXC and the hook: nothing is started, since it is not the shell that makes the init", () => {
    const { status, stderr } = run("/bin/sh", ["-c", '"$@"; exit $?', "sh", hook, ...words]);
    assert.equal(status, 1);
    assert.match(stderr, /start-host check: this is not a hook that LXC has started/);
  });

  test("a program with several threads, of which only one would be followed", () => {
    const script =
      "process.exitCode = require('child_process').spawnSync(process.argv[1], process.argv.slice(2), { stdio: 'inherit' }).status";
    const { status, stderr } = run(process.execPath, ["-e", script, hook, ...words]);
    assert.equal(status, 1);
    assert.match(stderr, /several threads/);
  });

  test("who is followed does not outlive the one that follows", () => {
    const script = `"$@" || exit 3
      read_tracer() { while read -r key value; do [ "$key" = TracerPid: ] && echo "$value"; done < /proc/$$/status; }
      tracer=$(read_tracer)
      echo "followed by $tracer" > "${join(folder, "out")}"
      kill -9 "$tracer"
      while :; do sleep 1; done`;
    // run() has an end of its own, and would throw.
    const ended = run("busybox", ["timeout", "60", "busybox", "sh", "-c", script, "sh", hook, ...words]);
    assert.match(readFileSync(join(folder, "out"), "utf8"), /followed by [1-9]/);
    assert.equal(ended.status, null); // by a signal
  });
});
