// A launcher that carries its plan in its own file, and filters read back from the process that it became.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { attachPlan } from "../../src/sandbox/attached-plan.ts";
import type { Plan, PlanStep } from "../../src/sandbox/plan.ts";
import { readProcessFilters } from "../../src/sandbox/process-filters.ts";
import {
  isRoot,
  launcherPath,
  numbers,
  ordinaryUser,
  planFor,
  refuseFilter,
  runProgram,
  scratchFile,
  shellPlan,
} from "./native.ts";

const launcher = readFileSync(launcherPath);
const noNewPrivileges: PlanStep = { kind: "noNewPrivileges" };
const copyWith = (plan: Plan): string => scratchFile("copy", attachPlan(launcher, plan), 0o555);

test("the copy carries its plan out, whatever its arguments are", () => {
  const copy = copyWith(shellPlan([], 'echo "$0 ran: $#"; exit 7'));
  for (const args of [[], ["run", "x", "y"], ["plan"], ["spawn", "3"]]) {
    const result = runProgram(copy, { args });
    assert.equal(result.stderr, "");
    assert.equal(result.stdout, "/bin/sh ran: 0\n");
    assert.equal(result.status, 7);
  }
});

test("a copy that was cut off or changed starts nothing", () => {
  const whole = attachPlan(launcher, shellPlan([], "echo started"));
  const changed = whole.slice();
  changed[whole.length - 3] = 0x41;
  for (const bytes of [whole.subarray(0, whole.length - 8), whole.subarray(0, launcher.length), changed]) {
    const result = runProgram(scratchFile("damaged", bytes, 0o555));
    assert.match(result.stderr, /^callgate: the plan is not valid, nothing was started: /);
    assert.equal(result.stdout, "");
    assert.equal(result.status, 125);
  }
});

test("root has a plan of its own, which has what both say from the other one", () => {
  const words = (length: number, last: string): string =>
    `echo "${"same".repeat(length)}" | wc -c; echo ${last}`;
  const pairs = [
    [shellPlan([], words(5000, "other")), shellPlan([], words(5000, "admin"))],
    // Nothing in common; and one that is the whole other.
    [shellPlan([], "echo others"), shellPlan([noNewPrivileges], "echo root")],
    [shellPlan([], "echo same"), shellPlan([], "echo same")],
  ] as const;
  for (const [others, forRoot] of pairs) {
    const bytes = attachPlan(launcher, others, forRoot);
    const copy = scratchFile("copy", bytes, 0o555);
    const asRoot = runProgram(copy, { cwd: "/" });
    const asOther = isRoot ? runProgram(copy, { cwd: "/", ...ordinaryUser }) : asRoot;
    const alone = (plan: Plan): string => runProgram(copyWith(plan), { cwd: "/" }).stdout;
    assert.deepEqual([asRoot.stderr, asRoot.stdout], ["", alone(isRoot ? forRoot : others)]);
    assert.deepEqual([asOther.stderr, asOther.stdout], ["", alone(others)]);
  }
  const [[others, forRoot]] = pairs;
  assert.ok(attachPlan(launcher, others, forRoot).length < attachPlan(launcher, others).length + 1000);
});

test("a mount that cannot be detached starts nothing", () => {
  const steps: readonly PlanStep[] = [{ kind: "detachMount", path: "/proc/callgate-is-not-there" }];
  const result = runProgram(copyWith(shellPlan(steps, "echo started")));
  assert.match(
    result.stderr,
    /^callgate: set-up step "detach mount" failed: umount2 "[^"]+": E(NOENT|PERM) /,
  );
  assert.equal(result.status, 125);
});

async function whileRunning(child: ChildProcess, look: (pid: number) => void): Promise<void> {
  const ended = once(child, "exit");
  try {
    if (child.stdout === null) throw new Error("the child has no output");
    await once(child.stdout, "data");
    look(child.pid ?? 0);
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

test("the kernel gives back the filters that were loaded, the oldest first", async () => {
  const filters = [refuseFilter(numbers.uname, 11), refuseFilter(numbers.uname, 12)];
  const steps: readonly PlanStep[] = [
    noNewPrivileges,
    ...filters.map((bytes): PlanStep => ({ kind: "filter", bytes })),
  ];
  const copy = copyWith(shellPlan(steps, "echo ready; read -r line"));
  await whileRunning(spawn(copy, [], { stdio: ["pipe", "pipe", "ignore"] }), (pid) => {
    const read = readProcessFilters(pid);
    if (!isRoot) {
      assert.ok("problem" in read);
      return;
    }
    assert.ok("filters" in read, JSON.stringify(read));
    assert.deepEqual(
      read.filters.map((filter) => Buffer.from(filter.bytes).toString("hex")),
      filters.map((bytes) => Buffer.from(bytes).toString("hex")),
    );
  });
});

test("a process without filters has none, and goes on after it was read", {
  skip: isRoot ? false : "reading filters back needs root",
}, async () => {
  const child = spawn("/bin/sh", ["-c", "echo ready; read -r line; echo $line"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  await whileRunning(child, (pid) => {
    assert.deepEqual(readProcessFilters(pid), { filters: [] });
    child.stdin?.end("still here\n");
  });
});

test("a process that is not there is a problem, not an empty answer", () => {
  const read = readProcessFilters(4_000_000);
  assert.ok("problem" in read && /ESRCH|error 3|No such process/.test(read.problem), JSON.stringify(read));
});

test("a plan with the path of a program that is not there is 127", () => {
  const result = runProgram(copyWith(planFor([], "/nowhere/at/all")));
  assert.equal(result.status, 127);
});
