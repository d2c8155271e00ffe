// --from and --target, by every command that reads a policy.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { scratchFile, scratchPath } from "../kernel/native.ts";
import { callgate } from "./callgate.ts";

const policy = scratchFile(
  "own.toml",
  'version = 1\n[syscalls]\nabis = ["native"]\nrules = "allow @default"\n',
);
const filter = scratchPath("own.bpf");
assert.equal(callgate(["compile", policy, "-o", filter]).status, 0);

/** With the policy that is read as the last operand; it is read by all of them. */
const commands: Readonly<Record<string, readonly string[]>> = {
  check: ["check"],
  explain: ["explain"],
  compile: ["compile", "--format", "asm"],
  convert: ["convert", "--to", "json"],
  prove: ["prove", filter],
  diff: ["diff", "strict"],
  audit: ["audit"],
};
const withCall = (name: string, file: string): readonly string[] =>
  name === "explain" ? [file, "read"] : [file];

describe("--from", () => {
  for (const [name, [command = "", ...more]] of Object.entries(commands)) {
    const run = (from: string, file: string) =>
      callgate([command, "--from", from, ...more, ...withCall(name, file)]);
    test(name, () => {
      const plain = callgate([command, ...more, ...withCall(name, policy)]);
      assert.equal(run("toml", policy).stdout.replace(/\d+ ms/, ""), plain.stdout.replace(/\d+ ms/, ""));
      const other = run("lxc", policy);
      assert.ok(other.status === 1 || other.status === 2, `${other.status}`);
      assert.match(other.stdout + other.stderr, /own\.toml:1/);
      const unknown = run("yaml", policy);
      assert.deepEqual([unknown.status, unknown.stdout], [2, ""]);
      assert.match(unknown.stderr, /policies are not read from "yaml": formats are toml, json, lxc, oci/);
      assert.notEqual(run("lxc", "default").status, 2, "a built-in policy is of our own format");
    });
  }
});

describe("--target", () => {
  const foreign = scratchPath("foreign.bpf");
  const machine = process.arch === "arm64" ? "x86_64" : "aarch64";
  assert.equal(callgate(["compile", "--target", machine, policy, "-o", foreign]).status, 0);

  test("a filter for another machine is proved for that one, and for no other", () => {
    assert.equal(callgate(["prove", "--target", machine, foreign, policy]).status, 0);
    assert.equal(callgate(["prove", foreign, policy]).status, 1);
    assert.match(
      callgate(["diff", "--target", machine, foreign, policy]).stdout,
      new RegExp(`^equal: ${machine}, `),
    );
    assert.equal(callgate(["diff", foreign, policy]).status, 1);
  });

  test("a policy is explained and checked for it", () => {
    assert.match(
      callgate(["explain", "--target", machine, policy, "read"]).stdout,
      new RegExp(`^${machine} +read\n`),
    );
    assert.match(
      callgate(["explain", "--target", machine, "--abi", "native", policy, "read"]).stdout,
      new RegExp(`^${machine}`),
    );
    const own = scratchFile(
      "open.toml",
      'version = 1\n[syscalls]\nabis = "native"\nrules = "allow @default, stat(pathname == 5)"\n',
    );
    assert.equal(callgate(["check", "--target", "x86_64", own]).status, 1);
    assert.match(callgate(["check", "--target", "x86_64", own]).stdout, /pointer-compared/);
  });

  test("there is no such machine", () => {
    for (const [name, [command = "", ...more]] of Object.entries(commands)) {
      const { status, stderr } = callgate([command, "--target", "vax", ...more, ...withCall(name, policy)]);
      assert.equal(status, 2, name);
      assert.match(stderr, /there is no ABI "vax": ABIs are/);
    }
  });
});
