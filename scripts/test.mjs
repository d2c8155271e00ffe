// Runs the tests: `npm test [-- words]`, where words select test files by a part of their path.
//
// Pure tests run in one process, because a process a file costs ten times as much; the tests that start
// programs, change the kernel's view of a process or need a container run one process a file.
// Under CI a skipped test is a failure: what CI cannot try is not known to work.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
process.chdir(root);
await import("./build.mjs");

// Tests leave no plans behind, and each sees what it changes; kept-plan.test.ts has it otherwise.
process.env.CALLGATE_FRESH = "1";

const isolatedFolders = ["kernel", "lxc", "cli"];
const words = process.argv.slice(2);
const files = readdirSync("dist/tests", { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".test.js"))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
const isIsolated = (file) => isolatedFolders.includes(file.split("/")[0]);
const absolute = (file) => join(root, "dist", "tests", file);

const scratch = mkdtempSync(join(tmpdir(), "callgate-test-"));
const entry = join(scratch, "pure.mjs");
const pure = files.filter((file) => !isIsolated(file));
writeFileSync(
  entry,
  pure.map((file) => `await import(${JSON.stringify(pathToFileURL(absolute(file)).href)});\n`).join(""),
);

const isolated = files.filter(isIsolated).map(absolute);
const skipped = [];
let failed = 0;
const stream = run({ files: [...(pure.length > 0 ? [entry] : []), ...isolated], concurrency: 2 });
stream.on("test:pass", (event) => {
  if (event.skip !== undefined)
    skipped.push(`${event.name}: ${event.skip === true ? "no reason" : event.skip}`);
});
stream.on("test:fail", () => {
  failed += 1;
});
stream.compose(new spec()).pipe(process.stdout);
stream.on("end", () => {
  rmSync(scratch, { recursive: true, force: true });
  if (files.length === 0) console.error(`no test file has ${words.join(" or ")} in its path`);
  for (const line of skipped) console.error(`skipped: ${line}`);
  const skipsCount = skipped.length > 0 && process.env.CI !== undefined;
  if (skipsCount) console.error(`${skipped.length} skipped: in CI that is a failure`);
  process.exitCode = failed > 0 || skipsCount || files.length === 0 ? 1 : 0;
});
