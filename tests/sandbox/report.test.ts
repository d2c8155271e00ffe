// What the library makes of the launcher's bytes, and of Node's stdio option.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readReport } from "../../src/sandbox/report.ts";
import { SandboxError } from "../../src/sandbox/sandbox-error.ts";
import { channelVariables, extraDescriptors, stdioEntries } from "../../src/sandbox/stdio.ts";

function record(what: number, step: number, errno: number, text: string): Buffer {
  const header = Buffer.alloc(16);
  [what, step, errno, Buffer.byteLength(text)].forEach((word, index) => {
    header.writeUInt32LE(word, index * 4);
  });
  return Buffer.concat([header, Buffer.from(text)]);
}

describe("the launcher's report", () => {
  const ready = record(1, 0, 0, "");
  const failed = record(2, 160, 22, "no filter here: …");

  test("ready, and nothing else: started", () => {
    assert.deepEqual(readReport(ready), { kind: "started" });
  });

  test("failed, before or after ready", () => {
    const failure = { step: "filter", errno: 22, message: "no filter here: …" };
    assert.deepEqual(readReport(failed), { kind: "failed", failure });
    assert.deepEqual(readReport(Buffer.concat([ready, failed])), { kind: "failed", failure });
  });

  test("nothing, or a part of a record: silent", () => {
    assert.deepEqual(readReport(Buffer.alloc(0)), { kind: "silent" });
    for (let length = 1; length < 16; length += 1)
      assert.deepEqual(readReport(ready.subarray(0, length)), { kind: "silent" });
  });

  test("steps have the names of plans", () => {
    for (const [number, step] of [
      [0, "plan"],
      [80, "environment"],
      [90, "workingDirectory"],
      [140, "closeDescriptors"],
      [155, "launchKey"],
      [170, "execute"],
      [999, "launcher"],
    ] as const) {
      const report = readReport(record(2, number, 0, ""));
      assert.equal(report.kind === "failed" && report.failure.step, step);
    }
  });

  test("an error has the fields of Node's", () => {
    const error = new SandboxError({ step: "execute", errno: 8, message: "why" }, "x", ["a"]);
    assert.equal(error.message, "spawn x ENOEXEC: why");
    assert.deepEqual(
      { ...error },
      {
        name: "SandboxError",
        step: "execute",
        code: "ENOEXEC",
        errno: -8,
        syscall: "spawn x",
        path: "x",
        spawnargs: ["a"],
      },
    );
    const other = new SandboxError({ step: "plan", errno: 0, message: "why" }, "x", []);
    assert.deepEqual([other.code, other.errno], ["ERR_SANDBOX", undefined]);
  });
});

describe("stdio", () => {
  test("becomes a list of at least three", () => {
    assert.deepEqual(stdioEntries(undefined), ["pipe", "pipe", "pipe"]);
    assert.deepEqual(stdioEntries("inherit"), ["inherit", "inherit", "inherit"]);
    assert.deepEqual(stdioEntries([]), [undefined, undefined, undefined]);
    assert.deepEqual(stdioEntries(["ignore", 7, null, "ipc"]), ["ignore", 7, null, "ipc"]);
  });

  test("above 2, what is named is the program's", () => {
    const entries = stdioEntries([0, 1, 2, "pipe", "ignore", null, undefined, 9, "ipc"]);
    assert.deepEqual(extraDescriptors(entries), [3, 7, 8]);
    assert.deepEqual(channelVariables(entries), ["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE"]);
    assert.deepEqual(channelVariables(stdioEntries("pipe")), []);
  });
});
