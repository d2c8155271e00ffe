// What denied and allowed calls cost a program, for bench/denials.ts.
//
//   denials latency COUNT        keyctl again and again: p50 and p99 of one, in ns
//   denials allowed COUNT        a thousand getppid, this often: p50 of their ns by the thousand
//   denials steady RATE SECONDS  keyctl at this rate. A line after the first thousand; at the end how many were made, and in
//                                how many ns; then it waits for the end of its standard input
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time); // no system call
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void deny(void) { syscall(SYS_keyctl, 0, -3, 0, 0, 0); }

static int compare(const void *a, const void *b) {
  int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
  return (one > other) - (one < other);
}

static void latency(long count) {
  int64_t *times = calloc((size_t)count, sizeof *times);
  if (times == NULL) exit(1);
  for (long i = 0; i < count; i++) {
    int64_t start = now();
    deny();
    times[i] = now() - start;
  }
  qsort(times, (size_t)count, sizeof *times, compare);
  printf("%ld %ld\n", (long)times[count / 2], (long)times[count - count / 100 - 1]);
}

static void allowed(long count) {
  int64_t *times = calloc((size_t)count, sizeof *times);
  if (times == NULL) exit(1);
  for (long i = 0; i < count; i++) {
    int64_t start = now();
    for (int j = 0; j < 1000; j++) syscall(SYS_getppid);
    times[i] = now() - start;
  }
  qsort(times, (size_t)count, sizeof *times, compare);
  printf("%.1f\n", (double)times[count / 2] / 1000);
}

static void steady(long rate, long seconds) {
  setvbuf(stdout, NULL, _IONBF, 0);
  long made = 0;
  for (; made < 1000; made++) deny();
  puts("begun");
  int64_t start = now();
  // As many as are due; then others may run.
  for (int64_t passed; (passed = now() - start) < seconds * 1000000000LL; usleep(5000))
    for (int64_t due = passed / 1000 * rate / 1000000; made - 1000 < due; made++) deny();
  printf("%ld %ld\n", made, (long)(now() - start));
  while (getchar() != EOF) {}
}

int main(int count, char **arguments) {
  if (count == 3 && strcmp(arguments[1], "latency") == 0) latency(atol(arguments[2]));
  else if (count == 3 && strcmp(arguments[1], "allowed") == 0) allowed(atol(arguments[2]));
  else if (count == 4 && strcmp(arguments[1], "steady") == 0) steady(atol(arguments[2]), atol(arguments[3]));
  else return 2;
  return 0;
}
