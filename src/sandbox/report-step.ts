/** The step of a plan that has denied calls answered by a supervisor, and told. native/README.md describes its bytes. */
import type { ReportRow } from "../denials/index.ts";

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
   * descriptor of the caller's; or who has the other end of a socket.
   */
  readonly to:
    | { readonly kind: "node"; readonly policy: Uint8Array; readonly target: number | undefined }
    | { readonly kind: "socket"; readonly descriptor: number };
  readonly rows: readonly ReportRow[];
}

interface Writer {
  readonly u32: (value: number) => void;
  readonly u64: (value: bigint) => void;
  readonly bytes: (value: Uint8Array) => void;
}

export function writeReport(writer: Writer, { live, all, asks, to, rows }: ReportStep): void {
  const isNode = to.kind === "node";
  writer.u32((all ? 1 : 0) + (live ? 2 : 0) + (isNode ? 4 : 0) + (asks ? 8 : 0));
  writer.u32(isNode ? 0 : to.descriptor);
  writer.u32(isNode ? (to.target ?? 0) : 0);
  writer.u32(rows.length);
  writer.u32(isNode ? to.policy.length : 0);
  writer.u32(0);
  for (const { arch, nr, widths, text, masks } of rows) {
    writer.u32(arch);
    writer.u32(nr);
    writer.u32(widths);
    writer.u32(text);
    for (const mask of masks) writer.u64(mask);
  }
  if (isNode) writer.bytes(to.policy);
}
