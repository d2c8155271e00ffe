// Every call that the launcher makes fails once, and callgate is killed at every call: no program without all of the
// sandbox, a sentence that names the step, and nothing left behind. faults.c does it; which calls there are is known
// from the CALL(…) and CALL_ON_STACK(…) marks of the sources. A call that a loop repeats is tried the first and the last time.
// Debian packages: binutils
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { attachPlan } from "../../src/sandbox/attached-plan.ts";
import { groupLimits, groupsElsewhere, thisProcess } from "../../src/sandbox/cgroups.ts";
import { encodePlan, type Plan, type PlanStep } from "../../src/sandbox/plan.ts";
import { encodeRows, type ReportStep } from "../../src/sandbox/report-step.ts";
import type { Cgroup, FileIdentity, MountEntry } from "../../src/sandbox/steps.ts";
import {
  architecture,
  compileC,
  filterBytes,
  isRoot,
  launcherPath,
  ordinaryUser,
  planFor,
  refuseFilter,
  root,
  scratchFile,
  scratchPath,
} from "./native.ts";
import { removeGroup } from "./remove-group.ts";

const EPERM = 1;
const EIO = 5;

const native = join(root, "native");
const fixed = ["-static", "-no-pie"] as const;

const supervisor = compileC("faults", readFileSync(join(root, "tests/kernel/faults.c"), "utf8"), fixed);

/** The program: says that it runs and, with an argument, waits for a signal. */
const program = compileC(
  "program",
  `#include <unistd.h>
   int main(int argc, char **argv) { if (write(1, "runs\\n", 5) != 5) return 9; if (argv[1]) pause(); return argc - 1; }`,
  fixed,
);

/** The program that is denied two calls, one of them with a path, and says how each was answered. */
const deniedProgram = compileC(
  "denied",
  `#include <errno.h>
   #include <fcntl.h>
   #include <string.h>
   #include <sys/syscall.h>
   #include <unistd.h>
   static int say(long result) {
     const char *word = result >= 0 ? "made\\n" : errno == EPERM ? "refused\\n" : errno == ENOSYS ? "lost\\n" : "other\\n";
     return write(1, word, strlen(word)) == (long)strlen(word) ? 0 : 9;
   }
   int main(void) {
     if (write(1, "runs\\n", 5) != 5) return 9;
     return say(syscall(SYS_getpgid, 0)) + say(syscall(SYS_faccessat, AT_FDCWD, "/", F_OK));
   }`,
  fixed,
);

/**
 * Node's stand-in: copies its first argument, a plan, to descriptor 3; and reads what it is told there, permits each call that it
 * is asked about, and says both.
 */
const node = compileC(
  "node",
  `#include <fcntl.h>
   #include <unistd.h>
   static char plan[1 << 20];
   static int permit(const unsigned *record) {
     unsigned verdict[3] = {record[2], 1, record[4]};
     return write(2, "asked\\n", 6) == 6 && write(3, verdict, sizeof verdict) == sizeof verdict;
   }
   int main(int argc, char **argv) {
     if (argc > 2 && argv[2][0] == 't') {
       long told = 0, seen = 0, count;
       while ((count = read(3, plan + told, sizeof plan - told)) > 0)
         for (told += count; told - seen >= 112 && told - seen >= *(unsigned *)(plan + seen + 4); seen += *(unsigned *)(plan + seen + 4))
           if (*(unsigned *)(plan + seen) == 4 && !permit((unsigned *)(plan + seen))) return 9;
       return count == 0 && told > 0 && write(2, "told\\n", 5) == 5 ? 0 : 9;
     }
     long length = argc > 1 ? read(open(argv[1], O_RDONLY), plan, sizeof plan) : -1;
     return length > 0 && write(3, plan, length) == length ? 0 : 9;
   }`,
  fixed,
);

/** The launcher with debugging information, which makes the same calls; only to tell where in the sources they are. */
const withLines = (() => {
  const path = scratchPath("launcher");
  const flags =
    "-std=c11 -O0 -g -ffreestanding -fPIE -static-pie -nostdlib -nostartfiles -fno-stack-protector -fno-builtin " +
    "-fno-asynchronous-unwind-tables -fno-unwind-tables -Wl,-z,noseparate-code,--build-id=none launcher.c";
  const inlined = "-Dinline=inline __attribute__((always_inline))";
  const built = spawnSync("gcc", [inlined, ...flags.split(" "), "-o", path], {
    cwd: native,
    encoding: "utf8",
  });
  assert.equal(built.status, 0, built.stderr);
  return path;
})();

/** Names of calls by their numbers, from the table of the native programs. */
const callNames: ReadonlyMap<string, string> = (() => {
  const text = readFileSync(join(native, "system.h"), "utf8");
  const own = text.split(/^#el\w+ /m)[architecture === "x86_64" ? 0 : 1] ?? "";
  const shared = text.split("#define SHARED_NUMBERS")[1] ?? "";
  const rows = [...`${own}${shared}`.matchAll(/\bX\((\w+), (\d+)\)/g)];
  return new Map(rows.map(([, name = "", number = ""]) => [number, name]));
})();

/**
 * One call of one process of the launcher: the nth of its number there. The process that is started has role 0, and the
 * nth child of role r is 32 r + n.
 */
interface Call {
  readonly role: number;
  readonly number: number;
  readonly nth: number;
  /** Among the calls of its process. */
  readonly order: number;
  readonly name: string;
  /** The function of the sources, and `file:line`. */
  readonly within: string;
  readonly place: string;
}

interface Outcome {
  readonly hit: 0 | 1;
  readonly ended: 0 | 1;
  /** How many processes were left behind. */
  readonly left: number;
  readonly status: number;
  readonly signal: number;
  readonly said: string;
  readonly complained: string;
  readonly reported: string;
}

interface Scenario {
  readonly name: string;
  readonly transport: "plan" | "spawn" | "run" | "ask" | "attached";
  readonly steps: readonly PlanStep[];
  /** Started in control groups of this test's own, in which it looks for a place. */
  readonly inGroups?: boolean;
  /** The program waits for the SIGTERM that it gets by way of callgate. */
  readonly waits: boolean;
  readonly program?: string;
  readonly user: { readonly uid?: number; readonly gid?: number };
}

function supervise(
  { transport, steps, waits, user, inGroups, program: own }: Scenario,
  launcher: string,
  mode: "list" | "fail" | "kill",
  errno: number,
  input: string,
): readonly string[] {
  const plan: Plan = planFor(steps, own ?? program, ...(waits ? ["wait"] : []));
  const file = scratchFile("plan", encodePlan(plan));
  const command = {
    plan: () => [launcher, "plan"],
    spawn: () => [launcher, "spawn", "3"],
    run: () => [launcher, "run", node, file],
    ask: () => [launcher, "run", node, file],
    attached: () => [scratchFile("copy", attachPlan(readFileSync(launcher), plan), 0o755)],
  }[transport]();
  const ids = [user.uid ?? -1, user.gid ?? -1].map(String);
  const members = inGroups === true ? memberships : [];
  const result = spawnSync(
    "/bin/sh",
    [
      ...["-c", `${members.map((one) => `echo $$ >'${one}'; `).join("")}exec "$@"`, "sh", supervisor],
      ...[mode, String(errno), ...ids, transport, file, waits ? "1" : "0", ...command],
    ],
    { input, encoding: "utf8", env: { HOME: "/usr/bin" }, cwd: "/srv", maxBuffer: 1 << 26 },
  );
  assert.equal(result.stderr, "");
  assert.equal(result.status, 0);
  const lines = result.stdout.trim().split("\n");
  assert.match(lines[0] ?? "", /^mounts \d+$/);
  assert.equal(lines.at(-1), lines[0], "nothing is left mounted");
  const left = groups.flatMap(({ folder: own }) =>
    readdirSync(own).filter((name) => name.startsWith("callgate")),
  );
  assert.deepEqual(left, [], "no control group is left");
  return lines.slice(1, -1);
}

/** Function and `file:line` of instructions, by their offsets in `withLines`. */
function placesOf(offsets: readonly string[]): ReadonlyMap<string, readonly [string, string]> {
  const asked = offsets.map((offset) => `0x${offset}`);
  const { stdout } = spawnSync("addr2line", ["-e", withLines, "-i", "-f", "-a", ...asked], {
    encoding: "utf8",
  });
  const blocks = stdout.split(/^0x0*/m).slice(1);
  return new Map(
    blocks.map((block) => {
      const [offset = "", ...frames] = block.trim().split("\n");
      // Frames from the innermost on, two lines each: the first two are the instructions themselves.
      const at = ["call6", "call_on_stack"].includes(frames[0] ?? "") ? 2 : 0;
      const place = (frames[at + 1] ?? "").replace(/^.*\//, "").replace(/ .*$/, "");
      return [offset, [frames[at] ?? "", place]] as const;
    }),
  );
}

/** How often it is made depends on what happens first; the end of a process may come by a signal instead. */
const isRepeated = (name: string | undefined): boolean =>
  `sched_yield nanosleep kill ppoll wait4 rt_sigtimedwait clock_gettime exit_group`
    .split(" ")
    .includes(name ?? "");

function listCalls(scenario: Scenario): readonly Call[] {
  const rows = (launcher: string) =>
    supervise(scenario, launcher, "list", 0, "")
      .filter((line) => /^\d/.test(line))
      .map((line) => line.split(" "))
      .sort(([a = "", b = ""], [c = "", d = ""]) => Number(a) - Number(c) || Number(b) - Number(d));
  const bare = (list: readonly (readonly string[])[]) =>
    list
      .filter(([, , number = ""]) => !isRepeated(callNames.get(number)))
      .map(([role, , number, nth]) => [role, number, nth].join(" "));
  // Which of two processes is first may make some calls of a supervisor's more or less.
  let [raw, shipped] = [rows(withLines), rows(launcherPath)];
  for (let more = 0; more < 20 && bare(raw).join() !== bare(shipped).join(); more += 1)
    [raw, shipped] = [rows(withLines), rows(launcherPath)];
  assert.deepEqual(bare(shipped), bare(raw), "the launcher that is shipped makes the same calls");
  const places = placesOf([...new Set(raw.map(([, , , , offset = ""]) => offset))]);
  return raw.map(([role, order, number = "", nth, offset = ""]) => {
    const [within, place] = places.get(offset) ?? ["", ""];
    const name = callNames.get(number) ?? number;
    return {
      ...{ role: Number(role), order: Number(order), number: Number(number), nth: Number(nth) },
      ...{ name, within, place },
    };
  });
}

/** The first and the last call from each place in each process. */
function firstAndLast(calls: readonly Call[]): readonly Call[] {
  const key = ({ role, name, place }: Call): string => `${role} ${name} ${place}`;
  const last = new Map(calls.map((call) => [key(call), call]));
  const first = new Map([...calls].reverse().map((call) => [key(call), call]));
  return calls.filter((call) => first.get(key(call)) === call || last.get(key(call)) === call);
}

function outcomes(
  scenario: Scenario,
  mode: "fail" | "kill",
  errno: number,
  calls: readonly Call[],
): readonly (readonly [Call, Outcome])[] {
  const wanted = calls.map(({ role, number, nth }) => `${role} ${number} ${nth}\n`).join("");
  const lines = supervise(scenario, launcherPath, mode, errno, wanted);
  assert.equal(lines.length, calls.length);
  return calls.map((call, at) => [call, JSON.parse(lines[at] ?? "") as Outcome]);
}

// ── What is started ────────────────────────────────────────────────────────────────────────────────────────────

const identity = (path: string): FileIdentity => {
  const { dev, ino } = statSync(path, { bigint: true });
  return { device: dev, inode: ino };
};

const folder = (target: string, mode = 0o755): MountEntry => ({ kind: "directory", target, mode });
const here = dirname(program);
const entries: readonly MountEntry[] = [
  ...here
    .slice(1)
    .split("/")
    .map((_, at, parts) => folder(parts.slice(0, at + 1).join("/"))),
  { kind: "bind", source: here, target: here.slice(1), identity: identity(here) },
  folder("scratch"),
  { kind: "tmpfs", target: "scratch", mode: 0o1777, size: 65536, writable: true },
  { kind: "own", target: "own", mode: 0o700 },
  folder("proc"),
  { kind: "proc", target: "proc", writable: false },
  folder("dev"),
  folder("dev/pts"),
  { kind: "devpts", target: "dev/pts" },
  { kind: "file", target: "dev/null", mode: 0o666 },
  { kind: "bind", source: "/dev/null", target: "dev/null", writable: true, devices: true },
  { kind: "link", target: "bin", to: "usr/bin" },
];

const landlock: PlanStep = {
  kind: "landlock",
  least: 1,
  scopes: 3,
  files: 0x1ffff,
  network: 3,
  paths: [{ path: here, rights: 0x800d, identity: identity(here) }],
  ports: [{ port: 80, rights: 2 }],
};
const plain: PlanStep = { kind: "filter", bytes: refuseFilter(9999, 1) };
const keyed: PlanStep = { ...plain, patches: [{ instruction: 1, word: 0 }] };
const closing: readonly PlanStep[] = [
  { kind: "closeDescriptors", keep: [] },
  { kind: "signals", keepIgnored: [1] },
];

/**
 * Control groups, in folders of this test's own, so that nobody else's are swept. Root's; where an ordinary user has
 * none, there is nothing that could fail.
 */
const groups: readonly Cgroup[] = isRoot
  ? groupLimits({ memory: 64 << 20, processes: 16 }, thisProcess()).groups.map((group) => {
      const own = join(group.folder, `faults-${process.pid}`);
      mkdirSync(own);
      process.on("exit", () => removeGroup(own));
      if (existsSync(join(own, "cgroup.subtree_control"))) {
        writeFileSync(join(own, "cgroup.subtree_control"), "+memory +pids");
      }
      return { ...group, folder: own };
    })
  : [];
/** By which the starts of built files are put there; in v2 no group has both members and groups below it. */
const memberships = groups.map(({ version, folder }) => {
  if (version === 1) return join(folder, "cgroup.procs");
  const session = join(folder, "session");
  if (!existsSync(session)) {
    mkdirSync(session);
    process.prependListener("exit", () => removeGroup(session));
  }
  return join(session, "cgroup.procs");
});
const grouped = (asRoot: boolean): readonly PlanStep[] =>
  asRoot && groups.length > 0 ? [{ kind: "cgroups", groups }] : [];

const full = (asRoot: boolean): readonly PlanStep[] => [
  ...grouped(asRoot),
  { kind: "namespaces", namespaces: ["mount", "cgroup", "uts", "ipc", "user", "pid", "net"] },
  { kind: "idMaps", map: asRoot ? "all" : "own" },
  { kind: "mounts", entries },
  { kind: "pivot" },
  { kind: "hostName", name: "inside" },
  { kind: "limits", resources: { nofile: 10 }, wallTime: 1000 },
  { kind: "environment", keep: [], set: {} },
  { kind: "workingDirectory", path: here, identity: identity(here) },
  ...(asRoot ? [{ kind: "identity", ...ordinaryUser } as const] : []),
  { kind: "capabilities" },
  { kind: "noNewPrivileges" },
  { kind: "hardening", noNewCode: true },
  landlock,
  ...closing,
  keyed,
];

const landlockAndFilter = (asRoot: boolean): readonly PlanStep[] => [
  ...grouped(asRoot),
  { kind: "limits", resources: { nofile: 10 } },
  { kind: "workingDirectory", path: here },
  ...(asRoot ? [{ kind: "identity", ...ordinaryUser } as const] : []),
  { kind: "capabilities" },
  { kind: "noNewPrivileges" },
  landlock,
  ...closing,
  plain,
];

/** As files of `callgate build` have it: what is there is looked for when they start. */
const built = (asRoot: boolean): readonly PlanStep[] => [
  { kind: "cgroups", groups: groupsElsewhere({ memory: 64 << 20, processes: 16 }), saysAbsence: true },
  ...full(asRoot)
    .filter(({ kind }) => kind !== "cgroups")
    .flatMap((step): readonly PlanStep[] => {
      if (step.kind === "mounts") return [{ kind: "callersFolder", rights: 0xd }, step];
      const resources = { data: 64 << 20, nproc: 18, nofile: 20 };
      return [step.kind === "limits" ? { ...step, resources, leftToGroups: true } : step];
    }),
];

const filterOnly: readonly PlanStep[] = [
  { kind: "terminal", newSession: true },
  { kind: "noNewPrivileges" },
  ...closing,
  plain,
  plain,
];

const called = {
  getpgid: architecture === "x86_64" ? 121 : 155,
  faccessat: architecture === "x86_64" ? 269 : 48,
};

/** What is refused, with an answer for it. */
const refusing = (answer: number): Uint8Array =>
  filterBytes([
    [0x20, 0, 0, 0],
    [0x15, 2, 0, called.getpgid],
    [0x15, 1, 0, called.faccessat],
    [0x06, 0, 0, 0x7fff0000],
    [0x06, 0, 0, answer],
  ]);

const rows = Object.entries(called)
  .map(([name, nr]) => ({
    abi: architecture,
    arch: architecture === "x86_64" ? 0xc000003e : 0xc00000b7,
    ...{
      nr,
      widths: 0,
      only: undefined,
      text: name === "faccessat" ? 2 : 0,
      masks: [0n, 0n, 0n, 0n, 0n, 0n],
    },
  }))
  .sort((a, b) => a.nr - b.nr);

/** The same start with denied calls handed up, and told. */
const reported = (to: "node" | "launcher", steps: readonly PlanStep[]): readonly PlanStep[] => {
  const told: ReportStep["to"] =
    to === "node"
      ? { kind: "node", policy: Buffer.from("policy"), target: undefined }
      : {
          kind: "launcher",
          calls: rows.map(({ text }) => (text === 0 ? "getpgid" : "faccessat \x02")),
          refusals: [{ errno: "EPERM", reason: "the rule" }],
        };
  const filters: readonly PlanStep[] = [
    { kind: "notifyingFilter", bytes: refusing(0x7fc00000) },
    { kind: "filter", bytes: refusing(0x00050000 | EPERM) },
  ];
  return [
    { kind: "report", live: false, all: false, asks: false, to: told, rows: encodeRows(rows) },
    ...steps.filter(({ kind }) => kind !== "filter"),
    ...(to === "launcher" ? [{ kind: "ruleFilter", bytes: refusing(0x00050000 | 1) } as const] : []),
    ...filters,
  ];
};

/** The same with a question about the first call, on a terminal. */
const asking = (steps: readonly PlanStep[]): readonly PlanStep[] => {
  const deciding: PlanStep = {
    kind: "decidingFilter",
    bytes: filterBytes([
      [0x20, 0, 0, 0],
      [0x15, 2, 0, called.getpgid],
      [0x15, 2, 0, called.faccessat],
      [0x06, 0, 0, 0x7fff0000],
      [0x06, 0, 0, 0x7fc00000],
      [0x06, 0, 0, 0x00050000 | EPERM],
    ]),
  };
  return reported("node", steps).flatMap((step): readonly PlanStep[] => {
    if (step.kind === "report") return [{ ...step, asks: true }];
    return step.kind === "notifyingFilter" ? [deciding, step] : [step];
  });
};

const people = [
  ...(isRoot ? [{ who: "root", user: {}, asRoot: true }] : []),
  { who: "an ordinary user", user: isRoot ? ordinaryUser : {}, asRoot: false },
] as const;

const scenarios: readonly Scenario[] = people.flatMap(({ who, user, asRoot }): readonly Scenario[] => {
  const scenario = (
    name: string,
    transport: Scenario["transport"],
    steps: readonly PlanStep[],
    waits: boolean,
  ): Scenario => ({ name: `${name}, ${who}`, transport, steps, waits, user });
  return [
    scenario("everything, by the front", "run", full(asRoot), true),
    scenario("everything, by the library", "spawn", full(asRoot), false),
    scenario("Landlock and filter, by the library", "spawn", landlockAndFilter(asRoot), true),
    scenario("Landlock and filter", "plan", landlockAndFilter(asRoot), true),
    { ...scenario("a built file", "attached", built(asRoot), true), inGroups: true },
    scenario("the filter alone, from the launcher's own file", "attached", filterOnly, false),
  ];
});

/** Starts with a supervisor and somebody who tells: what of these is made to fail. */
const supervised: readonly Scenario[] = people.flatMap(({ who, user, asRoot }): readonly Scenario[] => {
  const alone: readonly PlanStep[] = [{ kind: "noNewPrivileges" }, ...closing];
  const common = { program: deniedProgram, waits: false, user };
  return [
    {
      ...{ name: `reports by Node, everything, ${who}`, transport: "run", ...common },
      steps: reported("node", full(asRoot)),
    },
    {
      ...{ name: `questions, everything, ${who}`, transport: "ask", ...common },
      steps: asking(full(asRoot)),
    },
    {
      ...{ name: `reports by the launcher, the filter alone, ${who}`, transport: "attached", ...common },
      steps: reported("launcher", alone),
    },
  ];
});

// ── What may happen ────────────────────────────────────────────────────────────────────────────────────────────

/** Whether it is after the byte by which a process of ours says that it is ready to look after the program. */
function isTooLate({ role, order }: Call, calls: readonly Call[]): boolean {
  const own = calls.filter((call) => call.role === role);
  const last = own.findLastIndex(({ within }) => within === "become_ours");
  const saying = last < 0 ? undefined : own.slice(last).find(({ name }) => name === "write");
  return saying !== undefined && order > saying.order;
}

/**
 * Who is in no user namespace of his own may have no right to give up rights, and then needs to give up none: an
 * ordinary user, and root of a container.
 */
function isRightThatMayLack({ role, within }: Call, calls: readonly Call[]): boolean {
  const isKeeper = calls.some((one) => one.role === role && one.within === "keep_needed_capabilities");
  const hasNamespace = calls.some((one) => one.name === "unshare") && !isKeeper;
  return within === "keep_needed_capabilities" || (within === "drop_bounding_set" && !hasNamespace);
}

/** Who finds out which parts of a sandbox there are, and whom it makes for that. */
function isOfTrial({ role }: Call, calls: readonly Call[]): boolean {
  const trial = calls.find(({ within }) => within === "be_trial");
  return trial !== undefined && (role === trial.role || Math.floor(role / 32) === trial.role);
}

/** No program, and one sentence, wherever it was said, that names the step. */
function assertRefused(call: Call, outcome: Outcome, message: string): void {
  const isExecution = ["carry_out", "find_program"].includes(call.within);
  assert.equal(outcome.hit, 1, message);
  assert.equal(outcome.said, "", message);
  assert.equal(outcome.status, isExecution ? 126 : 125, message);
  const sentence = isExecution ? /cannot execute "[^\n"]+": E/ : /set-up step "[a-zN ]+" failed: /;
  const { complained, reported } = outcome;
  // Two processes of ours may each have something to say, as one sees that the other is gone.
  assert.match(`${complained}${reported}`, sentence, message);
  if (complained !== "") assert.match(complained, /^(callgate: [^\n]+\n)+$/, message);
}

const seen = new Set<string>();

for (const scenario of scenarios) {
  describe(`the launcher, ${scenario.name}`, () => {
    const calls = listCalls(scenario);
    for (const { place, name } of calls) seen.add(`${place} ${name}`);
    const tried = firstAndLast(calls);

    for (const errno of [EIO, EPERM]) {
      test(`each call fails once with errno ${errno}: no program, and a sentence that names the step`, () => {
        const all = outcomes(scenario, "fail", errno, tried);
        const isWatched = calls.some(({ within }) => within === "watch");
        if (isWatched && scenario.transport !== "spawn") {
          const unattended = all.filter(([{ name, within }]) => name === "wait4" && within === "look_after");
          const sentence = /^callgate: the program was ended, because [^\n]*: wait4 failed$/m;
          assert.ok(
            unattended.some(([, { status, complained }]) => status === 125 && sentence.test(complained)),
            JSON.stringify(unattended),
          );
        }
        for (const [call, outcome] of all) {
          const message = `${call.name} in ${call.within}, ${call.place}: ${JSON.stringify(outcome)}`;
          assert.deepEqual([outcome.ended, outcome.left], [1, 0], message);
          const mayBeRefused = errno === EPERM && isRightThatMayLack(call, calls);
          // Without a kept plan Node makes a fresh one: nothing there fails.
          const isOfKeptPlans = /^(?:kept|kept-plan|read-whole)\.h:/.test(call.place);
          // What cannot be tried is not there: Node knows what that means for the policy.
          const isTrial = call.place.startsWith("layers.h:") || isOfTrial(call, calls);
          if (
            !["leave", "say_unheld", "say_hidden"].includes(call.within) &&
            !mayBeRefused &&
            !isOfKeptPlans &&
            !isTrial &&
            !isTooLate(call, calls)
          ) {
            assertRefused(call, outcome, message);
          }
        }
      });
    }

    test("callgate is killed at each call: nothing of it is left, nor of the program", () => {
      for (const [call, outcome] of outcomes(scenario, "kill", 0, tried)) {
        const message = `${call.name} in ${call.within}, ${call.place}: ${JSON.stringify(outcome)}`;
        assert.deepEqual([outcome.ended, outcome.left], [1, 0], message);
        if (outcome.hit === 1 && call.within !== "leave") assert.equal(outcome.signal, 9, message);
      }
    });
  });
}

/** Of the supervisor, of who tells, and of who hands the listener over: their own calls, and those made for them. */
function ofReports(calls: readonly Call[]): readonly Call[] {
  const begins = ["be_teller", "be_supervisor", "be_helper", "be_reader"];
  const roles = new Set(calls.filter(({ within }) => begins.includes(within)).map(({ role }) => role));
  return calls.filter(
    ({ role, place }) => roles.has(role) || /^(?:supervisor|report|reader|notification)\.h:/.test(place),
  );
}

const answered = /^runs\n(?:(?:refused|lost)\n){0,2}$/;
const permitted = /^runs\nmade\n(?:(?:refused|lost)\n)?$/;

/** No denied call was made, and one that is asked about only where somebody has permitted it. */
function assertAnswered({ transport }: Scenario, { said, complained }: Outcome, message: string): void {
  if (said === "") return;
  const isPermitted = transport === "ask" && /^asked$/m.test(complained) && permitted.test(said);
  assert.ok(isPermitted || answered.test(said), message);
}

/** Whether all was as it is without a fault. */
const isUndisturbed = ({ transport }: Scenario, { said, complained, status }: Outcome): boolean =>
  status === 0 &&
  said === `runs\n${transport === "ask" ? "made" : "refused"}\nrefused\n` &&
  /^told$|^denied {2}getpgid .*\n.*\ndenied {2}faccessat/m.test(complained);

for (const scenario of supervised) {
  describe(`the launcher, ${scenario.name}`, () => {
    const calls = listCalls(scenario);
    for (const { place, name } of calls) seen.add(`${place} ${name}`);
    const tried = firstAndLast(ofReports(calls));

    for (const errno of [EIO, EPERM]) {
      test(`each call fails once with errno ${errno}: no denied call is made, nobody hangs, and what is lost is said`, () => {
        for (const [call, outcome] of outcomes(scenario, "fail", errno, tried)) {
          const message = `${call.name} in ${call.within}, ${call.place}: ${JSON.stringify(outcome)}`;
          assert.deepEqual([outcome.ended, outcome.left], [1, 0], message);
          assertAnswered(scenario, outcome, message);
          // With the filter alone nobody waits for the supervisor, which may have others to answer: where it ends later than
          // the program, for which it did not answer, nobody says it.
          const isAlone = scenario.transport === "attached";
          const isUnseen = isAlone && call.within === "answer" && outcome.said.includes("lost");
          if (!isUndisturbed(scenario, outcome) && call.within !== "leave" && !isUnseen)
            assert.match(outcome.complained, /^callgate: [^\n]+\n/m, message);
          // Without a program there is a step that has failed. Who has the listener or not may be gone when the program is
          // just there: it is ended then.
          const isTaken = call.within === "receive_listener" && outcome.signal === 9;
          if (outcome.said === "" && call.within !== "leave" && !isTaken)
            assertRefused(call, outcome, message);
        }
      });
    }

    test("callgate is killed at each call: nothing of it is left, and no denied call is made", () => {
      for (const [call, outcome] of outcomes(scenario, "kill", 0, tried)) {
        const message = `${call.name} in ${call.within}, ${call.place}: ${JSON.stringify(outcome)}`;
        assert.deepEqual([outcome.ended, outcome.left], [1, 0], message);
        assertAnswered(scenario, outcome, message);
      }
    });
  });
}

describe("callgate run with Node", () => {
  const home = scratchPath("home");
  for (const path of [home, join(home, "tmp")]) mkdirSync(path);
  const cli = join(root, "dist", "cli", "main.cjs");
  const inspect = (mode: "list" | "kill", input: string) =>
    spawnSync(
      supervisor,
      [mode, "0", "-1", "-1", "run", "/dev/null", "0", launcherPath, "run", process.execPath, cli].concat([
        "--fresh",
        "--policy",
        "default",
        "--read",
        here,
        "--",
        program,
      ]),
      {
        input,
        encoding: "utf8",
        env: { PATH: "/usr/bin:/bin", HOME: home, TMPDIR: join(home, "tmp") },
        cwd: here,
        maxBuffer: 1 << 28,
      },
    );

  test("it is killed while Node is at work: nothing is left, neither process nor file", () => {
    const listed = inspect("list", "").stdout;
    assert.match(listed, /"said":"runs/);
    // Whom the launcher makes first becomes Node.
    const calls = [...listed.matchAll(/^1 \d+ (\d+ \d+) /gm)].map(([, call = ""]) => call);
    assert.ok(calls.length > 100, listed);
    const moments = Array.from({ length: 6 }, (_, at) => `1 ${calls[Math.floor((at * calls.length) / 6)]}\n`);
    const killed = inspect("kill", moments.join(""))
      .stdout.split("\n")
      .filter((line) => line.startsWith("{"));
    assert.equal(killed.length, moments.length);
    for (const line of killed) {
      const { ended, left, said } = JSON.parse(line) as Outcome;
      assert.deepEqual([ended, left, said], [1, 0, ""], line);
    }
    assert.deepEqual(readdirSync(join(home, "tmp")), []);
  });
});

// ── Whether these are all calls ────────────────────────────────────────────────────────────────────────────────

/** Functions with calls that no scenario makes, and why they are no steps of a start. */
const elsewhere: Readonly<Record<string, string>> = {
  say_hidden: "a working directory that is not shown, see build.test.ts",
  end_waiting_program: "after the listener could not be handed over",
  drop_first_process: "a kept plan whose facts hold no more, see kept-plan.test.ts",
  say_notes: "a plan that was kept, see kept-plan.test.ts",
  keep_plan: "a plan that is kept, see kept-plan.test.ts",
  open_own_file: "kept plans that are nobody's own, see kept-plan.test.ts",
  open_folder: "the first plan that is kept, see kept-plan.test.ts",
  read_key: "the first plan that is kept, see kept-plan.test.ts",
  write_own_file: "a plan that is kept, see kept-plan.test.ts",
  make_key: "the first plan that is kept, see kept-plan.test.ts",
  has_content: "a plan that was kept, see kept-plan.test.ts",
  open_plainly: "a file that a kept plan rests on, see kept-plan.test.ts",
  read_kept_file: "a plan that was kept, see kept-plan.test.ts",
  write_kept: "a plan that is kept, see kept-plan.test.ts",
  say_that_nobody_is_asked: "what is said after the terminal could not be opened",
  say_that_nobody_tells: "what is said after Node could not be started",
  put_at: "a caller that has closed 0, 1 or 2, see report.test.ts",
  become_printer: "a descriptor of the caller's to tell on, see report.test.ts",
  look_for_askers: "somebody takes his time to answer, see ask-library.test.ts",
  end_readings: "a path that is held until the program's end, see attacks-reader.test.ts",
  be_reader: "more paths at once, see attacks-reader.test.ts",
  start_reading: "after a reader could not be made",
  be_helper: "a program to be that takes long, or was killed",
  nap: "what waits until something happens",
  install_notifying_filter: "an older kernel, or a listener around callgate, see report.test.ts",
  print_denial: "a reason that is too long for one line",
  leave: "the end of a process; where it is refused, an instruction that traps",
  say_and_leave: "what is said after a step has failed",
  fail_as: "the end of the other native programs",
  close_from_to: "Linux before 5.9, see launcher-front.test.ts",
  become_node: "a caller that has closed 0, 1 or 2, see launcher-front.test.ts",
  die_like_child: "after Node was killed",
  plan_from_own_file: "a file of `callgate build`, whose plan for root has its own place",
  detach_mount: "a container's, see attached-plan.test.ts",
  say_layers: "`launcher layers`",
  await_ours: "after a process of ours has failed",
  end_unstarted: "after a process of ours has failed",
  do_to_oneself: "after a stop",
  say_end: "after the program has ended",
  explain_teller: "after who tells of denials has ended too early",
  await_report: "after the program has ended",
  end_supervision: "after the program has ended",
  end_without_supervisor: "after the supervisor was killed",
  look_after: "after a process of ours was stopped by the program",
  end_everything: "after a call has failed that looks after the program",
  watch: "after the wall time",
  remove_groups: "groups with members that are still there",
  kill_members: "groups with members that are still there",
  read_members: "groups with members that are still there",
  await_list: "groups with members that are still there",
  await_keeper: "after the program has ended",
  end_members_alone: "after the keeper was killed",
  end_without_keeper: "after the keeper was killed",
  end_groups: "after the program has ended",
  has_happened: "after the program has ended",
  sweep: "groups that others have left, see limits.test.ts",
  tidy_up: "after a step has failed",
  stay_as_outer: "after the process that looks after the program has failed",
};

test("every CALL of the launcher's sources was made to fail, or is no step of a start", () => {
  const sources = new Set(["launcher.c"]);
  for (const file of sources) {
    const text = readFileSync(join(native, file), "utf8");
    for (const [, included = ""] of text.matchAll(/^#include "([\w-]+\.h)"$/gm)) sources.add(included);
  }
  assert.ok(sources.has("callers-folder.h") && sources.has("reader.h"));
  const missed: string[] = [];
  for (const file of sources) {
    let within = "";
    const lines = readFileSync(join(native, file), "utf8").split("\n");
    for (const [at, line] of lines.entries()) {
      if (line.startsWith("#define ")) continue;
      within = /^(?:\w[\w() ]* )?\**(\w+)\([^;]*\{$/.exec(line)?.[1] ?? within;
      for (const [, name = ""] of line.matchAll(/\bCALL(?:_ON_STACK)?\((\w+)/g)) {
        const place = `${file}:${at + 1}`;
        if (!seen.has(`${place} ${name}`) && !(within in elsewhere))
          missed.push(`${name} in ${within}, ${place}`);
      }
    }
  }
  assert.deepEqual(missed, []);
});
