// V8's words change with its versions, and one that it does not know it complains about on standard error.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

test("V8 is told to wait in words that this Node knows", () => {
  const module = new URL("../../src/cli/short-run.js", pathToFileURL(import.meta.filename));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `(await import(${JSON.stringify(module)})).expectShortRun(); console.log(1)`,
    ],
    { encoding: "utf8", env: {} },
  );
  assert.deepEqual([status, stdout, stderr], [0, "1\n", ""]);
});
