import type { Completion, OptionSpec, ParsedArguments } from "./arguments.ts";

/** What a command does: its exit status is its answer. */
export interface CommandModule {
  readonly main: (parsed: ParsedArguments) => number | Promise<number>;
}

/** One command: the parser, the help, completions and the man page come from this. */
export interface Command {
  /** One word; or two, the first of which is the name of a group: `lxc enable`. */
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** What stands behind the command's name in its usage line. */
  readonly operands: string;
  /** What a shell offers for the operands, in their order; the last for all that follow. Without it nothing. */
  readonly completes?: readonly Completion[];
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly { readonly command: string; readonly comment: string }[];
  readonly stopAtOperand: boolean;
  /** The exit status of wrong usage: 125 for what runs programs, 2 for the others. */
  readonly usageStatus: 2 | 125;
  readonly load: () => Promise<CommandModule>;
}

/** Commands of one purpose, whose names begin with the same word: `callgate lxc enable web`. */
export interface CommandGroup {
  readonly name: string;
  /** One line, for the list of commands, in which a group stands for all that are in it. */
  readonly summary: string;
  /** Paragraphs. */
  readonly description: readonly string[];
}
