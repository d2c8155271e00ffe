// Paths that denied calls name, read from the program's memory. A part of launcher.c, for supervisor.h.
//
// A page of the program's can hold whoever reads it for as long as the program likes (userfaultfd, a file system of its
// own). So the supervisor never reads: for each new kind of denial with a path it makes a child that does, answers others
// meanwhile, and this call when the child has told or ended. Who holds the child waits himself, and nobody else. The
// caller waits for its answer until then, so that the memory is still its own: what is read of one that has gone
// meanwhile, and whose number can be another's, is thrown away.

#ifndef CALLGATE_READER_H
#define CALLGATE_READER_H

#include "notification.h"

enum { READINGS = 8 /* at once: more go without their paths */ };

struct reading {
  struct notification call;
  uint32_t error; // with which it will be answered
  int text;       // a pipe from the child
};
static struct reading readings[READINGS];
static uint32_t reading_count;

// The child: it keeps nothing of the supervisor's but the pipe, least of all the listener, and ends with the supervisor.
_Noreturn static void be_reader(const struct notification *call, uint64_t from, int to, const int *not_kept, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (not_kept[i] >= 0) CALL(close, not_kept[i]);
  for (uint32_t i = 0; i < reading_count; i++) CALL(close, readings[i].text);
  // Of a supervisor that has ended before this call no signal comes; the pipe's other end is gone with it.
  CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  struct poll other = {to, 0, 0};
  struct kernel_time now = {0, 0};
  if (CALL(ppoll, &other, 1, &now, 0, 0) != 0) leave(0);
  char text[TEXT_MAXIMUM];
  size_t length = read_memory(call->pid, from, text, sizeof text);
  if (length > 0) CALL(write, to, text, length);
  leave(0);
}

// False: nobody reads it, and the call is still to be answered.
static bool start_reading(const struct notification *call, uint32_t error, uint64_t from, const int *not_kept, uint32_t count) {
  int ends[2];
  if (reading_count == READINGS || CALL(pipe2, ends, O_CLOEXEC) < 0) return false;
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    CALL(close, ends[0]);
    be_reader(call, from, ends[1], not_kept, count);
  }
  CALL(close, ends[1]);
  if (child < 0) {
    CALL(close, ends[0]);
    return false;
  }
  readings[reading_count++] = (struct reading){*call, error, ends[0]};
  return true;
}

// What was read, up to its NUL; the reading is over.
static size_t finish_reading(uint32_t number, char *text) {
  long length = CALL(read, readings[number].text, text, TEXT_MAXIMUM), end = 0;
  CALL(close, readings[number].text);
  readings[number] = readings[--reading_count];
  while (end < length && text[end] != 0) end++;
  return (size_t)end;
}

#endif
