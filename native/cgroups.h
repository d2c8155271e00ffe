// Control groups: limits of the whole sandbox, and the process of ours that makes them and takes them away. A part of
// launcher.c.
//
//   the caller's child, "outer"
//     ├─ keeper     makes the groups before any namespace is left, holds the caller's right to remove them, and does
//     │             so when outer tells it, or has gone, however it went
//     └─ program    joins them itself, by descriptors that were opened here; outer and the first process stay outside
//
// Outer cannot do this: it gives up all that the program gives up. The keeper gives up what it does not need: it is not
// dumpable, has no descriptor but the channel and the groups' parents, no capability (but, for root, the two that
// removing and killing take), no right on files but to these parents, a filter of its own, and all signals blocked.
//
// Where the program can kill the keeper (no pid namespace, and a kernel before 6.12, whose Landlock keeps no signals),
// outer, which has descriptors for ending the groups' members, ends them all. Only what kills both leaves members behind.
//
// The name is callgate-PID-RANDOM. A group whose keeper was killed too stays, empty: the next start in the same place
// removes it, when there is no process of that PID any more.

#ifndef CALLGATE_CGROUPS_H
#define CALLGATE_CGROUPS_H

enum { REMOVAL_ATTEMPTS = 5000, REMOVAL_PAUSE = 2000000 /* ns: ten seconds in all */ };
enum { KEEPER_PATIENCE = 30 /* s */, HELD_AT_ONCE = 128, ROUNDS_ALONE = 20 };

static const struct filter_instruction keeper_filter[] =
    OWN_FILTER(LET(read), LET(write), LET(openat), LET(close), LET(unlinkat), LET(kill), LET(ppoll), LET(pread64),
               LET(pidfd_open), LET(pidfd_send_signal), LET(exit_group));

static uint32_t group_count; // those of the plan that are made
static struct payload group_entries[CGROUPS_MAXIMUM]; // where each stands in the plan
static uint32_t group_events[CGROUPS_MAXIMUM];        // which of all events is its first
static int group_parents[CGROUPS_MAXIMUM];
static int group_members[CGROUPS_MAXIMUM]; // cgroup.procs, by which the program joins
static int group_ends[CGROUPS_MAXIMUM];    // cgroup.kill, from Linux 5.14 on in v2; else -1
static uint32_t groups_opened;             // how many of both there are
static struct line group_name;
static uint32_t groups_made; // by the keeper
static bool is_keeper, keeper_killed;
static long keeper;
static int keeper_channel = -1;

static struct payload groups_of(const struct cgroups_step *step) {
  return (struct payload){(uint8_t *)(uintptr_t)step->entries, step->size, false};
}

static void pass_settings(struct payload *payload, const struct cgroup_entry *group) {
  for (uint32_t i = 0; i < group->settings; i++) take_cgroup_setting(payload);
}

static void pass_events(struct payload *payload, const struct cgroup_entry *group) {
  for (uint32_t i = 0; i < group->events; i++) take_cgroup_event(payload);
}

// The kernel's limits hold instead, which count otherwise: the user is to know.
static void say_unheld(uint32_t controllers) {
  if (report_descriptor >= 0) return;
  struct line line = {.length = 0};
  put(&line, prefix);
  put(&line, "no control group can be made here: ");
  if ((controllers & CONTROLLER_MEMORY) != 0) put(&line, "memory is limited for each process by itself");
  if (controllers == CONTROLLERS) put(&line, ", ");
  if ((controllers & CONTROLLER_PIDS) != 0)
    put(&line, plan.namespaces.present ? "processes by the kernel's count for the sandbox's user" : "processes are not limited");
  put_byte(&line, '\n');
  CALL(write, 2, line.text, line.length);
}

// callgate-PID-RANDOM/FILE
static const char *path_in_group(struct line *line, const char *file) {
  line->length = 0;
  put(line, group_name.text);
  put_byte(line, '/');
  put(line, file);
  put_byte(line, 0);
  return line->text;
}

static void name_groups(void) {
  uint32_t random = 0;
  long result;
  do result = CALL(getrandom, &random, sizeof random, 0);
  while (result == -EINTR);
  if (result != sizeof random) fail_step(STEP_CGROUPS, "getrandom", NULL, result, NULL);
  put(&group_name, "callgate-");
  put_number(&group_name, (uint64_t)must(STEP_CGROUPS, "getpid", CALL(getpid)));
  put_byte(&group_name, '-');
  put_number(&group_name, random);
  put_byte(&group_name, 0);
}

static long open_parent(const char *path) {
  long parent = CALL(openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (parent < 0) fail_step(STEP_CGROUPS, "openat", path, parent, NULL);
  return parent;
}

// Of entries whose folder is looked for, the first that can be had for each controller; v2 has one group for a process.
static bool is_wanted(const struct cgroup_entry *group, bool has_unified) {
  return (group->controllers & controllers_held) == 0 && !(group->version == 2 && has_unified);
}

static void open_parents(const struct cgroups_step *step) {
  struct payload payload = groups_of(step);
  uint32_t events = 0, wanted = 0;
  bool has_unified = false;
  for (uint32_t i = 0; i < step->count; i++) {
    struct payload entry = payload;
    struct cgroup_entry group = take_cgroup(&payload);
    pass_settings(&payload, &group);
    pass_events(&payload, &group);
    long parent = -1;
    if (group.version == 0) parent = open_parent(group.parent);
    else if (is_wanted(&group, has_unified)) parent = find_group(group.version, group.controllers);
    wanted |= group.controllers;
    if (parent >= 0) {
      group_entries[group_count] = entry;
      group_events[group_count] = events;
      group_parents[group_count++] = (int)parent;
      controllers_held |= group.controllers;
      has_unified = has_unified || group.version == 2;
    }
    events += group.events;
  }
  if (step->says_absence && (wanted & ~controllers_held) != 0) say_unheld(wanted & ~controllers_held);
}

// ── Ending all that is in a group: by the keeper, and by outer ───────────────────────────────────────────────────

static void open_groups(void) {
  for (uint32_t i = 0; i < group_count; i++) {
    struct line path;
    long members = CALL(openat, group_parents[i], path_in_group(&path, "cgroup.procs"), O_RDWR | O_CLOEXEC, 0);
    if (members < 0) fail_step(STEP_CGROUPS, "openat", path.text, members, NULL);
    long end = CALL(openat, group_parents[i], path_in_group(&path, "cgroup.kill"), O_WRONLY | O_CLOEXEC, 0);
    if (end < 0 && end != -ENOENT) fail_step(STEP_CGROUPS, "openat", path.text, end, NULL);
    group_members[i] = (int)members;
    group_ends[i] = end < 0 ? -1 : (int)end;
    groups_opened = i + 1;
  }
}

// Adds them to descriptors that are to stay open.
static int keep_groups(int *kept, int count) {
  for (uint32_t i = 0; i < groups_opened; i++) {
    kept[count++] = group_members[i];
    if (group_ends[i] >= 0) kept[count++] = group_ends[i];
  }
  return count;
}

// By a new descriptor, where that may be opened: in v1 an old one shows the same list again until nobody has looked at
// it for a second.
static long read_members(uint32_t index, struct line *members) {
  if (!is_keeper) return CALL(pread64, group_members[index], members->text, sizeof members->text, 0);
  struct line path;
  long file = CALL(openat, group_parents[index], path_in_group(&path, "cgroup.procs"), O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return file;
  long length = CALL(read, file, members->text, sizeof members->text);
  CALL(close, file);
  return length;
}

// Until a list that is read shows what has happened.
static void await_list(uint32_t index) {
  struct kernel_time pause = {0, REMOVAL_PAUSE};
  if (!is_keeper && group_ends[index] < 0) pause = (struct kernel_time){1, 500000000};
  CALL(ppoll, 0, 0, &pause, 0, 8);
}

// The next number of the list, or 0.
static long next_member(const struct line *members, long length, long *at) {
  long pid = 0;
  for (; *at < length; (*at)++) {
    char byte = members->text[*at];
    if (byte >= '0' && byte <= '9') pid = pid * 10 + (byte - '0');
    else if (pid > 0) return pid;
  }
  return 0; // a number that is cut off, or none
}

static bool is_listed(const struct line *members, long length, long pid) {
  long at = 0, found;
  do found = next_member(members, length, &at);
  while (found != 0 && found != pid);
  return found == pid;
}

// Where the kernel cannot do it at once, each by itself. A number can meanwhile be another process's: so the processes are
// held first, and those ended whose numbers are in the list still. Before Linux 5.3 nothing can be held.
static void kill_members(uint32_t index) {
  if (group_ends[index] >= 0) {
    CALL(write, group_ends[index], "1", 1);
    return;
  }
  static long held[HELD_AT_ONCE], pids[HELD_AT_ONCE];
  struct line members;
  long length = read_members(index, &members), at = 0, pid;
  uint32_t count = 0;
  while (count < HELD_AT_ONCE && (pid = next_member(&members, length, &at)) != 0) {
    long process = CALL(pidfd_open, pid, 0);
    if (process == -ENOSYS) CALL(kill, pid, SIGKILL);
    if (process < 0) continue;
    pids[count] = pid;
    held[count++] = process;
  }
  if (!is_keeper && count > 0) await_list(index);
  length = read_members(index, &members);
  for (uint32_t i = 0; i < count; i++) {
    if (is_listed(&members, length, pids[i])) CALL(pidfd_send_signal, held[i], SIGKILL, 0, 0);
    CALL(close, held[i]);
  }
}

static void kill_all_members(void) {
  for (uint32_t i = 0; i < groups_opened; i++) kill_members(i);
}

// ── The keeper ─────────────────────────────────────────────────────────────────────────────────────────────────

// Groups can be removed when their last member has gone, which takes the kernel a moment.
static void remove_groups(void) {
  for (; groups_made > 0; groups_made--) {
    uint32_t index = groups_made - 1;
    for (int attempt = 0; attempt < REMOVAL_ATTEMPTS; attempt++) {
      long result = CALL(unlinkat, group_parents[index], group_name.text, AT_REMOVEDIR);
      if (result == 0 || (result != -EBUSY && attempt > 0)) break;
      if (index < groups_opened) kill_members(index);
      struct kernel_time pause = {0, REMOVAL_PAUSE};
      CALL(ppoll, 0, 0, &pause, 0, 8);
    }
  }
}

// What a keeper left that was itself killed. A name of another form, or of a process that lives, is not ours to touch.
static void sweep(int parent) {
  struct __attribute__((packed)) entry {
    uint64_t inode, offset;
    uint16_t length;
    uint8_t type;
    char name[];
  };
  static const char beginning[] = "callgate-";
  static uint8_t entries[8192] __attribute__((aligned(8)));
  long length;
  while ((length = must(STEP_CGROUPS, "getdents64", CALL(getdents64, parent, entries, sizeof entries))) > 0) {
    for (long at = 0; at < length;) {
      const struct entry *entry = (const struct entry *)(const void *)(entries + at);
      at += entry->length;
      size_t same = 0;
      while (beginning[same] != 0 && entry->name[same] == beginning[same]) same++;
      if (beginning[same] != 0) continue;
      long pid = 0;
      for (; entry->name[same] >= '0' && entry->name[same] <= '9' && pid < 1L << 31; same++)
        pid = pid * 10 + (entry->name[same] - '0');
      if (entry->name[same] != '-' || pid == 0) continue;
      if (CALL(kill, pid, 0) == -ESRCH) CALL(unlinkat, parent, entry->name, AT_REMOVEDIR);
    }
  }
}

static void configure_group(uint32_t index, const struct cgroup_setting *setting) {
  struct line path;
  long file = CALL(openat, group_parents[index], path_in_group(&path, setting->file), O_WRONLY | O_CLOEXEC, 0);
  if (file == -ENOENT && setting->optional) return;
  if (file < 0) fail_step(STEP_CGROUPS, "openat", path.text, file, NULL);
  size_t length = 0;
  while (setting->value[length] != 0) length++;
  long result = CALL(write, file, setting->value, length);
  if (result < 0) fail_step(STEP_CGROUPS, "write", path.text, result, NULL);
  shut(STEP_CGROUPS, file);
}

static void make_groups(void) {
  for (uint32_t i = 0; i < group_count; i++) {
    struct payload payload = group_entries[i];
    struct cgroup_entry group = take_cgroup(&payload);
    sweep(group_parents[i]);
    long result = CALL(mkdirat, group_parents[i], group_name.text, 0755);
    if (result < 0) fail_step(STEP_CGROUPS, "mkdirat", *group.parent != 0 ? group.parent : group_name.text, result, NULL);
    groups_made = i + 1;
    for (uint32_t j = 0; j < group.settings; j++) {
      struct cgroup_setting setting = take_cgroup_setting(&payload);
      configure_group(i, &setting);
    }
  }
}

// "KEY NUMBER" at the beginning of a line, with a number above 0.
static bool has_happened(uint32_t index, const struct cgroup_event *event) {
  struct line path, content;
  long file = CALL(openat, group_parents[index], path_in_group(&path, event->file), O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return false;
  long length = CALL(read, file, content.text, sizeof content.text);
  CALL(close, file);
  for (long at = 0; at < length;) {
    size_t same = 0;
    while (event->key[same] != 0 && at < length && content.text[at] == event->key[same]) same++, at++;
    if (event->key[same] == 0 && at + 1 < length && content.text[at] == ' ')
      return content.text[at + 1] >= '1' && content.text[at + 1] <= '9';
    while (at < length && content.text[at] != '\n') at++;
    at++;
  }
  return false;
}

// A bit for each event, in the order of the plan.
static uint8_t what_has_happened(void) {
  uint8_t happened = 0;
  for (uint32_t i = 0; i < group_count; i++) {
    struct payload payload = group_entries[i];
    struct cgroup_entry group = take_cgroup(&payload);
    pass_settings(&payload, &group);
    for (uint32_t j = 0; j < group.events; j++) {
      struct cgroup_event event = take_cgroup_event(&payload);
      if (has_happened(i, &event)) happened |= (uint8_t)(1U << (group_events[i] + j));
    }
  }
  return happened;
}

// The root folder of a hierarchy is writable to nobody (0555): root removes a group there by CAP_DAC_OVERRIDE alone. And
// root's program has another identity, which only CAP_KILL may kill; with a pid namespace nobody has to.
static void keep_needed_capabilities(void) {
  enum { CAP_DAC_OVERRIDE = 1, CAP_KILL = 5 };
  drop_bounding_set(true);
  struct capability_header header = {CAPABILITY_VERSION_3, 0};
  struct capability_sets sets[2] = {{0, 0, 0}, {0, 0, 0}};
  bool is_root = must(STEP_CGROUPS, "getuid", CALL(getuid)) == 0;
  if (is_root) sets[0].effective = 1U << CAP_DAC_OVERRIDE;
  if (is_root && (plan.namespaces.flags & CLONE_NEWPID) == 0) sets[0].effective |= 1U << CAP_KILL;
  sets[0].permitted = sets[0].effective;
  long result = CALL(capset, &header, sets);
  // Root of a container may lack one of them: then it goes without both.
  if (result == -EPERM && sets[0].effective != 0) drop_capabilities(true);
  else if (result < 0) fail_step(STEP_CGROUPS, "capset", NULL, result, NULL);
}

static void keep_only_parents(void) {
  enum { WRITE_FILE = 2, READ_FILE = 4, REMOVE_DIR = 0x10 };
  if (!plan.landlock.present) return;
  long version = CALL(landlock_create_ruleset, 0, 0, LANDLOCK_VERSION);
  if (version < 0) fail_step(STEP_CGROUPS, "landlock_create_ruleset", NULL, version, NULL);
  struct landlock_ruleset attributes = {known_file_rights(version), version >= 4 ? 3 : 0, 0};
  long ruleset = CALL(landlock_create_ruleset, &attributes, version >= 4 ? 16 : 8, 0);
  if (ruleset < 0) fail_step(STEP_CGROUPS, "landlock_create_ruleset", NULL, ruleset, NULL);
  for (uint32_t i = 0; i < group_count; i++) {
    struct landlock_path_rule rule = {WRITE_FILE | READ_FILE | REMOVE_DIR, group_parents[i]};
    long result = CALL(landlock_add_rule, ruleset, LANDLOCK_RULE_PATH, &rule, 0);
    if (result < 0) fail_step(STEP_CGROUPS, "landlock_add_rule", NULL, result, NULL);
  }
  long result = CALL(landlock_restrict_self, ruleset, 0);
  if (result < 0) fail_step(STEP_CGROUPS, "landlock_restrict_self", NULL, result, NULL);
}

_Noreturn static void be_keeper(int channel) {
  is_keeper = true;
  must(STEP_CGROUPS, "rt_sigprocmask", CALL(rt_sigprocmask, SIG_SETMASK, &every_signal, 0, 8));
  // The program is in outer's process group, and may send that whatever it likes: this one is in none with it.
  long result = CALL(setsid);
  if (result < 0) fail_step(STEP_CGROUPS, "setsid", NULL, result, NULL);
  make_groups();
  open_groups();
  keep_needed_capabilities();
  keep_own_privileges();
  keep_only_parents();
  int kept[3 * CGROUPS_MAXIMUM + 1] = {channel};
  for (uint32_t i = 0; i < group_count; i++) kept[i + 1] = group_parents[i];
  int count_kept = keep_groups(kept, (int)group_count + 1);
  bool done = become_ours(keeper_filter, sizeof keeper_filter / sizeof keeper_filter[0], kept, count_kept);
  if (!done || CALL(write, channel, &ready, 1) != 1) {
    remove_groups();
    leave(STATUS_NOT_SAID);
  }

  char byte;
  long count;
  do count = CALL(read, channel, &byte, 1);
  while (count == -EINTR);
  uint8_t happened = count == 1 ? what_has_happened() : 0;
  remove_groups();
  if (count == 1) CALL(write, channel, &happened, 1);
  leave(0);
}

// ── Outer, and the program ─────────────────────────────────────────────────────────────────────────────────────

// First of all: what may be made, and where, is a question of the caller's rights, not of the sandbox's.
static void start_keeper(const struct cgroups_step *step) {
  if (!step->present) return;
  enum { AF_UNIX = 1, SOCK_STREAM = 1, SOCK_CLOEXEC = 0x80000 };
  open_parents(step);
  if (group_count == 0) return;
  name_groups();
  int ends[2];
  long result = CALL(socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
  if (result < 0) fail_step(STEP_CGROUPS, "socketpair", NULL, result, NULL);
  keeper = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (keeper < 0) fail_step(STEP_CGROUPS, "clone", NULL, keeper, NULL);
  if (keeper == 0) {
    shut(STEP_CGROUPS, ends[0]);
    be_keeper(ends[1]);
  }
  shut(STEP_CGROUPS, ends[1]);
  keeper_channel = ends[0];
  await_ours(STEP_CGROUPS, keeper_channel, keeper, ready, "the keeper of the groups has ended before it was ready");
  open_groups();
  for (uint32_t i = 0; i < group_count; i++) shut(STEP_CGROUPS, group_parents[i]);
}

// By the program-to-be, wherever its namespaces are: the kernel asks for the rights of who opened the descriptor.
static void join_groups(void) {
  for (uint32_t i = 0; i < group_count; i++) {
    long result = CALL(write, group_members[i], "0", 1);
    if (result < 0) fail_step(STEP_CGROUPS, "write", "cgroup.procs", result, NULL);
    shut(STEP_CGROUPS, group_members[i]);
    if (group_ends[i] >= 0) shut(STEP_CGROUPS, group_ends[i]);
  }
}

// Whether the keeper says something in time. What is left of the sandbox could stop it again and again: so, when it
// has been silent for a second, outer ends that itself.
static bool await_keeper(void) {
  if (keeper == 0) return false;
  struct poll waiting = {keeper_channel, POLLIN, 0};
  long told = CALL(write, keeper_channel, "e", 1); // who is not told ends when the channel does
  for (uint32_t second = 0; told == 1 && second < KEEPER_PATIENCE; second++) {
    struct kernel_time pause = {1, 0};
    CALL(kill, keeper, SIGCONT); // the program may have stopped it
    if (CALL(ppoll, &waiting, 1, &pause, 0, 0) > 0) return true;
    kill_all_members();
  }
  return false;
}

// Nobody else does it any more: the groups stay, empty.
static void end_members_alone(void) {
  for (uint32_t i = 0; i < groups_opened; i++) {
    struct line members;
    int rounds = group_ends[i] < 0 ? ROUNDS_ALONE : REMOVAL_ATTEMPTS;
    for (; rounds > 0 && read_members(i, &members) > 0; rounds--) {
      kill_members(i);
      await_list(i);
    }
  }
}

// Ends all that is left of the sandbox, and says which limits it has reached: a bit for each event of the plan.
static uint8_t end_groups(void) {
  if (keeper_channel < 0) return 0;
  uint8_t happened = 0;
  long result = -EIO;
  if (await_keeper()) {
    do result = CALL(read, keeper_channel, &happened, 1);
    while (result == -EINTR);
  }
  if (result != 1) end_members_alone();
  if (CALL(close, keeper_channel) < 0) return 0;
  keeper_channel = -1;
  if (keeper > 0 && result != 1) CALL(kill, keeper, SIGKILL);
  while (keeper > 0 && CALL(wait4, keeper, 0, 0, 0) == -EINTR) {}
  return result == 1 ? happened : 0;
}

// Before a failed start ends: who sees status 125 finds no group of it. Only outer, its parent, has to see to the keeper;
// others may still have a copy of its channel, so that it has to be told.
static void tidy_up(void) {
  end_unstarted();
  // Node, which has nothing left to say, ends by itself. (A process of ours that has failed is not its parent.)
  if (node_process != 0) CALL(wait4, node_process, 0, 0, 0);
  if (is_keeper) {
    remove_groups();
  } else if (keeper_channel >= 0 && !filtered && CALL(wait4, keeper, 0, WNOHANG, 0) == 0) {
    end_groups();
  }
}

#endif
