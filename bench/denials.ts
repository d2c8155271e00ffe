/** What reports cost: a denied call, an allowed one, and many denials a second for long. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { packageRoot } from "../src/sandbox/package-files.ts";
import { buildProgram } from "./others.ts";

const rounds = 15;
const denials = 20_000;
/** Times a thousand. */
const allowedCalls = 1000;
/** Denials a second, and for how many seconds. */
const rate = 50_000;
const seconds = 10;
/** What a denied call may take with reports, in µs. */
const mostForDenial = 15;

const callgate = join(packageRoot(), "bin", "callgate");

export async function printDenials(folder: string): Promise<void> {
  const program = buildProgram(folder, "denials", "-static");
  if (program === undefined) throw new Error("npm run bench needs gcc");
  const policy = join(folder, "denials.toml");
  writeFileSync(
    policy,
    'version = 1\nextends = ["default"]\n[syscalls]\nrules = "deny keyctl\\nallow getppid"\n',
  );
  const report = join(folder, "denials.json");
  const command: Command = (mode, ...args) => [
    ...["run", "--filter-only", `--report=${mode}`, ...(mode === "off" ? [] : ["--report-to", report])],
    ...["--policy", policy, "--", program, ...args],
  ];
  printCosts(command);
  await printSteady(command("json", "steady", String(rate), String(seconds)), report);
}

type Command = (mode: string, ...args: readonly string[]) => readonly string[];

/** Times in nanoseconds, one of each round. */
interface Costs {
  readonly p50: number[];
  readonly p99: number[];
  readonly allowed: number[];
}

function printCosts(command: Command): void {
  const modes = [
    { mode: "off", name: "without reports", goal: "" },
    { mode: "json", name: "with reports", goal: `  goal ≤ ${mostForDenial} µs p50` },
  ].map((one) => ({ ...one, costs: { p50: [], p99: [], allowed: [] } satisfies Costs as Costs }));
  for (let round = 0; round < rounds; round += 1) {
    for (const { mode, costs } of modes) {
      const [p50 = Number.NaN, p99 = Number.NaN] = numbersOf(command(mode, "latency", String(denials)));
      const [allowed = Number.NaN] = numbersOf(command(mode, "allowed", String(allowedCalls)));
      costs.p50.push(p50);
      costs.p99.push(p99);
      costs.allowed.push(allowed);
    }
  }
  console.log(`\nreports of denied calls, ${rounds} rounds`);
  for (const { name, goal, costs } of modes) {
    console.log(
      `${`  a denied call ${name}, p50`.padEnd(40)} ${told(costs.p50, 1000, "µs")}; p99 ${told(costs.p99, 1000, "µs")}${goal}`,
    );
    console.log(`${`  an allowed call ${name}`.padEnd(40)} ${told(costs.allowed, 1, "ns")}`);
  }
}

function numbersOf(args: readonly string[]): readonly number[] {
  const { status, stdout, stderr } = spawnSync(callgate, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`callgate ${args.join(" ")}: ${stderr}`);
  return stdout.trim().split(" ").map(Number);
}

function told(times: readonly number[], unit: number, name: string): string {
  const sorted = times.toSorted((a, b) => a - b);
  const [least = Number.NaN] = sorted;
  const median = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  return `least ${(least / unit).toFixed(2)} median ${(median / unit).toFixed(2)} ${name}`;
}

/** Whether each of many is counted, in memory that does not grow. */
async function printSteady(args: readonly string[], report: string): Promise<void> {
  rmSync(report, { force: true });
  const child = spawn(callgate, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  await lines.next();
  const before = supervisorMemory(child.pid);
  const [made = Number.NaN, passed = Number.NaN] = String((await lines.next()).value)
    .split(" ")
    .map(Number);
  const after = supervisorMemory(child.pid);
  child.stdin.end();
  await ended;
  const counted = readFileSync(report, "utf8")
    .split("\n")
    .map((line) => /"syscall":"keyctl".*"count":(\d+)/.exec(line)?.[1])
    .filter((count) => count !== undefined);
  console.log(
    `  ${made} denials in ${(passed / 1e9).toFixed(1)} s, ${Math.round((made / passed) * 1e9)} a second: ${counted.join(", ")} counted; the supervisor's memory ${before}, then ${after}  goal ≥ ${rate} a second, all counted, the same memory`,
  );
}

/** Of the launcher's second child. */
function supervisorMemory(pid: number | undefined): string {
  const supervisor = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")[1];
  return /^VmRSS:\s*(.*)$/m.exec(readFileSync(`/proc/${supervisor}/status`, "utf8"))?.[1] ?? "unknown";
}
