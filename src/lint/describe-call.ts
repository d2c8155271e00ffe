/** A call of which the words are known, as people write it. */
import {
  firstNegativeNumber,
  firstX32Number,
  type ResolvedPolicy,
  wordsOfArgument,
} from "../policy/resolved.ts";
import { type Argument, multiplexedOf, syscallByNumber } from "../syscalls/index.ts";

/** `x86_64 socket(domain = 16, type = 3, protocol = 0)`. */
export function describeCall(resolved: ResolvedPolicy, words: readonly number[]): string {
  const [nr = 0, arch = 0] = words;
  const isX32 = nr >= firstX32Number && nr < firstNegativeNumber;
  const abi = resolved.abis.find(
    (one) => one.abi.arch === arch && (one.abi.name === "x32") === (isX32 && one.abi.name !== "x86"),
  )?.abi;
  if (abi === undefined) return `#${nr}`;
  const register = (index: number): bigint => {
    const { low, high } = wordsOfArgument(index, abi.endian);
    return BigInt(words[low] ?? 0) | (BigInt(words[high] ?? 0) << 32n);
  };
  const call = syscallByNumber(abi.name, nr);
  const args = call?.args?.map((argument) => `${argument.name} = ${shownValue(argument, register)}`) ?? [];
  const behind = multiplexedOf(abi.name).find(
    (one) =>
      one.multiplexer === call?.name &&
      (Number(BigInt.asUintN(32, register(one.selector.index))) & one.selector.mask) >>> 0 === one.code,
  );
  const written = `${abi.name} ${call?.name ?? `#${nr}`}(${args.join(", ")})`;
  return behind === undefined ? written : `${written}, which is ${behind.name},`;
}

function shownValue({ place, width, signed }: Argument, register: (index: number) => bigint): string {
  const low = (index: number): bigint => BigInt.asUintN(32, register(index));
  const whole = (): bigint | undefined => {
    switch (place.kind) {
      case "word":
        return register(place.index);
      case "words":
        return low(place.low) | (low(place.high) << 32n);
      case "constant":
        return place.value;
      case "memory":
        return undefined;
    }
  };
  const found = whole();
  if (found === undefined) return "…";
  const value = signed ? BigInt.asIntN(width, found) : BigInt.asUintN(width, found);
  return value > 255n ? `0x${value.toString(16)}` : value.toString();
}
