/** A call of which the words are known, as a program would write it: `socket(AF_VSOCK + 2^32, SOCK_STREAM, 0)`. */
import { firstNegativeNumber, firstX32Number } from "../policy/resolved.ts";
import {
  type AbiName,
  type Argument,
  abis,
  type KnownArguments,
  namedValues,
  namesOfValue,
  syscallByNumber,
} from "../syscalls/index.ts";

/** The ABI whose call it is; undefined where no known ABI has the architecture. */
export function abiOfCall(arch: number, nr: number): AbiName | undefined {
  const sharing = abis.filter((abi) => abi.arch === arch);
  if (sharing.length < 2) return sharing[0]?.name;
  const isX32 = nr >= firstX32Number && nr < firstNegativeNumber;
  return sharing.find((abi) => (abi.name === "x32") === isX32)?.name;
}

/**
 * The call, written with the names of constants. A value that differs from one that has a name in its high half
 * only is written as that, plus what is above: that is what the kernel drops and a filter may not.
 */
export function writtenCall(arch: number, nr: number, args: readonly bigint[]): string {
  const abi = abiOfCall(arch, nr);
  const call = abi === undefined ? undefined : syscallByNumber(abi, nr);
  if (abi === undefined || call === undefined) {
    const last = args.findLastIndex((value) => value !== 0n);
    const shown = args.slice(0, last + 1).map(plain);
    const where = abi === undefined ? `, architecture 0x${arch.toString(16)}` : "";
    return `#${nr}(${shown.join(", ")})${where}`;
  }
  const known = call.args ?? [];
  const used = new Set(
    known.flatMap(({ place }) =>
      place.kind === "word" ? [place.index] : place.kind === "words" ? [place.low, place.high] : [],
    ),
  );
  const beside = new Map(
    known.flatMap(({ name, place, width }) =>
      place.kind === "word" ? [[name, [BigInt.asUintN(width, args[place.index] ?? 0n)]] as const] : [],
    ),
  );
  const written = known.map((argument) => valueIn(abi, call.name, argument, args, beside));
  // What stands in registers that the call does not read is told too, where it is not 0.
  const others = args.flatMap((value, index) =>
    used.has(index) || value === 0n ? [] : [`args[${index}] = ${plain(value)}`],
  );
  return `${call.name}(${[...written, ...others].join(", ")})`;
}

function valueIn(
  abi: AbiName,
  call: string,
  argument: Argument,
  args: readonly bigint[],
  beside: KnownArguments,
): string {
  const { place } = argument;
  switch (place.kind) {
    case "memory":
      return "…";
    case "constant":
      return plain(place.value);
    case "words":
      return plain(((args[place.high] ?? 0n) << 32n) | (args[place.low] ?? 0n));
    case "word":
      return valueOfWord(abi, call, argument, args[place.index] ?? 0n, beside);
  }
}

function valueOfWord(
  abi: AbiName,
  call: string,
  argument: Argument,
  value: bigint,
  beside: KnownArguments,
): string {
  const read = BigInt.asUintN(argument.width, value);
  const values = namedValues(abi, call, argument.name, beside);
  const names = values === undefined ? undefined : namesOfValue(abi, values, read);
  const above = value - read;
  const shown = names === undefined ? plain(read) : names.join(" | ");
  if (above === 0n) {
    const signed = BigInt.asIntN(argument.width, read);
    return argument.signed && signed < 0n && signed > -4096n ? signed.toString() : shown;
  }
  return `${shown} + ${powers(above)}`;
}

function powers(value: bigint): string {
  const power = value.toString(2).length - 1;
  return value === 1n << BigInt(power) ? `2^${power}` : plain(value);
}

function plain(value: bigint): string {
  return value > 4095n ? `0x${value.toString(16)}` : value.toString();
}
