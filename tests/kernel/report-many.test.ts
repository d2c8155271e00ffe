// Many denials, filters of the program's own, one callgate inside another, and a supervisor that is killed under load.
// Debian packages: gcc libc6-dev
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
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
const policy = scratchFile(
  "policy.toml",
  'version = 1\nextends = ["default"]\n[syscalls]\nrules = "deny keyctl\\nallow seccomp, kill, setsid"\n',
);
const command = (...args: readonly string[]): readonly string[] => [
  ...["run", "--filter-only", "--policy", policy],
  ...args,
];

/** Denials by several threads; each waits at a line of standard input after the first thousand. */
const many = `#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static long each;
static _Atomic long wrong;
static void *deny(void *none) {
  for (long i = 0; i < each; i++) {
    long result = syscall(SYS_keyctl, 0, -3, 0, 0, 0);
    if (result >= 0 || errno != EPERM) wrong++;
  }
  return none;
}
static void all(long count) {
  pthread_t threads[5];
  each = count / 5;
  for (int i = 0; i < 5; i++) pthread_create(&threads[i], 0, deny, 0);
  for (int i = 0; i < 5; i++) pthread_join(threads[i], 0);
}
int main(int count, char **arguments) {
  setvbuf(stdout, 0, _IONBF, 0);
  for (int i = 1; i < count; i++) {
    all(atol(arguments[i]));
    printf("wrong: %ld\\n", wrong);
    getchar();
  }
  return 0;
}
`;

const childrenOf = (pid: number | undefined): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
/** The teller, the supervisor, and the program are made in this order; a sandbox's first process before them. */
const tellerOf = (pid: number | undefined): number => childrenOf(pid).at(-3) ?? Number.NaN;
const supervisorOf = (pid: number | undefined): number => childrenOf(pid).at(-2) ?? Number.NaN;

test("half a million denials by five threads: each is counted, and memory does not grow", {
  timeout: 600_000,
}, async () => {
  const program = compileC("many", many, ["-pthread"]);
  const report = scratchPath("many.json");
  const child = spawn(
    callgate,
    command("--report=json", "--report-to", report, "--", program, "1000", "499000"),
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const ended = once(child, "exit");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const peaks: number[] = [];
  for (let part = 0; part < 2; part += 1) {
    assert.equal((await lines.next()).value, "wrong: 0");
    const status = readFileSync(`/proc/${supervisorOf(child.pid)}/status`, "utf8");
    peaks.push(Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]));
    child.stdin.write("\n");
  }
  assert.deepEqual(await ended, [0, null]);
  // The kernel counts each processor's last pages late. One byte for a denial would be 487 KiB.
  const [early = 0, late = Number.NaN] = peaks;
  assert.ok(late - early < 256, `${early} KiB, and then ${late}`);
  assert.match(readFileSync(report, "utf8"), /"syscall":"keyctl",.*"count":500000[,}]/);
});

/** Processes that have a listener, among callgate's own and the program. */
function whoListens(callgate: number): readonly number[] {
  const all = [callgate];
  for (const pid of all) all.push(...childrenOf(pid));
  const isListener = (pid: number, descriptor: string): boolean =>
    readlinkSync(`/proc/${pid}/fd/${descriptor}`) === "anon_inode:seccomp notify";
  return all.filter((pid) =>
    readdirSync(`/proc/${pid}/fd`).some((descriptor) => isListener(pid, descriptor)),
  );
}

for (const mode of [["--filter-only", "--report=end"], ["--report=end"]])
  test(`the supervisor alone has the listener, and nothing of it can be reached, ${mode[0]}`, {
    skip: !isRoot && "needs to look into processes that are not dumpable",
    timeout: 120_000,
  }, async (t) => {
    const program = compileC("many", many, ["-pthread"]);
    const { uid, gid } = ordinaryUser;
    const args = ["run", ...mode, "--policy", policy, "--", program, "1000"];
    const child = spawn(callgate, args, { stdio: ["pipe", "pipe", "inherit"], uid, gid, cwd: "/" });
    t.after(() => child.kill("SIGKILL"));
    const ended = once(child, "exit");
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, "wrong: 0");
    const supervisor = supervisorOf(child.pid);
    assert.deepEqual(whoListens(child.pid ?? 0), [supervisor]);
    // What is not dumpable has files there that belong to root; the program is as any other.
    const owner = (pid: number): number => statSync(`/proc/${pid}/environ`).uid;
    const ours = [child.pid ?? 0, ...childrenOf(child.pid)];
    const last = ours.pop() ?? 0;
    assert.ok(ours.includes(supervisor));
    for (const one of ours) assert.equal(owner(one), 0);
    assert.equal(owner(last), uid);
    child.stdin.write("\n");
    assert.deepEqual(await ended, [0, null]);
  });

/** One denial, and at a line of standard input many calls that are allowed, with conditions and without. */
const allowed = `#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
  setvbuf(stdout, 0, _IONBF, 0);
  printf("denied: %ld\\n", syscall(SYS_keyctl, 0, -3, 0, 0, 0));
  getchar();
  long wrong = 0;
  for (int i = 0; i < 300000; i++) {
    void *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    wrong += syscall(SYS_getppid) < 0 || fcntl(1, F_GETFD) < 0 || page == MAP_FAILED || munmap(page, 4096) != 0;
  }
  printf("wrong: %ld\\n", wrong);
  getchar();
  return 0;
}
`;

test("calls that are allowed reach nobody: who answers denials sleeps meanwhile", {
  timeout: 240_000,
}, async () => {
  const child = spawn(
    callgate,
    command("--report=json", "--report-to", scratchPath("allowed.json"), "--", compileC("allowed", allowed)),
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const ended = once(child, "exit");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  /** How often it went to sleep: once for each call that it has answered, at least. */
  const sleeps = (): number => {
    const status = readFileSync(`/proc/${supervisorOf(child.pid)}/status`, "utf8");
    return Number(/^voluntary_ctxt_switches:\t(\d+)$/m.exec(status)?.[1]);
  };
  assert.equal((await lines.next()).value, "denied: -1");
  const before = sleeps();
  child.stdin.write("\n");
  assert.equal((await lines.next()).value, "wrong: 0");
  const after = sleeps();
  child.stdin.write("\n");
  assert.deepEqual(await ended, [0, null]);
  assert.ok(before > 0);
  // A moment after its last answer it may have gone to sleep, and it may have been woken for the first path that it read.
  assert.ok(after - before < 10, `${before}, then ${after}`);
});

/** Some processes of its own that are denied all the time, and outlive whoever ends the program. */
const load = `#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int main(int count, char **arguments) {
  (void)count;
  int told[2];
  if (pipe(told) != 0) return 1;
  for (int i = 0; i < 4; i++) {
    if (fork() != 0) continue;
    setsid();
    char path[512];
    snprintf(path, sizeof path, "%s.%d", arguments[1], i);
    FILE *file = fopen(path, "w");
    long possible = 0, answered = 0, unanswered = 0;
    // Until a good while after nobody answers any more.
    for (time_t start = time(0); unanswered < 1000 && time(0) - start < 60;) {
      long result = syscall(SYS_keyctl, 0, -3, 0, 0, 0);
      if (result >= 0) possible++;
      else if (errno == ENOSYS) unanswered++;
      else if (answered++ == 0 && write(told[1], "", 1) != 1) _exit(1);
    }
    fprintf(file, "%ld %d %d\\n", possible, answered > 0, unanswered > 0);
    fclose(file);
    _exit(0);
  }
  // Each has been answered once: only then is the answering ended.
  char byte;
  for (int i = 0; i < 4; i++) if (read(told[0], &byte, 1) != 1) return 1;
  puts("up");
  fflush(stdout);
  for (;;) pause();
}
`;

test("a supervisor that is killed under load: the program is ended, and no denied call succeeds", {
  timeout: 240_000,
}, async () => {
  const program = compileC("load", load);
  const result = scratchPath("load");
  const child = spawn(callgate, command("--report=end", "--", program, result), {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  process.kill(supervisorOf(child.pid), "SIGKILL");
  assert.deepEqual(await ended, [null, "SIGKILL"]);
  const found = async (one: number): Promise<string> => {
    for (const until = Date.now() + 90_000; Date.now() < until; ) {
      try {
        const text = readFileSync(`${result}.${one}`, "utf8");
        if (text !== "") return text;
      } catch {
        // Not there yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return "nothing";
  };
  for (let one = 0; one < 4; one += 1) assert.equal(await found(one), "0 1 1\n");
  assert.match(stderr, /the supervisor, which answers denied calls, was killed/);
});

test("in the whole sandbox everything goes with the supervisor, what the program has left behind too", {
  timeout: 240_000,
}, async () => {
  // A command line that nobody else has.
  const seconds = String(1_000_000 + process.pid);
  const sleepers = (): number =>
    readdirSync("/proc").filter((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8") === `sleep\0${seconds}\0`;
      } catch {
        return false;
      }
    }).length;
  const until = async (count: number): Promise<void> => {
    for (const end = Date.now() + 90_000; sleepers() !== count; ) {
      assert.ok(Date.now() < end, `waited for ${count} of them`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const script = `setsid sleep ${seconds} & sleep ${seconds}`;
  const child = spawn(callgate, ["run", "--policy", policy, "--", "sh", "-c", script], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, "close");
  try {
    await until(2);
    process.kill(supervisorOf(child.pid), "SIGKILL");
    assert.deepEqual(await ended, [null, "SIGKILL"]);
    await until(0);
  } finally {
    child.kill("SIGKILL");
  }
  assert.match(
    stderr,
    /the supervisor, which answers denied calls, was killed, and so the program was ended/,
  );
});

test("who would tell is killed: the program goes on, its calls are refused as ever, and the gap is said", {
  timeout: 120_000,
}, async () => {
  const child = spawn(
    callgate,
    command("--report=end", "--", compileC("many", many, ["-pthread"]), "5", "5"),
    {
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
  const ended = once(child, "close");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => {
    said += bytes.toString();
  });
  assert.equal((await lines.next()).value, "wrong: 0");
  process.kill(tellerOf(child.pid), "SIGKILL");
  child.stdin.write("\n");
  assert.equal((await lines.next()).value, "wrong: 0");
  child.stdin.write("\n");
  assert.deepEqual(await ended, [0, null]);
  assert.equal(
    said,
    "callgate: what was denied is not told: callgate's own process for that was ended by signal 9\n",
  );
});

/** The first calls of sendto by a process fail, each with another error that passes: no memory, no buffers, no room, a signal. */
const failing = `#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char **words) {
  static const int errors[] = {ENOBUFS, ENOMEM, EAGAIN, EINTR, ENOBUFS};
  enum { ERRORS = sizeof errors / sizeof errors[0] };
  pid_t process = count > 1 ? atoi(words[1]) : 0;
  if (ptrace(PTRACE_SEIZE, process, 0, PTRACE_O_TRACESYSGOOD) < 0 || ptrace(PTRACE_INTERRUPT, process, 0, 0) < 0)
    return perror("ptrace"), 9;
  int failed = 0, is_entry = 0, is_failing = 0, is_attached = 0, status;
  while (waitpid(process, &status, 0) == process && WIFSTOPPED(status)) {
    long signal = 0;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      struct user_regs_struct registers;
      ptrace(PTRACE_GETREGS, process, 0, &registers);
      is_entry = !is_entry;
      // A call that does nothing, and that its own filter allows, in the place of it.
      if (is_entry && registers.orig_rax == SYS_sendto && failed < ERRORS) {
        registers.orig_rax = SYS_close;
        registers.rdi = (unsigned long)-1;
        is_failing = 1;
        ptrace(PTRACE_SETREGS, process, 0, &registers);
      } else if (!is_entry && is_failing) {
        registers.rax = (unsigned long)-errors[failed++];
        is_failing = 0;
        ptrace(PTRACE_SETREGS, process, 0, &registers);
      }
    } else if (status >> 16 == 0) signal = WSTOPSIG(status);
    if (!is_attached && write(1, "attached\\n", 9) != 9) return 9;
    is_attached = 1;
    ptrace(PTRACE_SYSCALL, process, 0, signal);
  }
  printf("failed %d\\n", failed);
  return 0;
}
`;

test("what cannot be told just now is told a moment later", { timeout: 120_000 }, async (t) => {
  if (!isRoot || architecture !== "x86_64")
    return t.diagnostic("needs root, who may trace a supervisor, and x86");
  const report = scratchPath("failing.json");
  const told = ["--report=json", "--report-to", report];
  const program = compileC("many", many, ["-pthread"]);
  const child = spawn(callgate, command(...told, "--", program, "5"), { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, "wrong: 0");
  const tracer = spawn(compileC("failing", failing), [String(supervisorOf(child.pid))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const traced = createInterface(tracer.stdout)[Symbol.asyncIterator]();
  try {
    assert.equal((await traced.next()).value, "attached");
    child.stdin.write("\n");
    assert.deepEqual(await ended, [0, null]);
    assert.equal((await traced.next()).value, "failed 5");
  } finally {
    tracer.kill("SIGKILL");
    child.kill("SIGKILL");
  }
  const said = readFileSync(report, "utf8").split("\n");
  assert.equal(
    said.filter((one) => /"syscall":"keyctl",.*"count":5[,}]/.test(one)).length,
    1,
    said.join("\n"),
  );
});

/** Filters of its own over the denied call: each is one more, and none makes it succeed. */
const ownFilters = `#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static long install(unsigned answer, unsigned flags) {
  struct sock_filter code[] = {
    {0x20, 0, 0, 0}, {0x15, 0, 1, SYS_keyctl}, {0x06, 0, 0, answer}, {0x06, 0, 0, SECCOMP_RET_ALLOW}};
  struct sock_fprog program = {4, code};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}
static void say(const char *what, unsigned answer, unsigned flags) {
  if (fork() == 0) {
    long installed = install(answer, flags);
    int why = errno;
    errno = 0;
    long result = syscall(SYS_keyctl, 0, -3, 0, 0, 0);
    printf("%s: %ld %d, %ld %d\\n", what, installed < 0 ? -1L : 0L, installed < 0 ? why : 0, result < 0 ? -1L : 0L, errno);
    fflush(stdout);
    _exit(0);
  }
  wait(0);
}
int main(void) {
  say("allow", SECCOMP_RET_ALLOW, 0);
  say("log", SECCOMP_RET_LOG, 0);
  say("trace", SECCOMP_RET_TRACE, 0);
  say("errno", SECCOMP_RET_ERRNO | 77, 0);
  say("errno 0", SECCOMP_RET_ERRNO, 0);
  say("notify", SECCOMP_RET_USER_NOTIF, 0);
  say("listener", SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  return 0;
}
`;

test("a program that installs filters of its own", { timeout: 240_000 }, () => {
  const program = compileC("own-filters", ownFilters);
  const { status, stdout, stderr } = spawnSync(callgate, command("--report=end", "--", program), {
    encoding: "utf8",
    timeout: 120_000,
  });
  assert.equal(status, 0, stderr);
  assert.deepEqual(stdout.trim().split("\n"), [
    "allow: 0 0, -1 1",
    "log: 0 0, -1 1",
    "trace: 0 0, -1 1",
    "errno: 0 0, -1 77",
    // Its own filter says that nothing was done and 0 returned; the kernel carries out nothing.
    "errno 0: 0 0, 0 0",
    "notify: 0 0, -1 38",
    "listener: -1 16, -1 1",
  ]);
  assert.match(stderr, /^denied {2}keyctl\(.*×4/m);
});

test("one callgate inside another: the plain filter, and that is said", { timeout: 240_000 }, () => {
  const { stdout, stderr } = spawnSync(
    callgate,
    command(
      "--report=end",
      "--",
      callgate,
      ...[
        "run",
        "--filter-only",
        "--report=end",
        "--rule",
        "errno(ENOENT) keyctl",
        "--",
        probePath,
        "keyctl",
      ],
    ),
    { encoding: "utf8", timeout: 120_000 },
  );
  // The inner one answers by itself, and an errno outranks the question to the outer one.
  assert.match(stdout, /ENOENT/);
  assert.match(
    stderr,
    /^callgate: no reports of denied calls: something around callgate listens to them already$/m,
  );
  assert.doesNotMatch(stderr, /^denied {2}keyctl/m);
});
