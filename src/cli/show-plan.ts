/** A plan as `plan` and `run --dry-run` print it. */
import { closeSync, constants, openSync } from "node:fs";
import { describePlan, planFacts } from "../sandbox/describe.ts";
import { describeGroups } from "../sandbox/groups.ts";
import { type AskedRun, describeKept, keptState } from "../sandbox/kept-state.ts";
import { hasOption, type ParsedArguments } from "./arguments.ts";
import { type Caller, launcherIsWaiting } from "./caller.ts";
import { printError } from "./output.ts";
import { nodeInPath, stringsOf } from "./own-command-line.ts";
import type { FoundPlan } from "./run-plan.ts";

/** The plan in words, or as facts; behind it the groups that stay, and whether `run` would use a kept plan instead. */
export function showPlan(
  { plan, policy, groups, kept }: FoundPlan,
  parsed: ParsedArguments,
  caller: Caller,
): string {
  const asked = { ...askedRun(parsed), hasTerminal: caller.hasTerminal() };
  if (plan.steps.some((step) => step.kind === "report" && step.asks) && !canOpenTerminal())
    printError(
      "callgate: nobody is asked (what the policy asks about fails with EPERM): there is no terminal here\n",
    );
  const state = keptState(asked, "problem" in kept ? kept.problem : undefined);
  return hasOption(parsed, "json")
    ? `${JSON.stringify({ ...planFacts(plan, policy), groups: groups(), kept: state }, null, 2)}\n`
    : `${describePlan(plan, policy)}${describeGroups(groups())}${describeKept(state)}`;
}

/**
 * The `run` that this command speaks of: `plan` has its options, and `run --dry-run` two more. (What stands behind an
 * option that takes a value cannot be one of the two.)
 */
function askedRun({ operands }: ParsedArguments): Pick<AskedRun, "commandLine" | "pid"> {
  const isFront = launcherIsWaiting();
  const line = stringsOf(isFront ? `/proc/${process.ppid}/cmdline` : "/proc/self/cmdline").map(String);
  // launcher run NODE CLI ARGUMENT…, and NODE CLI plan ARGUMENT… or NODE CLI run ARGUMENT…
  const [node = "", cli = ""] = isFront ? line.slice(2) : [nodeInPath() ?? line[0], line[1]];
  const rest = isFront ? line.slice(4) : line.slice(3);
  const end = rest.length - operands.length;
  const options = rest.slice(0, end).filter((one) => one !== "--json" && one !== "--dry-run");
  return { commandLine: [node, cli, ...options, ...rest.slice(end)], pid: isFront ? process.ppid : "self" };
}

/** As the launcher does, which asks there. */
function canOpenTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY));
    return true;
  } catch {
    return false;
  }
}
