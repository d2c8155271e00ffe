// The launcher's sources under the compiler's analyser and, as far as they are pure, under its sanitizers.
// Needs gcc with libasan and libubsan (Debian's gcc brings them).
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodePlan, type PlanStep } from "../../src/sandbox/plan.ts";
import {
  filterBytes,
  launcherPath,
  planFor,
  probePath,
  root,
  runProgram,
  scratchFile,
  scratchPath,
} from "./native.ts";

const native = join(root, "native");

function gcc(...args: readonly string[]): void {
  const result = spawnSync("gcc", ["-std=c11", "-Wall", "-Wextra", "-Werror", ...args], {
    cwd: native,
    encoding: "utf8",
  });
  assert.equal(`${result.stderr}${result.status}`, "0");
}

for (const file of readdirSync(native).filter((name) => name.endsWith(".c"))) {
  test(`gcc -fanalyzer finds nothing in ${file}`, () => {
    gcc(
      "-O1",
      "-fanalyzer",
      ...(file === "check-plan.c" ? [] : ["-ffreestanding"]),
      "-c",
      file,
      "-o",
      "/dev/null",
    );
  });
}

const everything: readonly PlanStep[] = [
  { kind: "namespaces", namespaces: ["mount", "cgroup", "uts", "ipc", "user", "pid", "net"] },
  { kind: "idMaps", map: "own" },
  {
    kind: "mounts",
    entries: [
      { kind: "directory", target: "usr", mode: 0o755 },
      { kind: "bind", source: "/usr", target: "usr", identity: { device: 1n, inode: 2n } },
      { kind: "tmpfs", target: "tmp", mode: 0o1777, size: 4096 },
      { kind: "link", target: "bin", to: "usr/bin" },
    ],
  },
  { kind: "pivot" },
  { kind: "hostName", name: "inside" },
  { kind: "limits", resources: { cpu: 1, nofile: 64 }, wallTime: 5 },
  { kind: "environment", keep: ["PATH", "LC_*"], set: { A: "1", B: "" } },
  { kind: "workingDirectory", path: "/", identity: { device: 1n, inode: 2n } },
  { kind: "terminal", newSession: true },
  { kind: "identity", uid: 1, gid: 1 },
  { kind: "capabilities" },
  { kind: "noNewPrivileges" },
  { kind: "hardening", noNewCode: true },
  {
    kind: "landlock",
    least: 1,
    scopes: 3,
    files: 0x1ffff,
    network: 3,
    paths: [{ path: "/usr", rights: 0xd }],
    ports: [{ port: 443, rights: 2 }],
  },
  { kind: "closeDescriptors", keep: [4, 7] },
  { kind: "signals", keepIgnored: [1] },
  {
    kind: "filter",
    bytes: filterBytes([
      [0x20, 0, 0, 40],
      [0x15, 0, 0, 0],
      [0x06, 0, 0, 0x7fff0000],
    ]),
    patches: [{ instruction: 1, word: 5 }],
  },
];

test("100,000 damaged plans under AddressSanitizer and UBSan", () => {
  const program = scratchPath("check-plan");
  gcc(
    "-g",
    "-O1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "check-plan.c",
    "-o",
    program,
  );
  const plan = scratchFile("plan", encodePlan(planFor(everything, "/bin/true", "", "x")));
  const small = scratchFile("plan", encodePlan(planFor([], "/bin/true")));
  const result = runProgram(program, { args: ["-50000", plan, small] });
  assert.equal(result.stderr, "");
  assert.match(
    result.stdout,
    /: valid\n50000 plans, \d+ of them valid\n.*: valid\n50000 plans, \d+ of them valid\n$/,
  );
  assert.equal(result.status, 0);
  const empty = runProgram(program, { args: [scratchFile("empty", "")] });
  assert.match(empty.stdout, /: it is empty\n$/);
});

test("the programs stay small, and no part of them is both writable and executable", () => {
  for (const path of [launcherPath, probePath]) {
    const bytes = readFileSync(path);
    assert.ok(bytes.length < 80 * 1024, `${path}: ${bytes.length} bytes`);
    const first = Number(bytes.readBigUInt64LE(32));
    const count = bytes.readUInt16LE(56);
    for (let i = 0; i < count; i += 1) {
      const flags = bytes.readUInt32LE(first + 56 * i + 4);
      assert.notEqual(flags & 3, 3, `segment ${i}`);
    }
  }
});
