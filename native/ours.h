// What the processes of ours that stay beside a program have in common: rights, descriptors, a filter of their own. A
// part of launcher.c; they themselves are in cgroups.h and processes.h.

#ifndef CALLGATE_OURS_H
#define CALLGATE_OURS_H

#define LET(name) {BPF_JUMP_IF_EQUAL, 0, 1, NR_##name}, {BPF_RETURN, 0, 0, SECCOMP_RETURN_ALLOW}
#define OWN_FILTER(...)                                                                                               \
  {{BPF_LOAD_WORD, 0, 0, 4}, {BPF_JUMP_IF_EQUAL, 1, 0, ARCHITECTURE}, {BPF_RETURN, 0, 0, SECCOMP_RETURN_KILL},        \
   {BPF_LOAD_WORD, 0, 0, 0}, __VA_ARGS__, {BPF_RETURN, 0, 0, SECCOMP_RETURN_KILL}}

static const uint64_t every_signal = ~0ULL;

// What they have in common. `kept` descriptors, in any order: a caller may have closed 0, 1 or 2.
static void become_ours(const struct filter_instruction *instructions, size_t count, int *kept, int kept_count) {
  long result = CALL(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (result < 0) fail_step(STEP_NAMESPACES, "prctl(PR_SET_DUMPABLE)", NULL, result, NULL);
  for (int i = 1; i < kept_count; i++)
    for (int j = i; j > 0 && kept[j] < kept[j - 1]; j--) {
      int other = kept[j];
      kept[j] = kept[j - 1];
      kept[j - 1] = other;
    }
  uint32_t first = 0;
  for (int i = 0; i < kept_count; i++) {
    uint32_t descriptor = (uint32_t)kept[i];
    if (descriptor > first) CALL(close_range, first, descriptor - 1, 0);
    first = descriptor + 1;
  }
  CALL(close_range, first, ~0U, 0);
  struct filter_program program = {(uint16_t)count, instructions};
  result = CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
  if (result < 0) {
    tidy_up();
    leave(STATUS_FAILED); // whoever waits on the other end says so
  }
}

static void give_up(void) {
  drop_bounding_set(plan.capabilities);
  take_identity(&plan.identity);
  drop_capabilities(plan.capabilities);
}

static void keep_own_privileges(void) {
  long result = CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (result < 0) fail_step(STEP_NO_NEW_PRIVILEGES, "prctl(PR_SET_NO_NEW_PRIVS)", NULL, result, NULL);
}

#endif
