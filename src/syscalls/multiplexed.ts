/** Calls behind one number: socketcall and ipc of x86. */
import { type AbiName, abis } from "./abi.ts";
import type { Argument } from "./argument.ts";
import { readArguments, readRows } from "./parse.ts";
import { rows as x86 } from "./tables/multiplexed.ts";

export interface Multiplexed {
  /** The call that has the number: `socketcall`. */
  readonly multiplexer: string;
  /** Which of its words chooses, and the bits of that word that do. */
  readonly selector: { readonly index: number; readonly mask: number };
  /** The value of args[index] & mask that chooses this call. */
  readonly code: number;
  /** The call behind: `socket`; `send` and `recv` have no number of their own on any ABI here. */
  readonly name: string;
  /** Its arguments where they stand behind this multiplexer: in memory, or in words of the multiplexer. */
  readonly args: readonly Argument[];
}

const sources: Readonly<Partial<Record<AbiName, () => string>>> = { x86: () => x86 };
const parsed = new Map<AbiName, readonly Multiplexed[]>();

/** The calls that an ABI hides behind another, in the order of their codes. Source: net/socket.c, ipc/syscall.c. */
export function multiplexedOf(abi: AbiName): readonly Multiplexed[] {
  const known = parsed.get(abi);
  if (known !== undefined) return known;
  const bits = abis.find(({ name }) => name === abi)?.bits ?? 64;
  const calls = readRows(sources[abi]?.() ?? "", 5).map(
    ([multiplexer = "", index, mask, code, name = "", rest = ""]): Multiplexed => ({
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
