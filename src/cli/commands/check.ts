/** `callgate check`: reads policies, compiles and proves them, and reports every mistake. */
import {
  type Diagnostic,
  diagnosticsToJson,
  hasErrors,
  listWords,
  renderDiagnostics,
  sanitise,
} from "../../diagnostics/index.ts";
import { loadPolicy } from "../../formats/load.ts";
import { resolve } from "../../policy/resolve.ts";
import type { Policy } from "../../policy/types.ts";
import { unreachableRules } from "../../proof/reach.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { print, terminalOptions } from "../output.ts";

export async function main(parsed: ParsedArguments): Promise<number> {
  if (parsed.operands.length === 0) throw new UsageError("the policy is missing: callgate check FILE…");
  const diagnostics = (await Promise.all(parsed.operands.map(checkFile))).flat();
  const errors = diagnostics.filter((one) => one.severity === "error").length;
  const warnings = diagnostics.filter((one) => one.severity === "warning").length;
  if (hasOption(parsed, "json")) {
    const found = diagnosticsToJson(diagnostics);
    print(`${JSON.stringify({ ok: errors === 0, errors, warnings, diagnostics: found }, null, 2)}\n`);
  } else {
    print(renderDiagnostics(diagnostics, terminalOptions(1)));
    const counts = [count(errors, "error"), count(warnings, "warning")].filter((text) => text !== "");
    print(
      counts.length > 0
        ? `${counts.join(", ")}\n`
        : `${sanitise(listWords(parsed.operands, "and"))}: no mistakes found\n`,
    );
  }
  if (diagnostics.some((one) => one.id === "unreadable")) return 2;
  return errors > 0 ? 1 : 0;
}

function count(number: number, word: string): string {
  return number === 0 ? "" : `${number} ${word}${number === 1 ? "" : "s"}`;
}

async function checkFile(file: string): Promise<readonly Diagnostic[]> {
  const { policy, diagnostics } = loadPolicy(file);
  if (policy === undefined) return diagnostics;
  const found = [...diagnostics, ...unreachableRules(resolve(policy).resolved)];
  return hasErrors(found) || !mayBeTooLarge(policy) ? found : [...found, ...(await compileErrors(policy))];
}

/** A filter has 4,096 instructions at most; policies of ordinary size stay far below, and checking them is quicker without. */
function mayBeTooLarge({ syscalls }: Policy): boolean {
  return syscalls.rules.length + syscalls.require.length > 200;
}

/** What only compiling shows: a filter that the kernel would not take. */
async function compileErrors(policy: Policy): Promise<readonly Diagnostic[]> {
  const { compile, ProofError, TooLargeError } = await import("../../compiler/index.ts");
  try {
    compile(policy);
    return [];
  } catch (error) {
    if (error instanceof TooLargeError)
      return [{ id: "filter-too-large", severity: "error", message: error.message }];
    if (error instanceof ProofError) return [{ id: "not-proved", severity: "error", message: error.message }];
    throw error;
  }
}
