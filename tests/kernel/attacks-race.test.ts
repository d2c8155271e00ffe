// A race while the sandbox is set up: what is granted is replaced, over and over, by something else, so that one of the
// launcher's calls may meet the one and the next call the other. Outside a program that looks by the same path meets
// the secret; inside it sees what was granted, or the start fails. CALLGATE_LONG=1 for thousands of rounds.
// Debian packages: python3
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  isRoot,
  launch,
  launcherPath,
  ordinaryUser,
  planFor,
  refuseFilter,
  root,
  runProgram,
  scratchFile,
  scratchPath,
} from "./native.ts";

const rounds = process.env["CALLGATE_LONG"] === undefined ? 40 : 3000;
const people = isRoot
  ? [
      { name: "root", identity: {}, uid: 0 },
      { name: "an ordinary user", identity: ordinaryUser, uid: ordinaryUser.uid },
    ]
  : [{ name: "an ordinary user", identity: {}, uid: process.getuid?.() ?? 0 }];

/** Each puts the secret in the place of what is granted and back, for as long as its input is open. */
const swaps = {
  "a folder by a link": "os.rename(p, p + '.x'); os.symlink(s, p); os.unlink(p); os.rename(p + '.x', p)",
  "a folder by another": "os.rename(p, p + '.x'); os.rename(s, p); os.rename(p, s); os.rename(p + '.x', p)",
  "a file by a link": "os.rename(f, f + '.x'); os.symlink(k, f); os.unlink(f); os.rename(f + '.x', f)",
  "a file by a hard link":
    "os.link(k, f + '.y'); os.rename(f, f + '.x'); os.rename(f + '.y', f); os.rename(f + '.x', f)",
} as const;

/** Makes the plan of a run in another process, where making namespaces is refused or not. */
function planOf(
  hasNamespaces: boolean,
  identity: { readonly uid?: number; readonly gid?: number },
  read: string,
  show: string,
): Uint8Array {
  const missing = hasNamespaces ? [] : ["namespaces"];
  const text = `
    import { readPolicy } from "${root}/dist/src/formats/index.js";
    import { encodePlan } from "${root}/dist/src/sandbox/plan.js";
    import { planFor, preparePlan } from "${root}/dist/src/sandbox/prepare.js";
    import { compiledFilters } from "${root}/dist/src/sandbox/compiled-filters.js";
    const hardening = { "missing-layers": ${JSON.stringify(missing)} };
    const { policy } = readPolicy({ version: 1, extends: ["default"], files: { read: ["${read}"] }, hardening });
    const start = { path: "/bin/sh", arguments: ["sh", "-c", ${JSON.stringify(show)}], cwd: "/usr" };
    console.log(Buffer.from(encodePlan(planFor(preparePlan(policy, {}, compiledFilters), start))).toString("base64"));`;
  const command = [process.execPath, "--input-type=module", "-e", text] as const;
  const [program, ...args] = command;
  const found = hasNamespaces
    ? runProgram(program, { args, ...identity, cwd: "/usr" })
    : launch(
        planFor(
          [
            { kind: "noNewPrivileges" },
            { kind: "filter", bytes: refuseFilter(process.arch === "x64" ? 272 : 97, 28) },
          ],
          program,
          ...args,
        ),
        { ...identity, cwd: "/usr" },
      );
  assert.equal(found.status, 0, found.stderr);
  return Buffer.from(found.stdout, "base64");
}

for (const { name, identity, uid } of people) {
  describe(`a race over what is granted, ${name}`, () => {
    for (const [what, swap] of Object.entries(swaps)) {
      for (const hasNamespaces of [true, false]) {
        test(`${what}, ${hasNamespaces ? "whole" : "without namespaces"}`, async () => {
          const folder = scratchPath("race");
          const inner = join(folder, "inner");
          const secret = join(folder, "secret");
          const own = (path: string): void => {
            chmodSync(path, 0o777);
            if (isRoot) chownSync(path, uid, uid);
          };
          for (const path of [folder, inner, secret]) {
            mkdirSync(path);
            own(path);
          }
          for (const [path, content] of [
            [join(inner, "content"), "mine"],
            [join(secret, "content"), "secret"],
            [join(folder, "file"), "mine"],
            [join(folder, "key"), "secret"],
          ] as const) {
            writeFileSync(path, `${content}\n`);
            own(path);
          }
          const isFile = what.startsWith("a file");
          const granted = isFile ? join(folder, "file") : inner;
          const show = `cat ${isFile ? granted : join(inner, "content")} 2>/dev/null`;
          const plan = scratchFile("plan", planOf(hasNamespaces, identity, granted, show));

          assert.equal(launch(readFileSync(plan), identity).stdout, "mine\n", "without a race it is shown");

          const racer = spawn(
            "/usr/bin/python3",
            [
              "-c",
              `import os,sys,threading\np,s,f,k=${JSON.stringify([inner, secret, join(folder, "file"), join(folder, "key")])}\nend=[]\nthreading.Thread(target=lambda: (sys.stdin.read(), end.append(1))).start()\nprint("up",flush=True)\nwhile not end:\n try: ${swap}\n except OSError: pass\n`,
            ],
            { stdio: ["pipe", "pipe", "inherit"], ...identity },
          );
          try {
            await new Promise((resolve) => racer.stdout.once("data", resolve));
            const open = spawnSync(
              "/bin/sh",
              [
                "-c",
                `while :; do ${isFile ? `read -r x 2>/dev/null <${granted}` : `read -r x 2>/dev/null <${join(inner, "content")}`} && [ "$x" = secret ] && echo met && exit; done`,
              ],
              { encoding: "utf8", timeout: 240_000, ...identity },
            );
            assert.equal(open.stdout, "met\n", "outside it is met");
            const loop = `i=0; while [ $i -lt ${rounds} ]; do i=$((i+1)); ${launcherPath} plan 3<${plan} 2>/dev/null || :; done`;
            const found = spawnSync("/bin/sh", ["-c", loop], {
              encoding: "utf8",
              timeout: 600_000,
              cwd: "/usr",
              ...identity,
            });
            assert.equal(found.status, 0);
            assert.deepEqual(
              found.stdout.split("\n").filter((line) => line !== "" && line !== "mine"),
              [],
            );
          } finally {
            racer.stdin.end();
            await new Promise((resolve) => racer.once("close", resolve));
          }
        });
      }
    }
  });
}
