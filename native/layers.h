// Which parts of a sandbox there are here, found out by trying: what `launcher layers` says, and Node is told by the front
// of `callgate run`. A part of launcher.c.
//
//   landlock N        the version of Landlock, 0 where there is none
//   namespaces N      0, or the errno of what could not be done: namespaces, id maps, a root of one's own
//   proc N            0, or the errno of mounting a fresh /proc
//
// A child does what a start does, by the same functions: what is refused in one order of steps may be granted in another,
// and AppArmor, for one, refuses not the namespaces but what is done in them, to some processes and not to others.

#ifndef CALLGATE_LAYERS_H
#define CALLGATE_LAYERS_H

static void put_fact(struct line *line, const char *name, long value) {
  put(line, name);
  put_byte(line, ' ');
  put_number(line, (uint64_t)value);
  put_byte(line, '\n');
}

enum { TRIED_PROC = 0x80, ERRNOS = 0x7f };

_Noreturn static void try_inside(int channel) {
  begin_inside(channel);
  tell_outer(channel, mounted);
  // The namespaces are there.
  trial_mark = TRIED_PROC;
  struct mount_entry entry = {.kind = MOUNT_PROC, .target = "proc"};
  make_file_system(&entry, "proc", attributes_of(&entry));
  leave(0);
}

_Noreturn static void be_trial(void) {
  is_trial = true;
  plan.namespaces = (struct namespaces_step){.present = true, .flags = NAMESPACE_FLAGS};
  plan.id_maps = (struct id_maps_step){.present = true, .kind = CALL(getuid) == 0 ? ID_MAP_ALL : ID_MAP_OWN};
  plan.mounts = (struct mounts_step){.present = true};
  plan.pivot = true;
  start_first_process(try_inside);
  enter_namespaces(&plan.namespaces, &plan.id_maps);
  build_root(&plan.mounts);
  join_namespaces(&plan.namespaces);
  enter_pid_namespace(&plan.namespaces);
  tell_first_process();
  await_first_process(STEP_NAMESPACES, mounted);
  take_new_root();
  int status = 0;
  must(STEP_MOUNTS, "wait4", CALL(wait4, first_process, &status, 0, 0));
  if ((status & 0x7f) != 0) {
    trial_mark = TRIED_PROC;
    leave_trial(0);
  }
  leave(status >> 8 & 0xff);
}

// An errno, and with TRIED_PROC that of /proc alone.
static int try_in_child(void) {
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child < 0) return (int)-child;
  if (child == 0) be_trial();
  int status = 0;
  while (CALL(wait4, child, &status, 0, 0) == -EINTR) {}
  return (status & 0x7f) != 0 ? EPERM : status >> 8 & 0xff;
}

// SIGCHLD must not be ignored.
static void try_layers(struct line *line) {
  long version = CALL(landlock_create_ruleset, 0, 0, LANDLOCK_VERSION);
  put_fact(line, "landlock", version < 0 ? 0 : version);
  int refused = try_in_child();
  put_fact(line, "namespaces", (refused & TRIED_PROC) != 0 ? 0 : refused);
  put_fact(line, "proc", refused & ERRNOS);
}

_Noreturn static void say_layers(void) {
  struct signal_action standard = {.handler = SIG_DFL};
  CALL(rt_sigaction, SIGCHLD, &standard, 0, 8);
  struct line line = {.length = 0};
  try_layers(&line);
  leave(CALL(write, 1, line.text, line.length) == (long)line.length ? 0 : STATUS_FAILED);
}

#endif
