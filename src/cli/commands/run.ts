/**
 * `callgate run`: decides what is to be done and hands it, as a plan, to the launcher that started this process.
 * The launcher then becomes the program; this process is gone by then.
 */
import { closeSync, writeSync } from "node:fs";
import { encodeFacts, prunePlans } from "../../sandbox/kept-plans.ts";
import { takeMachine } from "../../sandbox/layers.ts";
import { encodePlan, type Plan, PlanError } from "../../sandbox/plan.ts";
import { launcherProblemAtStart } from "../../sandbox/verify-launcher.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import {
  type Caller,
  directCaller,
  launcherIsWaiting,
  launchersCaller,
  launchersWord,
  planDescriptor,
} from "../caller.ts";
import { print, printError } from "../output.ts";
import { NotReadyError, readyStart } from "../ready-start.ts";
import { type FoundPlan, type NoPlan, planOfCommandLine } from "../run-plan.ts";

const failed = 125;
const statuses: Readonly<Record<NoPlan, number>> = {
  unreadable: failed,
  policy: failed,
  "not-found": 127,
  "not-executable": 126,
};

export async function main(parsed: ParsedArguments): Promise<number> {
  const isDry = hasOption(parsed, "dry-run");
  if (hasOption(parsed, "json") && !isDry)
    throw new UsageError("--json goes with --dry-run: what the program prints is its own");
  const isFront = launcherIsWaiting();
  if (isFront) takeMachine(launchersWord());
  const caller = isFront ? launchersCaller : directCaller;
  const found = await findPlan(parsed, caller);
  if (typeof found === "string") return statuses[found];
  const { plan } = found;
  if (!isDry) {
    const { kept, notes } = found;
    if ("problem" in kept) return handOver(plan);
    return handOver(withFreeArguments(plan, kept.free), encodeFacts(kept.facts, notes));
  }
  const { showPlan } = await import("../show-plan.ts");
  print(showPlan(found, parsed, caller));
  return 0;
}

/** With what the build has made ready, and where it has nothing for this command line, all anew. */
async function findPlan(parsed: ParsedArguments, caller: Caller): Promise<FoundPlan | NoPlan> {
  const ready = await readyStart(parsed);
  try {
    if (ready !== undefined) return planOfCommandLine(parsed, caller, ready);
  } catch (error) {
    if (!(error instanceof NotReadyError)) throw error;
  }
  const { readStart } = await import("../read-start.ts");
  return planOfCommandLine(parsed, caller, readStart);
}

/** The plan for any arguments in the place of the last ones: the launcher puts there what it was started with. */
function withFreeArguments(plan: Plan, free: number): Plan {
  return {
    ...plan,
    steps: plan.steps.map((step) =>
      step.kind === "execute"
        ? {
            ...step,
            arguments: step.arguments.slice(0, step.arguments.length - free),
            withCallersArguments: true,
          }
        : step,
    ),
  };
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
  const problem = launcherProblemAtStart();
  if (problem !== undefined) {
    printError(`callgate: ${problem}\n`);
    return failed;
  }
  for (let at = 0; at < bytes.length; ) at += writeSync(planDescriptor, bytes, at);
  if (facts.length > 0) prunePlans(process.getuid?.() ?? 0);
  // The launcher goes on, while Node takes its time to end.
  closeSync(planDescriptor);
  return 0;
}
