// The processes of ours that stay beside a program in a pid namespace of its own. A part of launcher.c.
//
//   the caller's child, "outer"   starts the program, stops, continues and ends as it does, passes signals on
//     ├─ first process            the namespace's pid 1: orphans come to it; when its channel ends, it ends, and the
//     │                           kernel with it everything in the namespace
//     └─ program                  pid 2 inside, in the caller's process group, session and terminal
//
// Both have given up all that the program has given up (outer is in the very Landlock domain, the first process in
// one that has nothing at all), are not dumpable, so that nobody may trace them or look into their /proc, hold no
// descriptor but the channel between them, and are under a filter of their own that lets them do just this. All that
// is so before the program is started. Who handles denials would be a third one here, made like outer.
//
// The end of outer, for whatever reason, closes the channel: so SIGKILL leaves nothing behind.

#ifndef CALLGATE_PROCESSES_H
#define CALLGATE_PROCESSES_H

enum { PROGRAM_INSIDE = 2, ONLY_FORGET = 0x80 };

#define LET(name) {BPF_JUMP_IF_EQUAL, 0, 1, NR_##name}, {BPF_RETURN, 0, 0, SECCOMP_RETURN_ALLOW}
#define OWN_FILTER(...)                                                                                               \
  {{BPF_LOAD_WORD, 0, 0, 4}, {BPF_JUMP_IF_EQUAL, 1, 0, ARCHITECTURE}, {BPF_RETURN, 0, 0, SECCOMP_RETURN_KILL},        \
   {BPF_LOAD_WORD, 0, 0, 0}, __VA_ARGS__, {BPF_RETURN, 0, 0, SECCOMP_RETURN_KILL}}

static const struct filter_instruction first_process_filter[] =
    OWN_FILTER(LET(read), LET(write), LET(kill), LET(rt_sigtimedwait), LET(exit_group));
static const struct filter_instruction outer_filter[] =
    OWN_FILTER(LET(rt_sigtimedwait), LET(wait4), LET(kill), LET(getpid), LET(read), LET(write), LET(close),
               LET(rt_sigaction), LET(rt_sigprocmask), LET(clock_gettime), LET(restart_syscall), LET(exit_group));

static const uint64_t every_signal = ~0ULL;

// What both have in common. `kept` descriptors, ascending, -1 for none.
static void become_ours(const struct filter_instruction *instructions, size_t count, const int *kept, int kept_count) {
  long result = CALL(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (result < 0) fail_step(STEP_NAMESPACES, "prctl(PR_SET_DUMPABLE)", NULL, result, NULL);
  uint32_t first = 0;
  for (int i = 0; i < kept_count; i++) {
    uint32_t descriptor = (uint32_t)kept[i];
    if (descriptor > first) CALL(close_range, first, descriptor - 1, 0);
    first = descriptor + 1;
  }
  CALL(close_range, first, ~0U, 0);
  struct filter_program program = {(uint16_t)count, instructions};
  result = CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
  if (result < 0) leave(STATUS_FAILED); // whoever waits on the other end says so
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

// ── The first process ──────────────────────────────────────────────────────────────────────────────────────────

// A byte from outer is a signal that outer got. One that went to the whole process group has reached the program
// already, and this process too, which has it blocked and so still sees it: then there is nothing to be passed on.
_Noreturn static void pass_signals_on(int channel) {
  for (;;) {
    uint8_t byte;
    long count = CALL(read, channel, &byte, 1);
    if (count == -EINTR) continue;
    if (count != 1) leave(0);
    int signal = byte & ~ONLY_FORGET;
    uint64_t only = 1ULL << (signal - 1);
    struct kernel_time now = {0, 0};
    struct signal_information information = {0};
    bool arrived = CALL(rt_sigtimedwait, &only, &information, &now, 8) == signal && information.sender == 0;
    if (!arrived && (byte & ONLY_FORGET) == 0) CALL(kill, PROGRAM_INSIDE, signal);
  }
}

_Noreturn static void be_first_process(int channel) {
  struct signal_action ignore = {.handler = SIG_IGN};
  CALL(rt_sigprocmask, SIG_SETMASK, &every_signal, 0, 8);
  CALL(rt_sigaction, SIGCHLD, &ignore, 0, 8); // orphans that end are reaped by the kernel
  mount_proc(&plan.mounts);
  CALL(write, channel, "m", 1);
  give_up();
  keep_own_privileges();
  if (plan.landlock.present) {
    struct landlock_step nothing = {.present = true, .files = ~0ULL, .network = 3};
    restrict_by_landlock(&nothing);
  }
  become_ours(first_process_filter, sizeof first_process_filter / sizeof first_process_filter[0], &channel, 1);
  CALL(write, channel, "r", 1);
  pass_signals_on(channel);
}

static long first_process;
static int first_channel = -1;

static void await_first_process(uint32_t step) {
  char byte;
  long count;
  do count = CALL(read, first_channel, &byte, 1);
  while (count == -EINTR);
  if (count == 1) return;
  int status = 0;
  CALL(wait4, first_process, &status, 0, 0);
  if ((status & 0x7f) == 0) leave(STATUS_FAILED); // it has said why
  fail_step(step, "the first process was killed", NULL, 0, NULL);
}

// After the mounts, which it may still change, and before the old root goes.
static void start_first_process(void) {
  if ((plan.namespaces.flags & CLONE_NEWPID) == 0) return;
  enum { AF_UNIX = 1, SOCK_STREAM = 1, SOCK_CLOEXEC = 0x80000 };
  int ends[2];
  long result = CALL(socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
  if (result < 0) fail_step(STEP_NAMESPACES, "socketpair", NULL, result, NULL);
  first_process = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (first_process < 0) fail_step(STEP_NAMESPACES, "clone", NULL, first_process, NULL);
  if (first_process == 0) {
    CALL(close, ends[0]);
    be_first_process(ends[1]);
  }
  CALL(close, ends[1]);
  first_channel = ends[0];
  await_first_process(STEP_MOUNTS);
}

// ── Outer ──────────────────────────────────────────────────────────────────────────────────────────────────────

// By the same signal, so that a shell says "Stopped (tty input)" or "Terminated" as it would of the program.
static void do_to_oneself(int signal) {
  struct signal_action standard = {.handler = SIG_DFL};
  uint64_t only = 1ULL << (signal - 1);
  CALL(rt_sigaction, signal, &standard, 0, 8);
  CALL(kill, CALL(getpid), signal);
  CALL(rt_sigprocmask, SIG_UNBLOCK, &only, 0, 8);
  CALL(rt_sigprocmask, SIG_BLOCK, &only, 0, 8);
}

static void say_of_limit(const char *text) {
  if (report_descriptor >= 0) return; // standard error is the program's
  struct line line = {.length = 0};
  put(&line, prefix);
  put(&line, text);
  put_byte(&line, '\n');
  CALL(write, 2, line.text, line.length);
}

static void explain_end(int signal, bool late) {
  enum { SIGXCPU = 24, SIGXFSZ = 25 };
  if (!plan.limits.present) return;
  if (late) say_of_limit("the program has been running for as long as its limits allow (wall-time), and was ended");
  else if (signal == SIGXCPU) say_of_limit("the program has used the processor for as long as its limits allow (cpu-time), and was ended");
  else if (signal == SIGXFSZ) say_of_limit("the program wrote a file as large as its limits allow (file-size), and was ended");
}

_Noreturn static void end_like(int status, bool late) {
  int signal = status & 0x7f;
  explain_end(signal, late);
  // Whatever the program has left in the namespace ends now; wait for it, so that it is gone when callgate is.
  if (first_channel >= 0) {
    int ignored;
    CALL(close, first_channel);
    while (CALL(wait4, first_process, &ignored, 0, 0) == -EINTR) {}
  }
  if (signal == 0) leave(status >> 8 & 0xff);
  do_to_oneself(signal);
  leave(128 + signal); // pid 1 of a container does not die by its own signals
}

static void pass_on(long program, const struct signal_information *information) {
  if (first_channel >= 0) {
    uint8_t byte = (uint8_t)information->signal;
    if (information->code == SI_KERNEL) byte |= ONLY_FORGET; // a terminal's goes to the whole group
    CALL(write, first_channel, &byte, 1);
  } else if (information->code != SI_KERNEL) {
    CALL(kill, program, information->signal);
  }
}

static void look_after(long program, bool late) {
  int status = 0;
  long changed;
  while ((changed = CALL(wait4, program, &status, WNOHANG | WUNTRACED, 0)) == -EINTR) {}
  if (changed != program) return;
  if ((status & 0xff) == 0x7f) do_to_oneself(status >> 8 & 0xff);
  else end_like(status, late);
}

static int64_t seconds_now(void) {
  enum { CLOCK_MONOTONIC = 1 };
  struct kernel_time now = {0, 0};
  CALL(clock_gettime, CLOCK_MONOTONIC, &now);
  return now.seconds;
}

_Noreturn static void watch(long program) {
  int64_t end = plan.limits.wall_time == 0 ? INT64_MAX : seconds_now() + plan.limits.wall_time;
  bool late = false;
  for (;;) {
    struct kernel_time wait = {1, 0};
    struct signal_information information = {0};
    if (end != INT64_MAX) {
      int64_t left = end - seconds_now();
      wait.seconds = left > 1 ? left : 1;
      if (left <= 0 && !late) {
        late = true;
        CALL(kill, program, SIGKILL);
      }
    }
    long signal = CALL(rt_sigtimedwait, &every_signal, &information, end == INT64_MAX || late ? 0 : (uint64_t)&wait, 8);
    if (signal == SIGCHLD) {
      look_after(program, late);
      // The first process ends before the program only where somebody killed it; the kernel then kills the program.
    } else if (signal > 0) {
      pass_on(program, &information);
    }
  }
}

// From here on there are two: outer, which does not return, and the program to be.
static void stay_as_outer(void) {
  if ((plan.namespaces.flags & CLONE_NEWPID) == 0 && !plan.limits.present) return;
  uint64_t callers_mask;
  struct signal_action standard = {.handler = SIG_DFL}, callers;
  CALL(rt_sigprocmask, SIG_SETMASK, &every_signal, &callers_mask, 8);
  CALL(rt_sigaction, SIGCHLD, &standard, &callers, 8);
  int gate[2];
  long result = CALL(pipe2, gate, O_CLOEXEC);
  if (result < 0) fail_step(STEP_NAMESPACES, "pipe2", NULL, result, NULL);
  long program = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (program < 0) fail_step(STEP_NAMESPACES, "clone", NULL, program, NULL);
  if (program == 0) {
    // Not before outer and the first process are what they have to be.
    char byte;
    CALL(close, gate[1]);
    do result = CALL(read, gate[0], &byte, 1);
    while (result == -EINTR);
    if (result != 1) leave(STATUS_FAILED);
    CALL(close, gate[0]);
    if (first_channel >= 0) CALL(close, first_channel);
    CALL(rt_sigaction, SIGCHLD, &callers, 0, 8);
    CALL(rt_sigprocmask, SIG_SETMASK, &callers_mask, 0, 8);
    return;
  }
  if (first_channel >= 0) await_first_process(STEP_NAMESPACES);
  int kept[3], count = 0;
  if (plan.limits.present && report_descriptor < 0) kept[count++] = 2;
  // Ascending, as they were opened in this order (a caller that had closed 0, 1 or 2 is no exception).
  if (first_channel >= 0) kept[count++] = first_channel;
  kept[count++] = gate[1];
  for (int i = 1; i < count; i++)
    for (int j = i; j > 0 && kept[j] < kept[j - 1]; j--) {
      int other = kept[j];
      kept[j] = kept[j - 1];
      kept[j - 1] = other;
    }
  become_ours(outer_filter, sizeof outer_filter / sizeof outer_filter[0], kept, count);
  CALL(write, gate[1], "g", 1);
  CALL(close, gate[1]);
  watch(program);
}

#endif
