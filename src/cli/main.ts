/** The command line: finds the command in the table, reads its options, runs it, and ends with its status. */
import { sanitise } from "../diagnostics/index.ts";
import { hasOption, nearestName, parseArguments, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { isReaderGone, OutputError, print, printError, terminalOptions } from "./output.ts";
import { version } from "./version.ts";

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  const { width } = terminalOptions(1);
  if (name === undefined) {
    printError(generalHelp(commands, version, width));
    return 2;
  }
  if (name === "help" || name === "--help" || name === "-h") {
    const [wanted] = rest;
    const command = wanted === undefined ? undefined : findCommand(wanted);
    if (wanted !== undefined && command === undefined) return refuseCommand(wanted);
    print(command === undefined ? generalHelp(commands, version, width) : commandHelp(command, width));
    return 0;
  }
  if (name === "--version" || name === "-V") {
    print(`callgate ${version}\n`);
    return 0;
  }
  const command = findCommand(name);
  if (command === undefined) return refuseCommand(name);
  try {
    const parsed = parseArguments(rest, command);
    if (hasOption(parsed, "help")) {
      print(commandHelp(command, terminalOptions(1).width));
      return 0;
    }
    return await (await command.load()).main(parsed);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    printError(
      `callgate ${command.name}: ${sanitise(error.message)}\ncallgate ${command.name} --help says more\n`,
    );
    return command.usageStatus;
  }
}

function findCommand(name: string): Command | undefined {
  return commands.find((one) => one.name === name);
}

function refuseCommand(name: string): 2 {
  const isOption = name.startsWith("-");
  const known = isOption
    ? ["--help", "--version"]
    : [...commands.map((command) => command.name), "help", "--version"];
  const what = isOption
    ? `option ${sanitise(name)} before the command`
    : `command ${sanitise(JSON.stringify(name))}`;
  const guess = nearestName(name, known);
  printError(`callgate: there is no ${what}${guess === undefined ? "" : `: did you mean ${guess}?`}\n`);
  printError("callgate --help lists the commands\n");
  return 2;
}

/** What no command expects: still a sentence for the user, and the trace of our mistake only for who asks for it. */
function reportFailure(error: unknown): void {
  if (isReaderGone(error)) return;
  if (error instanceof OutputError) {
    printError(`callgate: ${error.message}\n`);
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  printError(`callgate: internal error: ${message}\nplease report this, with the command and the policy\n`);
  if (process.env["CALLGATE_DEBUG"] !== undefined && error instanceof Error)
    printError(`${error.stack ?? ""}\n`);
}

const args = process.argv.slice(2);
main(args).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    reportFailure(error);
    process.exitCode = args[0] === "run" ? 125 : 2;
  },
);
