/** A start's policy read, and its filters compiled and proved. */
import { renderDiagnostics } from "../diagnostics/index.ts";
import { compiledFilters } from "../sandbox/compiled-filters.ts";
import { withTerminalKept } from "../sandbox/sandbox-rules.ts";
import { policyOfCommandLine } from "./command-line-policy.ts";
import { limitsOf } from "./limit-options.ts";
import { printError, terminalOptions } from "./output.ts";
import type { StartPolicy } from "./start-policy.ts";

export const readStart: StartPolicy = {
  policy(parsed, caller) {
    const { policy, diagnostics, file, files } = policyOfCommandLine(parsed, caller.fileNamed);
    if (policy !== undefined) return { policy, file, files };
    printError(renderDiagnostics(diagnostics, terminalOptions(2)));
    printError("callgate: the policy has errors: nothing was started\n");
    return diagnostics.some((one) => one.id === "unreadable") ? "unreadable" : "policy";
  },
  keepTerminal: withTerminalKept,
  limits: limitsOf,
  filters: compiledFilters,
};
