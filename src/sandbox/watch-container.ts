/** Watches what a container's processes do beyond what a policy permits, until the last of them has ended. */
import { spawn } from "node:child_process";
import { Socket } from "node:net";
import { encodeJob, type JobOptions, type Observation, readRecords } from "../learn/index.ts";
import { nativeProgram } from "./package-files.ts";

export interface ContainerWatch {
  readonly observation: Observation;
  /** The watcher's own status: 0 when it saw the container's end. */
  readonly status: number | null;
}

/** What the watcher is to do: the container's first program has to have installed this filter. */
export type WatchJob = Omit<JobOptions, "container">;

/**
 * @param init the container's first process, which has installed the filter and waits for its first answer
 */
export function watchContainer(init: number, job: WatchJob): Promise<ContainerWatch> {
  const child = spawn(nativeProgram("watcher"), ["container", String(init)], {
    stdio: ["ignore", "inherit", "inherit", "pipe", "pipe"],
  });
  const [, , , jobs, records] = child.stdio;
  const chunks: Buffer[] = [];
  return new Promise((settle, reject) => {
    child.on("error", reject);
    if (jobs instanceof Socket) {
      // A watcher that did not even read its job says so itself.
      jobs.on("error", () => {});
      jobs.end(encodeJob({ ...job, container: true }));
    }
    if (records instanceof Socket) {
      records.on("data", (chunk: Buffer) => chunks.push(chunk));
      records.on("error", () => records.destroy());
    }
    child.on("close", (status) => settle({ observation: readRecords(Buffer.concat(chunks)), status }));
  });
}
