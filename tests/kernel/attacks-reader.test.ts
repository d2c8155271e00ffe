// A program that holds whoever reads its memory (userfaultfd) holds no answers: a denied call's path is read by a child
// of the supervisor's, and everybody else is answered meanwhile. Only root may hold the kernel's own accesses.
// Debian packages: gcc libc6-dev
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { compileC, isRoot, root, scratchFile } from "./native.ts";

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
