/** Calls behind one number: socketcall and ipc of x86, ppc64le, s390x and mips' o32. */
import { type AbiName, abis } from "./abi.ts";
import type { Argument } from "./argument.ts";
import { readArguments, readRows } from "./parse.ts";
import { rows } from "./tables/multiplexed.ts";

export interface Multiplexed {
  /** The call that has the number: `socketcall`. */
  readonly multiplexer: string;
  /** Which of its words chooses, and the bits of that word that do. */
  readonly selector: { readonly index: number; readonly mask: number };
  /** The value of args[index] & mask that chooses this call. */
  readonly code: number;
  /** The call behind: `socket`; on x86 `send` and `recv` have no number of their own. */
  readonly name: string;
  /** Its arguments where they stand behind this multiplexer: in memory, or in words of the multiplexer. */
  readonly args: readonly Argument[];
}

/** Whose rows of the table are an ABI's. */
const rowsOf: ReadonlyMap<AbiName, string> = new Map([
  ["x86", "x86"],
  ["ppc64le", "ppc64le"],
  ["s390x", "s390x"],
  ["mips", "mips"],
  ["mipsel", "mips"],
]);
const parsed = new Map<AbiName, readonly Multiplexed[]>();

const namesOf = new Map<AbiName, ReadonlySet<string>>();

/** Whether an ABI has a call of this name behind another. */
export function isMultiplexed(abi: AbiName, name: string): boolean {
  let names = namesOf.get(abi);
  if (names === undefined) {
    names = new Set(multiplexedOf(abi).map((one) => one.name));
    namesOf.set(abi, names);
  }
  return names.has(name);
}

/** The calls that an ABI hides behind another, in the order of their codes. Source: net/socket.c, ipc/syscall.c. */
export function multiplexedOf(abi: AbiName): readonly Multiplexed[] {
  const known = parsed.get(abi);
  if (known !== undefined) return known;
  const bits = abis.find(({ name }) => name === abi)?.bits ?? 64;
  const owner = rowsOf.get(abi);
  const own = owner === undefined ? [] : readRows(rows, 6).filter(([name]) => name === owner);
  const calls = own.map(
    ([, multiplexer = "", index, mask, code, name = "", rest = ""]): Multiplexed => ({
      multiplexer,
      selector: { index: Number(index), mask: Number(mask) },
      code: Number(code),
      name,
      args: readArguments(rest, bits) ?? [],
    }),
  );
  parsed.set(abi, calls);
  return calls;
}
