/** What a sandbox costs beside plain exec of the same program: to start it, in memory, and many at once. */
import { spawn, spawnSync } from "node:child_process";
import { openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { loadPolicy } from "../src/formats/load.ts";
import type { Policy } from "../src/policy/types.ts";
import { compiledFilters } from "../src/sandbox/compiled-filters.ts";
import { nativeProgram, packageRoot } from "../src/sandbox/package-files.ts";
import { encodePlan, type Plan } from "../src/sandbox/plan.ts";
import { PrepareError, planFor, preparePlan } from "../src/sandbox/prepare.ts";
import type { MountEntry } from "../src/sandbox/steps.ts";
import { type Harness, printStarts, type Start, type StartTime } from "./harness.ts";
import { buildProgram } from "./others.ts";

const rounds = 200;
const commandRounds = 100;
const manyAtOnce = 100;
/** What the launcher may have over the program's own memory, in KiB. */
const mostMemory = 1024;
const program = "/bin/true";

export function printSandboxes(harness: Harness): void {
  const { folder, measure } = harness;
  const started = (name: string, plan: Plan): Start => {
    const file = join(folder, `${name.replace(/\W/g, "-")}.plan`);
    writeFileSync(file, encodePlan(plan));
    return { name, plan: file, command: [nativeProgram("launcher"), "plan"] };
  };
  const plain = { name: program, command: [program] };
  const filterOnly = started(
    "launcher, filter only",
    planFor(preparePlan(defaultPolicy(), undefined, compiledFilters), { path: program, arguments: ["true"] }),
  );
  const whole = wholePlan(folder);
  const everything = typeof whole === "string" ? undefined : started("launcher, everything", whole);
  if (typeof whole === "string") console.log(`\nno rows for the whole sandbox: ${whole}`);
  const bwrap = typeof whole === "string" ? undefined : bwrapStart(whole, folder);
  const floor = typeof whole === "string" ? undefined : floorStart(whole, folder);
  const starts = [plain, filterOnly, everything, floor, bwrap].filter((one) => one !== undefined);
  const times = measure(rounds, starts);
  printStarts(`a sandbox with the policy default, ${rounds} rounds`, times, {
    [filterOnly.name]: 1.4,
    [everything?.name ?? ""]: 4,
  });
  const timeOf = (start: Start | undefined): StartTime | undefined =>
    times.find(({ name }) => name === start?.name);
  const [full, other] = [timeOf(everything), timeOf(bwrap)];
  if (full !== undefined && other !== undefined)
    console.log(
      `  everything beside bwrap: ${(full.least / other.least).toFixed(2)}× ${(full.median / other.median).toFixed(2)}×  goal ≤ 0.5×`,
    );
  const [own, filtered] = [timeOf(plain)?.memory ?? Number.NaN, timeOf(filterOnly)?.memory ?? Number.NaN];
  console.log(
    `  peak memory of ${program}: ${own} KiB; with the launcher in front, filter only: ${Math.max(0, filtered - own)} KiB more  goal ≤ ${mostMemory} KiB`,
  );
  printCommandsAgain(plain, harness);
  if (everything !== undefined) printAtOnce(everything, harness);
}

/** `run` with a plan that it keeps: by the launcher called directly, and by the command. */
function printCommandsAgain(plain: Start, { measure }: Harness): void {
  const main = join(packageRoot(), "dist", "cli", "main.cjs");
  const direct = [nativeProgram("launcher"), "run", process.execPath, main];
  const times = measure(commandRounds, [
    plain,
    { name: "launcher run, the second time", command: [...direct, "--", program] },
    {
      name: "callgate run, the second time",
      command: [join(packageRoot(), "bin", "callgate"), "run", "--", program],
    },
  ]);
  printStarts(`the same command again, ${commandRounds} rounds`, times, {
    "launcher run, the second time": 4.2,
    "callgate run, the second time": 6,
  });
}

function printAtOnce(everything: Start, { measure, atOnce }: Harness): void {
  const [one] = measure(20, [everything]);
  const alone = one?.median ?? Number.NaN;
  const { all, slowest } = atOnce(manyAtOnce, everything);
  console.log(
    `\n${manyAtOnce} whole sandboxes at once: all ended well after ${(all / 1000).toFixed(0)} ms, the slowest took ${(slowest / 1000).toFixed(0)} ms; ` +
      `${manyAtOnce} times one alone are ${((manyAtOnce * alone) / 1000).toFixed(0)} ms: ${(slowest / (manyAtOnce * alone)).toFixed(2)}×  goal ≤ 1×`,
  );
}

function defaultPolicy(): Policy {
  const { policy } = loadPolicy("default");
  if (policy === undefined) throw new Error("the built-in policy default has errors");
  return policy;
}

/** The plan for everything, started in a folder; a sentence where this machine does not have all of it. */
function wholePlan(folder: string, path = program, name = "true"): Plan | string {
  try {
    return planFor(preparePlan(defaultPolicy(), {}, compiledFilters), {
      path,
      arguments: [name],
      cwd: folder,
    });
  } catch (error) {
    if (error instanceof PrepareError) return error.message;
    throw error;
  }
}

/** The plan's namespaces and mounts alone, made one after the other; undefined where it cannot be started. */
function floorStart(whole: Plan, folder: string): Start | undefined {
  const path = buildProgram(folder, "floor", "-static");
  if (path === undefined) return undefined;
  const entries = whole.steps.flatMap((step) => (step.kind === "mounts" ? step.entries : []));
  const command = [path, folder, program, ...entries.flatMap(floorMount)];
  const { status, stderr } = spawnSync(path, command.slice(1), { encoding: "utf8" });
  if (status === 0) return { name: "the kernel's part alone: floor.c", command };
  console.log(`\nno row for the kernel's part: ${stderr.trim()}`);
  return undefined;
}

function floorMount(entry: MountEntry): readonly [string, string, string] {
  const { kind, target } = entry;
  switch (kind) {
    case "bind":
      return [entry.devices === true ? "device" : "read-only", entry.source, target];
    case "link":
      return [kind, entry.to, target];
    case "directory":
    case "own":
      return [kind, entry.mode.toString(8), target];
    case "tmpfs":
    case "proc":
    case "file":
    case "devpts":
      return [kind, "", target];
  }
}

/** bwrap with the plan's mounts; undefined where it cannot be started. */
function bwrapStart(whole: Plan, folder: string): Start | undefined {
  const path = "/usr/bin/bwrap";
  const args = ["--unshare-all", ...bwrapMounts(whole), "--chdir", folder, "--", program];
  const { status, error, stderr } = spawnSync(path, args, { encoding: "utf8" });
  if (status === 0) return { name: "bwrap --unshare-all, the same mounts", command: [path, ...args] };
  console.log(`\nno row for bwrap: ${error?.message ?? stderr.trim()}`);
  return undefined;
}

/** The plan's mounts as bwrap's options. It makes device files itself when it binds them, and cannot make a devpts alone. */
function bwrapMounts(plan: Plan): readonly string[] {
  return plan.steps.flatMap((step) => (step.kind === "mounts" ? step.entries.flatMap(bwrapMount) : []));
}

function bwrapMount(entry: MountEntry): readonly string[] {
  const target = `/${entry.target}`;
  switch (entry.kind) {
    case "bind":
      return [
        entry.devices === true ? "--dev-bind" : entry.writable === true ? "--bind" : "--ro-bind",
        entry.source,
        target,
      ];
    case "tmpfs":
    case "own":
      return ["--perms", `0${entry.mode.toString(8)}`, "--tmpfs", target];
    case "proc":
      return ["--proc", target];
    case "directory":
      return ["--dir", target];
    case "link":
      return ["--symlink", entry.to, target];
    case "file":
    case "devpts":
      return [];
  }
}

/** Prints what callgate's processes have in memory beside a program that runs in the whole sandbox. */
export async function printMemory(folder: string): Promise<void> {
  const plan = wholePlan(folder, "/bin/cat", "cat");
  if (typeof plan === "string") return;
  const file = join(folder, "cat.plan");
  writeFileSync(file, encodePlan(plan));
  const child = spawn(nativeProgram("launcher"), ["plan"], {
    stdio: ["pipe", "ignore", "inherit", openSync(file, "r")],
  });
  try {
    const { pid } = child;
    if (pid === undefined) return;
    for (const end = Date.now() + 20_000; Date.now() < end; await setTimeout(20)) {
      const family = [pid, ...childrenOf(pid)];
      const rows = family.map((one) => ({ one, name: fieldOf(one, "Name"), peak: fieldOf(one, "VmHWM") }));
      if (!rows.some(({ name }) => name === "cat")) continue;
      const own = rows.filter(({ name }) => name !== "cat");
      const sum = own.reduce((total, { peak }) => total + Number.parseInt(peak, 10), 0);
      console.log(
        `peak memory of callgate's processes beside a program in the whole sandbox: ${own.map(({ peak }) => peak).join(" + ")} = ${sum} KiB  goal ≤ ${mostMemory} KiB`,
      );
      return;
    }
    console.log("the memory of the whole sandbox was not measured: its program did not start in 20 seconds");
  } finally {
    child.stdin?.end();
  }
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => Number(fieldOf(one, "PPid")) === pid);
}

function fieldOf(pid: number, name: string): string {
  try {
    return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}
