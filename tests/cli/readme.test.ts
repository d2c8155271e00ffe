// Debian packages: python3
/** What the README shows is what one gets: every `console` block is run, line by line, and compared. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../src/sandbox/package-files.ts";

interface Step {
  readonly command: string;
  readonly output: string;
}

/** The commands of a block with what the README says they print. */
function stepsOf(block: string): readonly Step[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const [command = "", ...output] = text.split("\n");
      return { command, output: output.join("\n").trimEnd() };
    });
}

const readme = readFileSync(join(packageRoot(), "README.md"), "utf8");
const steps = [...readme.matchAll(/^```console\n(.*?)^```/gms)].flatMap(([, block]) => stepsOf(block ?? ""));

test("the README has commands to try", () => {
  assert.ok(steps.length >= 6);
});

for (const { command, output } of steps) {
  test(`the README's \`${command}\` prints what it says`, () => {
    const { stdout, stderr } = spawnSync("sh", ["-c", command], {
      cwd: packageRoot(),
      encoding: "utf8",
      timeout: 240_000,
      env: { ...process.env, NO_COLOR: "1", COLUMNS: "80" },
    });
    // A process has another id each time.
    assert.equal(`${stdout}${stderr}`.trimEnd().replace(/ by (\w+)\[\d+\]/g, " by $1[2041]"), output);
  });
}
