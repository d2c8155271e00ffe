/**
 * A system call for people:
 *
 *   decodeCall({ abi: "x86_64", nr: 41, args: [16n, 0x80003n, 0n] }).text
 *   socket(domain = AF_NETLINK, type = SOCK_RAW|SOCK_CLOEXEC, protocol = NETLINK_ROUTE)
 */
import { sanitise } from "../diagnostics/index.ts";
import { printValue } from "../policy/printer.ts";
import { type AbiName, type Argument, syscallByNumber } from "../syscalls/index.ts";
import { type ArgumentKind, kindOf } from "./argument-kinds.ts";
import { nameValue } from "./name-value.ts";

/** A call as the kernel hands it up. */
export interface RawCall {
  readonly abi: AbiName;
  /** As seccomp_data.nr has it. */
  readonly nr: number;
  /** The six argument registers; missing ones are 0. */
  readonly args: readonly bigint[];
  /** What the program said behind a pointer (a path), by the argument's name. It may have changed since. */
  readonly strings?: Readonly<Record<string, string>>;
}

export interface DecodedArgument {
  readonly name: string;
  /** As the kernel reads it; undefined where it lies in memory. */
  readonly value: bigint | undefined;
  readonly text: string;
  /** The text is what the program said behind a pointer. */
  readonly isSaid?: boolean;
}

export interface DecodedCall {
  readonly abi: AbiName;
  readonly nr: number;
  /** Undefined where the tables have no such number. */
  readonly name: string | undefined;
  readonly args: readonly DecodedArgument[];
  readonly text: string;
}

/** The call with its arguments by name, and their values by theirs. Nothing in it can drive a terminal. */
export function decodeCall(raw: RawCall): DecodedCall {
  const call = syscallByNumber(raw.abi, raw.nr);
  const words = raw.args.flatMap((arg) => [
    Number(BigInt.asUintN(32, arg)),
    Number(BigInt.asUintN(32, arg >> 32n)),
  ]);
  const args = decodeArguments(raw.abi, call?.name ?? "", call?.args ?? [], words, raw.strings ?? {});
  const name = call?.name ?? `#${raw.nr}`;
  return {
    abi: raw.abi,
    nr: raw.nr,
    name: call?.name,
    args,
    text: `${name}(${args.map(printArgument).join(", ")})`,
  };
}

/** What was only said is marked as such: it can have changed since. */
function printArgument({ name, text, isSaid }: DecodedArgument): string {
  return isSaid === true ? `${name} says ${text}` : `${name} = ${text}`;
}

/** Arguments of a call from its argument words: low and high half of each register in turn. */
export function decodeArguments(
  abi: AbiName,
  call: string,
  args: readonly Argument[],
  words: readonly number[],
  strings: Readonly<Record<string, string>> = {},
): readonly DecodedArgument[] {
  const values = args.map((argument) => argumentValue(argument, words));
  const nameOf = (name: string): string | undefined => {
    const index = args.findIndex((one) => one.name === name);
    const value = values[index];
    if (value === undefined) return undefined;
    const named = nameValue(abi, kindOf(call, name), value);
    return named.kind === "constant" ? named.name : undefined;
  };
  return args.map((argument, index) => {
    const value = values[index];
    const said = Object.hasOwn(strings, argument.name) ? strings[argument.name] : undefined;
    if (said !== undefined) return { name: argument.name, value, text: quoteText(said), isSaid: true };
    if (value === undefined) return { name: argument.name, value, text: "…" };
    if (argument.kind === "pointer")
      return { name: argument.name, value, text: value === 0n ? "0" : hexadecimal(value) };
    const kind = kindOf(call, argument.name);
    return { name: argument.name, value, text: valueText(abi, kind, value, nameOf) };
  });
}

function valueText(
  abi: AbiName,
  kind: ArgumentKind | undefined,
  value: bigint,
  nameOf: (name: string) => string | undefined,
): string {
  if (kind === undefined) return plainNumber(value);
  if (kind.kind === "octal") return `0o${value.toString(8)}`;
  return printValue(nameValue(abi, kind, value, nameOf)).replaceAll(" | ", "|");
}

/** What the kernel reads as an argument; undefined where it is in memory. */
export function argumentValue(
  { place, signed, width }: Argument,
  words: readonly number[],
): bigint | undefined {
  const word = (index: number): bigint => BigInt(words[index] ?? 0);
  const whole = ((): bigint | undefined => {
    switch (place.kind) {
      case "word":
        return word(2 * place.index) | (word(2 * place.index + 1) << 32n);
      case "words":
        return word(2 * place.low) | (word(2 * place.high) << 32n);
      case "constant":
        return place.value;
      case "memory":
        return undefined;
    }
  })();
  if (whole === undefined) return undefined;
  return signed ? BigInt.asIntN(width, whole) : BigInt.asUintN(width, whole);
}

function plainNumber(value: bigint): string {
  return value > 4095n ? hexadecimal(value) : value.toString();
}

function hexadecimal(value: bigint): string {
  return `0x${value.toString(16)}`;
}

const longestText = 200;

/** Text of the program's in quotes: no escape gets through, and no length hides what follows. */
export function quoteText(text: string): string {
  const shown = text.length > longestText ? `${text.slice(0, longestText)}…` : text;
  return `"${sanitise(shown).replaceAll('"', '\\"')}"`;
}
