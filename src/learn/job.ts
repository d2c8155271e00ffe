/** The watcher's job: its filter, and what it is to look at in each call. native/watcher.c describes the bytes. */
import { pathArguments as paths, visibleMatters } from "../denials/index.ts";
import {
  type AbiName,
  type Argument,
  abiByName,
  abis,
  errnoNumber,
  multiplexedOf,
  type Syscall,
  syscallsOf,
} from "../syscalls/index.ts";

export interface JobOptions {
  /** An ABI of the machine: only a call of one of that machine's can be handed up. */
  readonly native: AbiName;
  /** The listener is taken from a container's first program: the watcher starts nothing. */
  readonly container?: boolean;
  /** The watch filter: it hands up what is of interest. */
  readonly filter: Uint8Array;
  /** What calls get that are handed up: undefined, they go on; else the errno's number that a call gets. */
  readonly answer?: ((call: Syscall | undefined) => number) | undefined;
}

const magics = { program: "cgwatch1", container: "cgwatchc" } as const;
const headerLength = 24;
const rowLength = 64;
const wordsOfRow = 3;

/** Which calls have a socket address; its length is the next argument. */
const addresses: Readonly<Record<string, string>> = { connect: "addr", bind: "addr" };

/** The bytes of a job. */
export function encodeJob({ native, container = false, filter, answer }: JobOptions): Uint8Array {
  const machine = abiByName(native)?.machine;
  const own = abis.filter((abi) => abi.machine === machine);
  const rows = own.flatMap(({ name, arch }) =>
    syscallsOf(name).flatMap((call) => {
      const row = rowOf(call, answer?.(call) ?? 0);
      return row === undefined ? [] : [{ ...row, arch, nr: call.nr }];
    }),
  );
  rows.sort((a, b) => a.arch - b.arch || a.nr - b.nr);
  const bytes = new Uint8Array(headerLength + filter.length + rows.length * rowLength);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(container ? magics.container : magics.program));
  view.setUint32(8, filter.length / 8, true);
  view.setUint32(12, rows.length, true);
  view.setUint32(16, answer?.(undefined) ?? 0, true);
  bytes.set(filter, headerLength);
  rows.forEach(({ arch, nr, flags, words }, index) => {
    const at = headerLength + filter.length + index * rowLength;
    view.setUint32(at, arch, true);
    view.setUint32(at + 4, nr, true);
    view.setUint32(at + 8, flags >>> 0, true);
    view.setUint32(at + 12, words.length, true);
    words.forEach((word, place) => {
      view.setUint32(at + 16 + place * 16, word.index, true);
      view.setBigUint64(at + 24 + place * 16, word.mask, true);
    });
  });
  return bytes;
}

interface Row {
  readonly flags: number;
  readonly words: readonly { readonly index: number; readonly mask: bigint }[];
}

function rowOf(call: Syscall, answer: number): Row | undefined {
  const args = call.args ?? [];
  const words = [
    ...selectorWord(call),
    ...visibleMatters(call.abi, call.name, args).flatMap(({ field, bits }) =>
      field.place.kind === "word" ? [{ index: field.place.index, mask: bits }] : [],
    ),
  ].slice(0, wordsOfRow);
  const flags = placesOf(call.name, args) | (answer << 20);
  return words.length === 0 && flags === 0 ? undefined : { flags, words };
}

/** The word by which a multiplexer tells its calls apart. */
function selectorWord(call: Syscall): Row["words"] {
  const behind = multiplexedOf(call.abi).find(({ multiplexer }) => multiplexer === call.name);
  return behind === undefined ? [] : [{ index: behind.selector.index, mask: BigInt(behind.selector.mask) }];
}

function placesOf(call: string, args: readonly Argument[]): number {
  const place = (name: string | undefined): number => {
    const found = name === undefined ? undefined : args.find((one) => one.name === name);
    return found?.place.kind === "word" ? found.place.index + 1 : 0;
  };
  const [first, second] = Object.hasOwn(paths, call) ? (paths[call] ?? []) : [];
  return (
    place(first?.[0]) |
    (place(first?.[1]) << 4) |
    (place(second?.[0]) << 8) |
    (place(second?.[1]) << 12) |
    (place(Object.hasOwn(addresses, call) ? addresses[call] : undefined) << 16)
  );
}

/** An errno's number as the watcher's answer has it. */
export function answerNumber(abi: Syscall["abi"], errno: string | number): number {
  return typeof errno === "number" ? errno : (errnoNumber(abi, errno) ?? 1);
}
