/** A command's arguments, read by its own table of options. */
import { parseArgs } from "node:util";
import { nearest } from "../diagnostics/index.ts";

/**
 * What a shell offers where a value is expected: a policy is a file or a built-in policy's name, selectors are calls
 * and groups, a program is what the shell would run, a container is one of LXC's. A list is offered as it is.
 */
export type Completion =
  | "file"
  | "folder"
  | "policy"
  | "builtin-policy"
  | "abi"
  | "call"
  | "selectors"
  | "program"
  | "container"
  | "command"
  | readonly string[];

export interface OptionSpec {
  readonly name: string;
  readonly short?: string;
  /** What the help calls the option's value; an option without is a switch. */
  readonly value?: string;
  readonly help: string;
  /** What a shell offers for the value; without it nothing. */
  readonly completes?: Completion;
}

/** An option as it was given, in its order. */
export interface GivenOption {
  readonly name: string;
  /** Empty for a switch. */
  readonly value: string;
}

export interface ParsedArguments {
  readonly given: readonly GivenOption[];
  readonly operands: readonly string[];
}

/** A wrong option or operand; the message says what is wrong and what was probably meant. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface ArgumentRules {
  readonly options: readonly OptionSpec[];
  /** The first operand and everything behind it belong to another program. */
  readonly stopAtOperand: boolean;
}

/** @throws UsageError */
export function parseArguments(
  args: readonly string[],
  { options, stopAtOperand }: ArgumentRules,
): ParsedArguments {
  const config: Record<string, { type: "boolean" | "string"; short?: string; multiple: true }> = {};
  for (const option of options) {
    const type = option.value === undefined ? "boolean" : "string";
    config[option.name] =
      option.short === undefined ? { type, multiple: true } : { type, short: option.short, multiple: true };
  }
  const { tokens } = parseArgs({
    args: [...args],
    options: config,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given: GivenOption[] = [];
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "option-terminator") {
      if (stopAtOperand) return { given, operands: args.slice(token.index + 1) };
      continue;
    }
    if (token.kind === "positional") {
      if (stopAtOperand) return { given, operands: args.slice(token.index) };
      operands.push(token.value);
      continue;
    }
    const spec = options.find((option) => option.name === token.name);
    if (spec === undefined) {
      const names = options.map((option) => `--${option.name}`);
      const guess = nearestName(token.rawName, names);
      throw new UsageError(
        `there is no option ${token.rawName}${guess === undefined ? "" : `: did you mean ${guess}?`}`,
      );
    }
    if (spec.value !== undefined && token.value === undefined)
      throw new UsageError(`${token.rawName} needs a value: ${token.rawName} ${spec.value}`);
    // `--policy -- cmd` and `--policy --abi x86` forgot the value; `-` alone is standard input.
    if (token.value !== undefined && !token.inlineValue && /^-./.test(token.value)) {
      const written =
        token.value === "--" ? "" : ` (one that begins with - is written --${spec.name}=${token.value})`;
      throw new UsageError(`${token.rawName} needs a value: ${token.rawName} ${spec.value ?? ""}${written}`);
    }
    if (spec.value === undefined && token.value !== undefined)
      throw new UsageError(`${token.rawName} takes no value`);
    given.push({ name: spec.name, value: token.value ?? "" });
  }
  return { given, operands };
}

/** The name that was begun or misspelt, if one is near enough. */
export function nearestName(word: string, names: readonly string[]): string | undefined {
  const begun = word.replace(/^-+/, "").length < 2 ? undefined : names.find((name) => name.startsWith(word));
  return begun ?? nearest(word, names);
}

/** The last value given for an option. */
export function valueOfOption(parsed: ParsedArguments, name: string): string | undefined {
  return parsed.given.findLast((option) => option.name === name)?.value;
}

export function hasOption(parsed: ParsedArguments, name: string): boolean {
  return parsed.given.some((option) => option.name === name);
}
