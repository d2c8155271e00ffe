/**
 * `callgate run`: decides what is to be done and hands it, as a plan, to the launcher that started this process.
 * The launcher then becomes the program; this process is gone by then.
 */
import { writeSync } from "node:fs";
import { encodeFacts, prunePlans } from "../../sandbox/kept-plans.ts";
import { encodePlan, type Plan, PlanError } from "../../sandbox/plan.ts";
import { launcherProblem } from "../../sandbox/verify-launcher.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { directCaller, launcherIsWaiting, launchersCaller, planDescriptor } from "../caller.ts";
import { print, printError } from "../output.ts";
import { type NoPlan, planOfCommandLine, showPlan } from "../run-plan.ts";

const failed = 125;
const statuses: Readonly<Record<NoPlan, number>> = {
  unreadable: failed,
  policy: failed,
  "not-found": 127,
  "not-executable": 126,
};

export function main(parsed: ParsedArguments): number {
  const isDry = hasOption(parsed, "dry-run");
  if (hasOption(parsed, "json") && !isDry)
    throw new UsageError("--json goes with --dry-run: what the program prints is its own");
  const caller = launcherIsWaiting() ? launchersCaller : directCaller;
  const found = planOfCommandLine(parsed, caller);
  if (typeof found === "string") return statuses[found];
  const { plan } = found;
  if (!isDry) {
    const { kept, notes } = found;
    return handOver(plan, "facts" in kept ? encodeFacts(kept.facts, notes) : undefined);
  }
  print(showPlan(found, parsed, caller));
  return 0;
}

/** @param facts what the plan rests on, where it may be kept */
function handOver(plan: Plan, facts: Uint8Array = new Uint8Array()): number {
  let bytes: Uint8Array;
  try {
    bytes = Buffer.concat([encodePlan(plan), facts]);
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    printError(`callgate: ${error.message}\n`);
    return failed;
  }
  if (!launcherIsWaiting()) {
    printError(
      "callgate: the launcher is not there: build it with `npm run build:native` (needs gcc), and start programs with bin/callgate\n",
    );
    return failed;
  }
  const problem = launcherProblem();
  if (problem !== undefined) {
    printError(`callgate: ${problem}\n`);
    return failed;
  }
  for (let at = 0; at < bytes.length; ) at += writeSync(planDescriptor, bytes, at);
  if (facts.length > 0) prunePlans(process.getuid?.() ?? 0);
  return 0;
}
