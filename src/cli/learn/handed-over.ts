/**
 * A run that `callgate learn` has begun by a kept job, without Node, and that Node has to go on with: there was something
 * new, or a signal came. native/kept-job.h (struct handed_over) hands it over, in a file and a pipe.
 */

import { constants } from "node:os";
import type { BegunRun } from "../../sandbox/watch.ts";
import { handedFile } from "../own-word.ts";

export interface HandedOver {
  /** The text of the policy by which the program is watched. */
  readonly policy: string;
  /** When the run began, as Date.now() has it. */
  readonly begin: number;
  readonly run: BegunRun;
}

const descriptors = { told: 3, records: 4 } as const;
const headerLength = 40;
const magic = "cghanded";

/** Undefined where it is not what the watcher hands over: somebody has typed the word. */
export function readHandedOver(): HandedOver | undefined {
  const bytes = handedFile(descriptors.told);
  if (bytes === undefined || bytes.length < headerLength || bytes.toString("latin1", 0, 8) !== magic)
    return undefined;
  const [watcher = 0, hasEnded = 0, status = 0, signal = 0] = [8, 12, 16, 20].map((at) =>
    bytes.readUInt32LE(at),
  );
  const end = headerLength + bytes.readUInt32LE(32);
  return {
    policy: bytes.toString("utf8", headerLength, end),
    begin: Number(bytes.readBigUInt64LE(24)),
    run: {
      watcher,
      said: bytes.subarray(end),
      rest: hasEnded === 0 ? { descriptor: descriptors.records } : { status: statusOf(status) },
      signal: signalOf(signal),
    },
  };
}

/** As Node has it of its own children: null for a death by a signal. */
function statusOf(status: number): number | null {
  return (status & 0x7f) === 0 ? (status >> 8) & 0xff : null;
}

function signalOf(wanted: number): NodeJS.Signals | undefined {
  return (["SIGINT", "SIGTERM", "SIGHUP"] as const).find((name) => constants.signals[name] === wanted);
}
