// A hundred sandboxes at once, each with everything: all correct, and nothing of them left. And what the launcher's
// processes need of memory beside the program.
// Debian packages: procps
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { readPolicy } from "../../src/formats/index.ts";
import { groupLimits, thisProcess } from "../../src/sandbox/cgroups.ts";
import { compiledFilters } from "../../src/sandbox/compiled-filters.ts";
import { encodePlan } from "../../src/sandbox/plan.ts";
import { planFor, preparePlan } from "../../src/sandbox/prepare.ts";
import { isRoot, launcherPath, scratchFile } from "./native.ts";

const limits = { memory: "256M", processes: 20, "wall-time": "600s" };
const { policy } = readPolicy({ version: 1, extends: ["default"], limits });
assert.ok(policy);
const prepared = preparePlan(policy, {}, compiledFilters);

function planOf(line: string): string {
  const start = { path: "/bin/sh", arguments: ["sh", "-c", line], cwd: "/usr" };
  return scratchFile("plan", encodePlan(planFor(prepared, start)));
}

interface End {
  readonly status: number | null;
  readonly output: string;
}

function launchOnce(plan: string): { readonly pid: number | undefined; readonly end: Promise<End> } {
  const descriptor = openSync(plan, "r");
  const child = spawn(launcherPath, ["plan"], { stdio: ["ignore", "pipe", "pipe", descriptor] });
  closeSync(descriptor);
  const end = new Promise<End>((resolve, reject) => {
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    child.on("error", reject).on("close", (status) => resolve({ status, output }));
  });
  return { pid: child.pid, end };
}

describe("a hundred sandboxes at once", () => {
  test("each is alone, with its own processes, files and limits; and nothing of them stays", async () => {
    const uid = isRoot ? 65534 : process.getuid?.();
    const line =
      "echo mine >/tmp/mine; cd /proc; echo $$ $(id -u) $(cat /tmp/mine) $(ls -d [0-9]* | wc -l) $(hostname) $(grep -c : /proc/net/dev)";
    const plan = planOf(line);
    const started = Array.from({ length: 100 }, () => launchOnce(plan));
    const ends = await Promise.all(started.map(({ end }) => end));
    // Two shells, ls and wc beside the first process: the count is taken while the substitution runs.
    for (const { status, output } of ends) {
      assert.equal(status, 0, output);
      assert.match(output, new RegExp(`^2 ${uid} mine [3-6] callgate 1\\n$`));
    }
    const groups = groupLimits({ memory: 1 << 28, processes: 20 }, thisProcess()).groups;
    const names = groups.flatMap(({ folder }) => readdirSync(folder));
    for (const { pid } of started)
      assert.deepEqual(
        names.filter((name) => name.startsWith(`callgate-${pid}-`)),
        [],
      );
  });

  test("one that fails among them fails alone", async () => {
    const plans = [planOf("echo fine"), planOf("exit 7"), planOf("kill -KILL $$")];
    const ends = await Promise.all(
      Array.from({ length: 30 }, (_, index) => launchOnce(plans[index % 3] ?? "").end),
    );
    ends.forEach(({ status, output }, index) => {
      assert.deepEqual(
        [status, output],
        index % 3 === 0 ? [0, "fine\n"] : index % 3 === 1 ? [7, ""] : [null, ""],
      );
    });
  });
});

test("the processes that stay beside a program have less than a MiB of memory, all together, at their peak", async () => {
  const plan = planOf("echo up; read -r line </proc/self/status; exec sleep 1000");
  const descriptor = openSync(plan, "r");
  const child = spawn(launcherPath, ["plan"], { stdio: ["ignore", "pipe", "inherit", descriptor] });
  closeSync(descriptor);
  try {
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
    const own = [String(child.pid), ...children.slice(0, -1)];
    const peaks = own.map((pid) =>
      Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]),
    );
    assert.ok(own.length >= 2, own.join());
    assert.ok(peaks.reduce((sum, one) => sum + one, 0) < 1024, `${peaks.join(" + ")} kB`);
  } finally {
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("close", resolve));
  }
});
