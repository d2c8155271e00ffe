/**
 * `callgate run`: decides what is to be done and hands it, as a plan, to the launcher that started this process.
 * The launcher then becomes the program; this process is gone by then.
 */
import { fstatSync, readFileSync, statSync, writeSync } from "node:fs";
import { TooLargeError } from "../../compiler/index.ts";
import { listWords, renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import { resolve } from "../../policy/resolve.ts";
import type { Policy } from "../../policy/types.ts";
import { describePlan } from "../../sandbox/describe.ts";
import { findProgram, programAbi } from "../../sandbox/find-program.ts";
import { encodePlan, type Plan, PlanError, type PlanString } from "../../sandbox/plan.ts";
import { PrepareError, type ProgramStart, planFor, preparePlan } from "../../sandbox/prepare.ts";
import { launcherProblem } from "../../sandbox/verify-launcher.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { policyOfCommandLine } from "../command-line-policy.ts";
import { print, printError, terminalOptions } from "../output.ts";

/** Where the launcher waits for the plan. */
const planDescriptor = 3;
const failed = 125;
const layers = ["files", "network", "limits", "hardening"];

export function main(parsed: ParsedArguments): number {
  const [command] = parsed.operands;
  if (command === undefined) throw new UsageError("the command is missing: callgate run -- CMD");
  const keepDescriptors = descriptorsOf(parsed);
  const { policy, diagnostics } = policyOfCommandLine(parsed, callersFile);
  if (policy === undefined) {
    printError(renderDiagnostics(diagnostics, terminalOptions(2)));
    printError("callgate: the policy has errors: nothing was started\n");
    return failed;
  }
  const [program = command, ...rest] = rawOperands(parsed.operands);
  const found = findProgram(program, rawPath());
  if (found.kind !== "found") {
    printError(`callgate: ${found.message}\n`);
    return found.kind === "not-found" ? 127 : 126;
  }
  const plan = planOf(withMissingLayers(policy, parsed), {
    path: found.path,
    arguments: [program, ...rest],
    keepDescriptors,
  });
  if (plan === undefined) return failed;
  warnOfForeignAbi(found.path, policy);
  if (hasOption(parsed, "dry-run")) {
    print(describePlan(plan, policy));
    return 0;
  }
  return handOver(plan);
}

function planOf(policy: Policy, program: ProgramStart): Plan | undefined {
  try {
    return planFor(preparePlan(policy), program);
  } catch (error) {
    if (!(error instanceof PrepareError || error instanceof TooLargeError)) throw error;
    printError(`callgate: ${error.message}\n`);
    return undefined;
  }
}

function descriptorsOf(parsed: ParsedArguments): readonly number[] {
  return parsed.given
    .filter((option) => option.name === "keep-fd")
    .map(({ value }) => {
      if (!/^[0-9]{1,7}$/.test(value))
        throw new UsageError(`${JSON.stringify(value)} is no descriptor: --keep-fd takes a number`);
      if (launcherIsWaiting() && callersDescriptor(Number(value)) === undefined)
        throw new UsageError(`--keep-fd ${value}: descriptor ${value} is not open`);
      return Number(value);
    })
    .filter((descriptor) => descriptor > 2);
}

/**
 * A file as the user means it. Standard input and the other descriptors are the program's, and not open here:
 * the launcher, this process's parent, still has them.
 */
function callersFile(name: string): string {
  const written =
    name === "-" || name === "/dev/stdin" ? "0" : /^\/(?:dev|proc\/self)\/fd\/([0-9]+)$/.exec(name)?.[1];
  if (written === undefined || !launcherIsWaiting()) return name;
  const path = callersDescriptor(Number(written));
  if (path === undefined)
    throw new UsageError(`cannot read ${JSON.stringify(name)}: descriptor ${written} is not open`);
  const status = statSync(path);
  if (status.isFile() || status.isFIFO()) return path;
  throw new UsageError(
    `cannot read ${JSON.stringify(name)}: descriptor ${written} is neither a file nor a pipe, and only the program can read it`,
  );
}

/** The path of a descriptor that the caller left open. */
function callersDescriptor(descriptor: number): string | undefined {
  const path = `/proc/${process.ppid}/fd/${descriptor}`;
  const status = statSync(path, { throwIfNoEntry: false });
  // Where the caller had it closed, the pipe for the plan may lie there.
  const plan = fstatSync(planDescriptor);
  return status === undefined || (status.ino === plan.ino && status.dev === plan.dev) ? undefined : path;
}

function withMissingLayers(policy: Policy, parsed: ParsedArguments): Policy {
  const named = parsed.given.filter((option) => option.name === "missing").map((option) => option.value);
  const unknown = named.find((name) => !layers.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`there is no layer ${JSON.stringify(unknown)}: layers are ${layers.join(", ")}`);
  if (named.length === 0) return policy;
  const hardening = policy.hardening ?? { newCode: "allow", exec: "any", missingLayers: [] };
  return { ...policy, hardening: { ...hardening, missingLayers: [...hardening.missingLayers, ...named] } };
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

function stringsOf(file: string): readonly Buffer[] {
  const strings: Buffer[] = [];
  const whole = readFileSync(file);
  for (let start = 0; start < whole.length; ) {
    const end = whole.indexOf(0, start);
    strings.push(whole.subarray(start, end === -1 ? whole.length : end));
    start = end === -1 ? whole.length : end + 1;
  }
  return strings;
}

/** A program of an ABI that the policy has no rules for dies at its first call: that is said before it starts. */
function warnOfForeignAbi(path: PlanString, policy: Policy): void {
  const abi = programAbi(path);
  const known = resolve(policy).resolved.abis.map((one) => one.abi.name);
  const { kind } = policy.syscalls.otherAbis;
  if (abi === undefined || known.includes(abi) || kind === "allow" || kind === "log") return;
  const what = abi === "x86" ? "a 32-bit (x86) program" : `a program for ${abi}`;
  const fate =
    kind === "errno" ? "all its system calls will be refused" : "its first system call will end it";
  printError(
    `callgate: ${sanitise(Buffer.from(path).toString())} is ${what}, and the policy has rules for ${listWords(known, "and")} only: ` +
      `${fate}. To let it run: --abi ${abi}\n`,
  );
}

function handOver(plan: Plan): number {
  let bytes: Uint8Array;
  try {
    bytes = encodePlan(plan);
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
  return 0;
}

function launcherIsWaiting(): boolean {
  try {
    return fstatSync(planDescriptor).isFIFO();
  } catch {
    return false;
  }
}
