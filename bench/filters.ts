/** Sizes of the filters of `bench/policies`, and how long compiling and proving them takes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compile, type Optimize } from "../src/compiler/index.ts";
import { readPolicy } from "../src/formats/index.ts";

/** Instructions to reach with `size`. */
const goals: Readonly<Record<string, number>> = {
  docker: 66,
  docker3: 185,
  firefox: 153,
  lxc: 15,
  pledge: 17,
};

/** Prints one row a policy. */
export function printFilters(): void {
  console.log("\nfilters: instructions, and milliseconds for compiling and proving (the least of ten)");
  for (const [name, goal] of Object.entries(goals)) {
    const path = join(import.meta.dirname, "..", "..", "bench", "policies", `${name}.json`);
    const text = readFileSync(path, "utf8");
    const cells = (["size", "kernel", "classic"] as const).map((optimize) => measured(text, optimize));
    console.log(`  ${name.padEnd(10)} ${cells.join("   ")}   goal for size ≤ ${goal}`);
  }
}

function measured(text: string, optimize: Optimize): string {
  let [least, instructions] = [Number.POSITIVE_INFINITY, 0];
  for (let round = 0; round < 10; round++) {
    const { policy } = readPolicy(text, { target: "x86_64" });
    if (policy === undefined) throw new Error("a policy of the bench has errors");
    const start = performance.now();
    instructions = compile(policy, { target: "x86_64", optimize }).instructions.length;
    least = Math.min(least, performance.now() - start);
  }
  return `${optimize} ${String(instructions).padStart(3)} ${least.toFixed(1).padStart(6)} ms`;
}
