/**
 * Launcher and plan in one file that needs neither Node nor callgate: what `callgate build` writes. It is started later,
 * by others, elsewhere; so nothing of whoever builds it is in it, and paths are what they are when it starts.
 */
import { readFileSync } from "node:fs";
import { resolve as resolvePath } from "node:path";
import { TooLargeError } from "../compiler/too-large-error.ts";
import type { Policy } from "../policy/types.ts";
import { attachPlan } from "./attached-plan.ts";
import { compiledFilters, policyOfFilters } from "./compiled-filters.ts";
import type { SandboxSettings } from "./full-sandbox.ts";
import { findLauncher } from "./launcher.ts";
import type { Plan, PlanStep } from "./plan.ts";
import { type PreparedPlan, PrepareError, type ProgramStart, planWithNotes, preparePlan } from "./prepare.ts";
import { toldByLauncher } from "./told-by-launcher.ts";

/** The program's home, empty, whoever it is. */
const builtHome = "/home/callgate";

const mostMounts = 4096;

export interface BuiltProgram {
  readonly bytes: Uint8Array;
  readonly notes: readonly string[];
}

/** What is built. */
export interface ProgramToBuild {
  readonly path: string;
  /** From argv[0] on. */
  readonly arguments: readonly string[];
  /** What is said when a system call has killed it. */
  readonly explainKill: string;
  /** Has the file tell what was denied: at its end or as it happens, with what is newer than the policy or without. */
  readonly report: { readonly live: boolean; readonly all: boolean } | undefined;
}

/**
 * @param settings what is set up around the filter; undefined: nothing
 * @throws PrepareError where the policy asks for what a built file cannot give; ProofError and TooLargeError as `compile`
 */
export function buildProgram(
  policy: Policy,
  settings: SandboxSettings | undefined,
  program: ProgramToBuild,
): BuiltProgram {
  refuseOwnPaths(policy);
  const launcher = findLauncher();
  if (!("path" in launcher)) throw new PrepareError(launcher.message);
  const planAs = (isRoot: boolean): { readonly plan: Plan; readonly notes: readonly string[] } => {
    // Whom root starts the program as is nobody else's business.
    const { user, asRoot, ...shared } = settings ?? {};
    const own = settings && { ...shared, ...(isRoot ? settings : {}), portable: true };
    const { plan, notes } = withReport(preparePlan(policy, own, compiledFilters), program.report, {
      path: resolvePath(program.path),
      arguments: program.arguments,
      cwd: builtHome,
      env: { HOME: builtHome },
      uid: isRoot ? 0 : 1,
      // With the filter alone nobody stays to say it.
      ...(own === undefined && program.report === undefined ? {} : { explainKill: program.explainKill }),
    });
    return {
      plan: { ...plan, steps: plan.steps.map((step) => portableStep(step, own !== undefined)) },
      notes,
    };
  };
  const forOthers = planAs(false);
  const forRoot = settings === undefined ? undefined : planAs(true);
  for (const { plan } of forRoot === undefined ? [forOthers] : [forOthers, forRoot]) refuseTooMany(plan);
  return {
    bytes: attachPlan(readFileSync(launcher.path), forOthers.plan, forRoot?.plan),
    notes: forOthers.notes,
  };
}

/** The plan with denials told by the launcher; without, and a note, where its filters or its rules are too many. */
function withReport(
  prepared: PreparedPlan,
  request: ProgramToBuild["report"],
  start: ProgramStart,
): ReturnType<typeof planWithNotes> {
  if (request === undefined) return planWithNotes(prepared, start);
  try {
    const told = toldByLauncher(policyOfFilters(prepared), request.all);
    if (told !== undefined)
      return planWithNotes(prepared, { ...start, report: { ...request, ...told, asks: false } });
  } catch (error) {
    if (!(error instanceof TooLargeError)) throw error;
  }
  const found = planWithNotes(prepared, start);
  const why = "the policy is too large for the filters that they need";
  return { ...found, notes: [...found.notes, `no reports of denied calls: ${why}`] };
}

function portableStep(step: PlanStep, hasOwnHome: boolean): PlanStep {
  switch (step.kind) {
    case "environment":
      return hasOwnHome ? { ...step, set: { HOME: builtHome, ...step.set } } : step;
    case "execute":
      return { ...step, withCallersArguments: true };
    default:
      return step;
  }
}

/** What is relative to a home or a folder is so to those of whoever builds, and they are not at the start. */
function refuseOwnPaths({ files }: Policy): void {
  const wrong = [...(files?.read ?? []), ...(files?.write ?? [])].filter((path) => !path.startsWith("/"));
  if (wrong.length === 0) return;
  throw new PrepareError(
    wrong
      .map(
        (path) =>
          `${JSON.stringify(path)} cannot be granted to a built file: whose home or folder it is relative to is not known before it starts; give a path that begins with /`,
      )
      .join("\n"),
  );
}

function refuseTooMany({ steps }: Plan): void {
  const mounts = steps.find((step) => step.kind === "mounts");
  if (mounts?.kind === "mounts" && mounts.entries.length > mostMounts)
    throw new PrepareError(
      `${mounts.entries.length} mounts are more than ${mostMounts}: in each folder that may be written everything is protected that could be there; grant writing in fewer folders`,
    );
}
