/** `callgate compile`: a policy as a filter that is proved equal to it, for whoever loads filters. */
import type { Filter } from "../../bpf/index.ts";
import { type CompileOptions, compile, ProofError, TooLargeError } from "../../compiler/index.ts";
import { renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import { loadPolicy } from "../../formats/load.ts";
import { evaluate } from "../../policy/evaluate.ts";
import { resolve } from "../../policy/resolve.ts";
import type { Policy } from "../../policy/types.ts";
import { type AbiName, abiByName, abis, hostAbi } from "../../syscalls/index.ts";
import { nearestName, type ParsedArguments, UsageError, valueOfOption } from "../arguments.ts";
import { assemblyText, cText, type FilterOrigin } from "../filter-text.ts";
import { print, printBytes, printError, terminalOptions } from "../output.ts";
import { namedValues } from "../policy-constants.ts";
import { writeFile } from "../replace-file.ts";

const formats = ["bpf", "asm", "c"] as const;
type Format = (typeof formats)[number];

/** What the filter is made for; the compiler's own words. */
const optimizations = ["kernel", "size", "classic"] as const satisfies readonly CompileOptions["optimize"][];

export function main(parsed: ParsedArguments): number {
  const [file, ...more] = parsed.operands;
  if (file === undefined) throw new UsageError("the policy is missing: callgate compile FILE");
  if (more.length > 0) throw new UsageError("compile takes one policy");
  const format = wordOf("format", valueOfOption(parsed, "format") ?? "bpf", formats);
  const optimize = wordOf("optimization", valueOfOption(parsed, "optimize") ?? "kernel", optimizations);
  const target = targetOf(valueOfOption(parsed, "target"));
  const out = valueOfOption(parsed, "output") ?? "-";
  if (format === "bpf" && out === "-" && terminalOptions(1).terminal)
    throw new UsageError(
      "a filter is not text: write it to a file (-o FILE) or a pipe, or read it with --format asm",
    );
  const { policy, diagnostics } = loadPolicy(file, { target });
  if (diagnostics.length > 0) printError(renderDiagnostics(diagnostics, terminalOptions(2)));
  if (policy === undefined) return diagnostics.some((one) => one.id === "unreadable") ? 2 : 1;
  const filter = compiled(policy, { target, optimize });
  if (typeof filter === "number") return filter;
  noteWhatIsNotInIt(policy, target);
  return write(out, content(format, filter, originOf(file, policy, target)), filter);
}

function wordOf<Word extends string>(what: string, word: string, known: readonly Word[]): Word {
  const found = known.find((one) => one === word);
  if (found !== undefined) return found;
  const guess = nearestName(word, known);
  throw new UsageError(
    `there is no ${what} ${JSON.stringify(word)}: ${guess === undefined ? `${what}s are ${known.join(", ")}` : `did you mean ${guess}?`}`,
  );
}

function targetOf(word: string | undefined): AbiName {
  const names = abis.map((one) => one.name);
  const target = word === undefined || word === "native" ? linuxAbi() : abiByName(word)?.name;
  if (target !== undefined) return target;
  if (word === undefined || word === "native")
    throw new UsageError(
      `say what to compile for, since this machine does not run Linux: --target ${names.join("|")}`,
    );
  throw new UsageError(`there is no ABI ${JSON.stringify(word)}: ABIs are ${names.join(", ")}`);
}

function linuxAbi(): AbiName | undefined {
  return process.platform === "linux" ? hostAbi() : undefined;
}

/** The filter, or the exit status where there is none. */
function compiled(policy: Policy, options: CompileOptions): Filter | number {
  try {
    return compile(policy, options);
  } catch (error) {
    if (!(error instanceof TooLargeError || error instanceof ProofError)) throw error;
    printError(`callgate: ${error.message}\n`);
    return error instanceof ProofError && error.witness === undefined ? 3 : 1;
  }
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
    policy: policy.name ?? file,
    abis: resolved.abis.map((one) => one.abi.name),
    machine: abiByName(target)?.machine ?? "x86_64",
    constants: namedValues(policy),
  };
}

function content(format: Format, filter: Filter, origin: FilterOrigin): string | Uint8Array {
  switch (format) {
    case "bpf":
      return filter.bytes;
    case "asm":
      return assemblyText(filter, origin);
    case "c":
      return cText(filter, origin);
  }
}

function write(out: string, text: string | Uint8Array, filter: Filter): number {
  if (out === "-") {
    if (typeof text === "string") print(text);
    else printBytes(text);
    return 0;
  }
  const failure = writeFile(out, text);
  if (failure !== undefined) {
    printError(`callgate: cannot write ${sanitise(JSON.stringify(out))}: ${failure}\n`);
    return 2;
  }
  const count = filter.instructions.length;
  printError(`${sanitise(out)}: ${count} instruction${count === 1 ? "" : "s"}, proved equal to the policy\n`);
  return 0;
}
