/** A package whose launcher is not the one that was built starts nothing, whichever of the two lists says so. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fingerprint } from "../../src/sandbox/fingerprint.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { architecture, scratchPath } from "../kernel/native.ts";

const name = `linux-${architecture}/launcher`;

interface Damage {
  readonly what: string;
  readonly make: (prebuilt: string, launcher: string) => void;
  readonly run: RegExp | undefined;
  /** What everything else says, by the SHA-256. */
  readonly other: RegExp | undefined;
}

/** Somewhere in a sentence of the launcher's, so that it runs as before. */
function changeOneLetter(launcher: string): void {
  const bytes = readFileSync(launcher);
  const at = bytes.indexOf("callgate: ");
  assert.ok(at > 0);
  bytes[at] = 0x43;
  writeFileSync(launcher, bytes);
}

function changeLine(file: string, change: (line: string) => string): void {
  const lines = readFileSync(file, "utf8").split("\n");
  writeFileSync(file, lines.map((line) => (line.endsWith(`  ${name}`) ? change(line) : line)).join("\n"));
}

const byFingerprint =
  /launcher does not have the checksum that \S+\/FINGERPRINTS gives: install callgate again/;
const bySha = /launcher does not have the checksum that \S+\/SHA256SUMS gives: install callgate again/;

const damages: readonly Damage[] = [
  { what: "nothing", make: () => {}, run: undefined, other: undefined },
  {
    what: "one letter of a sentence",
    make: (_, launcher) => changeOneLetter(launcher),
    run: byFingerprint,
    other: bySha,
  },
  {
    what: "a byte at its end",
    make: (_, launcher) => appendFileSync(launcher, "\0"),
    run: byFingerprint,
    other: bySha,
  },
  {
    what: "no line for it",
    make: (prebuilt) => {
      for (const list of ["FINGERPRINTS", "SHA256SUMS"]) changeLine(join(prebuilt, list), () => "");
    },
    run: byFingerprint,
    other: bySha,
  },
  {
    what: "no lists",
    make: (prebuilt) => {
      for (const list of ["FINGERPRINTS", "SHA256SUMS"]) rmSync(join(prebuilt, list));
    },
    run: /the launcher cannot be checked: ENOENT/,
    other: /the launcher cannot be checked: ENOENT/,
  },
  {
    what: "another fingerprint",
    make: (prebuilt) =>
      changeLine(join(prebuilt, "FINGERPRINTS"), (line) =>
        line.replace(/^./, (one) => (one === "0" ? "1" : "0")),
      ),
    run: byFingerprint,
    other: undefined,
  },
  {
    what: "another SHA-256",
    make: (prebuilt) =>
      changeLine(join(prebuilt, "SHA256SUMS"), (line) =>
        line.replace(/^./, (one) => (one === "0" ? "1" : "0")),
      ),
    run: undefined,
    other: bySha,
  },
  {
    what: "a longer fingerprint that begins as it should",
    make: (prebuilt) => changeLine(join(prebuilt, "FINGERPRINTS"), (line) => line.replace("  ", "0  ")),
    run: byFingerprint,
    other: undefined,
  },
];

for (const { what, make, run, other } of damages)
  test(`changed: ${what}`, () => {
    const copy = scratchPath("callgate");
    for (const part of ["bin", "dist/cli", "dist/src", "native/prebuilt", "package.json"])
      cpSync(join(packageRoot(), part), join(copy, part), { recursive: true });
    symlinkSync(join(packageRoot(), "node_modules"), join(copy, "node_modules"));
    const prebuilt = join(copy, "native", "prebuilt");
    make(prebuilt, join(prebuilt, name));
    const started = spawnSync(
      join(copy, "bin", "callgate"),
      ["run", "--filter-only", "--", "/bin/echo", "ran"],
      {
        encoding: "utf8",
        timeout: 240_000,
      },
    );
    assert.deepEqual([started.status, started.stdout], run === undefined ? [0, "ran\n"] : [125, ""]);
    assert.match(started.stderr, run ?? /^$/);
    const library = `
      import { exec } from ${JSON.stringify(join(copy, "dist", "src", "index.js"))};
      const policy = { version: 1, extends: ["default"] };
      const { stdout } = await exec("/bin/echo", ["ran"], { policy }).catch((error) => ({ stdout: error.message }));
      process.stdout.write(stdout);`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", library], {
      encoding: "utf8",
      timeout: 240_000,
    });
    assert.match(`${stdout}${stderr}`, other ?? /^ran\n$/);
  });

test("each list has the sum of every program", () => {
  const prebuilt = join(packageRoot(), "native", "prebuilt");
  const lines = (list: string): readonly string[] =>
    readFileSync(join(prebuilt, list), "utf8").trimEnd().split("\n");
  const names = lines("SHA256SUMS").map((line) => line.slice(66));
  assert.ok(names.includes(name));
  const bytes = (file: string): Buffer => readFileSync(join(prebuilt, file));
  assert.deepEqual(
    lines("FINGERPRINTS"),
    names.map((one) => `${fingerprint(bytes(one))}  ${one}`),
  );
  assert.deepEqual(
    lines("SHA256SUMS"),
    names.map((one) => `${createHash("sha256").update(bytes(one)).digest("hex")}  ${one}`),
  );
});
