/**
 * From a policy to the plan that the launcher carries out. TypeScript decides here; the launcher only executes.
 */
import { TooLargeError } from "../compiler/too-large-error.ts";
import { isDenial, printAction } from "../policy/action.ts";
import type { Policy, Rule } from "../policy/types.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import type { FilterMaker, FilterSet, Supervision } from "./filter-set.ts";
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
import type { ReportStep } from "./report-step.ts";

export { PrepareError } from "./prepare-error.ts";

/**
 * What a policy comes to on this machine, without a program: its filter compiled and proved. Made once, it starts
 * any number of programs, also at the same time.
 */
export interface PreparedPlan {
  readonly kind: "plan";
  readonly policy: Policy;
  readonly architecture: PlanArchitecture;
  /** `filterSet.filters` */
  readonly filters: readonly FilterStep[];
  readonly filterSet: FilterSet;
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
  /** What is said when a system call has killed it, where a process of callgate's is there to say it. */
  readonly explainKill?: string;
  /** Has denied calls answered by a supervisor and told. */
  readonly report?: ReportOptions;
}

/** How denials are told, and to whom. */
export interface ReportOptions extends Pick<ReportStep, "live" | "all" | "to"> {
  /** Somebody answers the policy's questions; otherwise they are refusals. */
  readonly asks: boolean;
  /** Where the launcher tells. */
  readonly ruleFilter?: FilterStep;
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
 * What a policy comes to for running programs on this machine.
 * @param sandbox what is set up around the filter; undefined: nothing, whatever the policy says
 * @throws PrepareError where the policy asks for what cannot be given; what `filters` throws
 */
export function preparePlan(
  policy: Policy,
  sandbox: SandboxSettings | undefined,
  filters: FilterMaker,
): PreparedPlan {
  const architecture = planArchitecture(hostAbi());
  refuseUnanswered(policy);
  if (sandbox !== undefined) {
    refuseContradictions(policy);
    refuseAbsences(policy, sandbox);
  }
  const filterSet = filters(policy, sandbox === undefined ? undefined : hasNamespaces());
  return {
    kind: "plan",
    policy,
    architecture,
    ...(sandbox === undefined ? {} : { sandbox }),
    filters: filterSet.filters,
    filterSet,
  };
}

/** Whether a plan starts its program in a user and a pid namespace of its own. */
export function isAlone({ sandbox }: PreparedPlan): boolean {
  return sandbox !== undefined && hasNamespaces();
}

function supervision({ filters, filterSet }: PreparedPlan, asks: boolean): Supervision {
  // The supervisor decides by one filter.
  if (filters.length > 1)
    throw new TooLargeError(filters.reduce((sum, { bytes }) => sum + bytes.length / 8, 0));
  return filterSet.supervision(asks);
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
  prepared: PreparedPlan,
  program: ProgramStart,
): { readonly plan: Plan; readonly notes: readonly string[]; readonly groups: () => readonly KeptGroup[] } {
  const { policy, architecture, filters, sandbox } = prepared;
  const { report } = program;
  const supervised = report === undefined ? undefined : supervision(prepared, report.asks);
  const around =
    sandbox === undefined
      ? undefined
      : sandboxSteps(policy, sandbox, {
          cwd: program.cwd ?? process.cwd(),
          env: program.env ?? process.env,
          program: Buffer.from(program.path).toString(),
          isRoot: (program.uid ?? process.getuid?.()) === 0,
          isSupervised: supervised !== undefined,
        });
  const environment =
    policy.environment ?? (around === undefined ? undefined : { keep: keptVariables, set: {} });
  const steps: PlanStep[] = [];
  if (report !== undefined && supervised !== undefined) {
    const { live, all, to } = report;
    steps.push({
      kind: "report",
      live,
      all,
      to,
      asks: supervised.deciding !== undefined,
      rows: supervised.rows,
    });
  }
  steps.push(...(around?.first ?? []));
  if (program.explainKill !== undefined) steps.push({ kind: "explainKill", sentence: program.explainKill });
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
    ...(supervised?.deciding === undefined ? [] : [supervised.deciding]),
    ...(report?.ruleFilter === undefined ? [] : [report.ruleFilter]),
    ...(supervised === undefined ? [] : [supervised.notifying]),
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
  const { default: fallback, newer, otherAbis } = policy.syscalls;
  const actions = [...rulesOf(policy).map(({ action }) => action), fallback, newer, otherAbis];
  if (!actions.some(({ kind }) => kind === "notify")) return;
  throw new PrepareError(
    "the policy answers calls by notify, and nothing here would answer them: use deny, errno(NAME), or ask",
  );
}

function refuseContradictions({ network, syscalls }: Policy): void {
  if (network !== undefined && network.mode !== "ports" && network.ports.length > 0)
    throw new PrepareError(
      `the network is ${JSON.stringify(network.mode)} and ports are named too, which contradict each other: mode = "ports" is for these ports only`,
    );
  // The sandbox's own rules hold for the ABIs that the policy names: on another one a program could type into its caller's terminal.
  if (!isDenial(syscalls.otherAbis))
    throw new PrepareError(
      `other-abis = ${JSON.stringify(printAction(syscalls.otherAbis))} lets calls past the rules of the sandbox, which contradict each other: name the ABIs that are meant (--abi, or abis = […]) and leave other-abis out, or start without a sandbox (--filter-only)`,
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
