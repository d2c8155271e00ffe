/** What the watcher says, as values. native/watcher.c describes the bytes. */

import { abiOfNumber } from "../policy/resolved.ts";
import { type AbiName, abis } from "../syscalls/index.ts";

/** A call that was new in its number or in an argument that matters. */
export interface SeenCall {
  readonly abi: AbiName;
  readonly nr: number;
  readonly args: readonly bigint[];
  /** The kernel's name of the process that made it first. */
  readonly program: string;
  readonly pid: number;
  /** Its place among all calls that were handed up; 1 is the first. */
  readonly first: number;
  readonly last: number;
  readonly count: number;
}

/** A path or a socket address that a call was made with, as the program said it. */
export interface SeenText {
  readonly call: SeenCall;
  readonly kind: "path" | "address";
  readonly bytes: Uint8Array;
}

/** All that was seen in one run. */
export interface Observation {
  readonly calls: readonly SeenCall[];
  readonly texts: readonly SeenText[];
  /** How many calls were handed up. */
  readonly handedUp: number;
  /** How the program ended, as `wait` gives it; undefined where that is not known. */
  readonly status: number | undefined;
  /** The errno of an execve that failed: the program was not started. */
  readonly execError: number;
  /** Kinds of calls and texts that did not fit into the watcher's tables. */
  readonly lost: { readonly calls: number; readonly texts: number };
  /** The largest process in KiB and all processor time in microseconds; undefined where the watcher could not say. */
  readonly use: { readonly largest: number; readonly processor: number } | undefined;
  /** Whether the watcher told all, its counts too. */
  readonly complete: boolean;
}

const kinds = { call: 1, text: 2, count: 3, exit: 4, lost: 5, end: 6, use: 7 } as const;
const textAt = 8 + 8 + 8 + 64 + 16 + 8;

/** Reads everything that the watcher wrote; a record that is cut off at the end is left out. */
export function readRecords(bytes: Uint8Array): Observation {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const calls: SeenCall[] = [];
  const texts: {
    readonly key: number;
    readonly kind: "path" | "address";
    readonly bytes: Uint8Array;
    readonly own: SeenCall;
  }[] = [];
  let rest: Pick<Observation, "handedUp" | "status" | "execError" | "lost" | "use" | "complete"> = {
    handedUp: 0,
    status: undefined,
    execError: 0,
    lost: { calls: 0, texts: 0 },
    use: undefined,
    complete: false,
  };
  for (let at = 0; at + 8 <= bytes.length; ) {
    const kind = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    if (length < 32 || at + length > bytes.length) break;
    const key = view.getUint32(at + 8, true);
    const first = Number(view.getBigUint64(at + 16, true));
    switch (kind) {
      case kinds.call: {
        const call = callAt(bytes, view, at);
        calls[key] = call;
        rest = { ...rest, handedUp: Math.max(rest.handedUp, call.first) };
        break;
      }
      case kinds.text: {
        const which = view.getUint32(at + 104, true);
        const start = at + textAt;
        const end = start + view.getUint32(at + 108, true);
        texts.push({
          key,
          kind: which === 2 ? "address" : "path",
          bytes: bytes.slice(start, end),
          own: callAt(bytes, view, at),
        });
        break;
      }
      case kinds.count: {
        const call = calls[key];
        if (call !== undefined)
          calls[key] = { ...call, count: first, last: Number(view.getBigUint64(at + 24, true)) };
        break;
      }
      case kinds.exit: {
        const failure = Number(view.getBigInt64(at + 24, true));
        rest = { ...rest, status: first, execError: failure < 0 ? -failure : 0 };
        break;
      }
      case kinds.lost:
        rest = { ...rest, lost: { calls: first, texts: Number(view.getBigUint64(at + 24, true)) } };
        break;
      case kinds.use:
        rest = { ...rest, use: { largest: first, processor: Number(view.getBigUint64(at + 24, true)) } };
        break;
      case kinds.end:
        rest = { ...rest, handedUp: first, complete: true };
        break;
    }
    at += length;
  }
  return {
    ...rest,
    calls,
    texts: texts.map(({ own, kind, bytes: text }) => ({ call: own, kind, bytes: text })),
  };
}

/** A record of a call, which is what a text begins with too. */
function callAt(bytes: Uint8Array, view: DataView, at: number): SeenCall {
  const sequence = Number(view.getBigUint64(at + 16, true));
  const nr = view.getUint32(at + 24, true);
  const arch = view.getUint32(at + 28, true);
  const found = abis.find((abi) => abi.arch === arch)?.name ?? "x86_64";
  const name = bytes.slice(at + 88, at + 104);
  const end = name.indexOf(0);
  return {
    abi: abiOfNumber(found, nr),
    nr,
    args: [0, 1, 2, 3, 4, 5].map((index) => view.getBigUint64(at + 40 + 8 * index, true)),
    pid: view.getUint32(at + 12, true),
    program: new TextDecoder().decode(end === -1 ? name : name.subarray(0, end)),
    first: sequence,
    last: sequence,
    count: 1,
  };
}
