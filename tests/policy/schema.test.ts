/** The JSON Schema against the reader: what the one accepts, the other does, as far as a schema can tell. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Ajv } from "ajv";
import { getStaticTOMLValue, parseTOML } from "toml-eslint-parser";
import { readPolicy } from "../../src/index.ts";
import { layerNames, sectionKeys, topKeys } from "../../src/policy/keys.ts";
import { policySchema } from "../../src/policy/schema.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";

// Strict but for types in `if`, which say more than they need.
const validate = new Ajv({ strict: true, strictTypes: false, strictRequired: false }).compile(policySchema());
const root = packageRoot();

const accepts = (text: string): boolean => validate(getStaticTOMLValue(parseTOML(text)));

describe("every policy of this package is valid", () => {
  for (const folder of ["examples", "tests/fixtures/policies", "src/policy/builtin"]) {
    const files = readdirSync(join(root, folder)).filter((file) => file.endsWith(".toml"));
    test(`${folder} has policies`, () => assert.ok(files.length > 0));
    for (const file of files) {
      test(`${folder}/${file}`, () => {
        assert.ok(accepts(readFileSync(join(root, folder, file), "utf8")), JSON.stringify(validate.errors));
      });
    }
  }

  test("and so is the one of the README", () => {
    const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```toml\n(.*?)^```/gms)];
    assert.ok(blocks.length > 0);
    for (const [, text = ""] of blocks) assert.ok(accepts(text), JSON.stringify(validate.errors));
  });
});

const rules = '[syscalls]\nrules = "allow @default"\n';
const syscalls = (line: string): string => `version = 1\n[syscalls]\nrules = "allow @default"\n${line}\n`;
const section = (name: string, line: string): string => `version = 1\n${rules}[${name}]\n${line}\n`;

const valid: readonly string[] = [
  rules,
  "version = 1\nextends = 'default'\n",
  "version = 1\nextends = ['strict', './mine.toml']\nexpect = ['deny keyctl']\n",
  syscalls('default = "allow"\nbaseline = "5.15"'),
  syscalls('default = "kill-thread"'),
  syscalls('default = "errno(EBUSY)"'),
  syscalls('default = "errno( 38 )"'),
  syscalls('default = "errno(0x26)"'),
  syscalls('default = "trap"'),
  syscalls('default = "trap(7)"'),
  syscalls('newer = "trace(3)"'),
  syscalls('other-abis = "notify"'),
  syscalls('abis = "all"'),
  syscalls('abis = ["native", "x86"]'),
  syscalls('require = ["deny keyctl", "kill ptrace"]'),
  syscalls('multiplexed = "open"'),
  'version = 1\nextends = ["default"]\n[syscalls]\ndefault = "allow"\n',
  section("network", 'mode = "ports"\nports = [1, 443, 65535]'),
  section("limits", 'memory = "512M"\nprocesses = 64\ncpu-time = "30s"\nwall-time = 10\nopen-files = "256"'),
  section("environment", 'keep = ["LANG", "LC_*"]\nset = { A = "b" }'),
  section("hardening", `new-code = "deny"\nexec = "files"\nmissing-layers = ${JSON.stringify(layerNames)}`),
];

describe("valid to both", () => {
  for (const text of valid) {
    test(JSON.stringify(text), () => {
      assert.ok(accepts(text), JSON.stringify(validate.errors));
      const { diagnostics } = readPolicy(text, {
        target: "x86_64",
        resolve: () => ({ text: rules, filename: "x" }),
      });
      assert.deepEqual(
        diagnostics.filter((one) => one.severity === "error"),
        [],
      );
    });
  }
});

const invalid: readonly string[] = [
  "",
  "version = 2\n",
  'version = "1"\n',
  "version = 1\nnaem = 'x'\n",
  "version = 1\nextends = [1]\n",
  "version = 1\nsyscalls = 'x'\n",
  syscalls('deflaut = "deny"'),
  syscalls('default = "dney"'),
  syscalls('default = "errno(EWHAT)"'),
  syscalls('default = "errno()"'),
  syscalls('default = "trace"'),
  syscalls('default = "allow"'),
  syscalls('default = "log"'),
  syscalls('default = "deny(1)"'),
  syscalls('baseline = "6"'),
  syscalls("baseline = 6.1"),
  syscalls('abis = ["amd64"]'),
  syscalls("abis = []"),
  syscalls('multiplexed = "maybe"'),
  syscalls("require = 1"),
  section("files", 'raed = ["/usr"]'),
  section("files", 'read = "/usr"'),
  section("network", 'mode = "on"'),
  section("network", "ports = [0]"),
  section("network", 'ports = ["443"]'),
  section("limits", 'memory = "512 MB"'),
  section("limits", "processes = 0"),
  section("limits", 'processes = "64K"'),
  section("limits", 'cpu-time = "1d"'),
  section("environment", "set = { A = 1 }"),
  section("environment", 'set = { "A=B" = "c" }'),
  section("hardening", 'new-code = "no"'),
];

describe("invalid to both", () => {
  for (const text of invalid) {
    test(JSON.stringify(text), () => {
      assert.ok(!accepts(text));
      assert.equal(readPolicy(text, { target: "x86_64" }).policy, undefined);
    });
  }
});

test("it has every key that the reader knows, with a description", () => {
  const schema: unknown = JSON.parse(readFileSync(join(root, "schema", "policy.schema.json"), "utf8"));
  assert.deepEqual(schema, policySchema());
  const properties = JSON.parse(JSON.stringify(policySchema())).properties;
  assert.deepEqual(Object.keys(properties), [...topKeys]);
  for (const [name, keys] of Object.entries(sectionKeys)) {
    assert.deepEqual(Object.keys(properties[name].properties), [...keys]);
    for (const key of keys) assert.ok(properties[name].properties[key].description.length > 10, key);
  }
});
