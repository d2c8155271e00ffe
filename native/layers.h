// Which parts of a sandbox there are here, found out by trying: what `launcher layers` says, and Node is told by the front
// of `callgate run`. A part of launcher.c.
//
//   landlock N        the version of Landlock, 0 where there is none
//   namespaces N      0, or the errno of what could not be done: unshare, id maps, mounts
//   proc N            0, or the errno of mounting a fresh /proc

#ifndef CALLGATE_LAYERS_H
#define CALLGATE_LAYERS_H

static void put_fact(struct line *line, const char *name, long value) {
  put(line, name);
  put_byte(line, ' ');
  put_number(line, (uint64_t)value);
  put_byte(line, '\n');
}

// In children, which end with the errno as their status: what they try must not touch this process.
static long try_in_child(long (*attempt)(void)) {
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child < 0) return -child;
  if (child == 0) leave((int)-attempt());
  int status = 0;
  while (CALL(wait4, child, &status, 0, 0) == -EINTR) {}
  return (status & 0x7f) != 0 ? EPERM : status >> 8 & 0xff;
}

static long write_whole(const char *path, const struct line *line) {
  long file = CALL(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (file < 0) return file;
  long result = CALL(write, file, line->text, line->length);
  CALL(close, file);
  return result < 0 ? result : 0;
}

static long try_own_map(const char *path, long id) {
  struct line line = {.length = 0};
  put_number(&line, (uint64_t)id);
  put_byte(&line, ' ');
  put_number(&line, (uint64_t)id);
  put(&line, " 1\n");
  return write_whole(path, &line);
}

static long try_namespaces(void) {
  long uid = CALL(getuid), gid = CALL(getgid);
  long result = CALL(unshare, NAMESPACE_FLAGS);
  if (result < 0) return result;
  struct line deny = {.length = 0};
  put(&deny, "deny");
  if ((result = write_whole("/proc/self/setgroups", &deny)) < 0) return result;
  if ((result = try_own_map("/proc/self/uid_map", uid)) < 0) return result;
  if ((result = try_own_map("/proc/self/gid_map", gid)) < 0) return result;
  // Where AppArmor restricts them, there are namespaces, but nothing can be done in them.
  struct mount_attributes own = {0, 0, MS_PRIVATE, 0};
  return CALL(mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &own, sizeof own);
}

static long try_proc_inside(void) {
  long context = CALL(fsopen, "proc", FSOPEN_CLOEXEC);
  if (context < 0) return context;
  long result = CALL(fsconfig, context, FSCONFIG_CREATE, 0, 0, 0);
  if (result < 0) return result;
  result = CALL(fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  return result < 0 ? result : 0;
}

static long try_proc(void) {
  long result = try_namespaces();
  return result < 0 ? result : -try_in_child(try_proc_inside);
}

// SIGCHLD must not be ignored.
static void try_layers(struct line *line) {
  long version = CALL(landlock_create_ruleset, 0, 0, LANDLOCK_VERSION);
  put_fact(line, "landlock", version < 0 ? 0 : version);
  put_fact(line, "namespaces", try_in_child(try_namespaces));
  put_fact(line, "proc", try_in_child(try_proc));
}

_Noreturn static void say_layers(void) {
  struct signal_action standard = {.handler = SIG_DFL};
  CALL(rt_sigaction, SIGCHLD, &standard, 0, 8);
  struct line line = {.length = 0};
  try_layers(&line);
  leave(CALL(write, 1, line.text, line.length) == (long)line.length ? 0 : STATUS_FAILED);
}

#endif
