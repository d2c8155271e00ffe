/** `callgate policies` and `callgate formats`. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { formats } from "../../src/formats/catalogue.ts";
import { builtinPolicies } from "../../src/index.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { callgate } from "./callgate.ts";

test("policies lists each with what it is for, at 80 columns", () => {
  const { status, stdout } = callgate(["policies"]);
  assert.equal(status, 0);
  const lines = stdout.trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => line.split(" ")[0]),
    [...builtinPolicies()],
  );
  for (const line of lines) assert.match(line, /^\w+ +for .{10,}$/);
  assert.ok(lines.every((line) => line.length <= 80));
  const facts = JSON.parse(callgate(["policies", "--json"]).stdout);
  assert.deepEqual(
    facts.map((one: { readonly name: string }) => one.name),
    [...builtinPolicies()],
  );
});

for (const name of builtinPolicies()) {
  test(`policies ${name} prints the file, which check reads again`, () => {
    const { status, stdout } = callgate(["policies", name]);
    assert.equal(status, 0);
    assert.equal(
      stdout,
      readFileSync(join(packageRoot(), "src", "policy", "builtin", `${name}.toml`), "utf8"),
    );
    assert.equal(callgate(["check", "-"], { input: stdout }).status, 0);
    assert.equal(JSON.parse(callgate(["policies", "--json", name]).stdout).text, stdout);
  });
}

test("a name that is none: 2, and the nearest", () => {
  const { status, stderr } = callgate(["policies", "deafult"]);
  assert.equal(status, 2);
  assert.match(stderr, /no built-in policy "deafult": did you mean default\?/);
});

test("policies --schema prints the schema of the package", () => {
  assert.equal(
    callgate(["policies", "--schema"]).stdout,
    readFileSync(join(packageRoot(), "schema", "policy.schema.json"), "utf8"),
  );
});

test("formats lists what is read and written", () => {
  const { status, stdout } = callgate(["formats"]);
  assert.equal(status, 0);
  for (const { name, reads, writes } of formats)
    assert.match(stdout, new RegExp(`^${name} +${reads ? "read" : ""}.*${writes ? "written" : ""}`, "m"));
  assert.equal(JSON.parse(callgate(["formats", "--json"]).stdout).length, formats.length);
});
