/** A command's arguments, read by its own table of options. */
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

/**
 * Reads arguments as Node's `parseArgs` does, which would have to be loaded first.
 * @throws UsageError
 */
export function parseArguments(
  args: readonly string[],
  { options, stopAtOperand }: ArgumentRules,
): ParsedArguments {
  const given: GivenOption[] = [];
  const operands: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? "";
    if (word === "--") {
      if (stopAtOperand) return { given, operands: args.slice(at + 1) };
      operands.push(...args.slice(at + 1));
      break;
    }
    // `-` alone is standard input.
    if (word.length < 2 || !word.startsWith("-")) {
      if (stopAtOperand) return { given, operands: args.slice(at) };
      operands.push(word);
      continue;
    }
    for (const { written, spec, inline } of optionsIn(word, options)) {
      if (spec === undefined) {
        const names = options.map((option) => `--${option.name}`);
        const guess = nearestName(written, names);
        throw new UsageError(
          `there is no option ${written}${guess === undefined ? "" : `: did you mean ${guess}?`}`,
        );
      }
      if (spec.value === undefined) {
        if (inline !== undefined) throw new UsageError(`${written} takes no value`);
        given.push({ name: spec.name, value: "" });
        continue;
      }
      const value = inline ?? args[++at];
      if (value === undefined) throw new UsageError(`${written} needs a value: ${written} ${spec.value}`);
      // `--policy -- cmd` and `--policy --abi x86` forgot the value; `-` alone is standard input.
      if (inline === undefined && /^-./.test(value)) {
        const other = value === "--" ? "" : ` (one that begins with - is written --${spec.name}=${value})`;
        throw new UsageError(`${written} needs a value: ${written} ${spec.value}${other}`);
      }
      given.push({ name: spec.name, value });
    }
  }
  return { given, operands };
}

interface WrittenOption {
  /** As it was written: --name or -n. */
  readonly written: string;
  readonly spec: OptionSpec | undefined;
  /** The value that stands in the same word. */
  readonly inline?: string;
}

/** `--name`, `--name=value`, or short ones in one word: switches, and at the end one that takes a value, with it or without. */
function optionsIn(word: string, options: readonly OptionSpec[]): readonly WrittenOption[] {
  if (word.startsWith("--")) {
    const equals = word.indexOf("=", 3);
    const written = equals < 0 ? word : word.slice(0, equals);
    const spec = options.find(({ name }) => name === written.slice(2));
    return [equals < 0 ? { written, spec } : { written, spec, inline: word.slice(equals + 1) }];
  }
  const found: WrittenOption[] = [];
  for (let at = 1; at < word.length; at++) {
    const letter = word.charAt(at);
    const written = `-${letter}`;
    const spec = options.find(({ short }) => short === letter);
    if (spec?.value !== undefined && at + 1 < word.length)
      return [...found, { written, spec, inline: word.slice(at + 1) }];
    found.push({ written, spec });
  }
  return found;
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
