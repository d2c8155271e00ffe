// Debian packages: lxc, busybox-static
// The plan that anybody can follow: carried out, the same as in the manual, and nothing left behind.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { demoSteps } from "../../src/cli/lxc/demo-plan.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { callgatePath } from "../cli/callgate.ts";
import { noContainers, run } from "./containers.ts";

test("docs/demo.md has the demo's titles and commands", () => {
  const text = readFileSync(join(packageRoot(), "docs", "demo.md"), "utf8");
  const titles = [...text.matchAll(/^## \d+\. (.*)$/gm)].map(([, title]) => title);
  assert.deepEqual(
    titles,
    demoSteps.map((step) => step.title),
  );
  const commands = [...text.matchAll(/^\$ (.*)$/gm)].map(([, command]) => command);
  assert.deepEqual(
    commands,
    demoSteps.flatMap((step) => step.commands.map(({ command }) => command)),
  );
});

test("callgate demo --lxc: every step goes as it should", { skip: noContainers }, () => {
  const folders = (): readonly string[] =>
    readdirSync(tmpdir()).filter((name) => name.startsWith("callgate-demo-"));
  const before = folders();
  const { status, stdout } = run(callgatePath, ["demo", "--lxc"]);
  assert.equal(status, 0, stdout);
  assert.match(stdout, /Every step went as it should\./);
  assert.match(stdout, /did you mean keyctl\?[\s\S]*not started/);
  assert.deepEqual(
    folders().filter((name) => !before.includes(name)),
    [],
  );
});
