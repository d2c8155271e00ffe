/** Help texts, from the table of commands. */
import type { Command, CommandGroup } from "./command.ts";

/** Text broken into lines of at most `width` columns, each behind `indent`. */
export function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, indent + line].join("\n");
}

/** A name with its text beside it, or below where the name is too long. */
function entry(name: string, text: string, width: number, column: number): string {
  const body = wrap(text, Math.max(width, column + 20), " ".repeat(column));
  const head = `  ${name}`;
  return head.length + 1 < column ? head + body.slice(head.length) : `${head}\n${body}`;
}

/** Names with their summaries, in two columns. */
function entries(
  list: readonly { readonly name: string; readonly summary: string }[],
  width: number,
): readonly string[] {
  const column = Math.max(...list.map(({ name }) => name.length)) + 4;
  return list.map(({ name, summary }) => entry(name, summary, width, column));
}

/** The list of commands, in which a group is one line. */
export function generalHelp(
  commands: readonly Command[],
  groups: readonly CommandGroup[],
  version: string,
  width: number,
): string {
  const alone = commands.filter(({ name }) => !name.includes(" "));
  return [
    `callgate ${version}: decide which system calls a program may make`,
    "",
    "usage: callgate COMMAND [OPTION…] [OPERAND…]",
    "",
    ...entries([...alone, ...groups], width),
    "",
    "callgate COMMAND --help says more, with examples; callgate --version says which",
    "version this is.",
    "",
  ].join("\n");
}

/** What a group is for, and its commands. */
export function groupHelp(group: CommandGroup, commands: readonly Command[], width: number): string {
  const own = commands.filter(({ name }) => name.startsWith(`${group.name} `));
  return [
    `usage: callgate ${group.name} COMMAND [OPTION…] [OPERAND…]`,
    "",
    ...group.description.flatMap((paragraph) => [wrap(paragraph, width, ""), ""]),
    ...entries(own, width),
    "",
    wrap(`callgate ${group.name} COMMAND --help says more, with examples.`, width, ""),
    "",
  ].join("\n");
}

export function commandHelp(command: Command, width: number): string {
  const column = 28;
  return [
    `usage: callgate ${command.name} [OPTION…] ${command.operands}`.trimEnd(),
    "",
    ...command.description.flatMap((paragraph) => [wrap(paragraph, width, ""), ""]),
    "options:",
    ...command.options.map((option) => {
      const short = option.short === undefined ? "" : `-${option.short}, `;
      const value = option.value === undefined ? "" : ` ${option.value}`;
      return entry(`${short}--${option.name}${value}`, option.help, width, column);
    }),
    "",
    "examples:",
    ...command.examples.flatMap((example) => [`  # ${example.comment}`, `  ${example.command}`]),
    "",
  ].join("\n");
}
