/** What `callgate formats` says is true: every format that is read is read, without being told which it is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formats } from "../../src/formats/catalogue.ts";
import { readPolicy } from "../../src/index.ts";

for (const { name, reads, example } of formats) {
  test(name, () => {
    const { policy, diagnostics } = readPolicy(example, { target: "x86_64" });
    if (reads) assert.ok(policy !== undefined, JSON.stringify(diagnostics.map((one) => one.message)));
  });
}

test("each name stands once", () => {
  const names = formats.map((one) => one.name);
  assert.deepEqual([...new Set(names)], names);
});
