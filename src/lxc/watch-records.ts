/** What the watcher of containers says (native/proxy.c), as values. */
import { abiOfNumber } from "../policy/resolved.ts";
import { type AbiName, abis } from "../syscalls/index.ts";

/** Calls that were refused for the same reason: the words that the answer depends on are the same. */
export interface SeenKind {
  readonly abi: AbiName;
  readonly nr: number;
  readonly args: readonly bigint[];
  /** The process that made the first one, as the host sees it, and its name. */
  readonly pid: number;
  readonly program: string;
}

interface OfContainer {
  /** Which of the watched containers. */
  readonly container: number;
  /** The process of LXC's that looks after it: another one at each start, and counts begin anew. */
  readonly monitor: number;
}

export type WatchEvent =
  | { readonly kind: "listening" }
  | (OfContainer & { readonly kind: "started" | "back" | "gone" })
  /** Its answers could not be read. */
  | (OfContainer & { readonly kind: "refused"; readonly error: number })
  | (OfContainer & {
      readonly kind: "denied";
      readonly key: number;
      readonly seen: SeenKind;
      readonly count: number;
    })
  | (OfContainer & { readonly kind: "counted"; readonly key: number; readonly count: number })
  /** So many calls were of kinds that there was no room for. */
  | (OfContainer & { readonly kind: "lost"; readonly count: number });

const recordLength = 112;

/** Reads whole records; what is left at the end is the beginning of the next. */
export function readWatchRecords(bytes: Uint8Array): {
  readonly events: readonly WatchEvent[];
  readonly rest: Uint8Array;
} {
  const whole = bytes.length - (bytes.length % recordLength);
  const events: WatchEvent[] = [];
  for (let at = 0; at < whole; at += recordLength) {
    const event = eventAt(bytes.subarray(at, at + recordLength));
    if (event !== undefined) events.push(event);
  }
  return { events, rest: bytes.slice(whole) };
}

function eventAt(bytes: Uint8Array): WatchEvent | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = (at: number): number => view.getUint32(at, true);
  const of: OfContainer = { container: number(4), monitor: number(8) };
  const count = Number(view.getBigUint64(24, true));
  switch (number(0)) {
    case 1:
      return { kind: "listening" };
    case 2:
      return { ...of, kind: "started" };
    case 3:
      return { ...of, kind: "back" };
    case 4:
      return { ...of, kind: "gone" };
    case 5:
      return { ...of, kind: "refused", error: count };
    case 6:
      return { ...of, kind: "denied", key: number(12), seen: seenAt(bytes, view), count };
    case 7:
      return { ...of, kind: "counted", key: number(12), count };
    case 8:
      return { ...of, kind: "lost", count };
    default:
      return undefined;
  }
}

function seenAt(bytes: Uint8Array, view: DataView): SeenKind {
  const nr = view.getUint32(32, true);
  const arch = view.getUint32(36, true);
  const known = abis.find((one) => one.arch === arch);
  const name = bytes.subarray(96, recordLength);
  const end = name.indexOf(0);
  return {
    abi: abiOfNumber(known?.name ?? "x86_64", nr),
    nr,
    args: [0, 1, 2, 3, 4, 5].map((index) => view.getBigUint64(48 + 8 * index, true)),
    pid: view.getUint32(16, true),
    program: new TextDecoder().decode(end === -1 ? name : name.subarray(0, end)),
  };
}
