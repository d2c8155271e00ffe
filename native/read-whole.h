// Reading a file to its end. For kept.h, whose files decide nothing when they cannot be read, and for hook.c.

#ifndef CALLGATE_READ_WHOLE_H
#define CALLGATE_READ_WHOLE_H

#include "system.h"

// As many bytes as there are, up to the buffer's end; negative: an error.
static long read_whole(long file, uint8_t *to, size_t room) {
  size_t length = 0;
  while (length < room) {
    long count = CALL(read, file, to + length, room - length);
    if (count == -EINTR) continue;
    if (count < 0) return count;
    if (count == 0) break;
    length += (size_t)count;
  }
  return (long)length;
}

#endif
