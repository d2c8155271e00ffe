/** What completions offer, from the tables of commands and calls; the scripts of all shells are made of this. */
import { builtinPolicies } from "../../formats/index.ts";
import { abis, groups, syscallNames } from "../../syscalls/index.ts";
import type { Completion, OptionSpec } from "../arguments.ts";
import type { Command, CommandGroup } from "../command.ts";

/** Everything that a completion script is made of. */
export interface CompletionTable {
  readonly commands: readonly Command[];
  readonly groups: readonly CommandGroup[];
}

/** Fixed words; a kind may offer files, programs or containers besides. */
export function wordsOf(kind: Completion, { commands, groups: own }: CompletionTable): readonly string[] {
  if (typeof kind !== "string") return kind;
  switch (kind) {
    case "policy":
    case "builtin-policy":
      return builtinPolicies();
    case "abi":
      return ["native", "all", ...abis.map((abi) => abi.name)];
    case "call":
      return syscallNames();
    case "selectors":
      return [...groups.map((group) => group.name), ...syscallNames()];
    case "command":
      return [...commands.filter(({ name }) => !name.includes(" ")), ...own].map(({ name }) => name);
    case "file":
    case "folder":
    case "program":
    case "container":
      return [];
  }
}

/** How an option is written, its long form first. */
export function optionForms({ name, short }: OptionSpec): readonly string[] {
  return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`];
}

/** The first words on the command line, with what each is for. */
export function firstWords({
  commands,
  groups: own,
}: CompletionTable): readonly (readonly [string, string])[] {
  return [
    ...[...commands.filter(({ name }) => !name.includes(" ")), ...own].map(
      ({ name, summary }) => [name, summary] as const,
    ),
    ["help", "say how a command is used"],
  ];
}

/** The commands of a group, by their second word. */
export function secondWords(
  group: CommandGroup,
  { commands }: CompletionTable,
): readonly (readonly [string, string])[] {
  return commands
    .filter(({ name }) => name.startsWith(`${group.name} `))
    .map(({ name, summary }) => [name.slice(group.name.length + 1), summary] as const);
}
