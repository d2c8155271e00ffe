// What filters cost in this kernel. A FILTER is a file of instructions, or `-` for none; each is tried in a fresh process,
// round by round, so that the machine's other work hits all of them alike. For each filter one line is printed:
//   kernel install ROUNDS FILTER…   nanoseconds to install it: least, median
//   kernel calls ROUNDS FILTER…     nanoseconds a call: least and median of getpid, of personality, of number 500
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { most_filters = 32, kinds = 3, calls_at_once = 2000, repeats = 12 };

static struct {
  struct sock_fprog program;
  double *times[kinds];
} filters[most_filters];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

static struct sock_fprog read_filter(const char *path) {
  static struct sock_filter instructions[BPF_MAXINSNS];
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? -1 : read(file, instructions, sizeof instructions);
  if (size <= 0) exit(3);
  close(file);
  struct sock_filter *copy = malloc((size_t)size);
  memcpy(copy, instructions, (size_t)size);
  return (struct sock_fprog){(unsigned short)((size_t)size / sizeof *copy), copy};
}

// The time that it took; negative where the kernel refused it.
static double install(struct sock_fprog *program) {
  if (program->filter == NULL) return 0;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  double begin = now();
  long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program);
  double end = now();
  return result == 0 ? end - begin : -1;
}

// The least time of a call among some runs of many.
static double time_call(long number, long argument) {
  double least = 1e18;
  for (int repeat = 0; repeat < repeats; repeat++) {
    double begin = now();
    for (int i = 0; i < calls_at_once; i++) syscall(number, argument);
    double time = (now() - begin) / calls_at_once;
    if (time < least) least = time;
  }
  return least;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int calls = strcmp(argv[1], "calls") == 0, rounds = atoi(argv[2]), count = 0;
  int measured = calls ? kinds : 1;
  for (int at = 3; at < argc && count < most_filters; at++, count++) {
    if (strcmp(argv[at], "-") != 0) filters[count].program = read_filter(argv[at]);
    for (int kind = 0; kind < kinds; kind++) filters[count].times[kind] = calloc((size_t)rounds, sizeof(double));
  }
  double *result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (result == MAP_FAILED) return 3;
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < count; i++) {
      result[0] = -1;
      pid_t child = fork();
      if (child == 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(round % 2, &one);
        sched_setaffinity(0, sizeof one, &one);
        double time = install(&filters[i].program);
        if (calls && time >= 0) {
          result[2] = time_call(500, 0);
          result[1] = time_call(SYS_personality, 0xffffffff);
          time = time_call(SYS_getpid, 0);
        }
        result[0] = time;
        _exit(0);
      }
      int status;
      if (child < 0 || waitpid(child, &status, 0) != child || result[0] < 0) {
        fprintf(stderr, "filter %d was refused, or ended its process\n", i);
        return 4;
      }
      for (int kind = 0; kind < measured; kind++) filters[i].times[kind][round] = result[kind];
    }
  }
  for (int i = 0; i < count; i++) {
    for (int kind = 0; kind < measured; kind++) {
      qsort(filters[i].times[kind], (size_t)rounds, sizeof(double), ascending);
      printf("%.1f %.1f ", filters[i].times[kind][0], filters[i].times[kind][rounds / 2]);
    }
    printf("\n");
  }
  return 0;
}
