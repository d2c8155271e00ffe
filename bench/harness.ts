/** Programs started side by side, round by round, by `start.c`; and how times are told. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildProgram } from "./others.ts";

/** Times in microseconds. */
export interface StartTime {
  readonly name: string;
  readonly least: number;
  readonly median: number;
  /** The median of how many times the first one's time of the same round it took, where they were taken in rounds. */
  readonly times?: number;
  /** The most memory that one of its processes had, in KiB, where it was measured. */
  readonly memory?: number;
}

export interface Start {
  readonly name: string;
  /** A file with the plan that the launcher is to read. */
  readonly plan?: string;
  /** An argument `@` is another one at each start. */
  readonly command: readonly string[];
}

export interface Harness {
  /** A folder of the harness's own, in which its programs run. */
  readonly folder: string;
  readonly measure: (rounds: number, starts: readonly Start[]) => readonly StartTime[];
  /** Many starts of one command at once: until all have ended, and the slowest. */
  readonly atOnce: (count: number, start: Start) => { readonly all: number; readonly slowest: number };
}

/** Gives a harness to some work, and takes it away afterwards. */
export async function withHarness(work: (harness: Harness) => void | Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "callgate-bench-"));
  try {
    // Static, so that it is smaller than what it starts: a process has its parent's size until it executes something.
    const program = buildProgram(folder, "start", "-static");
    if (program === undefined) throw new Error("npm run bench needs gcc");
    // NODE_EXTRA_CA_CERTS and the like make an empty Node several times slower, and everything beside it look quick.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("NODE_")));
    const run = (...args: readonly string[]): readonly (readonly number[])[] =>
      execFileSync(program, args, { encoding: "utf8", cwd: folder, env })
        .trim()
        .split("\n")
        .map((line) => line.split(" ").map(Number));
    await work({
      folder,
      measure: (rounds, starts) => {
        const rows = run(
          String(rounds),
          ...starts.flatMap(({ plan, command }) => [plan ?? "-", ...command, ";"]),
        );
        return rows.map(
          ([least = Number.NaN, median = Number.NaN, memory = Number.NaN, times = Number.NaN], index) => ({
            name: starts[index]?.name ?? "",
            least,
            median,
            memory,
            times,
          }),
        );
      },
      atOnce: (count, { plan, command }) => {
        const [row] = run("at-once", String(count), plan ?? "-", ...command);
        return { all: row?.[0] ?? Number.NaN, slowest: row?.[1] ?? Number.NaN };
      },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Prints times as rows, each compared with the first.
 * @param limits how many times the first row's time others may take
 */
export function printStarts(
  title: string,
  times: readonly StartTime[],
  limits: Readonly<Record<string, number>> = {},
): void {
  console.log(`\n${title}`);
  const [base] = times;
  for (const { name, least, median, times: inRounds } of times) {
    const limit = limits[name];
    const cells = [
      name.padEnd(44),
      `least ${inMilliseconds(least)}`,
      `median ${inMilliseconds(median)}`,
      // On a busy machine the least tells more: what waits for a processor several times has the larger median.
      `${(least / (base?.least ?? least)).toFixed(2)}× ${(inRounds ?? median / (base?.median ?? median)).toFixed(2)}×`,
      ...(limit === undefined ? [] : [`goal ≤ ${limit}×`]),
    ];
    console.log(`  ${cells.join("  ")}`);
  }
}

function inMilliseconds(microseconds: number): string {
  return `${(microseconds / 1000).toFixed(2).padStart(7)} ms`;
}
