// `launcher run NODE CLI ARGUMENT…` with scripts in Node's place, and bin/callgate in front of it.
// Needs gcc, /bin/sh, and for the terminal python3 and bash.
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { encodePlan, type PlanStep } from "../../src/sandbox/plan.ts";
import {
  architecture,
  compileC,
  launcherPath,
  planFor,
  type RunOptions,
  refuseFilter,
  root,
  runProgram,
  scratchFile,
  scratchPath,
  shellPlan,
} from "./native.ts";

const signals: PlanStep = { kind: "signals", keepIgnored: [1, 2, 3] };

/** A script in Node's place. */
const fakeNode = (...lines: readonly string[]): string =>
  scratchFile("node", `#!/bin/sh\n${lines.join("\n")}\n`, 0o755);

/** A script in Node's place that writes this plan. */
function writer(line: string, steps: readonly PlanStep[] = [signals]): string {
  const plan = scratchFile("plan", encodePlan(shellPlan(steps, line)));
  return fakeNode(`exec cat ${plan} >&3`);
}

const front = (node: string, options: RunOptions = {}) =>
  runProgram(launcherPath, { ...options, args: ["run", node, "cli.js", ...(options.args ?? [])] });

test("Node gets CLI, run and the arguments, a pipe on descriptor 3, and the layers on its standard input", () => {
  const node = fakeNode(
    'printf "[%s]" "$@"; echo',
    "[ -p /proc/$$/fd/3 ] && echo pipe",
    'while read -r name value; do case $value in *[!0-9]*|"") echo wrong;; esac; printf "%s " "$name"; done; echo',
    "for d in 4 5 6 7 8 9; do [ -e /proc/$$/fd/$d ] && [ ! /proc/$$/fd/$d -ef $0 ] && echo $d is open; done",
    "echo $A",
  );
  const result = front(node, {
    args: ["--policy", "a b", "", "--", "x"],
    env: { A: "environment" },
    descriptors: ["3", "4", "5"],
  });
  assert.equal(
    result.stdout,
    "[cli.js][run][--policy][a b][][--][x]\npipe\nlandlock namespaces proc \nenvironment\n",
  );
  assert.equal(result.status, 0, "no plan and success: there was nothing to start");
});

test("the plan's program replaces the launcher; nothing of Node is left", () => {
  const node = writer('echo "$$ $PPID"; read -r all < /proc/$$/task/$$/children; echo "[$all]"');
  const result = front(node);
  assert.equal(result.stdout, `${result.pid} ${process.pid}\n[]\n`);
});

test("standard input is the program's, all of it", () => {
  assert.equal(front(writer("exec cat"), { input: "hi\nthere\n" }).stdout, "hi\nthere\n");
  // Node has another one.
  assert.doesNotMatch(front(fakeNode("cat"), { input: "hi\n" }).stdout, /hi/);
  assert.equal(front(writer("exec cat"), { input: "hi\n" }).stdout, "hi\n");
});

test("the caller's descriptors reach the program", () => {
  assert.equal(front(writer("cat <&4; cat <&3"), { descriptors: ["three", "four"] }).stdout, "fourthree");
});

test("callers that closed 0, 1 and 2", () => {
  const node = writer("for d in 0 1 2 3 4 5; do [ -e /proc/$$/fd/$d ] && printf %s $d >&9; done; echo >&9");
  for (const [closed, left] of [
    ["<&-", "129"],
    [">&-", "029"],
    ["2>&-", "019"],
    ["<&- >&- 2>&-", "9"],
  ] as const) {
    const line = `exec 9>&1; ${launcherPath} run ${node} cli ${closed}; echo $? >&9`;
    assert.equal(
      runProgram("/bin/bash", { args: ["-c", line] }).stdout,
      `${left.replace("9", "")}\n0\n`,
      closed,
    );
  }
});

test("a caller that ignores SIGCHLD, and keeps ignoring it", () => {
  const steps: readonly PlanStep[] = [{ kind: "signals", keepIgnored: [17] }];
  const plan = scratchFile("plan", encodePlan(planFor(steps, "/bin/grep", "SigIgn", "/proc/self/status")));
  const node = fakeNode(`exec cat ${plan} >&3`);
  const ignoring = compileC(
    "ignoring",
    "#include <signal.h>\n#include <unistd.h>\nint main(int c, char **v) { signal(SIGCHLD, SIG_IGN); execv(v[1], v + 1); return 99; }",
  );
  const result = runProgram(ignoring, { args: [launcherPath, "run", node, "cli"] });
  assert.equal(result.stdout, "SigIgn:\t0000000000010000\n");
  assert.equal(result.status, 0);
});

test("Node's failure is the launcher's, whatever it wrote; statuses of Node's own become 125", () => {
  const plan = scratchFile("plan", encodePlan(shellPlan([], "echo runs")));
  for (const status of [1, 2, 9, 125, 126, 127]) {
    const expected = status === 126 || status === 127 ? status : 125;
    const silent = front(fakeNode(`echo why >&2; exit ${status}`));
    assert.deepEqual([silent.status, silent.stdout, silent.stderr], [expected, "", "why\n"]);
    const written = front(fakeNode(`cat ${plan} >&3; exit ${status}`));
    assert.deepEqual([written.status, written.stdout, written.stderr], [expected, "", ""]);
  }
});

test("Node killed: by a user's signal the launcher dies too, else 125", () => {
  for (const name of ["INT", "TERM", "QUIT", "HUP"]) {
    const result = front(fakeNode(`kill -${name} $$; sleep 1`));
    assert.deepEqual([result.signal, result.stdout, result.stderr], [`SIG${name}`, "", ""]);
  }
  const plan = scratchFile("plan", encodePlan(shellPlan([], "echo runs")));
  const result = front(fakeNode(`cat ${plan} >&3; kill -KILL $$`));
  assert.deepEqual(
    [result.status, result.stdout, result.stderr],
    [125, "", "callgate: Node was killed by signal 9 while it prepared the start, nothing was started\n"],
  );
});

test("Node that writes nonsense, too much, half a plan, or cannot be started", () => {
  const half = scratchFile("half", encodePlan(shellPlan([], "echo runs")).subarray(0, 80));
  for (const [node, message] of [
    [fakeNode("echo nonsense >&3"), /the plan is not valid.*ends inside its header/],
    [fakeNode("head -c 1000 /dev/urandom >&3"), /the plan is not valid.*does not begin as a plan/],
    [fakeNode("head -c 5242880 /dev/zero >&3"), /the plan is too large/],
    [fakeNode(`cat ${half} >&3`), /the plan is not valid.*its length/],
    ["/no/node", /step "start Node" failed: execve "\/no\/node": ENOENT/],
    ["/", /step "start Node" failed: execve "\/": EACCES/],
  ] as const) {
    const result = front(node);
    assert.match(result.stderr, message);
    assert.match(result.stderr, /^callgate: [^\n]+\n$/);
    assert.deepEqual([result.status, result.stdout], [125, ""]);
  }
});

test("Node does not outlive the launcher", () => {
  const started = scratchPath("started");
  const node = fakeNode(`exec 3>&-; echo $$ > ${started}.new; mv ${started}.new ${started}; exec sleep 1000`);
  // One that has ended may stay in the list of processes: nobody has to reap it.
  const line = `${launcherPath} run ${node} cli & until [ -e ${started} ]; do sleep 0.01; done; kill -KILL $!; wait
    read -r pid < ${started}
    for i in {1..1200}; do { grep -q '^State:.[^ZX]' /proc/$pid/status; } 2>/dev/null || { echo gone; exit; }; sleep 0.05; done
    kill -KILL $pid`;
  assert.equal(runProgram("/bin/bash", { args: ["-c", line] }).stdout, "gone\n");
});

// ── Every call of the launcher made to fail ────────────────────────────────────────────────────────────────────

// deny NUMBER ERRNO PROGRAM ARGUMENT…: becomes the program under a filter that fails one call. Its own execve passes
// by a mark in an unused argument register.
const deny = compileC(
  "deny",
  `#define _GNU_SOURCE
   #include <linux/filter.h>
   #include <linux/seccomp.h>
   #include <stdlib.h>
   #include <sys/prctl.h>
   #include <sys/syscall.h>
   #include <unistd.h>
   extern char **environ;
   int main(int argc, char **argv) {
     struct sock_filter code[] = {
       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, atoi(argv[1]), 0, 3),
       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 56),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x51515151, 1, 0),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(argv[2])),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
     };
     struct sock_fprog program = {6, code};
     prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
     if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return 98;
     syscall(SYS_execve, argv[3], argv + 3, environ, 0, 0, 0x51515151);
     return 99;
   }`,
);

const call = (x86: number, arm: number): number => (architecture === "x86_64" ? x86 : arm);
const calls = {
  read: call(0, 63),
  fstat: call(5, 80),
  rt_sigaction: call(13, 134),
  rt_sigprocmask: call(14, 135),
  clone: call(56, 220),
  execve: call(59, 221),
  wait4: call(61, 260),
  fchdir: call(81, 50),
  setsid: call(112, 157),
  prctl: call(157, 167),
  openat: call(257, 56),
  dup3: call(292, 24),
  pipe2: call(293, 59),
  seccomp: call(317, 277),
  getrandom: call(318, 278),
  close_range: 436,
} as const;

const everyStep: readonly PlanStep[] = [
  { kind: "environment", keep: "all", set: {} },
  { kind: "workingDirectory", path: "/", identity: { device: 0n, inode: 1n } },
  { kind: "terminal", newSession: true },
  { kind: "noNewPrivileges" },
  { kind: "closeDescriptors", keep: [] },
  { kind: "signals", keepIgnored: [1] },
  { kind: "filter", bytes: refuseFilter(-1, 1).fill(0, 8, 8) },
];
const plainDirectory: PlanStep = { kind: "workingDirectory", path: "/" };
const withoutIdentity = everyStep.map((step) => (step.kind === "workingDirectory" ? plainDirectory : step));

/** `launcher plan` under a filter that fails one call. */
function launchUnder(number: number, errno: number, steps: readonly PlanStep[]) {
  return runProgram(deny, {
    args: [String(number), String(errno), launcherPath, "plan"],
    descriptors: [encodePlan(shellPlan(steps, "echo runs"))],
  });
}

test("fault injection, control: without a fault everything is carried out", () => {
  assert.equal(launchUnder(9999, 1, withoutIdentity).stdout, "runs\n");
});

for (const [name, step] of [
  ["read", "read the plan"],
  ["openat", "working directory"],
  ["fchdir", "working directory"],
  ["setsid", "terminal"],
  ["prctl", "no new privileges"],
  ["close_range", "close descriptors"],
  ["rt_sigaction", "signals"],
  ["rt_sigprocmask", "signals"],
  ["seccomp", "filter"],
] as const) {
  test(`fault injection: ${name} fails in "${step}"`, () => {
    const result = launchUnder(calls[name], 1, withoutIdentity);
    assert.equal(
      result.stderr.replace(/\(PR_\w+\)|\(SECCOMP_\w+\)| "\/"/, "").replace(/(permitted\)).*/, "$1"),
      `callgate: set-up step "${step}" failed: ${name}: EPERM (Operation not permitted)\n`,
    );
    assert.deepEqual([result.status, result.stdout], [125, ""]);
  });
}

test("fault injection: fstat fails in a comparison of directories", () => {
  const result = launchUnder(calls.fstat, 1, everyStep);
  assert.match(result.stderr, /step "working directory" failed: fstat "\/": EPERM/);
  assert.deepEqual([result.status, result.stdout], [125, ""]);
});

test("fault injection: getrandom, and the prctl before it, fail for the launch key", () => {
  const bytes = refuseFilter(9999, 1);
  const steps: readonly PlanStep[] = [{ kind: "filter", bytes, patches: [{ instruction: 1, word: 0 }] }];
  assert.match(launchUnder(calls.getrandom, 1, steps).stderr, /step "launch key" failed: getrandom: EPERM/);
  assert.match(
    launchUnder(calls.prctl, 1, steps).stderr,
    /step "launch key" failed: prctl\(PR_SET_DUMPABLE\): EPERM/,
  );
  assert.equal(launchUnder(calls.getrandom, 1, steps).status, 125);
});

test("fault injection: a kernel without close_range", () => {
  const line = "for d in 3 4 5 9; do [ -e /proc/$$/fd/$d ] && printf %s $d; done; echo";
  const result = runProgram(deny, {
    args: ["436", "38", launcherPath, "plan"],
    descriptors: [
      encodePlan(shellPlan([{ kind: "closeDescriptors", keep: [5] }], line)),
      "4",
      "5",
      "6",
      "7",
      "8",
      "9",
    ],
  });
  assert.equal(result.stdout, "5\n");
});

test("fault injection: a kernel without seccomp", () => {
  for (const errno of [38, 22]) {
    const result = launchUnder(calls.seccomp, errno, withoutIdentity);
    assert.match(result.stderr, /step "filter" failed: seccomp.*has no seccomp filters/);
    assert.deepEqual([result.status, result.stdout], [125, ""]);
  }
});

test("fault injection: execve fails", () => {
  const result = launchUnder(calls.execve, 1, withoutIdentity);
  assert.match(result.stderr, /cannot execute "\/bin\/sh": EPERM \(Operation not permitted\)/);
  assert.deepEqual([result.status, result.stdout], [126, ""]);
});

for (const name of ["rt_sigaction", "pipe2", "clone", "wait4", "prctl", "dup3", "execve"] as const) {
  test(`fault injection, front: ${name} fails`, () => {
    const node = writer("echo runs");
    const result = runProgram(deny, {
      args: [String(calls[name]), "1", launcherPath, "run", node, "cli"],
    });
    assert.match(
      result.stderr,
      new RegExp(`^callgate: set-up step "start Node" failed: ${name}.*EPERM[^\\n]+\\n$`),
    );
    assert.deepEqual([result.status, result.stdout], [125, ""]);
  });
}

// ── A real terminal ────────────────────────────────────────────────────────────────────────────────────────────

// Drives an interactive bash in a pseudo-terminal: argv is pairs of (what to type, what must appear after it).
const typist = scratchFile(
  "typist.py",
  `import os, pty, select, sys, time, termios
steps = [s.encode().decode("unicode_escape").encode() for s in sys.argv[1:]]
pid, master = pty.fork()
if pid == 0:
    os.environ["PS1"] = "ready> "
    os.execvp("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])
seen = b""
def wait_for(what):
    global seen
    end = time.time() + 60
    while what not in seen:
        if not select.select([master], [], [], max(0, end - time.time()))[0]:
            sys.exit("waited for %r, saw %r" % (what, seen))
        try:
            seen += os.read(master, 4096)
        except OSError:
            sys.exit("ended before %r, saw %r" % (what, seen))
    seen = seen[seen.index(what) + len(what):]
wait_for(b"ready> ")
for typed, expected in zip(steps[::2], steps[1::2]):
    if typed == b"NOECHO":
        modes = termios.tcgetattr(master)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(master, termios.TCSANOW, modes)
    else:
        os.write(master, typed)
    if expected:
        wait_for(expected)
print("all seen")
os.close(master)
`,
);

function inTerminal(...steps: readonly string[]): void {
  const result = runProgram("python3", { args: [typist, ...steps] });
  assert.equal(result.stderr, "");
  assert.equal(result.stdout, "all seen\n");
}

test("terminal: Ctrl-C reaches the program, and the shell sees 130", () => {
  const node = writer("echo up; exec sleep 100");
  inTerminal(
    `${launcherPath} run ${node} cli\n`,
    "up\r",
    "\\x03",
    "ready> ",
    "echo status=$?\n",
    "status=130",
  );
});

test("terminal: a program that handles Ctrl-C itself", () => {
  const node = writer("trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.1; done");
  inTerminal(`${launcherPath} run ${node} cli\n`, "up\r", "\\x03", "caught", "echo status=$?\n", "status=9");
});

test("terminal: Ctrl-Z stops it and fg continues it", () => {
  const node = writer("echo up; exec cat");
  inTerminal(
    ...[`${launcherPath} run ${node} cli\n`, "up\r", "one\n", "one\r\none\r"],
    // A line that is typed before the prompt is there stands in the middle of what comes.
    ...["\\x1a", "Stopped", "", "ready> ", "jobs -l\n", "cli\r\n", "", "ready> "],
    ...["fg\n", "cli\r\n", "two\n", "two\r\ntwo\r"],
    ...["\\x04", "ready> ", "echo status=$?\n", "status=0"],
  );
});

test("terminal: a program that ignores Ctrl-Z", () => {
  const node = writer("trap '' TSTP; echo up; read line; echo got $line");
  inTerminal(`${launcherPath} run ${node} cli\n`, "up\r", "\\x1aline\n", "got line", "jobs\n", "ready> ");
});

test("terminal: Ctrl-C while Node still prepares", () => {
  const node = fakeNode("echo up; exec sleep 100");
  inTerminal(
    `${launcherPath} run ${node} cli\n`,
    "up\r",
    "\\x03",
    "ready> ",
    "echo status=$?\n",
    "status=130",
  );
});

test("terminal: Node's reset of the modes at its end changes nothing", () => {
  const plan = scratchFile("plan", encodePlan(planFor([signals], "/bin/stty", "-a")));
  const cli = scratchFile(
    "cli.mjs",
    `import fs from "node:fs";
     import { spawnSync } from "node:child_process";
     console.error("prep" + "aring");
     // Until the modes are others: standard input is not the terminal here.
     while (!/ -echo /.test(spawnSync("stty", ["-a"], { stdio: [2, "pipe", 2], encoding: "utf8" }).stdout));
     fs.writeSync(3, fs.readFileSync(${JSON.stringify(plan)}));`,
  );
  inTerminal(`${launcherPath} run ${process.execPath} ${cli}\n`, "preparing", "NOECHO", " -echo ");
});

// ── bin/callgate ───────────────────────────────────────────────────────────────────────────────────────────────

/** A package like ours with a main.cjs that says how it was called, in a folder with this name. */
function fakePackage(folder: string, withLauncher = true): string {
  const at = join(scratchPath(folder), "callgate");
  const native = join(at, "native", "prebuilt", `linux-${architecture}`);
  for (const path of ["bin", join("dist", "cli")]) mkdirSync(join(at, path), { recursive: true });
  copyFileSync(join(root, "bin", "callgate"), join(at, "bin", "callgate"));
  chmodSync(join(at, "bin", "callgate"), 0o755);
  writeFileSync(
    join(at, "dist", "cli", "main.cjs"),
    `let parent = require("node:fs").readFileSync("/proc/" + process.ppid + "/comm", "utf8").trim();
     console.log(JSON.stringify([parent === "launcher" ? parent : "direct", ...process.argv.slice(2)]));`,
  );
  if (withLauncher) {
    mkdirSync(native, { recursive: true });
    copyFileSync(launcherPath, join(native, "launcher"));
    chmodSync(join(native, "launcher"), 0o755);
  }
  return at;
}

const nodePath = `${dirname(process.execPath)}:/usr/bin:/bin`;

function assertAnswers(
  command: string,
  expected: readonly string[],
  args: readonly string[],
  options: RunOptions = {},
): void {
  const result = runProgram(command, { env: { PATH: nodePath }, args, ...options });
  assert.equal(result.stderr, "");
  assert.deepEqual(JSON.parse(result.stdout), expected);
}

for (const shell of ["dash", "bash"]) {
  test(`callgate under ${shell}: run by the launcher, the rest by Node, arguments untouched`, () => {
    const script = join(fakePackage("a folder with  spaces"), "bin", "callgate");
    const hard = ["", "a b", "*", "$x", "--", "-n"];
    assertAnswers(shell, ["launcher", "run", ...hard], [script, "run", ...hard]);
    assertAnswers(shell, ["direct", "check", ...hard], [script, "check", ...hard]);
    assertAnswers(shell, ["direct"], [script]);
    assertAnswers(shell, ["direct", "check"], ["callgate", "check"], { cwd: dirname(script) });
  });
}

test("callgate: without a launcher Node answers", () => {
  assertAnswers(join(fakePackage("bare", false), "bin", "callgate"), ["direct", "run", "x"], ["run", "x"]);
});

test("callgate: by node_modules/.bin, by a global prefix, by any other link", () => {
  const script = join(fakePackage("elsewhere"), "bin", "callgate");
  const project = scratchPath("project");
  const installed = join(project, "node_modules", "callgate");
  for (const at of ["node_modules/.bin", "bin", "lib/node_modules"])
    mkdirSync(join(project, at), { recursive: true });
  const package_ = fakePackage("installed here");
  symlinkSync(package_, installed);
  symlinkSync(package_, join(project, "lib", "node_modules", "callgate"));
  symlinkSync("../callgate/bin/callgate", join(project, "node_modules", ".bin", "callgate"));
  symlinkSync("../lib/node_modules/callgate/bin/callgate", join(project, "bin", "callgate"));
  symlinkSync(script, join(project, "link"));
  for (const link of ["node_modules/.bin/callgate", "bin/callgate", "link"]) {
    assertAnswers(join(project, link), ["launcher", "run", "x"], ["run", "x"]);
    assertAnswers("/bin/sh", ["direct", "x"], [link, "x"], { cwd: project });
  }
});

test("callgate: never what lies beside a link", () => {
  const script = join(fakePackage("right"), "bin", "callgate");
  const project = scratchPath("trap");
  for (const at of ["bin", "node_modules/.bin"]) mkdirSync(join(project, at), { recursive: true });
  for (const [link, beside] of [
    ["bin/callgate", "lib/node_modules/callgate"],
    ["node_modules/.bin/callgate", "node_modules/callgate"],
  ] as const) {
    const planted = join(project, beside);
    for (const at of ["bin", "dist/cli"]) mkdirSync(join(planted, at), { recursive: true });
    copyFileSync(script, join(planted, "bin", "callgate"));
    writeFileSync(join(planted, "dist", "cli", "main.cjs"), "console.log('[\"planted\"]')");
    symlinkSync(script, join(project, link));
    assertAnswers(join(project, link), ["launcher", "run", "x"], ["run", "x"]);
  }
});

test("callgate: no Node, no build: a sentence, 125 for run and 2 otherwise", () => {
  const script = join(fakePackage("no node"), "bin", "callgate");
  const unbuilt = join(scratchPath("unbuilt"), "bin");
  mkdirSync(unbuilt, { recursive: true });
  copyFileSync(script, join(unbuilt, "callgate"));
  for (const [command, path, message] of [
    [script, "/no/such:*", /^callgate: Node\.js is not in PATH: .*20\.19 or newer\n$/],
    [join(unbuilt, "callgate"), nodePath, /main\.cjs is missing: run `npm ci`/],
  ] as const) {
    for (const [args, status] of [
      [["run", "x"], 125],
      [["check"], 2],
      [[], 2],
    ] as const) {
      const result = runProgram("/bin/sh", { args: [command, ...args], env: { PATH: path } });
      assert.match(result.stderr, message);
      assert.equal(result.status, status);
    }
  }
});

test("callgate: forks nothing on its usual path", () => {
  const script = join(fakePackage("forkless"), "bin", "callgate");
  const launcher = join(dirname(script), "..", "native", "prebuilt", `linux-${architecture}`, "launcher");
  writeFileSync(launcher, '#!/bin/sh\necho $$ "$1"\n');
  const result = runProgram(script, { args: ["run", "x"], env: { PATH: nodePath } });
  assert.equal(result.stdout, `${result.pid} run\n`, "the same process from the shell to the launcher");
  // Nothing can be forked where fork is refused.
  for (const number of architecture === "x86_64" ? [56, 57, 58] : [220]) {
    const under = runProgram(deny, {
      args: [String(number), "1", script, "run", "x"],
      env: { PATH: nodePath },
    });
    assert.match(under.stdout, /^\d+ run\n$/);
  }
});
