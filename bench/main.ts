/** `npm run bench`: speeds and sizes, as ratios side by side in one run. */
import { release } from "node:os";
import { measure } from "mitata";
import { compile } from "../src/compiler/index.ts";
import { builtinPolicyText, readPolicy } from "../src/formats/index.ts";
import { prove } from "../src/proof/index.ts";
import { prepare } from "../src/sandbox/policy-input.ts";
import { printDenials } from "./denials.ts";
import { madeFilters, printFilters } from "./filters.ts";
import { printHardPolicies } from "./hard.ts";
import { printStarts, withHarness } from "./harness.ts";
import { printCalls, printInstalls } from "./kernel.ts";
import { learningGoals, measureLearning } from "./learn.ts";
import { printContainers } from "./lxc.ts";
import { printCompileTimes } from "./nodes.ts";
import { printRealFilters } from "./real-filters.ts";
import { printMemory, printSandboxes } from "./sandbox.ts";
import { measureSpawns } from "./spawn.ts";
import { printCommands } from "./start.ts";

async function milliseconds(
  work: () => unknown,
): Promise<{ readonly least: number; readonly median: number }> {
  const { min, p50 } = await measure(work, { min_samples: 30, warmup_samples: 20 });
  return { least: min / 1e6, median: p50 / 1e6 };
}

console.log(`callgate bench: Node ${process.version}, Linux ${release()}`);
const text = builtinPolicyText("default") ?? "";
const read = (): NonNullable<ReturnType<typeof readPolicy>["policy"]> => {
  const { policy } = readPolicy(text);
  if (policy === undefined) throw new Error("the built-in policy default has errors");
  return policy;
};
const policy = read();
const filter = compile(policy);
console.log(
  `\nthe policy default: ${policy.syscalls.rules.length} rules, ${filter.instructions.length} instructions`,
);
for (const [name, work, goal] of [
  ["read", () => read(), ""],
  ["compile, proof included", () => compile(policy), ""],
  ["prove alone", () => prove(filter, policy), ""],
  ["read, compile and prove", () => compile(read()), "goal ≤ 50 ms"],
  ["prepare, for spawn", () => prepare("default"), "goal ≤ 50 ms"],
] as const) {
  const { least, median } = await milliseconds(work);
  console.log(`  ${name.padEnd(40)} least ${least.toFixed(2)} ms  median ${median.toFixed(2)} ms  ${goal}`);
}

const filters = await madeFilters();
printFilters(filters);
printInstalls(filters);
printCalls(filters);
printHardPolicies();
printRealFilters();

await withHarness(async (harness) => {
  printCompileTimes(harness);
  printCommands(harness);
  printSandboxes(harness);
  await printMemory(harness.folder);
  await printDenials(harness.folder);
});

for (const pair of await measureSpawns()) {
  printStarts("the library: /bin/true from the call to its end, with a prepared plan", pair, {
    spawn: 1.5,
    "spawn, no streams": 1.5,
  });
}

printContainers();

// Of the whole command, its start and the filter's compilation and proof are a part.
// The goals are for works of some length: `true` shows what is the same for all.
await withHarness(async (harness) => {
  for (const [name, times] of await measureLearning(harness))
    printStarts(`learning: ${name}`, times, name.startsWith("true") ? {} : learningGoals);
});
