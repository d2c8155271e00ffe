// Kept jobs: `callgate learn` keeps the watcher's job that Node made, with what a run that brings nothing new looks like, and
// watches by it again without Node. A part of watcher.c; README.md has the format, src/sandbox/kept-jobs.ts writes it.
//
//   watcher learn NODE CLI ARGUMENT…   the front of `callgate learn`: by a kept job that holds, else it becomes Node
//   watcher keep NODE CLI ARGUMENT…    after Node: what is to be kept comes on descriptor 3
//
// This process only waits, as Node does while it learns: the watcher is its child, and ends with it. What it does itself is
// the one case in which there is nothing to find out: the run was as expected to the last path. Everything else, a signal
// above all, is Node's: this process becomes Node, with what the watcher has said so far, and the watcher stays its child.
//
// Nothing here says what the kept job does not say: texts come from Node, with places for numbers.

#ifndef CALLGATE_KEPT_JOB_H
#define CALLGATE_KEPT_JOB_H

#include "kept.h"

enum {
  CALLS_EXPECTED = 16, TEXTS_EXPECTED = 1024, FILES_EXPECTED = 1024,
  TEXT_OF_POLICY = 1 << 18, TEXT_SAID = 1 << 16, TOLD = 1 << 18,
  FAILED_LEARNING = 2,
  LEFT_BEHIND_MILLISECONDS = 2000, // watch.ts has it too
  F_GETFL = 3, F_OK = 0, W_OK = 2,
  TOLD_DESCRIPTOR = 3, RECORDS_DESCRIPTOR = 4, // of Node, when it goes on
};

// What is kept, in its order: see take_expected. Pointers are into `kept`.
struct expected {
  uint64_t runs, idle; // not kept: as the policy's head has them now, see policy_holds
  const uint8_t *job;
  uint32_t job_length;
  const uint8_t *calls; // u32 arch, u32 number each: permitted whatever their arguments are
  uint32_t call_count, text_count, file_count, argument_count;
  struct payload texts; // u32 arch, u32 number, u32 which, u32 length, bytes
  struct payload files; // u32 whether it is there, path
  const char *program, *arguments, *folder, *name;
  const uint8_t *before, *after; // of the policy's text, around the line that counts
  uint32_t before_length, after_length;
  const char *counted[2]; // that line: of one run, of more
  const char *said[2];    // to the user: where this is the first idle run, and later
};

static uint8_t kept[PLAN_MAXIMUM + 8] __attribute__((aligned(8)));
static struct expected expected;
static const char *program_arguments[ARGUMENTS_MAXIMUM + 1];

// Where a text has one of these bytes, it has a number. Texts for people have no other control characters but newlines.
enum { PLACE_RUNS = 1, PLACE_IDLE, PLACE_STATUS, PLACE_MEBIBYTES, PLACE_SECONDS, PLACES_END };
struct numbers {
  uint64_t of[PLACES_END]; // seconds in hundredths
};

static void put_hundredths(struct line *line, uint64_t hundredths) {
  put_number(line, hundredths / 100);
  put_byte(line, '.');
  put_number(line, hundredths / 10 % 10);
  put_number(line, hundredths % 10);
}

// The length of the text; `size` where it does not fit.
static size_t expand(const char *text, const struct numbers *numbers, uint8_t *to, size_t size) {
  size_t length = 0;
  for (; *text != 0; text++) {
    struct line part = {.length = 0};
    uint8_t place = (uint8_t)*text;
    if (place == 0 || place >= PLACES_END) put_byte(&part, *text);
    else if (place == PLACE_SECONDS) put_hundredths(&part, numbers->of[place]);
    else put_number(&part, numbers->of[place]);
    if (length + part.length >= size) return size;
    memcpy(to + length, part.text, part.length);
    length += part.length;
  }
  return length;
}

// Whether what was kept is whole. Its bytes are authentic; this is against a Node that has made something else of them.
static bool take_expected(size_t length) {
  struct payload payload = {kept, length, false};
  const uint8_t *magic = take(&payload, 8);
  for (size_t i = 0; magic != NULL && i < 8; i++)
    if (magic[i] != (uint8_t)"cglearn2"[i]) return false;
  if (take32(&payload) != length || take32(&payload) != 0) return false;
  expected.job_length = take32(&payload);
  expected.job = take(&payload, expected.job_length);
  expected.call_count = take32(&payload);
  expected.calls = take(&payload, (size_t)expected.call_count * 8);
  expected.text_count = take32(&payload);
  if (expected.call_count > CALLS_EXPECTED || expected.text_count > TEXTS_EXPECTED) return false;
  expected.texts = payload;
  for (uint32_t i = 0; i < expected.text_count; i++) {
    take(&payload, 12);
    take(&payload, take32(&payload));
  }
  expected.file_count = take32(&payload);
  if (expected.file_count > FILES_EXPECTED) return false;
  expected.files = payload;
  for (uint32_t i = 0; i < expected.file_count; i++) {
    take32(&payload);
    take_strings(&payload, 1);
  }
  expected.argument_count = take32(&payload);
  expected.program = take_strings(&payload, 1);
  if (expected.argument_count == 0 || expected.argument_count > ARGUMENTS_MAXIMUM) return false;
  expected.arguments = take_strings(&payload, expected.argument_count);
  expected.folder = take_strings(&payload, 1);
  expected.name = take_strings(&payload, 1);
  expected.before_length = take32(&payload);
  expected.before = take(&payload, expected.before_length);
  expected.after_length = take32(&payload);
  expected.after = take(&payload, expected.after_length);
  for (int i = 0; i < 2; i++) expected.counted[i] = take_strings(&payload, 1);
  for (int i = 0; i < 2; i++) expected.said[i] = take_strings(&payload, 1);
  if (payload.short_of || payload.left != 0 || expected.job_length > JOB_MAXIMUM) return false;
  return length_of(expected.name) < sizeof((struct line *)0)->text / 2;
}

// ── The policy ─────────────────────────────────────────────────────────────────────────────────────────────────

static uint8_t policy_text[TEXT_OF_POLICY];

// The policy after so many runs, in `policy_text`; its length, or 0 where there is no room for it.
static size_t write_policy_text(uint64_t runs, uint64_t idle) {
  const struct numbers numbers = {{[PLACE_RUNS] = runs, [PLACE_IDLE] = idle}};
  if ((size_t)expected.before_length + expected.after_length >= sizeof policy_text) return 0;
  memcpy(policy_text, expected.before, expected.before_length);
  size_t room = sizeof policy_text - expected.before_length - expected.after_length;
  size_t line = expand(expected.counted[runs == 1 ? 0 : 1], &numbers, policy_text + expected.before_length, room);
  if (line == room) return 0;
  memcpy(policy_text + expected.before_length + line, expected.after, expected.after_length);
  return expected.before_length + line + expected.after_length;
}

static long open_policy_folder(void) {
  struct open_how how = {O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  return CALL(openat2, AT_FDCWD, expected.folder, &how, sizeof how);
}

static bool same_bytes(const uint8_t *one, const uint8_t *other, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (one[i] != other[i]) return false;
  return true;
}

// The next number in a text, which ends with a byte that is no digit.
static uint64_t next_number(const uint8_t **at, const uint8_t *end) {
  while (*at < end && (**at < '0' || **at > '9')) ++*at;
  uint64_t number = 0;
  for (; *at < end && **at >= '0' && **at <= '9'; ++*at) number = number * 10 + (uint64_t)(**at - '0');
  return number;
}

// The counts are the policy's own, and are kept nowhere else: `line` is what stands between the text before and behind it.
static bool take_counts(const uint8_t *line, size_t length) {
  const uint8_t *at = line;
  expected.runs = next_number(&at, line + length);
  expected.idle = next_number(&at, line + length);
  const struct numbers numbers = {{[PLACE_RUNS] = expected.runs, [PLACE_IDLE] = expected.idle}};
  uint8_t same[256];
  return expected.runs > 0 && length < sizeof same &&
         expand(expected.counted[expected.runs == 1 ? 0 : 1], &numbers, same, sizeof same) == length &&
         same_bytes(same, line, length);
}

// It says what it said when the job was made, whatever it counts now, and can be written: what Node asks before it starts anything.
static bool policy_holds(void) {
  long folder = open_policy_folder();
  if (folder < 0) return false;
  struct file_facts facts;
  long file = -1, length = 0;
  if (look_at(folder, expected.name, AT_SYMLINK_NOFOLLOW, &facts) == 0 && (facts.mode & KIND_MASK) == KIND_FILE &&
      CALL(faccessat, folder, expected.name, W_OK) == 0 && CALL(faccessat, AT_FDCWD, expected.folder, W_OK | X_OK) == 0)
    file = open_plainly(folder, expected.name, O_RDONLY);
  CALL(close, folder);
  if (file < 0) return false;
  length = read_whole(file, policy_text, sizeof policy_text);
  CALL(close, file);
  size_t around = (size_t)expected.before_length + expected.after_length;
  if (length <= 0 || (size_t)length == sizeof policy_text || (size_t)length < around) return false;
  size_t line = (size_t)length - around;
  return same_bytes(policy_text, expected.before, expected.before_length) &&
         same_bytes(policy_text + expected.before_length + line, expected.after, expected.after_length) &&
         take_counts(policy_text + expected.before_length, line);
}

// Another file with the next text, in the place of this one: as replace-file.ts does it.
static bool replace_policy(long folder, const struct file_facts *facts) {
  size_t lengths[] = {write_policy_text(expected.runs + 1, expected.idle + 1)};
  const void *parts[] = {policy_text};
  struct line temporary = {.length = 0};
  put_byte(&temporary, '.');
  put(&temporary, expected.name);
  put_byte(&temporary, '.');
  put_number(&temporary, (uint64_t)CALL(getpid));
  put(&temporary, ".tmp");
  put_byte(&temporary, 0);
  return lengths[0] > 0 && replace_file(folder, temporary.text, expected.name, facts, parts, lengths, 1);
}

// Counts in the policy, if it is still what it was: the program ran for a while, in which somebody may have edited it. Mostly
// the line that counts keeps its length. Then it alone is written, where it stands: this waits for no disk, since whatever
// becomes of the machine, there is the old count or the new one, and all the rest.
static bool count_run(void) {
  long folder = open_policy_folder();
  if (folder < 0) return false;
  struct file_facts facts;
  bool done = false;
  long file = open_plainly(folder, expected.name, O_RDWR);
  size_t length = write_policy_text(expected.runs, expected.idle);
  if (file >= 0 && length > 0 && look_at(file, "", AT_EMPTY_PATH, &facts) == 0 &&
      (facts.mode & KIND_MASK) == KIND_FILE && reads_as(file, policy_text, length)) {
    if (write_policy_text(expected.runs + 1, expected.idle + 1) == length) {
      size_t line = length - expected.before_length - expected.after_length;
      done = CALL(pwrite64, file, policy_text + expected.before_length, line, expected.before_length) == (long)line;
    } else {
      done = replace_policy(folder, &facts);
    }
  }
  if (file >= 0) CALL(close, file);
  CALL(close, folder);
  return done;
}

// ── What the watcher says ──────────────────────────────────────────────────────────────────────────────────────

static uint8_t told[TOLD] __attribute__((aligned(8)));
static size_t told_length, told_read; // all of it; whole records that were looked at
static bool text_seen[TEXTS_EXPECTED];

static struct course {
  bool is_other; // not what was expected
  bool has_ended, is_complete, has_use;
  uint64_t status, mebibytes, hundredths;
} course;

static bool is_expected_call(const struct call_data *call) {
  for (uint32_t i = 0; i < expected.call_count; i++)
    if (load32(expected.calls + (size_t)i * 8) == call->arch && load32(expected.calls + (size_t)i * 8 + 4) == call->nr) return true;
  return false;
}

static bool is_expected_text(const struct record *said) {
  struct payload texts = expected.texts;
  for (uint32_t i = 0; i < expected.text_count; i++) {
    uint32_t arch = take32(&texts), nr = take32(&texts), which = take32(&texts), length = take32(&texts);
    const uint8_t *bytes = take(&texts, length);
    if (arch != said->data.arch || nr != said->data.nr || which != said->which || length != said->text_length ||
        !same_bytes(bytes, (const uint8_t *)said->text, length))
      continue;
    text_seen[i] = true;
    return true;
  }
  return false;
}

static void look_at_record(const uint8_t *bytes, size_t length) {
  const struct record *said = (const struct record *)(const void *)bytes;
  struct payload numbers = {(uint8_t *)(uintptr_t)bytes + 16, length - 16, false};
  uint64_t first = take64(&numbers), second = take64(&numbers);
  switch (said->kind) {
    case RECORD_CALL:
      if (length < offsetof(struct record, text) || !is_expected_call(&said->data)) course.is_other = true;
      break;
    case RECORD_TEXT:
      if (length < offsetof(struct record, text) || said->text_length > length - offsetof(struct record, text) ||
          !is_expected_text(said))
        course.is_other = true;
      break;
    case RECORD_COUNT: break;
    case RECORD_EXIT:
      course.has_ended = true;
      course.status = first >> 8 & 0xff;
      // By a signal, or it did not even start.
      if ((first & 0x7f) != 0 || second != 0) course.is_other = true;
      break;
    case RECORD_USE:
      course.has_use = true;
      course.mebibytes = (first + 1023) / 1024;
      course.hundredths = (second + 5000) / 10000;
      break;
    case RECORD_END: course.is_complete = true; break;
    default: course.is_other = true; // RECORD_LOST
  }
}

static void look_at_records(void) {
  while (told_length - told_read >= 8) {
    size_t length = load32(told + told_read + 4);
    if (length < 32 || length % 8 != 0) {
      course.is_other = true;
      told_read = told_length;
      return;
    }
    if (length > told_length - told_read) return;
    look_at_record(told + told_read, length);
    told_read += length;
  }
}

// The same programs were started, and they are as they were: what Node says of them is what it would say.
static bool is_as_expected(void) {
  if (course.is_other || !course.has_ended || !course.is_complete || !course.has_use || told_read != told_length) return false;
  for (uint32_t i = 0; i < expected.text_count; i++)
    if (!text_seen[i]) return false;
  struct payload files = expected.files;
  for (uint32_t i = 0; i < expected.file_count; i++) {
    bool is_there = take32(&files) != 0;
    if ((CALL(faccessat, AT_FDCWD, take_strings(&files, 1), F_OK) == 0) != is_there) return false;
  }
  return true;
}

// ── Handing over ───────────────────────────────────────────────────────────────────────────────────────────────

// launcher's and watcher's: WORD NODE CLI ARGUMENT…  →  NODE CLI COMMAND ARGUMENT…
_Noreturn static void become_node(const char *command, const char **argv, const char **environment) {
  const char *node = argv[2];
  argv[1] = node;
  argv[2] = argv[3];
  argv[3] = command;
  long result = CALL(execve, node, argv + 1, environment);
  fail_as("callgate learn", FAILED_LEARNING, "execve", node, result);
}

// The front's state, for Node: src/cli/learn/handed-over.ts reads it.
struct handed_over {
  uint8_t magic[8];
  uint32_t watcher, has_ended, status, signal; // status as wait4 gives it
  uint64_t begin; // of the run, in milliseconds
  uint32_t policy_length, reserved;
};

struct front {
  long watcher, records, signals;
  uint64_t callers_mask;
  struct handed_over state;
};

static void write_to(long file, const void *bytes, size_t length) {
  for (size_t written = 0; written < length;) {
    long result = CALL(write, file, (const uint8_t *)bytes + written, length - written);
    if (result == -EINTR) continue;
    if (result <= 0) fail_as("callgate learn", FAILED_LEARNING, "write", NULL, result);
    written += (size_t)result;
  }
}

static void move_to(long descriptor, int at) {
  long result = descriptor == at ? CALL(fcntl, at, F_SETFD, 0) : CALL(dup3, descriptor, at, 0);
  if (result < 0) fail_as("callgate learn", FAILED_LEARNING, "dup3", NULL, result);
}

_Noreturn static void go_on_as_node(struct front *front, const char **argv, const char **environment) {
  front->state.policy_length = (uint32_t)write_policy_text(expected.runs, expected.idle);
  long file = CALL(memfd_create, "told", FD_CLOEXEC);
  if (file < 0) fail_as("callgate learn", FAILED_LEARNING, "memfd_create", NULL, file);
  write_to(file, &front->state, sizeof front->state);
  write_to(file, policy_text, front->state.policy_length);
  write_to(file, told, told_length);
  // Two that are in nobody's way, before the places of either may be taken.
  long records = CALL(fcntl, front->records, F_DUPFD_CLOEXEC, RECORDS_DESCRIPTOR + 1);
  if (records < 0) fail_as("callgate learn", FAILED_LEARNING, "fcntl(F_DUPFD_CLOEXEC)", NULL, records);
  move_to(file, TOLD_DESCRIPTOR);
  move_to(records, RECORDS_DESCRIPTOR);
  // (Another signal, before Node listens to them, ends Node, and with it the watcher and the program.)
  CALL(rt_sigprocmask, SIG_SETMASK, &front->callers_mask, 0, 8);
  become_node("learn-on", argv, environment);
}

// ── The run ────────────────────────────────────────────────────────────────────────────────────────────────────

// The number of a signal that asks for the end of learning, 0 where there is none.
static uint32_t taken_signal(long signals) {
  struct poll waiting = {(int)signals, POLLIN, 0};
  struct kernel_time now = {0, 0};
  uint8_t information[128];
  if (CALL(ppoll, &waiting, 1, &now, 0, 0) != 1 || CALL(read, signals, information, sizeof information) != sizeof information)
    return 0;
  return load32(information);
}

// Reads what the watcher says to its end; answers false where Node is to go on before it.
static bool follow(struct front *front) {
  struct poll waiting[2] = {{(int)front->records, POLLIN, 0}, {(int)front->signals, POLLIN, 0}};
  for (;;) {
    // Who has ended and left others behind: that is said.
    struct kernel_time patience = {LEFT_BEHIND_MILLISECONDS / 1000, LEFT_BEHIND_MILLISECONDS % 1000 * 1000000L};
    long result = CALL(ppoll, waiting, 2, course.has_ended ? &patience : NULL, 0, 0);
    if (result == -EINTR) continue;
    if (result <= 0) return false;
    front->state.signal = taken_signal(front->signals);
    if (front->state.signal != 0 || told_length == sizeof told) return false;
    if (waiting[0].returned == 0) continue;
    result = CALL(read, front->records, told + told_length, sizeof told - told_length);
    if (result == -EINTR) continue;
    if (result < 0) return false;
    if (result == 0) return true;
    told_length += (size_t)result;
    look_at_records();
  }
}

// As Node, to somebody who may not be there any more.
static void say_all(const uint8_t *text, size_t length) {
  for (size_t written = 0; written < length;) {
    long result = CALL(write, 2, text + written, length - written);
    if (result > 0) written += (size_t)result;
    else if (result == -EAGAIN) nap();
    else if (result != -EINTR) return;
  }
}

// All of it is done here, or nothing: then Node does it.
static void finish(const struct front *front) {
  if (front->state.status != 0 || front->state.signal != 0 || !is_as_expected()) return;
  const struct numbers numbers = {{[PLACE_RUNS] = expected.runs + 1, [PLACE_IDLE] = expected.idle + 1,
                                   [PLACE_STATUS] = course.status, [PLACE_MEBIBYTES] = course.mebibytes,
                                   [PLACE_SECONDS] = course.hundredths}};
  static uint8_t text[TEXT_SAID];
  size_t length = expand(expected.said[expected.idle == 0 ? 0 : 1], &numbers, text, sizeof text);
  if (length == sizeof text || !count_run()) return;
  say_all(text, length);
  leave(0);
}

// The program's standard input: a file from its beginning, as it is each time. Negative where Node has to look at it, and at
// standard streams that are closed, or do not wait.
static long open_input(void) {
  for (int descriptor = 0; descriptor <= 2; descriptor++) {
    long flags = CALL(fcntl, descriptor, F_GETFL, 0);
    if (flags < 0 || (flags & O_NONBLOCK) != 0) return -EBADF;
  }
  struct file_facts facts;
  if (look_at(0, "", AT_EMPTY_PATH, &facts) != 0) return -EBADF;
  return (facts.mode & KIND_MASK) != KIND_FILE ? 0 : CALL(openat, AT_FDCWD, "/proc/self/fd/0", O_RDONLY | O_CLOEXEC, 0);
}

static void be_watcher(long parent, long input, const int *ends, const char **environment) {
  CALL(close, ends[0]);
  record_descriptor = ends[1];
  memcpy(job, expected.job, expected.job_length);
  take_job(expected.job_length);
  long result = input == 0 ? 0 : CALL(dup3, input, 0, 0);
  if (result < 0) fail("dup3", result);
  const char *argument = expected.arguments;
  for (uint32_t i = 0; i < expected.argument_count; i++, argument = next_string(argument)) program_arguments[i] = argument;
  watch_program(parent, expected.program, program_arguments, environment);
}

// Watches by what is kept, where that holds, and ends; comes back where Node has to do it, and nothing has happened.
static void learn_by_kept_job(int argc, const char **argv, const char **environment) {
  struct kept_header header;
  if (!find_kept(argc, argv, environment, kept, &header) || !facts_hold(kept + header.plan_length, header.facts_length)) return;
  if (!take_expected(header.plan_length) || !policy_holds()) return;
  int ends[2];
  long input = open_input();
  if (input < 0 || CALL(pipe2, ends, O_CLOEXEC) < 0) return;
  struct front front = {.records = ends[0], .state = {.magic = {'c', 'g', 'h', 'a', 'n', 'd', 'e', 'd'}}};
  struct kernel_time now;
  uint64_t ending = 1U << (SIGHUP - 1) | 1U << (SIGINT - 1) | 1U << (SIGTERM - 1);
  front.signals = call6(NUMBER_SIGNALFD, WORD(-1), WORD(&ending), 8, O_CLOEXEC, 0, 0);
  if (front.signals < 0 || CALL(clock_gettime, 0, &now) != 0) return;
  front.state.begin = (uint64_t)now.seconds * 1000 + (uint64_t)now.nanoseconds / 1000000;
  // A caller that ignores SIGCHLD would have the watcher's status thrown away. Node sets it too, and ignores SIGPIPE and SIGXFSZ.
  struct signal_action standard = {.handler = SIG_DFL}, ignore = {.handler = SIG_IGN};
  CALL(rt_sigaction, SIGCHLD, &standard, 0, 8);
  CALL(rt_sigaction, SIGPIPE, &ignore, 0, 8);
  CALL(rt_sigaction, SIGXFSZ, &ignore, 0, 8);
  CALL(rt_sigprocmask, SIG_BLOCK, &ending, &front.callers_mask, 8);

  long own = CALL(getpid);
  front.watcher = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (front.watcher == 0) be_watcher(own, input, ends, environment);
  if (front.watcher < 0) {
    CALL(rt_sigprocmask, SIG_SETMASK, &front.callers_mask, 0, 8);
    return;
  }
  CALL(close, ends[1]);
  front.state.watcher = (uint32_t)front.watcher;
  if (follow(&front)) {
    int status = 0;
    long result;
    do result = CALL(wait4, front.watcher, &status, 0, 0);
    while (result == -EINTR);
    front.state.has_ended = 1;
    front.state.status = (uint32_t)status;
    front.state.signal = taken_signal(front.signals);
    finish(&front);
  }
  go_on_as_node(&front, argv, environment);
}

_Noreturn static void learn(int argc, const char **argv, const char **environment) {
  learn_by_kept_job(argc, argv, environment);
  become_node("learn", argv, environment);
}

// ── Keeping ────────────────────────────────────────────────────────────────────────────────────────────────────

_Noreturn static void keep_job(int argc, const char **argv, const char **environment) {
  if (variable(environment, "CALLGATE_FRESH") != NULL) leave(0);
  struct bearing bearing = own_bearing();
  may_keep = hash_surroundings(&bearing, argc, argv, environment, kept, surroundings);
  long length = read_whole(JOB_DESCRIPTOR, kept, sizeof kept);
  if (length < 16 || length > PLAN_MAXIMUM) leave(0);
  size_t own_length = load32(kept + 8);
  if (own_length < (size_t)length && take_expected(own_length)) keep(kept, own_length, (size_t)length - own_length);
  leave(0);
}

#endif
