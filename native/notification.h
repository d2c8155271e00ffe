// Calls that the kernel hands up (seccomp user notification), what a filter says of one, and what can be found out about
// a caller.

#ifndef CALLGATE_NOTIFICATION_H
#define CALLGATE_NOTIFICATION_H

#include "plan.h"
#include "system.h"

enum { NEW_LISTENER = 8, WAIT_KILLABLE_RECEIVE = 32, SYNCHRONOUS_WAKE_UP = 1 };
#define SECCOMP_RETURN_NOTIFY 0x7fc00000U
#define NOTIFICATION_RECEIVE 0xc0502100U
#define NOTIFICATION_SEND 0xc0182101U
#define NOTIFICATION_ID_VALID 0x40082102U
#define NOTIFICATION_SET_FLAGS 0x40082104U

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
static inline uint32_t run_filter(const struct filter_instruction *filter, uint32_t length, const struct call_data *data,
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

// A call's row in a table that is sorted by arch and nr, with which each row begins; NULL where it has none.
static inline const void *find_row(const void *rows, size_t size, uint32_t count, const struct call_data *call) {
  uint64_t wanted = (uint64_t)call->arch << 32 | call->nr;
  uint32_t low = 0, high = count;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    const uint32_t *row = (const uint32_t *)(const void *)((const uint8_t *)rows + size * middle);
    uint64_t found = (uint64_t)row[0] << 32 | row[1];
    if (found == wanted) return row;
    if (found < wanted) low = middle + 1;
    else high = middle;
  }
  return NULL;
}

static inline uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15U;
  return hash ^ hash >> 29;
}

static inline void nap(void) {
  struct kernel_time time = {0, 50000};
  CALL(nanosleep, &time, 0);
}

// A moment of a loop that waits without any call.
static inline void pause_processor(void) {
#if defined(__x86_64__)
  __asm__ volatile("pause" ::: "memory");
#else
  __asm__ volatile("yield" ::: "memory");
#endif
}

// The name that the kernel has for a process. `proc` is a descriptor of a /proc.
static inline void program_name_in(int proc, uint32_t pid, char *name) {
  struct line path = {.length = 0};
  put_number(&path, pid);
  put(&path, "/comm");
  put_byte(&path, 0);
  long file, length;
  do file = CALL(openat, proc, path.text, O_RDONLY | O_CLOEXEC, 0);
  while (file == -EINTR);
  if (file < 0) return;
  do length = CALL(read, file, name, 16);
  while (length == -EINTR);
  CALL(close, file);
  for (long i = length < 0 ? 0 : length; i < 16; i++) name[i] = 0;
  for (size_t i = 0; i < 16; i++)
    if (name[i] == '\n') name[i] = 0;
}

// Bytes of a program's memory, as many as there are.
static inline size_t read_memory(uint32_t pid, uint64_t from, void *to, size_t length) {
  struct {
    uint64_t base, length;
  } here = {WORD(to), length}, there = {from, length};
  long count = CALL(process_vm_readv, pid, &here, 1, &there, 1, 0);
  return count < 0 ? 0 : (size_t)count;
}

#endif
