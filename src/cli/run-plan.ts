/** The plan that `run` carries out and `plan` shows, from the options and the command that they have in common. */
import { TooLargeError } from "../compiler/too-large-error.ts";
import { hasQuestions } from "../denials/supervised.ts";
import { canTypeAnswers } from "../denials/unasked.ts";
import { listWords, sanitise } from "../diagnostics/index.ts";
import type { Policy } from "../policy/types.ts";
import { findProgram, programAbi } from "../sandbox/find-program.ts";
import type { KeptGroup } from "../sandbox/groups.ts";
import { keepProblem, restOnCallgate } from "../sandbox/kept-plans.ts";
import { type Fact, recordLookups } from "../sandbox/lookups.ts";
import type { Plan, PlanString } from "../sandbox/plan.ts";
import {
  isAlone,
  type PreparedPlan,
  PrepareError,
  type ProgramStart,
  planWithNotes,
  preparePlan,
} from "../sandbox/prepare.ts";
import { whyNoSupervisor } from "../sandbox/supervision.ts";
import type { AbiName } from "../syscalls/index.ts";
import { hasOption, type ParsedArguments, UsageError } from "./arguments.ts";
import type { PolicyFile } from "./ask/always.ts";
import type { Caller } from "./caller.ts";
import { printError } from "./output.ts";
import { stringsOf } from "./own-command-line.ts";
import { noReport, type ReportRequest, reportOptions, reportRequest } from "./report-options.ts";
import { sandboxOfCommandLine } from "./sandbox-options.ts";
import type { StartPolicy } from "./start-policy.ts";

/** Why there is no plan; the user has been told. */
export type NoPlan = "unreadable" | "policy" | "not-found" | "not-executable";

export interface KeptWith {
  /** What the launcher has to look at again before it uses the plan once more. */
  readonly facts: readonly Fact[];
  /** How many of the program's arguments, at the end, may be others then: it has them from its own command line. */
  readonly free: number;
}

/** A plan with what there is to say of it. */
export interface FoundPlan {
  readonly plan: Plan;
  readonly policy: Policy;
  /** Groups that stay with the program, and what they open. */
  readonly groups: () => readonly KeptGroup[];
  /** Whole lines for the user. */
  readonly notes: readonly string[];
  /** Whether the launcher may keep it. */
  readonly kept: KeptWith | { readonly problem: string };
}

/**
 * The plan for a command line.
 * @throws what `from` does
 */
export function planOfCommandLine(
  parsed: ParsedArguments,
  caller: Caller,
  from: StartPolicy,
): FoundPlan | NoPlan {
  const { result, lookups } = recordLookups(() => {
    restOnCallgate();
    return makePlan(parsed, caller, from);
  });
  if (typeof result === "string") return result;
  const free = freeArguments(process.argv.slice(3));
  const problem = unkeptOption(parsed) ?? keepProblem(result.plan, lookups);
  const facts = "facts" in lookups ? lookups.facts : [];
  return { ...result, kept: problem === undefined ? { facts, free } : { problem } };
}

/**
 * How many words stand behind the one that follows the first `--`: arguments of the program's all of them, since no option
 * takes `--` as its value (arguments.ts). The launcher finds a plan by the words before them, by the same rule
 * (`words_of_plan` of native/kept-plan.h): it cannot tell options from arguments.
 */
function freeArguments(words: readonly string[]): number {
  const separator = words.indexOf("--");
  return separator === -1 ? 0 : Math.max(0, words.length - separator - 2);
}

/** What is asked for by options that say something of this one start. */
function unkeptOption(parsed: ParsedArguments): string | undefined {
  if (hasOption(parsed, "fresh")) return "--fresh asks for a new one";
  if (hasOption(parsed, "keep-fd")) return "--keep-fd names a descriptor of this one start";
  if (parsed.given.some(({ name, value }) => name === "report-to" && /^[0-9]+$/.test(value)))
    return "--report-to names a descriptor of this one start";
  if (parsed.given.some(({ name, value }) => name === "env" && value.includes("=")))
    return "--env gives it a value, and values are not written down";
  return undefined;
}

function makePlan(
  parsed: ParsedArguments,
  caller: Caller,
  from: StartPolicy,
): Omit<FoundPlan, "kept"> | NoPlan {
  const [command] = parsed.operands;
  if (command === undefined) throw new UsageError("the command is missing: it stands behind --");
  const keepDescriptors = descriptorsOf(parsed, caller);
  const read = from.policy(parsed, caller);
  if (typeof read === "string") return read;
  const { policy, file, files } = read;
  const [program = command, ...rest] = rawOperands(parsed.operands);
  const found = findProgram(program, rawPath());
  if (found.kind !== "found") {
    printError(`callgate: ${found.message}\n`);
    return found.kind;
  }
  const given = sandboxOfCommandLine(parsed, { policy, files }, caller, from.limits);
  if (given === undefined) return "policy";
  const hasSome = hasQuestions(policy);
  const asks = hasSome && !canTypeAnswers(policy);
  const sandbox =
    asks && given.settings === undefined ? { ...given, policy: from.keepTerminal(given.policy) } : given;
  // Who is told of denials also asks.
  const report =
    reportRequest(parsed, caller, sandbox.settings !== undefined) ?? (asks ? noReport : undefined);
  try {
    const prepared = preparePlan(sandbox.policy, sandbox.settings, from.filters);
    const { abis } = prepared.filterSet;
    const foreign = foreignAbi(found.path, abis);
    const made = withReport(
      prepared,
      {
        path: found.path,
        arguments: [program, ...rest],
        keepDescriptors,
        // With the filter alone nobody stays to say it.
        ...(sandbox.settings === undefined && report === undefined
          ? {}
          : { explainKill: whyKilled(foreign, abis) }),
      },
      report,
      file,
    );
    const notes = [
      ...made.notes,
      ...(hasSome && !asks ? [typedAnswers] : []),
      ...fateOfForeignAbi(found.path, foreign, policy, abis),
    ].map((note) => `callgate: ${sanitise(note)}\n`);
    for (const note of notes) printError(note);
    return { plan: made.plan, policy: sandbox.policy, groups: made.groups, notes };
  } catch (error) {
    if (!(error instanceof PrepareError || error instanceof TooLargeError)) throw error;
    printError(error.message.replace(/^(?! )/gm, "callgate: ").concat("\n"));
    return "policy";
  }
}

/** Calls of other ABIs are under no rule, and so not under the one that refuses TIOCSTI. */
const typedAnswers =
  "nobody is asked (what the policy asks about fails with EPERM): where other-abis lets calls through, the program could type the answers";

/** The plan with denials told, where that can be done. */
function withReport(
  prepared: PreparedPlan,
  program: ProgramStart,
  request: ReportRequest | undefined,
  file: PolicyFile | undefined,
): ReturnType<typeof planWithNotes> {
  if (request === undefined) return planWithNotes(prepared, program);
  const problem = whyNoSupervisor(isAlone(prepared));
  if (problem === undefined) {
    try {
      const report = reportOptions(request, prepared, file);
      return planWithNotes(prepared, { ...program, report });
    } catch (error) {
      if (!(error instanceof TooLargeError)) throw error;
    }
  }
  const found = planWithNotes(prepared, program);
  const isAsked = hasQuestions(prepared.policy) && !canTypeAnswers(prepared.policy);
  if (request.mode === "off" && !isAsked) return found;
  const why = problem ?? "the policy is too large for a filter that hands calls up";
  const asks = isAsked ? "nobody is asked (what the policy asks about fails with EPERM), and " : "";
  return { ...found, notes: [...found.notes, `${asks}no reports of denied calls: ${why}`] };
}

function descriptorsOf(parsed: ParsedArguments, caller: Caller): readonly number[] {
  return parsed.given
    .filter((option) => option.name === "keep-fd")
    .map(({ value }) => {
      if (!/^[0-9]{1,7}$/.test(value))
        throw new UsageError(`${JSON.stringify(value)} is no descriptor: --keep-fd takes a number`);
      if (!caller.hasDescriptor(Number(value)))
        throw new UsageError(`--keep-fd ${value}: descriptor ${value} is not open`);
      return Number(value);
    })
    .filter((descriptor) => descriptor > 2);
}

/**
 * The operands as the bytes that the user gave: Node has turned what is not UTF-8 into replacement characters,
 * but the kernel still has the original.
 */
function rawOperands(operands: readonly string[]): readonly PlanString[] {
  if (!operands.some((operand) => operand.includes("\ufffd"))) return operands;
  const raw = stringsOf("/proc/self/cmdline");
  return raw.slice(raw.length - operands.length);
}

/** PATH, likewise: one of its folders may have a name that is not UTF-8. */
function rawPath(): PlanString | undefined {
  const path = process.env["PATH"];
  if (!path?.includes("\ufffd")) return path;
  return stringsOf("/proc/self/environ")
    .find((variable) => variable.toString("latin1", 0, 5) === "PATH=")
    ?.subarray(5);
}

/** The ABI of a program that the policy has no rules for. */
export function foreignAbi(path: PlanString, known: readonly AbiName[]): AbiName | undefined {
  const abi = programAbi(path);
  return abi === undefined || known.includes(abi) ? undefined : abi;
}

function programOf(abi: AbiName): string {
  return abi === "x86" ? "a 32-bit (x86) program" : `a program for ${abi}`;
}

/** A program of an ABI that the policy has no rules for dies at its first call: that is said before it starts. */
function fateOfForeignAbi(
  path: PlanString,
  abi: AbiName | undefined,
  policy: Policy,
  known: readonly AbiName[],
): readonly string[] {
  const { kind } = policy.syscalls.otherAbis;
  if (abi === undefined || kind === "allow" || kind === "log") return [];
  const fate =
    kind === "errno" ? "all its system calls will be refused" : "its first system call will end it";
  return [
    `${Buffer.from(path).toString()} is ${programOf(abi)}, and the policy has rules for ${listWords(known, "and")} only: ` +
      `${fate}. To let it run: --abi ${abi}`,
  ];
}

/** What is said of a death by SIGSYS: the status tells no more than that a filter killed or trapped. */
export function whyKilled(foreign: AbiName | undefined, known: readonly AbiName[]): string {
  const names = listWords(known, "and");
  const why =
    foreign === undefined
      ? `it made a call that the policy kills or traps for, or a call of an ABI that the policy has no rules for (it has them for ${names})`
      : `it is ${programOf(foreign)}, and the policy has rules for ${names} only: --abi ${foreign}`;
  return `the program was killed by SIGSYS: ${why}`;
}
