// Starts commands round by round, so that the machine's other work hits all of them alike, and prints for each the
// least and the median time from start to end, in microseconds:   start ROUNDS PLAN|- CMD ARG… ';' PLAN|- CMD …
// A PLAN is opened as the command's descriptor 3, where `launcher plan` expects it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

struct command {
  const char *plan;
  char **argv;
  double *times;
};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv) {
  int rounds = argc > 3 ? atoi(argv[1]) : 0, count = 0;
  struct command commands[32];
  if (rounds < 1) return 2;
  for (int at = 2; at < argc && count < 32; at++) {
    commands[count] = (struct command){argv[at], argv + at + 1, calloc((size_t)rounds, sizeof(double))};
    count++;
    while (at < argc && strcmp(argv[at], ";") != 0) at++;
    if (at < argc) argv[at] = NULL;
  }
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < count; i++) {
      posix_spawn_file_actions_t actions;
      posix_spawn_file_actions_init(&actions);
      posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
      posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
      if (strcmp(commands[i].plan, "-") != 0) posix_spawn_file_actions_addopen(&actions, 3, commands[i].plan, O_RDONLY, 0);
      pid_t child;
      int status;
      double begin = now();
      if (posix_spawn(&child, commands[i].argv[0], &actions, NULL, commands[i].argv, environ) != 0) return 3;
      if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "%s failed\n", commands[i].argv[0]);
        return 4;
      }
      commands[i].times[round] = now() - begin;
      posix_spawn_file_actions_destroy(&actions);
    }
  }
  for (int i = 0; i < count; i++) {
    qsort(commands[i].times, (size_t)rounds, sizeof(double), ascending);
    printf("%.1f %.1f\n", commands[i].times[0], commands[i].times[rounds / 2]);
  }
  return 0;
}
