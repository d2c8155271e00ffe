// Limits of a whole sandbox: control groups that hold for all its processes together, are said when they hit, and are
// removed however the sandbox ends. As root, where cgroups v1 or v2 are root's; as an ordinary user in a folder of v2
// that is delegated to him here; and by rlimit, where there is nothing else.
// Debian packages: procps, python3, util-linux
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { groupLimits, thisProcess } from "../../src/sandbox/cgroups.ts";
import { encodePlan, type PlanStep } from "../../src/sandbox/plan.ts";
import type { Cgroup } from "../../src/sandbox/steps.ts";
import {
  compileC,
  isRoot,
  launch,
  launcherPath,
  ordinaryUser,
  planFor,
  type RunResult,
  refuseFilter,
  root,
  runProgram,
  scratchFile,
  shellPlan,
} from "./native.ts";
import { removeGroup } from "./remove-group.ts";

const callgate = join(root, "bin", "callgate");
const held = groupLimits({ memory: 64 << 20, processes: 8 }, thisProcess());
const cwd = "/usr";

function run(...args: readonly string[]): RunResult {
  return runProgram(callgate, { args: ["run", ...args], cwd });
}

/** As where user.max_user_namespaces is 0. */
function withoutNamespaces(...args: readonly string[]): RunResult {
  const steps: readonly PlanStep[] = [
    { kind: "noNewPrivileges" },
    { kind: "filter", bytes: refuseFilter(process.arch === "x64" ? 272 : 97, 28) },
  ];
  return launch(planFor(steps, callgate, "run", "--missing", "namespaces", ...args), { cwd });
}

/** Groups of ours that are there, in all folders that are used here. */
function leftOver(groups: readonly Cgroup[] = held.groups): readonly string[] {
  return groups.flatMap(({ folder }) =>
    readdirSync(folder)
      .filter((name) => name.startsWith("callgate-"))
      .map((name) => join(folder, name)),
  );
}

/** Other tests may have groups of their own at the same time: only those of one launcher's are looked at. */
function groupsOf(pid: number | undefined, groups: readonly Cgroup[] = held.groups): readonly string[] {
  return leftOver(groups).filter((path) => path.includes(`/callgate-${pid}-`));
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !condition(); ) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Starts a plan by the launcher itself; resolves when the program says "up". */
async function startPlan(
  steps: readonly PlanStep[],
  line: string,
  identity: { readonly uid?: number; readonly gid?: number } = {},
): Promise<ChildProcess> {
  const file = scratchFile("plan", encodePlan(planFor(steps, "/bin/sh", "-c", line)));
  const child = spawn(launcherPath, ["plan"], {
    stdio: ["ignore", "pipe", "inherit", openSync(file, "r")],
    ...identity,
  });
  await new Promise<void>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", () => reject(new Error("the program ended before it was up")));
    child.stdout?.on("data", () => resolve());
  });
  return child;
}

const namespaces: readonly PlanStep[] = [
  { kind: "namespaces", namespaces: ["user", "pid", "cgroup", "mount"] },
  { kind: "idMaps", map: "own" },
];
const rest: readonly PlanStep[] = [
  { kind: "capabilities" },
  { kind: "noNewPrivileges" },
  { kind: "closeDescriptors", keep: [] },
  { kind: "signals", keepIgnored: [] },
];

const ended = (child: ChildProcess): Promise<unknown> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once("exit", resolve));

test("memory is that of all processes together, and the final line says when it was reached", () => {
  // Two halves that fit each by itself and not together; each waits for the other.
  const line =
    "import os,sys\nr,w=os.pipe()\nc=os.fork()\nif c==0:\n x=b'x'*(40<<20)\n os.write(w,b'x')\n import time; time.sleep(20)\nos.read(r,1)\nx=b'x'*(40<<20)\nprint('both')\nos.kill(c,9)";
  const found = run("--memory", "64M", "--", "/usr/bin/python3", "-c", line);
  if (held.memory) {
    const version = held.groups[0]?.version;
    assert.equal(
      found.stderr,
      `callgate: the sandbox reached its memory limit of 64M (cgroup v${version})\n`,
    );
  } else {
    assert.equal(found.stdout, "both\n");
  }
});

test("by rlimit memory is that of each process; said by plan, and by nothing at the end", () => {
  if (!isRoot) return;
  const plan = runProgram(callgate, {
    args: ["plan", "--memory", "64M", "--", "true"],
    cwd,
    ...ordinaryUser,
  });
  const found = runProgram(callgate, {
    args: ["run", "--memory", "64M", "--", "/usr/bin/python3", "-c", "bytearray(200 << 20)"],
    cwd,
    ...ordinaryUser,
  });
  assert.match(plan.stdout, /^limits +memory 64M a process: by rlimit$/m);
  assert.match(found.stderr, /MemoryError/);
});

test("by rlimit: what has more data than it may have is ended by the kernel as it starts, and the final line says why", () => {
  const large = compileC(
    "large",
    "static volatile char data[8 << 20]; int main(int argc, char **argv) { return data[argc]; }",
    ["-static"],
  );
  const identity = isRoot ? ordinaryUser : {};
  const by = (memory: string): RunResult =>
    runProgram(callgate, { args: ["run", "--memory", memory, "--", large], cwd, ...identity });
  const isByGroup = /by cgroup/.test(
    runProgram(callgate, { args: ["plan", "--memory", "1M", "--", "true"], cwd, ...identity }).stdout,
  );
  const enough = by("16M");
  assert.deepEqual([enough.status, enough.stderr], [0, ""]);
  if (isByGroup) return; // pages that are never touched are no memory to a group
  const { signal, stderr } = by("1M");
  assert.equal(signal, "SIGSEGV");
  assert.match(stderr, /^callgate: the program was ended by SIGSEGV, perhaps because [^\n]+ \(memory\)$/m);
});

test("processes are counted for the sandbox alone, threads too; the final line says when it was reached", () => {
  const bomb = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 20 & done; echo end";
  const threads =
    "import threading,time\nfor i in range(20):\n t=threading.Thread(target=time.sleep,args=(20,),daemon=True)\n try: t.start()\n except RuntimeError: print(i); break";
  for (const attempt of [run, withoutNamespaces]) {
    if (!held.processes && attempt === withoutNamespaces) continue;
    const found = attempt("--processes", "8", "--", "sh", "-c", bomb);
    assert.match(found.stderr, /[Cc]annot fork/);
    if (held.processes)
      assert.match(
        found.stderr,
        /^callgate: the sandbox reached its limit of 8 processes and threads \(cgroup v[12]\)$/m,
      );
    assert.equal(attempt("--processes", "8", "--", "/usr/bin/python3", "-c", threads).stdout, "7\n");
  }
});

test("a plan that was kept holds its limits too, and says so", () => {
  const bomb = [
    "--processes",
    "7",
    "--",
    "sh",
    "-c",
    "for i in 1 2 3 4 5 6 7 8; do sleep 20 & done; echo end",
  ];
  const [first, second] = [run(...bomb), run(...bomb)];
  assert.match(second.stderr, /[Cc]annot fork/);
  assert.deepEqual([second.status, second.stderr], [first.status, first.stderr]);
});

test("processor time and file size: the final line, also when a shell's child has reached them", () => {
  for (const line of ["while :; do :; done", "sh -c 'while :; do :; done'; exit $?"]) {
    const busy = run("--cpu-time", "1s", "--", "sh", "-c", line);
    assert.match(busy.stderr, /^callgate: the program has used the processor .*\(cpu-time\)/m);
  }
  for (const line of ["exec head -c 9000 /dev/zero", "head -c 9000 /dev/zero"]) {
    const large = run("--file-size", "4K", "--", "sh", "-c", `${line} >/tmp/large; exit $?`);
    assert.match(large.stderr, /^callgate: the program wrote a file .*\(file-size\)/m);
  }
});

test("open files: the program gets EMFILE, and nothing is said of what only it knows", () => {
  const line =
    "import errno,os\nn=0\ntry:\n while 1: os.dup(0); n+=1\nexcept OSError as e: print(errno.errorcode[e.errno], n < 9)";
  const found = run("--open-files", "9", "--", "/usr/bin/python3", "-c", line);
  assert.deepEqual([found.stdout, found.stderr, found.status], ["EMFILE True\n", "", 0]);
});

test("a limit that was not reached is not spoken of, and no group stays", () => {
  const found = run("--memory", "64M", "--processes", "8", "--wall-time", "30s", "--", "echo", "done");
  assert.deepEqual([found.stdout, found.stderr, found.status], ["done\n", "", 0]);
  assert.deepEqual(groupsOf(found.pid), []);
});

test("the plan says which of them holds: groups with their folder, rlimits, callgate itself", () => {
  const args = [
    "--memory",
    "64M",
    "--processes",
    "8",
    "--wall-time",
    "3s",
    "--open-files",
    "9",
    "--",
    "true",
  ];
  const plan = runProgram(callgate, { args: ["plan", ...args], cwd }).stdout;
  for (const { version, folder } of held.groups)
    assert.ok(plan.includes(`: by cgroup v${version}, in ${folder}\n`), plan);
  assert.match(plan, /9 open files a process.*: by rlimit\n/);
  assert.match(plan, /3 s in all: by callgate/);
  assert.equal(run("--dry-run", ...args).stdout, plan);
});

test("without namespaces the end of the program is the end of all that it has started, where there is a group", () => {
  if (!held.processes) return;
  const mark = `77${process.pid}`;
  const found = withoutNamespaces(
    ...["--processes", "8", "--wall-time", "1s", "--", "sh", "-c"],
    `(setsid sleep ${mark} &); exec sleep ${mark}`,
  );
  assert.match(found.stderr, /\(wall-time\)/);
  assert.deepEqual(runProgram("pgrep", { args: ["-fx", `sleep ${mark}`] }).stdout, "");
});

describe("a group is removed however the sandbox ends", () => {
  for (const [name, around] of [
    ["with namespaces", namespaces],
    ["without", []],
  ] as const) {
    test(`SIGKILL for callgate, ${name}`, async () => {
      if (held.groups.length === 0) return;
      const steps: readonly PlanStep[] = [{ kind: "cgroups", groups: held.groups }, ...around, ...rest];
      const child = await startPlan(steps, "(setsid sleep 1000 &) ; echo up; exec sleep 1000");
      const groups = groupsOf(child.pid);
      assert.equal(groups.length, held.groups.length);
      const members = groups.map((one) => readFileSync(join(one, "cgroup.procs"), "utf8"));
      for (const one of members) assert.match(one, /^\d+\n\d+\n$/);
      child.kill("SIGKILL");
      await ended(child);
      await until("the groups are gone", () => groupsOf(child.pid).length === 0);
    });
  }

  test("a step that fails later: 125, and no group", () => {
    if (held.groups.length === 0) return;
    const steps: readonly PlanStep[] = [
      { kind: "cgroups", groups: held.groups },
      { kind: "workingDirectory", path: "/no/such" },
    ];
    const found = launch(planFor(steps, "/bin/true"));
    assert.deepEqual([found.status, groupsOf(found.pid)], [125, []]);
    assert.match(found.stderr, /"working directory" failed/);
  });

  test("a setting that the kernel refuses: 125, the sentence names it, and no group", () => {
    const [first] = held.groups;
    if (first === undefined) return;
    const groups = [...held.groups.slice(1), { ...first, settings: [{ file: "cgroup.procs", value: "x" }] }];
    const found = launch(planFor([{ kind: "cgroups", groups }], "/bin/true"));
    assert.deepEqual([found.status, groupsOf(found.pid)], [125, []]);
    assert.match(
      found.stderr,
      /^callgate: set-up step "cgroup" failed: write "callgate-\S+\/cgroup\.procs": EINVAL/,
    );
    const nowhere = [{ ...first, folder: "/sys/fs/cgroup/no/such" }];
    assert.match(
      launch(planFor([{ kind: "cgroups", groups: nowhere }], "/bin/true")).stderr,
      /"cgroup" failed: openat "\/sys\/fs\/cgroup\/no\/such": ENOENT/,
    );
  });

  test("what stays when the keeper is killed too is removed by the next start", async () => {
    if (held.groups.length === 0) return;
    // In folders of this test's own: another's start would take away what stays, too.
    const groups = held.groups.map(({ version, folder }) => ({
      version,
      folder: join(folder, `callgate-limits-${process.pid}`),
      holds: [],
      settings: [],
      events: [],
    }));
    for (const { folder } of groups) mkdirSync(folder);
    const steps: readonly PlanStep[] = [{ kind: "cgroups", groups }, ...namespaces, ...rest];
    const child = await startPlan(steps, "echo up; exec sleep 1000");
    const [keeper] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(" ");
    // It must not see that the keeper is gone.
    child.kill("SIGSTOP");
    process.kill(Number(keeper), "SIGKILL");
    child.kill("SIGKILL");
    await ended(child);
    const left = groupsOf(child.pid, groups);
    assert.equal(left.length, groups.length);
    // Another's, and one of a process that lives, are not touched.
    const others = groups.map(({ folder }) => join(folder, `callgate-${process.pid}-0`));
    for (const one of others) mkdirSync(one);
    try {
      // One that is ending is not in the list any more, and holds its group still: the start after it finds it empty.
      await until(`the next start takes ${left} away`, () => {
        assert.equal(launch(planFor([{ kind: "cgroups", groups }, ...rest], "/bin/true")).status, 0);
        return !left.some((one) => existsSync(one));
      });
      assert.ok(others.every((one) => existsSync(one)));
    } finally {
      for (const one of [...others, ...groups.map(({ folder }) => folder)]) removeGroup(one);
    }
  });

  test("the keeper cannot be looked into, holds nothing of the caller's, and is under a filter of its own", async () => {
    if (held.groups.length === 0) return;
    const steps: readonly PlanStep[] = [{ kind: "cgroups", groups: held.groups }, ...namespaces, ...rest];
    const child = await startPlan(steps, "echo up; exec sleep 1000");
    const [keeper] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(" ");
    const status = readFileSync(`/proc/${keeper}/status`, "utf8");
    assert.match(status, /^NoNewPrivs:\t1\nSeccomp:\t2$/m);
    // For root CAP_DAC_OVERRIDE: the top of a hierarchy is writable to nobody.
    assert.match(status, isRoot ? /^CapEff:\t0{15}2$/m : /^CapEff:\t0+$/m);
    const ends = groupsOf(child.pid).filter((one) => existsSync(join(one, "cgroup.kill"))).length;
    assert.equal(readdirSync(`/proc/${keeper}/fd`).length, 2 * held.groups.length + ends + 1);
    child.kill("SIGKILL");
    await ended(child);
    await until("the groups are gone", () => groupsOf(child.pid).length === 0);
  });
});

/**
 * Of sh: who is left behind sends the keeper, outer's first child, this signal again and again. The program itself ends
 * when the signal has arrived; without a keeper it is ended.
 */
function againstKeeper(signal: string, mark: string): string {
  const again = `while kill -${signal} $keeper; do :; done`;
  return `read -r keeper rest </proc/$PPID/task/$PPID/children
    (setsid sleep ${mark} &) >/dev/null 2>&1
    (setsid sh -c 'keeper=$1; ${again}' - $keeper &) >/dev/null 2>&1
    ${signal === "KILL" ? "exec sleep 1000" : "until grep -q '^State:.T' /proc/$keeper/status; do :; done"}`;
}

/** All that was started with this mark has ended, and these groups have nobody in them. */
const allEnded = (mark: string, groups: readonly string[]): boolean =>
  runProgram("pgrep", { args: ["-fx", `sleep ${mark}`] }).stdout === "" &&
  groups.every((one) => {
    try {
      return readFileSync(join(one, "cgroup.procs"), "utf8") === "";
    } catch {
      return !existsSync(one); // another's start has taken it away
    }
  });

test("without namespaces, who kills or stops the keeper leaves nothing behind", {
  timeout: 600_000,
}, async () => {
  if (held.groups.length === 0) return;
  // Without a Landlock that keeps signals; and, where this is root, as the keeper's own user.
  const steps: readonly PlanStep[] = [{ kind: "cgroups", groups: held.groups }, ...rest];
  for (const signal of ["KILL", "STOP"]) {
    const mark = `79${process.pid}`;
    const found = launch(shellPlan(steps, againstKeeper(signal, mark)));
    const isSaid = /^callgate: the keeper of the control groups was killed, and so/m.test(found.stderr);
    assert.equal(isSaid, signal === "KILL", found.stderr);
    await until("all has ended", () => allEnded(mark, groupsOf(found.pid)));
    // The next start takes the empty groups away. One that is ending is not listed any more, and holds its group still.
    await until("the groups are gone", () => {
      assert.equal(launch(shellPlan(steps, "exit 0")).status, 0);
      return groupsOf(found.pid).length === 0;
    });
  }
});

// cgroup2 is there on every machine of today, but which controllers it has differs: so here a group without any.
test("v2, delegated to an ordinary user: made, joined, killed and removed by him", async (t) => {
  if (!isRoot) return t.diagnostic("only root can delegate a folder");
  const mount = /^\S+ \S+ \S+ \/ (\S+) .* - cgroup2 /m.exec(
    readFileSync("/proc/self/mountinfo", "utf8"),
  )?.[1];
  assert.ok(mount !== undefined, "cgroup2 is mounted");
  const delegated = join(mount, `callgate-tests-${process.pid}`);
  const { uid, gid } = ordinaryUser;
  mkdirSync(join(delegated, "session"), { recursive: true });
  for (const one of [delegated, join(delegated, "cgroup.procs"), join(delegated, "session")])
    chownSync(one, uid, gid);
  chownSync(join(delegated, "session", "cgroup.procs"), uid, gid);
  const group: Cgroup = {
    version: 2,
    folder: delegated,
    holds: [],
    settings: [
      { file: "cgroup.max.descendants", value: "0" },
      { file: "no.such.file", value: "1", optional: true },
    ],
    events: [{ file: "cgroup.events", key: "populated", sentence: "somebody is left" }],
  };
  const steps = (around: readonly PlanStep[]): readonly PlanStep[] => [
    { kind: "cgroups", groups: [group] },
    ...around,
    ...rest,
  ];
  const enter = `echo $$ >${join(delegated, "session", "cgroup.procs")}; exec setpriv --reuid ${uid} --regid ${gid} --clear-groups ${launcherPath} plan`;
  const launchInside = (around: readonly PlanStep[], line: string): RunResult =>
    runProgram("/bin/sh", {
      args: ["-c", enter],
      descriptors: [encodePlan(planFor(steps(around), "/bin/sh", "-c", line))],
    });
  try {
    const where = "cat /proc/self/cgroup | grep ^0:; echo";
    for (const around of [namespaces, []]) {
      const inside = launchInside(around, where);
      assert.match(inside.stdout, /^0::\/.*callgate-\d+-\d+\n/, inside.stderr);
      assert.deepEqual([inside.stderr, inside.status], ["", 0]);
      assert.deepEqual(groupsOf(inside.pid, [group]), []);
    }
    // What the program has left behind is ended by cgroup.kill, and an event is said.
    const left = launchInside([], "sleep 1000 >/dev/null 2>&1 & exit 3");
    assert.deepEqual([left.status, left.stderr], [3, "callgate: somebody is left\n"]);
    assert.deepEqual(groupsOf(left.pid, [group]), []);
    // And so it is when the program has killed or stopped the keeper, which nothing keeps it from here.
    for (const [signal, sentence] of [
      ["KILL", /^callgate: the keeper of the control groups was killed/m],
      ["STOP", /^(callgate: somebody is left\n)?$/],
    ] as const) {
      const mark = `78${process.pid}`;
      const found = launchInside([], againstKeeper(signal, mark));
      assert.match(found.stderr, sentence);
      await until("all has ended", () => allEnded(mark, groupsOf(found.pid, [group])));
      for (const one of groupsOf(found.pid, [group])) removeGroup(one);
    }
    const outsider = launch(planFor(steps([]), "/bin/true"), ordinaryUser);
    assert.equal(outsider.status, 125, "who is not in the delegated folder cannot go there");
    assert.match(outsider.stderr, /"cgroup" failed: write "cgroup\.procs": EACCES/);
  } finally {
    writeFileSync(join(mount, "cgroup.procs"), "0");
    removeGroup(join(delegated, "session"));
    removeGroup(delegated);
  }
});
