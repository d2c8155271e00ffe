// Who answers denied calls, and who tells of them. A part of launcher.c.
//
//   the caller's child, "outer"
//     ├─ teller        keeps what the caller gave (its files, its terminal); when there is something to tell, it becomes
//     │                Node, which prints, or prints by itself (report.h); otherwise it ends without a word
//     ├─ supervisor    alone has the listener: answers each call that the notifying filter hands up, and notes it
//     ├─ first process
//     └─ program
//
// The program must not reach the supervisor, or it could take the listener and answer for itself. So the supervisor
// stands outside: of the pid namespace (no process in there has a name for it), of the program's Landlock domain (which
// keeps even root from tracing what is outside), and it is not dumpable. It gives up what the program gives up, and is
// under an allow list of its own before the program exists. It decides by the plain filter, which is proved equal to the
// policy, over the words of the call alone: what a pointer leads to is noted for people and never decides.
//
// Nothing here can wait for the program or for who prints: all sending is without waiting, the program's memory is read by
// a child (reader.h), all tables are of fixed size, and what does not fit into them is counted. When the supervisor is killed, outer ends the program; what lives on all
// the same gets ENOSYS from the kernel.

#ifndef CALLGATE_SUPERVISOR_H
#define CALLGATE_SUPERVISOR_H

#include "notification.h"
#include "report.h"

static const char *filter_hint(long result);

enum { KINDS = 4096, KIND_SLOTS = 8192, QUESTIONS = 1024, WAITING = 4096 };
// What they end with where there is nobody to answer, and nothing to tell; and what the teller does when it has said why it
// cannot tell. Any other end of theirs before the program's is one that outer has to say.
enum { SUPERVISOR_NOT_NEEDED = 3, NOTHING_TO_TELL = 3, TELLER_HAS_SAID = 4 };
enum { TELLER_RECORDS = 3, TELLER_POLICY = 4, TELLER_TARGET = 5, TELLER_TERMINAL = 6 };
enum { MSG_PEEK = 2, MSG_DONTWAIT = 0x40, MSG_CMSG_CLOEXEC = 0x40000000 };

static int supervisor_control = -1; // outer's end; its end is the program's end to the supervisor
static int records_end = -1;        // the supervisor's end of the records, outer's until both are ready
static long supervisor, teller;
static bool supervisor_killed;
static int terminal = -1;     // where the teller asks
static bool can_ask = false;  // the library's socket, or a terminal

static void make_pair(int *ends) {
  enum { AF_UNIX = 1, SOCK_STREAM = 1, SOCK_CLOEXEC = 0x80000 };
  must(STEP_REPORT, "socketpair", CALL(socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
}

// ── The teller ─────────────────────────────────────────────────────────────────────────────────────────────────

_Noreturn static void say_that_nobody_tells(long result) {
  struct line line = {.length = 0};
  put(&line, prefix);
  put(&line, "calls were denied, but Node, which would say which, cannot be started: ");
  put_error(&line, (int)-result);
  put_byte(&line, '\n');
  CALL(write, 2, line.text, line.length);
  leave(TELLER_HAS_SAID);
}

static void put_at(long from, int to) {
  long result = from == to ? CALL(fcntl, to, F_SETFD, 0) : CALL(dup3, from, to, 0);
  if (result < 0) say_that_nobody_tells(result);
}

// Node finds the records on 3, the policy that the plan was made from on 4, where to write, if that is a descriptor
// of the caller's, on 5, and the terminal, if there are questions and there is one, on 6.
_Noreturn static void become_printer(int records, const char **environment) {
  long policy = CALL(memfd_create, "policy", 1);
  if (policy < 0) say_that_nobody_tells(policy);
  for (uint32_t done = 0; done < plan.report.policy_length;) {
    long count = CALL(write, policy, plan.report.policy + done, plan.report.policy_length - done);
    if (count == -EINTR) continue;
    if (count <= 0) say_that_nobody_tells(count < 0 ? count : -EIO);
    done += (uint32_t)count;
  }
  long null = CALL(openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
  if (null < 0) say_that_nobody_tells(null);
  // Out of the way first, since any of these may lie where another one belongs.
  enum { ASIDE = 16 };
  long high_records = CALL(fcntl, records, F_DUPFD_CLOEXEC, ASIDE), high_policy = CALL(fcntl, policy, F_DUPFD_CLOEXEC, ASIDE);
  long high_null = CALL(fcntl, null, F_DUPFD_CLOEXEC, ASIDE);
  long high_target = plan.report.target == 0 ? -1 : CALL(fcntl, plan.report.target, F_DUPFD_CLOEXEC, ASIDE);
  long high_terminal = terminal < 0 ? -1 : CALL(fcntl, terminal, F_DUPFD_CLOEXEC, ASIDE);
  if (high_records < 0 || high_policy < 0 || high_null < 0) say_that_nobody_tells(-EMFILE);
  put_at(high_null, 0);
  put_at(high_null, 1);
  put_at(high_records, TELLER_RECORDS);
  put_at(high_policy, TELLER_POLICY);
  if (high_target >= 0) put_at(high_target, TELLER_TARGET);
  else CALL(close, TELLER_TARGET);
  if (high_terminal >= 0) put_at(high_terminal, TELLER_TERMINAL);
  else CALL(close, TELLER_TERMINAL);
  CALL(close_range, TELLER_TERMINAL + 1, ~0U, 0);
  keep_terminal_from_node();
  uint64_t none = 0;
  CALL(rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
  const char *arguments[] = {NULL, NULL, NULL, NULL};
  arguments[0] = node_path;
  arguments[1] = node_program;
  arguments[2] = "tell-denials";
  say_that_nobody_tells(CALL(execve, node_path, arguments, environment));
}

_Noreturn static void be_teller(long parent, int records, const char **environment) {
  must(STEP_REPORT, "rt_sigprocmask", CALL(rt_sigprocmask, SIG_SETMASK, &every_signal, 0, 8));
  must(STEP_REPORT, "prctl(PR_SET_DUMPABLE)", CALL(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0));
  // Who has called for the report is gone where outer is.
  must(STEP_REPORT, "prctl(PR_SET_PDEATHSIG)", CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
  if (must(STEP_REPORT, "getppid", CALL(getppid)) != parent) leave(STATUS_NOT_SAID);
  // Standard input and output are the program's alone: who reads its output waits for their end.
  int kept[4] = {2, records}, count = 2;
  if (plan.report.target != 0) kept[count++] = (int)plan.report.target;
  if (terminal >= 0) {
    kept[count++] = terminal;
    // A session of its own has no job control: neither does Ctrl-C reach who asks, nor is it stopped for reading while
    // a shell inside the sandbox has put a group of its own in front. When to read is for Node to see to.
    must(STEP_REPORT, "setsid", CALL(setsid));
  }
  bool by_launcher = (plan.report.flags & REPORT_BY_LAUNCHER) != 0;
  if (!(by_launcher ? become_printing_launcher(records) : close_others(kept, count))) leave(STATUS_NOT_SAID);
  if (CALL(sendto, records, &ready, 1, MSG_NOSIGNAL, 0, 0) != 1) leave(STATUS_NOT_SAID);
  uint8_t byte;
  long peeked;
  do peeked = CALL(recvfrom, records, &byte, 1, MSG_PEEK, 0, 0);
  while (peeked == -EINTR);
  if (peeked == 0) leave(NOTHING_TO_TELL); // the end alone
  if (peeked != 1) leave(STATUS_NOT_SAID);
  if (by_launcher) print_denials(records);
  become_printer(records, environment);
}

static void say_that_nobody_is_asked(long result) {
  struct line line = {.length = 0};
  put(&line, prefix);
  put(&line, "nobody is asked, since the terminal cannot be opened: ");
  put_failure(&line, "openat", "/dev/tty", result);
  put_byte(&line, '\n');
  CALL(write, 2, line.text, line.length);
}

// No terminal is no mistake: then there is nobody to be asked. One that is there and cannot be opened is said.
static void open_terminal(void) {
  enum { O_NOCTTY = 0x100 };
  long opened;
  // That reading never waits is for this opening of it alone.
  do opened = CALL(openat, AT_FDCWD, "/dev/tty", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
  while (opened == -EINTR || opened == -EAGAIN);
  terminal = opened < 0 ? -1 : (int)opened;
  if (opened < 0 && opened != -ENXIO && opened != -ENOENT) say_that_nobody_is_asked(opened);
}

static void start_teller(const char **environment) {
  if (!plan.report.present) return;
  bool asks = (plan.report.flags & REPORT_ASKS) != 0;
  records_end = (int)plan.report.records;
  can_ask = asks;
  if (records_end != 0) return;
  if ((plan.report.flags & REPORT_BY_NODE) != 0 && node_path == NULL)
    fail_step(STEP_REPORT, "the plan has reports printed by Node, which has not started this", NULL, 0, NULL);
  if (asks && (plan.report.flags & REPORT_BY_NODE) != 0) open_terminal();
  can_ask = terminal >= 0;
  int ends[2];
  make_pair(ends);
  long parent = must(STEP_REPORT, "getpid", CALL(getpid));
  teller = must(STEP_REPORT, "clone", CALL(clone, SIGCHLD, 0, 0, 0, 0));
  if (teller == 0) be_teller(parent, ends[0], environment);
  shut(STEP_REPORT, ends[0]);
  if (terminal >= 0) shut(STEP_REPORT, terminal);
  terminal = -1;
  records_end = ends[1];
}

// ── What was denied ────────────────────────────────────────────────────────────────────────────────────────────

// Calls with the same number and the same arguments that matter.
struct denied_kind {
  uint64_t masked[6];
  uint64_t count, told_count;
  struct record first;
};
static struct denied_kind kinds[KINDS];
static uint16_t kind_slots[KIND_SLOTS]; // a place in `kinds` and 1
static uint32_t kind_count, told_kinds, counted_kinds;
static uint64_t lost_denials;

// ── What is asked ──────────────────────────────────────────────────────────────────────────────────────────────

enum question_state { NOT_ASKED = 0, TO_BE_ASKED = 1, ASKED = 2, ALLOWED = 3, DENIED = 4, TO_BE_WITHDRAWN = 5 };
enum { VERDICT_ONCE = 1, VERDICT_ALLOW = 2, VERDICT_DENY = 3 };

struct question {
  uint32_t arch, nr;
  uint64_t scalars[6];
  uint32_t state, turn; // turn: how often it was asked
  struct notification call; // of the thread that it is asked for
};
static struct question questions[QUESTIONS];
static uint32_t question_count, untold; // to be asked, or to be withdrawn

// A call that waits for an answer; its thread can have but one.
struct waiting_call {
  uint64_t id;
  uint32_t pid, question;
  bool is_gone; // as the kernel said when it was last looked at
};
static struct waiting_call waiting_calls[WAITING];
static uint32_t waiting_count;

static int listener = -1, records = -1, proc = -1, network_files[2] = {-1, -1};
static bool has_ended, has_told; // the program; everything

#include "reader.h"

static const struct report_row *row_of(const struct notification *call) {
  return find_row(plan.report.rows, sizeof(struct report_row), plan.report.row_count, &call->data);
}

// By which of its arguments it is a question: of some calls one says which of the others are addresses.
static const struct report_row *question_row(const struct notification *call) {
  const struct report_row *row = row_of(call), *first = (const struct report_row *)(const void *)plan.report.rows;
  if (row == NULL) return NULL;
  while (row > first && row[-1].arch == row->arch && row[-1].nr == row->nr) row--;
  while (row->only != 0 && (uint32_t)call->data.args[row->only - 1] != row->value) row++;
  return row;
}

static uint32_t text_of(const struct report_row *row) { return row->more & 7; }

static const struct report_masks *masks_of(const struct report_row *row) {
  return (const struct report_masks *)(const void *)plan.report.masks + (row->more >> 3);
}

static void fill_record(struct record *record, uint32_t kind, uint32_t key, const struct notification *call) {
  record->kind = kind;
  record->key = key;
  record->pid = call->pid;
  record->data = call->data;
  if (proc >= 0) program_name_in(proc, call->pid, record->program);
}

// Whether the caller still waits: then its number is still its own.
static bool is_waiting(const struct notification *call) {
  uint64_t id = call->id;
  long result;
  do result = CALL(ioctl, listener, NOTIFICATION_ID_VALID, &id);
  while (result == -EINTR);
  return result != -ENOENT; // no other error says that it is gone
}

// The slot of the call's kind: what is in it is 0 where there is none yet.
static uint16_t *find_kind(const struct notification *call, const struct report_row *row, uint64_t *masked) {
  uint64_t hash = mix(mix(0, call->data.arch), call->data.nr);
  for (uint32_t i = 0; i < 6; i++) masked[i] = 0;
  for (uint32_t i = 0; row != NULL && i < 6; i++) hash = mix(hash, masked[i] = call->data.args[i] & masks_of(row)->of[i]);
  for (uint32_t at = (uint32_t)(hash >> 32) % KIND_SLOTS;; at = (at + 1) % KIND_SLOTS) {
    if (kind_slots[at] == 0) return &kind_slots[at];
    const struct denied_kind *kind = &kinds[kind_slots[at] - 1];
    bool is_same = kind->first.data.arch == call->data.arch && kind->first.data.nr == call->data.nr;
    for (size_t i = 0; i < 6; i++) is_same = is_same && kind->masked[i] == masked[i];
    if (is_same) return &kind_slots[at];
  }
}

static void note_denial(const struct notification *call, const char *text, size_t length) {
  const struct report_row *row = row_of(call);
  uint64_t masked[6];
  uint16_t *slot = find_kind(call, row, masked);
  if (*slot != 0) {
    kinds[*slot - 1].count++;
    return;
  }
  if (kind_count == KINDS) {
    lost_denials++;
    return;
  }
  struct denied_kind *kind = &kinds[kind_count];
  for (size_t i = 0; i < 6; i++) kind->masked[i] = masked[i];
  kind->count = 1;
  fill_record(&kind->first, RECORD_DENIAL, kind_count, call);
  if (!is_waiting(call)) {
    memset(kind->first.program, 0, sizeof kind->first.program);
    length = 0;
  }
  for (size_t i = 0; i < length; i++) kind->first.text[i] = text[i];
  if (length > 0 && row != NULL) kind->first.text_argument = text_of(row);
  kind->first.text_length = (uint32_t)length;
  *slot = (uint16_t)++kind_count;
}

// Whether its path is read first, and it is noted and answered then.
static bool read_path_first(const struct notification *call, uint32_t error, int control) {
  const struct report_row *row = row_of(call);
  uint64_t masked[6];
  if (row == NULL || text_of(row) == 0 || has_ended || kind_count == KINDS || *find_kind(call, row, masked) != 0) return false;
  const int not_kept[] = {listener, records, control, proc, network_files[0], network_files[1]};
  return start_reading(call, error, call->data.args[text_of(row) - 1], not_kept, sizeof not_kept / sizeof not_kept[0]);
}

// ── Telling ────────────────────────────────────────────────────────────────────────────────────────────────────

static void stop_telling(void) {
  if (records >= 0) CALL(close, records);
  records = -1;
  has_told = true;
}

// Whether there was room for it.
static bool send_record(struct record *record) {
  record->length = (uint32_t)((offsetof(struct record, text) + record->text_length + 7) & ~7UL);
  long count = CALL(sendto, records, record, record->length, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
  // The kernel's own want of memory passes, too; and what else it may be is tried again, but not for ever.
  if (count == -EAGAIN || count == -EINTR || count == -ENOBUFS || count == -ENOMEM) return false;
  static uint32_t failures;
  enum { FAILURES = 64 };
  if (count < 0 && count != -EPIPE && count != -ECONNRESET && ++failures < FAILURES) return false;
  if (count != (long)record->length) stop_telling(); // nobody reads it any more
  return true;
}

// Packets that found no way out, in a network that has none: the kernel counts them for each network. The fields are
// those of the kernel's own text; 0 where there is none.
static uint64_t read_number_after(long file, const char *name, uint32_t fields) {
  static char text[4096];
  long length = CALL(read, file, text, sizeof text - 1);
  if (length <= 0) return 0;
  text[length] = 0;
  for (const char *at = text; *at != 0; at++) {
    size_t same = 0;
    while (name[same] != 0 && at[same] == name[same]) same++;
    if (name[same] != 0) continue;
    at += same;
    for (uint32_t field = 0; *at != 0; field++) {
      while (*at == ' ' || *at == '\t') at++;
      uint64_t number = 0;
      const char *digits = at;
      while (*at >= '0' && *at <= '9') number = number * 10 + (uint64_t)(*at++ - '0');
      if (digits == at) break; // a headline of words
      if (field == fields) return number;
    }
    if (*at == 0) return 0;
  }
  return 0;
}

static uint64_t without_route;
static bool routes_counted;

// While there is nothing else to do.
static void open_network_files(void) {
  if ((plan.namespaces.flags & CLONE_NEWNET) == 0) return;
  network_files[0] = (int)CALL(openat, proc, "self/net/snmp", O_RDONLY | O_CLOEXEC, 0);
  network_files[1] = (int)CALL(openat, proc, "self/net/snmp6", O_RDONLY | O_CLOEXEC, 0);
}

static void count_without_route(void) {
  if (routes_counted) return;
  without_route = read_number_after(network_files[0], "Ip:", 11) + read_number_after(network_files[1], "Ip6OutNoRoutes", 0);
  routes_counted = true;
}

static bool may_tell(void) {
  if (records < 0) return false;
  return untold != 0 || has_ended || ((plan.report.flags & REPORT_LIVE) != 0 && told_kinds < kind_count);
}

static bool tell_question(void) {
  for (uint32_t i = 0; i < question_count; i++) {
    struct question *question = &questions[i];
    bool is_withdrawn = question->state == TO_BE_WITHDRAWN;
    if (question->state != TO_BE_ASKED && !is_withdrawn) continue;
    static struct record record;
    memset(&record, 0, sizeof record);
    fill_record(&record, is_withdrawn ? RECORD_WITHDRAWN : RECORD_QUESTION, i, &question->call);
    record.count = question->turn;
    if (!send_record(&record)) return false;
    question->state = is_withdrawn ? NOT_ASKED : ASKED;
    untold--;
  }
  return true;
}

static bool is_silent(void) { return kind_count == 0 && question_count == 0 && lost_denials == 0 && without_route == 0; }

static void tell(void) {
  if (!tell_question()) return;
  if ((plan.report.flags & REPORT_LIVE) == 0 && !has_ended) return;
  for (; records >= 0 && told_kinds < kind_count; told_kinds++) {
    struct denied_kind *kind = &kinds[told_kinds];
    kind->first.count = kind->told_count = kind->count;
    if (!send_record(&kind->first)) return;
  }
  if (!has_ended) return;
  static struct record record;
  for (; records >= 0 && counted_kinds < kind_count; counted_kinds++) {
    if (kinds[counted_kinds].told_count == kinds[counted_kinds].count) continue;
    record = (struct record){.kind = RECORD_COUNT, .key = counted_kinds, .count = kinds[counted_kinds].count};
    if (!send_record(&record)) return;
  }
  record = (struct record){.kind = RECORD_END, .count = lost_denials};
  count_without_route();
  record.data.args[0] = without_route;
  if (records >= 0 && !is_silent() && !send_record(&record)) return;
  stop_telling();
}

// ── Answering ──────────────────────────────────────────────────────────────────────────────────────────────────

static uint32_t decide(const struct call_data *data) {
  const struct filter_step *step = plan.deciding.instruction_count != 0 ? &plan.deciding : &plan.filters[0];
  return run_filter((const struct filter_instruction *)(const void *)step->instructions, step->instruction_count, data, NULL);
}

// Nobody may wait for it any more. Where it cannot be given for any other reason, somebody would wait for ever: then this
// ends, and so does the program.
static void answer(uint64_t id, uint32_t error, bool goes_on) {
  if (listener < 0) return; // all that were under the filter have ended
  struct response response = {id, 0, -(int32_t)error, goes_on ? 1 : 0};
  long result;
  do result = CALL(ioctl, listener, NOTIFICATION_SEND, &response);
  while (result == -EINTR);
  if (result < 0 && result != -ENOENT) leave(STATUS_NOT_SAID);
}

// A refusal is noted before it is answered, as every other.
static void refuse(const struct notification *call, uint64_t id) {
  note_denial(call, NULL, 0);
  answer(id, EPERM, false);
}

// `once`: for the thread alone that it was asked for.
static void answer_waiting(uint32_t number, bool goes_on, bool once) {
  const struct question *question = &questions[number];
  uint32_t left = 0;
  for (uint32_t i = 0; i < waiting_count; i++) {
    struct waiting_call *call = &waiting_calls[i];
    if (call->question != number || (once && call->pid != question->call.pid)) waiting_calls[left++] = *call;
    else if (goes_on) answer(call->id, 0, true);
    else refuse(&question->call, call->id);
  }
  waiting_count = left;
}

// Nobody is there who could be asked: all that waits is refused, and so is what comes.
static void refuse_waiting(void) {
  for (uint32_t i = 0; i < waiting_count; i++) refuse(&questions[waiting_calls[i].question].call, waiting_calls[i].id);
  waiting_count = 0;
}

static void ask_about(struct question *question) {
  if (question->state != TO_BE_WITHDRAWN) untold++;
  question->state = TO_BE_ASKED;
  question->turn++;
}

static void wait_for_verdict(const struct notification *call, uint32_t number) {
  uint32_t at = 0;
  while (at < waiting_count && waiting_calls[at].pid != call->pid) at++;
  if (at == WAITING) {
    refuse(call, call->id);
    return;
  }
  waiting_calls[at] = (struct waiting_call){call->id, call->pid, number, false};
  if (at == waiting_count) waiting_count++;
  struct question *question = &questions[number];
  if (question->state != NOT_ASKED && question->state != TO_BE_WITHDRAWN) return;
  question->call = *call;
  ask_about(question);
}

// The thread that a question was asked for waits no more. Another one may want the same: that is a new question, since
// who asks is a part of it.
static void ask_again(uint32_t number) {
  struct question *question = &questions[number];
  for (uint32_t i = 0; i < waiting_count; i++) {
    if (waiting_calls[i].question != number) continue;
    question->call.id = waiting_calls[i].id;
    question->call.pid = waiting_calls[i].pid;
    ask_about(question);
    return;
  }
}

// The program was stopped and goes on: the shell's text is on the terminal now, behind the question that still waits.
static void ask_all_again(void) {
  for (uint32_t number = 0; number < question_count; number++)
    if (questions[number].state == ASKED) ask_about(&questions[number]);
}

// A call that a signal has interrupted comes again at once under another id, if it comes again. So one is gone when it
// is not there twice in a row.
static void look_for_askers(void) {
  uint32_t left = 0;
  for (uint32_t i = 0; i < waiting_count; i++) {
    struct waiting_call *call = &waiting_calls[i];
    bool is_gone = CALL(ioctl, listener, NOTIFICATION_ID_VALID, &call->id) < 0;
    if (is_gone && call->is_gone) continue;
    call->is_gone = is_gone;
    waiting_calls[left++] = *call;
  }
  waiting_count = left;
  for (uint32_t number = 0; number < question_count; number++) {
    struct question *question = &questions[number];
    if (question->state != ASKED) continue;
    bool is_there = false;
    for (uint32_t i = 0; i < waiting_count && !is_there; i++)
      is_there = waiting_calls[i].question == number && waiting_calls[i].pid == question->call.pid;
    if (is_there) continue;
    question->state = TO_BE_WITHDRAWN;
    untold++;
    ask_again(number);
  }
}

// A question is a call with its scalar arguments, as far as the kernel reads them: those cannot change under us.
static void ask(const struct notification *call) {
  const struct report_row *row = question_row(call);
  if (records < 0 || !can_ask || row == NULL) {
    refuse(call, call->id);
    return;
  }
  struct question asked = {.arch = call->data.arch, .nr = call->data.nr};
  for (uint32_t i = 0; i < 6; i++) {
    static const uint64_t widths[4] = {0, 0xffff, 0xffffffff, ~0ULL};
    asked.scalars[i] = call->data.args[i] & widths[row->widths >> (2 * i) & 3];
  }
  uint32_t number = 0;
  for (; number < question_count; number++) {
    const struct question *one = &questions[number];
    bool is_same = one->arch == asked.arch && one->nr == asked.nr;
    for (size_t i = 0; i < 6; i++) is_same = is_same && one->scalars[i] == asked.scalars[i];
    if (is_same) break;
  }
  if (number == QUESTIONS) {
    lost_denials++;
    answer(call->id, EPERM, false);
    return;
  }
  if (number == question_count) questions[question_count++] = asked;
  switch (questions[number].state) {
    case ALLOWED: answer(call->id, 0, true); return;
    case DENIED: refuse(call, call->id); return;
    default: wait_for_verdict(call, number);
  }
}

static void hear_verdict(void) {
  struct {
    uint32_t question, verdict, turn;
  } said;
  long count = CALL(recvfrom, records, &said, sizeof said, MSG_DONTWAIT, 0, 0);
  if (count == -EAGAIN || count == -EINTR) return;
  bool is_known = said.verdict == VERDICT_ONCE || said.verdict == VERDICT_ALLOW || said.verdict == VERDICT_DENY;
  if (count != sizeof said || said.question >= question_count || !is_known) {
    stop_telling();
    refuse_waiting();
    return;
  }
  struct question *question = &questions[said.question];
  // Who was meant is gone. What was said of the whole run holds all the same.
  if (said.verdict == VERDICT_ONCE && (question->state != ASKED || question->turn != said.turn)) return;
  if (question->state == TO_BE_ASKED || question->state == TO_BE_WITHDRAWN) untold--;
  question->state = said.verdict == VERDICT_ALLOW ? ALLOWED : said.verdict == VERDICT_DENY ? DENIED : NOT_ASKED;
  answer_waiting(said.question, said.verdict != VERDICT_DENY, said.verdict == VERDICT_ONCE);
  if (said.verdict == VERDICT_ONCE) ask_again(said.question);
}

static void answer_read(uint32_t number) {
  char text[TEXT_MAXIMUM];
  struct reading reading = readings[number];
  size_t length = finish_reading(number, text);
  note_denial(&reading.call, text, length);
  answer(reading.call.id, reading.error, false);
}

// What is held until the program's end is told without its path.
static void end_readings(void) {
  while (reading_count > 0) {
    struct reading reading = readings[--reading_count];
    CALL(close, reading.text);
    note_denial(&reading.call, NULL, 0);
    answer(reading.call.id, reading.error, false);
  }
}

static void answer_next(int control) {
  struct notification call;
  memset(&call, 0, sizeof call);
  if (CALL(ioctl, listener, NOTIFICATION_RECEIVE, &call) < 0) return; // interrupted or killed meanwhile
  uint32_t value = decide(&call.data);
  if (value == SECCOMP_RETURN_NOTIFY) {
    ask(&call);
    return;
  }
  // What is handed up is refused, whatever happens: no call goes on by a mistake of ours.
  uint32_t error = (value & 0xffff0000U) == SECCOMP_RETURN_ERRNO ? value & 0xfff : EPERM;
  // Noted before it is answered: who has seen the answer finds it in the report.
  if (error != ENOSYS || (plan.report.flags & REPORT_ALL) != 0) {
    if (read_path_first(&call, error, control)) return;
    note_denial(&call, NULL, 0);
  }
  answer(call.id, error, false);
}

// ── The supervisor ─────────────────────────────────────────────────────────────────────────────────────────────

static const struct filter_instruction supervisor_filter[] =
    OWN_FILTER(LET(ppoll), LET(ioctl), LET(process_vm_readv), LET(sendto), LET(recvfrom), LET(recvmsg), LET(openat), LET(read),
               LET(close), LET(pipe2), LET(clone), LET(prctl), LET(write), LET(restart_syscall), LET(exit_group));

// From the program's helper: a byte, and with it the listener. -1: the program runs without.
static int receive_listener(int control) {
  uint8_t byte;
  struct {
    uint64_t base, length;
  } part = {WORD(&byte), 1};
  uint64_t extra[4] = {0};
  struct {
    uint64_t name;
    uint32_t name_length, reserved;
    uint64_t parts, part_count, extra, extra_length;
    uint32_t flags, reserved2;
  } message = {0, 0, 0, WORD(&part), 1, WORD(extra), sizeof extra, 0, 0};
  long count;
  // Who has stopped and continued the program to be has outer say so.
  do count = CALL(recvmsg, control, &message, MSG_CMSG_CLOEXEC);
  while (count == -EINTR || (count == 1 && byte == go));
  // It did not come along: outer ends the program.
  if (count < 0 || (count == 1 && byte == 'l' && extra[0] != 20)) leave(STATUS_NOT_SAID);
  if (count != 1 || byte != 'l') return -1;
  return (int)(uint32_t)extra[2];
}

_Noreturn static void supervise(int control) {
  struct poll waiting[3 + READINGS];
  uint32_t rounds = 0;
  for (;;) {
    waiting[0] = (struct poll){listener, POLLIN, 0};
    waiting[1] = (struct poll){has_ended ? -1 : control, POLLIN, 0};
    waiting[2] = (struct poll){records, may_tell() ? POLLIN | POLLOUT : POLLIN, 0};
    if (listener < 0 && has_told) leave(0);
    for (uint32_t i = 0; i < reading_count; i++) waiting[3 + i] = (struct poll){readings[i].text, POLLIN, 0};
    // That a thread waits no more is said by nothing: it has to be looked at, also while there is much else to do.
    struct kernel_time quarter = {0, 250000000};
    long result = CALL(ppoll, waiting, 3 + reading_count, waiting_count == 0 ? 0 : WORD(&quarter), 0, 0);
    if (result < 0) continue;
    if (waiting_count != 0 && (result == 0 || ++rounds % 4096 == 0)) look_for_askers();
    // From the last on, since each that is over leaves its place to the last.
    for (uint32_t i = reading_count; i-- > 0;)
      if (waiting[3 + i].returned != 0) answer_read(i);
    if ((waiting[0].returned & POLLIN) != 0) {
      answer_next(control);
    } else if ((waiting[0].returned & POLLHUP) != 0) {
      // Not at POLLERR, which the kernel says too when a stop or the freezer came while it waited for a lock.
      CALL(close, listener);
      listener = -1;
      // Nobody is left who could send one more: counted now, while outer still gets to know of the end. And where there
      // is nothing to tell, nobody needs this process any more.
      count_without_route();
      if (reading_count == 0 && is_silent()) {
        stop_telling(); // the teller ends at the same time
        leave(0);
      }
    }
    uint8_t byte;
    if ((waiting[1].returned & POLLIN) != 0 && CALL(recvfrom, control, &byte, 1, MSG_DONTWAIT, 0, 0) == 1 && byte == go)
      ask_all_again();
    if ((waiting[1].returned & (POLLHUP | POLLERR)) != 0) {
      end_readings();
      has_ended = true;
      if (records < 0) has_told = true;
    }
    if (records >= 0 && (waiting[2].returned & POLLIN) != 0) hear_verdict();
    else if (records >= 0 && (waiting[2].returned & (POLLHUP | POLLERR)) != 0) {
      stop_telling();
      refuse_waiting();
    }
    if (records >= 0 && may_tell()) tell();
    if (records < 0 && waiting_count != 0) refuse_waiting();
  }
}

_Noreturn static void be_supervisor(int control) {
  must(STEP_REPORT, "rt_sigprocmask", CALL(rt_sigprocmask, SIG_SETMASK, &every_signal, 0, 8));
  must(STEP_REPORT, "fchdir", CALL(fchdir, proc));
  give_up();
  keep_own_privileges();
  records = records_end;
  // Readers that end are reaped by the kernel.
  struct signal_action ignore = {.handler = SIG_IGN};
  must(STEP_REPORT, "rt_sigaction", CALL(rt_sigaction, SIGCHLD, &ignore, 0, 8));
  int kept[3] = {control, records, proc};
  bool done = become_ours(supervisor_filter, sizeof supervisor_filter / sizeof supervisor_filter[0], kept, 3);
  if (!done || CALL(sendto, control, &ready, 1, MSG_NOSIGNAL, 0, 0) != 1) leave(STATUS_NOT_SAID);
  open_network_files();
  listener = receive_listener(control);
  if (listener < 0) {
    struct record off = {.kind = RECORD_OFF};
    if (plan.report.records != 0) send_record(&off);
    leave(SUPERVISOR_NOT_NEEDED);
  }
  // The caller of a call that is answered runs at once, on the same processor (6.6; without it, the same but slower).
  CALL(ioctl, listener, NOTIFICATION_SET_FLAGS, SYNCHRONOUS_WAKE_UP);
  supervise(control);
}

// Before the pid namespace is made, in which no child of ours could be outside of.
static void start_supervisor(void) {
  if (!plan.report.present) return;
  int ends[2];
  make_pair(ends);
  // The caller's /proc: the names of programs are in it. Before there is a child: outer changes the root beside it.
  proc = (int)must(STEP_REPORT, "openat /proc", CALL(openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
  supervisor = must(STEP_REPORT, "clone", CALL(clone, SIGCHLD, 0, 0, 0, 0));
  if (supervisor == 0) be_supervisor(ends[1]);
  shut(STEP_REPORT, ends[1]);
  shut(STEP_REPORT, proc);
  supervisor_control = ends[0];
}

// They get ready while outer builds the rest. The supervisor hears nothing of the records before there is the program.
static void await_reporters(void) {
  if (!plan.report.present) return;
  if (teller != 0) await_ours(STEP_REPORT, records_end, teller, ready, "the teller has ended before it was ready");
  shut(STEP_REPORT, records_end);
  await_ours(STEP_REPORT, supervisor_control, supervisor, ready, "the supervisor has ended before it was ready");
}

// ── Handing the listener over ──────────────────────────────────────────────────────────────────────────────────

// After the filter the program can be kept from every call, so it makes none: a helper with the same memory and the
// same table of descriptors sees that the listener is there, and sends it to the supervisor. Until it has, nothing is
// executed: a program that is there already could kill the helper, and then nobody would have the listener.
static struct {
  _Atomic long ready;    // negative: why the helper is not
  _Atomic long listener; // the descriptor and 1; negative: there is none
  _Atomic long done;     // it is on its way to the supervisor, and nobody else has it
  long parent, program;
} hand_over;
static uint8_t helper_stack[8192] __attribute__((aligned(16)));

_Noreturn static void be_helper(void) {
  long result = CALL(rt_sigprocmask, SIG_SETMASK, &every_signal, 0, 8);
  if (result >= 0) result = CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (result >= 0) result = CALL(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (result >= 0 && CALL(getppid) != hand_over.parent) result = -EINTR;
  // Who waits below does so without a call: where that has one processor to itself (SCHED_FIFO), an ordinary process is
  // the one to which the kernel gives a part of it nevertheless.
  int priority = 0;
  CALL(sched_setscheduler, 0, 0 /* SCHED_OTHER */, &priority);
  // The kernel would make 50 us of each nap 100.
  CALL(prctl, PR_SET_TIMERSLACK, 1, 0, 0, 0);
  hand_over.ready = result < 0 ? result : 1;
  if (result < 0) leave(0); // the program to be says so
  // The program to be is about to install the filter, and waits. Whoever else wants this processor gets it meanwhile.
  enum { EAGER = 2000 };
  for (uint32_t turn = 0; hand_over.listener == 0; turn++) {
    if (turn < EAGER) {
      CALL(sched_yield);
      continue;
    }
    // Outer reaps it, and then there is no such process: nobody will have a listener.
    if (CALL(kill, hand_over.program, 0) == -ESRCH) leave(STATUS_NOT_SAID);
    nap();
  }
  long found = hand_over.listener;
  uint8_t byte = found > 0 ? 'l' : 'n';
  struct {
    uint64_t base, length;
  } part = {WORD(&byte), 1};
  struct {
    uint64_t length;
    uint32_t level, type; // SOL_SOCKET, SCM_RIGHTS
    uint32_t descriptor, reserved;
  } extra = {20, 1, 1, (uint32_t)(found - 1), 0};
  struct {
    uint64_t name;
    uint32_t name_length, reserved;
    uint64_t parts, part_count, extra, extra_length;
    uint32_t flags, reserved2;
  } message = {0, 0, 0, WORD(&part), 1, found > 0 ? WORD(&extra) : 0, found > 0 ? sizeof extra : 0, 0, 0};
  long sent;
  do sent = CALL(sendmsg, supervisor_control, &message, MSG_NOSIGNAL);
  while (sent == -EINTR);
  // Said by this one, which is under no filter: the program to be has waited for nothing else, and outer ends it.
  if (sent != 1) fail_step(STEP_REPORT, "sendmsg", "the listener", sent, NULL);
  // Who could take a descriptor of this process finds none: these two are closed in the common table.
  if (found > 0) shut(STEP_REPORT, found - 1);
  shut(STEP_REPORT, supervisor_control);
  hand_over.done = 1;
  leave(0);
}

// No call is left that the policy could not refuse, so this is a loop. It ends: when the helper ends without having
// handed the listener over, outer ends this process, and with the helper's status itself.
static void await_hand_over(void) {
  while (hand_over.done == 0) pause_processor();
}

// By the program to be, while it can still say what fails.
static void start_helper(void) {
  if (!plan.report.present) return;
  hand_over.parent = must(STEP_REPORT, "getppid", CALL(getppid));
  hand_over.program = must(STEP_REPORT, "getpid", CALL(getpid));
  const uint64_t flags = CLONE_VM | CLONE_FILES | CLONE_PARENT | SIGCHLD;
  must(STEP_REPORT, "clone", CALL_ON_STACK(clone, flags, helper_stack + sizeof helper_stack, be_helper));
}

static void await_helper(void) {
  if (!plan.report.present) return;
  enum { PATIENCE = 200000 };
  // One that was killed never says so, and is not ours to wait for: some twenty seconds are enough for any machine.
  for (uint32_t naps = 0; hand_over.ready == 0 && naps < PATIENCE; naps++) nap();
  if (hand_over.ready <= 0) fail_step(STEP_REPORT, "the helper that hands the listener over", NULL, hand_over.ready, NULL);
}

// A domain that permits everything, but keeps those in it from tracing those outside. REFER has to be named: files
// cannot be moved between folders otherwise.
static void enter_own_domain(void) {
  if (!plan.report.present || plan.landlock.present || (plan.namespaces.flags & CLONE_NEWPID) != 0) return;
  struct landlock_ruleset attributes = {LANDLOCK_REFER, 0, 0};
  long ruleset = CALL(landlock_create_ruleset, &attributes, 8, 0);
  if (ruleset < 0)
    fail_step(STEP_REPORT, "landlock_create_ruleset", NULL, ruleset,
              "the program cannot be kept from its supervisor without Landlock: --report=off");
  long root = CALL(openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (root < 0) fail_step(STEP_REPORT, "openat", "/", root, NULL);
  struct landlock_path_rule beneath = {LANDLOCK_REFER, (int32_t)root};
  long result = CALL(landlock_add_rule, ruleset, LANDLOCK_RULE_PATH, &beneath, 0);
  if (result < 0) fail_step(STEP_REPORT, "landlock_add_rule", NULL, result, NULL);
  result = CALL(landlock_restrict_self, ruleset, 0);
  if (result < 0) fail_step(STEP_REPORT, "landlock_restrict_self", NULL, result, NULL);
  shut(STEP_REPORT, ruleset);
  shut(STEP_REPORT, root);
}

// Whether the calls are handed up now. Where they cannot be (somebody outside listens already, or the kernel is too
// old), the program runs under the plain filter, and that is said.
static bool install_notifying_filter(void) {
  if (!plan.report.present) return false;
  struct filter_program program = {(uint16_t)plan.notifying.instruction_count,
                                   (const struct filter_instruction *)(const void *)plan.notifying.instructions};
  // A call that waits for its answer is interrupted by nothing but death, and so is made once (from 5.19 on). One that
  // waits for a person may be.
  long result = -EINVAL;
  if ((plan.report.flags & REPORT_ASKS) == 0)
    result = CALL(seccomp, SECCOMP_SET_MODE_FILTER, NEW_LISTENER | WAIT_KILLABLE_RECEIVE, &program);
  if (result == -EINVAL) result = CALL(seccomp, SECCOMP_SET_MODE_FILTER, NEW_LISTENER, &program);
  hand_over.listener = result < 0 ? result : result + 1;
  await_hand_over();
  if (result >= 0) return true;
  if (result != -EBUSY && result != -EINVAL)
    fail_step(STEP_NOTIFYING_FILTER, "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)", NULL, result, filter_hint(result));
  if (report_descriptor < 0) {
    struct line line = {.length = 0};
    put(&line, prefix);
    put(&line, (plan.report.flags & REPORT_ASKS) != 0 ? "nobody is asked, and there are no reports of denied calls: "
                                                      : "no reports of denied calls: ");
    put(&line, result == -EBUSY ? "something around callgate listens to them already\n" : "this kernel hands up none\n");
    CALL(write, 2, line.text, line.length);
  }
  return false;
}

#endif
