// Debian packages: gcc-aarch64-linux-gnu
/** The package as users get it: packed, installed without scripts and without a compiler, and used in every way. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { packageRoot } from "../../src/sandbox/package-files.ts";

const root = packageRoot();
const scratch = mkdtempSync(join(tmpdir(), "callgate package "));
const app = join(scratch, "an app");
const globalPrefix = join(scratch, "global");
/** A PATH with a shell and Node, and no compiler. */
const tools = join(scratch, "tools");
const callgate = join(app, "node_modules", ".bin", "callgate");

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly path?: string } = {},
): Outcome {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: options.cwd ?? scratch,
    encoding: "utf8",
    timeout: 240_000,
    env: { ...process.env, PATH: options.path ?? tools, NO_COLOR: "1" },
  });
  return { status, stdout: stdout ?? "", stderr: `${stderr ?? ""}${error?.message ?? ""}` };
}

function npm(...args: readonly string[]): Outcome {
  return start("npm", args, { path: [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter) });
}

let problem: string | undefined;

before(() => {
  for (const folder of [app, globalPrefix, tools]) mkdirSync(folder, { recursive: true });
  symlinkSync(process.execPath, join(tools, "node"));
  for (const name of ["sh", "env", "npm", "npx", "cat"]) {
    const folder = (process.env["PATH"] ?? "").split(delimiter).find((one) => existsSync(join(one, name)));
    if (folder !== undefined) symlinkSync(join(folder, name), join(tools, name));
  }
  const packed = npm("pack", root, "--ignore-scripts", "--pack-destination", scratch, "--silent");
  const tarball = join(scratch, packed.stdout.trim().split("\n").at(-1) ?? "");
  writeFileSync(join(app, "package.json"), '{ "name": "app", "version": "1.0.0", "private": true }\n');
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--silent"];
  const local = npm("install", ...options, "--prefix", app, tarball);
  const global = npm("install", ...options, "--global", "--prefix", globalPrefix, tarball);
  if (packed.status !== 0 || local.status !== 0 || global.status !== 0) {
    problem = `npm could not pack and install it (no registry?): ${packed.stderr}${local.stderr}${global.stderr}`;
  }
});

after(() => rmSync(scratch, { recursive: true, force: true }));

/** The compiler's absence is the point of most of these: gcc must not be found. */
test("the tests' PATH has no compiler", () => {
  assert.deepEqual(
    readdirSync(tools).filter((name) => /cc|clang/.test(name)),
    [],
  );
});

const ways: readonly (readonly [string, () => readonly [string, readonly string[]]])[] = [
  ["node_modules/.bin", () => [callgate, []]],
  ["npx", () => ["npx", ["--no-install", "callgate"]]],
  ["a global install", () => [join(globalPrefix, "bin", "callgate"), []]],
];
for (const [name, way] of ways) {
  test(`${name} runs a program under a policy`, (t) => {
    if (problem !== undefined) return t.skip(problem);
    const [command, args] = way();
    const keyctl = join(app, "node_modules", "callgate", "native", "prebuilt", "linux-x86_64", "probe");
    const denied = start(command, [...args, "run", "--filter-only", "--", keyctl, "keyctl"], { cwd: app });
    assert.deepEqual(
      [denied.status, denied.stdout],
      [1, "keyctl: EPERM (Operation not permitted)\n"],
      denied.stderr,
    );
    assert.equal(
      start(command, [...args, "--version"], { cwd: app }).stdout,
      `callgate ${versionOf(root)}\n`,
    );
  });
}

function versionOf(folder: string): string {
  const parsed: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return typeof parsed === "object" && parsed !== null && "version" in parsed ? String(parsed.version) : "";
}

const use = `const policy = readPolicy('version = 1\\n[syscalls]\\nrules = "allow read"\\n').policy;
console.log(compile(policy, { target: "x86_64" }).instructions.length > 0, syscallNumber("x86_64", "read"));
exec("sh", ["-c", "exit 7"], { policy: "default" }).catch((error) => error).then(({ exitCode }) => console.log(exitCode));\n`;

test("without gcc, doctor says that run works, and that gcc is not needed", (t) => {
  if (problem !== undefined) return t.skip(problem);
  const { status, stdout, stderr } = start(callgate, ["doctor"], { cwd: app });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^gcc +note +not installed: not needed, the launcher is there$/m);
  assert.match(stdout, /^launcher +ok /m);
});

test("a global install brings the manual pages; every install has completions and the schema", (t) => {
  if (problem !== undefined) return t.skip(problem);
  for (const page of ["man1/callgate.1", "man5/callgate-policy.5"])
    assert.match(readFileSync(join(globalPrefix, "share", "man", page), "utf8"), /^\.Sh NAME$/m);
  const installed = join(app, "node_modules", "callgate");
  assert.deepEqual(readdirSync(join(installed, "dist", "completions")).sort(), [
    "_callgate",
    "callgate.bash",
    "callgate.fish",
  ]);
  const schema = start("node", ["-p", 'require("callgate/schema/policy.schema.json").title'], { cwd: app });
  assert.equal(schema.stdout, "callgate policy\n", schema.stderr);
});

test("it can be imported", (t) => {
  if (problem !== undefined) return t.skip(problem);
  writeFileSync(
    join(app, "use.mjs"),
    `import { compile, exec, readPolicy, syscallNumber } from "callgate";\n${use}`,
  );
  assert.equal(start("node", ["use.mjs"], { cwd: app }).stdout, "true 0\n7\n");
});

test("it can be required", (t) => {
  if (problem !== undefined) return t.skip(problem);
  writeFileSync(
    join(app, "use.cjs"),
    `const { compile, exec, readPolicy, syscallNumber } = require("callgate");\n${use}`,
  );
  const { stdout, stderr } = start("node", ["use.cjs"], { cwd: app });
  assert.equal(stdout, "true 0\n7\n", stderr);
});

test("its types are found by a program that uses it", (t) => {
  if (problem !== undefined) return t.skip(problem);
  writeFileSync(
    join(app, "use.ts"),
    `import { evaluate, readPolicy } from "callgate";
const { policy } = readPolicy("");
if (policy !== undefined) {
  const kind: "allow" | "errno" | string = evaluate(policy, { abi: "x86_64", syscall: "read" }).action.kind;
  // @ts-expect-error there is no such ABI
  evaluate(policy, { abi: "vax", syscall: kind });
}
`,
  );
  const tsc = join(root, "node_modules", ".bin", "tsc");
  const flags = [
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2023",
    // The types of Node itself are the program's own dependency, as they are for every library on Node.
    "--typeRoots",
    join(root, "node_modules", "@types"),
    "--types",
    "node",
    "--ignoreConfig",
  ];
  const { status, stdout } = start(tsc, [...flags, "use.ts"], { cwd: app, path: process.env["PATH"] ?? "" });
  assert.equal(status, 0, stdout);
});

test("it brings one dependency, launchers for both machines, and no cache of compiled code", (t) => {
  if (problem !== undefined) return t.skip(problem);
  const installed = join(app, "node_modules", "callgate");
  const dependencies = readdirSync(join(app, "node_modules")).filter((name) => !name.startsWith("."));
  assert.deepEqual(dependencies, ["callgate", "eslint-visitor-keys", "toml-eslint-parser"]);
  // Every native program that the command starts, for both machines, executable, and as its checksum says.
  const prebuilt = join(installed, "native", "prebuilt");
  const sums = readFileSync(join(prebuilt, "SHA256SUMS"), "utf8").trimEnd().split("\n");
  for (const machine of ["x86_64", "aarch64"]) {
    const folder = join(prebuilt, `linux-${machine}`);
    const programs = readdirSync(folder).sort();
    assert.ok(programs.includes("launcher") && programs.includes("doctor"), `programs for ${machine}`);
    for (const program of programs) {
      const file = join(folder, program);
      assert.equal(statSync(file).mode & 0o111, 0o111, file);
      const sum = createHash("sha256").update(readFileSync(file)).digest("hex");
      assert.ok(sums.includes(`${sum}  linux-${machine}/${program}`), file);
    }
  }
  assert.deepEqual(readdirSync(join(installed, "dist", "cli")).sort(), [
    "check.js",
    "core.js",
    "filter.js",
    "lxc.js",
    "main.cjs",
    "main.js",
    "other.js",
    "ready",
    "run.js",
    "tables.txt",
  ]);
});

test("the launcher is what its checksum says, and a damaged one is refused", (t) => {
  if (problem !== undefined) return t.skip(problem);
  const copy = join(scratch, "damaged");
  cpSync(join(app, "node_modules"), join(copy, "node_modules"), { recursive: true, verbatimSymlinks: true });
  const launcher = join(copy, "node_modules", "callgate", "native", "prebuilt", "linux-x86_64", "launcher");
  const bytes = readFileSync(launcher);
  writeFileSync(launcher, Buffer.concat([bytes, Buffer.from("x")]));
  const { status, stderr } = start(join(copy, "node_modules", ".bin", "callgate"), [
    "run",
    "--filter-only",
    "--",
    "/bin/true",
  ]);
  assert.equal(status, 125);
  assert.match(stderr, /launcher.*checksum/s);
});

test("two builds of the native programs, in two places, are the same bytes", () => {
  const sums = ["one", "another, with a longer name"].map((name) => {
    const folder = join(scratch, name);
    cpSync(join(root, "native"), join(folder, "native"), { recursive: true });
    rmSync(join(folder, "native", "prebuilt"), { recursive: true, force: true });
    mkdirSync(join(folder, "scripts"));
    cpSync(join(root, "scripts", "build-native.mjs"), join(folder, "scripts", "build-native.mjs"));
    start(process.execPath, [join(folder, "scripts", "build-native.mjs")], {
      path: process.env["PATH"] ?? "",
    });
    return readFileSync(join(folder, "native", "prebuilt", "SHA256SUMS"), "utf8");
  });
  assert.equal(sums[0], sums[1]);
  assert.match(sums[0] ?? "", /linux-aarch64\/launcher/);
});
