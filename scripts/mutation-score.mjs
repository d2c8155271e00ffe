// Tries every mutant of every compiled policy's filter, and writes the figures into docs/proof.md:
//
//     node scripts/mutation-score.mjs [--print]
//
// A mutant is a filter with one instruction changed. Each is decided by the proof and, where it is decided, by a
// second method (tests/proof/second-method.ts); a disagreement, or a witness that does not hold, ends the run.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
process.chdir(root);
const dist = process.env.CALLGATE_DIST ?? join(root, "dist");
if (process.env.CALLGATE_DIST === undefined) await import("./build.mjs");
const load = (path) => import(pathToFileURL(join(dist, path)).href);
const { mutantsIn, scoreOf, subjects, sumOf } = await load("tests/proof/mutation-score.js");
const { randomOf } = await load("tests/proof/mutants.js");

const start = performance.now();
const head =
  "| policy | instructions | mutants | refuted, with a witness | refused by the kernel | proved equal, twice | not followed |\n| --- | --: | --: | --: | --: | --: | --: |";
const row = (name, length, score) =>
  `| ${[name, length, mutantsIn(score), score.refuted, score.refused, score.equal, score["not followed"]].join(" | ")} |`;
const scores = [];
const rows = [];
let instructions = 0;
for (const subject of subjects()) {
  const score = scoreOf(subject, randomOf(20_261_124));
  scores.push(score);
  instructions += subject.filter.instructions.length;
  rows.push(row(subject.name, subject.filter.instructions.length, score));
  console.error(rows.at(-1));
}
rows.push(row("**all**", instructions, sumOf(scores)));
const seconds = Math.round((performance.now() - start) / 1000);
const day = new Date().toISOString().slice(0, 10);
const text = `Made on ${day} by \`node scripts/mutation-score.mjs\`, in ${seconds} seconds.\n\n${[head, ...rows].join("\n")}`;

if (process.argv.includes("--print")) console.log(text);
else {
  const [begin, end] = ["<!-- mutation score -->", "<!-- end of mutation score -->"];
  const page = readFileSync("docs/proof.md", "utf8");
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error("docs/proof.md has no place for the mutation score");
  writeFileSync("docs/proof.md", `${page.slice(0, from + begin.length)}\n${text}\n${page.slice(to)}`);
}
