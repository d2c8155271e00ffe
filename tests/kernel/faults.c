// Fault injection around the launcher: a filter hands every call of it to this program (seccomp user notification),
// which lets all go on but one. That one fails with an errno, or callgate is killed at that very moment.
//
//   faults list|fail|kill ERRNO UID GID TRANSPORT PLAN WAITS LAUNCHER ARGUMENT…
//
// `list` runs once and prints each call. `fail` and `kill` read "ROLE INDEX" lines on standard input and run once for
// each. A role is a process of the launcher, in the order of their first calls; an index counts its calls from 0.
// TRANSPORT says how the launcher gets the plan: `plan` on descriptor 3, `spawn` on a socket there, `run` by ARGUMENTs.
// With WAITS 1 the program waits for a signal, and gets SIGTERM by way of callgate as soon as it runs.
//
// A call is the launcher's when its instruction lies above 4 GiB: the launcher is position-independent, while this
// program and the ones that it starts are linked at fixed low addresses (-static -no-pie).
#define _GNU_SOURCE
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROLES = 256, TEXT = 4096, FILES = 64, PATIENCE = 30 }; // seconds: far more than any of it takes

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

static void send_descriptor(int socket, int descriptor) {
  char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  check(sendmsg(socket, &message, 0) == 1, "sendmsg");
}

static int receive_descriptor(int socket) {
  char byte, control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  check(recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1, "recvmsg");
  int descriptor;
  memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
  return descriptor;
}

static void become_launcher(int out, int err, int channel, int report) {
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
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
  };
  struct sock_fprog program = {4, code};
  int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  check(listener >= 0, "seccomp");
  send_descriptor(channel, listener);
  close(listener);
  close(channel);
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

static void run(int target_role, long target_index) {
  int out[2], err[2], pair[2], report = -1;
  check(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0, "pipe2");
  check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
  if (strcmp(transport, "spawn") == 0) report = send_plan();
  fflush(stdout);
  int callgate = fork();
  check(callgate >= 0, "fork");
  if (callgate == 0) become_launcher(out[1], err[1], pair[1], report);
  close(out[1]);
  close(err[1]);
  close(pair[1]);
  if (report >= 0) close(report);
  int listener = receive_descriptor(pair[0]);
  close(pair[0]);

  static struct text said, complained, reported;
  said = (struct text){.from = out[0]};
  complained = (struct text){.from = err[0]};
  reported = (struct text){.from = report >= 0 ? REPORTED : -1};
  int pids[ROLES], roles = 0, status = 0, ended = 0, alone = 0, hit = 0, asked = 0;
  long calls[ROLES] = {0};
  unsigned long base = 0;
  static struct seccomp_notif holding[ROLES];
  int held = 0, expecting = 0;
  time_t expected = 0;
  time_t begin = time(NULL);
  while (!(ended && alone && said.from < 0 && complained.from < 0 && reported.from < 0) && time(NULL) - begin < PATIENCE) {
    struct pollfd waiting[] = {{listener, POLLIN, 0}, {said.from, POLLIN, 0}, {complained.from, POLLIN, 0}, {reported.from, POLLIN, 0}};
    struct timespec moment = {0, 20 * 1000 * 1000};
    sigset_t none;
    sigemptyset(&none);
    ppoll(waiting, 4, &moment, &none); // SIGCHLD interrupts it
    if (waiting[0].revents & POLLIN) {
      check(held < ROLES, "held");
      memset(&holding[held], 0, sizeof holding[held]);
      if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &holding[held]) == 0) held++;
    } else if (waiting[0].revents != 0) {
      close(listener); // nobody is under the filter any more
      listener = -1;
    }
    // Who was just made makes its first call before anybody else makes another: roles are in the order of being made. One
    // that is gone without a call is not waited for for ever.
    if (expecting && time(NULL) - expected > PATIENCE / 6) expecting = 0;
    for (int next = 0; next < held; next++) {
      struct seccomp_notif call = holding[next];
      int role = 0;
      while (role < roles && pids[role] != (int)call.pid) role++;
      check(role < ROLES, "roles");
      if (expecting && role < roles) continue;
      memmove(holding + next, holding + next + 1, (size_t)(--held - next) * sizeof holding[0]);
      next = -1; // from the first again
      expecting = 0;
      if (role == roles) pids[roles++] = (int)call.pid;
      if (base == 0) base = base_of((int)call.pid);
      long index = calls[role]++;
      if (mode == LIST) printf("%d %ld %d %lx\n", role, index, call.data.nr, (unsigned long)call.data.instruction_pointer - base);
      struct seccomp_notif_resp answer = {call.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
      if (role == target_role && index == target_index) {
        hit = 1;
        if (mode == FAIL) answer = (struct seccomp_notif_resp){call.id, 0, -fault, 0};
        if (mode == KILL) kill(callgate, SIGKILL);
      }
      int goes_on = ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0; // who was killed meanwhile needs no answer
      if (call.data.nr == SYS_clone && goes_on && !hit) expecting = 1, expected = time(NULL);
    }
    if (waiting[1].revents != 0) collect(&said);
    if (waiting[2].revents != 0) collect(&complained);
    if (waiting[3].revents != 0) collect(&reported);
    if (waits && !asked && memchr(said.bytes, '\n', said.length) != NULL) {
      asked = 1;
      kill(callgate, SIGTERM);
    }
    int one, how;
    while ((one = waitpid(-1, &how, WNOHANG | __WALL)) > 0)
      if (one == callgate) ended = 1, status = how;
    alone = one < 0 && errno == ECHILD;
  }
  // Whoever is still here was left behind, or hangs.
  int left = 0;
  while (!alone) {
    for (int i = 0; i < roles; i++) kill(pids[i], SIGKILL);
    if (!ended) kill(callgate, SIGKILL);
    int one = waitpid(-1, NULL, __WALL);
    if (one > 0) left++;
    alone = one < 0 && errno == ECHILD;
  }
  if (listener >= 0) close(listener);
  struct text *texts[] = {&said, &complained, &reported};
  for (int i = 0; i < 3; i++)
    if (texts[i]->from >= 0) close(texts[i]->from);
  printf("{\"role\":%d,\"index\":%ld,\"hit\":%d,\"ended\":%d,\"left\":%d,\"status\":%d,\"signal\":%d,\"said\":", target_role,
         target_index, hit, ended, left, WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
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
  if (mode == LIST) {
    run(-1, -1);
  } else {
    int role;
    long index;
    while (scanf("%d %ld", &role, &index) == 2) run(role, index);
  }
  print_mounts();
  return 0;
}
