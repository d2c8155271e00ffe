// Debian packages: util-linux
/** A policy that asks, where nobody can be asked: said before anything is built, compiled or started. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { scratchFile, scratchPath } from "../kernel/native.ts";
import { callgate, shell } from "./callgate.ts";

const policy = scratchFile(
  "asks.toml",
  `version = 1
[syscalls]
default = "allow"
baseline = "6.1"
rules = '''
deny keyctl
ask socket(domain == AF_NETLINK)  # netlink
'''
`,
);
const warning = (what: string): RegExp =>
  new RegExp(`asks\\.toml:7:1 warning unasked-question: ${what}[\\s\\S]*\\n +\\| \\^{3} `);

test("compile", () => {
  const { status, stderr } = callgate(["compile", "-o", scratchPath("asks.bpf"), policy]);
  assert.equal(status, 0);
  assert.match(stderr, warning("a filter asks nobody: .* ENOSYS"));
});

test("build", () => {
  const line = ["-o", scratchPath("asking"), "--filter-only", "--", "true"];
  const { status, stderr } = callgate(["build", policy, ...line]);
  assert.equal(status, 0);
  assert.match(stderr, warning("nobody can be asked by a built file: .* EPERM"));
});

test("plan, where there is no terminal, and where other ABIs could type the answers", () => {
  const line = `plan --filter-only --policy ${policy} -- true`;
  assert.match(
    shell(`setsid -w "$callgate" ${line}`).stderr,
    /^callgate: nobody is asked .*: there is no terminal here$/m,
  );
  const open = scratchFile(
    "open.toml",
    'version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nother-abis = "allow"\nrules = "ask socket"\n',
  );
  const { stdout, stderr } = callgate(["plan", "--filter-only", "--policy", open, "--", "true"]);
  assert.match(stderr, /^callgate: nobody is asked .*: where other-abis lets calls through/m);
  assert.doesNotMatch(stdout, /asks about calls/);
});
