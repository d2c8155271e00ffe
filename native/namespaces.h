// Namespaces, and who one is in them. A part of launcher.c, in its order.

#ifndef CALLGATE_NAMESPACES_H
#define CALLGATE_NAMESPACES_H

static const char namespaces_hint[] =
    "namespaces without root are switched off or used up here (in a chroot there are none), `callgate doctor` says how to get them";

static void write_small_file(uint32_t step, const char *path, const char *text, size_t length) {
  long file = CALL(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (file < 0) fail_step(step, "openat", path, file, NULL);
  long result = CALL(write, file, text, length);
  if (result < 0) fail_step(step, "write", path, result, namespaces_hint);
  if ((size_t)result != length) fail_step(step, "write", path, 0, "the kernel took only a part");
  shut(step, file);
}

// "ID ID 1": the one user is the same inside and outside, and there is nobody else.
static void write_own_map(const char *path, long id) {
  struct line line = {.length = 0};
  put_number(&line, (uint64_t)id);
  put_byte(&line, ' ');
  put_number(&line, (uint64_t)id);
  put(&line, " 1\n");
  write_small_file(STEP_ID_MAPS, path, line.text, line.length);
}

// /proc/PID/NAME of another process; its own would be /proc/self.
static void write_map_of(long pid, const char *name, const char *text, size_t length) {
  struct line path = {.length = 0};
  put(&path, "/proc/");
  put_number(&path, (uint64_t)pid);
  put(&path, name);
  put_byte(&path, 0);
  write_small_file(STEP_ID_MAPS, path.text, text, length);
}

static uint64_t take_number(const char **at) {
  uint64_t number = 0;
  while (**at == ' ') ++*at;
  for (; **at >= '0' && **at <= '9'; ++*at) number = number * 10 + (uint64_t)(**at - '0');
  return number;
}

// Root's way: every id that the caller's namespace has is itself inside. In a container these are not all. What the kernel
// says of that namespace are lines with a first id, what that is outside, and how many follow it: the lines that it takes.
static void write_every_id(long pid, const char *own, const char *name) {
  static char text[sizeof((struct line *)0)->text]; // what is written is not longer
  long file = must(STEP_ID_MAPS, "openat", CALL(openat, AT_FDCWD, own, O_RDONLY | O_CLOEXEC, 0));
  long length = must(STEP_ID_MAPS, "read", CALL(read, file, text, sizeof text - 1));
  shut(STEP_ID_MAPS, file);
  if (length == sizeof text - 1) fail_step(STEP_ID_MAPS, "read", own, 0, "it is longer than expected");
  text[length] = 0;
  struct line lines = {.length = 0};
  for (const char *at = text; *at != 0; at++) {
    uint64_t first = take_number(&at);
    take_number(&at);
    uint64_t count = take_number(&at);
    if (*at != '\n') fail_step(STEP_ID_MAPS, "read", own, 0, "it is written in another way than expected");
    put_number(&lines, first);
    put_byte(&lines, ' ');
    put_number(&lines, first);
    put_byte(&lines, ' ');
    put_number(&lines, count);
    put_byte(&lines, '\n');
  }
  write_map_of(pid, name, lines.text, lines.length);
}

// A network of its own begins with its loopback down.
static void raise_loopback(void) {
  enum { AF_INET = 2, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0x80000, SIOCSIFFLAGS = 0x8914, IFF_UP = 1 };
  struct {
    char name[16];
    uint16_t flags;
    uint8_t rest[22];
  } loopback = {"lo", IFF_UP, {0}};
  long socket = CALL(socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) fail_step(STEP_NAMESPACES, "socket", NULL, socket, NULL);
  long result = CALL(ioctl, socket, SIOCSIFFLAGS, &loopback);
  if (result < 0) fail_step(STEP_NAMESPACES, "ioctl(SIOCSIFFLAGS)", "lo", result, namespaces_hint);
  shut(STEP_NAMESPACES, socket);
}

// ── Those that the first process makes ─────────────────────────────────────────────────────────────────────────
// The kernel takes longer for a network than for all other namespaces and mounts together. So the process that will be
// the first one inside (processes.h) is made as early as can be, in the new user and pid namespaces, and makes all others
// but that of the mounts, on another processor, while this one makes the mounts. This one joins them through it.
//
// Being there before this one has entered the user namespace, it lets this one write the maps with the caller's rights:
// who would be in the namespace could not write root's map.

static long first_process;
static int first_channel = -1;
static int first_descriptor = -1, outer_descriptor = -1; // of both as processes
static bool has_user_namespace; // and so every capability, over what is in it

// Bytes on the channels. Compared, so that a sentence that a caller's closed standard error lets end up there is none.
static const char made = 'n', mounted = 'm', ready = 'r', go = 'g';

enum { OF_FIRST_PROCESS = CLONE_NEWUSER | CLONE_NEWPID };

// By the first process: what all processes inside have in common, but for the mounts.
static void make_namespaces(const struct namespaces_step *step) {
  has_user_namespace = true;
  long result = CALL(unshare, step->flags & ~(uint32_t)(OF_FIRST_PROCESS | CLONE_NEWNS));
  if (result < 0) fail_step(STEP_NAMESPACES, "unshare", NULL, result, namespaces_hint);
  if ((step->flags & CLONE_NEWNET) != 0) raise_loopback();
}

// By the first process, when outer has made the new root: that is then the first process's root and folder, too.
static void join_mounts(const struct namespaces_step *step) {
  long result = CALL(setns, outer_descriptor, step->flags & CLONE_NEWNS);
  if (result == -ESRCH) leave_failed(); // outer is gone, and has said why
  if (result < 0) fail_step(STEP_NAMESPACES, "setns", NULL, result, namespaces_hint);
}

static void join_first_process(uint32_t namespaces, char expected);

static void enter_user_namespace(const struct id_maps_step *maps) {
  long uid = must(STEP_ID_MAPS, "getuid", CALL(getuid)), gid = must(STEP_ID_MAPS, "getgid", CALL(getgid));
  if (maps->kind == ID_MAP_ALL) {
    write_every_id(first_process, "/proc/self/uid_map", "/uid_map");
    write_every_id(first_process, "/proc/self/gid_map", "/gid_map");
  }
  join_first_process(CLONE_NEWUSER, made);
  has_user_namespace = true;
  if (maps->kind == ID_MAP_OWN) {
    // Who may map a group must first give up changing his list of groups: a group can also take rights away.
    write_small_file(STEP_ID_MAPS, "/proc/self/setgroups", "deny", 4);
    write_own_map("/proc/self/uid_map", uid);
    write_own_map("/proc/self/gid_map", gid);
  }
}

// All but those that the first process makes meanwhile.
static void enter_namespaces(const struct namespaces_step *step, const struct id_maps_step *maps) {
  if (!step->present) return;
  enter_user_namespace(maps);
  long result = CALL(unshare, step->flags & CLONE_NEWNS);
  if (result < 0) fail_step(STEP_NAMESPACES, "unshare", NULL, result, namespaces_hint);
}

// The processes that are made from here on are in it; who answers calls stands outside, and is there already.
static void enter_pid_namespace(const struct namespaces_step *step) {
  if (!step->present) return;
  join_first_process(CLONE_NEWPID, mounted);
  shut(STEP_NAMESPACES, first_descriptor);
}

static void set_host_name(const struct host_name_step *step) {
  if (!step->present) return;
  long result = CALL(sethostname, step->name, step->length);
  if (result < 0) fail_step(STEP_HOST_NAME, "sethostname", step->name, result, NULL);
}

#endif
