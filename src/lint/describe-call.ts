/** A call of which the words are known, as people write it. */
import { firstNegativeNumber, firstX32Number, type ResolvedPolicy } from "../policy/resolved.ts";
import { type Argument, multiplexedOf, syscallByNumber } from "../syscalls/index.ts";

/** `x86_64 socket(domain = 16, type = 3, protocol = 0)`. */
export function describeCall(resolved: ResolvedPolicy, words: readonly number[]): string {
  const [nr = 0, arch = 0] = words;
  const isX32 = nr >= firstX32Number && nr < firstNegativeNumber;
  const abi = resolved.abis.find(
    (one) => one.abi.arch === arch && (one.abi.name === "x32") === (isX32 && one.abi.name !== "x86"),
  )?.abi;
  if (abi === undefined) return `#${nr}`;
  const call = syscallByNumber(abi.name, nr);
  const args = call?.args?.map((argument) => `${argument.name} = ${shownValue(argument, words)}`) ?? [];
  const behind = multiplexedOf(abi.name).find(
    (one) =>
      one.multiplexer === call?.name &&
      ((words[4 + 2 * one.selector.index] ?? 0) & one.selector.mask) >>> 0 === one.code,
  );
  const written = `${abi.name} ${call?.name ?? `#${nr}`}(${args.join(", ")})`;
  return behind === undefined ? written : `${written}, which is ${behind.name},`;
}

function shownValue({ place, width, signed }: Argument, words: readonly number[]): string {
  const low = (index: number): bigint => BigInt(words[4 + 2 * index] ?? 0);
  const whole = (): bigint | undefined => {
    switch (place.kind) {
      case "word":
        return low(place.index) | (BigInt(words[5 + 2 * place.index] ?? 0) << 32n);
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
