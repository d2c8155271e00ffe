// Fault injection around the launcher: a filter has each call of it stop for this program (ptrace), which lets all go on
// but one. That one is not made and fails with an errno, or callgate is killed at that very moment. (By ptrace, and not by
// a listener: the kernel has but one for each process, and one of the launcher's steps is to make it.)
//
//   faults list|fail|kill ERRNO UID GID TRANSPORT PLAN WAITS LAUNCHER ARGUMENT…
//
// `list` runs once and prints each call: ROLE ORDER NUMBER NTH OFFSET. `fail` and `kill` read "ROLE NUMBER NTH" lines on
// standard input and run once for each. A role is a process: 0 is the launcher that is started, and the N-th child of role R
// is 32 R + N. NTH counts its calls of this number from 0: one that is repeated until something happens does not change
// the others' place. One that a signal has interrupted and that is made again is one call: who ends at the same time as
// somebody waits for another must not move all that follow.
// TRANSPORT says how the launcher gets the plan: `plan` on descriptor 3, `spawn` on a socket there, `run` by ARGUMENTs, `ask` too,
// with a terminal of its own.
// With WAITS 1 the program waits for a signal, and gets SIGTERM by way of callgate as soon as it runs.
//
// A call is the launcher's when its instruction lies above 4 GiB: the launcher is position-independent, while this
// program and the ones that it starts are linked at fixed low addresses (-static -no-pie).
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 256, NUMBERS = 512, TEXT = 4096, FILES = 64, PATIENCE = 30 }; // seconds: far more than any of it takes

enum mode { LIST, FAIL, KILL };

static enum mode mode;
static int fault, waits;
static long uid, gid;
static const char *transport, *plan_file;
static char **launcher;

struct text {
  int from;
  size_t length;
  char bytes[TEXT];
};

static void check(int fine, const char *what) {
  if (fine) return;
  perror(what);
  exit(99);
}

static void become_launcher(int out, int err, int channel, int report, int terminal) {
  if (terminal >= 0) check(setsid() >= 0 && ioctl(terminal, TIOCSCTTY, 0) == 0, "terminal");
  dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
  dup2(out, 1);
  dup2(err, 2);
  if (strcmp(transport, "plan") == 0) {
    int plan = open(plan_file, O_RDONLY);
    check(plan >= 0, plan_file);
    if (plan != 3) dup2(plan, 3);
    else fcntl(3, F_SETFD, 0);
  } else if (report >= 0) {
    dup2(report, 3);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  // So few that those of the mounts are more, and what the caller may have is asked for.
  struct rlimit files;
  check(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
  files.rlim_cur = FILES;
  check(setrlimit(RLIMIT_NOFILE, &files) == 0, "setrlimit");
  if (uid >= 0) check(setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0, "setuid");
  if (geteuid() != 0) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  personality(ADDR_NO_RANDOMIZE);
  char byte;
  check(read(channel, &byte, 1) == 1, "read"); // it is traced now
  close(channel);
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
  };
  struct sock_fprog program = {4, code};
  check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
  execv(launcher[0], launcher);
  perror(launcher[0]);
  _exit(98);
}

static unsigned long base_of(int pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  FILE *maps = fopen(path, "r");
  unsigned long base = 0;
  if (maps == NULL || fscanf(maps, "%lx", &base) != 1) base = 0;
  if (maps != NULL) fclose(maps);
  return base;
}

static void collect(struct text *text) {
  ssize_t count = read(text->from, text->bytes + text->length, TEXT - 1 - text->length);
  if (count > 0) {
    text->length += (size_t)count;
    return;
  }
  if (count < 0 && errno == EINTR) return;
  close(text->from);
  text->from = -1;
}

static void print_text(const struct text *text) {
  putchar('"');
  for (size_t i = 0; i < text->length; i++) {
    unsigned char byte = (unsigned char)text->bytes[i];
    if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\') printf("\\u%04x", byte);
    else putchar(byte);
  }
  putchar('"');
}

// Both ends: it is there as long as somebody has the inner one.
static void make_terminal(int *ends) {
  ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  check(ends[0] >= 0 && grantpt(ends[0]) == 0 && unlockpt(ends[0]) == 0, "posix_openpt");
  ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
  check(ends[1] >= 0, "ptsname");
}

// Node's side of the library's socket, at a number of its own; answers the launcher's side.
enum { REPORTED = 200 };
static int send_plan(void) {
  int ends[2];
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  static char plan[4 << 20];
  int file = open(plan_file, O_RDONLY | O_CLOEXEC);
  check(file >= 0, plan_file);
  ssize_t length = read(file, plan, sizeof plan);
  close(file);
  check(length > 0 && send(ends[0], plan, (size_t)length, 0) == length, "send");
  shutdown(ends[0], SHUT_WR);
  check(fcntl(ends[0], F_DUPFD_CLOEXEC, REPORTED) == REPORTED, "dup");
  close(ends[0]);
  return ends[1];
}

struct target {
  long role, number, nth; // role -1: none
};

static struct process {
  int pid;       // 0: it has ended
  long role;     // -1: it is not yet known whose child it is
  int is_held;   // until that is known, or whoever made it was killed before that could be said
  time_t held_since;
  int trapped;
  unsigned long interrupted_at; // the call, by its instruction, that a signal has interrupted; 0: none
  long children, order, calls[NUMBERS];
} processes[PROCESSES];
static int process_count, callgate, has_hit;
static unsigned long base;

static struct process *process_of(int pid) {
  for (int i = 0; i < process_count; i++)
    if (processes[i].pid == pid) return &processes[i];
  check(process_count < PROCESSES, "processes");
  processes[process_count] = (struct process){.pid = pid, .role = -1};
  return &processes[process_count++];
}

static void go_on(int pid, int signal) { ptrace(PTRACE_CONT, pid, 0, signal); } // who was killed meanwhile does not

// The call is not made, and fails.
static void refuse(int pid) {
#if defined(__x86_64__)
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, pid, 0, &registers) != 0) return;
  registers.orig_rax = ~0ULL;
  registers.rax = (unsigned long long)-(long long)fault;
  ptrace(PTRACE_SETREGS, pid, 0, &registers);
#else
  struct user_regs_struct registers;
  int none = -1;
  struct iovec all = {&registers, sizeof registers}, number = {&none, sizeof none};
  if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all) != 0) return;
  registers.regs[0] = (unsigned long long)-(long long)fault;
  ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &number);
  ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &all);
#endif
}

// Whether a signal's delivery, at which it has stopped, has interrupted a call: the kernel's own errnos, which no program
// sees, say how it goes on. Answers the address behind the call's instruction, or 0.
static unsigned long interrupted_call(int pid) {
  enum { ERESTARTSYS = 512, ERESTART_RESTARTBLOCK = 516 };
  struct user_regs_struct registers;
  struct iovec all = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all) != 0) return 0;
#if defined(__x86_64__)
  long answer = (long)registers.rax;
  unsigned long address = registers.rip;
  if ((long)registers.orig_rax < 0) return 0;
#else
  long answer = (long)registers.regs[0];
  unsigned long address = registers.pc;
#endif
  return answer <= -ERESTARTSYS && answer >= -ERESTART_RESTARTBLOCK ? address : 0;
}

static void has_called(struct process *process, const struct target *target) {
  struct __ptrace_syscall_info call;
  if (ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, sizeof call, &call) <= 0) return;
  long number = (long)call.seccomp.nr;
  check(number >= 0 && number < NUMBERS, "number");
  unsigned long interrupted_at = process->interrupted_at;
  process->interrupted_at = 0;
  if (call.instruction_pointer == interrupted_at) return;
  if (base == 0) base = base_of(process->pid);
  long nth = process->calls[number]++, order = process->order++;
  if (mode == LIST) printf("%ld %ld %ld %ld %lx\n", process->role, order, number, nth, (unsigned long)call.instruction_pointer - base);
  if (process->role != target->role || number != target->number || nth != target->nth) return;
  has_hit = 1;
  if (mode == FAIL) refuse(process->pid);
  if (mode == KILL) kill(callgate, SIGKILL);
}

static void has_stopped(int pid, int status, const struct target *target) {
  struct process *process = process_of(pid);
  int event = status >> 16, signal = WSTOPSIG(status);
  if (event == PTRACE_EVENT_SECCOMP) {
    has_called(process, target);
    go_on(pid, 0);
  } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
    unsigned long made = 0;
    if (ptrace(PTRACE_GETEVENTMSG, pid, 0, &made) == 0) {
      struct process *child = process_of((int)made);
      child->role = process->role * 32 + ++process->children;
      if (child->is_held) go_on(child->pid, 0);
      child->is_held = 0;
    }
    go_on(pid, 0);
  } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
    ptrace(PTRACE_LISTEN, pid, 0, 0); // it stays stopped until it is continued
  } else if (event == PTRACE_EVENT_STOP && process->role < 0) {
    process->is_held = 1;
    process->held_since = time(NULL);
  } else if (event == 0 && (signal == SIGILL || signal == SIGTRAP) && process->trapped++) {
    kill(pid, SIGKILL); // the first process of a namespace does not die by its own traps where it is traced
  } else {
    if (event == 0) process->interrupted_at = interrupted_call(pid);
    go_on(pid, event == 0 ? signal : 0);
  }
}

static void run(struct target target) {
  int out[2], err[2], pair[2], report = -1, terminal[2] = {-1, -1};
  check(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0, "pipe2");
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
  if (strcmp(transport, "spawn") == 0) report = send_plan();
  if (strcmp(transport, "ask") == 0) make_terminal(terminal);
  fflush(stdout);
  callgate = fork();
  check(callgate >= 0, "fork");
  if (callgate == 0) become_launcher(out[1], err[1], pair[1], report, terminal[1]);
  close(out[1]);
  close(err[1]);
  close(pair[1]);
  if (report >= 0) close(report);
  process_count = 0;
  base = 0;
  has_hit = 0;
  process_of(callgate)->role = 0;
  const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
  check(ptrace(PTRACE_SEIZE, callgate, 0, options) == 0, "ptrace");
  check(write(pair[0], "", 1) == 1, "write");
  close(pair[0]);

  static struct text said, complained, reported;
  said = (struct text){.from = out[0]};
  complained = (struct text){.from = err[0]};
  reported = (struct text){.from = report >= 0 ? REPORTED : -1};
  int status = 0, ended = 0, alone = 0, asked = 0;
  time_t begin = time(NULL);
  while (!(ended && alone && said.from < 0 && complained.from < 0 && reported.from < 0) && time(NULL) - begin < PATIENCE) {
    struct pollfd waiting[] = {{said.from, POLLIN, 0}, {complained.from, POLLIN, 0}, {reported.from, POLLIN, 0}};
    struct timespec second = {1, 0};
    sigset_t none;
    sigemptyset(&none);
    ppoll(waiting, 3, &second, &none); // SIGCHLD interrupts it
    if (waiting[0].revents != 0) collect(&said);
    if (waiting[1].revents != 0) collect(&complained);
    if (waiting[2].revents != 0) collect(&reported);
    if (waits && !asked && memchr(said.bytes, '\n', said.length) != NULL) {
      asked = 1;
      kill(callgate, SIGTERM);
    }
    int one, how;
    while ((one = waitpid(-1, &how, WNOHANG | __WALL)) > 0) {
      if (WIFSTOPPED(how)) {
        has_stopped(one, how, &target);
        continue;
      }
      process_of(one)->pid = 0;
      if (one == callgate) ended = 1, status = how;
    }
    alone = one < 0 && errno == ECHILD;
    for (int i = 0; i < process_count; i++) {
      if (processes[i].pid == 0 || !processes[i].is_held || time(NULL) - processes[i].held_since < 3) continue;
      processes[i].is_held = 0;
      go_on(processes[i].pid, 0);
    }
  }
  // Whoever is still here was left behind, or hangs.
  int left = 0;
  while (!alone) {
    for (int i = 0; i < process_count; i++)
      if (processes[i].pid != 0) kill(processes[i].pid, SIGKILL);
    int how, one = waitpid(-1, &how, __WALL);
    if (one > 0 && WIFSTOPPED(how)) process_of(one);
    else if (one > 0) process_of(one)->pid = 0, left++;
    alone = one < 0 && errno == ECHILD;
  }
  for (int i = 0; i < 2; i++)
    if (terminal[i] >= 0) close(terminal[i]);
  struct text *texts[] = {&said, &complained, &reported};
  for (int i = 0; i < 3; i++)
    if (texts[i]->from >= 0) close(texts[i]->from);
  printf("{\"hit\":%d,\"ended\":%d,\"left\":%d,\"status\":%d,\"signal\":%d,\"said\":", has_hit, ended, left,
         WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  print_text(&said);
  printf(",\"complained\":");
  print_text(&complained);
  printf(",\"reported\":");
  print_text(&reported);
  printf("}\n");
  fflush(stdout);
}

static void nothing(int signal) { (void)signal; }

// What is mounted where this program is. As root it is in a mount namespace that nobody else changes.
static void print_mounts(void) {
  int count = 0, byte;
  FILE *mounts = fopen("/proc/self/mountinfo", "r");
  check(mounts != NULL, "mountinfo");
  while ((byte = fgetc(mounts)) != EOF) count += byte == '\n';
  fclose(mounts);
  printf("mounts %d\n", count);
}

int main(int argc, char **argv) {
  check(argc > 8, "arguments");
  mode = strcmp(argv[1], "list") == 0 ? LIST : strcmp(argv[1], "fail") == 0 ? FAIL : KILL;
  fault = atoi(argv[2]);
  uid = atol(argv[3]);
  gid = atol(argv[4]);
  transport = argv[5];
  plan_file = argv[6];
  waits = atoi(argv[7]);
  launcher = argv + 8;
  // Orphans become children of this process, so that it sees whether anybody is left.
  check(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "subreaper");
  if (geteuid() == 0) check(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "unshare");
  struct sigaction action = {.sa_handler = nothing};
  sigaction(SIGCHLD, &action, NULL);
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, NULL);
  print_mounts();
  struct target target = {-1, 0, 0};
  if (mode == LIST) run(target);
  else
    while (scanf("%ld %ld %ld", &target.role, &target.number, &target.nth) == 3) run(target);
  print_mounts();
  return 0;
}
