/** callgate(1), from the table of commands. */
import type { OptionSpec } from "../arguments.ts";
import type { Command, CommandGroup } from "../command.ts";
import { argument, literal, prose } from "./mdoc.ts";

export interface PageTable {
  readonly commands: readonly Command[];
  readonly groups: readonly CommandGroup[];
  readonly version: string;
  /** The day of the release, as mdoc wants it: `November 26, 2026`. */
  readonly date: string;
}

export function commandPage({ commands, groups, version, date }: PageTable): string {
  return `.\\" Generated from the table of commands. Do not edit.
.Dd ${date}
.Dt CALLGATE 1
.Os "callgate ${version}"
.Sh NAME
.Nm callgate
.Nd decide which system calls a program may make
.Sh SYNOPSIS
${commands.map(synopsis).join("\n")}
.Nm
.Cm help
.Op Ar COMMAND
.Nm
.Fl \\-version
.Sh DESCRIPTION
${prose("A policy is a text that people can read. callgate compiles it to a seccomp filter of the kernel, proves that filter and policy give the same decision for every possible call, and starts a program under it. Nothing is loaded that is not proved, and a step of the set-up that fails means that the program does not start.")}
.Pp
The language of policies is described in
.Xr callgate\\-policy 5 .
Where a command takes a policy,
.Ar FILE
may be the name of a built-in policy, or
.Cm \\-
for standard input.
.Sh COMMANDS
${commands.map((command) => `${groupBefore(command, commands, groups)}${commandText(command)}`).join("\n")}
.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev NO_COLOR
${prose("When it is set and not empty, nothing is coloured. Colour is used on a terminal only.")}
.It Ev COLUMNS
${prose("The width of help texts where the output is no terminal.")}
.It Ev PATH
${prose("Where programs, and Node.js, are looked for.")}
.It Ev CALLGATE_DEBUG
${prose("When it is set, an internal error comes with its trace.")}
.El
.Sh EXIT STATUS
.Cm run
${prose("and what else starts programs end with the program's own status, or 128 and the signal's number for one that a signal ended; 125 for every failure before the program runs, 126 when it cannot be executed, and 127 when it is not there.")}
.Pp
${prose("All others: 0 for yes, equal, proved, clean; 1 for no, different, refuted, or when errors were found; 2 for wrong usage, or what cannot be read or written; 3 for what was not decided.")}
.Sh EXAMPLES
${commands
  .filter((command) => ["run", "check", "explain"].includes(command.name))
  .flatMap((command) => command.examples)
  .map((example) => `${prose(sentence(example.comment))}\n${literal([example.command])}`)
  .join("\n.Pp\n")}
.Sh SEE ALSO
.Xr seccomp 2 ,
.Xr callgate\\-policy 5 ,
.Xr capabilities 7
`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}:`;
}

/** Every operand of the usage line, optional ones with their brackets. */
function operandMacros(operands: string): readonly string[] {
  return operands
    .split(/ (?![^[]*\])/)
    .filter((word) => word !== "")
    .map((word) => {
      const optional = /^\[(.*)\]$/.exec(word)?.[1];
      if (optional === "--") return ".Op Fl \\-";
      if (optional === undefined) return `.Ar ${argument(word)}`;
      return `.Op ${optional
        .split(" ")
        .map((one) => (one.startsWith("-") ? `Fl ${argument(one.slice(1))}` : `Ar ${argument(one)}`))
        .join(" ")}`;
    });
}

function synopsis({ name, operands, options }: Command): string {
  const many = options.length === 0 ? [] : [".Op Ar OPTION…"];
  return [".Nm", `.Cm ${name}`, ...many, ...operandMacros(operands)].join("\n");
}

/** A group is described before the first of its commands. */
function groupBefore(
  command: Command,
  commands: readonly Command[],
  groups: readonly CommandGroup[],
): string {
  const group = groups.find(({ name }) => command.name.startsWith(`${name} `));
  const first = commands.find(({ name }) => group !== undefined && name.startsWith(`${group.name} `));
  return group !== undefined && first === command ? `${groupText(group)}\n` : "";
}

function groupText({ name, description }: CommandGroup): string {
  return `.Ss ${name}\n${description.map(prose).join("\n.Pp\n")}`;
}

function commandText(command: Command): string {
  const { name, description, options, examples } = command;
  return [
    `.Ss ${name}`,
    description.map(prose).join("\n.Pp\n"),
    ...(options.length === 0 ? [] : [".Bl -tag -width Ds", ...options.map(optionText), ".El"]),
    ".Pp",
    examples.length === 1 ? "An example:" : "Examples:",
    literal(examples.flatMap((one) => [`# ${one.comment}`, one.command])),
  ].join("\n");
}

function optionText({ name, short, value, help }: OptionSpec): string {
  const shown = value === undefined ? "" : ` Ar ${argument(value)}`;
  const forms = `${short === undefined ? "" : `Fl ${short} , `}Fl \\-${name.replaceAll("-", "\\-")}${shown}`;
  return `.It ${forms}\n${prose(`${help.charAt(0).toUpperCase()}${help.slice(1)}.`)}`;
}
