// Every step of the launcher, seen from inside the program that it starts. Needs gcc and /bin/sh.
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodePlan, type PlanStep, planChecksum } from "../../src/sandbox/plan.ts";
import {
  architecture,
  compileC,
  filterBytes,
  isRoot,
  launch,
  launcherPath,
  numbers,
  ordinaryUser,
  planFor,
  probePath,
  type RunResult,
  refuseFilter,
  runProgram,
  scratch,
  scratchFile,
  scratchPath,
  shellPlan,
} from "./native.ts";

const noNewPrivileges: PlanStep = { kind: "noNewPrivileges" };

/** 125, one sentence that says it, and nothing on standard output. */
function assertRefused(result: RunResult, message: RegExp, status = 125): void {
  assert.match(result.stderr, message);
  assert.match(result.stderr, /^callgate: [^\n]+\n$/);
  assert.equal(result.stdout, "");
  assert.equal(result.status, status);
}

test("the program is the launcher's own process and its child of nobody else", () => {
  const result = launch(
    shellPlan([], 'echo "$$ $PPID"; read -r all < /proc/$$/task/$$/children; echo "[$all]"'),
  );
  assert.equal(result.stdout, `${result.pid} ${process.pid}\n[]\n`);
});

test("environment: kept by name and prefix, set over the caller's, the rest gone", () => {
  const steps: readonly PlanStep[] = [
    { kind: "environment", keep: ["KEPT", "LC_*", "OVER"], set: { OVER: "new", EMPTY: "" } },
  ];
  const env = { KEPT: "a=b", KEPTNOT: "x", LC_ALL: "C", LC_: "short", LC: "x", OVER: "old", SECRET: "x" };
  const result = launch(planFor(steps, "/usr/bin/env"), { env });
  assert.deepEqual(result.stdout.trim().split("\n").sort(), [
    "EMPTY=",
    "KEPT=a=b",
    "LC_=short",
    "LC_ALL=C",
    "OVER=new",
  ]);
});

test("environment: all kept", () => {
  const steps: readonly PlanStep[] = [{ kind: "environment", keep: "all", set: { B: "2" } }];
  const result = launch(planFor(steps, "/usr/bin/env"), { env: { A: "1", B: "1" } });
  assert.equal(result.stdout, "A=1\nB=2\n");
});

test("environment: without the step as it was", () => {
  assert.equal(launch(planFor([], "/usr/bin/env"), { env: { A: "1" } }).stdout, "A=1\n");
});

test("working directory: entered, and compared when asked", () => {
  const folder = scratchPath("folder with spaces");
  mkdirSync(folder);
  const { dev, ino } = statSync(folder, { bigint: true });
  const step = (device: bigint, inode: bigint): readonly PlanStep[] => [
    { kind: "workingDirectory", path: folder, identity: { device, inode } },
  ];
  assert.equal(
    launch(planFor([{ kind: "workingDirectory", path: folder }], "/bin/pwd")).stdout,
    `${folder}\n`,
  );
  assert.equal(launch(planFor(step(dev, ino), "/bin/pwd")).stdout, `${folder}\n`);
  const message = /step "working directory" failed: .*folder with spaces": it is another directory/;
  assertRefused(launch(planFor(step(dev, ino + 1n), "/bin/pwd")), message);
  assertRefused(launch(planFor(step(dev + 1n, ino), "/bin/pwd")), message);
});

test("working directory: missing, a file, or closed to the user", () => {
  const enter = (path: string) => planFor([{ kind: "workingDirectory", path }], "/bin/pwd");
  assertRefused(
    launch(enter("/no/such")),
    /"working directory" failed: openat "\/no\/such": ENOENT \(No such file/,
  );
  assertRefused(launch(enter("/bin/sh")), /ENOTDIR \(Not a directory\)/);
  assertRefused(launch(enter("/no\n\u001b[31m")), /"\/no\?\?\[31m"/);
  const closed = scratchPath("closed");
  mkdirSync(closed, { mode: 0o700 });
  if (isRoot)
    assertRefused(launch(enter(closed), ordinaryUser), /fchdir "[^"]+closed": EACCES \(Permission denied\)/);
});

test("terminal: a session of its own", () => {
  const plan = shellPlan(
    [{ kind: "terminal", newSession: true }],
    'read -r a b c d e session g < /proc/$$/stat; echo "$session $$"',
  );
  const [session, pid] = launch(plan).stdout.trim().split(" ");
  assert.equal(session, pid);
  assertRefused(
    launch(plan, { detached: true }),
    /step "terminal" failed: setsid: EPERM .*leads a process group/,
  );
});

test("no new privileges", () => {
  const line =
    "while read -r key value; do case $key in NoNewPrivs:) echo $value;; esac; done < /proc/$$/status";
  assert.equal(launch(shellPlan([], line)).stdout, "0\n");
  assert.equal(launch(shellPlan([noNewPrivileges], line)).stdout, "1\n");
});

test("descriptors: all above 2 are closed but those kept", () => {
  const line = "for d in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$d ] && printf %s $d; done; echo";
  const descriptors = ["4", "5", "6", "7", "8", "9"];
  const open = (steps: readonly PlanStep[]) => launch(shellPlan(steps, line), { descriptors }).stdout;
  assert.equal(open([]), "012456789\n", "the plan's own descriptor 3 is always closed");
  assert.equal(open([{ kind: "closeDescriptors", keep: [] }]), "012\n");
  assert.equal(open([{ kind: "closeDescriptors", keep: [5, 8, 9] }]), "012589\n");
  assert.equal(open([{ kind: "closeDescriptors", keep: [3, 2 ** 31 - 1] }]), "012\n");
});

// Blocks and ignores signals, then becomes the program named by its arguments.
const withSignals = compileC(
  "with-signals",
  `#include <signal.h>
   #include <stdlib.h>
   #include <unistd.h>
   int main(int argc, char **argv) {
     sigset_t all;
     sigfillset(&all);
     sigprocmask(SIG_SETMASK, &all, NULL);
     for (int i = 1; i < 65; i++) signal(i, SIG_IGN);
     execv(argv[1], argv + 1);
     return 99;
   }`,
);

test("signals: dispositions and mask are the defaults, but those that the caller wanted ignored", () => {
  const line =
    "while read -r key value; do case $key in SigBlk:|SigIgn:) echo $value;; esac; done < /proc/$$/status";
  const run = (keepIgnored: readonly number[]) =>
    runProgram(withSignals, {
      args: [launcherPath, "plan"],
      descriptors: [encodePlan(shellPlan([{ kind: "signals", keepIgnored }], line))],
    }).stdout;
  assert.equal(run([]), "0000000000000000\n0000000000000000\n");
  assert.equal(run([1, 2, 3, 64]), "0000000000000000\n8000000000000007\n");
});

test("signals: what was not ignored does not become so", () => {
  const line = "while read -r key value; do case $key in SigIgn:) echo $value;; esac; done < /proc/$$/status";
  const everything = Array.from({ length: 64 }, (_, i) => i + 1);
  assert.equal(
    launch(shellPlan([{ kind: "signals", keepIgnored: everything }], line)).stdout,
    "0000000000000000\n",
  );
});

test("signals: trap '' HUP stays", () => {
  const plan = scratchFile(
    "plan",
    encodePlan(shellPlan([{ kind: "signals", keepIgnored: [1] }], "kill -HUP $$; echo alive")),
  );
  const outer = runProgram("/bin/sh", { args: ["-c", `trap '' HUP; exec ${launcherPath} plan 3<${plan}`] });
  assert.equal(outer.stdout, "alive\n");
  const without = runProgram("/bin/sh", { args: ["-c", `exec ${launcherPath} plan 3<${plan}`] });
  assert.equal(without.signal, "SIGHUP");
});

test("filter: a refused call fails with the filter's errno", () => {
  const steps: readonly PlanStep[] = [
    noNewPrivileges,
    { kind: "filter", bytes: refuseFilter(numbers.uname, 77) },
  ];
  const result = launch(planFor(steps, "/bin/uname"));
  assert.match(result.stderr, /File descriptor in bad state/); // 77 is EBADFD
  assert.equal(result.status, 1);
  assert.equal(launch(planFor([], "/bin/uname")).status, 0);
});

test("filter: several, all in force", () => {
  const steps: readonly PlanStep[] = [
    noNewPrivileges,
    { kind: "filter", bytes: refuseFilter(numbers.uname, 77) },
    { kind: "filter", bytes: refuseFilter(numbers.uname + 10_000, 77) },
  ];
  const result = launch(
    shellPlan(
      steps,
      "uname; while read -r k v; do case $k in Seccomp_filters:) echo $v;; esac; done < /proc/$$/status",
    ),
  );
  assert.match(result.stderr, /File descriptor in bad state/);
  assert.equal(result.stdout, "2\n");
});

test("filter: an earlier one that refuses seccomp stops the start", () => {
  const first: PlanStep = { kind: "filter", bytes: refuseFilter(numbers.seccomp, 1) };
  assertRefused(
    launch(shellPlan([noNewPrivileges, first, first], "echo runs")),
    /step "filter" failed: seccomp.*EPERM .*installed before it refuses/,
  );
});

test("filter: one that the kernel does not accept", () => {
  const endless = filterBytes([[0x05, 0, 0, 7]]);
  assertRefused(
    launch(shellPlan([noNewPrivileges, { kind: "filter", bytes: endless }], "echo runs")),
    /"filter".*EINVAL/,
  );
});

test("filter: an ordinary user needs no_new_privs, and then no more", {
  skip: !isRoot && "needs root",
}, () => {
  const step: PlanStep = { kind: "filter", bytes: refuseFilter(numbers.uname, 77) };
  assertRefused(
    launch(planFor([step], "/bin/uname"), ordinaryUser),
    /EACCES .*CAP_SYS_ADMIN.*"no new privileges"/,
  );
  assert.match(launch(planFor([noNewPrivileges, step], "/bin/uname"), ordinaryUser).stderr, /bad state/);
  assert.match(launch(planFor([step], "/bin/uname")).stderr, /bad state/);
});

// ── The launch key ─────────────────────────────────────────────────────────────────────────────────────────────

// execve only with the key; everything else is allowed.
const keyed: PlanStep = {
  kind: "filter",
  bytes: filterBytes([
    [0x20, 0, 0, 0],
    [0x15, 0, 12, numbers.execve],
    ...[40, 44, 48, 52, 56, 60].flatMap(
      (offset, word): readonly (readonly [number, number, number, number])[] => [
        [0x20, 0, 0, offset],
        [0x15, 0, 11 - 2 * word, 0],
      ],
    ),
    [0x06, 0, 0, 0x7fff0000],
    [0x06, 0, 0, 0x00050000 | 77],
  ]),
  patches: [0, 1, 2, 3, 4, 5].map((word) => ({ instruction: 3 + 2 * word, word })),
};

test("launch key: the program starts and cannot execute another", () => {
  const result = launch(shellPlan([noNewPrivileges, keyed], "echo started; exec /bin/echo again"));
  assert.equal(result.stdout, "started\n");
  assert.match(result.stderr, /bad state/);
  assert.equal(result.status, 126);
});

test("launch key: a forked child cannot either", () => {
  const result = launch(shellPlan([noNewPrivileges, keyed], "(/bin/echo again); echo $?"));
  assert.equal(result.stdout, "126\n");
});

test("launch key: without it the same filter lets nothing start", () => {
  const steps: readonly PlanStep[] = [noNewPrivileges, { ...keyed, patches: [{ instruction: 3, word: 0 }] }];
  assertRefused(launch(shellPlan(steps, "echo runs")), /cannot execute "\/bin\/sh": error 77/, 126);
});

test("launch key: its registers are zero in the program", () => {
  const program = compileC(
    "registers",
    `void _start(void);
     #ifdef __x86_64__
     __asm__(".globl _start\\n_start: mov %r10,%rdi\\n or %r8,%rdi\\n or %r9,%rdi\\n"
             "test %rdi,%rdi\\n setnz %dil\\n movzbl %dil,%edi\\n mov $231,%eax\\n syscall\\n");
     #else
     __asm__(".globl _start\\n_start: orr x0,x3,x4\\n orr x0,x0,x5\\n cmp x0,#0\\n cset w0,ne\\n mov x8,#94\\n svc 0\\n");
     #endif`,
    ["-nostdlib", "-static"],
  );
  assert.equal(launch(planFor([noNewPrivileges, keyed], program)).status, 0);
});

test("launch key: the program is dumpable again", () => {
  const line = "exec 3< /proc/$$/environ && echo readable";
  const options = isRoot ? ordinaryUser : {};
  assert.equal(launch(shellPlan([noNewPrivileges, keyed], line), options).stdout, "readable\n");
});

test("a filter that forbids even leaving: the launcher traps", () => {
  const nothing = filterBytes([[0x06, 0, 0, 0x00050000 | 1]]);
  const result = launch(shellPlan([noNewPrivileges, { kind: "filter", bytes: nothing }], "echo runs"));
  assert.match(result.signal ?? "", /^SIG(ILL|TRAP)$/);
  assert.equal(result.stdout, "");
});

// ── How it ends ────────────────────────────────────────────────────────────────────────────────────────────────

test("the program's status and signal are its own", () => {
  assert.equal(launch(shellPlan([], "exit 7")).status, 7);
  assert.equal(launch(shellPlan([], "kill -TERM $$")).signal, "SIGTERM");
  const plan = scratchFile("plan", encodePlan(shellPlan([], "kill -KILL $$")));
  const seen = runProgram("/bin/sh", { args: ["-c", `${launcherPath} plan 3<${plan}; echo $?`] });
  assert.equal(seen.stdout, "137\n");
});

test("126 and 127, with the reason", () => {
  const refused = (path: string, status: number, message: RegExp) =>
    assertRefused(
      launch(planFor([noNewPrivileges, { kind: "filter", bytes: refuseFilter(numbers.uname, 77) }], path)),
      message,
      status,
    );
  refused("/no/such", 127, /^callgate: cannot execute "\/no\/such": ENOENT \(No such file or directory\)\n$/);
  refused(
    scratchFile("script", "#!/no/interpreter\n", 0o755),
    127,
    /ENOENT .*the file is there, but not the interpreter/,
  );
  refused(scratchFile("plain", "echo hi\n", 0o755), 126, /ENOEXEC .*no #! line.*`callgate run -- sh FILE`/);
  refused(
    scratchFile("plain", "echo hi\n", 0o644),
    126,
    /EACCES \(Permission denied\): .*not marked executable/,
  );
  refused(scratch(), 126, /EACCES .*it is a directory/);
  refused("/bin/sh/x", 127, /ENOTDIR/);
  refused(`/${"x".repeat(5000)}`, 126, /ENAMETOOLONG/);
});

test("arguments: empty ones, many, too many", () => {
  const count = (...args: readonly string[]) =>
    launch(planFor([], "/bin/sh", "-c", "echo $#", "sh", ...args));
  assert.equal(count("", "", "a b").stdout, "3\n");
  assert.equal(count(...Array<string>(20_000).fill("x")).stdout, "20000\n");
  assertRefused(count("x".repeat(200_000)), /E2BIG .*too long/, 126);
});

test("a reader of messages that is gone: still 125", () => {
  const plan = scratchFile(
    "plan",
    encodePlan(planFor([{ kind: "workingDirectory", path: "/no/such" }], "/bin/true")),
  );
  const line = `exec 5>&1; { sleep 0.2; ${launcherPath} plan 3<${plan} 2>&1; echo $? >&5; } | true`;
  assert.equal(runProgram("/bin/bash", { args: ["-c", line] }).stdout, "125\n");
});

// ── Plans that are not valid ───────────────────────────────────────────────────────────────────────────────────

const witness = join(scratch(), "it-ran");
const touch = encodePlan(
  planFor([noNewPrivileges, { kind: "closeDescriptors", keep: [] }], "/usr/bin/touch", witness),
);

/** A plan of any steps at all, with a right checksum unless the header is changed after. */
function rawPlan(
  steps: readonly (readonly [number, Uint8Array])[],
  change: (view: DataView) => void = () => {},
): Uint8Array {
  const parts = steps.flatMap(([kind, payload]) => {
    const head = new Uint8Array(8);
    new DataView(head.buffer).setUint32(0, kind, true);
    new DataView(head.buffer).setUint32(4, payload.length, true);
    return [head, payload, new Uint8Array((8 - (payload.length % 8)) % 8)];
  });
  const bytes = new Uint8Array(Buffer.concat([new Uint8Array(40), ...parts]));
  const view = new DataView(bytes.buffer);
  bytes.set(touch.subarray(0, 40));
  view.setUint32(12, bytes.length, true);
  view.setUint32(16, steps.length, true);
  change(view);
  const [low, high] = planChecksum(bytes);
  view.setUint32(24, low, true);
  view.setUint32(28, high, true);
  return bytes;
}

const words = (...values: readonly number[]): Uint8Array => new Uint8Array(new Uint32Array(values).buffer);
const join8 = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const touchStep: readonly [number, Uint8Array] = [
  170,
  join8(words(2, 0), text(`/usr/bin/touch\0touch\0${witness}\0`)),
];
const jeq = filterBytes([[0x15, 0, 0, 0]]);
const ret = filterBytes([[0x06, 0, 0, 0x7fff0000]]);

test("the plan of these tests runs when it is left as it is", () => {
  const file = join(scratch(), "control");
  const control = encodePlan(planFor([noNewPrivileges], "/usr/bin/touch", file));
  assert.equal(launch(control).status, 0);
  assert.ok(existsSync(file));
  assert.deepEqual(rawPlan([[120, new Uint8Array()], touchStep]).length % 8, 0);
});

test("cut off at every length", () => {
  for (let length = 0; length < touch.length; length += 1) {
    const result = launch(touch.subarray(0, length));
    assertRefused(result, /the plan is not valid, nothing was started: /);
  }
  assert.ok(!existsSync(witness));
});

test("every byte changed", () => {
  for (let at = 0; at < touch.length; at += 1) {
    const changed = touch.slice();
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    assertRefused(launch(changed), /the plan is not valid/);
  }
  assert.ok(!existsSync(witness));
});

test("more bytes than the plan has", () => {
  assertRefused(launch(join8(touch, new Uint8Array(8))), /its length is not what its header says/);
  assertRefused(launch(new Uint8Array(5 << 20)), /the plan is too large/);
  assertRefused(launch(new Uint8Array((4 << 20) + 1)), /the plan is too large/);
  assert.ok(!existsSync(witness));
});

const invalid: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ["magic", rawPlan([touchStep], (view) => view.setUint8(0, 67)), /does not begin as a plan/],
  ["version", rawPlan([touchStep], (view) => view.setUint32(8, 2, true)), /version is not 1/],
  [
    "architecture",
    rawPlan([touchStep], (view) => view.setUint32(20, 0x40000003, true)),
    /another architecture/,
  ],
  ["reserved", rawPlan([touchStep], (view) => view.setUint32(36, 1, true)), /reserved field/],
  ["more steps", rawPlan([touchStep], (view) => view.setUint32(16, 2, true)), /after the program's start/],
  ["fewer steps", rawPlan([touchStep], (view) => view.setUint32(16, 0, true)), /bytes after its last step/],
  [
    "steps without end",
    rawPlan([[120, new Uint8Array()]], (v) => v.setUint32(16, 0xffffffff, true)),
    /ends inside a step/,
  ],
  ["no program", rawPlan([[120, new Uint8Array()]]), /it starts no program/],
  ["no step", rawPlan([]), /it starts no program/],
  ["wrong order", rawPlan([[140, words(0)], [120, new Uint8Array()], touchStep]), /not in their order/],
  [
    "a step twice",
    rawPlan([[120, new Uint8Array()], [120, new Uint8Array()], touchStep]),
    /not in their order/,
  ],
  ["two programs", rawPlan([touchStep, touchStep]), /after the program's start/],
  ["unknown kind", rawPlan([[85, new Uint8Array()], touchStep]), /does not know: .*different versions/],
  ["kind 0", rawPlan([[0, new Uint8Array()], touchStep]), /not in their order/],
  ["payload too long", rawPlan([[120, words(0)], touchStep]), /longer than what it holds/],
  ["payload too short", rawPlan([[150, words(0)], touchStep]), /shorter than what it must hold/],
  [
    "payload past the end",
    rawPlan([touchStep], (view) => view.setUint32(44, 0xfffffff0, true)),
    /ends inside a step/,
  ],
  [
    "string without NUL",
    rawPlan([[170, join8(words(2, 0), text("/bin/true\0true\0x"))]]),
    /a string in it has no end/,
  ],
  ["padding", rawPlan([touchStep], (v) => v.setUint8(v.byteLength - 1, 1)), /padding|longer|no end/],
  ["argc 0", rawPlan([[170, join8(words(0, 0), text("/bin/true\0"))]]), /no arguments/],
  [
    "argc too large",
    rawPlan([[170, join8(words(0xffffffff, 0), text("/bin/true\0"))]]),
    /too many arguments/,
  ],
  ["execute flags", rawPlan([[170, join8(words(1, 4), text("/bin/true\0true\0"))]]), /unknown flags/],
  ["key without place", rawPlan([[170, join8(words(1, 1), text("/bin/true\0true\0"))]]), /not by both/],
  [
    "place without key",
    rawPlan([[160, join8(words(0, 1, 1, 0), words(0, 0), jeq)], touchStep]),
    /not by both/,
  ],
  ["filter flags", rawPlan([[160, join8(words(8, 0, 1, 0), ret)], touchStep]), /unknown flags/],
  ["empty filter", rawPlan([[160, words(0, 0, 0, 0)], touchStep]), /no instruction/],
  [
    "4097 instructions",
    rawPlan([[160, join8(words(0, 0, 4097, 0), new Uint8Array(4097 * 8))], touchStep]),
    /more than 4096/,
  ],
  ["filter cut", rawPlan([[160, join8(words(0, 0, 2, 0), ret)], touchStep]), /shorter/],
  [
    "place out of range",
    rawPlan([[160, join8(words(0, 1, 1, 0), words(1, 0), jeq)], touchStep]),
    /outside its filter/,
  ],
  [
    "place for no word",
    rawPlan([[160, join8(words(0, 1, 1, 0), words(0, 6), jeq)], touchStep]),
    /does not have/,
  ],
  [
    "place not a JEQ",
    rawPlan([[160, join8(words(0, 1, 1, 0), words(0, 0), ret)], touchStep]),
    /not a comparison/,
  ],
  [
    "17 filters",
    rawPlan([...Array(17).fill([160, join8(words(0, 0, 1, 0), ret)]), touchStep]),
    /too many filters/,
  ],
  ["keep descriptor 2", rawPlan([[140, words(1, 2)], touchStep]), /not ascending from 3/],
  ["descending descriptors", rawPlan([[140, words(2, 9, 5)], touchStep]), /not ascending/],
  ["too many descriptors", rawPlan([[140, words(0x40000001)], touchStep]), /too many descriptors/],
  ["terminal flags", rawPlan([[100, words(2)], touchStep]), /terminal step has unknown flags/],
  [
    "keep all and some",
    rawPlan([[80, join8(words(1, 1, 0, 0), text("A\0"))], touchStep]),
    /keeps all and names some/,
  ],
  ["keep =", rawPlan([[80, join8(words(0, 1, 0, 0), text("A=\0"))], touchStep]), /with = in it/],
  ["keep nothing", rawPlan([[80, join8(words(0, 1, 0, 0), text("\0"))], touchStep]), /without a name/],
  ["set no =", rawPlan([[80, join8(words(0, 0, 1, 0), text("A\0"))], touchStep]), /not NAME=VALUE/],
  ["set no name", rawPlan([[80, join8(words(0, 0, 1, 0), text("=A\0"))], touchStep]), /not NAME=VALUE/],
  ["4097 variables", rawPlan([[80, words(0, 4097, 0, 0)], touchStep]), /too many variables/],
  ["working directory cut", rawPlan([[90, words(0, 0, 0, 0)], touchStep]), /shorter|no end/],
];

for (const [name, bytes, message] of invalid) {
  test(`not valid: ${name}`, () => {
    assertRefused(launch(bytes), message);
    assert.ok(!existsSync(witness));
  });
}

// ── How it is started ──────────────────────────────────────────────────────────────────────────────────────────

test("it says who starts it", () => {
  const message = /is a part of callgate and is started by it/;
  for (const args of [[], ["plan", "x"], ["run"], ["run", "node"], ["--help"], ["planx"], ["pla"]]) {
    assertRefused(runProgram(launcherPath, { args }), message);
  }
  assertRefused(runProgram(launcherPath, { args: ["plan"] }), /descriptor 3 is not open/);
});

test("it refuses to be set-user-id or set-group-id", { skip: !isRoot && "needs root" }, () => {
  for (const mode of [0o4755, 0o2755]) {
    const copy = scratchPath("launcher");
    copyFileSync(launcherPath, copy);
    chmodSync(copy, mode);
    const result = runProgram(copy, { args: ["plan"], descriptors: [touch], ...ordinaryUser });
    assertRefused(result, /must not be set-user-id, set-group-id/);
  }
  assert.ok(!existsSync(witness));
});

test("the probe: what works without a policy fails under one", () => {
  const free = runProgram(probePath, { args: ["personality"] });
  assert.deepEqual([free.stdout, free.status], ["personality: ok\n", 0]);
  const number = architecture === "x86_64" ? 135 : 92;
  const steps: readonly PlanStep[] = [noNewPrivileges, { kind: "filter", bytes: refuseFilter(number, 1) }];
  const refused = launch(planFor(steps, probePath, "personality"));
  assert.deepEqual([refused.stdout, refused.status], ["personality: EPERM (Operation not permitted)\n", 1]);
});
