// Input that is no policy: one clear sentence each, never a stack trace, and soon.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { renderDiagnostics, spanText } from "../../src/diagnostics/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { loadPolicy } from "../../src/formats/load.ts";
import type { PolicyDocument } from "../../src/formats/object.ts";
import { fileOf, target } from "../policy/reading.ts";

const scratch = mkdtempSync(join(tmpdir(), "callgate-bad-input-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(scratch, name);
  writeFileSync(path, content);
  return path;
}

const valid = fileOf("allow read");
const lines = (count: number, line: string): string => `${line}\n`.repeat(count);
mkdirSync(join(scratch, "directory"));
const elf = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0xb0, 0xff, 0xfe);
const fifo = join(scratch, "fifo");
const hasFifo = spawnSync("mkfifo", [fifo]).status === 0;

file("one.toml", `extends = ["two.toml"]\n${valid}`);
file("two.toml", `extends = ["./three.toml"]\n${valid}`);
file("three.toml", `extends = ["../${scratch.split("/").pop()}/one.toml"]\n${valid}`);

/** A file and the one sentence that is said of it. */
const rows: readonly (readonly [title: string, path: string, id: string, message: RegExp])[] = [
  [
    "a file that is not there",
    join(scratch, "missing.toml"),
    "unreadable",
    /missing\.toml": there is no such file$/,
  ],
  ["a path through a file", join(file("plain.toml", valid), "x"), "unreadable", /there is no such file$/],
  ["a directory", join(scratch, "directory"), "unreadable", /it is a directory$/],
  ["a device", "/dev/zero", "unreadable", /it is not a file$/],
  ["a path with a NUL", "a\0b", "unreadable", /it cannot be read|there is no such file/],
  ["an empty name", "", "unreadable", /there is no such file$/],
  ["an empty file", file("empty.toml", ""), "empty-policy", /^this policy is empty/],
  ["white space alone", file("white.toml", " \n\t\r\n"), "empty-policy", /^this policy is empty/],
  ["a byte order mark alone", file("bom.toml", "\ufeff"), "empty-policy", /^this policy is empty/],
  [
    "invalid UTF-8",
    file("latin1.toml", Buffer.from(valid.replace("read", "r\u00e9ad"), "latin1")),
    "unreadable",
    /it is not UTF-8 text \(line 5\)$/,
  ],
  [
    "UTF-16",
    file("utf16.toml", Buffer.from(`\ufeff${valid}`, "utf16le")),
    "unreadable",
    /it is not UTF-8 text/,
  ],
  ["an ELF file", file("elf", elf), "unreadable", /it is not UTF-8 text/],
  [
    "a NUL",
    file("nul.toml", valid.replace("read", "re\0d")),
    "not-text",
    /^there is a NUL character here: this is not a text$/,
  ],
  ["a line of 10 MB", file("line.toml", "x".repeat(10_000_000)), "unreadable", /it is larger than 8 MiB/],
  [
    "a line of 1 MB",
    file("line1.toml", `a = "${"x".repeat(1_000_000)}"`),
    "line-too-long",
    /^this line is longer than 64 KiB/,
  ],
  [
    "9 MiB",
    file("large.toml", lines(9 * 1024, "#".repeat(1023))),
    "unreadable",
    /it is larger than 8 MiB: no policy is$/,
  ],
  [
    "100,000 rules",
    file("rules.toml", fileOf(lines(100_000, "allow read"))),
    "too-many-rules",
    /^10000\d lines of rules are more than the 20000 that callgate takes$/,
  ],
  [
    "100,000 rules in a list",
    file("list.toml", `version = 1\n[syscalls]\nrules = [\n${lines(100_000, '"allow read",')}]`),
    "too-many-rules",
    /^100000 lines of rules/,
  ],
  [
    "TOML that is not a policy",
    file("Cargo.toml", '[package]\nname = "x"\n[dependencies]\n'),
    "not-a-policy",
    /^this is not a policy/,
  ],
  [
    "JSON that is not a policy",
    file("package.json", '{"scripts": {}, "private": true}'),
    "not-a-policy",
    /^this is not a policy/,
  ],
  ["a JSON list", file("list.json", '["allow read"]'), "not-a-policy", /^this is not a policy/],
  [
    "YAML",
    file("compose.yaml", "version: 1\nsyscalls:\n  default: deny\n"),
    "toml-syntax",
    /^this is not TOML/,
  ],
  ["a shell script", file("run.sh", "#!/bin/sh\nexec true\n"), "toml-syntax", /^this is not TOML/],
  [
    "TOML arrays, deep",
    file("deep.toml", `a = ${"[".repeat(20_000)}${"]".repeat(20_000)}`),
    "toml-syntax",
    /nested too deeply/,
  ],
  [
    "TOML tables, deep",
    file("tables.toml", `${"a = {".repeat(9_000)}${"}".repeat(9_000)}`),
    "toml-syntax",
    /^this is not TOML|nested too deeply/,
  ],
  [
    "TOML keys, deep",
    file("keys.toml", `${"a.".repeat(30_000)}a = 1`),
    "not-a-policy",
    /^this is not a policy/,
  ],
  [
    "JSON, deep",
    file("deep.json", `${'{"a":'.repeat(9_000)}1${"}".repeat(9_000)}`),
    "json-syntax",
    /nested too deeply/,
  ],
  [
    "JSON that ends early",
    file("early.json", '{"version": 1, "syscalls": {'),
    "json-syntax",
    /expected a key in double quotes/,
  ],
  [
    "a missing parent",
    file("child.toml", `extends = ["nowhere.toml"]\n${valid}`),
    "cannot-extend",
    /^cannot extend "nowhere.toml": there is no such file$/,
  ],
  [
    "a parent that is a directory",
    file("child2.toml", `extends = ["directory"]\n${valid}`),
    "cannot-extend",
    /^cannot extend "directory": it is a directory$/,
  ],
  [
    "a circle of one",
    file("self.toml", `extends = ["self.toml"]\n${valid}`),
    "extends-circle",
    /^extends goes in a circle: .*self\.toml → .*self\.toml$/,
  ],
  [
    "a circle of three",
    join(scratch, "one.toml"),
    "extends-circle",
    /one\.toml → .*two\.toml → .*three\.toml → .*one\.toml$/,
  ],
];

describe("input that is no policy", () => {
  for (const [title, path, id, message] of rows) {
    test(title, (context) => {
      const start = performance.now();
      const { policy, diagnostics } = loadPolicy(path, { target });
      const took = Math.round(performance.now() - start);
      if (took > 100) context.diagnostic(`${took} ms`);
      assert.equal(policy, undefined);
      assert.deepEqual(
        diagnostics.map((one) => one.id),
        [id],
        renderDiagnostics(diagnostics),
      );
      assert.match(diagnostics[0]?.message ?? "", message);
      // A sentence, and a line of the file cut to the terminal's width.
      for (const line of renderDiagnostics(diagnostics).split("\n").slice(1))
        assert.ok(line.length <= 160, line);
    });
  }

  test("a file that may not be read", () => {
    const path = file("secret.toml", valid);
    chmodSync(path, 0);
    // Root may read everything: this one look is taken as nobody.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) chmodSync(scratch, 0o755);
    if (isRoot) process.seteuid?.(65534);
    try {
      assert.match(loadPolicy(path).diagnostics[0]?.message ?? "", /: permission denied$/);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test("a named pipe is read like a file", { skip: !hasFifo && "needs mkfifo" }, () => {
    const writer = spawnSync("sh", [
      "-c",
      'printf "%s" "$2" > "$1" & node -e "process.exit(0)"; wait',
      "sh",
      file("through", ""),
      valid,
    ]);
    assert.equal(writer.status, 0);
    assert.ok(loadPolicy(join(scratch, "through"), { target }).policy !== undefined);
  });

  test("a parent named many times at many levels is read once", () => {
    for (let level = 0; level < 30; level++) {
      const parents = Array.from({ length: 20 }, () => `"level${level + 1}.toml"`).join(", ");
      file(`level${level}.toml`, `extends = [${parents}]\n${valid}`);
    }
    file("level30.toml", valid);
    const { policy, diagnostics } = loadPolicy(join(scratch, "level0.toml"), { target });
    assert.deepEqual(diagnostics, []);
    assert.equal(policy?.syscalls.rules.length, 31);
  });

  test("20,000 mistakes are all told", (context) => {
    const start = performance.now();
    const rules = Array.from(
      { length: 19_000 },
      (_, i) => `deny unshaer${i}(flags == CLONE_NEWUSR${i})`,
    ).join("\n");
    const { diagnostics } = readPolicy(fileOf(rules), { target });
    assert.equal(diagnostics.length, 19_000);
    renderDiagnostics(diagnostics);
    context.diagnostic(`${Math.round(performance.now() - start)} ms`);
  });

  test("5,000 constants that do not exist are all told", (context) => {
    const start = performance.now();
    const rules = Array.from({ length: 5_000 }, (_, i) => `deny unshare(flags == CLONE_NEWUSR_${i})`).join(
      "\n",
    );
    const { diagnostics } = readPolicy(fileOf(rules), { target });
    assert.equal(diagnostics.length, 5_000);
    context.diagnostic(`${Math.round(performance.now() - start)} ms`);
  });
});

describe("wrong types", () => {
  const section = "[syscalls]\n";
  const rows: readonly (readonly [text: string, id: string, word: string, message?: RegExp])[] = [
    ["version = 2", "unknown-version", "2"],
    ['version = "1"', "unknown-version", '"1"'],
    ["version = 1\nname = 3", "wrong-type", "3", /^name is a string, not a number$/],
    ["version = 1\nextends = 3", "wrong-type", "3"],
    ["version = 1\nextends = [3]", "wrong-type", "3"],
    ["version = 1\nsyscalls = 3", "wrong-type", "3", /^\[syscalls\] is a section, not a number$/],
    [
      "version = 1\n[[syscalls]]\ndefault = 'allow'",
      "wrong-type",
      "syscalls",
      /^\[syscalls\] is a section, not an array$/,
    ],
    ["version = 1\n[[environment]]\nkeep = []\n[environment.set]\nA = '1'", "wrong-type", "environment"],
    [
      `version = 1\n${section}default = true`,
      "wrong-type",
      "true",
      /^default is an action in quotes, not a boolean$/,
    ],
    [`version = 1\n${section}default = "deny it"`, "syntax", "it"],
    [`version = 1\n${section}default = "denny"`, "unknown-action", "denny"],
    [
      `version = 1\n${section}baseline = 6.1`,
      "wrong-type",
      "6.1",
      /^baseline is a Linux version in quotes: "6.1", not a fraction$/,
    ],
    [`version = 1\n${section}baseline = "six"`, "bad-version", '"six"'],
    [`version = 1\n${section}baseline = "6"`, "bad-version", '"6"'],
    [`version = 1\n${section}newer = ["deny"]`, "wrong-type", '["deny"]'],
    [`version = 1\n${section}abis = []`, "bad-value", "[]"],
    [`version = 1\n${section}abis = ["amd64"]`, "unknown-abi", '"amd64"'],
    [`version = 1\n${section}abis = [1]`, "wrong-type", "1"],
    [`version = 1\n${section}other-abis = 1979-05-27`, "wrong-type", "1979-05-27", /not a date or time$/],
    [`version = 1\n${section}multiplexed = "loose"`, "bad-value", '"loose"'],
    [`version = 1\n${section}require = 3`, "wrong-type", "3"],
    [`version = 1\n${section}rules = 3`, "wrong-type", "3"],
    [`version = 1\n${section}rules = [["allow read"]]`, "wrong-type", '["allow read"]'],
    [
      `version = 1\n${section}ruels = ""`,
      "unknown-key",
      "ruels",
      /^there is no key "ruels" in \[syscalls\]$/,
    ],
    ["version = 1\n[syscall]\nrules = ''", "unknown-key", "syscall"],
    ["version = 1\n[files]\nread = '/usr'", "wrong-type", "'/usr'"],
    ["version = 1\n[files]\nread = [1]", "wrong-type", "1"],
    ["version = 1\n[files]\nwrite = {}", "wrong-type", "{}"],
    ["version = 1\n[network]\nmode = 'none'", "bad-value", "'none'"],
    ["version = 1\n[network]\nports = 80", "wrong-type", "80"],
    ["version = 1\n[network]\nports = [0]", "bad-port", "0"],
    ["version = 1\n[network]\nports = [65536]", "bad-port", "65536"],
    ["version = 1\n[network]\nports = ['http']", "bad-port", "'http'"],
    ["version = 1\n[limits]\nmemory = '12Q'", "bad-limit", "'12Q'"],
    ["version = 1\n[limits]\nmemory = -1", "bad-limit", "-1"],
    ["version = 1\n[limits]\nmemory = 0", "bad-limit", "0"],
    ["version = 1\n[limits]\nmemory = '63K'", "bad-limit", "'63K'"],
    ["version = 1\n[limits]\nmemory = '99999999T'", "bad-limit", "'99999999T'"],
    ["version = 1\n[limits]\nmemory = '1constructor'", "bad-limit", "'1constructor'"],
    ["version = 1\n[limits]\nprocesses = '64K'", "bad-limit", "'64K'"],
    ["version = 1\n[limits]\ncpu-time = true", "bad-limit", "true"],
    ["version = 1\n[environment]\nkeep = 'LANG'", "wrong-type", "'LANG'"],
    ["version = 1\n[environment]\nset = ['A=1']", "wrong-type", "['A=1']"],
    ["version = 1\n[environment]\nset = { A = 1 }", "bad-value", "1"],
    ['version = 1\n[environment]\nset = { "A=B" = "1" }', "bad-value", '"1"'],
    ["version = 1\n[hardening]\nnew-code = true", "bad-value", "true"],
    ["version = 1\n[hardening]\nexec = 'none'", "bad-value", "'none'"],
    ['version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "six"', "bad-version", '"six"'],
    ["version = 1\n[hardening]\nmissing-layers = 'landlock'", "wrong-type", "'landlock'"],
    [
      "version = 1\n[hardening]\nmissing-layers = ['proc', 'landlok']",
      "bad-value",
      "'landlok'",
      /^there is no layer "landlok"$/,
    ],
    [
      "version = 1\n[environment]\nkeep = ['LANG', 'A=1']",
      "bad-value",
      "'A=1'",
      /^"A=1" is no name of a variable$/,
    ],
    ["version = 1\n[environment]\nkeep = ['']", "bad-value", "''"],
    ["version = 1\n[files]\nread = ['']", "bad-value", "''", /empty/],
    ['version = 1\n[files]\nwrite = ["a\\nb"]', "bad-value", '"a\\nb"', /newline/],
    ["version = 1\n[network]\nmode = 'host'\nports = [80]", "bad-value", "[80]", /contradict/],
    ["version = 1\n[network]\nmode = 'off'\nports = [80]", "bad-value", "[80]", /contradict/],
  ];
  for (const [text, id, word, message] of rows) {
    test(text.replaceAll("\n", " "), () => {
      const { policy, diagnostics } = readPolicy(text, { target });
      assert.equal(policy, undefined);
      assert.deepEqual(
        diagnostics.map((one) => [one.id, one.span === undefined ? undefined : spanText(one.span)]),
        [[id, word]],
      );
      if (message !== undefined) assert.match(diagnostics[0]?.message ?? "", message);
    });
  }

  test("a missing version is a warning, since there is only one", () => {
    const { policy, diagnostics } = readPolicy('[syscalls]\nrules = "allow read"', { target });
    assert.ok(policy !== undefined);
    assert.deepEqual(
      diagnostics.map((one) => `${one.severity} ${one.id}`),
      ["warning missing-version"],
    );
  });

  test("what is no object is no policy", () => {
    const read = (value: unknown) => Reflect.apply(readPolicy, undefined, [value, { target }]);
    for (const value of [undefined, null, 3, true, [], ["allow read"], Symbol("policy"), () => 1]) {
      const { policy, diagnostics }: ReturnType<typeof readPolicy> = read(value);
      assert.equal(policy, undefined);
      assert.deepEqual(
        diagnostics.map((one) => one.id),
        ["not-a-policy"],
      );
    }
  });

  test("an object that contains itself is too deep", () => {
    const rules: unknown[] = [];
    rules.push(rules);
    const document = { version: 1, syscalls: { rules } };
    const { diagnostics }: ReturnType<typeof readPolicy> = Reflect.apply(readPolicy, undefined, [
      document,
      { target },
    ]);
    assert.deepEqual(
      diagnostics.map((one) => one.id),
      ["wrong-type"],
    );
  });

  test("names from an object's prototype are no policies, units or variables", () => {
    const document: PolicyDocument = { version: 1, extends: ["constructor", "__proto__"] };
    assert.deepEqual(
      readPolicy(document, { target }).diagnostics.map((one) => one.id),
      ["cannot-extend", "cannot-extend"],
    );
    const text = 'version = 1\n[environment]\nset = { "__proto__" = "x", constructor = "y" }';
    assert.deepEqual(Object.entries(readPolicy(text, { target }).policy?.environment?.set ?? {}), [
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
  });
});
