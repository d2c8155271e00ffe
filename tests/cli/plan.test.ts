/** `callgate plan` and `run --dry-run`: the same steps, and nothing started. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { scratchFile, scratchPath } from "../kernel/native.ts";
import { callgate, shell } from "./callgate.ts";

const policy = scratchFile(
  "plan.toml",
  'version = 1\nname = "small"\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = "deny keyctl"\n[environment]\nkeep = ["PATH"]\nset = { TOKEN = "not to be shown" }\n',
);

test("every step in words, in the launcher's order; nothing is started", () => {
  const trace = scratchPath("trace");
  const { status, stdout, stderr } = callgate([
    "plan",
    "--filter-only",
    "--policy",
    policy,
    "--",
    "touch",
    trace,
    "a b",
  ]);
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(
    stdout,
    /^environment {8}keep PATH; set TOKEN\nno new privileges {2}.*\ndescriptors {8}0, 1, 2 stay open.*\nsignals .*\nfilter {13}\d+ instructions, proved equal to the policy small\nexecute {12}\S*touch: touch \S+ 'a b'\nkept plan .*\n$/,
  );
  assert.ok(!existsSync(trace));
});

test("run --dry-run says the same, and --json the same facts", () => {
  const line = ["--policy", policy, "--deny", "uname", "--", "true"];
  assert.equal(
    callgate(["run", "--filter-only", "--dry-run", ...line]).stdout,
    callgate(["plan", "--filter-only", ...line]).stdout,
  );
  const asJson = callgate(["plan", "--filter-only", "--json", ...line]);
  assert.equal(callgate(["run", "--filter-only", "--dry-run", "--json", ...line]).stdout, asJson.stdout);
  const facts: unknown = JSON.parse(asJson.stdout);
  assert.ok(typeof facts === "object" && facts !== null && "steps" in facts && Array.isArray(facts.steps));
  const kinds = facts.steps.map((step: { readonly kind: string }) => step.kind);
  assert.deepEqual(kinds, [
    "environment",
    "noNewPrivileges",
    "closeDescriptors",
    "signals",
    "filter",
    "execute",
  ]);
  for (const step of facts.steps) assert.ok(step.does.length > 0 && step.title.length > 0);
  assert.deepEqual(facts.steps[0].keep, ["PATH"]);
});

test("values of the environment are in neither", () => {
  for (const form of [[], ["--json"]])
    assert.doesNotMatch(
      callgate(["plan", "--filter-only", ...form, "--policy", policy, "--", "true"]).stdout,
      /not to be shown/,
    );
});

test("a policy that denies execve passes once, by the launch key", () => {
  const alone = ["--deny", "execve, execveat", "--", "true"];
  assert.match(callgate(["plan", "--filter-only", ...alone]).stdout, /execve passes once, by the launch key/);
});

test("--json of run alone is a mistake", () => {
  const { status, stderr } = callgate(["run", "--json", "--", "true"]);
  assert.equal(status, 125);
  assert.match(stderr, /--json goes with --dry-run/);
});

test("statuses: 1 where there is no such plan, 2 where there is nothing to read", () => {
  assert.equal(callgate(["plan", "--filter-only", "--", "no-such-program-anywhere"]).status, 1);
  assert.equal(callgate(["plan", "--filter-only", "--", "/etc"]).status, 1);
  assert.equal(callgate(["plan", "--filter-only", "--deny", "unshaer", "--", "true"]).status, 1);
  assert.equal(callgate(["plan", "--filter-only", "--policy", "/no/such.toml", "--", "true"]).status, 2);
  assert.equal(callgate(["plan"]).status, 2);
});

test("files and descriptors are the caller's own: a pipe on 3 is no launcher's", () => {
  const line =
    'echo deny uname | { "$callgate" plan --filter-only --rules /dev/fd/3 --keep-fd 4 -- true 3<&0 4<&0; }';
  const { status, stdout, stderr } = shell(line);
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(stdout, /0, 1, 2, 4 stay open/);
  assert.match(
    shell('"$callgate" plan --filter-only --keep-fd 77 -- true').stderr,
    /descriptor 77 is not open/,
  );
});
