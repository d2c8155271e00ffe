/** `callgate run` with what the build has made ready: the same plan as without it, whatever has become of those files. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { sealed } from "../../src/sandbox/ready-files.ts";
import { architecture, scratchPath } from "../kernel/native.ts";

const copy = scratchPath("callgate");
for (const name of ["bin", "dist/cli", "native/prebuilt", "package.json"])
  cpSync(join(packageRoot(), name), join(copy, name), { recursive: true });
const ready = join(copy, "dist", "cli", "ready");
const aside = join(copy, "ready-aside");

interface HandedOver {
  readonly plan: string;
  readonly facts: string;
}

/** What the command hands to the launcher: the plan, and the facts behind it. */
function handedOver(args: readonly string[]): HandedOver {
  // The tests move and change these files: a plan that rests on what was changed a moment ago is not to be kept.
  for (let tries = 0; tries < 20; tries += 1) {
    const found = handedOverNow(args);
    if (found.facts !== "") return found;
  }
  assert.fail("there were never any facts");
}

function handedOverNow(args: readonly string[]): HandedOver {
  const out = scratchPath("plan");
  const line = '"$@" 3>&1 >/dev/null </dev/null | cat >"$OUT"';
  const main = join(copy, "dist", "cli", "main.cjs");
  const { status, stderr } = spawnSync(
    "/bin/sh",
    ["-c", line, "sh", process.execPath, main, "run", ...args, "--", "/bin/true"],
    {
      encoding: "utf8",
      timeout: 240_000,
      env: { PATH: process.env["PATH"], HOME: "/nonexistent", OUT: out },
    },
  );
  assert.deepEqual([status, stderr], [0, ""]);
  const bytes = readFileSync(out);
  const length = bytes.readUInt32LE(12);
  return {
    plan: bytes.toString("hex", 0, length),
    facts: bytes.toString("utf8", length),
  };
}

const readyLines = [
  [],
  ["--net"],
  ["--port", "80"],
  ["--memory", "64M", "--read", "/srv"],
  ["--policy", "strict"],
  ["--policy", "container"],
  ["--filter-only"],
  ["--filter-only", "--report=end"],
];

for (const args of readyLines)
  test(`run ${args.join(" ")}: the ready filters are those that are compiled and proved anew`, () => {
    const { plan, facts } = handedOver(args);
    assert.match(facts, /\/ready\/\w+\.\w+\.\w+(?:-\w+)?\.json\0/, "it rests on the file of the filters");
    renameSync(ready, aside);
    try {
      const anew = handedOver(args);
      assert.equal(anew.plan === plan, true);
    } finally {
      renameSync(aside, ready);
    }
  });

test("with rules, ABIs or hardening of its own a start has nothing of it", () => {
  const hard = scratchPath("hard.toml");
  writeFileSync(hard, 'version = 1\nextends = "default"\n[hardening]\nnew-code = "deny"\n');
  const plain = handedOver([]).plan;
  for (const args of [
    ["--deny", "uname"],
    ["--allow", "acct"],
    ["--abi", "all"],
    ["--policy", hard],
  ]) {
    const { plan, facts } = handedOver(args);
    assert.doesNotMatch(facts, /\/ready\//);
    assert.notEqual(plan, plain, args.join(" "));
  }
});

/** A file with some of its content's first line changed, as whole as one that the build wrote. */
function changed(text: string, keys: object): string {
  const [head = "", ...rest] = contentOf(text).split("\n");
  return sealed([JSON.stringify({ ...JSON.parse(head), ...keys }), ...rest].join("\n"));
}

function contentOf(text: string): string {
  return text.slice(text.indexOf("\n") + 1);
}

test("a file whose build, policy, machine or shape is another's is not used, nor one that is damaged or gone", () => {
  const policy = join(ready, "default.policy.json");
  const meant = join(ready, `default.${architecture}.off-alone.json`);
  const shared = join(ready, `default.${architecture}.off-shared.json`);
  // Filters that are not the meant ones: a plan made of them would be another one.
  const foreign = readFileSync(join(ready, `default.${architecture}.filter.json`), "utf8");
  const [head = "", written = ""] = contentOf(readFileSync(policy, "utf8")).split("\n");
  const read = JSON.parse(written);
  read.policy.environment = { keep: ["FORGED"], set: {} };
  // A policy that is not the meant one, likewise.
  const forged = sealed(`${head}\n${JSON.stringify(read)}`);
  const own = { name: "default", target: architecture, shape: "off-alone" };
  const { build } = JSON.parse(contentOf(foreign));
  const other = `${build.slice(1)}${build[0] === "0" ? "1" : "0"}`;
  const files = [policy, meant, shared];
  const sound = new Map(files.map((file) => [file, readFileSync(file, "utf8")]));
  const wanted = handedOver([]).plan;
  const shape = (file: string): object => (file === shared ? { shape: "off-shared" } : {});
  /** Undefined: the file is removed. */
  const changes: Readonly<Record<string, (file: string, text: string) => string | undefined>> = {
    "another build": (file, text) =>
      file === policy ? text : changed(foreign, { ...own, ...shape(file), build: other }),
    "another policy": (file, text) =>
      file === policy ? text : changed(foreign, { ...own, ...shape(file), name: "strict" }),
    "another machine": (file, text) =>
      file === policy ? text : changed(foreign, { ...own, ...shape(file), target: "arm" }),
    "another shape": (file, text) => (file === policy ? text : changed(foreign, {})),
    "another build's policy": (file, text) => (file === policy ? changed(forged, { build: other }) : text),
    "another name's policy": (file, text) => (file === policy ? changed(forged, { name: "strict" }) : text),
    "damaged within": (file, text) =>
      file === policy ? text : text.replace(/"bytes":"..../, '"bytes":"AAAA'),
    "without its fingerprint": (file, text) => (file === policy ? text : contentOf(text)),
    "a damaged policy": (file, text) => (file === policy ? text.replaceAll("allow", "log") : text),
    "cut off": (_, text) => text.slice(0, text.length / 2),
    empty: () => "",
    gone: () => undefined,
  };
  const write = (file: string, text: string | undefined): void =>
    text === undefined ? rmSync(file) : writeFileSync(file, text);
  for (const [why, change] of Object.entries(changes)) {
    for (const [file, text] of sound) write(file, change(file, text));
    assert.equal(handedOver([]).plan === wanted, true, why);
    for (const [file, text] of sound) write(file, text);
  }
  // That the changes would be seen: the same file with every part as it should be is used.
  for (const file of [meant, shared]) write(file, changed(foreign, { ...own, ...shape(file) }));
  assert.notEqual(handedOver([]).plan, wanted, "filters that are told from the meant ones by nothing");
  for (const [file, text] of sound) write(file, file === policy ? forged : text);
  assert.notEqual(handedOver([]).plan, wanted, "a policy that is told from the meant one by nothing");
  for (const [file, text] of sound) write(file, text);
});
