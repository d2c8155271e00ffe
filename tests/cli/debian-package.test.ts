// Debian packages: debootstrap lintian gcc-aarch64-linux-gnu
/** The Debian package: its own rules, and its life in a Debian of its own (installed, used, removed). */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { packageRoot } from "../../src/sandbox/package-files.ts";

const root = packageRoot();
const scratch = mkdtempSync(join(tmpdir(), "callgate-deb-test-"));
const tree = join(scratch, "tree");
const architecture = process.arch === "arm64" ? "arm64" : "amd64";
const machine = process.arch === "arm64" ? "aarch64" : "x86_64";

interface Outcome {
  readonly status: number | null;
  readonly output: string;
}

function start(command: string, args: readonly string[]): Outcome {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: scratch,
    encoding: "utf8",
    timeout: 240_000,
    env: { PATH: process.env["PATH"], LC_ALL: "C", NO_COLOR: "1", DEBIAN_FRONTEND: "noninteractive" },
  });
  return { status, output: `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}` };
}

const inTree = (...command: readonly string[]): Outcome => start("chroot", [tree, ...command]);

let noPackage: string | undefined;
let noTree: string | undefined;
let file = "";

before(() => {
  const built = start(process.execPath, [join(root, "scripts", "build-deb.mjs")]);
  const name = built.output.split("\n").find((line) => line.endsWith(`_${architecture}.deb`));
  if (built.status !== 0 || name === undefined) {
    noPackage = `the package could not be built: ${built.output}`;
    return;
  }
  file = join(scratch, "callgate.deb");
  copyFileSync(join(root, name), file);
  if (process.getuid?.() !== 0) {
    noTree = "a tree to install into can only be made by root";
    return;
  }
  // The first Debian whose Node is new enough.
  const made = start("debootstrap", ["--variant=minbase", "--include=nodejs", "trixie", tree]);
  if (made.status !== 0)
    noTree = `debootstrap could not make a tree: ${made.output.trim().split("\n").at(-1)}`;
});

after(() => rmSync(scratch, { recursive: true, force: true }));

test("lintian finds no error in it", (t) => {
  if (noPackage !== undefined) return t.skip(noPackage);
  // It leaves files of its own where temporary ones are.
  const { output } = start("env", [
    `TMPDIR=${scratch}`,
    "lintian",
    "--allow-root",
    "--fail-on",
    "error",
    file,
  ]);
  assert.doesNotMatch(output, /^E:/m);
  assert.doesNotMatch(output, /No such file/, "lintian is not installed");
});

test("it is built twice to the same bytes", (t) => {
  if (noPackage !== undefined) return t.skip(noPackage);
  const first = readFileSync(file);
  start(process.execPath, [join(root, "scripts", "build-deb.mjs")]);
  const name = `callgate_${start("dpkg-deb", ["--field", file, "Version"]).output.trim()}_${architecture}.deb`;
  assert.ok(first.equals(readFileSync(join(root, "dist", name))));
});

test("it installs into a Debian, works there, and goes without a trace", (t) => {
  const reason = noPackage ?? noTree;
  if (reason !== undefined) return t.skip(reason);
  copyFileSync(file, join(tree, "callgate.deb"));
  const installed = inTree("dpkg", "--install", "/callgate.deb");
  assert.equal(installed.status, 0, installed.output);
  assert.equal(inTree("callgate", "check", "default").status, 0);
  const probe = `/usr/lib/callgate/native/prebuilt/linux-${machine}/probe`;
  const outside = inTree(probe, "keyctl");
  assert.equal(outside.status, 0, outside.output);
  const denied = inTree("callgate", "run", "--filter-only", "--", probe, "keyctl");
  assert.equal(denied.status, 1);
  assert.match(denied.output, /keyctl: EPERM/);
  assert.equal(inTree("callgate", "run", "--filter-only", "--", "sh", "-c", "exit 7").status, 7);
  for (const path of [
    "man/man1/callgate.1.gz",
    "man/man5/callgate-policy.5.gz",
    "bash-completion/completions/callgate",
    "zsh/vendor-completions/_callgate",
    "fish/vendor_completions.d/callgate.fish",
    "callgate/policy.schema.json",
    "doc/callgate/examples/script.toml",
    "doc/callgate/docs/library.md",
  ])
    assert.equal(inTree("test", "-s", `/usr/share/${path}`).status, 0, path);
  assert.equal(inTree("callgate", "doctor").status, 0);
  assert.equal(inTree("callgate", "explain", "default", "keyctl").status, 0);
  const completion = "/usr/share/bash-completion/completions/callgate";
  assert.match(inTree("bash", "-c", `. ${completion}; complete -p callgate`).output, /-F _callgate callgate/);
  assert.equal(inTree("dpkg", "--purge", "callgate").status, 0);
  assert.notEqual(inTree("test", "-e", "/usr/lib/callgate").status, 0);
});
