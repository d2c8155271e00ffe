/**
 * From a policy to the plan that the launcher carries out. TypeScript decides here; the launcher only executes.
 */
import { compileForLaunch } from "../compiler/launch-key.ts";
import type { Policy, Rule } from "../policy/types.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import type { FilterStep, Plan, PlanArchitecture, PlanStep, PlanString } from "./plan.ts";

/**
 * What a policy comes to on this machine, without a program: its filter compiled and proved. Made once, it starts
 * any number of programs, also at the same time.
 */
export interface PreparedPlan {
  readonly kind: "plan";
  readonly policy: Policy;
  readonly architecture: PlanArchitecture;
  /** Proved equal to the policy. */
  readonly filter: FilterStep;
}

/** What is to be run, and with what. */
export interface ProgramStart {
  /** The program's file: PATH has been searched. */
  readonly path: PlanString;
  /** From argv[0] on. */
  readonly arguments: readonly PlanString[];
  /** Descriptors above 2 that stay open. */
  readonly keepDescriptors?: readonly number[];
  /** Names that stay in the environment whatever the policy says: what the program's caller and it agreed on. */
  readonly keepVariables?: readonly string[];
}

/** A part of a sandbox that a policy can ask for. */
export type Layer = "files" | "network" | "limits" | "hardening";

/** A policy that cannot be carried out here; the message says which part and what to do. */
export class PrepareError extends Error {
  override readonly name = "PrepareError";
}

/**
 * The layers that a policy asks for and this version does not set up: without them a program would run in half a
 * sandbox.
 */
export function missingLayers(policy: Policy): readonly Layer[] {
  const layers: Layer[] = [];
  if (policy.files !== undefined) layers.push("files");
  if (policy.network !== undefined && policy.network.mode !== "host") layers.push("network");
  if (policy.limits !== undefined) layers.push("limits");
  if (policy.hardening?.newCode === "deny" || policy.hardening?.exec === "files") layers.push("hardening");
  const accepted = policy.hardening?.missingLayers ?? [];
  return layers.filter((layer) => !accepted.includes(layer));
}

/** Signals by which job control and nohup speak: what the caller ignores of these stays ignored. */
const keptIgnored = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTSTP: 20, SIGTTIN: 21, SIGTTOU: 22 } as const;

/**
 * Compiles a policy for running programs on this machine.
 * @throws PrepareError where the policy asks for what cannot be given; ProofError and TooLargeError as `compile`
 */
export function preparePlan(policy: Policy): PreparedPlan {
  const architecture = planArchitecture(hostAbi());
  refuseUnanswered(policy);
  refuseMissingLayers(policy);
  const { filter, keyPlaces } = compileForLaunch(policy);
  return {
    kind: "plan",
    policy,
    architecture,
    filter: {
      kind: "filter",
      bytes: filter.bytes,
      patches: keyPlaces.map(({ instruction, keyWord }) => ({ instruction, word: keyWord })),
    },
  };
}

/** The whole plan for one start of one program. */
export function planFor({ policy, architecture, filter }: PreparedPlan, program: ProgramStart): Plan {
  const { environment } = policy;
  const steps: PlanStep[] = [];
  if (environment !== undefined) {
    const keep = [...environment.keep, ...(program.keepVariables ?? [])];
    steps.push({ kind: "environment", keep, set: environment.set });
  }
  steps.push(
    { kind: "noNewPrivileges" },
    { kind: "closeDescriptors", keep: program.keepDescriptors ?? [] },
    { kind: "signals", keepIgnored: Object.values(keptIgnored) },
    filter,
    { kind: "execute", path: program.path, arguments: program.arguments },
  );
  return { architecture, steps };
}

function refuseUnanswered(policy: Policy): void {
  const supervised = rulesOf(policy).find(
    (rule) => rule.action.kind === "notify" || rule.action.kind === "ask",
  );
  const { default: fallback, newer, otherAbis } = policy.syscalls;
  const answersNobody = [fallback, newer, otherAbis].find(
    (action) => action.kind === "notify" || action.kind === "ask",
  );
  const kind = supervised?.action.kind ?? answersNobody?.kind;
  if (kind !== undefined) {
    throw new PrepareError(
      `the policy answers calls by ${kind}, and nothing here would answer them: use deny, or errno(NAME)`,
    );
  }
}

function refuseMissingLayers(policy: Policy): void {
  const missing = missingLayers(policy);
  if (missing.length > 0) {
    const options = missing.map((layer) => `--missing ${layer}`).join(" ");
    const names = missing.map((layer) => JSON.stringify(layer)).join(", ");
    throw new PrepareError(
      `the policy asks for ${missing.join(", ")}, which this version of callgate does not set up: ` +
        `the program would run without. If that is what you want: ${options}, or missing-layers = [${names}] under [hardening]`,
    );
  }
}

function rulesOf(policy: Policy): readonly Rule[] {
  return [...policy.syscalls.require, ...policy.syscalls.rules];
}

function planArchitecture(abi: AbiName | undefined): PlanArchitecture {
  if (process.platform !== "linux")
    throw new PrepareError("programs can be run under a policy on Linux only");
  if (abi === "x86_64" || abi === "aarch64") return abi;
  throw new PrepareError(
    `there is no launcher for this machine (${process.arch}): callgate runs programs on x86_64 and aarch64`,
  );
}
