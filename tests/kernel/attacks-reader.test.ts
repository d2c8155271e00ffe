// A program that holds whoever reads its memory (userfaultfd, a file system of its own) holds no answers: a denied call's
// path is read by a child of the supervisor's, and everybody else is answered meanwhile. Only root may hold the kernel's own
// accesses, and mount without asking.
// Debian packages: gcc libc6-dev
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compileC, isRoot, root, scratchFile, scratchPath } from "./native.ts";

const callgate = join(root, "bin", "callgate");

/** Ten threads, each with a denied call whose path lies in a page that is not there; then their first thread's calls. */
const holder = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static char *page;
static _Atomic int answered;
static const long calls[10] = {SYS_mkdirat, SYS_unlinkat, SYS_fchmodat, SYS_mknodat, SYS_truncate, SYS_renameat,
  SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_openat2};
static void *held(void *number) {
  long result = syscall((long)number, page, page, page, page, 24);
  dprintf(1, "%s\\n", result < 0 && errno == EPERM ? "refused" : "POSSIBLE");
  answered++;
  return 0;
}
static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}
int main(int count, char **names) {
  setvbuf(stdout, 0, _IONBF, 0);
  int fault = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
  struct uffdio_api api = {.api = UFFD_API};
  page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct uffdio_register area = {.range = {(unsigned long)page, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
  if (fault < 0 || ioctl(fault, UFFDIO_API, &api) < 0 || ioctl(fault, UFFDIO_REGISTER, &area) < 0) return perror("uffd"), 9;
  pthread_t threads[10];
  for (long i = 0; i < 10; i++) pthread_create(&threads[i], 0, held, (void *)calls[i]);
  // Two find no reader left, and need none.
  for (double start = now(); answered < 2 && now() - start < 60;) usleep(1000);
  printf("answered without a reader: %d\\n", answered);
  // Everybody else, while eight readers are held: what needs no reader, and what would need one.
  double start = now();
  int wrong = 0;
  for (int i = 0; i < 1000; i++) wrong += !(syscall(SYS_keyctl, 0, -3, 0, 0, 0) < 0 && errno == EPERM);
  wrong += !(syscall(SYS_execveat, -1, "/other", 0, 0, 0) < 0 && errno == EPERM);
  printf("others: %d wrong, %s\\n", wrong, now() - start < 30 ? "in time" : "LATE");
  printf("held: %d\\n", 10 - answered);
  if (count > 1 && strcmp(names[1], "leave") == 0) return 0;
  char text[4096] = "/the/path";
  struct uffdio_copy copy = {(unsigned long)page, (unsigned long)text, 4096, 0, 0};
  ioctl(fault, UFFDIO_COPY, &copy);
  for (int i = 0; i < 10; i++) pthread_join(threads[i], 0);
  printf("released: %d\\n", 10 - answered);
  return 0;
}
`;

const calls =
  "mkdirat, unlinkat, fchmodat, mknodat, truncate, renameat, renameat2, linkat, symlinkat, openat2, execveat";

for (const [what, args] of [
  ["and lets go of it", []],
  ["and ends", ["leave"]],
] as const) {
  test(`a program holds those who read its memory, ${what}`, { timeout: 240_000 }, (t) => {
    if (!isRoot) return t.diagnostic("the kernel lets only root hold its own accesses");
    const policy = scratchFile(
      "holding.toml",
      `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = "deny keyctl, ${calls}"\n`,
    );
    const program = compileC("holder", holder, ["-pthread"]);
    const { stdout, stderr, status } = spawnSync(
      callgate,
      ["run", "--filter-only", "--report=end", "--policy", policy, "--", program, ...args],
      { encoding: "utf8", timeout: 120_000, killSignal: "SIGKILL", env: { ...process.env, NO_COLOR: "1" } },
    );
    assert.equal(status, 0, stderr);
    const lines = stdout.split("\n").filter((line) => line !== "" && line !== "refused");
    assert.deepEqual(lines, [
      "answered without a reader: 2",
      "others: 0 wrong, in time",
      "held: 8",
      ...(args.length > 0 ? [] : ["released: 0"]),
    ]);
    // All are reported; the path of those that were held is there when it could be read.
    for (const one of calls.split(", ")) assert.match(stderr, new RegExp(`^denied {2}${one}\\(`, "m"));
    assert.match(stderr, /^denied {2}keyctl\(.*×1000/m);
    assert.equal(stderr.match(/ says "\/the\/path"/g)?.length ?? 0, args.length > 0 ? 0 : 8, stderr);
  });
}

/** Mounts a file system with one file, whose page it gives only when the program says "let go", and starts a command there. */
const fileSystem = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
static int device, to_program;
static struct fuse_in_header held;
static void reply(const struct fuse_in_header *to, int error, const void *data, size_t length) {
  char bytes[8192];
  struct fuse_out_header head = {(unsigned)(sizeof head + length), error, to->unique};
  memcpy(bytes, &head, sizeof head);
  if (length > 0) memcpy(bytes + sizeof head, data, length);
  if (write(device, bytes, head.len) < 0) return;
}
static struct fuse_attr attributes(unsigned long node) {
  return (struct fuse_attr){.ino = node, .size = node == 1 ? 0 : 4096, .mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0644, .nlink = 1};
}
static void serve(void) {
  static char request[1 << 18];
  ssize_t length = read(device, request, sizeof request);
  if (length < (ssize_t)sizeof(struct fuse_in_header)) return;
  const struct fuse_in_header *head = (const void *)request;
  switch (head->opcode) {
    case FUSE_INIT: {
      struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096};
      reply(head, 0, &out, sizeof out);
      return;
    }
    case FUSE_GETATTR: {
      struct fuse_attr_out out = {.attr_valid = 60, .attr = attributes(head->nodeid)};
      reply(head, 0, &out, sizeof out);
      return;
    }
    case FUSE_LOOKUP: {
      struct fuse_entry_out out = {.nodeid = 2, .entry_valid = 60, .attr_valid = 60, .attr = attributes(2)};
      reply(head, 0, &out, sizeof out);
      return;
    }
    case FUSE_OPEN: {
      struct fuse_open_out out = {0};
      reply(head, 0, &out, sizeof out);
      return;
    }
    case FUSE_READ:
      held = *head;
      if (write(to_program, "held\\n", 5) != 5) perror("held");
      return;
    case FUSE_FORGET: case FUSE_BATCH_FORGET: case FUSE_INTERRUPT: return;
    case FUSE_FLUSH: case FUSE_RELEASE: reply(head, 0, 0, 0); return;
    default: reply(head, -ENOSYS, 0, 0);
  }
}
int main(int count, char **words) {
  (void)count;
  char options[128];
  device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
  int ends[2], input[2];
  if (device < 0 || unshare(CLONE_NEWNS) < 0 || mount("none", "/", 0, MS_REC | MS_PRIVATE, 0) < 0 || mount("held", words[1], "fuse", MS_NOSUID | MS_NODEV, options) < 0 || pipe2(ends, O_CLOEXEC) < 0 || pipe2(input, O_CLOEXEC) < 0) return perror("fuse"), 9;
  pid_t child = fork();
  if (child == 0) {
    dup2(input[0], 0);
    dup2(ends[1], 1);
    execv(words[2], words + 2);
    _exit(8);
  }
  close(ends[1]);
  close(input[0]);
  to_program = input[1];
  char said[4096];
  size_t length = 0;
  for (;;) {
    struct pollfd both[2] = {{device, POLLIN, 0}, {ends[0], POLLIN, 0}};
    if (poll(both, 2, 60000) <= 0) return puts("NOTHING HAPPENS"), 7;
    if (both[0].revents & POLLIN) serve();
    if (both[1].revents == 0) continue;
    ssize_t more = read(ends[0], said + length, sizeof said - 1 - length);
    if (more <= 0) break;
    length += (size_t)more;
    said[length] = 0;
    if (held.unique != 0 && strstr(said, "let go\\n")) {
      char text[4096] = "/the/path";
      reply(&held, 0, text, sizeof text);
      held.unique = 0;
    }
  }
  fputs(said, stdout);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 6;
}
`;

/** Its one denied call has a path that lies in that file. */
const mapper = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static char *page;
static _Atomic int answered;
static void *call(void *none) {
  long result = syscall(SYS_mkdirat, -1, page, 0);
  dprintf(1, "%s\\n", result < 0 && errno == EPERM ? "refused" : "POSSIBLE");
  answered = 1;
  return none;
}
int main(int count, char **words) {
  int file = open(words[1], O_RDONLY);
  page = mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 0);
  if (page == MAP_FAILED) return perror("mmap"), 9;
  pthread_t thread;
  pthread_create(&thread, 0, call, 0);
  if (getchar() != 'h') return 8;
  int wrong = 0;
  for (int i = 0; i < 1000; i++) wrong += !(syscall(SYS_keyctl, 0, -3, 0, 0, 0) < 0 && errno == EPERM);
  wrong += !(syscall(SYS_unlinkat, -1, "/other", 0) < 0 && errno == EPERM);
  dprintf(1, "others: %d wrong, held: %d\\n", wrong, !answered);
  if (count > 2) return 0;
  dprintf(1, "let go\\n");
  pthread_join(thread, 0);
  return 0;
}
`;

for (const [what, args] of [
  ["and lets go of it", []],
  ["and ends", ["leave"]],
] as const) {
  test(`a file system holds those who read a program's memory, ${what}`, { timeout: 240_000 }, (t) => {
    if (!isRoot || !existsSync("/dev/fuse")) return t.diagnostic("needs root, and FUSE");
    const folder = scratchPath("held");
    mkdirSync(folder);
    const policy = scratchFile(
      "mapped.toml",
      'version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = "deny keyctl, mkdirat, unlinkat"\n',
    );
    const program = compileC("mapper", mapper, ["-pthread"]);
    const run = ["run", "--filter-only", "--report=end", "--policy", policy, "--", program];
    const { stdout, stderr, status } = spawnSync(
      compileC("file-system", fileSystem),
      [folder, callgate, ...run, join(folder, "file"), ...args],
      { encoding: "utf8", timeout: 120_000, killSignal: "SIGKILL", env: { ...process.env, NO_COLOR: "1" } },
    );
    assert.equal(status, 0, stdout + stderr);
    const said = ["others: 0 wrong, held: 1", ...(args.length > 0 ? [] : ["let go", "refused"]), ""];
    assert.equal(stdout, said.join("\n"));
    assert.match(stderr, /^denied {2}keyctl\(.*×1000/m);
    assert.match(stderr, /^denied {2}unlinkat\(.* says "\/other"/m);
    assert.match(
      stderr,
      args.length > 0 ? /^denied {2}mkdirat\(.*pathname = 0x/m : /^denied {2}mkdirat\(.*says "\/the\/path"/m,
    );
  });
}
