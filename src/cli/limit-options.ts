/** What a command line limits: read as a policy's limits are, and with the same messages. */
import { hasErrors, renderDiagnostics } from "../diagnostics/index.ts";
import { readPolicy } from "../formats/index.ts";
import type { Limits } from "../policy/types.ts";
import { type ParsedArguments, valueOfOption } from "./arguments.ts";
import { printError, terminalOptions } from "./output.ts";
import { limitNames } from "./sandbox-options.ts";

/** @returns undefined where a limit is none; the user has been told */
export function limitsOf(parsed: ParsedArguments): Limits | undefined {
  const given = limitNames.flatMap((name): readonly (readonly [string, string])[] => {
    const value = valueOfOption(parsed, name);
    return value === undefined ? [] : [[name, value]];
  });
  if (given.length === 0) return {};
  const { policy, diagnostics } = readPolicy({ version: 1, limits: Object.fromEntries(given) });
  if (policy !== undefined && !hasErrors(diagnostics)) return policy.limits ?? {};
  printError(renderDiagnostics(diagnostics, terminalOptions(2)));
  printError("callgate: the limits have errors: nothing was started\n");
  return undefined;
}
