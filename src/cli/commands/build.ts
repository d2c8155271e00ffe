/** `callgate build`: a program with its sandbox as one executable file. */
import { linkSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ProofError, TooLargeError } from "../../compiler/index.ts";
import { unaskedQuestions } from "../../denials/index.ts";
import { errorCode } from "../../diagnostics/error-code.ts";
import { renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import { resolve } from "../../policy/resolve.ts";
import { type BuiltProgram, buildProgram, type ProgramToBuild } from "../../sandbox/built-program.ts";
import { findProgram } from "../../sandbox/find-program.ts";
import { PrepareError } from "../../sandbox/prepare.ts";
import { hasOption, type ParsedArguments, UsageError, valueOfOption } from "../arguments.ts";
import type { Caller } from "../caller.ts";
import { policyOfCommandLine } from "../command-line-policy.ts";
import { limitsOf } from "../limit-options.ts";
import { printError, terminalOptions } from "../output.ts";
import { reportRequest } from "../report-options.ts";
import { foreignAbi, whyKilled } from "../run-plan.ts";
import { sandboxOfCommandLine } from "../sandbox-options.ts";
import { whyItFailed } from "../unwritable.ts";

/** Whoever starts the file is not here: only what options say counts. */
const nobody: Caller = { fileNamed: (name) => name, hasDescriptor: () => false, hasTerminal: () => false };

export function main(given: ParsedArguments): number {
  const [policyFile, command, ...args] = given.operands;
  if (policyFile === undefined)
    throw new UsageError("the policy is missing: callgate build POLICY -o FILE -- CMD");
  if (command === undefined) throw new UsageError("the command is missing: it stands behind --");
  const out = valueOfOption(given, "output");
  if (out === undefined) throw new UsageError("where to write it is missing: -o FILE");
  const parsed = { ...given, given: [{ name: "policy", value: policyFile }, ...given.given] };

  const { policy, diagnostics, files } = policyOfCommandLine(parsed, nobody.fileNamed);
  if (policy === undefined) {
    printError(renderDiagnostics(diagnostics, terminalOptions(2)));
    return diagnostics.some((one) => one.id === "unreadable") ? 2 : 1;
  }
  const found = findProgram(command, process.env["PATH"]);
  if (found.kind !== "found") {
    printError(`callgate: ${found.message}\n`);
    return 1;
  }
  if (typeof found.path !== "string" || given.operands.some((operand) => operand.includes("\ufffd")))
    throw new UsageError("build takes names and arguments that are UTF-8 only");
  const sandbox = sandboxOfCommandLine(parsed, { policy, files }, nobody, limitsOf);
  if (sandbox === undefined) return 1;
  const known = resolve(policy).resolved.abis.map(({ abi }) => abi.name);
  let built: BuiltProgram;
  try {
    built = buildProgram(sandbox.policy, sandbox.settings, {
      path: found.path,
      arguments: [command, ...args],
      explainKill: whyKilled(foreignAbi(found.path, known), known),
      report: reportOf(parsed, sandbox.settings !== undefined),
    });
  } catch (error) {
    if (!(error instanceof PrepareError || error instanceof TooLargeError || error instanceof ProofError))
      throw error;
    printError(error.message.replace(/^(?! )/gm, "callgate: ").concat("\n"));
    return 1;
  }
  const unasked = unaskedQuestions(policy, "file");
  if (unasked.length > 0) printError(renderDiagnostics(unasked, terminalOptions(2)));
  for (const note of built.notes) printError(`callgate: ${sanitise(note)}\n`);
  const problem = writeProgram(out, built.bytes, hasOption(given, "force"));
  if (problem === undefined) return 0;
  printError(`callgate: cannot write ${sanitise(JSON.stringify(out))}: ${problem}\n`);
  return 1;
}

/** Without Node there are lines for people, on standard error. */
function reportOf(parsed: ParsedArguments, isWhole: boolean): ProgramToBuild["report"] {
  const mode = reportRequest(parsed, nobody, isWhole)?.mode;
  if (mode === "json")
    throw new UsageError("a built file has no report json: --report=end, live, all or off");
  return mode === undefined ? undefined : { live: mode === "live", all: mode === "all" };
}

/** Whole or not at all; a file that is there stays, unless `force` says otherwise. Answers why not. */
function writeProgram(path: string, bytes: Uint8Array, force: boolean): string | undefined {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return "it is a directory";
    writeFileSync(temporary, bytes, { flag: "wx", mode: 0o755 });
    if (force) renameSync(temporary, path);
    else linkSync(temporary, path);
    return undefined;
  } catch (error) {
    return errorCode(error) === "EEXIST" ? "it is there already: --force writes over it" : whyItFailed(error);
  } finally {
    rmSync(temporary, { force: true });
  }
}
