/** The command line: finds the command in the table, reads its options, runs it, and ends with its status. */
import { nearest } from "../diagnostics/index.ts";
import { hasOption, parseArguments, UsageError } from "./arguments.ts";
import { commands } from "./commands.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { isReaderGone, print, printError, terminalOptions } from "./output.ts";
import { version } from "./version.ts";

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    const command = commands.find((one) => one.name === rest[0]);
    const { width } = terminalOptions(1);
    const text = command === undefined ? generalHelp(commands, version, width) : commandHelp(command, width);
    if (name === undefined) printError(text);
    else print(text);
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-V") {
    print(`callgate ${version}\n`);
    return 0;
  }
  const command = commands.find((one) => one.name === name);
  if (command === undefined) {
    const guess = nearest(
      name,
      commands.map((one) => one.name),
    );
    printError(
      `callgate: there is no command ${JSON.stringify(name)}${guess === undefined ? "" : `: did you mean ${guess}?`}\n`,
    );
    printError("callgate --help lists the commands\n");
    return 2;
  }
  try {
    const parsed = parseArguments(rest, command);
    if (hasOption(parsed, "help")) {
      print(commandHelp(command, terminalOptions(1).width));
      return 0;
    }
    return await (await command.load()).main(parsed);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    printError(`callgate ${command.name}: ${error.message}\ncallgate ${command.name} --help says more\n`);
    return command.usageStatus;
  }
}

/** A mistake of ours: still a sentence for the user, and the trace only for who asks for it. */
function reportMistake(error: unknown): void {
  if (isReaderGone(error)) return;
  const message = error instanceof Error ? error.message : String(error);
  printError(`callgate: internal error: ${message}\nplease report this, with the command and the policy\n`);
  if (process.env["CALLGATE_DEBUG"] !== undefined && error instanceof Error) printError(`${error.stack ?? ""}\n`);
}

const args = process.argv.slice(2);
main(args).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    reportMistake(error);
    process.exitCode = args[0] === "run" ? 125 : 2;
  },
);
