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

// A network of its own begins with its loopback down. Answers a socket in it.
static long raise_loopback(void) {
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
  return socket;
}

// ── The maker ──────────────────────────────────────────────────────────────────────────────────────────────────
// The kernel takes longer for a network than for all other namespaces and mounts together. So a process of its own makes
// it, on another processor, while this one makes the rest. It is the first one of the user namespace, and has this
// process's memory and descriptors, for the half of a millisecond that it lives: it does nothing but this.
//
// Being there before this one has entered the user namespace, it lets this one write the maps with the caller's rights:
// who would be in the namespace could not write root's map.

static long maker;
static uint8_t maker_stack[8192] __attribute__((aligned(16)));
static int maker_gate[2];
static int new_network = -1;
static long maker_parent;

_Noreturn static void be_maker(void) {
  // It must not outlive this one. If that was before, no signal comes.
  must(STEP_NAMESPACES, "prctl(PR_SET_PDEATHSIG)", CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
  if (must(STEP_NAMESPACES, "getppid", CALL(getppid)) != maker_parent) leave(STATUS_FAILED);
  if ((plan.namespaces.flags & CLONE_NEWNET) != 0) {
    enum { SIOCGSKNS = 0x894c };
    long result = CALL(unshare, CLONE_NEWNET);
    if (result < 0) fail_step(STEP_NAMESPACES, "unshare", NULL, result, namespaces_hint);
    long socket = raise_loopback();
    new_network = (int)must(STEP_NAMESPACES, "ioctl(SIOCGSKNS)", CALL(ioctl, socket, SIOCGSKNS));
    shut(STEP_NAMESPACES, socket);
  }
  // The user namespace is entered by way of this process.
  char byte;
  long count;
  do count = CALL(read, maker_gate[0], &byte, 1);
  while (count == -EINTR);
  must(STEP_NAMESPACES, "read", count);
  leave(0);
}

static bool has_user_namespace; // and so every capability, over what is in it
static int maker_process = -1;

// As early as can be: whatever else is made before the network is needed is made at the same time.
static void start_maker(const struct namespaces_step *step) {
  if ((step->flags & CLONE_NEWUSER) == 0) return;
  maker_parent = must(STEP_NAMESPACES, "getpid", CALL(getpid));
  must(STEP_NAMESPACES, "pipe2", CALL(pipe2, maker_gate, O_CLOEXEC));
  // Without a signal at its end, which a caller could have ignored: then there would be no status either.
  maker = CALL_ON_STACK(clone, CLONE_VM | CLONE_FILES | CLONE_PIDFD | CLONE_NEWUSER, &maker_process, maker_stack + sizeof maker_stack, be_maker);
  if (maker < 0) fail_step(STEP_NAMESPACES, "clone", NULL, maker, namespaces_hint);
}

// The new network comes later, with join_network.
static void enter_user_namespace(const struct id_maps_step *maps) {
  long uid = must(STEP_ID_MAPS, "getuid", CALL(getuid)), gid = must(STEP_ID_MAPS, "getgid", CALL(getgid));
  if (maps->kind == ID_MAP_ALL) {
    write_every_id(maker, "/proc/self/uid_map", "/uid_map");
    write_every_id(maker, "/proc/self/gid_map", "/gid_map");
  }
  long result = CALL(setns, maker_process, CLONE_NEWUSER);
  if (result < 0) fail_step(STEP_NAMESPACES, "setns", NULL, result, namespaces_hint);
  has_user_namespace = true;
  must(STEP_NAMESPACES, "write", CALL(write, maker_gate[1], "", 1));
  shut(STEP_NAMESPACES, maker_process);
  shut(STEP_NAMESPACES, maker_gate[1]);
  if (maps->kind == ID_MAP_OWN) {
    // Who may map a group must first give up changing his list of groups: a group can also take rights away.
    write_small_file(STEP_ID_MAPS, "/proc/self/setgroups", "deny", 4);
    write_own_map("/proc/self/uid_map", uid);
    write_own_map("/proc/self/gid_map", gid);
  }
}

// All but the pid namespace and the network.
static void enter_namespaces(const struct namespaces_step *step, const struct id_maps_step *maps) {
  if (!step->present) return;
  if ((step->flags & CLONE_NEWUSER) != 0) enter_user_namespace(maps);
  uint32_t later = CLONE_NEWPID | CLONE_NEWUSER | (has_user_namespace ? CLONE_NEWNET : 0);
  long result = CALL(unshare, step->flags & ~later);
  if (result < 0) fail_step(STEP_NAMESPACES, "unshare", NULL, result, namespaces_hint);
  if ((step->flags & ~later & CLONE_NEWNET) != 0) shut(STEP_NAMESPACES, raise_loopback());
}

// Waits for the maker, and is then in the network that it has made.
static void join_network(const struct namespaces_step *step) {
  if (maker == 0) return;
  int status = 0;
  long result;
  do result = CALL(wait4, maker, &status, WAIT_ALL, 0);
  while (result == -EINTR);
  if (result < 0) fail_step(STEP_NAMESPACES, "wait4", NULL, result, NULL);
  if ((status & 0x7f) != 0) fail_step(STEP_NAMESPACES, "who makes the network was killed", NULL, 0, NULL);
  if (status != 0) leave_failed();
  shut(STEP_NAMESPACES, maker_gate[0]);
  if ((step->flags & CLONE_NEWNET) == 0) return;
  must(STEP_NAMESPACES, "setns", CALL(setns, new_network, CLONE_NEWNET));
  shut(STEP_NAMESPACES, new_network);
}

// The processes that are made from here on are in it; who answers calls stands outside, and is there already.
static void enter_pid_namespace(const struct namespaces_step *step) {
  if ((step->flags & CLONE_NEWPID) == 0) return;
  long result = CALL(unshare, CLONE_NEWPID);
  if (result < 0) fail_step(STEP_NAMESPACES, "unshare", NULL, result, namespaces_hint);
}

static void set_host_name(const struct host_name_step *step) {
  if (!step->present) return;
  long result = CALL(sethostname, step->name, step->length);
  if (result < 0) fail_step(STEP_HOST_NAME, "sethostname", step->name, result, NULL);
}

#endif
