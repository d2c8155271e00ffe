// Calls that the kernel hands up (seccomp user notification), and what a filter says of one.

#ifndef CALLGATE_NOTIFICATION_H
#define CALLGATE_NOTIFICATION_H

#include "plan.h"
#include "system.h"

struct call_data {
  uint32_t nr, arch;
  uint64_t ip, args[6];
};

struct notification {
  uint64_t id;
  uint32_t pid, flags;
  struct call_data data;
};

struct response {
  uint64_t id;
  int64_t value;
  int32_t error;
  uint32_t flags; // 1: let the call go on
};

// Classic BPF as the kernel runs it for seccomp: the instructions that the compiler makes. Whatever else there is, a load
// outside the data among it, refuses. Into `words`, where it is given, goes a bit for each 32-bit word that was looked at.
static uint32_t run_filter(const struct filter_instruction *filter, uint32_t length, const struct call_data *data,
                           uint32_t *words) {
  const uint32_t refused = SECCOMP_RETURN_ERRNO | EPERM;
  const uint8_t *bytes = (const uint8_t *)data;
  uint32_t accumulator = 0;
  for (uint32_t at = 0; at < length; at++) {
    const struct filter_instruction *one = &filter[at];
    bool holds;
    switch (one->code) {
      case BPF_LOAD_WORD:
        if (one->k > sizeof *data - 4 || one->k % 4 != 0) return refused;
        accumulator = load32(bytes + one->k);
        if (words != NULL) *words |= 1U << one->k / 4;
        continue;
      case 0x54: accumulator &= one->k; continue;
      case 0x05: // never backwards: k has no sign
        if (one->k >= length - at) return refused;
        at += one->k;
        continue;
      case BPF_RETURN: return one->k;
      case BPF_JUMP_IF_EQUAL: holds = accumulator == one->k; break;
      case 0x25: holds = accumulator > one->k; break;
      case 0x35: holds = accumulator >= one->k; break;
      case 0x45: holds = (accumulator & one->k) != 0; break;
      default: return refused;
    }
    at += holds ? one->jump_true : one->jump_false;
  }
  return refused;
}

#endif
