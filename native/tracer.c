// callgate's tracer: what only ptrace can do for a container.
//
//   tracer filters PID        writes the process's seccomp filters to standard output, the oldest first:
//                             u32 instructions, then the instructions; needs CAP_SYS_ADMIN, and no filter on itself
//   tracer loads PROGRAM ARG… runs a program, and writes the filters of each of its tasks that ends with any to
//                             descriptor 3: u32 process, u32 filters, its name in 16 bytes, then the filters as above
//   tracer guard FILE LOG     LXC's start-host hook: the container's init (LXC_PID) may execute FILE and nothing else
//   tracer attach FILE CMD…   runs lxc-attach: what it starts may execute FILE and nothing else
//
// `guard` first puts callgate.seccomp-attach, where there is one beside FILE, in the place of callgate.seccomp: LXC has read
// that by now. Then it returns at once, with the init traced by a child that stays until the init's first exec. There the new
// program has not run an instruction yet: if its file is not FILE, which installs the container's filter, it is
// killed, and with it the container. So it is when it makes a process before (lxc-execute stays, and starts its program
// as a child). If the tracing child is killed, so is the init.
// `attach` traces CMD and its children until the one that executes FILE has done so, and ends as CMD does.

#include "system.h"

enum {
  PTRACE_CONT = 7, PTRACE_DETACH = 17, PTRACE_SECCOMP_GET_FILTER = 0x420c,
  PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207, PTRACE_LISTEN = 0x4208,
  PTRACE_O_TRACEFORK = 1 << 1, PTRACE_O_TRACEVFORK = 1 << 2, PTRACE_O_TRACECLONE = 1 << 3,
  PTRACE_O_TRACEEXEC = 1 << 4, PTRACE_O_TRACEEXIT = 1 << 6, PTRACE_O_EXITKILL = 1 << 20,
  PTRACE_EVENT_FORK = 1, PTRACE_EVENT_EXEC = 4, PTRACE_EVENT_EXIT = 6, PTRACE_EVENT_STOP = 128,
  WALL = 0x40000000,
  O_APPEND = 0x400,
  AF_UNIX = 1, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0x80000,
  INSTRUCTIONS_MAXIMUM = 4096,
#if defined(__x86_64__)
  NUMBER_RENAMEAT2 = 316,
#else
  NUMBER_RENAMEAT2 = 276,
#endif
};

static struct filter_instruction instructions[INSTRUCTIONS_MAXIMUM];
static int failure_status = 1;

_Noreturn static void fail(const char *what, const char *object, long result) {
  fail_as("callgate", failure_status, what, object, result);
}

static bool is_word(const char *given, const char *word) {
  while (*given != 0 && *given == *word) given++, word++;
  return *given == *word;
}

// A positive decimal number that a process can have, or 0.
static long process_id(const char *text) {
  long number = 0;
  const char *digit = text;
  for (; *digit >= '0' && *digit <= '9' && number <= 1 << 22; digit++) number = number * 10 + (*digit - '0');
  return *digit == 0 && number <= 1 << 22 ? number : 0;
}

static long wait_for(long pid, int *status) {
  long result;
  do result = CALL(wait4, pid, status, WALL, 0);
  while (result == -EINTR);
  return result;
}

static void write_all(int descriptor, const void *bytes, size_t length) {
  const uint8_t *at = bytes;
  while (length > 0) {
    long count = CALL(write, descriptor, at, length);
    if (count == -EINTR) continue;
    if (count < 0) fail("cannot write the filters", NULL, count);
    at += count;
    length -= (size_t)count;
  }
}

// ── filters ────────────────────────────────────────────────────────────────────────────────────────────────────

// A stopped task's filters; nothing where it has none.
static void write_filters(int descriptor, long pid) {
  long count;
  for (long index = 0;; index++) {
    count = CALL(ptrace, PTRACE_SECCOMP_GET_FILTER, pid, index, 0);
    if (count <= 0) break;
    if (count > INSTRUCTIONS_MAXIMUM) fail("a filter is longer than the kernel takes one", NULL, 0);
    long result = CALL(ptrace, PTRACE_SECCOMP_GET_FILTER, pid, index, instructions);
    if (result != count) fail("cannot read a filter", NULL, result);
    uint32_t length = (uint32_t)count;
    write_all(descriptor, &length, sizeof length);
    write_all(descriptor, instructions, (size_t)count * sizeof instructions[0]);
  }
  // ENOENT: there is no further one. EINVAL: the process has none at all.
  if (count != -ENOENT && count != -EINVAL) fail("cannot read the filters back", NULL, count);
}

static void print_filters(long pid) {
  long result = CALL(ptrace, PTRACE_SEIZE, pid, 0, 0);
  if (result < 0) fail("cannot trace the process", NULL, result);
  result = CALL(ptrace, PTRACE_INTERRUPT, pid, 0, 0);
  if (result < 0) fail("cannot stop the process", NULL, result);
  int status = 0;
  result = wait_for(pid, &status);
  if (result < 0) fail("cannot wait for the process", NULL, result);
  if ((status & 0xff) != 0x7f) fail("the process has ended", NULL, 0);

  write_filters(1, pid);
  // What the process was about to get, it gets; ptrace's own stop has no signal.
  long signal = status >> 16 == PTRACE_EVENT_STOP ? 0 : status >> 8 & 0xff;
  CALL(ptrace, PTRACE_DETACH, pid, 0, signal);
}

// ── loads ──────────────────────────────────────────────────────────────────────────────────────────────────────

enum { NAME_SIZE = 16, OUTPUT = 3 };

static void report_filters(long pid) {
  struct {
    uint32_t pid, filters;
    char name[NAME_SIZE];
  } head = {.pid = (uint32_t)pid};
  long result;
  while ((result = CALL(ptrace, PTRACE_SECCOMP_GET_FILTER, pid, head.filters, 0)) > 0) head.filters++;
  if (result == -EACCES) fail("cannot read filters back: that needs CAP_SYS_ADMIN, and no filter on callgate", NULL, 0);
  if (head.filters == 0) return;

  struct line path = {.length = 0};
  put(&path, "/proc/");
  put_number(&path, (uint64_t)pid);
  put(&path, "/comm");
  put_byte(&path, 0);
  long file = CALL(openat, AT_FDCWD, path.text, O_RDONLY | O_CLOEXEC, 0);
  if (file >= 0) {
    CALL(read, file, head.name, NAME_SIZE);
    CALL(close, file);
  }
  write_all(OUTPUT, &head, sizeof head);
  write_filters(OUTPUT, pid);
}

// At a task's end its filters are still there, and no further one can come.
static void loads(const char **program, const char **environment) {
  int ends[2];
  long result = CALL(pipe2, ends, O_CLOEXEC);
  if (result < 0) fail("cannot make a pipe", NULL, result);
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child < 0) fail("cannot make a process", NULL, child);
  if (child == 0) {
    char byte;
    CALL(close, ends[1]);
    CALL(close, OUTPUT);
    if (CALL(read, ends[0], &byte, 1) != 1) leave(1); // the tracer has said why
    result = CALL(execve, program[0], program, environment);
    fail("cannot execute", program[0], result);
  }
  const int options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT |
                      PTRACE_O_EXITKILL;
  result = CALL(ptrace, PTRACE_SEIZE, child, 0, options);
  if (result < 0) fail("cannot trace the program", NULL, result);
  CALL(close, ends[0]);
  CALL(write, ends[1], "+", 1);
  CALL(close, ends[1]);

  for (;;) {
    int status = 0;
    long pid = wait_for(-1, &status);
    if (pid < 0) return; // nobody is left
    if ((status & 0xff) != 0x7f) continue;
    int event = status >> 16, signal = status >> 8 & 0xff;
    if (event == PTRACE_EVENT_EXIT) report_filters(pid);
    bool stops = signal == SIGSTOP || signal == 20 || signal == 21 || signal == 22;
    if (event == PTRACE_EVENT_STOP && stops)
      CALL(ptrace, PTRACE_LISTEN, pid, 0, 0);
    else
      CALL(ptrace, PTRACE_CONT, pid, 0, event == 0 ? signal : 0);
  }
}

// ── guard ──────────────────────────────────────────────────────────────────────────────────────────────────────

// The program that the process runs is FILE itself, not one that is named like it.
static bool runs(long pid, const struct file_status *file) {
  struct line path = {.length = 0};
  put(&path, "/proc/");
  put_number(&path, (uint64_t)pid);
  put(&path, "/exe");
  put_byte(&path, 0);
  long program = CALL(openat, AT_FDCWD, path.text, O_PATH | O_CLOEXEC, 0);
  struct file_status status;
  if (program < 0 || CALL(fstat, program, &status) < 0) return false;
  CALL(close, program);
  return status.device == file->device && status.inode == file->inode;
}

static void report_stop(long log) {
  static const char text[] =
      "<3>callgate: error start-without-filter: the container was about to start another program than its configured "
      "init, without callgate's filter (lxc-start -- CMD, -s lxc.init.cmd=…, lxc-execute): it was stopped\n";
  if (log >= 0) CALL(write, log, text + 3, sizeof text - 4);
  static const struct {
    uint16_t family;
    char path[10];
  } syslog = {AF_UNIX, "/dev/log"};
  long socket = CALL(socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket >= 0) CALL(sendto, socket, text, sizeof text - 2, MSG_NOSIGNAL, &syslog, sizeof syslog);
}

_Noreturn static void watch(long pid, const struct file_status *file, long log, int ready) {
  CALL(setsid);
  const int options =
      PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  long result = CALL(ptrace, PTRACE_SEIZE, pid, 0, options);
  if (result < 0) fail("start-host check: cannot trace the container's init", NULL, result);
  // LXC waits until nobody has the hook's output any more.
  long null = CALL(openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
  if (null < 0) fail("start-host check: cannot open", "/dev/null", null);
  CALL(write, ready, "+", 1);
  CALL(close, ready);
  for (int descriptor = 0; descriptor < 3; descriptor++) CALL(dup3, null, descriptor, 0);

  for (;;) {
    int status = 0;
    if (wait_for(pid, &status) < 0) leave(1);
    if ((status & 0xff) != 0x7f) leave(0); // the init has ended before
    int event = status >> 16, signal = status >> 8 & 0xff;
    if (event == PTRACE_EVENT_EXEC && runs(pid, file)) {
      CALL(ptrace, PTRACE_DETACH, pid, 0, 0);
      leave(0);
    }
    if (event >= PTRACE_EVENT_FORK && event <= PTRACE_EVENT_EXEC) {
      CALL(kill, pid, SIGKILL);
      report_stop(log);
      leave(1);
    }
    bool stops = signal == SIGSTOP || signal == 20 || signal == 21 || signal == 22;
    if (event == PTRACE_EVENT_STOP && stops)
      CALL(ptrace, PTRACE_LISTEN, pid, 0, 0);
    else
      CALL(ptrace, PTRACE_CONT, pid, 0, event == 0 ? signal : 0);
  }
}

// A start with a watcher has a profile that asks it. What comes in later refuses by itself.
static void change_profile(const char *file) {
  static const char init[] = "callgate.init", profile[] = "callgate.seccomp", later[] = "callgate.seccomp-attach";
  size_t folder = 0;
  while (file[folder] != 0) folder++;
  if (folder < sizeof init - 1) return;
  folder -= sizeof init - 1;
  struct line from = {.length = 0}, to = {.length = 0};
  if (folder + sizeof later > sizeof from.text) return; // too long for a watcher's socket, too
  for (size_t i = 0; i < folder; i++) put_byte(&from, file[i]), put_byte(&to, file[i]);
  put(&from, later);
  put(&to, profile);
  put_byte(&from, 0);
  put_byte(&to, 0);
  long result = call6(NUMBER_RENAMEAT2, WORD(AT_FDCWD), WORD(from.text), WORD(AT_FDCWD), WORD(to.text), 0, 0);
  if (result < 0 && result != -ENOENT) fail("start-host check: cannot rename", from.text, result);
}

static void guard(const char *file, const char *log_file, const char **environment) {
  static const char name[] = "LXC_PID=";
  long pid = 0;
  for (; *environment != NULL; environment++) {
    size_t same = 0;
    while (name[same] != 0 && (*environment)[same] == name[same]) same++;
    if (name[same] == 0) pid = process_id(*environment + same);
  }
  if (pid == 0) fail("start-host check: LXC does not say which process the container's init is (LXC_PID)", NULL, 0);

  change_profile(file);
  struct file_status status;
  long opened = CALL(openat, AT_FDCWD, file, O_PATH | O_CLOEXEC, 0);
  if (opened < 0) fail("start-host check: cannot open", file, opened);
  long result = CALL(fstat, opened, &status);
  if (result < 0) fail("start-host check: cannot look at", file, result);
  long log = CALL(openat, AT_FDCWD, log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

  int ends[2];
  result = CALL(pipe2, ends, O_CLOEXEC);
  if (result < 0) fail("start-host check: cannot make a pipe", NULL, result);
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child < 0) fail("start-host check: cannot make a process", NULL, child);
  if (child == 0) {
    CALL(close, ends[0]);
    watch(pid, &status, log, ends[1]);
  }
  CALL(close, ends[1]);
  char byte = 0;
  do result = CALL(read, ends[0], &byte, 1);
  while (result == -EINTR);
  if (result != 1) leave(1); // the child has said why
}

// ── attach ─────────────────────────────────────────────────────────────────────────────────────────────────────

_Noreturn static void end_like(int status) {
  if ((status & 0x7f) == 0) leave(status >> 8 & 0xff);
  leave(128 + (status & 0x7f));
}

// lxc-attach enters the container and makes the process there; what the container has at the path that is executed
// can be anything. So its children are followed from their making on, and a first exec of anything but FILE is the last.
_Noreturn static void attach(const char *file, const char **command, const char **environment) {
  failure_status = 125;
  struct file_status status;
  long opened = CALL(openat, AT_FDCWD, file, O_PATH | O_CLOEXEC, 0);
  if (opened < 0) fail("cannot open", file, opened);
  long result = CALL(fstat, opened, &status);
  if (result < 0) fail("cannot look at", file, result);

  int ends[2];
  result = CALL(pipe2, ends, O_CLOEXEC);
  if (result < 0) fail("cannot make a pipe", NULL, result);
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child < 0) fail("cannot make a process", NULL, child);
  if (child == 0) {
    char byte;
    CALL(close, ends[1]);
    do result = CALL(read, ends[0], &byte, 1);
    while (result == -EINTR);
    if (result != 1) leave(125); // not traced: nothing is started
    result = CALL(execve, command[0], command, environment);
    fail("cannot execute", command[0], result);
  }
  CALL(close, ends[0]);
  const int options =
      PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  result = CALL(ptrace, PTRACE_SEIZE, child, 0, options);
  if (result < 0) fail("cannot trace lxc-attach", NULL, result);
  CALL(write, ends[1], "+", 1);
  CALL(close, ends[1]);
  // The terminal's signals are for the program; the tracer ends when that has ended.
  struct signal_action ignore = {.handler = SIG_IGN};
  CALL(rt_sigaction, SIGINT, &ignore, 0, 8);
  CALL(rt_sigaction, SIGQUIT, &ignore, 0, 8);

  for (;;) {
    int state = 0;
    long pid = wait_for(-1, &state);
    if (pid < 0) leave(125);
    if ((state & 0xff) != 0x7f) {
      if (pid == child) end_like(state);
      continue;
    }
    int event = state >> 16, signal = state >> 8 & 0xff;
    if (event == PTRACE_EVENT_EXEC && pid == child) {
      // lxc-attach itself, and again: it executes itself once more from memory, out of the container's reach.
      CALL(ptrace, PTRACE_CONT, pid, 0, 0);
    } else if (event == PTRACE_EVENT_EXEC) {
      if (runs(pid, &status)) {
        CALL(ptrace, PTRACE_DETACH, pid, 0, 0);
        continue;
      }
      CALL(kill, pid, SIGKILL);
      fail("another program than callgate's would have been executed in the container: nothing was started", NULL, 0);
    } else {
      bool stops = signal == SIGSTOP || signal == 20 || signal == 21 || signal == 22;
      if (event == PTRACE_EVENT_STOP && stops)
        CALL(ptrace, PTRACE_LISTEN, pid, 0, 0);
      else
        CALL(ptrace, PTRACE_CONT, pid, 0, event == 0 ? signal : 0);
    }
  }
}

__attribute__((used)) _Noreturn void start(const uint64_t *stack) {
  int argc = (int)stack[0];
  const char **argv = (const char **)(uintptr_t)(stack + 1);
  const char **environment = argv + argc + 1;
  // LXC puts the container's name, "lxc" and the hook's name behind a hook's own arguments.
  if (argc == 3 && is_word(argv[1], "filters") && process_id(argv[2]) != 0)
    print_filters(process_id(argv[2]));
  else if (argc >= 3 && is_word(argv[1], "loads"))
    loads(argv + 2, environment);
  else if (argc >= 4 && is_word(argv[1], "guard"))
    guard(argv[2], argv[3], environment);
  else if (argc >= 4 && is_word(argv[1], "attach"))
    attach(argv[2], argv + 3, environment);
  else
    fail("usage: tracer filters PID, loads PROGRAM ARG…, guard FILE LOG, or attach FILE CMD…", NULL, 0);
  leave(0);
}
