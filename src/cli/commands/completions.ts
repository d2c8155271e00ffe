/** `callgate completions`: a script for a shell, made from the table of commands. */
import { nearestName, type ParsedArguments, UsageError } from "../arguments.ts";
import { commandGroups, commands } from "../commands.ts";
import { completionScripts } from "../completions/index.ts";
import { print } from "../output.ts";

export function main(parsed: ParsedArguments): number {
  const [shell, ...more] = parsed.operands;
  const shells = Object.keys(completionScripts);
  if (shell === undefined) throw new UsageError(`the shell is missing: ${shells.join(", ")}`);
  if (more.length > 0) throw new UsageError("completions takes one shell");
  const script = Object.entries(completionScripts).find(([name]) => name === shell)?.[1];
  if (script === undefined) {
    const guess = nearestName(shell, shells);
    throw new UsageError(
      `there are no completions for ${JSON.stringify(shell)}: ${guess === undefined ? `shells are ${shells.join(", ")}` : `did you mean ${guess}?`}`,
    );
  }
  print(script({ commands, groups: commandGroups }));
  return 0;
}
