// The start-host check: of a container that LXC starts, the first program is FILE, which installs the container's filter,
// or there is none. ptrace holds who is about to execute; the tracing child stays until FILE has been executed, and if it is
// killed, so are those that it traces.
//
// There are two ways to come by the process:
//
//   hold_init     from a start-host hook: LXC says which process is the init (LXC_PID), and waits
//   hold_monitor  from the pre-start hook, before there is an init: everything that LXC's monitor makes is followed, so that one
//                 hook does for two (each costs a shell, and LXC's waiting for it). Needs CAP_SYS_PTRACE: LXC starts newuidmap for
//                 an ordinary user, and a set-user-id program has no rights under an ordinary user's ptrace

#ifndef CALLGATE_GUARD_H
#define CALLGATE_GUARD_H

#include "system.h"

enum {
  PTRACE_CONT = 7, PTRACE_DETACH = 17, PTRACE_SECCOMP_GET_FILTER = 0x420c,
  PTRACE_GETEVENTMSG = 0x4201, PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207, PTRACE_LISTEN = 0x4208,
  PTRACE_O_TRACEFORK = 1 << 1, PTRACE_O_TRACEVFORK = 1 << 2, PTRACE_O_TRACECLONE = 1 << 3,
  PTRACE_O_TRACEEXEC = 1 << 4, PTRACE_O_TRACEEXIT = 1 << 6, PTRACE_O_EXITKILL = 1 << 20,
  PTRACE_EVENT_FORK = 1, PTRACE_EVENT_EXEC = 4, PTRACE_EVENT_EXIT = 6, PTRACE_EVENT_STOP = 128,
  WALL = 0x40000000,
  O_APPEND = 0x400,
  AF_UNIX = 1, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0x80000,
#if defined(__x86_64__)
  NUMBER_RENAMEAT2 = 316,
#else
  NUMBER_RENAMEAT2 = 276,
#endif
};

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

// ── hold_init ──────────────────────────────────────────────────────────────────────────────────────────────────────

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

_Noreturn static void hold(long pid, const struct file_status *file, long log, int ready) {
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

static void wait_until_held(const int ends[2]) {
  CALL(close, ends[1]);
  char byte = 0;
  long result;
  do result = CALL(read, ends[0], &byte, 1);
  while (result == -EINTR);
  CALL(close, ends[0]);
  if (result != 1) leave(1); // the child has said why
}

static inline void hold_init(const char *file, const char *log_file, const char **environment) {
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
    hold(pid, &status, log, ends[1]);
  }
  wait_until_held(ends);
}

// ── hold_monitor ───────────────────────────────────────────────────────────────────────────────────────────────

// An object of a process's, by device and inode: its namespaces, its root.
static bool identify(long pid, const char *name, struct file_status *status) {
  struct line path = {.length = 0};
  put(&path, "/proc/");
  put_number(&path, (uint64_t)pid);
  put(&path, name);
  put_byte(&path, 0);
  long file = CALL(openat, AT_FDCWD, path.text, O_PATH | O_CLOEXEC, 0);
  if (file < 0) return false;
  long result = CALL(fstat, file, status);
  CALL(close, file);
  return result == 0;
}

static bool is_same(const struct file_status *a, const struct file_status *b) {
  return a->device == b->device && a->inode == b->inode;
}

struct world {
  struct file_status mounts, processes, root;
};

static bool identify_world(long pid, struct world *world) {
  return identify(pid, "/ns/mnt", &world->mounts) && identify(pid, "/ns/pid", &world->processes) &&
         identify(pid, "/root", &world->root);
}

// What LXC executes for itself (hooks, scripts of the network) is where LXC is. Whatever cannot be told is not.
static bool is_with_lxc(long pid, const struct world *lxc) {
  struct world world;
  return identify_world(pid, &world) && is_same(&world.mounts, &lxc->mounts) &&
         is_same(&world.processes, &lxc->processes) && is_same(&world.root, &lxc->root);
}

// A thread that is not followed could make the init. LXC's tools have one.
static bool has_one_thread(long pid) {
  struct line path = {.length = 0};
  put(&path, "/proc/");
  put_number(&path, (uint64_t)pid);
  put(&path, "/task");
  put_byte(&path, 0);
  long folder = CALL(openat, AT_FDCWD, path.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (folder < 0) return false;
  uint8_t entries[256];
  long length = CALL(getdents64, folder, entries, sizeof entries);
  int count = 0;
  for (long at = 0; at + 19 <= length; at += entries[at + 16] | entries[at + 17] << 8) count++;
  CALL(close, folder);
  return count == 3; // with "." and ".."
}

_Noreturn static void follow(long monitor, const char *file, long log, int ready) {
  CALL(setsid);
  struct world lxc;
  if (!identify_world(CALL(getpid), &lxc)) fail("start-host check: cannot look at /proc", NULL, 0);
  static const char threads[] = "start-host check: the program that starts the container has several threads";
  if (!has_one_thread(monitor)) fail(threads, NULL, 0);
  const int options =
      PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  long result = CALL(ptrace, PTRACE_SEIZE, monitor, 0, options);
  if (result < 0) fail("start-host check: cannot trace lxc-start", NULL, result);
  // From here on no thread can come without being followed; one that came before this is the end of the start.
  if (!has_one_thread(monitor)) fail(threads, NULL, 0);
  long null = CALL(openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
  if (null < 0) fail("start-host check: cannot open", "/dev/null", null);
  CALL(write, ready, "+", 1);
  CALL(close, ready);
  // LXC waits until nobody has the hook's output any more.
  for (int descriptor = 0; descriptor < 3; descriptor++) CALL(dup3, null, descriptor, 0);

  bool has_begun = false, is_reported = false;
  for (;;) {
    int status = 0;
    long pid = wait_for(-1, &status);
    if (pid < 0) leave(0); // nobody is followed any more
    if ((status & 0xff) != 0x7f) continue;
    int event = status >> 16, signal = status >> 8 & 0xff;
    bool stops = signal == SIGSTOP || signal == 20 || signal == 21 || signal == 22;
    long passed_on = event == 0 ? signal : 0;
    if (event == PTRACE_EVENT_EXEC && !has_begun) {
      struct file_status wanted;
      long opened = CALL(openat, AT_FDCWD, file, O_PATH | O_CLOEXEC, 0);
      bool is_wanted = opened >= 0 && CALL(fstat, opened, &wanted) == 0 && runs(pid, &wanted);
      CALL(close, opened);
      if (is_wanted) {
        has_begun = true;
        CALL(ptrace, PTRACE_INTERRUPT, monitor, 0, 0); // and it is let go at this stop, as is everybody else
      } else if (!is_with_lxc(pid, &lxc)) {
        CALL(kill, pid, SIGKILL);
        if (!is_reported) report_stop(log);
        is_reported = true;
        continue;
      }
      CALL(ptrace, PTRACE_DETACH, pid, 0, 0);
    } else if (event >= PTRACE_EVENT_FORK && event < PTRACE_EVENT_EXEC && !has_begun) {
      uint64_t child = 0;
      struct file_status processes;
      CALL(ptrace, PTRACE_GETEVENTMSG, pid, 0, &child);
      // The first process of the container's: LXC has read its profile.
      if (identify((long)child, "/ns/pid", &processes) && !is_same(&processes, &lxc.processes)) change_profile(file);
      CALL(ptrace, PTRACE_CONT, pid, 0, 0);
    } else if (event == PTRACE_EVENT_STOP && stops && !has_begun) {
      CALL(ptrace, PTRACE_LISTEN, pid, 0, 0);
    } else {
      CALL(ptrace, has_begun ? PTRACE_DETACH : PTRACE_CONT, pid, 0, passed_on);
    }
  }
}

// Whether a process runs a shell: an LXC that has its hooks executed by one that waits is not the parent of this process.
static bool is_shell(long pid) {
  struct file_status program, shell;
  long opened = CALL(openat, AT_FDCWD, "/bin/sh", O_PATH | O_CLOEXEC, 0);
  if (opened < 0 || CALL(fstat, opened, &shell) < 0) return false;
  CALL(close, opened);
  return !identify(pid, "/exe", &program) || is_same(&program, &shell);
}

static inline void hold_monitor(const char *file, const char *log_file) {
  long monitor = CALL(getppid);
  if (monitor <= 1 || is_shell(monitor)) fail("start-host check: this is not a hook that LXC has started", NULL, 0);
  long log = CALL(openat, AT_FDCWD, log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  int ends[2];
  long result = CALL(pipe2, ends, O_CLOEXEC);
  if (result < 0) fail("start-host check: cannot make a pipe", NULL, result);
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child < 0) fail("start-host check: cannot make a process", NULL, child);
  if (child == 0) {
    CALL(close, ends[0]);
    follow(monitor, file, log, ends[1]);
  }
  CALL(close, log);
  wait_until_held(ends);
}

#endif
