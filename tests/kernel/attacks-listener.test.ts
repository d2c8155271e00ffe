// The program and its listener: nobody but the supervisor ever has it, and until the supervisor has it no program runs.
// Debian packages: gcc libc6-dev
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { compileC, isRoot, ordinaryUser, root, scratch, scratchFile } from "./native.ts";

const callgate = join(root, "bin", "callgate");
const policy = scratchFile(
  "policy.toml",
  'version = 1\nextends = ["default"]\n[syscalls]\nrules = "deny keyctl\\nallow kill"\n',
);
const whole = ["--read", scratch()];
const filterOnly = ["--filter-only"];
const people = isRoot ? { root: {}, "an ordinary user": ordinaryUser } : { "this user": {} };

/**
 * It begins with killing who was started after it, and then is refused, or refused by nobody (ENOSYS). Without a pid
 * namespace only what callgate has started: the next number may be anybody's, and once was a process of another test's.
 */
const hasty = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static int parent_of(pid_t one) {
  char path[32], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", one);
  int file = open(path, O_RDONLY), parent = -1;
  ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  text[length < 0 ? 0 : length] = 0;
  char *name_end = strrchr(text, ')');
  if (name_end != 0) sscanf(name_end + 1, " %*c %d", &parent);
  return parent;
}
int main(void) {
  pid_t own = getpid(), outer = getppid();
  for (int i = 1; i <= 3; i++)
    if (outer == 0 || parent_of(own + i) == outer) kill(own + i, SIGKILL);
  long result = syscall(SYS_keyctl, 0, -3, 0, 0, 0);
  dprintf(1, "%s\\n", result >= 0 ? "POSSIBLE" : errno == EPERM ? "refused" : "not answered");
  return 0;
}
`;

/**
 * It starts callgate, and kills the fourth child of that (teller, supervisor, program, helper) as soon as there is one.
 */
const hunter = `#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char **arguments) {
  (void)count;
  pid_t outer = fork();
  if (outer == 0) {
    execv(arguments[1], arguments + 1);
    _exit(9);
  }
  char path[64], text[256];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", outer, outer);
  int status = 0, killed = 0;
  while (waitpid(outer, &status, WNOHANG) == 0) {
    int file = killed ? -1 : open(path, O_RDONLY);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    text[length < 0 ? 0 : length] = 0;
    int pids[5] = {0};
    if (sscanf(text, "%d %d %d %d", pids, pids + 1, pids + 2, pids + 3) == 4) killed = kill(pids[3], SIGKILL) == 0;
  }
  printf("%s %d\\n", killed ? "killed" : "missed", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  return 0;
}
`;

describe("the listener is the supervisor's before there is a program", () => {
  for (const [name, identity] of Object.entries(people)) {
    for (const mode of [whole, filterOnly]) {
      test(`${name}, ${mode[0]}: who kills at once whoever hands it over`, { timeout: 240_000 }, () => {
        const program = compileC("hasty", hasty, ["-static"]);
        for (let start = 0; start < 10; start += 1) {
          const args = ["run", ...mode, "--report=end", "--policy", policy, "--", program];
          const found = spawnSync(callgate, args, { encoding: "utf8", timeout: 60_000, ...identity });
          // Who kills late enough may have killed somebody who has done his work, and been ended for it.
          assert.match(found.stdout, /^(refused\n)?$/, found.stderr);
          assert.ok(found.stdout !== "" || found.signal === "SIGKILL", found.stderr);
        }
      });
    }

    test(`${name}: one who is killed before ends the start`, { timeout: 240_000 }, () => {
      const hunting = compileC("hunter", hunter);
      const program = compileC("hasty", hasty, ["-static"]);
      const args = [callgate, "run", ...filterOnly, "--report=end", "--policy", policy, "--", program];
      let ended = 0;
      for (let start = 0; start < 400 && ended < 2; start += 1) {
        const { stdout, stderr } = spawnSync(hunting, args, {
          encoding: "utf8",
          timeout: 60_000,
          ...identity,
        });
        assert.doesNotMatch(stdout, /POSSIBLE|not answered/);
        if (!stdout.startsWith("killed")) continue;
        if (stdout === "killed 9\n") {
          ended += 1;
          assert.match(stderr, /was killed, and so the program was ended/);
        }
      }
      assert.ok(ended > 0, "it was never killed in time");
    });
  }
});
