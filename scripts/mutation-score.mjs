// Tries every mutant of every compiled policy's filter, and writes the figures into docs/proof.md:
//
//     node scripts/mutation-score.mjs [--print] [--all]
//
// Of filters of three ABIs and more it tries one mutant in twenty, with --all each of them.
// A mutant is a filter with one instruction changed. Each is decided by the proof and, where it is decided, by a
// second method (tests/proof/second-method.ts); a disagreement, or a witness that does not hold, ends the run.
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
if (isMainThread) process.chdir(root);
const dist = process.env.CALLGATE_DIST ?? join(root, "dist");
if (isMainThread && process.env.CALLGATE_DIST === undefined) await import("./build.mjs");
const load = (path) => import(pathToFileURL(join(dist, path)).href);
const { mutantsIn, scoreOf, subjects, sumOf } = await load("tests/proof/mutation-score.js");
const { randomOf } = await load("tests/seed.js");

const all = subjects();

// Filters of three ABIs and more take the second method a hundred times as long.
function shareOf({ policy: { syscalls } }) {
  const few = syscalls.abis.length < 3 && !syscalls.abis.includes("all");
  return few || process.argv.includes("--all") ? 1 : 0.05;
}

// A thread takes the policy that it is given by its place in the list, and gives back its score.
if (!isMainThread) {
  parentPort.on("message", (at) => {
    const subject = all[at];
    if (subject === undefined) return parentPort.close();
    parentPort.postMessage([at, scoreOf(subject, randomOf(20_261_124), shareOf(subject))]);
  });
} else {
  const scores = await scoresOfAll();
  const row = (name, length, score) =>
    `| ${[name, length, mutantsIn(score), score.refuted, score.refused, score.equal, score["not followed"]].join(" | ")} |`;
  const head =
    "| policy | instructions | mutants | refuted, with a witness | refused by the kernel | proved equal, twice | not followed |\n| --- | --: | --: | --: | --: | --: | --: |";
  const rows = all.map(({ name, filter }, at) => row(name, filter.instructions.length, scores[at]));
  const instructions = all.reduce((sum, { filter }) => sum + filter.instructions.length, 0);
  rows.push(row("**all**", instructions, sumOf(scores)));
  const { user, system } = process.cpuUsage();
  const minutes = ((user + system) / 60e6).toFixed(1);
  const exhaustive = all.every((subject) => shareOf(subject) === 1)
    ? ""
    : "; of filters of three ABIs and more, one mutant in twenty (`--all` tries each of them)";
  const command = [
    "node scripts/mutation-score.mjs",
    ...process.argv.filter((word) => word === "--all"),
  ].join(" ");
  const day = new Date().toISOString().slice(0, 10);
  publish(
    `Made on ${day} by \`${command}\`, in ${minutes} minutes of processor time${exhaustive}.\n\n${[head, ...rows].join("\n")}`,
  );
}

/** The largest filters first, as many at a time as there are processors. */
async function scoresOfAll() {
  const order = [...all.keys()].sort(
    (a, b) => all[b].filter.instructions.length - all[a].filter.instructions.length,
  );
  const scores = [];
  const work = (worker) =>
    new Promise((resolve, reject) => {
      const next = () => worker.postMessage(order.shift() ?? -1);
      worker.on("message", ([at, score]) => {
        scores[at] = score;
        console.error(`${all[at].name}: ${JSON.stringify(score)}`);
        next();
      });
      worker.on("error", reject).on("exit", resolve);
      next();
    });
  const file = fileURLToPath(import.meta.url);
  await Promise.all(
    Array.from({ length: availableParallelism() }, () =>
      work(new Worker(file, { argv: process.argv.slice(2) })),
    ),
  );
  return scores;
}

function publish(text) {
  if (process.argv.includes("--print")) {
    console.log(text);
    return;
  }
  const [begin, end] = ["<!-- mutation score -->", "<!-- end of mutation score -->"];
  const page = readFileSync("docs/proof.md", "utf8");
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error("docs/proof.md has no place for the mutation score");
  writeFileSync("docs/proof.md", `${page.slice(0, from + begin.length)}\n${text}\n${page.slice(to)}`);
}
