// Namespaces, and who one is in them. A part of launcher.c, in its order.

#ifndef CALLGATE_NAMESPACES_H
#define CALLGATE_NAMESPACES_H

static const char namespaces_hint[] =
    "namespaces without root are switched off or used up here, `callgate doctor` says how to get them";

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

// Root's way: every id of the caller's namespace is itself inside. Only a process that has stayed in the caller's
// namespace may write such a map, so a child is made before, writes it when told, and is gone.
_Noreturn static void map_every_id(int go) {
  static const char every[] = "0 0 4294967295\n";
  char byte;
  long count = must(STEP_ID_MAPS, "read", CALL(read, go, &byte, 1));
  if (count != 1) leave(STATUS_FAILED); // the launcher failed, and has said so
  long parent = CALL(getppid);
  write_map_of(parent, "/uid_map", every, sizeof every - 1);
  write_map_of(parent, "/gid_map", every, sizeof every - 1);
  leave(0);
}

static bool has_user_namespace; // and so every capability, over what is in it

static void enter_namespaces(const struct namespaces_step *step, const struct id_maps_step *maps) {
  if (!step->present) return;
  long uid = must(STEP_ID_MAPS, "getuid", CALL(getuid)), gid = must(STEP_ID_MAPS, "getgid", CALL(getgid)), helper = 0;
  int ends[2] = {-1, -1};
  if (maps->kind == ID_MAP_ALL) {
    enum { AF_UNIX = 1, SOCK_STREAM = 1, SOCK_CLOEXEC = 0x80000 };
    must(STEP_ID_MAPS, "socketpair", CALL(socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    helper = must(STEP_ID_MAPS, "clone", CALL(clone, SIGCHLD, 0, 0, 0, 0));
    if (helper == 0) {
      shut(STEP_ID_MAPS, ends[1]);
      map_every_id(ends[0]);
    }
    shut(STEP_ID_MAPS, ends[0]);
  }

  long result = CALL(unshare, step->flags & ~(uint32_t)CLONE_NEWPID);
  if (result < 0) fail_step(STEP_NAMESPACES, "unshare", NULL, result, namespaces_hint);
  has_user_namespace = (step->flags & CLONE_NEWUSER) != 0;

  if (maps->kind == ID_MAP_OWN) {
    // Who may map a group must first give up changing his list of groups: a group can also take rights away.
    write_small_file(STEP_ID_MAPS, "/proc/self/setgroups", "deny", 4);
    write_own_map("/proc/self/uid_map", uid);
    write_own_map("/proc/self/gid_map", gid);
  }
  if (maps->kind == ID_MAP_ALL) {
    // A helper that has ended says why, and its status says that it did.
    result = CALL(sendto, ends[1], "", 1, MSG_NOSIGNAL, 0, 0);
    if (result != -EPIPE) must(STEP_ID_MAPS, "sendto", result);
    shut(STEP_ID_MAPS, ends[1]);
    int status = 0;
    do result = CALL(wait4, helper, &status, 0, 0);
    while (result == -EINTR);
    if (result < 0) fail_step(STEP_ID_MAPS, "wait4", NULL, result, NULL);
    if ((status & 0x7f) != 0) fail_step(STEP_ID_MAPS, "who writes them was killed", NULL, 0, NULL);
    if (status != 0) leave_failed();
  }

  // A network of its own begins with its loopback down.
  if ((step->flags & CLONE_NEWNET) != 0) {
    enum { AF_INET = 2, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0x80000, SIOCSIFFLAGS = 0x8914, IFF_UP = 1 };
    struct {
      char name[16];
      uint16_t flags;
      uint8_t rest[22];
    } loopback = {"lo", IFF_UP, {0}};
    long socket = CALL(socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) fail_step(STEP_NAMESPACES, "socket", NULL, socket, NULL);
    result = CALL(ioctl, socket, SIOCSIFFLAGS, &loopback);
    if (result < 0) fail_step(STEP_NAMESPACES, "ioctl(SIOCSIFFLAGS)", "lo", result, namespaces_hint);
    shut(STEP_NAMESPACES, socket);
  }
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
