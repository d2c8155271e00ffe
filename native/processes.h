// The processes of ours that stay beside a program in a pid namespace of its own. A part of launcher.c.
//
//   the caller's child, "outer"   starts the program, stops, continues and ends as it does, passes signals on
//     ├─ first process            the namespace's pid 1: orphans come to it; when its channel ends, it ends, and the
//     │                           kernel with it everything in the namespace
//     └─ program                  pid 2 inside, in the caller's process group, session and terminal
//
// Both have given up all that the program has given up (outer is in the same Landlock domain, in which the program has
// one more for itself; the first process in one that has nothing at all), are not dumpable, so that nobody may trace them or look into their /proc, hold no
// descriptor but the channel between them, and are under a filter of their own that lets them do just this. All that
// is so before the program is started. Who answers denied calls is a third one beside them: supervisor.h.
//
// The end of outer, for whatever reason, closes the channel: so SIGKILL leaves nothing behind.

#ifndef CALLGATE_PROCESSES_H
#define CALLGATE_PROCESSES_H

enum { PROGRAM_INSIDE = 2, ONLY_FORGET = 0x80 };

static const struct filter_instruction first_process_filter[] =
    OWN_FILTER(LET(read), LET(write), LET(kill), LET(rt_sigtimedwait), LET(exit_group));
static const struct filter_instruction outer_filter[] =
    OWN_FILTER(LET(rt_sigtimedwait), LET(wait4), LET(kill), LET(getpid), LET(read), LET(write), LET(close),
               LET(rt_sigaction), LET(rt_sigprocmask), LET(clock_gettime), LET(ppoll), LET(pread64), LET(pidfd_open),
               LET(pidfd_send_signal), LET(sendto), LET(restart_syscall), LET(exit_group));

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
    // Rather no program than one that cannot be ended.
    if (!arrived && (byte & ONLY_FORGET) == 0 && CALL(kill, PROGRAM_INSIDE, signal) < 0) leave(0);
  }
}

// Outer waits for it. When outer is gone, it has said why, or was killed.
static void tell_outer(int channel, char byte) {
  long result = CALL(write, channel, &byte, 1);
  if (result == -EPIPE) leave_failed();
  must(STEP_NAMESPACES, "write", result);
}

static void hear_outer(int channel) {
  char byte;
  long result;
  do result = CALL(read, channel, &byte, 1);
  while (result == -EINTR);
  if (result == -ECONNRESET) leave_failed(); // it has not even heard what was said to it last
  if (must(STEP_NAMESPACES, "read", result) != 1) leave_failed();
}

// Until it is where the program will be.
static void begin_inside(int channel) {
  struct signal_action ignore = {.handler = SIG_IGN};
  must(STEP_NAMESPACES, "rt_sigprocmask", CALL(rt_sigprocmask, SIG_SETMASK, &every_signal, 0, 8));
  // Orphans that end are reaped by the kernel.
  must(STEP_NAMESPACES, "rt_sigaction", CALL(rt_sigaction, SIGCHLD, &ignore, 0, 8));
  make_namespaces(&plan.namespaces);
  tell_outer(channel, made);
  hear_outer(channel);
  join_mounts(&plan.namespaces);
  new_root = AT_FDCWD;
}

_Noreturn static void be_first_process(int channel) {
  begin_inside(channel);
  mount_proc(&plan.mounts);
  tell_outer(channel, mounted);
  drop_bounding_set(plan.capabilities);
  hear_outer(channel);
  // The kernel takes its time for this, and outer goes on meanwhile: all that it opens is in the new root.
  let_old_root_go();
  give_up();
  keep_own_privileges();
  if (plan.landlock.present) {
    struct landlock_step nothing = {.present = true, .files = ~0ULL, .network = 3};
    restrict_by_landlock(&nothing);
  }
  bool done = become_ours(first_process_filter, sizeof first_process_filter / sizeof first_process_filter[0], &channel, 1);
  if (!done || CALL(write, channel, &ready, 1) != 1) leave(STATUS_NOT_SAID);
  pass_signals_on(channel);
}

#include "supervisor.h"

static bool is_unstarted; // the program, which is ended before it was executed

static void await_first_process(uint32_t step, char expected) {
  await_ours(step, first_channel, first_process, expected, "the first process has ended before it was ready");
}

// One that has ended says why: await_first_process.
static void tell_first_process(void) {
  if (first_channel < 0) return;
  long result = CALL(sendto, first_channel, &go, 1, MSG_NOSIGNAL, 0, 0);
  if (result != -EPIPE) must(STEP_NAMESPACES, "sendto", result);
}

// It may have ended already, over what it does meanwhile: then it says why, and nobody else.
static void join_first_process(uint32_t namespaces, char expected) {
  long result = CALL(setns, first_descriptor, namespaces);
  if (result == -ESRCH) await_first_process(STEP_NAMESPACES, expected);
  if (result < 0) fail_step(STEP_NAMESPACES, "setns", NULL, result, namespaces_hint);
}

// As early as can be. It hears how far outer is.
static void start_first_process(void (*run)(int channel)) {
  if (!plan.namespaces.present || first_process != 0) return;
  enum { AF_UNIX = 1, SOCK_STREAM = 1, SOCK_CLOEXEC = 0x80000 };
  int ends[2];
  long result = CALL(socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
  if (result < 0) fail_step(STEP_NAMESPACES, "socketpair", NULL, result, NULL);
  long own = must(STEP_NAMESPACES, "getpid", CALL(getpid));
  outer_descriptor = (int)must(STEP_NAMESPACES, "pidfd_open", CALL(pidfd_open, own, 0));
  first_process = CALL(clone, CLONE_PIDFD | OF_FIRST_PROCESS | SIGCHLD, 0, &first_descriptor, 0, 0);
  if (first_process < 0) fail_step(STEP_NAMESPACES, "clone", NULL, first_process, namespaces_hint);
  if (first_process == 0) {
    shut(STEP_NAMESPACES, ends[0]);
    run(ends[1]);
  }
  shut(STEP_NAMESPACES, ends[1]);
  shut(STEP_NAMESPACES, outer_descriptor);
  first_channel = ends[0];
}

// That of a plan which is not carried out. It has made nothing but the namespaces that go with it.
static void drop_first_process(void) {
  if (first_process == 0) return;
  CALL(kill, first_process, SIGKILL);
  while (CALL(wait4, first_process, 0, 0, 0) == -EINTR) {}
  shut(STEP_NAMESPACES, first_channel);
  shut(STEP_NAMESPACES, first_descriptor);
  first_process = 0;
  first_channel = -1;
}

// Waits until it has made the namespaces, and is then in them, too. Not yet in that of the processes.
static void join_namespaces(const struct namespaces_step *step) {
  if (!step->present) return;
  await_first_process(STEP_NAMESPACES, made);
  uint32_t others = step->flags & ~(uint32_t)(OF_FIRST_PROCESS | CLONE_NEWNS);
  if (others != 0) join_first_process(others, mounted);
}

// When the first process has mounted /proc, for which the caller's own has to be there; it lets the old root go, too.
static void change_root(void) {
  if (first_channel >= 0) await_first_process(STEP_MOUNTS, mounted);
  take_new_root();
  tell_first_process();
  close_new_root();
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

static void say_end(const char *text, const char *name, const char *rest) {
  if (report_descriptor >= 0) return; // standard error is the program's
  struct line line = {.length = 0};
  put(&line, prefix);
  put(&line, text);
  put(&line, name);
  put(&line, rest);
  put_byte(&line, '\n');
  CALL(write, 2, line.text, line.length);
}

static void say_of_limit(const char *text) { say_end(text, "", ""); }

// Who is told of denials, and asks, is gone before everything was told. Where nobody asks any more, what the policy asks about is refused.
static void explain_teller(int status) {
  int signal = status & 0x7f;
  if (report_descriptor >= 0 || supervisor_killed || status == TELLER_HAS_SAID << 8) return;
  struct line line = {.length = 0};
  put(&line, prefix);
  put(&line, can_ask ? "nobody is asked any more, and what was denied is not told: " : "what was denied is not told: ");
  put(&line, "callgate's own process for that ");
  put(&line, signal != 0 ? "was ended by signal " : "has ended too early, with status ");
  put_number(&line, (uint64_t)(signal != 0 ? signal : status >> 8 & 0xff));
  put_byte(&line, '\n');
  CALL(write, 2, line.text, line.length);
}

// After the program's end: one that has told all ends with 0.
static void note_teller_end(int status) {
  teller = 0;
  if (status != 0 && status != NOTHING_TO_TELL << 8) explain_teller(status);
}

// The sentences of the control groups' limits that were reached.
static void explain_groups(uint8_t happened) {
  struct payload payload = groups_of(&plan.cgroups);
  for (uint32_t i = 0; i < plan.cgroups.count; i++) {
    struct cgroup_entry group = take_cgroup(&payload);
    pass_settings(&payload, &group);
    for (uint32_t j = 0; j < group.events; j++, happened = (uint8_t)(happened >> 1)) {
      struct cgroup_event event = take_cgroup_event(&payload);
      if ((happened & 1) != 0) say_of_limit(event.sentence);
    }
  }
}

static bool has_limit(uint32_t resource) {
  for (uint32_t i = 0; i < plan.limits.count; i++)
    if (load32(plan.limits.limits + (size_t)i * 16) == resource) return true;
  return false;
}

// A shell says of a child that a signal has ended it by its status.
static bool ended_by(int status, int signal) {
  return (status & 0x7f) == signal || status == (128 + signal) << 8;
}

static void explain_end(int status, bool late, uint8_t happened) {
  enum { SIGSEGV = 11, SIGXCPU = 24, SIGSYS = 31, RLIMIT_CPU = 0, RLIMIT_FSIZE = 1, RLIMIT_DATA = 2 };
  if (keeper_killed) say_of_limit("the keeper of the control groups was killed, and so the program and all that it has started was ended");
  if (supervisor_killed) say_of_limit("the supervisor, which answers denied calls, was killed, and so the program was ended");
  if (late)
    say_of_limit("the program has been running for as long as its limits allow (wall-time), and was ended");
  else if (ended_by(status, SIGXCPU) && has_limit(RLIMIT_CPU))
    say_of_limit("the program has used the processor for as long as its limits allow (cpu-time), and was ended");
  else if (ended_by(status, SIGXFSZ) && has_limit(RLIMIT_FSIZE))
    say_of_limit("the program wrote a file as large as its limits allow (file-size), and was ended");
  else if (ended_by(status, SIGSEGV) && has_limit(RLIMIT_DATA))
    // The kernel ends so what it has no memory for to start, and what does not look at its answer dies so by itself.
    say_of_limit("the program was ended by SIGSEGV, perhaps because a process may have no more memory than its limits allow (memory)");
  explain_groups(happened);
  if (ended_by(status, SIGSYS) && plan.explain_kill.sentence != NULL) say_of_limit(plan.explain_kill.sentence);
}

// One that has nobody left to answer, and has told all, ends with 0. The program has ended, too, and cannot be ended for it.
static void note_supervisor_end(int status) {
  supervisor = 0;
  if (status != 0 && status >> 8 != SUPERVISOR_NOT_NEEDED)
    say_of_limit("the supervisor, which answers denied calls, has failed: what was denied last got ENOSYS, and is in no report");
}

// Waits for a child of ours to end. Whoever ends before is taken note of: the namespace's end waits for all that was in
// it, and so for the helper, which is a child of ours too.
static void reap_until(long child) {
  for (long ended = 0; ended != child && ended != -ECHILD;) {
    int status;
    ended = CALL(wait4, -1, &status, 0, 0);
    if (ended > 0 && ended == teller) note_teller_end(status);
    if (ended > 0 && ended == supervisor) note_supervisor_end(status);
    if (ended == keeper) keeper = 0;
  }
}

// The supervisor hears by it that the program has ended.
static void end_supervision(void) {
  if (supervisor_control >= 0 && CALL(close, supervisor_control) < 0) leave_failed();
}

// Until what was denied is told. Who stops the supervisor gains nothing by it; who waits here can go by any signal.
static void await_report(void) {
  if (supervisor_control < 0) return;
  uint64_t awaited = 1ULL << (SIGCHLD - 1), leaving = 1ULL << (SIGINT - 1) | 1ULL << (SIGTERM - 1) | 1ULL << (SIGHUP - 1) | 1ULL << (SIGQUIT - 1);
  uint64_t both = awaited | leaving;
  while (teller > 0) {
    int status = 0;
    long ended = CALL(wait4, teller, &status, WNOHANG, 0);
    if (ended > 0) note_teller_end(status);
    if (ended != 0) break;
    struct kernel_time second = {1, 0};
    struct signal_information information = {0};
    if (supervisor > 0) CALL(kill, supervisor, SIGCONT);
    long signal = CALL(rt_sigtimedwait, &both, &information, &second, 8);
    if (signal > 0 && signal != SIGCHLD) return;
  }
  // Where nothing of the program is left, nothing of ours is. Otherwise the supervisor may have somebody left to answer.
  int status = 0;
  if (first_channel >= 0 && supervisor > 0) reap_until(supervisor);
  else if (supervisor > 0 && CALL(wait4, supervisor, &status, WNOHANG, 0) == supervisor) note_supervisor_end(status);
}

_Noreturn static void end_like(int status, bool late) {
  // Whatever the program has left in the namespace ends now, and what was denied is told at the same time. Wait for
  // both, so that they are gone when callgate is.
  if (first_channel >= 0 && CALL(close, first_channel) < 0) leave_failed();
  explain_end(status, late, end_groups());
  end_supervision();
  if (first_channel >= 0) reap_until(first_process);
  int signal = status & 0x7f;
  await_report();
  if (is_unstarted) leave(STATUS_FAILED);
  if (signal == 0) leave(status >> 8 & 0xff);
  do_to_oneself(signal);
  leave(128 + signal); // pid 1 of a container does not die by its own signals
}

// The program cannot be looked after: rather none at all. With a first process, the end of this one is the end of all.
_Noreturn static void end_everything(long program, const char *call) {
  CALL(kill, program, SIGKILL);
  say_end("the program was ended, because callgate could not look after it: ", call, " failed");
  leave_failed();
}

static void pass_on(long program, const struct signal_information *information) {
  long result = 0;
  if (first_channel >= 0) {
    uint8_t byte = (uint8_t)information->signal;
    if (information->code == SI_KERNEL) byte |= ONLY_FORGET; // a terminal's goes to the whole group
    result = CALL(write, first_channel, &byte, 1);
  } else if (information->code != SI_KERNEL) {
    result = CALL(kill, program, information->signal);
  }
  if (result < 0) end_everything(program, first_channel >= 0 ? "write" : "kill");
}

// The supervisor's helper has said why it could not hand the listener over. The program to be still waits for that.
static void end_waiting_program(long program) {
  is_unstarted = true;
  CALL(kill, program, SIGKILL);
}

// Nobody answers the program's denied calls any more: the kernel refuses them, but not as the policy says.
static void end_without_supervisor(long program) {
  supervisor_killed = true;
  if (first_channel >= 0) {
    CALL(close, first_channel);
    first_channel = -1;
  }
  CALL(kill, program, SIGKILL);
}

// Nobody else would end what the program leaves behind when its time is over.
static void end_without_keeper(long program) {
  keeper_killed = true;
  keeper = 0;
  CALL(kill, program, SIGKILL); // at its end the groups' members are ended too
}

static void look_after(long program, bool late) {
  for (;;) {
    int status = 0;
    long changed = CALL(wait4, -1, &status, WNOHANG | WUNTRACED, 0);
    if (changed == -EINTR) continue;
    if (changed < 0) end_everything(program, "wait4");
    if (changed == 0) return;
    bool has_stopped = (status & 0xff) == 0x7f;
    if (changed == program && !has_stopped) end_like(status, late);
    if (changed == program) {
      do_to_oneself(status >> 8 & 0xff);
      // Here it goes on. Nothing is lost where this finds no room.
      if (can_ask && supervisor_control >= 0) CALL(sendto, supervisor_control, &go, 1, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
    }
    // Of ours none has a reason to stop: the program has stopped it, where no namespace keeps it from that.
    if (has_stopped) {
      CALL(kill, changed, SIGCONT);
      continue;
    }
    if (changed == teller) {
      teller = 0;
      // As long as the program runs, only one without a supervisor has a reason to end.
      if (status != NOTHING_TO_TELL << 8) explain_teller(status);
    } else if (changed == keeper) {
      end_without_keeper(program);
    } else if (changed == supervisor) {
      supervisor = 0;
      // One that has nobody left to answer, and has told all, ends with 0.
      if (status != 0 && status >> 8 != SUPERVISOR_NOT_NEEDED) end_without_supervisor(program);
    } else if (changed != program && changed != first_process && status != 0) {
      // The supervisor's helper, which has not handed the listener over, and has said so or was killed.
      if (status == STATUS_FAILED << 8) end_waiting_program(program);
      else end_without_supervisor(program);
    }
  }
}

// Outer stops when the program stops, so that a shell sees it; whoever continues the program from inside leaves outer
// stopped. A signal at the end of the time wakes it, however it was stopped, and it looks at the clock.
static void set_alarm(uint32_t seconds) {
  enum { CLOCK_MONOTONIC = 1 };
  struct {
    uint64_t value;
    int32_t signal, notify;
    uint8_t rest[48];
  } event = {.signal = SIGCONT, .notify = 0 /* SIGEV_SIGNAL */};
  struct {
    struct kernel_time interval, first;
  } when = {{0, 0}, {(int64_t)seconds + 1, 0}};
  int timer = 0;
  long result = CALL(timer_create, CLOCK_MONOTONIC, &event, &timer);
  if (result < 0) fail_step(STEP_LIMITS, "timer_create", NULL, result, NULL);
  result = CALL(timer_settime, timer, 0, &when, 0);
  if (result < 0) fail_step(STEP_LIMITS, "timer_settime", NULL, result, NULL);
}

// Or an error.
static int64_t seconds_now(void) {
  enum { CLOCK_MONOTONIC = 1 };
  struct kernel_time now = {0, 0};
  long result = CALL(clock_gettime, CLOCK_MONOTONIC, &now);
  return result < 0 ? result : now.seconds;
}

_Noreturn static void watch(long program, int64_t end) {
  bool late = false;
  for (;;) {
    struct kernel_time wait = {1, 0};
    struct signal_information information = {0};
    if (end != INT64_MAX) {
      int64_t now = seconds_now(), left = end - now;
      if (now < 0) end_everything(program, "clock_gettime");
      wait.seconds = left > 1 ? left : 1;
      if (left <= 0 && !late) {
        late = true;
        if (CALL(kill, program, SIGKILL) < 0) end_everything(program, "kill");
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

// Without a first process nobody else would end the program when outer is killed. If that was before, no signal comes.
static void end_with(long outer) {
  must(STEP_LIMITS, "prctl(PR_SET_PDEATHSIG)", CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
  if (must(STEP_LIMITS, "getppid", CALL(getppid)) != outer) leave(STATUS_FAILED);
}

static int outer_gate = -1; // the program's end, until outer is what it has to be

// From here on there are two: outer, which does not return, and the program to be.
static void stay_as_outer(void) {
  bool speaks = plan.limits.present || plan.cgroups.present || plan.report.present;
  bool stays = speaks || (plan.namespaces.flags & CLONE_NEWPID) != 0;
  if (!stays) return;
  uint64_t callers_mask;
  struct signal_action standard = {.handler = SIG_DFL}, callers;
  must(STEP_NAMESPACES, "rt_sigprocmask", CALL(rt_sigprocmask, SIG_SETMASK, &every_signal, &callers_mask, 8));
  must(STEP_NAMESPACES, "rt_sigaction", CALL(rt_sigaction, SIGCHLD, &standard, &callers, 8));
  int64_t end = INT64_MAX;
  if (plan.limits.wall_time != 0) {
    end = must(STEP_LIMITS, "clock_gettime", seconds_now()) + plan.limits.wall_time;
    set_alarm(plan.limits.wall_time); // no child has it
  }
  long outer = must(STEP_NAMESPACES, "getpid", CALL(getpid));
  int gate[2];
  long result = CALL(pipe2, gate, O_CLOEXEC);
  if (result < 0) fail_step(STEP_NAMESPACES, "pipe2", NULL, result, NULL);
  long program = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (program < 0) fail_step(STEP_NAMESPACES, "clone", NULL, program, NULL);
  if (program == 0) {
    if (first_channel < 0) end_with(outer);
    outer_gate = gate[0];
    shut(STEP_NAMESPACES, gate[1]);
    if (records_end >= 0) shut(STEP_REPORT, records_end);
    if (first_channel >= 0) shut(STEP_NAMESPACES, first_channel);
    if (keeper_channel >= 0) shut(STEP_NAMESPACES, keeper_channel);
    must(STEP_NAMESPACES, "rt_sigaction", CALL(rt_sigaction, SIGCHLD, &callers, 0, 8));
    must(STEP_NAMESPACES, "rt_sigprocmask", CALL(rt_sigprocmask, SIG_SETMASK, &callers_mask, 0, 8));
    keep_signals_inside(&plan.landlock);
    return;
  }
  // All get ready at the same time, and nothing is executed before the last of them is.
  unstarted = program;
  if (first_channel >= 0) await_first_process(STEP_NAMESPACES, ready);
  await_reporters();
  int kept[5 + 2 * CGROUPS_MAXIMUM], count = 0;
  if ((speaks || plan.explain_kill.sentence != NULL) && report_descriptor < 0) kept[count++] = 2;
  if (keeper_channel >= 0) kept[count++] = keeper_channel;
  count = keep_groups(kept, count);
  if (supervisor_control >= 0) kept[count++] = supervisor_control;
  if (first_channel >= 0) kept[count++] = first_channel;
  kept[count++] = gate[1];
  bool done = become_ours(outer_filter, sizeof outer_filter / sizeof outer_filter[0], kept, count);
  // One that has ended meanwhile is looked after all the same: its end is this one's.
  unstarted = 0;
  if (done) result = CALL(write, gate[1], &go, 1);
  CALL(close, gate[1]); // if not, it is held open and of no use to anybody
  if (!done || (result != 1 && result != -EPIPE)) {
    // It says so, and has to live until it has.
    int ignored;
    CALL(wait4, program, &ignored, 0, 0);
    leave_failed();
  }
  watch(program, end);
}

// By the program to be, which gets ready at the same time as outer does, and is let go here.
static void await_outer(void) {
  if (outer_gate < 0) return;
  char byte;
  long result;
  do result = CALL(read, outer_gate, &byte, 1);
  while (result == -EINTR);
  must(STEP_NAMESPACES, "read", result);
  if (result != 1 || byte != go)
    fail_step(STEP_NAMESPACES, "the process that looks after the program has ended before it was ready", NULL, 0, NULL);
  shut(STEP_NAMESPACES, outer_gate);
}

#endif
