// A program for tests that ask: its calls by its first argument. And a policy that asks about netlink sockets.
import { compileC } from "./native.ts";

const source = `
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int protocol_of(int domain, int protocol) {
  int made = socket(domain, SOCK_RAW, protocol);
  if (made < 0) return -errno;
  close(made);
  return 0;
}
static int try_one(int protocol) { return protocol_of(AF_NETLINK, protocol); }

static int kinds;
static void *one_thread(void *number) { return (void *)(long)try_one((int)(long)number % kinds); }
static int threads(int count) {
  static pthread_t all[5000];
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  int made = 0, refused = 0;
  while (made < count && pthread_create(&all[made], &small, one_thread, (void *)(long)made) == 0) made++;
  printf("made %d\\n", made);
  fflush(stdout);
  for (int i = 0; i < made; i++) {
    void *result;
    pthread_join(all[i], &result);
    if (result != 0) refused++;
  }
  printf("allowed %d refused %d\\n", made - refused, refused);
  return 0;
}

static volatile int ticks;
static void tick(int signal) { (void)signal; ticks++; }
static int signals(int restart) {
  struct sigaction action = {.sa_handler = tick, .sa_flags = restart ? SA_RESTART : 0};
  struct itimerval every = {{0, 100000}, {0, 100000}};
  sigaction(SIGALRM, &action, 0);
  setitimer(ITIMER_REAL, &every, 0);
  int result = try_one(0);
  printf("result %d ticks %s\\n", result, ticks > 0 ? "some" : "none");
  return 0;
}

static volatile int shared_domain = AF_NETLINK, is_over;
static void *change(void *nothing) {
  (void)nothing;
  while (!is_over) { shared_domain = AF_INET; shared_domain = AF_NETLINK; shared_domain = AF_INET; }
  return 0;
}
static int mutate(void) {
  pthread_t other;
  int made = -1, domain = shared_domain;
  pthread_create(&other, 0, change, 0);
  made = syscall(SYS_socket, domain, SOCK_RAW, 0);
  socklen_t length = sizeof domain;
  domain = -1;
  getsockopt(made, SOL_SOCKET, SO_DOMAIN, &domain, &length);
  is_over = 1;
  pthread_join(other, 0);
  printf("made %s\\n", made < 0 ? "nothing" : domain == AF_NETLINK ? "netlink" : "another");
  return 0;
}

// Filters of the program's own: one that allows everything, one that wants the listener, one that refuses the call.
static int install(unsigned flags, unsigned answer) {
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, answer), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog filter = {4, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) < 0 ? -errno : 0;
}

int main(int argc, char **argv) {
  const char *what = argv[1];
  int number = argc > 2 ? atoi(argv[2]) : 0;
  if (argc > 3) prctl(PR_SET_NAME, argv[3]);
  if (!strcmp(what, "one")) { printf("result %d\\n", try_one(number)); return 0; }
  if (!strcmp(what, "many")) {
    int allowed = 0;
    for (int i = 0; i < number; i++) allowed += try_one(i) == -EPROTONOSUPPORT || try_one(i) == 0;
    printf("allowed %d\\n", allowed);
    return 0;
  }
  // The same question by two addresses, and by an address that a number would be.
  if (!strcmp(what, "ioctls")) {
    int counts[2], ends[2];
    int made = pipe(ends), first = ioctl(ends[0], FIONREAD, &counts[0]), second = ioctl(ends[0], FIONREAD, &counts[1]);
    printf("results %d %d %d\\n", made, first, second);
    return 0;
  }
  // Two names at two addresses, and two numbers; the same of keys.
  if (!strcmp(what, "addresses")) {
    char first[64] = "first", second[64] = "second";
    int named = prctl(PR_SET_NAME, first, 0, 0, 0), again = prctl(PR_SET_NAME, second, 0, 0, 0);
    int slack = prctl(PR_SET_TIMERSLACK, 50000, 0, 0, 0), other = prctl(PR_SET_TIMERSLACK, 60000, 0, 0, 0);
    printf("results %d %d %d %d\\n", named, again, slack, other);
    for (int i = 0; i < 2; i++) syscall(SYS_keyctl, 6L /* KEYCTL_DESCRIBE */, 1L, i == 0 ? first : second, 64L, 0L);
    for (int i = 1; i < 3; i++) syscall(SYS_keyctl, 6L, 2L, first, i * 8L, 0L);
    return 0;
  }
  if (!strcmp(what, "twice")) { int first = try_one(0); printf("results %d %d\\n", first, try_one(0)); return 0; }
  if (!strcmp(what, "threads")) { kinds = argc > 3 ? atoi(argv[3]) : 1; return threads(number); }
  if (!strcmp(what, "signals")) return signals(number);
  if (!strcmp(what, "mutate")) return mutate();
  if (!strcmp(what, "filters")) {
    int allow = install(0, SECCOMP_RET_ALLOW), listen = install(SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_RET_USER_NOTIF);
    int result = try_one(0);
    int refuse = install(0, SECCOMP_RET_ERRNO | 71);
    printf("%d %d %d %d %d\\n", allow, listen, result, refuse, try_one(0));
    return 0;
  }
  // A child waits for an answer; its parent ends it when it is told to, and itself when it is told again.
  if (!strcmp(what, "killed")) {
    pid_t child = fork();
    if (child == 0) { try_one(0); _exit(0); }
    getchar();
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    getchar();
    printf("ended by %d\\n", WTERMSIG(status));
    return 0;
  }
  if (!strcmp(what, "load")) {
    // Without a pid namespace only the program itself is ended; these must not outlive it.
    for (int i = 0; i < 4; i++)
      if (fork() == 0) for (prctl(PR_SET_PDEATHSIG, SIGKILL);;) syscall(SYS_keyctl, 0, -3, 0);
    try_one(0);
    pause();
  }
  return 1;
}
`;

let compiled: string | undefined;

/** Compiled once for a test process. */
export function askingProgram(): string {
  compiled ??= compileC("asking", source, ["-pthread"]);
  return compiled;
}

export const askingRules = `
# Who needs netlink?
ask socket(domain == AF_NETLINK)   # netlink
deny keyctl
`;

/** A policy's text: everything else is allowed by the built-in one. */
export const askingPolicy = `version = 1\nextends = ["default"]   # mine\n\n[syscalls]\nrules = '''${askingRules}'''\n`;
