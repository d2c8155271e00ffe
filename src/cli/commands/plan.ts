/** `callgate plan`: what `run` would do with the same options, step by step, and whether a kept plan would be used. */
import type { ParsedArguments } from "../arguments.ts";
import { directCaller } from "../caller.ts";
import { print } from "../output.ts";
import { readStart } from "../read-start.ts";
import { planOfCommandLine } from "../run-plan.ts";
import { showPlan } from "../show-plan.ts";

export function main(parsed: ParsedArguments): number {
  const found = planOfCommandLine(parsed, directCaller, readStart);
  if (typeof found === "string") return found === "unreadable" ? 2 : 1;
  print(showPlan(found, parsed, directCaller));
  return 0;
}
