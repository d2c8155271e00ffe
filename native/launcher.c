// callgate's launcher: carries out a plan, then becomes the program.
//
//   launcher run NODE CLI ARGUMENT…   the front of `callgate run`: Node, as a child, writes the plan to a pipe
//   launcher spawn DESCRIPTOR         the plan comes on a socket, on which also goes back how it went (the library)
//   launcher plan                     the plan comes on descriptor 3, a file or a pipe
//   launcher layers                   says which parts of a sandbox there are here
//   launcher kept …                   says whether a kept plan would be used, see kept-plan.h
//   COPY ARGUMENT…                    a copy that carries its plan behind itself, see `attached`
//
// The file is in the order in which it runs: start, where the plan comes from, the steps in their order, the
// program. What a plan may hold, and its check, is in plan.h; the kernel's interface in system.h.
//
// It decides nothing and parses no text. A step that fails ends it with status 125 and one sentence, and the program
// has not started: there is no half a sandbox. It allocates nothing: all memory is in the static buffers below
// (pages that are not touched cost nothing). README.md says who it defends against.

#include "plan.h"
#include "system.h"

enum { STATUS_FAILED = 125, STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };
enum { PLAN_DESCRIPTOR = 3, DESCRIPTORS_END = 1 << 20, ENVIRONMENT_POINTERS = 65536 };

// What can fail besides the steps of plan.h.
enum { STEP_PLAN = 0, STEP_NODE = 1, STEP_LAUNCH_KEY = 155 };

// What goes back on the library's socket. "Ready" alone, then its end: the program has started, or was killed in the
// same instant. An end without a word: the launcher was killed.
enum { REPORT_READY = 1, REPORT_FAILED = 2 };
struct report {
  uint32_t what, step, error, length; // error: an errno or 0; length: of the text
  char text[sizeof((struct line *)0)->text];
};

// Whoever makes a copy of this file that carries a plan writes here where in the copy it lies. Volatile, since the
// compiler would otherwise take the zeros for good.
static volatile const struct {
  char mark[24];
  uint64_t offset, length;
  uint64_t root_offset, root_length; // another plan for uid 0, if there is one
  uint64_t root_shared;              // so many bytes behind its header are the first plan's, and stand there alone
} attached = {"callgate's plan is at:", 0, 0, 0, 0, 0};

static uint8_t plan_bytes[PLAN_MAXIMUM + 8] __attribute__((aligned(8)));
static struct plan plan;
static const char *program_arguments[ARGUMENTS_MAXIMUM + 1];
static const char *program_environment[ENVIRONMENT_POINTERS + 1];
static uint32_t launch_key[KEY_WORDS];
static const char **own_arguments; // the program's, where its plan leaves them to whoever starts it
static int report_descriptor = -1;
static const char *node_path, *node_program; // as the front of `callgate run`: what has made the plan
static bool filtered; // from the first filter on, only seccomp, execve, write and exit_group are called

static const char *refuse_privileges(const uint64_t *auxiliary);
static size_t plan_from_own_file(const char *file);
static size_t plan_for_run(int argc, const char **argv, const char **environment, size_t *facts);
static size_t plan_from_descriptor(int descriptor);
static size_t plan_from_socket(const char *descriptor);
static void keep_plan(uint8_t *bytes, size_t plan_length, size_t facts_length);
static void try_layers(struct line *line);
_Noreturn static void say_layers(void);
_Noreturn static void say_kept(int argc, const char **argv, const char **environment);
_Noreturn static void carry_out(const char **environment);
static void tidy_up(void);
static void await_node(void);

// ── Failing ────────────────────────────────────────────────────────────────────────────────────────────────────

static inline const char *step_name(uint32_t step) {
  switch (step) {
    case STEP_PLAN: return "read the plan";
    case STEP_NODE: return "start Node";
    case STEP_REPORT: return "report";
    case STEP_CGROUPS: return "cgroup";
    case STEP_NAMESPACES: return "namespaces";
    case STEP_ID_MAPS: return "id maps";
    case STEP_CALLERS_FOLDER: return "folder of the caller";
    case STEP_MOUNTS: return "mounts";
    case STEP_PIVOT: return "change root";
    case STEP_DETACH_MOUNT: return "detach mount";
    case STEP_HOST_NAME: return "host name";
    case STEP_LIMITS: return "limits";
    case STEP_IDENTITY: return "identity";
    case STEP_CAPABILITIES: return "capabilities";
    case STEP_HARDENING: return "hardening";
    case STEP_LANDLOCK: return "landlock";
    case STEP_ENVIRONMENT: return "environment";
    case STEP_WORKING_DIRECTORY: return "working directory";
    case STEP_TERMINAL: return "terminal";
    case STEP_NO_NEW_PRIVILEGES: return "no new privileges";
    case STEP_CLOSE: return "close descriptors";
    case STEP_SIGNALS: return "signals";
    case STEP_LAUNCH_KEY: return "launch key";
    case STEP_DECIDING_FILTER:
    case STEP_RULE_FILTER:
    case STEP_NOTIFYING_FILTER:
    case STEP_FILTER: return "filter";
    default: return "execute";
  }
}

static const char prefix[] = "callgate: ";

// To the library as data, to everybody else as a line on standard error, which is the program's in the library's case.
_Noreturn static void say_and_leave(const struct line *line, int status, uint32_t step, long result) {
  // A reader that is gone must not turn status 125 into a death by SIGPIPE.
  if (!filtered) {
    struct signal_action ignore = {.handler = SIG_IGN};
    CALL(rt_sigaction, SIGPIPE, &ignore, 0, 8);
  }
  if (report_descriptor >= 0) {
    struct report report = {REPORT_FAILED, step, result < 0 ? (uint32_t)-result : 0, (uint32_t)line->length, {0}};
    memcpy(report.text, line->text, line->length);
    CALL(write, report_descriptor, &report, offsetof(struct report, text) + line->length);
  } else {
    struct line whole = {.length = 0};
    put(&whole, prefix);
    for (size_t i = 0; i < line->length && whole.length < sizeof whole.text - 1; i++) put_byte(&whole, line->text[i]);
    put_byte(&whole, '\n');
    CALL(write, 2, whole.text, whole.length);
  }
  tidy_up();
  leave(status);
}

_Noreturn static void fail(const char *what, const char *why) {
  struct line line = {.length = 0};
  put(&line, what);
  put(&line, why);
  say_and_leave(&line, STATUS_FAILED, STEP_PLAN, 0);
}

// While a child finds out which parts of a sandbox there are (layers.h): what cannot be done is its answer, and nobody is told.
static bool is_trial;
static int trial_error, trial_mark;

_Noreturn static void leave_trial(long result) {
  if (trial_error == 0) trial_error = result < 0 ? (int)-result : EPERM;
  leave(trial_error | trial_mark);
}

// callgate: set-up step "working directory" failed: openat "/srv": ENOENT (No such file or directory): HINT
_Noreturn static void fail_step(uint32_t step, const char *call, const char *object, long result, const char *hint) {
  if (is_trial) leave_trial(result);
  struct line line = {.length = 0};
  put(&line, "set-up step \"");
  put(&line, step_name(step));
  put(&line, "\" failed: ");
  put_failure(&line, call, object, result);
  if (hint != NULL) {
    put(&line, ": ");
    put(&line, hint);
  }
  say_and_leave(&line, STATUS_FAILED, step, result);
}

// When somebody else has said why.
_Noreturn static void leave_failed(void) {
  if (is_trial) leave_trial(0);
  tidy_up();
  leave(STATUS_FAILED);
}

// A call that only has to succeed; its result.
static long must(uint32_t step, const char *call, long result) {
  if (result < 0) fail_step(step, call, NULL, result, NULL);
  return result;
}

// A descriptor that stays open is an end of a channel that nobody sees, or a right that nobody was to have.
static void shut(uint32_t step, long descriptor) {
  must(step, "close", CALL(close, descriptor));
}

static long close_from_to(uint32_t first, uint32_t last) {
  if (first > last) return 0;
  long result = CALL(close_range, first, last, 0);
  if (result != -ENOSYS) return result;
  // Linux before 5.9. No process has descriptors above fs.nr_open, whose value is 1,048,576 there unless raised.
  uint32_t bound = last < DESCRIPTORS_END ? last : DESCRIPTORS_END;
  for (uint32_t descriptor = first; descriptor <= bound; descriptor++) CALL(close, descriptor);
  return 0;
}

// ── Start ──────────────────────────────────────────────────────────────────────────────────────────────────────

__attribute__((used)) _Noreturn void start(const uint64_t *stack) {
  int argc = (int)stack[0];
  const char **argv = (const char **)(uintptr_t)(stack + 1);
  const char **environment = argv + argc + 1;
  own_arguments = argc > 0 ? argv + 1 : argv;
  const char **end = environment;
  while (*end != NULL) end++;

  const char *own_file = refuse_privileges((const uint64_t *)(uintptr_t)(end + 1));

  size_t length, facts = 0;
  if (attached.length != 0)
    length = plan_from_own_file(own_file);
  else if (argc >= 4 && is_word(argv[1], "run"))
    length = plan_for_run(argc, argv, environment, &facts);
  else if (argc == 3 && is_word(argv[1], "spawn"))
    length = plan_from_socket(argv[2]);
  else if (argc == 2 && is_word(argv[1], "layers"))
    say_layers();
  else if (argc >= 5 && is_word(argv[1], "kept"))
    say_kept(argc, argv, environment);
  else if (argc == 2 && is_word(argv[1], "plan"))
    length = plan_from_descriptor(PLAN_DESCRIPTOR);
  else
    fail("this program is a part of callgate and is started by it: use `callgate run -- PROGRAM`", "");

  // The whole plan before its first step, so that a bad one changes nothing.
  const char *wrong = check_plan(plan_bytes, length, ARCHITECTURE, &plan);
  // Who was ended while it wrote it says so by its status.
  if (wrong != NULL) await_node();
  if (wrong != NULL) fail("the plan is not valid, nothing was started: ", wrong);
  keep_plan(plan_bytes, length, facts);

  carry_out(environment);
}

// Set-user-id, set-group-id or with file capabilities, the launcher would be a tool for its caller to get rights.
// Answers the path by which the kernel found this file.
static const char *refuse_privileges(const uint64_t *auxiliary) {
  const char *own_file = "";
  uint64_t secure = 1, uid = 0, euid = 0, gid = 0, egid = 0;
  for (; auxiliary[0] != AT_NULL; auxiliary += 2) {
    switch (auxiliary[0]) {
      case AT_SECURE: secure = auxiliary[1]; break;
      case AT_UID: uid = auxiliary[1]; break;
      case AT_EUID: euid = auxiliary[1]; break;
      case AT_GID: gid = auxiliary[1]; break;
      case AT_EGID: egid = auxiliary[1]; break;
      case AT_EXECFN: own_file = (const char *)(uintptr_t)auxiliary[1]; break;
      default: break;
    }
  }
  if (secure != 0 || uid != euid || gid != egid)
    fail("the launcher must not be set-user-id, set-group-id or have file capabilities: ", "take these rights from it");
  return own_file;
}

// ── Where the plan comes from ──────────────────────────────────────────────────────────────────────────────────

// Reads to the end; more than the buffer holds is an error, never a shorter plan.
static size_t plan_from_descriptor(int descriptor) {
  size_t length = 0;
  while (length <= PLAN_MAXIMUM) {
    long count = CALL(read, descriptor, plan_bytes + length, PLAN_MAXIMUM + 1 - length);
    if (count == -EINTR) continue;
    if (count == -EBADF)
      fail_step(STEP_PLAN, "read", NULL, count, "descriptor 3 is not open: callgate starts this program with it");
    if (count < 0) fail_step(STEP_PLAN, "read", NULL, count, NULL);
    if (count == 0) {
      if (descriptor != report_descriptor) shut(STEP_PLAN, descriptor);
      return length;
    }
    length += (size_t)count;
  }
  fail("the plan is too large, nothing was started: ", "more than 4 MiB (are there very many or very long arguments?)");
}

// A decimal number above 2, or -EBADF.
static int descriptor_number(const char *text) {
  int number = 0;
  const char *digit = text;
  for (; *digit >= '0' && *digit <= '9' && number < DESCRIPTORS_END; digit++) number = number * 10 + (*digit - '0');
  return digit == text || *digit != 0 || number <= 2 || number >= DESCRIPTORS_END ? -EBADF : number;
}

// The kernel has just executed the file by this path. /proc is not asked: where this runs as a container's first
// program, what lies at /proc may be the container's own.
static size_t plan_from_own_file(const char *file) {
  bool as_root = attached.root_length != 0 && must(STEP_PLAN, "getuid", CALL(getuid)) == 0;
  uint64_t offset = as_root ? attached.root_offset : attached.offset;
  uint64_t whole = as_root ? attached.root_length : attached.length;
  if (whole > PLAN_MAXIMUM) fail("the plan is too large, nothing was started: ", "more than 4 MiB");
  // Executed through a descriptor (a container's attached process): the path leads through the container's /proc, the
  // descriptor itself to what was executed.
  static const char by_descriptor[] = "/proc/self/fd/";
  size_t same = 0;
  while (by_descriptor[same] != 0 && file[same] == by_descriptor[same]) same++;
  long own = by_descriptor[same] == 0 ? descriptor_number(file + same)
                                      : CALL(openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC, 0);
  if (own < 0) fail_step(STEP_PLAN, "openat", file, own, NULL);
  const uint64_t header = sizeof(struct plan_header), shared = as_root && attached.root_shared < whole ? attached.root_shared : 0;
  size_t length = 0;
  while (length < whole) {
    // Three pieces, of which the second is the first plan's; or one.
    bool is_behind = length >= header + shared, is_shared = !is_behind && length >= header;
    uint64_t end = is_shared ? header + shared : is_behind || shared == 0 ? whole : header;
    uint64_t from = is_shared ? attached.offset + length : offset + length - (is_behind ? shared : 0);
    if (end > whole) end = whole;
    long count = CALL(pread64, own, plan_bytes + length, end - length, from);
    if (count == -EINTR) continue;
    if (count < 0) fail_step(STEP_PLAN, "pread64", file, count, NULL);
    if (count == 0) break; // cut off: its length is not what its header says
    length += (size_t)count;
  }
  shut(STEP_PLAN, own);
  return length;
}

// Descriptors below the socket's are the program's, in any number: so it is the caller who says which one it is. It
// may be any, and need not be the highest: whatever lies there is closed when the program starts.
static size_t plan_from_socket(const char *descriptor) {
  int number = descriptor_number(descriptor);
  if (number < 0) fail("`launcher spawn` takes the number of a descriptor above 2", "");
  long result = CALL(fcntl, number, F_SETFD, FD_CLOEXEC);
  if (result == -EBADF)
    fail_step(STEP_PLAN, "fcntl(F_SETFD)", NULL, result, "the caller named a descriptor that is not open");
  must(STEP_PLAN, "fcntl(F_SETFD)", result);
  report_descriptor = number;
  return plan_from_descriptor(number);
}

// Node writes its reset of the terminal's modes when it starts and when it ends, even to a terminal that it only
// inherited. In `callgate run … | less`, or in the background, that would undo the modes which the program in
// front has set meanwhile. It is let do anything but this; where there is no seccomp, the plan's own filter will
// say so.
//
//   ld nr; jne ioctl → allow; ld low half of request; TCSETS, TCSETSW, TCSETSF → EPERM; allow
static void keep_terminal_from_node(void) {
  static const struct filter_instruction guard[] = {
      {BPF_LOAD_WORD, 0, 0, 4},
      {BPF_JUMP_IF_EQUAL, 0, 6, ARCHITECTURE},
      {BPF_LOAD_WORD, 0, 0, 0},
      {BPF_JUMP_IF_EQUAL, 0, 4, NR_ioctl},
      {BPF_LOAD_WORD, 0, 0, 24},
      {BPF_JUMP_IF_EQUAL, 3, 0, 0x5402},
      {BPF_JUMP_IF_EQUAL, 2, 0, 0x5403},
      {BPF_JUMP_IF_EQUAL, 1, 0, 0x5404},
      {BPF_RETURN, 0, 0, SECCOMP_RETURN_ALLOW},
      {BPF_RETURN, 0, 0, SECCOMP_RETURN_ERRNO | EPERM},
  };
  struct filter_program program = {sizeof guard / sizeof guard[0], guard};
  must(STEP_NODE, "prctl(PR_SET_NO_NEW_PRIVS)", CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  long result = CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
  if (result != -ENOSYS && result != -EINVAL) must(STEP_NODE, "seccomp(SECCOMP_SET_MODE_FILTER)", result);
}

// The child between fork and Node.
_Noreturn static void become_node(long parent, int input, int output, const char **argv, const char **environment) {
  // Node must not outlive the launcher. If the launcher ended before this call, no signal comes: look again.
  long result = CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (result < 0) fail_step(STEP_NODE, "prctl(PR_SET_PDEATHSIG)", NULL, result, NULL);
  if (must(STEP_NODE, "getppid", CALL(getppid)) != parent) leave(STATUS_FAILED);

  // What is on standard input belongs to the program: Node must not read it or change its modes. It has its own one,
  // which says what layers there are. (Made before all else: where the caller had closed 0, it lies there, and no end of
  // another pipe does.)
  result = input == 0 ? CALL(fcntl, 0, F_SETFD, 0) : CALL(dup3, input, 0, 0);
  if (result < 0) fail_step(STEP_NODE, "dup3", NULL, result, NULL);

  // Descriptor 3 takes the plan. (Where the caller had closed 1 or 2, the pipes' own ends may lie there: they are
  // close-on-exec and vanish.)
  result = output == PLAN_DESCRIPTOR ? CALL(fcntl, PLAN_DESCRIPTOR, F_SETFD, 0) : CALL(dup3, output, PLAN_DESCRIPTOR, 0);
  if (result < 0) fail_step(STEP_NODE, "dup3", NULL, result, NULL);

  // The caller's other descriptors are for the program only. A kernel without close_range leaves them open in Node,
  // which is trusted and soon gone.
  result = CALL(close_range, PLAN_DESCRIPTOR + 1, ~0U, 0);
  if (result != -ENOSYS) must(STEP_NODE, "close_range", result);
  keep_terminal_from_node();

  // launcher run NODE CLI ARGUMENT…  →  NODE CLI run ARGUMENT…
  const char *node = argv[2];
  argv[1] = node;
  argv[2] = argv[3];
  argv[3] = "run";
  result = CALL(execve, node, argv + 1, environment);
  fail_step(STEP_NODE, "execve", node, result, NULL);
}

// Ends as the child did, so that Ctrl-C during the preparation, or `--help | head`, looks to a shell as it does for any
// program.
_Noreturn static void die_like_child(int signal) {
  if (signal == SIGPIPE || signal == SIGINT || signal == SIGTERM || signal == SIGQUIT || signal == SIGHUP) {
    struct signal_action deadly = {.handler = SIG_DFL};
    uint64_t none = 0;
    CALL(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0); // no core file of ours for SIGQUIT
    CALL(rt_sigaction, signal, &deadly, 0, 8);
    CALL(rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
    CALL(kill, CALL(getpid), signal);
    leave(128 + signal); // pid 1 of a namespace does not die by its own signals
  }
  struct line line = {.length = 0};
  put(&line, "Node was killed by signal ");
  put_number(&line, (uint64_t)signal);
  put(&line, " while it prepared the start, nothing was started");
  say_and_leave(&line, STATUS_FAILED, STEP_NODE, 0);
}

// Node would have to start the launcher to find out what layers there are, and wait for it. They are tried while Node
// starts. The text is short, so that it fits into the pipe whether or not Node reads it; the pipe's other end is still
// open here, so that nobody is killed for writing to a Node that has ended already.
static void tell_layers(int output) {
  struct line line = {.length = 0};
  try_layers(&line);
  long written = must(STEP_NODE, "write", CALL(write, output, line.text, line.length));
  if (written != (long)line.length) fail_step(STEP_NODE, "write", NULL, 0, NULL);
}

// Node takes its time to end when it has sent the plan: it is waited for only before there is the program.
static long node_process;
static struct signal_action callers_child_action;

static void await_node(void) {
  if (node_process == 0) return;
  int status = 0;
  long result;
  do result = CALL(wait4, node_process, &status, 0, 0);
  while (result == -EINTR);
  if (result < 0) fail_step(STEP_NODE, "wait4", NULL, result, NULL);
  node_process = 0;
  if ((status & 0x7f) != 0) die_like_child(status & 0x7f);
  int code = status >> 8 & 0xff;
  // Node has said why. Statuses of its own (a mistake in NODE_OPTIONS is 9) are failures to start, as all others are.
  if (code != 0) {
    tidy_up();
    leave(code == STATUS_NOT_EXECUTABLE || code == STATUS_NOT_FOUND ? code : STATUS_FAILED);
  }
  must(STEP_NODE, "rt_sigaction", CALL(rt_sigaction, SIGCHLD, &callers_child_action, 0, 8));
}

// Node as a child that is gone before the program exists, so that it is not in the program's process tree.
static size_t plan_from_node(int argc, const char **argv, const char **environment) {
  (void)argc;
  // A caller that ignores SIGCHLD would have the child's status thrown away. Restored by await_node: the plan decides.
  struct signal_action standard = {.handler = SIG_DFL};
  long result = CALL(rt_sigaction, SIGCHLD, &standard, &callers_child_action, 8);
  if (result < 0) fail_step(STEP_NODE, "rt_sigaction", NULL, result, NULL);

  int told[2], ends[2];
  must(STEP_NODE, "pipe2", CALL(pipe2, told, O_CLOEXEC));
  must(STEP_NODE, "pipe2", CALL(pipe2, ends, O_CLOEXEC));
  long parent = must(STEP_NODE, "getpid", CALL(getpid));
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child < 0) fail_step(STEP_NODE, "clone", NULL, child, NULL);
  if (child == 0) become_node(parent, told[0], ends[1], argv, environment);

  shut(STEP_NODE, ends[1]);
  tell_layers(told[1]);
  shut(STEP_NODE, told[1]);
  shut(STEP_NODE, told[0]);
  size_t length = plan_from_descriptor(ends[0]);
  node_process = child;
  if (length != 0) return length;
  await_node();
  leave(0); // --help, --dry-run: there was nothing to start
}

#include "namespaces.h"
#include "callers-folder.h"
#include "mounts.h"
#include "find-groups.h"
#include "restrict.h"
#include "ours.h"
#include "cgroups.h"
#include "processes.h"
#include "layers.h"
#include "kept-plan.h"

// ── `run` ──────────────────────────────────────────────────────────────────────────────────────────────────────

// A kept plan that still holds is carried out at once: it was checked. Else Node makes one; what may be kept of it has
// the facts on which it rests behind it.
static size_t plan_for_run(int argc, const char **argv, const char **environment, size_t *facts) {
  node_path = argv[2];
  node_program = argv[3];
  int words = words_of_plan(argc, argv);
  own_arguments = argv + words;
  if (use_kept_plan(words, argv, environment)) carry_out(environment);
  size_t whole = plan_from_node(argc, argv, environment);
  size_t length = whole < sizeof(struct plan_header) ? whole : load32(plan_bytes + offsetof(struct plan_header, length));
  if (length >= whole) return whole;
  *facts = whole - length;
  return length;
}

// ── The steps, in the order of plan.h ──────────────────────────────────────────────────────────────────────────

// The mount by which a container got this file: what runs in the container is not to find it.
static void detach_mount(const struct detach_mount_step *step) {
  if (!step->present) return;
  long result = CALL(umount2, step->path, MNT_DETACH | UMOUNT_NOFOLLOW);
  if (result < 0) fail_step(STEP_DETACH_MOUNT, "umount2", step->path, result, NULL);
}

static bool same_name(const char *variable, const char *other) {
  while (*variable != 0 && *variable != '=' && *variable == *other) variable++, other++;
  return *variable == '=' && *other == '=';
}

// Values that are kept come from our own environment and so are never written down in a plan.
static const char **set_environment(const struct environment_step *step, const char **old) {
  if (!step->present) return old;
  size_t count = 0;
  for (; *old != NULL; old++) {
    bool keep = step->keep_all;
    const char *string = step->keep;
    for (uint32_t i = 0; i < step->keep_count && !keep; i++, string = next_string(string))
      keep = variable_matches(*old, string);
    string = step->set;
    for (uint32_t i = 0; i < step->set_count && keep; i++, string = next_string(string))
      keep = !same_name(*old, string);
    if (!keep) continue;
    if (count == ENVIRONMENT_POINTERS) break;
    program_environment[count++] = *old;
  }
  const char *string = step->set;
  for (uint32_t i = 0; i < step->set_count && count < ENVIRONMENT_POINTERS; i++, string = next_string(string))
    program_environment[count++] = string;
  // A variable less than the plan says would be a different environment.
  if (count == ENVIRONMENT_POINTERS) fail_step(STEP_ENVIRONMENT, "there are too many variables", NULL, 0, NULL);
  program_environment[count] = NULL;
  return program_environment;
}

// Opened first and compared, then entered through the same descriptor: a directory that was replaced by another of
// the same name since the plan was made is not entered.
static void enter_working_directory(const struct working_directory_step *step) {
  if (!step->present) return;
  // The caller's own, where that is shown.
  bool is_callers = callers_folder.how != FOLDER_HIDDEN;
  const char *path = is_callers ? callers_folder.path : step->path;
  uint64_t device = is_callers ? callers_folder.status.device : step->device;
  uint64_t inode = is_callers ? callers_folder.status.inode : step->inode;
  long directory = CALL(openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (directory < 0) fail_step(STEP_WORKING_DIRECTORY, "openat", path, directory, NULL);
  if (device != 0 || inode != 0) {
    struct file_status status;
    long result = CALL(fstat, directory, &status);
    if (result < 0) fail_step(STEP_WORKING_DIRECTORY, "fstat", path, result, NULL);
    if (status.device != device || status.inode != inode)
      fail_step(STEP_WORKING_DIRECTORY, "compare", path, 0, "it is another directory than when the plan was made");
  }
  long result = CALL(fchdir, directory);
  if (result < 0) fail_step(STEP_WORKING_DIRECTORY, "fchdir", path, result, NULL);
  shut(STEP_WORKING_DIRECTORY, directory);
}

// Without a controlling terminal the program cannot push input into it, whatever the filter says.
static void leave_terminal(const struct terminal_step *step) {
  if (!step->present) return;
  long result = CALL(setsid);
  if (result < 0)
    fail_step(STEP_TERMINAL, "setsid", NULL, result, "the process leads a process group; start it by another program");
}

// Before the filter, which an unprivileged process may install only then; and so that no set-user-id program gets
// rights under a filter that confuses it.
static void give_up_new_privileges(bool present) {
  if (!present) return;
  long result = CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (result < 0) fail_step(STEP_NO_NEW_PRIVILEGES, "prctl(PR_SET_NO_NEW_PRIVS)", NULL, result, NULL);
}

static void close_range(uint32_t first, uint32_t last) {
  const int own[] = {report_descriptor, supervisor_control, outer_gate};
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
    uint32_t descriptor = (uint32_t)own[i];
    if (own[i] < 0 || descriptor < first || descriptor > last) continue;
    // The start itself closes it.
    close_range(first, descriptor - 1);
    close_range(descriptor + 1, last);
    return;
  }
  must(STEP_CLOSE, "close_range", close_from_to(first, last));
}

// An inherited descriptor is a right that no filter sees.
static void close_descriptors(const struct close_step *step) {
  if (!step->present) return;
  uint32_t first = 3;
  for (uint32_t i = 0; i < step->count; i++) {
    uint32_t kept = load32(step->keep + (size_t)i * 4);
    close_range(first, kept - 1);
    first = kept + 1;
  }
  close_range(first, ~0U);
}

// Ignored signals and the mask survive execve; Node, for one, leaves SIGPIPE ignored to what it starts. Signals in
// the plan's mask stay ignored if the caller wanted so: nohup, `trap '' HUP`, `&` in a script.
static void reset_signals(const struct signals_step *step) {
  if (!step->present) return;
  for (int signal = 1; signal < SIGNALS_END; signal++) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    struct signal_action action = {.handler = SIG_DFL}, standard = action;
    long result = 0;
    if ((step->keep_ignored >> (signal - 1) & 1) != 0) result = CALL(rt_sigaction, signal, 0, &action, 8);
    if (result == 0 && action.handler != SIG_IGN) result = CALL(rt_sigaction, signal, &standard, 0, 8);
    if (result < 0) fail_step(STEP_SIGNALS, "rt_sigaction", NULL, result, NULL);
  }
  uint64_t none = 0;
  long result = CALL(rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
  if (result < 0) fail_step(STEP_SIGNALS, "rt_sigprocmask", NULL, result, NULL);
}

// A policy may deny execve and still be started: its filter lets the one call pass that carries this key in the
// argument registers which execve does not use. The key is new at each start, exists only here, in the filter and,
// during that call, in registers that the kernel clears for the new program.
static void draw_launch_key(void) {
  if (!plan.execute.with_key) return;
  // Nobody of the same user may read it here by ptrace or /proc/PID/mem. execve makes the process dumpable again.
  long result = CALL(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (result < 0) fail_step(STEP_LAUNCH_KEY, "prctl(PR_SET_DUMPABLE)", NULL, result, NULL);
  do result = CALL(getrandom, launch_key, sizeof launch_key, 0);
  while (result == -EINTR);
  if (result != sizeof launch_key) fail_step(STEP_LAUNCH_KEY, "getrandom", NULL, result, NULL);

  for (uint32_t i = 0; i <= plan.filter_count; i++) {
    const struct filter_step *filter = i < plan.filter_count ? &plan.filters[i] : &plan.notifying;
    struct filter_instruction *instructions = (struct filter_instruction *)(void *)filter->instructions;
    for (uint32_t j = 0; j < filter->patch_count; j++) {
      const uint8_t *patch = filter->patches + (size_t)j * 8;
      instructions[load32(patch)].k = launch_key[load32(patch + 4)];
    }
  }
}

// After this the filter may forbid to say anything more, so that only this tells a start from a death before it.
static void report_ready(void) {
  if (report_descriptor < 0) return;
  struct report report = {REPORT_READY, 0, 0, 0, {0}};
  long result = CALL(sendto, report_descriptor, &report, offsetof(struct report, text), MSG_NOSIGNAL, 0, 0);
  // A caller that is gone is no reason not to start; one that cannot be told would not know that it has started.
  if (result != -EPIPE && result != -ECONNRESET) must(STEP_EXECUTE, "sendto", result);
}

static const char *filter_hint(long result) {
  if (filtered) return "a filter that was installed before it refuses to install more";
  switch (-result) {
    case EINVAL: return "this kernel has no seccomp filters, or it does not accept the filter";
    case ENOSYS: return "this kernel, or the sandbox around callgate, has no seccomp filters";
    case EACCES: return "without CAP_SYS_ADMIN the plan must have the step \"no new privileges\"";
    case EPERM: return "the sandbox around callgate does not let it install filters";
    case ENOMEM: return "there are too many filters on this process, or no memory is left";
    case EMFILE: return "the limit of open files leaves no room for what callgate needs itself: --open-files 8 is enough";
    default: return NULL;
  }
}

// Last, because the filter may forbid what the steps before it do.
static void install_filters(void) {
  if (install_notifying_filter()) {
    filtered = true;
    return;
  }
  for (uint32_t i = 0; i < plan.filter_count; i++) {
    const struct filter_step *filter = &plan.filters[i];
    struct filter_program program = {(uint16_t)filter->instruction_count,
                                     (const struct filter_instruction *)(const void *)filter->instructions};
    // A watched filter's listener stays open until the execve, which waits for its answer: a watcher outside takes it there.
    const uint64_t flags = filter->is_watched ? NEW_LISTENER : 0;
    long result = CALL(seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (result < 0) fail_step(STEP_FILTER, "seccomp(SECCOMP_SET_MODE_FILTER)", NULL, result, filter_hint(result));
    if (result > 0 && !filter->is_watched)
      fail_step(STEP_FILTER, "seccomp(SECCOMP_SET_MODE_FILTER)", NULL, 0, "another thread could not take it");
    filtered = true;
  }
}

// ── The program ────────────────────────────────────────────────────────────────────────────────────────────────

_Noreturn static void explain_execve(long result, bool existed) {
  struct line line = {.length = 0};
  put_failure(&line, "cannot execute", plan.execute.path, result);
  switch (-result) {
    case ENOENT:
      if (existed) put(&line, ": the file is there, but not the interpreter that its #! line or ELF header names");
      break;
    case ENOEXEC:
      put(&line, ": no #! line and no program for this machine: run a script as `callgate run -- sh FILE`");
      break;
    case EACCES:
      put(&line, ": it is a directory, not marked executable, or on a file system mounted noexec");
      break;
    case E2BIG:
      put(&line, ": its arguments and environment are too long");
      break;
    case EPERM:
      if (plan.filter_count > 0) put(&line, ": the policy or the file system does not let it be executed");
      break;
    default: break;
  }
  int status = -result == ENOENT || -result == ENOTDIR ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
  say_and_leave(&line, status, STEP_EXECUTE, result);
}

// Looked up before the filter, which may forbid to look and to say. What is plain by now is said by now; of everything
// else execve is the judge.
static void find_program(void) {
  long result = CALL(faccessat, AT_FDCWD, plan.execute.path, X_OK, 0);
  if (result < 0) explain_execve(result, false);
}

static void collect_arguments(const struct execute_step *step) {
  const char *string = step->arguments;
  uint32_t count = 0;
  for (; count < step->argument_count; string = next_string(string)) program_arguments[count++] = string;
  for (const char **more = own_arguments; step->with_arguments && *more != NULL; more++) {
    // One less than was given would be another command.
    if (count == ARGUMENTS_MAXIMUM) fail_step(STEP_EXECUTE, "there are too many arguments", NULL, 0, NULL);
    program_arguments[count++] = *more;
  }
  program_arguments[count] = NULL;
}

_Noreturn static void carry_out(const char **environment) {
  start_keeper(&plan.cgroups);
  take_more_files(&plan.mounts);
  start_first_process(be_first_process);
  start_teller(environment);
  enter_namespaces(&plan.namespaces, &plan.id_maps);
  find_callers_folder(environment);
  build_root(&plan.mounts);
  tell_first_process();
  drop_bounding_set(plan.capabilities);
  give_files_back();
  join_namespaces(&plan.namespaces);
  start_supervisor();
  enter_pid_namespace(&plan.namespaces);
  set_host_name(&plan.host_name);
  environment = set_environment(&plan.environment, environment);
  change_root();
  detach_mount(&plan.detach_mount);
  enter_working_directory(&plan.working_directory);
  leave_terminal(&plan.terminal);
  give_up();
  give_up_new_privileges(plan.no_new_privileges);
  harden(&plan.hardening);
  restrict_by_landlock(&plan.landlock);
  await_node();
  stay_as_outer();

  start_helper();
  enter_own_domain();

  // Only the program-to-be is here now: limits are its own, not those of the processes that look after it.
  join_groups();
  set_limits(&plan.limits);
  close_descriptors(&plan.close);
  reset_signals(&plan.signals);

  collect_arguments(&plan.execute);
  find_program();

  await_outer();
  await_helper();
  draw_launch_key();
  report_ready();
  install_filters();

  // Without a key the words are zero, as any other caller's are.
  const uint32_t *key = launch_key;
  long result = CALL(execve, plan.execute.path, program_arguments, environment, (uint64_t)key[1] << 32 | key[0],
                     (uint64_t)key[3] << 32 | key[2], (uint64_t)key[5] << 32 | key[4]);
  explain_execve(result, true);
}
