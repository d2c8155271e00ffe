// callgate's watcher: starts a program and says which system calls it makes. `callgate learn` starts it.
//
//   watcher PATH ARGV0 [ARGUMENT…]     the job comes on descriptor 3, records go to descriptor 4
//   watcher container PID              the same of a container, whose first program has installed the filter and waits
//   watcher learn NODE CLI ARGUMENT…   the front of `callgate learn`, see kept-job.h
//   watcher keep NODE CLI ARGUMENT…    keeps a job for it
//
// The program runs under a filter that hands up the calls of interest (seccomp user notification); the watcher lets
// each go on (CONTINUE), or refuses it with the error that the job has for its number, and notes what was new about it.
// It reads no memory to decide: what it notes of paths is what the program said, and may have been changed meanwhile.
// So its records are for writing a policy or for explaining a denial, never for judging a call.
//
// It allocates nothing; when a table is full it counts what it could not keep, and says so.
//
// The file is in the order in which it runs: the job, the program, the hand-over of the listener, the calls.

#include "notification.h"
#include "plan.h"
#include "system.h"

enum { STATUS_FAILED = 125, STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };
enum { JOB_DESCRIPTOR = 3, PROGRAM_FIRST = 3 };
enum { JOB_MAXIMUM = 1 << 20, CALLS_MAXIMUM = 8192, WORDS = 3 };
enum { KEYS = 1 << 16, PATHS = 1 << 18, TEXT_MAXIMUM = 4096, PATH_USUAL = 128, TEXT_BYTES = 32 << 20 };

// What system.h does not have.
enum {
#if defined(__x86_64__)
  NUMBER_GETRUSAGE = 98, NUMBER_READLINKAT = 267, NUMBER_SIGNALFD = 289,
#else
  NUMBER_SIGNALFD = 74, NUMBER_READLINKAT = 78, NUMBER_GETRUSAGE = 165,
#endif
  NUMBER_PIDFD_OPEN = 434, NUMBER_PIDFD_GETFD = 438,
  LISTENER_TRIES = 100000, LISTENER_DESCRIPTORS = 64, YIELDS = 500,
  WATCH_SUBREAPER = 36,
  WATCH_CLONE_FILES = 0x400,
  WATCH_CLOSE_RANGE_CLOEXEC = 4,
};

// ── The job ────────────────────────────────────────────────────────────────────────────────────────────────────
// u8[8] "cgwatch1" ("cgwatchc" for a container), u32 instructions, u32 calls, u32 answer, u32 0, the instructions, the calls: sorted by arch and number. An answer is 0, the call goes on, or an errno; the job's own holds for calls that are not in the list. The first
// execve, the watcher's own, goes on always.

struct call_row {
  uint32_t arch, nr;
  uint32_t flags; // below
  uint32_t words; // how many of these count
  struct {
    uint32_t index, reserved;
    uint64_t mask;
  } word[WORDS];
};

// Places in a row's flags, each a number of four bits: an argument's index and 1, or 0.
enum { ROW_PATH = 0, ROW_DIRECTORY = 4, ROW_PATH_2 = 8, ROW_DIRECTORY_2 = 12, ROW_ADDRESS = 16 };
enum { ROW_ANSWER = 20, JOB_HEADER = 24 }; // 12 bits; bytes

static uint8_t job[JOB_MAXIMUM] __attribute__((aligned(8)));
static const struct filter_instruction *filter;
static uint32_t filter_length;
static const struct call_row *rows;
static uint32_t row_count, other_answer;
static bool is_container;

// ── Records ────────────────────────────────────────────────────────────────────────────────────────────────────
// What goes to the caller, in the machine's byte order; lengths are of the whole record, a multiple of 8.

enum { RECORD_CALL = 1, RECORD_TEXT = 2, RECORD_COUNT = 3, RECORD_EXIT = 4, RECORD_LOST = 5, RECORD_END = 6, RECORD_USE = 7 };

struct record {
  uint32_t kind, length;
  uint32_t key, pid;
  uint64_t sequence; // which of all the calls that were handed up
  struct call_data data;
  char program[16];
  uint32_t which, text_length; // which text: 0 a path, 1 a second path, 2 an address
  char text[2 * TEXT_MAXIMUM];
};

static int record_descriptor = 4;
static bool is_read = true; // whether anybody still reads the records

// Records are written many at once, since a write wakes the caller, who may run on another processor. What the watcher has
// seen is to be kept when it is killed: they wait for so many calls at most, and while nothing is handed up, so many milliseconds.
enum { PENDING_BYTES = 1 << 16, PENDING_CALLS = 64, PENDING_MILLISECONDS = 20 };
static uint8_t pending[PENDING_BYTES];
static size_t pending_length;
static uint64_t sequence, pending_since; // how many calls were handed up, and when the oldest waiting record came

static void write_records(void) {
  const uint8_t *at = pending;
  size_t length = pending_length;
  pending_length = 0;
  while (is_read && length > 0) {
    long count = CALL(write, record_descriptor, at, length);
    if (count == -EINTR) continue;
    if (count <= 0) {
      // The caller is gone. The program goes on, and nobody takes notes.
      is_read = false;
      return;
    }
    at += count;
    length -= (size_t)count;
  }
}

static void send_bytes(const void *bytes, size_t length) {
  if (pending_length + length > PENDING_BYTES) write_records();
  if (pending_length == 0) pending_since = sequence;
  memcpy(pending + pending_length, bytes, length);
  pending_length += length;
}

static void send_numbers(uint32_t kind, uint32_t key, uint64_t first, uint64_t second) {
  struct {
    uint32_t kind, length, key, reserved;
    uint64_t first, second;
  } record = {kind, sizeof record, key, 0, first, second};
  send_bytes(&record, sizeof record);
}

_Noreturn static void fail(const char *what, long result) { fail_as("callgate", STATUS_FAILED, what, NULL, result); }

static void take_job(size_t length) {
  if (length < JOB_HEADER) fail("the watcher's job is not valid", 0);
  is_container = job[7] == 'c';
  for (size_t i = 0; i < 8; i++)
    if (job[i] != (uint8_t)"cgwatch1"[i] && (i != 7 || !is_container)) fail("the watcher's job is not valid", 0);
  filter_length = load32(job + 8);
  row_count = load32(job + 12);
  other_answer = load32(job + 16);
  if (filter_length == 0 || filter_length > INSTRUCTIONS_MAXIMUM || row_count > CALLS_MAXIMUM ||
      other_answer > 4095 || length != JOB_HEADER + (size_t)filter_length * sizeof *filter + (size_t)row_count * sizeof *rows)
    fail("the watcher's job is not valid", 0);
  filter = (const struct filter_instruction *)(const void *)(job + JOB_HEADER);
  rows = (const struct call_row *)(const void *)(filter + filter_length);
  for (uint32_t i = 0; i < row_count; i++) {
    if (rows[i].words > WORDS) fail("the watcher's job is not valid", 0);
    for (uint32_t j = 0; j < WORDS; j++)
      if (rows[i].word[j].index > 5) fail("the watcher's job is not valid", 0);
    for (uint32_t place = 0; place < 20; place += 4)
      if ((rows[i].flags >> place & 15) > 6) fail("the watcher's job is not valid", 0);
  }
}

static void read_job(void) {
  size_t length = 0;
  for (;;) {
    long count = CALL(read, JOB_DESCRIPTOR, job + length, JOB_MAXIMUM - length);
    if (count == -EINTR) continue;
    if (count < 0) fail("this program is a part of callgate and is started by it: use `callgate learn`", count);
    if (count == 0) break;
    length += (size_t)count;
    if (length == JOB_MAXIMUM) fail("the watcher's job is too large", 0);
  }
  CALL(close, JOB_DESCRIPTOR);
  take_job(length);
}

// ── The program ────────────────────────────────────────────────────────────────────────────────────────────────

// Shared by both processes, since the filter may keep the program from every other way to say something.
struct hand_over {
  _Atomic long listener; // the descriptor and 1; negative: why there is none
  _Atomic long failure;  // of execve
};
static struct hand_over *shared;

_Noreturn static void become_program(long parent, const char *path, const char **arguments,
                                      const char **environment) {
  long result = CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (result < 0 || CALL(getppid) != parent) leave(STATUS_FAILED);
  // The descriptors are shared with the watcher: marked, they close in the program alone.
  result = CALL(close_range, 3, ~0U, WATCH_CLOSE_RANGE_CLOEXEC);
  if (result < 0) fail("close_range(CLOSE_RANGE_CLOEXEC), which Linux has since 5.11", result);
  for (int signal = 1; signal < SIGNALS_END; signal++) {
    struct signal_action standard = {.handler = SIG_DFL};
    if (signal != SIGKILL && signal != SIGSTOP) CALL(rt_sigaction, signal, &standard, 0, 8);
  }
  uint64_t none = 0;
  CALL(rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
  result = CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (result < 0) fail("prctl(PR_SET_NO_NEW_PRIVS)", result);

  struct filter_program program = {(uint16_t)filter_length, filter};
  // Without WAIT_KILLABLE (before 5.19) a signal can interrupt a call that waits for its answer; it is then made again.
  result = CALL(seccomp, SECCOMP_SET_MODE_FILTER, NEW_LISTENER | WAIT_KILLABLE_RECEIVE, &program);
  if (result == -EINVAL) result = CALL(seccomp, SECCOMP_SET_MODE_FILTER, NEW_LISTENER, &program);
  shared->listener = result < 0 ? result : result + 1;
  if (result < 0) leave(STATUS_FAILED);

  result = CALL(execve, path, arguments, environment);
  shared->failure = result;
  leave(result == -ENOENT || result == -ENOTDIR ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

static int main_status = -1; // as wait4 gives it

static void reap(long program) {
  for (;;) {
    int status = 0;
    long child = CALL(wait4, -1, &status, WNOHANG, 0);
    if (child <= 0) return;
    if (child != program) continue;
    main_status = status;
    send_numbers(RECORD_EXIT, 0, (uint64_t)status, (uint64_t)shared->failure);
    write_records();
  }
}

// Both processes have one table of descriptors, so the listener is here as soon as the program has it.
static int take_listener(long program) {
  for (uint32_t tries = 0;; tries++) {
    long listener = shared->listener;
    if (listener > 0) {
      long result = CALL(unshare, WATCH_CLONE_FILES);
      if (result < 0) fail("unshare(CLONE_FILES)", result);
      return (int)listener - 1;
    }
    if (listener == -EBUSY)
      fail("the program cannot be watched: something around callgate watches it already (seccomp listener)", listener);
    if (listener < 0) fail("the program cannot be watched: seccomp(NEW_LISTENER)", listener);
    reap(program);
    if (main_status != -1) leave(main_status >> 8 & 0xff);
    // It takes the program less than two naps, where it has a processor of its own.
    if (tries < YIELDS) CALL(sched_yield);
    else nap();
  }
}

// The container's first program waits in its execve until somebody answers; the listener is taken from it meanwhile.
static int take_listener_of(uint32_t pid) {
  static const char wanted[] = "anon_inode:seccomp notify";
  long process = call6(NUMBER_PIDFD_OPEN, pid, 0, 0, 0, 0, 0);
  if (process < 0) fail("the container cannot be watched: pidfd_open", process);
  for (int tries = 0; tries < LISTENER_TRIES; tries++) {
    // An ordinary user may take a descriptor of mapped ids by their user namespace, but not look at its link.
    for (uint32_t descriptor = 3; descriptor < LISTENER_DESCRIPTORS; descriptor++) {
      long taken = call6(NUMBER_PIDFD_GETFD, WORD(process), descriptor, 0, 0, 0, 0);
      if (taken == -EBADF) continue;
      if (taken < 0) fail("the container cannot be watched: pidfd_getfd", taken);
      struct line path = {.length = 0};
      put(&path, "/proc/self/fd/");
      put_number(&path, (uint64_t)taken);
      put_byte(&path, 0);
      char target[sizeof wanted];
      long length = call6(NUMBER_READLINKAT, WORD(AT_FDCWD), WORD(path.text), WORD(target), sizeof target, 0, 0);
      bool is_listener = length == (long)sizeof wanted - 1;
      for (size_t i = 0; is_listener && i < sizeof wanted - 1; i++) is_listener = target[i] == wanted[i];
      if (is_listener) {
        CALL(close, process);
        return (int)taken;
      }
      CALL(close, taken);
    }
    nap();
  }
  fail("the container cannot be watched: its first program has no listener", 0);
}

// ── What is new about a call ───────────────────────────────────────────────────────────────────────────────────

struct key {
  uint32_t arch, nr;
  uint64_t words[WORDS];
  uint64_t count, last;
};

static struct key keys[KEYS];
static uint32_t key_order[KEYS]; // places in `keys`, in the order in which they came
static uint32_t key_number[KEYS];
static uint32_t key_count;
static uint64_t paths[PATHS]; // hashes: a path whose hash is known is taken for known
static uint32_t path_count, text_bytes; // of all texts sent: the caller keeps them
static uint64_t lost_keys, lost_paths;
static struct record record;
static int proc = -1; // a descriptor of /proc

static void fill_record(const struct notification *call, uint32_t kind, uint32_t key) {
  memset(&record, 0, offsetof(struct record, text));
  record.kind = kind;
  record.key = key;
  record.pid = call->pid;
  record.sequence = sequence;
  record.data = call->data;
}

static void send_record(void) {
  size_t length = offsetof(struct record, text) + record.text_length;
  while (length % 8 != 0) ((char *)&record)[length++] = 0;
  record.length = (uint32_t)length;
  send_bytes(&record, length);
}

// The key's number; ~0 where the table is full.
static uint32_t note_key(const struct notification *call, const struct call_row *row) {
  uint64_t words[WORDS] = {0, 0, 0};
  for (uint32_t i = 0; row != NULL && i < row->words; i++)
    words[i] = call->data.args[row->word[i].index] & row->word[i].mask;
  uint64_t hash = mix(mix(0, call->data.arch), call->data.nr);
  for (size_t i = 0; i < WORDS; i++) hash = mix(hash, words[i]);
  for (uint32_t at = (uint32_t)(hash >> 32) % KEYS;; at = (at + 1) % KEYS) {
    struct key *key = &keys[at];
    if (key->count == 0) {
      if (key_count >= KEYS / 4 * 3) {
        lost_keys++;
        return ~0U;
      }
      *key = (struct key){call->data.arch, call->data.nr, {words[0], words[1], words[2]}, 1, sequence};
      key_number[at] = key_count;
      key_order[key_count] = at;
      fill_record(call, RECORD_CALL, key_count);
      program_name_in(proc, call->pid, record.program);
      send_record();
      return key_count++;
    }
    if (key->arch == call->data.arch && key->nr == call->data.nr && key->words[0] == words[0] &&
        key->words[1] == words[1] && key->words[2] == words[2]) {
      key->count++;
      key->last = sequence;
      return key_number[at];
    }
  }
}

// Where a relative path begins: the working directory, or a descriptor's.
static size_t read_directory(uint32_t pid, int32_t descriptor, char *to) {
  struct line path = {.length = 0};
  put_number(&path, pid);
  if (descriptor < 0) {
    put(&path, "/cwd");
  } else {
    put(&path, "/fd/");
    put_number(&path, (uint64_t)descriptor);
  }
  put_byte(&path, 0);
  long length = call6(NUMBER_READLINKAT, WORD(proc), WORD(path.text), WORD(to), TEXT_MAXIMUM - 1, 0, 0);
  return length < 0 ? 0 : (size_t)length;
}

static bool is_new_text(const struct notification *call, const struct call_row *row) {
  uint64_t hash = mix(mix(1, call->data.arch), call->data.nr);
  for (uint32_t i = 0; i < row->words; i++)
    hash = mix(hash, call->data.args[row->word[i].index] & row->word[i].mask);
  hash = mix(hash, record.which);
  for (uint32_t i = 0; i < record.text_length; i++) hash = mix(hash, (uint8_t)record.text[i]);
  if (hash == 0) hash = 1;
  for (uint32_t at = (uint32_t)(hash >> 32) % PATHS;; at = (at + 1) % PATHS) {
    if (paths[at] == hash) return false;
    if (paths[at] != 0) continue;
    if (path_count >= PATHS / 4 * 3 || text_bytes > TEXT_BYTES) {
      lost_paths++;
      return false;
    }
    paths[at] = hash;
    path_count++;
    text_bytes += record.text_length;
    return true;
  }
}

static void send_text(const struct notification *call, const struct call_row *row, uint32_t key) {
  if (!is_new_text(call, row)) return;
  uint32_t which = record.which, length = record.text_length;
  fill_record(call, RECORD_TEXT, key);
  record.which = which;
  record.text_length = length;
  send_record();
}

static void note_path(const struct notification *call, const struct call_row *row, uint32_t key, uint32_t place,
                      uint32_t directory_place, uint32_t which) {
  uint32_t index = row->flags >> place & 15;
  if (index == 0) return;
  uint32_t directory = row->flags >> directory_place & 15;
  static char path[TEXT_MAXIMUM];
  // Most paths are short, and reading few bytes is cheaper.
  size_t end = 0;
  for (size_t length = 0; end == length; ) {
    if (length == sizeof path) return;
    size_t more = length == 0 ? PATH_USUAL : sizeof path - length;
    more = read_memory(call->pid, call->data.args[index - 1] + length, path + length, more);
    if (more == 0) return; // not readable: the kernel will say so
    length += more;
    while (end < length && path[end] != 0) end++;
  }
  if (end == 0) return;
  size_t before = 0;
  if (path[0] != '/') {
    int32_t descriptor = directory == 0 ? -1 : (int32_t)(uint32_t)call->data.args[directory - 1];
    before = read_directory(call->pid, descriptor, record.text);
    if (before == 0) return;
    record.text[before++] = '/';
  }
  memcpy(record.text + before, path, end);
  record.which = which;
  record.text_length = (uint32_t)(before + end);
  send_text(call, row, key);
}

static void note_address(const struct notification *call, const struct call_row *row, uint32_t key) {
  uint32_t index = row->flags >> ROW_ADDRESS & 15;
  if (index == 0 || index == 6) return;
  size_t length = (size_t)(uint32_t)call->data.args[index];
  length = read_memory(call->pid, call->data.args[index - 1], record.text, length < 128 ? length : 128);
  if (length < 2) return;
  record.which = 2;
  record.text_length = (uint32_t)length;
  send_text(call, row, key);
}

// The first execve, by which the program is started, is no call of the program's.
static bool is_start(const struct notification *call) {
  return sequence == 1 && call->data.arch == ARCHITECTURE && call->data.nr == NR_execve;
}

static void note(const struct notification *call, const struct call_row *row) {
  uint32_t key = is_start(call) ? ~0U : note_key(call, row);
  if (row == NULL) return;
  note_path(call, row, key, ROW_PATH, ROW_DIRECTORY, 0);
  note_path(call, row, key, ROW_PATH_2, ROW_DIRECTORY_2, 1);
  note_address(call, row, key);
}

// ── The calls ──────────────────────────────────────────────────────────────────────────────────────────────────

// The largest process in KiB and all processor time in microseconds, of everything that has ended.
static void send_use(void) {
  struct {
    int64_t user[2], system[2], largest, others[13];
  } use = {.largest = 0};
  if (call6(NUMBER_GETRUSAGE, WORD(-1) /* RUSAGE_CHILDREN */, WORD(&use), 0, 0, 0, 0) < 0) return;
  send_numbers(RECORD_USE, 0, (uint64_t)use.largest, (uint64_t)((use.user[0] + use.system[0]) * 1000000 + use.user[1] + use.system[1]));
}

static void send_counts(void) {
  for (uint32_t i = 0; i < key_count; i++) {
    const struct key *key = &keys[key_order[i]];
    send_numbers(RECORD_COUNT, i, key->count, key->last);
  }
  if (lost_keys != 0 || lost_paths != 0) send_numbers(RECORD_LOST, 0, lost_keys, lost_paths);
  send_use();
  send_numbers(RECORD_END, 0, sequence, 0);
  write_records();
}

static void answer_calls(int listener, int children, long program) {
  struct poll waiting[2] = {{listener, POLLIN, 0}, {children, POLLIN, 0}};
  for (;;) {
    // Before each receive: on older kernels that would wait for ever when the last process is gone.
    struct kernel_time time = {0, PENDING_MILLISECONDS * 1000000L};
    long result = CALL(ppoll, waiting, 2, pending_length == 0 ? NULL : &time, 0, 0);
    if (result == -EINTR) continue;
    if (result < 0) fail("ppoll", result);
    if (result == 0 || (pending_length > 0 && sequence - pending_since >= PENDING_CALLS)) write_records();
    if ((waiting[1].returned & POLLIN) != 0) {
      uint8_t signals[128];
      CALL(read, children, signals, sizeof signals);
      reap(program);
    }
    if ((waiting[0].returned & POLLIN) != 0) {
      struct notification call;
      memset(&call, 0, sizeof call);
      result = CALL(ioctl, listener, NOTIFICATION_RECEIVE, &call);
      if (result < 0) continue; // its caller was interrupted or killed meanwhile
      sequence++;
      const struct call_row *row = find_row(rows, sizeof *rows, row_count, &call.data);
      note(&call, row);
      uint32_t answer = row == NULL ? other_answer : row->flags >> ROW_ANSWER;
      if (is_start(&call)) answer = 0;
      struct response response = {call.id, 0, -(int32_t)answer, answer == 0};
      CALL(ioctl, listener, NOTIFICATION_SEND, &response);
    } else if ((waiting[0].returned & POLLHUP) != 0) {
      return;
    }
  }
}

static void watch_container(const char *text, int children) {
  uint32_t pid = 0;
  for (; *text >= '0' && *text <= '9' && pid <= 1U << 22; text++) pid = pid * 10 + (uint32_t)(*text - '0');
  if (*text != 0 || pid == 0) fail("this program is a part of callgate and is started by it: use `callgate lxc learn`", 0);
  int listener = take_listener_of(pid);
  CALL(ioctl, listener, NOTIFICATION_SET_FLAGS, 1);
  answer_calls(listener, children, 0);
  send_counts();
}

// What the watcher is while it watches, a program or a container; answers a descriptor on which children are told.
static int begin_watching(long parent) {
  // Who started the watcher is killed: the watcher goes too, and the program with it.
  CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (parent != 0 && CALL(getppid) != parent) leave(STATUS_FAILED);
  // The watcher outlives what a terminal does to the program: Ctrl-C and Ctrl-Z, and a hang-up.
  static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, 20, 21, 22};
  struct signal_action ignore = {.handler = SIG_IGN}, standard = {.handler = SIG_DFL};
  for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) CALL(rt_sigaction, ignored[i], &ignore, 0, 8);
  CALL(rt_sigaction, SIGCHLD, &standard, 0, 8);
  uint64_t child_signal = 1U << (SIGCHLD - 1);
  CALL(rt_sigprocmask, SIG_SETMASK, &child_signal, 0, 8);
  long children = call6(NUMBER_SIGNALFD, WORD(-1), WORD(&child_signal), 8, O_CLOEXEC, 0, 0);
  if (children < 0) fail("signalfd4", children);
  // What the program leaves behind becomes a child of the watcher's, who sees it end.
  CALL(prctl, WATCH_SUBREAPER, 1, 0, 0, 0);

  long memory = CALL(mmap, 0, 4096, 3, 0x21, -1, 0);
  if (memory < 0 && memory > -4096) fail("mmap", memory);
  shared = (struct hand_over *)memory;
  proc = (int)CALL(openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  return (int)children;
}

// `parent` is who started the watcher, where that is known.
_Noreturn static void watch_program(long parent, const char *path, const char **arguments, const char **environment) {
  int children = begin_watching(parent);
  long own = CALL(getpid);
  long program = CALL(clone, WATCH_CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  if (program < 0) fail("clone", program);
  if (program == 0) become_program(own, path, arguments, environment);

  int listener = take_listener(program);
  // The caller of a call that is answered runs at once, on the same processor (6.6; without it, the same but slower).
  CALL(ioctl, listener, NOTIFICATION_SET_FLAGS, 1);
  answer_calls(listener, children, program);
  // The last process is gone from the filter; its status may come a moment later, and with it the signal.
  for (;;) {
    reap(program);
    if (main_status != -1) break;
    struct poll waiting = {children, POLLIN, 0};
    uint8_t signals[128];
    if (CALL(ppoll, &waiting, 1, 0, 0, 0) == 1) CALL(read, children, signals, sizeof signals);
  }
  send_counts();
  leave(0);
}

#include "kept-job.h"

__attribute__((used)) _Noreturn void start(const uint64_t *stack) {
  int argc = (int)stack[0];
  const char **argv = (const char **)(uintptr_t)(stack + 1);
  const char **environment = argv + argc + 1;
  if (argc < PROGRAM_FIRST) fail("this program is a part of callgate and is started by it: use `callgate learn`", 0);
  // A program's path has a slash in it, so that it is none of these words.
  if (argc >= 4 && is_word(argv[1], "learn")) learn(argc, argv, environment);
  if (argc >= 4 && is_word(argv[1], "keep")) keep_job(argc, argv, environment);
  read_job();
  if (!is_container) watch_program(0, argv[1], argv + 2, environment);
  watch_container(argv[2], begin_watching(0));
  leave(0);
}
