/**
 * From a policy to the plan that the launcher carries out. TypeScript decides here; the launcher only executes.
 */
import { compileStackForLaunch } from "../compiler/stack.ts";
import type { Policy, Rule } from "../policy/types.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import {
  hasNamespaces,
  keptVariables,
  refuseAbsences,
  type SandboxSettings,
  sandboxSteps,
} from "./full-sandbox.ts";
import type { KeptGroup } from "./groups.ts";
import type { FilterStep, Plan, PlanArchitecture, PlanStep, PlanString } from "./plan.ts";
import { PrepareError } from "./prepare-error.ts";
import { withSandboxRules } from "./sandbox-rules.ts";

export { PrepareError } from "./prepare-error.ts";

/**
 * What a policy comes to on this machine, without a program: its filter compiled and proved. Made once, it starts
 * any number of programs, also at the same time.
 */
export interface PreparedPlan {
  readonly kind: "plan";
  readonly policy: Policy;
  readonly architecture: PlanArchitecture;
  /**
   * Proved equal to the policy, with the rules that its other layers have in the filter: one filter, or as many as it
   * takes, in the order in which they are installed.
   */
  readonly filters: readonly FilterStep[];
  /** What is set up around the filter; without it nothing is. */
  readonly sandbox?: SandboxSettings;
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
  /** Where it starts, in the whole sandbox; the working directory of this process otherwise. */
  readonly cwd?: string;
  /** The environment that it is offered. */
  readonly env?: NodeJS.ProcessEnv;
  /** Who starts the launcher; this process's user otherwise. */
  readonly uid?: number;
}

/** Whether a policy says anything of what is around the filter. */
export function asksForSandbox(policy: Policy): boolean {
  return (
    policy.files !== undefined ||
    policy.network !== undefined ||
    policy.limits !== undefined ||
    policy.hardening?.newCode === "deny" ||
    policy.hardening?.exec === "files"
  );
}

/** Signals by which job control and nohup speak: what the caller ignores of these stays ignored. */
const keptIgnored = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTSTP: 20, SIGTTIN: 21, SIGTTOU: 22 } as const;

/**
 * Compiles a policy for running programs on this machine.
 * @param sandbox what is set up around the filter; undefined: nothing, whatever the policy says
 * @throws PrepareError where the policy asks for what cannot be given; ProofError and TooLargeError as `compile`
 */
export function preparePlan(policy: Policy, sandbox?: SandboxSettings): PreparedPlan {
  const architecture = planArchitecture(hostAbi());
  refuseUnanswered(policy);
  if (sandbox !== undefined) {
    refuseContradictions(policy);
    refuseAbsences(policy);
  }
  const whole = sandbox === undefined ? policy : withSandboxRules(policy, hasNamespaces());
  const filters = compileStackForLaunch(whole);
  return {
    kind: "plan",
    policy,
    architecture,
    ...(sandbox === undefined ? {} : { sandbox }),
    filters: filters.map(({ filter, keyPlaces }) => ({
      kind: "filter",
      bytes: filter.bytes,
      patches: keyPlaces.map(({ instruction, keyWord }) => ({ instruction, word: keyWord })),
    })),
  };
}

/**
 * The whole plan for one start of one program.
 * @throws PrepareError where what the policy grants is not there
 */
export function planFor(prepared: PreparedPlan, program: ProgramStart): Plan {
  return planWithNotes(prepared, program).plan;
}

/** The same, with what the user should know of it. */
export function planWithNotes(
  { policy, architecture, filters, sandbox }: PreparedPlan,
  program: ProgramStart,
): { readonly plan: Plan; readonly notes: readonly string[]; readonly groups: () => readonly KeptGroup[] } {
  const around =
    sandbox === undefined
      ? undefined
      : sandboxSteps(policy, sandbox, {
          cwd: program.cwd ?? process.cwd(),
          env: program.env ?? process.env,
          program: Buffer.from(program.path).toString(),
          isRoot: (program.uid ?? process.getuid?.()) === 0,
        });
  const environment =
    policy.environment ?? (around === undefined ? undefined : { keep: keptVariables, set: {} });
  const steps: PlanStep[] = [...(around?.first ?? [])];
  if (environment !== undefined) {
    const keep = [...environment.keep, ...(program.keepVariables ?? [])];
    // Only TCP: the C library then asks for names by TCP too (on port 53, where that is granted).
    const byTcp = around !== undefined && policy.network?.mode === "ports" ? { RES_OPTIONS: "use-vc" } : {};
    steps.push({ kind: "environment", keep, set: { ...byTcp, ...environment.set } });
  }
  steps.push(
    ...(around === undefined
      ? [{ kind: "noNewPrivileges" } as const]
      : [around.workingDirectory, ...around.last]),
    { kind: "closeDescriptors", keep: program.keepDescriptors ?? [] },
    { kind: "signals", keepIgnored: Object.values(keptIgnored) },
    ...filters,
    {
      kind: "execute",
      path: typeof program.path === "string" ? (around?.program ?? program.path) : program.path,
      arguments: program.arguments,
    },
  );
  return { plan: { architecture, steps }, notes: around?.notes ?? [], groups: around?.groups ?? (() => []) };
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

function refuseContradictions({ network }: Policy): void {
  if (network === undefined || network.mode === "ports" || network.ports.length === 0) return;
  throw new PrepareError(
    `the network is ${JSON.stringify(network.mode)} and ports are named too, which contradict each other: mode = "ports" is for these ports only`,
  );
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
