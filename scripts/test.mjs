// Runs the tests: `npm test [-- words]`, where words select test files by a part of their path, or are such paths.
//
// Pure tests run in one process, because a process a file costs ten times as much; the tests that start
// programs, change the kernel's view of a process or need a container run one process a file.
// Under CI a skipped test is a failure: what CI cannot try is not known to work.
// What has failed stands last, each with all that was seen of it, so that the end of CI's output suffices.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, isAbsolute, join, relative } from "node:path";
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
/** As a part of a path below dist/tests: who names a source file, or a built one, means that test. */
const partOf = (word) =>
  relative(root, isAbsolute(word) ? word : join(root, word))
    .replace(/^(?:dist\/)?tests\//, "")
    .replace(/\.test\.ts$/, ".test.js");
const built = readdirSync("dist/tests", { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".test.js"))
  .sort();
const unknown = words.filter((word) => !built.some((file) => file.includes(partOf(word))));
if (unknown.length > 0) {
  // One word of several that selects nothing would otherwise look like a test that passed.
  console.error(`no test file has ${unknown.join(", nor ")} in its path; nothing was run`);
  process.exit(1);
}
const files = built.filter((file) => words.length === 0 || words.some((word) => file.includes(partOf(word))));
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
// The bound is for a file that hangs, which is then named: none takes a tenth of it.
const bound = 40 * 60_000;
const stream = run({
  files: [...(pure.length > 0 ? [entry] : []), ...isolated],
  concurrency: 2,
  timeout: bound,
});
stream.on("test:pass", (event) => {
  if (event.skip !== undefined)
    skipped.push(`${event.name}: ${event.skip === true ? "no reason" : event.skip}`);
});
const failures = [];
stream.on("test:fail", (event) => {
  failed += 1;
  if (event.details.error.failureType !== "subtestsFailed") failures.push(event);
});
/** The end of what each file's programs have said on standard error, and of what came after its tests. */
const said = new Map();
const note = ({ file, message }) => said.set(file, `${said.get(file) ?? ""}${message}`.slice(-4000));
stream.on("test:stderr", note);
stream.on("test:diagnostic", ({ file, message }) => {
  if (message.includes("after the test ended")) note({ file, message: `${message}\n` });
});

/** A failure with its place; of a file that ended too early, how it ended. */
function describe({ name, file, details: { error } }) {
  const { cause = error, exitCode, signal } = error;
  const lines = [`failed: ${relative(root, file ?? "")}${name === file ? "" : `: ${name}`}`];
  lines.push(
    ...String(cause?.stack ?? cause?.message ?? cause)
      .split("\n")
      .filter((line) => !/^ +at .*node:/.test(line)),
  );
  if (exitCode !== undefined) lines.push(`the file ended with ${signal ?? exitCode}`);
  // Node 20 says of what came after the tests not in which file.
  const more =
    `${said.get(file) ?? ""}${exitCode === undefined ? "" : (said.get(undefined) ?? "")}`.trimEnd();
  if (more !== "") lines.push("the end of its standard error:", ...more.split("\n"));
  return lines.join("\n  ");
}

const shown = stream.compose(new spec());
shown.pipe(process.stdout);
shown.on("end", () => {
  rmSync(scratch, { recursive: true, force: true });
  for (const failure of failures) console.log(`\n${describe(failure)}`);
  for (const line of skipped) console.log(`skipped: ${line}`);
  const skipsCount = skipped.length > 0 && process.env.CI !== undefined;
  if (skipsCount) console.log(`${skipped.length} skipped: in CI that is a failure`);
  process.exitCode = failed > 0 || skipsCount ? 1 : 0;
});
