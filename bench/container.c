// Starts a container and ends it again, and prints how long that took, in microseconds:
//   container FIFO LXCPATH NAME   until the container's init ran, and the processor time of all that LXC started,
//                                 container and hooks among it, from start to end
//   container FIFO                that init: it writes the time to FIFO, and waits for its end
//   container - CMD ARG…          another program: until it has ended, and its processor time
// What a start leaves behind becomes a child of this program, which waits for all of it: so no start is measured while
// another one's monitor still takes its groups away.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { patience_milliseconds = 60000 };

extern char **environ;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static pid_t start(char *const arguments[]) {
  pid_t child;
  errno = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ);
  if (errno != 0) fail(arguments[0]);
  return child;
}

static double processor_time(const struct rusage *usage) {
  return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e6 +
         (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

static _Noreturn void be_init(const char *path) {
  double time = now();
  int fifo = open(path, O_WRONLY);
  if (fifo < 0 || write(fifo, &time, sizeof time) != sizeof time) fail(path);
  for (;;) pause();
}

// Starts a program, and waits for its end.
static double time_used(char *const arguments[]) {
  pid_t child = start(arguments);
  struct rusage usage;
  int status;
  if (wait4(child, &status, 0, &usage) != child || status != 0) {
    fprintf(stderr, "%s failed\n", arguments[0]);
    exit(3);
  }
  return processor_time(&usage);
}

int main(int argc, char **argv) {
  if (argc == 2) be_init(argv[1]);
  if (argc > 2 && strcmp(argv[1], "-") == 0) {
    double begin = now(), used = time_used(argv + 2);
    printf("%.0f %.0f\n", now() - begin, used);
    return 0;
  }
  if (argc != 4) return 2;
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) fail("prctl");
  // For writing as well: a fifo that nobody has open for that is at its end.
  int fifo = open(argv[1], O_RDWR | O_CLOEXEC);
  if (fifo < 0) fail(argv[1]);

  double begin = now(), ran;
  double used = time_used((char *[]){"lxc-start", "-P", argv[2], "-n", argv[3], NULL});
  struct pollfd ready = {.fd = fifo, .events = POLLIN};
  if (poll(&ready, 1, patience_milliseconds) != 1 || read(fifo, &ran, sizeof ran) != sizeof ran) return 4;

  pid_t stopping = start((char *[]){"lxc-stop", "-P", argv[2], "-n", argv[3], "-k", NULL});
  struct rusage usage;
  int status;
  for (pid_t child; (child = wait4(-1, &status, 0, &usage)) > 0;)
    if (child != stopping) used += processor_time(&usage);
  printf("%.0f %.0f\n", ran - begin, used);
  return 0;
}
