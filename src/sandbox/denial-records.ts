/** What the supervisor says, as values. native/supervisor.h describes the bytes (`struct record`). */
import type { Answer, RawDenial } from "../denials/index.ts";
import { abiOfNumber } from "../policy/resolved.ts";
import { type AbiName, abis, syscallByNumber } from "../syscalls/index.ts";

export type DenialRecord =
  /** A kind of call that was denied; `count` is what it was when this was said. */
  | { readonly kind: "denial"; readonly key: number; readonly denial: RawDenial }
  /** The last count of a kind that was told before. */
  | { readonly kind: "count"; readonly key: number; readonly count: number }
  /** Somebody waits for the answer. `turn`: how often this was asked; the same key again takes the place of the old one. */
  | { readonly kind: "question"; readonly key: number; readonly turn: number; readonly call: RawDenial }
  /** Nobody waits for it any more. */
  | { readonly kind: "withdrawn"; readonly key: number }
  /** There is no supervisor: something around callgate listens already, or the kernel is too old. */
  | { readonly kind: "off" }
  | {
      readonly kind: "end";
      /** Denials, and questions, that there was no room for. */
      readonly lost: number;
      /** Packets and connections that found no way out of a network that has none. */
      readonly withoutRoute: number;
    };

const headLength = 112;
const kinds = { denial: 1, count: 2, end: 3, question: 4, off: 5, withdrawn: 6 } as const;

/** Takes bytes as they come and gives the records that are whole. */
export function recordReader(): (bytes: Uint8Array) => readonly DenialRecord[] {
  let rest = new Uint8Array(0);
  return (bytes) => {
    const all = new Uint8Array(rest.length + bytes.length);
    all.set(rest);
    all.set(bytes, rest.length);
    const records: DenialRecord[] = [];
    let at = 0;
    while (at + headLength <= all.length) {
      const view = new DataView(all.buffer, at);
      const length = view.getUint32(4, true);
      if (length < headLength || at + length > all.length) break;
      const record = recordIn(all.subarray(at, at + length));
      if (record !== undefined) records.push(record);
      at += length;
    }
    rest = all.slice(at);
    return records;
  };
}

const verdicts: Readonly<Record<Answer, number>> = { once: 1, run: 2, deny: 3 };

/** The answer to a question, as the supervisor reads it. */
export function verdictBytes(key: number, turn: number, verdict: Answer): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, key, true);
  view.setUint32(4, verdicts[verdict], true);
  view.setUint32(8, turn, true);
  return bytes;
}

function recordIn(bytes: Uint8Array): DenialRecord | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const key = view.getUint32(8, true);
  const count = Number(view.getBigUint64(16, true));
  switch (view.getUint32(0, true)) {
    case kinds.denial:
      return { kind: "denial", key, denial: denialIn(bytes, view, count) };
    case kinds.count:
      return { kind: "count", key, count };
    case kinds.question:
      return { kind: "question", key, turn: count, call: denialIn(bytes, view, 1) };
    case kinds.withdrawn:
      return { kind: "withdrawn", key };
    case kinds.off:
      return { kind: "off" };
    case kinds.end:
      return { kind: "end", lost: count, withoutRoute: Number(view.getBigUint64(40, true)) };
    default:
      return undefined;
  }
}

function denialIn(bytes: Uint8Array, view: DataView, count: number): RawDenial {
  const nr = view.getUint32(24, true);
  const arch = view.getUint32(28, true);
  const abi = abiOfNumber(abis.find((one) => one.arch === arch)?.name ?? "x86_64", nr);
  const program = bytes.subarray(88, 104);
  const end = program.indexOf(0);
  const said = bytes.subarray(112, 112 + view.getUint32(108, true));
  const name = said.length === 0 ? undefined : argumentAt(abi, nr, view.getUint32(104, true) - 1);
  return {
    abi,
    nr,
    args: [0, 1, 2, 3, 4, 5].map((index) => view.getBigUint64(40 + 8 * index, true)),
    pid: view.getUint32(12, true),
    program: new TextDecoder().decode(end === -1 ? program : program.subarray(0, end)),
    count,
    ...(name === undefined ? {} : { strings: { [name]: new TextDecoder().decode(said) } }),
  };
}

/** The name of the argument that lies in a register. */
function argumentAt(abi: AbiName, nr: number, register: number): string | undefined {
  const args = syscallByNumber(abi, nr)?.args ?? [];
  return args.find(({ place }) => place.kind === "word" && place.index === register)?.name;
}
