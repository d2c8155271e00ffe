/** Help texts, from the table of commands. */
import type { Command } from "./command.ts";

/** Text broken into lines of at most `width` columns, each behind `indent`. */
function wrap(text: string, width: number, indent: string): string {
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

export function generalHelp(commands: readonly Command[], version: string, width: number): string {
  return [
    `callgate ${version}: decide which system calls a program may make`,
    "",
    "usage: callgate COMMAND [OPTION…] [OPERAND…]",
    "",
    ...commands.map((command) => entry(command.name, command.summary, width, 14)),
    "",
    "callgate COMMAND --help says more, with examples; callgate --version says which",
    "version this is.",
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
