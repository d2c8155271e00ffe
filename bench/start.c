// Starts commands, and prints how long they took from start to end, in microseconds:
//   start ROUNDS PLAN|- CMD ARG… ';' PLAN|- CMD …     each command alone, round by round, so that the machine's other work
//                                                     hits all of them alike, and each round in another order: what a
//                                                     sandbox leaves the kernel to take away slows whatever comes next.
//                                                     For each: the least, the median, the most memory that one of its
//                                                     processes had, in KiB, and the median of how many times the first
//                                                     command's time of the same round it took
//   start at-once COUNT PLAN|- CMD ARG…               as many at a time: the time of all together, and of the slowest
// A PLAN is opened as the command's descriptor 3, where `launcher plan` expects it. An argument `@` is another one at each start.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { most_commands = 32, most_arguments = 1024, most_at_once = 1000, rest = 1000000 /* ns, for what the one before has left the kernel to do */ };

extern char **environ;

struct command {
  const char *plan;
  char **argv;
  double *times;
  long memory;
};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

static pid_t start(const struct command *command) {
  static unsigned int count;
  char unique[48], *arguments[most_arguments];
  int at = 0;
  snprintf(unique, sizeof unique, "%d-%u", getpid(), count++);
  for (; command->argv[at] != NULL; at++) {
    if (at == most_arguments - 1) exit(2);
    arguments[at] = strcmp(command->argv[at], "@") == 0 ? unique : command->argv[at];
  }
  arguments[at] = NULL;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  if (strcmp(command->plan, "-") != 0) posix_spawn_file_actions_addopen(&actions, 3, command->plan, O_RDONLY, 0);
  pid_t child;
  if (posix_spawn(&child, arguments[0], &actions, NULL, arguments, environ) != 0) exit(3);
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

static void expect_success(pid_t child, int status, const char *name) {
  if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  fprintf(stderr, "%s failed\n", name);
  exit(4);
}

static int at_once(int count, const struct command *command) {
  static double begins[most_at_once];
  static pid_t children[most_at_once];
  double slowest = 0, begin = now();
  for (int i = 0; i < count; i++) {
    begins[i] = now();
    children[i] = start(command);
  }
  for (int left = count; left > 0; left--) {
    int status;
    pid_t child = wait(&status);
    double end = now();
    expect_success(child, status, command->argv[0]);
    for (int i = 0; i < count; i++)
      if (children[i] == child && end - begins[i] > slowest) slowest = end - begins[i];
  }
  printf("%.1f %.1f\n", now() - begin, slowest);
  return 0;
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof(double), ascending);
  return values[count / 2];
}

// Another order each time, and the same ones in each run of the bench.
static void shuffle(int *order, int count) {
  static unsigned long long state = 88172645463325252;
  for (int i = count - 1; i > 0; i--) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    int other = (int)(state % (unsigned)(i + 1)), one = order[i];
    order[i] = order[other];
    order[other] = one;
  }
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  if (strcmp(argv[1], "at-once") == 0) {
    int count = atoi(argv[2]);
    if (argc < 5 || count < 1 || count > most_at_once) return 2;
    return at_once(count, &(struct command){argv[3], argv + 4, NULL, 0});
  }
  int rounds = atoi(argv[1]), count = 0;
  struct command commands[most_commands];
  if (rounds < 1) return 2;
  for (int at = 2; at < argc && count < most_commands; at++) {
    commands[count++] = (struct command){argv[at], argv + at + 1, calloc((size_t)rounds, sizeof(double)), 0};
    while (at < argc && strcmp(argv[at], ";") != 0) at++;
    if (at < argc) argv[at] = NULL;
  }
  int order[most_commands];
  for (int i = 0; i < count; i++) order[i] = i;
  // The first round warms what is kept from one start to the next, and is not counted.
  for (int round = -1; round < rounds; round++) {
    shuffle(order, count);
    for (int at = 0; at < count; at++) {
      int i = order[at];
      nanosleep(&(struct timespec){0, rest}, NULL);
      struct rusage usage;
      int status;
      double begin = now();
      pid_t child = start(&commands[i]);
      if (wait4(child, &status, 0, &usage) != child) return 3;
      double time = now() - begin;
      expect_success(child, status, commands[i].argv[0]);
      if (usage.ru_maxrss > commands[i].memory) commands[i].memory = usage.ru_maxrss;
      if (round >= 0) commands[i].times[round] = time;
    }
  }
  double *ratios = calloc((size_t)(rounds * count), sizeof(double));
  for (int i = 0; i < count; i++)
    for (int round = 0; round < rounds; round++)
      ratios[i * rounds + round] = commands[i].times[round] / commands[0].times[round];
  for (int i = 0; i < count; i++) {
    double middle = median(commands[i].times, rounds);
    printf("%.1f %.1f %ld %.4f\n", commands[i].times[0], middle, commands[i].memory, median(ratios + i * rounds, rounds));
  }
  return 0;
}
