/** The step of a plan that has denied calls answered by a supervisor, and told. native/README.md describes its bytes. */
import type { Refusal, ReportRow } from "../denials/index.ts";

export interface ReportStep {
  readonly kind: "report";
  /** As they happen; otherwise at the program's end. */
  readonly live: boolean;
  /** Also calls that get ENOSYS. */
  readonly all: boolean;
  /** The plan has a filter with questions, and who is told of denials answers them. */
  readonly asks: boolean;
  /**
   * Who is told: Node, which the launcher starts when there is something to tell, and gives it these bytes and perhaps a
   * descriptor of the caller's; or the launcher itself, from the words for each row's call and for each refusal that the
   * plan's rule filter can name; or who has the other end of a socket.
   */
  readonly to:
    | { readonly kind: "node"; readonly policy: Uint8Array; readonly target: number | undefined }
    | { readonly kind: "launcher"; readonly calls: readonly string[]; readonly refusals: readonly Refusal[] }
    | { readonly kind: "socket"; readonly descriptor: number };
  /** What the supervisor looks at in each call: `encodeRows`. */
  readonly rows: Uint8Array;
}

const headSize = 8;
const masksSize = 48;
const rowSize = 24;
const onlyAt = 16;

/**
 * Of rows that are sorted by architecture and number, as `reportRows` gives them: how many rows and how many masks, the
 * masks, the rows. Most rows have the same few masks.
 */
export function encodeRows(rows: readonly ReportRow[]): Uint8Array {
  const byText = new Map(rows.map(({ masks }) => [masks.join(), masks]));
  const places = new Map([...byText.keys()].map((text, place) => [text, place]));
  const bytes = new Uint8Array(headSize + byText.size * masksSize + rows.length * rowSize);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, rows.length, true);
  view.setUint32(4, byText.size, true);
  [...byText.values()].flat().forEach((mask, place) => {
    view.setBigUint64(headSize + place * 8, mask, true);
  });
  rows.forEach(({ arch, nr, widths, text, only, masks }, index) => {
    const at = headSize + byText.size * masksSize + index * rowSize;
    const more = text + 8 * (places.get(masks.join()) ?? 0);
    [arch, nr, widths, more, only?.register ?? 0, only?.value ?? 0].forEach((word, place) => {
      view.setUint32(at + place * 4, word, true);
    });
  });
  return bytes;
}

/** How many calls there are rows for: each has one that is for all the rest. */
export function countCalls(rows: Uint8Array): number {
  const view = new DataView(rows.buffer, rows.byteOffset);
  const firstAt = headSize + view.getUint32(4, true) * masksSize;
  return Array.from({ length: view.getUint32(0, true) }, (_, index) => firstAt + index * rowSize).filter(
    (at) => view.getUint32(at + onlyAt, true) === 0,
  ).length;
}

interface Writer {
  readonly u32: (value: number) => void;
  readonly bytes: (value: Uint8Array) => void;
}

export function writeReport(writer: Writer, { live, all, asks, to, rows }: ReportStep): void {
  const policy = to.kind === "node" ? to.policy : new Uint8Array();
  const printer = to.kind === "node" ? 4 : to.kind === "launcher" ? 16 : 0;
  writer.u32((all ? 1 : 0) + (live ? 2 : 0) + (asks ? 8 : 0) + printer);
  writer.u32(to.kind === "socket" ? to.descriptor : 0);
  writer.u32(to.kind === "node" ? (to.target ?? 0) : 0);
  writer.u32(policy.length);
  writer.u32(to.kind === "launcher" ? to.refusals.length : 0);
  writer.u32(0);
  writer.bytes(rows);
  writer.bytes(policy);
  if (to.kind !== "launcher") return;
  const strings = [...to.calls, ...to.refusals.flatMap(({ errno, reason }) => [errno, reason])];
  writer.bytes(Buffer.from(strings.map((one) => `${one}\0`).join("")));
}
