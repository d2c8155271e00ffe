// What the processes of ours that stay beside a program have in common: rights, descriptors, a filter of their own. A
// part of launcher.c; they themselves are in cgroups.h and processes.h.

#ifndef CALLGATE_OURS_H
#define CALLGATE_OURS_H

// The first instruction is for the time that it takes to install them: before an instruction that it does not know, the
// kernel finds out for each of its 900 numbers whether the filter always allows it, to keep that. These processes make
// too few calls for that.
#define LET(name) {BPF_JUMP_IF_EQUAL, 0, 1, NR_##name}, {BPF_RETURN, 0, 0, SECCOMP_RETURN_ALLOW}
#define OWN_FILTER(...)                                                                                               \
  {{BPF_LOAD_LENGTH, 0, 0, 0},                                                                                        \
   {BPF_LOAD_WORD, 0, 0, 4}, {BPF_JUMP_IF_EQUAL, 1, 0, ARCHITECTURE}, {BPF_RETURN, 0, 0, SECCOMP_RETURN_KILL},        \
   {BPF_LOAD_WORD, 0, 0, 0}, __VA_ARGS__, {BPF_RETURN, 0, 0, SECCOMP_RETURN_KILL}}

static const uint64_t every_signal = ~0ULL;

enum { STATUS_NOT_SAID = 1 };

// The program to be, until it is let go. Where that will not be, it ends before anybody else, and says nothing: the end
// of a first process waits until everybody in its namespace was reaped.
static long unstarted;

static void end_unstarted(void) {
  if (unstarted == 0) return;
  CALL(kill, unstarted, SIGKILL);
  CALL(wait4, unstarted, 0, 0, 0);
  unstarted = 0;
}

// Waits for one of ours to say how far it is.
static void await_ours(uint32_t step, int channel, long process, char expected, const char *ended) {
  char byte;
  long count;
  do count = CALL(read, channel, &byte, 1);
  while (count == -EINTR);
  if (count != -ECONNRESET) must(step, "read", count); // it has ended without hearing what was said to it
  if (count == 1 && byte == expected) return;
  end_unstarted();
  int status = 0;
  CALL(wait4, process, &status, 0, 0);
  if (is_trial && (status & 0x7f) == 0) leave(status >> 8 & 0xff); // its answer
  if (status == STATUS_FAILED << 8) leave_failed();
  fail_step(step, ended, NULL, 0, NULL);
}

// Closes all descriptors but a few, in any order: a caller may have closed 0, 1 or 2.
static bool close_others(int *kept, int count) {
  for (int i = 1; i < count; i++)
    for (int j = i; j > 0 && kept[j] < kept[j - 1]; j--) {
      int other = kept[j];
      kept[j] = kept[j - 1];
      kept[j - 1] = other;
    }
  uint32_t first = 0;
  for (int i = 0; i < count; i++) {
    uint32_t descriptor = (uint32_t)kept[i];
    if (descriptor > first && close_from_to(first, descriptor - 1) < 0) return false;
    first = descriptor + 1;
  }
  return close_from_to(first, ~0U) >= 0;
}

// What they have in common. Standard error need not be among the descriptors that are kept: when this is false, who
// waits on the other end says so.
static bool become_ours(const struct filter_instruction *instructions, size_t count, int *kept, int kept_count) {
  if (CALL(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return false;
  if (!close_others(kept, kept_count)) return false;
  struct filter_program program = {(uint16_t)count, instructions};
  return CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) >= 0;
}

static void give_up(void) {
  take_identity(&plan.identity);
  drop_capabilities(plan.capabilities);
}

static void keep_own_privileges(void) {
  must(STEP_NO_NEW_PRIVILEGES, "prctl(PR_SET_NO_NEW_PRIVS)", CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

#endif
