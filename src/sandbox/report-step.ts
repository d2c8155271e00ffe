/** The step of a plan that has denied calls answered by a supervisor, and told. native/README.md describes its bytes. */
import { callWords, type Refusal, type ReportRow } from "../denials/index.ts";
import type { AbiName } from "../syscalls/index.ts";

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
   * descriptor of the caller's; or the launcher itself, from the words for each refusal that the plan's rule filter can
   * name; or who has the other end of a socket.
   */
  readonly to:
    | { readonly kind: "node"; readonly policy: Uint8Array; readonly target: number | undefined }
    | { readonly kind: "launcher"; readonly refusals: readonly Refusal[]; readonly native: AbiName }
    | { readonly kind: "socket"; readonly descriptor: number };
  readonly rows: readonly ReportRow[];
}

interface Writer {
  readonly u32: (value: number) => void;
  readonly u64: (value: bigint) => void;
  readonly bytes: (value: Uint8Array) => void;
}

export function writeReport(writer: Writer, { live, all, asks, to, rows }: ReportStep): void {
  const policy = to.kind === "node" ? to.policy : new Uint8Array();
  const printer = to.kind === "node" ? 4 : to.kind === "launcher" ? 16 : 0;
  writer.u32((all ? 1 : 0) + (live ? 2 : 0) + (asks ? 8 : 0) + printer);
  writer.u32(to.kind === "socket" ? to.descriptor : 0);
  writer.u32(to.kind === "node" ? (to.target ?? 0) : 0);
  writer.u32(rows.length);
  writer.u32(policy.length);
  writer.u32(to.kind === "launcher" ? to.refusals.length : 0);
  for (const { arch, nr, widths, text, masks } of rows) {
    writer.u32(arch);
    writer.u32(nr);
    writer.u32(widths);
    writer.u32(text);
    for (const mask of masks) writer.u64(mask);
  }
  writer.bytes(policy);
  if (to.kind !== "launcher") return;
  const calls = rows.map(({ abi, nr }) => callWords(abi, nr, to.native));
  const strings = [...calls, ...to.refusals.flatMap(({ errno, reason }) => [errno, reason])];
  writer.bytes(Buffer.from(strings.map((one) => `${one}\0`).join("")));
}
