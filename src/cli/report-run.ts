/**
 * `callgate run --report=MODE`: the program with a supervisor, which says what was denied and why.
 *
 * It takes two steps. First, this process is the launcher's child as in every run, and hands it a plan that starts
 * callgate again, in the foreground; that one starts the supervisor (native/watcher.c), waits, and prints.
 */
import { appendFileSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { type Denial, describeDenial, explainDenial, isNews } from "../denials/index.ts";
import { sanitise } from "../diagnostics/index.ts";
import type { Observation } from "../learn/index.ts";
import type { Policy } from "../policy/types.ts";
import type { ExecuteStep, Plan, PlanStep } from "../sandbox/plan.ts";
import { launcherProblem } from "../sandbox/verify-launcher.ts";
import { watch } from "../sandbox/watch.ts";
import { type AbiName, hostAbi, syscallByNumber } from "../syscalls/index.ts";
import { hasOption, type ParsedArguments, UsageError, valueOfOption } from "./arguments.ts";
import { printError } from "./output.ts";

const modes = ["end", "live", "json", "all", "off"] as const;
export type ReportMode = (typeof modes)[number];

const failed = 125;
/** What the supervisor can carry out beside the filter. */
const plainSteps: readonly PlanStep["kind"][] = [
  "environment",
  "noNewPrivileges",
  "closeDescriptors",
  "signals",
  "filter",
  "execute",
];

/** @throws UsageError */
export function reportMode(parsed: ParsedArguments): ReportMode {
  const value = valueOfOption(parsed, "report") ?? "off";
  const mode = modes.find((one) => one === value);
  if (mode === undefined)
    throw new UsageError(`there is no report ${JSON.stringify(value)}: ${modes.join(", ")}`);
  if (mode === "off") return mode;
  if (hasOption(parsed, "keep-fd")) throw new UsageError("--report and --keep-fd do not go together yet");
  const read = parsed.given
    .filter(({ name }) => name === "policy" || name === "rules")
    .map(({ value: file }) => file);
  const used = read.find((file) => file === "-" || /^\/(?:dev|proc)\//.test(file));
  if (used !== undefined)
    throw new UsageError(`--report reads the policy twice: put ${JSON.stringify(used)} into a file`);
  if (parsed.operands.some((operand) => operand.includes("\ufffd")))
    throw new UsageError("--report takes arguments that are UTF-8 only");
  return mode;
}

/** Why a plan cannot be carried out with a supervisor; undefined where it can. */
export function reportProblem(plan: Plan): string | undefined {
  if (plan.steps.filter(({ kind }) => kind === "filter").length > 1)
    return "the policy takes several filters, and a supervisor has one";
  const other = plan.steps.find(({ kind }) => !plainSteps.includes(kind));
  return other === undefined
    ? undefined
    : `the plan has the step ${other.kind}, and only a filter alone has a supervisor yet: --filter-only`;
}

/** The plan that starts callgate again, with the terminal and without the launcher's pipe. */
export function foregroundPlan({ architecture }: Plan): Plan {
  const [node = "node", cli = "", ...args] = process.argv;
  return {
    architecture,
    steps: [
      { kind: "closeDescriptors", keep: [] },
      { kind: "execute", path: process.execPath, arguments: [node, cli, ...args] },
    ],
  };
}

/** Runs the program with its supervisor, prints, and ends as the program did. */
export async function runWithReport(
  plan: Plan,
  policy: Policy,
  mode: ReportMode,
  output: string | undefined,
): Promise<number> {
  const native = hostAbi();
  const execute = plan.steps.find((step): step is ExecuteStep => step.kind === "execute");
  const problem = launcherProblem("watcher");
  if (native === undefined || execute === undefined || problem !== undefined) {
    printError(`callgate: ${problem ?? "programs can be run on Linux only"}\n`);
    return failed;
  }
  let told = 0;
  const tell = (observation: Observation): void => {
    const denials = denialsOf(observation, policy, native, "all");
    for (const denial of denials.slice(told)) if (isNews(denial)) printError(describeDenial(denial, policy));
    told = denials.length;
  };
  const { observation } = await watch({
    policy,
    native,
    refused: "report",
    program: {
      path: execute.path,
      arguments: execute.arguments.map((one) =>
        typeof one === "string" ? one : Buffer.from(one).toString(),
      ),
    },
    input: 0,
    env: environmentOf(policy),
    ...(mode === "live" ? { onNews: tell } : {}),
  });
  const { status } = observation;
  // The supervisor has said why nothing was started.
  if (status === undefined) return failed;
  if (observation.execError !== 0) {
    const name = Object.entries(constants.errno).find(([, number]) => number === observation.execError)?.[0];
    printError(
      `callgate: cannot execute ${sanitise(JSON.stringify(execute.path.toString()))}: ${name ?? observation.execError}\n`,
    );
    return (status >> 8) & 0xff;
  }
  if (mode !== "live") print(denialsOf(observation, policy, native, mode), policy, mode, output);
  if (observation.lost.calls > 0)
    printError(
      `callgate: ${observation.lost.calls} more denials were of kinds that the supervisor had no room for\n`,
    );
  return endAs(status, policy);
}

function denialsOf(
  observation: Observation,
  policy: Policy,
  native: AbiName,
  mode: ReportMode,
): readonly Denial[] {
  const all = observation.calls.flatMap((call) => {
    const said = observation.texts.find(({ call: own, kind }) => kind === "path" && own.first === call.first);
    const argument = pathArgument(call);
    const strings =
      said === undefined || argument === undefined
        ? {}
        : { [argument]: new TextDecoder().decode(said.bytes) };
    return explainDenial(policy, { ...call, strings }, native) ?? [];
  });
  return mode === "all" || mode === "json" ? all : all.filter(isNews);
}

/** Which argument of a call is the path that it was made with. */
function pathArgument({ abi, nr }: Observation["calls"][number]): string | undefined {
  const names = ["pathname", "path", "oldpath", "newpath", "linkpath"];
  return syscallByNumber(abi, nr)?.args?.find(({ name }) => names.includes(name))?.name;
}

function print(
  denials: readonly Denial[],
  policy: Policy,
  mode: ReportMode,
  output: string | undefined,
): void {
  if (denials.length === 0) return;
  const kinds = denials.length === 1 ? "one kind of call was" : `${denials.length} kinds of call were`;
  const text =
    mode === "json"
      ? denials.map((denial) => `${JSON.stringify(denial)}\n`).join("")
      : `callgate: ${kinds} denied\n${denials.map((denial) => describeDenial(denial, policy)).join("")}`;
  try {
    if (output === undefined) printError(text);
    else if (/^[0-9]+$/.test(output)) writeSync(Number(output), text);
    else appendFileSync(output, text);
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
    printError(`callgate: cannot write the report to ${sanitise(JSON.stringify(output))}: ${why}\n`);
  }
}

/** The environment that the policy gives to the program. */
function environmentOf({ environment }: Policy): NodeJS.ProcessEnv {
  if (environment === undefined) return process.env;
  const isKept = (name: string): boolean =>
    environment.keep.some((one) => (one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : one === name));
  const kept = Object.entries(process.env).filter(([name]) => isKept(name));
  return { ...Object.fromEntries(kept), ...environment.set };
}

const sigsys = 31;

/** The program's status; where a signal ended it, the same signal ends this process. */
function endAs(status: number, policy: Policy): number {
  const signal = status & 0x7f;
  if (signal === 0) return (status >> 8) & 0xff;
  if (signal === sigsys) {
    printError(
      `callgate: the program was killed by SIGSYS: it made a call that the policy kills for, or one of an ABI that the policy has no rules for (it has: ${policy.syscalls.abis.join(", ")})\n`,
    );
  }
  process.kill(process.pid, signal);
  return 128 + signal;
}
