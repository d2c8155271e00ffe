// doctor asks the kernel what it can do for a sandbox, by doing it: each question is a child process that tries and ends.
// One line an answer, `NAME NUMBER`: 0 or more is yes (or how much), a negative number the error, and below -1000 the
// signal that ended the child, less 1000. `callgate doctor` puts these into words; nothing here changes anything that
// outlives its child.

#include "system.h"

enum { PTRACE_TRACEME = 0, PTRACE_SECCOMP_GET_FILTER = 0x420c, MS_REC = 0x4000, SECCOMP_GET_ACTION_AVAIL = 2 };
enum { FLAG_LOG = 2, FLAG_NEW_LISTENER = 8, FLAG_TSYNC_ESRCH = 16, FLAG_WAIT_KILLABLE = 32 };
enum { LANDLOCK_CREATE_RULESET_VERSION = 1 };

// ── One question, one child ────────────────────────────────────────────────────────────────────────────────────

static long install(uint32_t flags) {
  static const struct filter_instruction allow[] = {{BPF_RETURN, 0, 0, SECCOMP_RETURN_ALLOW}};
  struct filter_program program = {1, allow};
  long result = CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return result < 0 ? result : CALL(seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static long filter(void) { return install(0); }
static long log_flag(void) { return install(FLAG_LOG); }
static long notification(void) { return install(FLAG_NEW_LISTENER); }
static long notification_killable(void) { return install(FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE); }
static long notification_threads(void) { return install(FLAG_NEW_LISTENER | 1 | FLAG_TSYNC_ESRCH); }

#if defined(__x86_64__)
// getpid by the 32-bit entry: where the kernel has none, int 0x80 is a fault.
static long x86(void) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "r8", "r9", "r10", "r11", "memory");
  return result == CALL(getpid) ? 0 : result < 0 ? result : -ENOSYS;
}

static long x32(void) {
  long result = call6(0x40000000L | NR_getpid, 0, 0, 0, 0, 0, 0);
  return result == CALL(getpid) ? 0 : result < 0 ? result : -ENOSYS;
}
#endif

static long user_namespace(void) { return CALL(unshare, CLONE_NEWUSER); }

// Where something keeps rights from user namespaces, they can be made and are good for nothing.
static long user_mount(void) {
  long result = CALL(unshare, CLONE_NEWUSER | CLONE_NEWNS);
  return result < 0 ? result : CALL(mount, 0, "/", 0, MS_REC | MS_PRIVATE, 0);
}

static long user_network(void) { return CALL(unshare, CLONE_NEWUSER | CLONE_NEWNET); }

// Reads back the filter of a child that stopped for it.
static long read_filter(void) {
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (install(0) < 0 || CALL(ptrace, PTRACE_TRACEME, 0, 0, 0) < 0) leave(1);
    CALL(kill, CALL(getpid), SIGSTOP);
    leave(0);
  }
  if (child < 0) return child;
  uint32_t status = 0;
  long result = CALL(wait4, child, &status, 0, 0);
  bool stopped = result == child && (status & 0xff) == 0x7f;
  if (result == child) result = stopped ? CALL(ptrace, PTRACE_SECCOMP_GET_FILTER, child, 0, 0) : -EPERM;
  if (stopped) {
    CALL(kill, child, SIGKILL);
    CALL(wait4, child, &status, 0, 0);
  }
  return result < 0 ? result : 0;
}

// The child's result is its exit status: 0, or an errno, all of which fit.
static long answer(long (*question)(void)) {
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    long result = question();
    leave(result < 0 ? (int)-result : 0);
  }
  if (child < 0) return child;
  uint32_t status = 0;
  long result;
  do result = CALL(wait4, child, &status, 0, 0);
  while (result == -EINTR);
  if (result < 0) return result;
  uint32_t signal = status & 0x7f;
  return signal != 0 ? -1000 - (long)signal : -(long)(status >> 8 & 0xff);
}

// ── The answers ────────────────────────────────────────────────────────────────────────────────────────────────

static void say(const char *name, long result) {
  struct line line = {.length = 0};
  put(&line, name);
  put(&line, result < 0 ? " -" : " ");
  put_number(&line, result < 0 ? (uint64_t)-result : (uint64_t)result);
  put_byte(&line, '\n');
  CALL(write, 1, line.text, line.length);
}

static void say_action(const char *name, uint32_t action) {
  say(name, CALL(seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
}

__attribute__((used)) _Noreturn void start(const uint64_t *stack) {
  (void)stack;
  say("landlock", CALL(landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION));
  say("filter", answer(filter));
  say("filter-log", answer(log_flag));
  say_action("action-kill", SECCOMP_RETURN_KILL);
  say_action("action-kill-thread", 0);
  say_action("action-trap", 0x00030000U);
  say_action("action-errno", SECCOMP_RETURN_ERRNO);
  say_action("action-notify", 0x7fc00000U);
  say_action("action-trace", 0x7ff00000U);
  say_action("action-log", 0x7ffc0000U);
  say_action("action-allow", SECCOMP_RETURN_ALLOW);
  say("notification", answer(notification));
  say("notification-killable", answer(notification_killable));
  say("notification-threads", answer(notification_threads));
#if defined(__x86_64__)
  say("abi-x86", answer(x86));
  say("abi-x32", answer(x32));
#endif
  say("user-namespace", answer(user_namespace));
  say("user-mount", answer(user_mount));
  say("user-network", answer(user_network));
  say("read-filter", answer(read_filter));
  leave(0);
}
