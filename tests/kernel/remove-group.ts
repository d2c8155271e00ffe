/** Control groups of tests' own, taken away. */
import { rmdirSync } from "node:fs";

/**
 * Takes a group away as soon as nobody is in it: one that is ending is not listed any more, and holds its group still.
 * @throws Error EBUSY, where somebody is in it after a minute
 */
export function removeGroup(folder: string): void {
  for (const end = Date.now() + 60_000; ; ) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EBUSY") || Date.now() > end)
        throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
}
