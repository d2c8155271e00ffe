/** `child.denials`: what the supervisor of a program tells, as it happens. */
import type { Socket } from "node:net";
import { type Denial, explainDenial } from "../denials/index.ts";
import type { Policy } from "../policy/types.ts";
import type { AbiName } from "../syscalls/index.ts";
import { recordReader } from "./denial-records.ts";

export interface DenialStream extends AsyncIterable<Denial> {
  /** Every kind of denial so far, with its count as far as it is known: at the end the last one. */
  readonly all: () => readonly Denial[];
}

/** Reads records from a socket until its end. The supervisor tells 4,096 kinds at most, so that this is bounded. */
export function denialStream(records: Socket, policy: Policy, native: AbiName): DenialStream {
  const denials = new Map<number, Denial>();
  const keys: number[] = [];
  let isDone = false;
  let waiting: (() => void)[] = [];
  const wake = (): void => {
    const now = waiting;
    waiting = [];
    for (const one of now) one();
  };
  const read = recordReader();
  records.on("data", (bytes: Buffer) => {
    for (const record of read(bytes)) {
      const known = record.kind === "count" ? denials.get(record.key) : undefined;
      if (known !== undefined && record.kind === "count")
        denials.set(record.key, { ...known, count: record.count });
      if (record.kind !== "denial") continue;
      const denial = explainDenial(policy, record.denial, native);
      if (denial === undefined) continue;
      denials.set(record.key, denial);
      keys.push(record.key);
    }
    wake();
  });
  records.on("error", () => records.destroy());
  records.on("close", () => {
    isDone = true;
    wake();
  });
  return {
    all: () => [...denials.values()],
    async *[Symbol.asyncIterator]() {
      for (let at = 0; ; ) {
        const key = keys[at];
        const denial = key === undefined ? undefined : denials.get(key);
        if (denial !== undefined) {
          at += 1;
          yield denial;
        } else if (isDone) {
          return;
        } else {
          await new Promise<void>((settle) => waiting.push(settle));
        }
      }
    },
  };
}
