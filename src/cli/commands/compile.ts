/** `callgate compile`: a policy as a filter that is proved equal to it, for whoever loads filters. */
import type { Filter } from "../../bpf/index.ts";
import { compile, ProofError, TooLargeError } from "../../compiler/index.ts";
import { compileStack } from "../../compiler/stack.ts";
import { unaskedQuestions } from "../../denials/unasked.ts";
import { renderDiagnostics } from "../../diagnostics/index.ts";
import { loadPolicy } from "../../formats/load.ts";
import { evaluate } from "../../policy/evaluate.ts";
import { resolve } from "../../policy/resolve.ts";
import type { Policy } from "../../policy/types.ts";
import { type AbiName, abiByName } from "../../syscalls/index.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { type FilterOutput, filterOutput, writeFilter } from "../filter-output.ts";
import type { FilterOrigin } from "../filter-text.ts";
import { printError, terminalOptions } from "../output.ts";
import { namedValues } from "../policy-constants.ts";
import { readingOf } from "../reading.ts";

export async function main(parsed: ParsedArguments): Promise<number> {
  const [file, ...more] = parsed.operands;
  if (file === undefined) throw new UsageError("the policy is missing: callgate compile FILE");
  if (more.length > 0) throw new UsageError("compile takes one policy");
  const output = filterOutput(parsed);
  const asStack = hasOption(parsed, "stack");
  if (asStack && output.out === "-")
    throw new UsageError("several filters are several files: --stack goes with -o FILE");
  const { target } = output;
  const { policy, diagnostics } = loadPolicy(file, { ...readingOf(parsed, file), target });
  const said = [...diagnostics, ...(policy === undefined ? [] : unaskedQuestions(policy, "filter"))];
  if (said.length > 0) printError(renderDiagnostics(said, terminalOptions(2)));
  if (policy === undefined) return diagnostics.some((one) => one.id === "unreadable") ? 2 : 1;
  const filters = compiled(policy, output, asStack);
  if (typeof filters === "number") return filters;
  noteWhatIsNotInIt(policy, target);
  const origin = originOf(file, policy, target);
  const [only, ...others] = filters;
  if (only !== undefined && others.length === 0) return writeFilter(output, only, origin);
  return writeStack(output, filters, origin);
}

/** The filters, or the exit status where there is none. */
function compiled(
  policy: Policy,
  { target, optimize }: FilterOutput,
  asStack: boolean,
): readonly Filter[] | number {
  try {
    return asStack ? compileStack(policy, { target, optimize }) : [compile(policy, { target, optimize })];
  } catch (error) {
    if (!(error instanceof TooLargeError || error instanceof ProofError)) throw error;
    const remedy =
      error instanceof TooLargeError ? ": --stack -o FILE writes several filters, to be loaded together" : "";
    printError(`callgate: ${error.message}${remedy}\n`);
    return error instanceof ProofError && error.witness === undefined ? 3 : 1;
  }
}

/** `x.bpf` becomes x-1.bpf, x-2.bpf …, in the order in which they are loaded. */
async function writeStack(
  output: FilterOutput,
  filters: readonly Filter[],
  origin: FilterOrigin,
): Promise<number> {
  for (const [index, filter] of filters.entries()) {
    const provedEqualTo = `a part of the policy (${index + 1} of ${filters.length})`;
    const status = await writeFilter(
      { format: output.format, out: numbered(output.out, index + 1) },
      filter,
      {
        ...origin,
        provedEqualTo,
      },
    );
    if (status !== 0) return status;
  }
  printError(
    `all ${filters.length} together are proved equal to the policy: load every one, in this order, with seccomp(2)\n`,
  );
  return 0;
}

function numbered(path: string, number: number): string {
  return path.replace(/(\.[A-Za-z0-9]+)?$/, (extension) => `-${number}${extension}`);
}

/** A filter is only a part of a sandbox: what its loader has to see to is said, on standard error. */
function noteWhatIsNotInIt(policy: Policy, target: AbiName): void {
  const sections = (["files", "network", "limits", "environment", "hardening"] as const).filter(
    (section) => policy[section] !== undefined,
  );
  if (sections.length > 0) {
    const names = sections.map((section) => `[${section}]`).join(", ");
    printError(`callgate: note: the filter holds the rules only; of ${names} there is nothing in it\n`);
  }
  const { action } = evaluate(policy, { abi: target, syscall: "execve", args: [1n, 1n, 1n] }, { target });
  if (action.kind !== "allow" && action.kind !== "log")
    printError(
      "callgate: note: the policy denies execve: whoever loads this filter cannot start a program under it (callgate run can)\n",
    );
}

function originOf(file: string, policy: Policy, target: AbiName): FilterOrigin {
  const { resolved } = resolve(policy, target);
  return {
    title: `policy ${policy.name ?? file}`,
    provedEqualTo: "the policy",
    abis: resolved.abis.map((one) => one.abi.name),
    machine: abiByName(target)?.machine ?? "x86_64",
    constants: namedValues(policy),
  };
}
