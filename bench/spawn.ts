/** What the library's starts cost beside Node's own, in one process, round by round. */
import { spawn as nodeSpawn } from "node:child_process";
import { once } from "node:events";
import { prepare, spawn } from "../src/index.ts";
import type { StartTime } from "./harness.ts";

const rounds = 200;

/** From the call to the program's end, without streams and with; the first of each pair is Node's own. */
export async function measureSpawns(): Promise<readonly (readonly StartTime[])[]> {
  const plan = prepare("default");
  const starts = [
    { name: "child_process.spawn, no streams", run: () => nodeSpawn("/bin/true", [], { stdio: "ignore" }) },
    { name: "spawn, no streams", run: () => spawn("/bin/true", [], { policy: plan, stdio: "ignore" }) },
    { name: "child_process.spawn", run: () => nodeSpawn("/bin/true") },
    { name: "spawn", run: () => spawn("/bin/true", [], { policy: plan }) },
  ];
  const times = starts.map(() => [] as number[]);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, { run }] of starts.entries()) {
      const begin = process.hrtime.bigint();
      await once(run(), "close");
      times[index]?.push(Number(process.hrtime.bigint() - begin) / 1000);
    }
  }
  const all = starts.map(({ name }, index) => {
    const sorted = (times[index] ?? []).sort((a, b) => a - b);
    return { name, least: sorted[0] ?? Number.NaN, median: sorted[rounds >> 1] ?? Number.NaN };
  });
  return [all.slice(0, 2), all.slice(2)];
}
