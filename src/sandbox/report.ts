/** What the launcher says on its socket of how a start went; native/README.md describes the bytes. */
import { stepOfKind } from "./plan.ts";
import type { StartFailure, StartStep } from "./sandbox-error.ts";

/**
 * - `started`: every step was carried out, and the launcher has become the program.
 * - `failed`: the program was not started.
 * - `silent`: the launcher ended without a word, before the last steps: it was killed, or could not run at all.
 */
export type StartReport =
  | { readonly kind: "started" }
  | { readonly kind: "failed"; readonly failure: StartFailure }
  | { readonly kind: "silent" };

const headerLength = 16;
const ready = 1;
const failed = 2;

/** The report, from everything that came before the socket's end. */
export function readReport(bytes: Buffer): StartReport {
  let report: StartReport = { kind: "silent" };
  for (let at = 0; at + headerLength <= bytes.length; ) {
    const what = bytes.readUInt32LE(at);
    const end = at + headerLength + bytes.readUInt32LE(at + 12);
    if (what === ready) report = { kind: "started" };
    if (what === failed) {
      const step = stepOfNumber(bytes.readUInt32LE(at + 4));
      const message = bytes.toString("utf8", at + headerLength, end);
      report = { kind: "failed", failure: { step, errno: bytes.readUInt32LE(at + 8), message } };
    }
    at = end;
  }
  return report;
}

function stepOfNumber(number: number): StartStep {
  if (number === 0) return "plan";
  return number === 155 ? "launchKey" : (stepOfKind(number) ?? "launcher");
}
