/** The command line: finds the command in the table, reads its options, runs it, and ends with its status. */
import { errorCode } from "../diagnostics/error-code.ts";
import { sanitise } from "../diagnostics/index.ts";
import { hasOption, nearestName, parseArguments, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { commandGroups, commands } from "./commands.ts";
import { commandHelp, generalHelp, groupHelp } from "./help.ts";
import { endBySigpipe, isReaderGone, OutputError, print, printError, terminalOptions } from "./output.ts";
import { ownWords } from "./own-word.ts";
import { version } from "./version.ts";

async function main(args: readonly string[]): Promise<number> {
  const [name] = args;
  if (name === undefined) {
    printError(generalHelp(commands, commandGroups, version, terminalOptions(2).width));
    return 2;
  }
  if (name === "help" || name === "--help" || name === "-h") return help(args.slice(1));
  if (name === "--version" || name === "-V") {
    print(`callgate ${version}\n`);
    return 0;
  }
  if (name === ownWords.tellDenials) return (await import("./tell-denials.ts")).tellDenials();
  const command = findCommand(args);
  if (command === undefined) return isGroup(name) ? groupAlone(args) : refuseCommand(args);
  try {
    const parsed = parseArguments(args.slice(command.name.split(" ").length), command);
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

/** `callgate help [COMMAND]`. */
function help(wanted: readonly string[]): number {
  const { width } = terminalOptions(1);
  const command = findCommand(wanted);
  const group = commandGroups.find(({ name }) => name === wanted[0]);
  if (wanted.length === 0) print(generalHelp(commands, commandGroups, version, width));
  else if (command !== undefined) print(commandHelp(command, width));
  else if (group !== undefined && wanted.length === 1) print(groupHelp(group, commands, width));
  else return refuseCommand(wanted);
  return 0;
}

/** The command that the arguments begin with: one word, or a group's name and one of its own. */
function findCommand(args: readonly string[]): Command | undefined {
  return commands.find((one) => one.name.split(" ").every((word, index) => word === args[index]));
}

function isGroup(name: string): boolean {
  return commandGroups.some((group) => group.name === name);
}

/** A group's name with nothing, a wrong word, or a call for help behind it. */
function groupAlone(args: readonly string[]): number {
  const [name, second] = args;
  const group = commandGroups.find((one) => one.name === name);
  if (group === undefined || (second !== undefined && second !== "--help" && second !== "-h"))
    return refuseCommand(args);
  const text = groupHelp(group, commands, terminalOptions(second === undefined ? 2 : 1).width);
  if (second !== undefined) print(text);
  else printError(text);
  return second === undefined ? 2 : 0;
}

function refuseCommand([name = "", second]: readonly string[]): number {
  const isOption = name.startsWith("-");
  const inGroup = isGroup(name) && second !== undefined;
  const asked = inGroup ? `${name} ${second}` : name;
  const known = isOption
    ? ["--help", "--version"]
    : [
        ...commands.map((command) => command.name),
        ...commandGroups.map((group) => group.name),
        "help",
        "--version",
      ];
  const what = isOption
    ? `option ${sanitise(name)} before the command`
    : `command ${sanitise(JSON.stringify(asked))}`;
  const guess = nearestName(asked, known);
  printError(`callgate: there is no ${what}${guess === undefined ? "" : `: did you mean ${guess}?`}\n`);
  printError(`callgate ${inGroup ? `${name} ` : ""}--help lists the commands\n`);
  return 2;
}

/** What no command expects: still a sentence for the user, and the trace of our mistake only for who asks for it. */
function reportFailure(error: unknown): void {
  if (error instanceof OutputError) {
    printError(`callgate: ${error.message}\n`);
    return;
  }
  if (error instanceof Error && "syscall" in error && error.syscall === "uv_cwd") {
    const why = errorCode(error) === "ENOENT" ? "was removed" : "has a path that is too long";
    printError(`callgate: the working directory ${why}: go to another one and start again\n`);
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  printError(`callgate: internal error: ${message}\nplease report this, with the command and the policy\n`);
  if (process.env["CALLGATE_DEBUG"] !== undefined && error instanceof Error)
    printError(`${error.stack ?? ""}\n`);
}

const args = process.argv
  .slice(2)
  .map((one, index) => (index === 0 && one === ownWords.learnOn ? "learn" : one));
const fail = (error: unknown): void => {
  if (isReaderGone(error)) endBySigpipe();
  else {
    reportFailure(error);
    process.exitCode = findCommand(args)?.usageStatus ?? 2;
  }
};
main(args).then(
  // At once: everything is written when a command has ended, and Node's own way there is longer.
  (status) => process.exit(status),
  fail,
);
