// The programs in examples/.
// Debian packages: bash coreutils gcc git gzip libc6-dev python3 util-linux
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { root } from "./native.ts";

const folder = join(root, "examples");
const expected: Readonly<Record<string, string>> = {
  "agent-shell.mjs":
    "$ cd /usr; x=7\n[0]\n$ pwd; echo $((x * 6))\n/usr\n42\n[0]\n" +
    "$ git --version > /dev/null\n[0]\n$ exec 3<> /dev/tcp/127.0.0.1/80\n[1]\n",
  "build-step.mjs": "gcc: done\nhello from what was built\n",
  "converter.mjs": "THE QUICK BROWN FOX\nJUMPS OVER THE LAZY DOG\nnothing done\n",
  "downloaded-binary.mjs": "its version: printed\nroot in a namespace of its own: Operation not permitted\n",
  "npm-install.mjs": "npm install: done\ninstalled: 1.2.3\nits install script's connection: EPERM\n",
  "plugin-host.mjs":
    "title: System Calls Of A Plugin\nconnect: EPERM\nstart: EPERM\nthe plugin ended with 0\n",
  "server.mjs": '/sorted 200 "8\\n9\\n10\\n"\n/gone 500 "execute: ENOENT\\n"\n',
  "test-runner.mjs": "adds up: passed\nis wrong: failed\nhangs: too slow\ncrashes: killed by SIGSEGV\n",
  "user-script.mjs":
    "a sum: 10\na mistake: ZeroDivisionError: division by zero\nno end: took too long\n" +
    "a connection: PermissionError: [Errno 1] Operation not permitted\n",
  "worker-pool.mjs": "4194303: 3 23 89 683\n8388607: 47 178481\n16777215: 3 3 5 7 13 17 241\n",
};
/** What only the examples themselves start. */
const parts = ["plugin-host-plugin.mjs"];

describe("examples", () => {
  // Some of them wait for a time limit, which is no work: the others run meanwhile.
  describe("each as its reader would run it", { concurrency: 4 }, () => {
    for (const [file, output] of Object.entries(expected)) {
      test(file, async () => {
        const child = spawn(process.execPath, [join(folder, file)], {
          timeout: 240_000,
          killSignal: "SIGKILL",
        });
        child.stdin.end();
        const ended = once(child, "close");
        const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
        assert.deepEqual([stdout, stderr, ...(await ended)], [output, "", 0, null]);
      });
    }
  });

  test("all of them are tried, and they leave nothing behind", () => {
    const programs = readdirSync(folder).filter((file) => file.endsWith(".mjs"));
    assert.deepEqual(programs.sort(), [...Object.keys(expected), ...parts].sort());
    assert.ok(!existsSync("/tmp/callgate-planted"));
  });
});
