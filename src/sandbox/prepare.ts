/**
 * From a policy to the plan that the launcher carries out. TypeScript decides here; the launcher only executes.
 */
import { compileForLaunch } from "../compiler/launch-key.ts";
import type { Policy, Rule } from "../policy/types.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import type { Plan, PlanArchitecture, PlanStep, PlanString } from "./plan.ts";

/** What is to be run, and with what. */
export interface ProgramStart {
  /** The program's file: PATH has been searched. */
  readonly path: PlanString;
  /** From argv[0] on. */
  readonly arguments: readonly PlanString[];
  /** Descriptors above 2 that stay open. */
  readonly keepDescriptors?: readonly number[];
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
 * The plan for running a program under a policy on this machine.
 * @throws PrepareError where the policy asks for what cannot be given; ProofError and TooLargeError as `compile`
 */
export function prepare(policy: Policy, program: ProgramStart): Plan {
  const architecture = planArchitecture(hostAbi());
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
  const missing = missingLayers(policy);
  if (missing.length > 0) {
    const options = missing.map((layer) => `--missing ${layer}`).join(" ");
    throw new PrepareError(
      `the policy asks for ${missing.join(", ")}, which this version of callgate does not set up: ` +
        `the program would run without. If that is what you want: ${options}`,
    );
  }
  const { filter, keyPlaces } = compileForLaunch(policy);
  const { environment } = policy;
  const steps: PlanStep[] = [];
  if (environment !== undefined)
    steps.push({ kind: "environment", keep: environment.keep, set: environment.set });
  steps.push(
    { kind: "noNewPrivileges" },
    { kind: "closeDescriptors", keep: program.keepDescriptors ?? [] },
    { kind: "signals", keepIgnored: Object.values(keptIgnored) },
    {
      kind: "filter",
      bytes: filter.bytes,
      patches: keyPlaces.map(({ instruction, keyWord }) => ({ instruction, word: keyWord })),
    },
    { kind: "execute", path: program.path, arguments: program.arguments },
  );
  return { architecture, steps };
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
