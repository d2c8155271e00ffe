// callgate run --report: denials are explained, answers are the same with and without, and the program cannot take its
// supervisor's place.
// Debian packages: coreutils dash gcc libc6-dev procps util-linux
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import {
  architecture,
  compileC,
  isRoot,
  ordinaryUser,
  probePath,
  root,
  scratchFile,
  scratchPath,
} from "./native.ts";

const callgate = join(root, "bin", "callgate");

interface Outcome {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  args: readonly string[],
  options: {
    readonly uid?: number;
    readonly gid?: number;
    readonly input?: string;
    readonly env?: NodeJS.ProcessEnv;
  } = {},
): Outcome {
  const mode = args.includes("--whole") ? [] : ["--filter-only"];
  const own = args.filter((one) => one !== "--whole");
  const { status, signal, stdout, stderr, error } = spawnSync(callgate, ["run", ...mode, ...own], {
    input: "",
    encoding: "utf8",
    timeout: 120_000,
    killSignal: "SIGKILL",
    env: { ...process.env, NO_COLOR: "1" },
    ...options,
  });
  if (error !== undefined) throw error;
  return { status, signal, stdout, stderr };
}

function policyFile(rules: string, more = ""): string {
  return scratchFile(
    "policy.toml",
    `version = 1\nextends = ["default"]\n${more}\n[syscalls]\nrules = '''\n${rules}\n'''\n`,
  );
}

describe("a denial is explained", () => {
  test("what, why, by whom, and what would permit it", () => {
    const policy = policyFile("deny keyctl   # no keys here");
    const { status, stderr } = run(["--report=end", "--policy", policy, "--", probePath, "keyctl"]);
    assert.equal(status, 1);
    const [title, denied, rule, permit, end] = stderr.split("\n");
    assert.equal(title, "callgate: one kind of call was denied");
    assert.match(
      denied ?? "",
      /^denied {2}keyctl\(operation = KEYCTL_GET_KEYRING_ID, .*\) → EPERM {3}by probe\[\d+\]$/,
    );
    assert.equal(rule, `        ${policy}:6  deny keyctl  # no keys here`);
    assert.equal(permit, "        to permit:  allow keyctl(operation == KEYCTL_GET_KEYRING_ID)");
    assert.equal(end, "");
  });

  test("the rule that is offered permits the call", () => {
    const { stderr } = run(["--report=end", "--", probePath, "socket-vsock"]);
    const rule = /to permit: +(.*)/.exec(stderr)?.[1];
    assert.ok(rule !== undefined, stderr);
    const { stderr: second } = run(["--report=end", "--rule", rule, "--", probePath, "socket-vsock"]);
    assert.doesNotMatch(second, /denied/);
  });

  test("each kind once, with its count; as it happens with live", () => {
    const script = `for i in 1 2 3; do ${probePath} keyctl; ${probePath} unshare-user; done >&2; exit 5`;
    for (const mode of ["end", "live"]) {
      const { status, stderr } = run([`--report=${mode}`, "--", "sh", "-c", script]);
      assert.equal(status, 5);
      assert.equal(stderr.match(/^denied {2}keyctl/gm)?.length, 1, stderr);
      assert.equal(stderr.match(/^denied {2}unshare\(flags = CLONE_NEWUSER\)/gm)?.length, 1, stderr);
      if (mode === "end") assert.match(stderr, /→ EPERM {3}×3/);
    }
  });

  test("nothing is said where nothing was denied; ENOSYS only when it is asked for", () => {
    assert.deepEqual(run(["--report=end", "--", "true"]), {
      status: 0,
      signal: null,
      stdout: "",
      stderr: "",
    });
    const policy = policyFile("errno(ENOSYS) keyctl");
    assert.doesNotMatch(
      run(["--report=end", "--policy", policy, "--", probePath, "keyctl"]).stderr,
      /denied/,
    );
    assert.match(
      run(["--report=all", "--policy", policy, "--", probePath, "keyctl"]).stderr,
      /denied {2}keyctl\(.*→ ENOSYS/,
    );
  });

  test("for programs: an object a line, in a file", () => {
    const file = scratchPath("report.json");
    const { stderr } = run(["--report=json", "--report-to", file, "--", probePath, "keyctl"]);
    assert.doesNotMatch(stderr, /denied/);
    const denial: unknown = JSON.parse(readFileSync(file, "utf8"));
    assert.ok(typeof denial === "object" && denial !== null);
    const facts = Object.fromEntries(Object.entries(denial));
    assert.deepEqual(
      [facts["syscall"], facts["errno"], facts["by"], facts["count"], facts["program"]],
      ["keyctl", "EPERM", "rule", 1, "probe"],
    );
  });

  test("what cannot be written to its file is said all the same", () => {
    const { status, stderr } = run(["--report=json", "--report-to", "/dev/full", "--", probePath, "keyctl"]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^callgate: cannot write the report \(json\) to "\/dev\/full": ENOSPC\n\{.*"syscall":"keyctl".*\}\n$/,
    );
  });

  test("paths are what the program said, without escapes", () => {
    const folder = `${scratchPath("evil")}\u001b[31m"x`;
    const { stderr } = run(["--report=end", "--deny", "mkdir, mkdirat", "--", "mkdir", folder]);
    assert.match(stderr, /denied {2}mkdir\(pathname says ".*\\x1b\[31m\\"x", mode = 0o777\) → EPERM/);
    assert.ok(!stderr.replace(/^mkdir: .*$/m, "").includes("\u001b"));
  });

  test("a death by SIGSYS is told", () => {
    const { signal, stderr } = run(["--report=end", "--rule", "kill keyctl", "--", probePath, "keyctl"]);
    assert.equal(signal, "SIGSYS");
    assert.match(
      stderr,
      /^callgate: the program was killed by SIGSYS: it made a call that the policy kills or traps for/m,
    );
    // Also without reports, where a process of callgate's is there.
    const silent = run(["--whole", "--report=off", "--rule", "kill keyctl", "--", probePath, "keyctl"]);
    assert.equal(silent.signal, "SIGSYS");
    assert.match(silent.stderr, /^callgate: the program was killed by SIGSYS/m);
  });

  test("a death by SIGSYS of a program of another ABI is told with that", {
    skip: architecture !== "x86_64" && "needs x86",
  }, () => {
    const source = '__asm__(".globl _start\\n_start: movl $1, %eax\\nmovl $5, %ebx\\nint $0x80\\n");';
    const flags = ["-m32", "-nostdlib", "-static", "-Wl,--build-id=none"];
    const program = compileC("foreign", source, flags);
    for (const mode of [["--report=end"], ["--whole", "--report=off", "--read", program]]) {
      const { signal, stderr } = run([...mode, "--", program]);
      assert.equal(signal, "SIGSYS");
      assert.match(
        stderr,
        /^callgate: the program was killed by SIGSYS: it is a 32-bit \(x86\) program, and the policy has rules for x86_64 only: --abi x86$/m,
      );
    }
  });

  test("Node tells only where there is something to tell", () => {
    const folder = scratchPath("node");
    const log = join(folder, "log");
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    const node = join(folder, "node");
    writeFileSync(node, `#!/bin/sh\necho "$*" >> ${log}\nexec ${process.execPath} "$@"\n`, { mode: 0o755 });
    const env = { ...process.env, PATH: `${folder}:${process.env["PATH"]}`, NO_COLOR: "1" };
    const tellers = (...command: readonly string[]): number => {
      writeFileSync(log, "", { flag: "a" });
      const before = readFileSync(log, "utf8").length;
      run(["--report=end", "--", ...command], { env });
      return readFileSync(log, "utf8").slice(before).split("tell-denials").length - 1;
    };
    assert.equal(tellers("true"), 0);
    assert.equal(tellers(probePath, "keyctl"), 1);
  });

  test("signals while a denied call waits for its answer: it is refused, or interrupted, and never made", () => {
    const source = `#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
static volatile int ticks;
static void tick(int signal) { ticks += signal != 0; }
int main(void) {
  struct sigaction action = {.sa_handler = tick};
  struct itimerval every = {{0, 200}, {0, 200}};
  sigaction(SIGALRM, &action, 0);
  setitimer(ITIMER_REAL, &every, 0);
  long refused = 0, interrupted = 0, wrong = 0;
  while (refused < 5000 || ticks < 100) {
    long result = syscall(SYS_keyctl, 0L, -3L, 0L, 0L, 0L);
    if (result < 0 && errno == EPERM) refused++;
    else if (result < 0 && errno == EINTR) interrupted++;
    else wrong++;
  }
  setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, 0);
  printf("%ld %ld %ld\\n", refused, interrupted, wrong);
  return 0;
}
`;
    const { status, stdout, stderr } = run(["--report=end", "--", compileC("ticking", source)]);
    assert.equal(status, 0, stderr);
    const [refused = 0, interrupted = 0, wrong] = stdout.split(" ").map(Number);
    assert.equal(wrong, 0);
    // Whoever was interrupted may have been counted already.
    const counted = Number(/^denied {2}keyctl\(.* ×(\d+) /m.exec(stderr)?.[1]);
    assert.ok(counted >= refused && counted <= refused + interrupted, `${stdout}${stderr}`);
  });

  test("a policy that starts nothing but the program", () => {
    const { status, stderr } = run(["--report=end", "--policy", "strict", "--", probePath, "keyctl"]);
    assert.equal(status, 1);
    assert.match(stderr, /no rule matches: the policy's default is deny/);
  });

  test("in the whole sandbox without being asked for, with what its other layers refuse", () => {
    const connect = "import socket\ntry: socket.socket().connect(('192.0.2.1', 80))\nexcept OSError: pass";
    const script = `${probePath} keyctl; ${probePath} socket-vsock; /usr/bin/python3 -c "${connect}"; exit 6`;
    const { status, stderr } = run(["--whole", "--", "sh", "-c", script]);
    assert.equal(status, 6);
    assert.match(stderr, /callgate: 3 kinds of call were denied\ndenied {2}keyctl/);
    // What the sandbox itself requires, no rule permits; an option does, which programs are told too.
    assert.match(
      stderr,
      /the sandbox {2}errno\(EAFNOSUPPORT\) socket\(.*# no network\n {8}to permit: {2}--net\n/,
    );
    assert.match(stderr, /denied {2}network: .* → ENETUNREACH\n.*\n {8}to permit: {2}--net, /);
    assert.equal(
      run(["--whole", "--report=off", "--", probePath, "keyctl"]).stderr.includes("denied"),
      false,
    );
    assert.equal(run(["--whole", "--", "true"]).stderr, "");
  });

  test("what a policy requires, nothing permits", () => {
    const policy = scratchFile(
      "required.toml",
      'version = 1\nextends = ["default"]\n[syscalls]\nrequire = "deny keyctl"\n',
    );
    const { stderr } = run(["--report=end", "--policy", policy, "--", probePath, "keyctl"]);
    assert.match(
      stderr,
      /required\.toml:4 {2}deny keyctl\n {8}to permit: {2}nothing can: the policy requires it\n/,
    );
  });

  test("to a descriptor of the caller's", () => {
    const file = scratchPath("descriptor");
    const { status, stderr } = spawnSync(
      "sh",
      [
        "-c",
        `exec 7> ${file}; ${callgate} run --filter-only --report=json --report-to 7 -- ${probePath} keyctl`,
      ],
      { encoding: "utf8", timeout: 120_000 },
    );
    assert.equal(status, 1);
    assert.doesNotMatch(stderr, /denied/);
    assert.match(readFileSync(file, "utf8"), /^\{"layer":"filter",.*"syscall":"keyctl".*\}\n$/);
  });

  test("the policy may come from standard input, and descriptors may be kept", () => {
    const policy = 'version = 1\nextends = ["default"]\n[syscalls]\nrules = "deny keyctl"\n';
    const script = `printf %s "$POLICY" | ${callgate} run --filter-only --report=end --policy - --keep-fd 2 -- ${probePath} keyctl`;
    const { stderr } = spawnSync("sh", ["-c", script], {
      encoding: "utf8",
      timeout: 120_000,
      env: { ...process.env, POLICY: policy },
    });
    assert.match(stderr, /denied {2}keyctl/);
  });

  test("a question is a refusal where nobody can be asked", () => {
    for (const mode of ["end", "off"]) {
      // A session of its own has no terminal, whoever runs the tests.
      const { status, stdout, stderr } = spawnSync(
        "setsid",
        [
          "-w",
          callgate,
          "run",
          "--filter-only",
          `--report=${mode}`,
          "--rule",
          "ask keyctl",
          "--",
          probePath,
          "keyctl",
        ],
        { encoding: "utf8", timeout: 120_000 },
      );
      assert.equal(status, 1);
      assert.match(stdout, /EPERM/);
      const unasked = stderr.match(/asks about calls that were refused: there is no terminal to ask on\n/g);
      assert.equal(unasked?.length, 1, stderr);
      assert.equal(/→ EPERM .*\n.* ask keyctl\n/.test(stderr), mode === "end");
    }
  });

  test("a terminal that cannot be opened: a question is a refusal, and why is said", {
    skip: isRoot ? false : "takes a mount of root's",
  }, () => {
    // A terminal's file on a file system without devices is refused to root too.
    const folder = scratchPath("terminal");
    const script = `mkdir "$1" && mount -t tmpfs -o nodev none "$1" && mknod "$1/tty" c 5 0 && mount --bind "$1/tty" /dev/tty && shift && exec "$@"`;
    const line = [callgate, "run", "--filter-only", "--report=off", "--rule", "ask keyctl", "--", probePath];
    const { status, stdout, stderr } = spawnSync(
      "unshare",
      ["-m", "sh", "-c", script, "sh", folder, ...line, "keyctl"],
      { encoding: "utf8", timeout: 120_000 },
    );
    assert.equal(status, 1, stderr);
    assert.match(stdout, /EPERM/);
    assert.match(
      stderr,
      /^callgate: nobody is asked, since the terminal cannot be opened: openat "\/dev\/tty": EACCES .*\ncallgate: the policy asks about calls that were refused: there is no terminal to ask on\n$/,
    );
  });

  test("wrong usage starts nothing", () => {
    for (const args of [
      ["--report=often"],
      ["--report=json", "--report-to", "77"],
      ["--report=off", "--report-to", "x"],
      ["--report-to", ""],
      ["--report-to", "/"],
      ["--report-to", "/nonexistent/report"],
      ["--report-to", "/etc/passwd/report"],
    ])
      assert.equal(run([...args, "--", "echo", "started"]).status, 125);
    assert.equal(run(["--report=end", "--", "/nonexistent/program"]).status, 127);
    assert.equal(run(["--report=end", "--", "/etc/passwd"]).status, 126);
  });
});

const everyAction = `#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
static void trapped(int signal, siginfo_t *info, void *context) {
  (void)signal; (void)context;
  static const char text[] = "trapped\\n";
  if (info->si_code == 1 && write(1, text, sizeof text - 1) < 0) _exit(9);
}
int main(void) {
  struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
  sigaction(SIGSYS, &action, 0);
  setvbuf(stdout, 0, _IONBF, 0);
  static const long numbers[] = {SYS_getpgid, SYS_getsid, SYS_sched_getscheduler, SYS_sched_get_priority_max,
    SYS_getpriority, SYS_times, SYS_personality, 9999, -1};
  for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    for (long argument = 0; argument < 3; argument++) {
      errno = 0;
      long result = syscall(numbers[i], argument, 0xffffffff00000000 + argument, 0);
      printf("%ld(%ld) %d %d\\n", numbers[i], argument, numbers[i] == SYS_times ? 0 : (int)(result != 0), errno);
    }
  }
  return 0;
}
`;

const endings = `#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void say(const char *what, void (*call)(void)) {
  pid_t child = fork();
  if (child == 0) {
    errno = 0;
    call();
    _exit(errno);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) printf("%s: signal %d\\n", what, WTERMSIG(status));
  else printf("%s: %d\\n", what, WEXITSTATUS(status));
}
static void killed(void) { syscall(SYS_getpgid, 0); }
static void traced(void) { syscall(SYS_sched_getscheduler, 0); }
static void trapped(void) { syscall(SYS_getpriority, 0, 0); }
static void denied(void) { syscall(SYS_keyctl, 0, -3, 0); }
static _Atomic int lives;
static void *thread(void *none) {
  syscall(SYS_getsid, 0);
  lives = 1;
  return none;
}
int main(void) {
  setvbuf(stdout, 0, _IONBF, 0);
  say("kill", killed);
  // Such a thread is never joined: it tells nobody of its end.
  pid_t child = fork();
  if (child == 0) {
    pthread_t one;
    pthread_create(&one, 0, thread, 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d", getpid() + 1);
    for (int i = 0; i < 3000 && access(path, F_OK) == 0; i++) usleep(10000);
    _exit(lives);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("kill-thread: %s\\n", WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "ended alone" : "NOT ALONE");
  say("trace", traced);
  say("trap", trapped);
  say("deny", denied);
#ifdef __x86_64__
  child = fork();
  if (child == 0) {
    long number = 20;
    __asm__ volatile("int $0x80" : "+a"(number) : : "memory");
    _exit(1);
  }
  waitpid(child, &status, 0);
  printf("other ABI: signal %d\\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
#else
  printf("other ABI: none\\n");
#endif
  return 0;
}
`;

describe("the answers are the same with and without reports", () => {
  test("every action, with conditions on arguments", () => {
    const program = compileC("actions", everyAction);
    const policy = policyFile(
      [
        "deny getpgid(pid == 1)",
        "errno(ENOSYS) getsid(pid in {1, 2})",
        "errno(0) sched_getscheduler",
        "errno(4095) sched_get_priority_max(policy > 1)",
        "trap(7) getpriority(which == 2)",
        "log times",
        "deny personality(persona & 1)",
        "allow personality",
      ].join("\n"),
    );
    const plain = run(["--policy", policy, "--", program]);
    const reported = run(["--policy", policy, "--report=all", "--", program]);
    assert.equal(plain.status, 0);
    assert.equal(plain.stderr, "");
    assert.deepEqual([reported.status, reported.stdout], [plain.status, plain.stdout]);
    assert.match(plain.stdout, /trapped/);
    assert.match(reported.stderr, /denied {2}getpgid\(pid = 1\) → EPERM/);
    assert.match(reported.stderr, /denied {2}#9999\(\) → ENOSYS/);
  });

  test("what kills, traces or is of another ABI is the kernel's own with and without reports", () => {
    const program = compileC("endings", endings, ["-pthread"]);
    const policy = policyFile(
      [
        "kill getpgid",
        "kill-thread getsid",
        "trace(5) sched_getscheduler",
        "trap getpriority",
        "deny keyctl",
      ].join("\n"),
    );
    const plain = run(["--policy", policy, "--", program]);
    const reported = run(["--policy", policy, "--report=all", "--", program]);
    assert.deepEqual([reported.status, reported.stdout], [plain.status, plain.stdout]);
    const expected = [
      "kill: signal 31",
      "kill-thread: ended alone",
      "trace: 38",
      "trap: signal 31",
      "deny: 1",
    ];
    const found = plain.stdout.trim().split("\n");
    assert.deepEqual(found.slice(0, expected.length), expected);
    // getpid of x86, where this machine has it.
    assert.equal(found[expected.length], process.arch === "x64" ? "other ABI: signal 31" : "other ABI: none");
    assert.match(reported.stderr, /^denied {2}keyctl/m);
    assert.doesNotMatch(reported.stderr, /^denied {2}(getpgid|getsid|sched_|getpriority|x86)/m);
  });

  test("status, signals, input and environment are the program's", () => {
    assert.equal(run(["--report=end", "--", "cat"], { input: "through\n" }).stdout, "through\n");
    assert.equal(run(["--report=end", "--", "sh", "-c", "exit 77"]).status, 77);
    assert.equal(run(["--report=end", "--", "sh", "-c", "kill -TERM $$"]).signal, "SIGTERM");
    const policy = policyFile("deny keyctl", '[environment]\nkeep = ["PATH"]\nset = { OWN = "set" }\n');
    assert.match(run(["--report=end", "--policy", policy, "--", "env"]).stdout, /^PATH=.*\nOWN=set\n$/);
    assert.equal(run(["--report=end", "--", "sh", "-c", "ls /proc/self/fd | wc -l"]).stdout, "4\n");
  });

  test("what is sent to callgate reaches the program", async () => {
    const child = spawn(
      callgate,
      [
        "run",
        "--filter-only",
        "--report=end",
        "--",
        "sh",
        "-c",
        "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.1; done",
      ],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGTERM");
    assert.equal(await ended, 3);
  });

  test("a process that is left behind stays under the policy", async () => {
    const out = scratchPath("behind");
    const script = `(while [ -e ${out}.wait ]; do sleep 0.1; done; ${probePath} keyctl > ${out} 2>&1; : > ${out}.done) > /dev/null 2>&1 & exit 0`;
    spawnSync("touch", [`${out}.wait`]);
    assert.equal(run(["--report=end", "--", "sh", "-c", script]).status, 0);
    spawnSync("rm", [`${out}.wait`]);
    for (let tries = 0; tries < 600; tries += 1) {
      if (existsSync(`${out}.done`)) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.match(readFileSync(out, "utf8"), /EPERM/);
  });
});

// It attacks every process of callgate's that it can see: its parent, and what else its parent has started.
const thief = `#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
static int denied(void) { return syscall(SYS_keyctl, 0, -3, 0, 0, 0) < 0; }
static void say(const char *what, int failed) { printf("%s: %s\\n", what, failed ? "refused" : "POSSIBLE"); fflush(stdout); }
static void attack(pid_t target) {
  char path[64], buffer[64];
  say("ptrace", ptrace(PTRACE_SEIZE, target, 0, 0) < 0);
  say("attach", ptrace(PTRACE_ATTACH, target, 0, 0) < 0);
  int pidfd = (int)syscall(SYS_pidfd_open, target, 0), taken = -1;
  for (int i = 0; i < 64 && taken < 0; i++) taken = (int)syscall(SYS_pidfd_getfd, pidfd, i, 0);
  say("pidfd_getfd", pidfd < 0 || taken < 0);
  static const char *const names[] = {"mem", "fd"};
  // Not environ and maps: since Linux 6.14 CAP_PERFMON, which root has, is enough to read them. There is no secret there.
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "/proc/%d/%s", target, names[i]);
    int file = open(path, i == 0 ? O_RDWR : O_RDONLY);
    DIR *folder = i == 1 && file >= 0 ? fdopendir(file) : 0;
    int opened = 0;
    for (struct dirent *one; folder && (one = readdir(folder)) != 0;) {
      snprintf(path, sizeof path, "/proc/%d/fd/%.20s", target, one->d_name);
      if (one->d_name[0] != '.' && readlink(path, buffer, sizeof buffer) >= 0) opened = 1;
    }
    say(names[i], i == 1 ? !opened : file < 0);
  }
  struct iovec here = {buffer, 8}, there = {(void *)0x400000, 8};
  say("process_vm_readv", process_vm_readv(target, &here, 1, &there, 1, 0) < 0 && errno != EFAULT);
  say("process_vm_writev", process_vm_writev(target, &here, 1, &there, 1, 0) < 0 && errno != EFAULT);
}
int main(void) {
  pid_t targets[64];
  int count = 0;
  // In a pid namespace there is no name for outer, and of all that stands there only the first process has one.
  int is_alone = getppid() == 0;
  if (!is_alone) targets[count++] = getppid();
  DIR *all = opendir("/proc");
  for (struct dirent *one; (one = readdir(all)) != 0 && count < 64;) {
    char path[300], text[512];
    snprintf(path, sizeof path, "/proc/%s/stat", one->d_name);
    int file = one->d_name[0] >= '1' && one->d_name[0] <= '9' ? open(path, O_RDONLY) : -1;
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (length <= 0) continue;
    text[length] = 0;
    int parent = 0;
    char state;
    if (sscanf(strrchr(text, ')') + 1, " %c %d", &state, &parent) == 2 && parent == getppid() && atoi(one->d_name) != getpid())
      targets[count++] = atoi(one->d_name);
  }
  printf("targets: %d\\n", count);
  say("keyctl", denied());
  for (int i = 0; i < count; i++) attack(targets[i]);
  say("keyctl again", denied());

  // Stopped, the supervisor answers nobody: the call waits, and does not succeed.
  for (int i = 0; i < count; i++) kill(targets[i], SIGSTOP);
  pid_t child = fork();
  if (child == 0) _exit(denied() ? 1 : 0);
  usleep(300000);
  int status = 0;
  pid_t ended = waitpid(child, &status, WNOHANG);
  say("keyctl while all are stopped", ended == 0 || WEXITSTATUS(status) != 0);
  for (int i = 0; i < count; i++) kill(targets[i], SIGCONT);
  if (ended == 0) waitpid(child, &status, 0);
  say("keyctl after it", WEXITSTATUS(status) != 0);

  // Killed, it answers nobody ever: a process that outlives the program is refused by the kernel.
  pid_t own = getpid();
  if (fork() == 0) {
    setsid();
    for (int i = 0; i < 2000 && getppid() == own; i++) usleep(20000);
    int failed = denied();
    FILE *file = fopen(getenv("RESULT"), "w");
    if (file) { fputs(failed ? "refused\\n" : "POSSIBLE\\n", file); fclose(file); }
    _exit(0);
  }
  for (int i = is_alone ? 0 : 1; i < count; i++) kill(targets[i], SIGKILL);
  if (is_alone) return 0;
  for (;;) pause();
}
`;

describe("the program cannot take its supervisor's place in the whole sandbox", () => {
  const people: readonly (readonly [
    string,
    readonly string[],
    { readonly uid?: number; readonly gid?: number },
  ])[] = isRoot
    ? [
        ["root", [], {}],
        ["root that stays root", ["--as-root"], {}],
        ["an ordinary user", [], ordinaryUser],
      ]
    : [["this user", [], {}]];
  for (const [name, options, identity] of people) {
    test(`as ${name}: ptrace, pidfd_getfd, /proc, SIGSTOP, SIGKILL`, () => {
      const program = compileC("thief", thief, ["-static"]);
      const policy = policyFile(
        "deny keyctl\nallow ptrace, pidfd_open, pidfd_getfd, process_vm_readv, process_vm_writev, kill, setsid",
      );
      const { status, stdout, stderr } = run(
        [
          "--whole",
          ...options,
          "--read",
          dirname(program),
          "--report=end",
          "--policy",
          policy,
          "--",
          program,
        ],
        { ...identity, env: { ...process.env, NO_COLOR: "1", RESULT: "/dev/null" } },
      );
      assert.equal(status, 0, stderr);
      assert.doesNotMatch(stdout, /POSSIBLE/);
      // The first process; and who hands the listener over, where he has not ended yet.
      const targets = Number(/^targets: (\d)$/m.exec(stdout)?.[1]);
      assert.ok(targets === 1 || targets === 2, stdout);
      assert.equal(stdout.match(/refused/g)?.length, targets * 7 + 4, stdout);
      assert.match(stderr, /^denied {2}keyctl\(/m);
    });
  }
});

describe("the program cannot take its supervisor's place", () => {
  const people: readonly (readonly [string, { readonly uid?: number; readonly gid?: number }])[] = isRoot
    ? [
        ["root", {}],
        ["an ordinary user", ordinaryUser],
      ]
    : [["this user", {}]];
  for (const [name, identity] of people) {
    test(`as ${name}: ptrace, pidfd_getfd, /proc, SIGSTOP, SIGKILL`, async () => {
      const program = compileC("thief", thief);
      const folder = scratchPath("thief-result");
      spawnSync("mkdir", ["-m", "777", folder]);
      const result = join(folder, "result");
      // All that it needs is allowed: what keeps it away is not the filter.
      const policy = policyFile(
        "deny keyctl\nallow ptrace, pidfd_open, pidfd_getfd, process_vm_readv, process_vm_writev, kill, setsid",
      );
      const args = ["run", "--filter-only", "--report=end", "--policy", policy, "--", program];
      const child = spawn(callgate, args, {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, RESULT: result },
        ...identity,
      });
      let stdout = "";
      let stderr = "";
      child.stdout.on("data", (chunk) => {
        stdout += chunk;
      });
      child.stderr.on("data", (chunk) => {
        stderr += chunk;
      });
      const timer = setTimeout(() => child.kill("SIGKILL"), 120_000);
      // Who outlives it holds its output too.
      await new Promise((resolve) => child.on("close", resolve));
      clearTimeout(timer);
      assert.doesNotMatch(stdout, /POSSIBLE/);
      // Outer, the teller, the supervisor.
      // The helper that has handed the listener over may not have ended yet.
      assert.match(stdout, /targets: [34]\n/);
      assert.equal(
        stdout.match(/refused/g)?.length,
        Number(/targets: (\d)/.exec(stdout)?.[1]) * 7 + 4,
        stdout,
      );
      assert.match(
        stderr,
        /the supervisor, which answers denied calls, was killed, and so the program was ended/,
      );
      let outlived = "";
      for (let tries = 0; tries < 600 && outlived === ""; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        try {
          outlived = readFileSync(result, "utf8");
        } catch {
          // Not written yet.
        }
      }
      assert.equal(outlived, "refused\n");
    });
  }
});
