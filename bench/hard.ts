/** Policies that are made to be hard: what compiling and proving one costs, in the processor's time. */
import { compile } from "../src/compiler/index.ts";
import { readPolicy } from "../src/formats/index.ts";
import { hardPolicies } from "../tests/proof/hard-policies.ts";

const target = "x86_64";

/** Prints one row a policy. The first time in this process: what a user who starts the command waits for. */
export function printHardPolicies(): void {
  console.log(
    "\nhard policies: instructions, and processor time for compiling and proving once  goal < 2000 ms",
  );
  for (const [name, text] of Object.entries(hardPolicies)) {
    const { policy } = readPolicy(text, { target });
    if (policy === undefined) throw new Error(`the hard policy "${name}" has errors`);
    const before = process.cpuUsage();
    const { instructions } = compile(policy, { target });
    const { user, system } = process.cpuUsage(before);
    const took = ((user + system) / 1000).toFixed(0);
    console.log(
      `  ${name.padEnd(60)} ${String(instructions.length).padStart(4)} instructions ${took.padStart(5)} ms`,
    );
  }
}
