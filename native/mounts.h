// The program's file system: a new root, built from descriptors. A part of launcher.c, in its order.
//
// Every source is opened before anything is mounted, without following a link anywhere on its path, and compared with
// what it was when the plan was made: whoever replaces a folder by a link meanwhile gets a failed start, not a look
// at another folder. Targets are found below the new root's descriptor, and no link is followed there either.

#ifndef CALLGATE_MOUNTS_H
#define CALLGATE_MOUNTS_H

static int mount_sources[MOUNTS_MAXIMUM];
static int new_root = -1;

// Nothing is there, or a link, which leads to what is shown or covered where it is itself.
static bool is_absent(long result) { return result == -ENOENT || result == -ENOTDIR || result == -ELOOP; }

// Also for rules of Landlock. -1 where nothing is there and nothing has to be.
static long open_compared(uint32_t step, const char *path, uint64_t device, uint64_t inode) {
  struct open_how how = {O_PATH | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  long file = CALL(openat2, AT_FDCWD, path, &how, sizeof how);
  if (may_be_absent(device, inode)) {
    if (is_absent(file)) return -1;
    device = inode = 0;
  }
  if (file < 0)
    fail_step(step, "openat2", path, file, file == -ELOOP ? "there is a link on this path that was not there when the plan was made" : NULL);
  if (device != 0 || inode != 0) {
    struct file_status status;
    long result = CALL(fstat, file, &status);
    if (result < 0) fail_step(step, "fstat", path, result, NULL);
    if (status.device != device || status.inode != inode)
      fail_step(step, "compare", path, 0, "it is another file than when the plan was made");
  }
  return file;
}

// All sources are open at the same time, and may be more files than a program usually may have: of what the caller may
// have he lends some.
static struct resource_limit callers_files;
static bool has_more_files;
enum { RLIMIT_NOFILE = 7 };

static void take_more_files(const struct mounts_step *step) {
  if (!step->present) return;
  enum { OTHERS = 64 };
  uint32_t most = step->count + OTHERS;
  must(STEP_MOUNTS, "prlimit64", CALL(prlimit64, 0, RLIMIT_NOFILE, 0, &callers_files));
  struct resource_limit more = callers_files;
  if (more.current >= most || more.current == more.maximum) return;
  more.current = more.maximum < most ? more.maximum : most;
  must(STEP_MOUNTS, "prlimit64", CALL(prlimit64, 0, RLIMIT_NOFILE, &more, 0));
  has_more_files = true;
}

static void give_files_back(void) {
  if (has_more_files) must(STEP_MOUNTS, "prlimit64", CALL(prlimit64, 0, RLIMIT_NOFILE, &callers_files, 0));
}

static void open_sources(const struct mounts_step *step) {
  struct payload payload = {(uint8_t *)(uintptr_t)step->entries, step->size, false};
  for (uint32_t i = 0; i < step->count; i++) {
    struct mount_entry entry = take_mount(&payload);
    if (entry.kind == MOUNT_BIND)
      mount_sources[i] = (int)open_compared(STEP_MOUNTS, entry.source, entry.device, entry.inode);
  }
}

static uint64_t attributes_of(const struct mount_entry *entry) {
  uint64_t attributes = MOUNT_ATTR_NOSUID;
  if ((entry->flags & MOUNT_WRITABLE) == 0) attributes |= MOUNT_ATTR_RDONLY;
  if ((entry->flags & MOUNT_DEVICES) == 0) attributes |= MOUNT_ATTR_NODEV;
  if ((entry->flags & MOUNT_NO_EXECUTION) != 0) attributes |= MOUNT_ATTR_NOEXEC;
  return attributes;
}

static void configure(long context, const char *target, const char *key, const char *value) {
  long result = CALL(fsconfig, context, FSCONFIG_SET_STRING, key, value, 0);
  if (result < 0) fail_step(STEP_MOUNTS, "fsconfig", target, result, key);
}

static void configure_number(long context, const char *target, const char *key, uint64_t number, bool octal) {
  struct line line = {.length = 0};
  if (octal) {
    for (int shift = 9; shift >= 0; shift -= 3) put_byte(&line, (char)('0' + (number >> shift & 7)));
  } else {
    put_number(&line, number);
  }
  put_byte(&line, 0);
  configure(context, target, key, line.text);
}

// A file system that is made here, not yet attached anywhere.
static long make_file_system(const struct mount_entry *entry, const char *type, uint64_t attributes) {
  long context = CALL(fsopen, type, FSOPEN_CLOEXEC);
  if (context < 0) fail_step(STEP_MOUNTS, "fsopen", type, context, NULL);
  if (entry->kind == MOUNT_TMPFS || entry->kind == MOUNT_DEVPTS) {
    configure_number(context, entry->target, "mode", entry->mode, true);
    if (entry->kind == MOUNT_DEVPTS) configure(context, entry->target, "ptmxmode", "0666");
    if (entry->kind == MOUNT_TMPFS && plan.identity.present) {
      configure_number(context, entry->target, "uid", plan.identity.uid, false);
      configure_number(context, entry->target, "gid", plan.identity.gid, false);
    }
    if (*entry->source != 0) configure(context, entry->target, "size", entry->source);
  }
  long result = CALL(fsconfig, context, FSCONFIG_CREATE, 0, 0, 0);
  if (result < 0) fail_step(STEP_MOUNTS, "fsconfig(FSCONFIG_CMD_CREATE)", type, result, NULL);
  long mount = CALL(fsmount, context, FSMOUNT_CLOEXEC, attributes);
  if (mount < 0)
    fail_step(STEP_MOUNTS, "fsmount", type, mount,
              entry->kind == MOUNT_PROC ? "parts of /proc are covered here, as in many containers: --missing proc starts without /proc" : NULL);
  shut(STEP_MOUNTS, context);
  return mount;
}

static void attach(long mount, const char *target, bool may_lack) {
  struct open_how how = {O_PATH | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH};
  long place = CALL(openat2, new_root, target, &how, sizeof how);
  if (may_lack && is_absent(place)) {
    shut(STEP_MOUNTS, mount);
    return;
  }
  if (place < 0) fail_step(STEP_MOUNTS, "openat2", target, place, "where it is to be mounted");
  long result = CALL(move_mount, mount, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  if (result < 0) fail_step(STEP_MOUNTS, "move_mount", target, result, NULL);
  shut(STEP_MOUNTS, place);
  shut(STEP_MOUNTS, mount);
}

static void bind(const struct mount_entry *entry, int source) {
  if (source < 0) return;
  long tree = CALL(open_tree, source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);
  if (tree < 0) fail_step(STEP_MOUNTS, "open_tree", entry->source, tree, NULL);
  struct mount_attributes attributes = {attributes_of(entry), 0, MS_PRIVATE, 0};
  long result = CALL(mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes);
  if (result < 0) fail_step(STEP_MOUNTS, "mount_setattr", entry->source, result, NULL);
  shut(STEP_MOUNTS, source);
  attach(tree, entry->target, may_be_absent(entry->device, entry->inode));
}

static uint64_t device_of_place(long place, const char *target) {
  struct file_status status;
  long result = CALL(fstat, place, &status);
  if (result < 0) fail_step(STEP_MOUNTS, "fstat", target, result, NULL);
  return status.device;
}

// A new folder of the new root's own file system, mounted on itself: the root's mount will be read-only, this one is not.
// Another file system, which takes the kernel four times as long to make and to end, is only for a size of its own.
static void make_own_folder(const struct mount_entry *entry) {
  long result = CALL(mkdirat, new_root, entry->target, entry->mode);
  if (result < 0) fail_step(STEP_MOUNTS, "mkdirat", entry->target, result, NULL);
  struct open_how how = {O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH};
  long place = CALL(openat2, new_root, entry->target, &how, sizeof how);
  if (place < 0) fail_step(STEP_MOUNTS, "openat2", entry->target, place, NULL);
  if (device_of_place(place, entry->target) != device_of_place(new_root, "/"))
    fail_step(STEP_MOUNTS, "compare", entry->target, 0, "it is in a folder of the caller's");
  if (plan.identity.present) {
    result = CALL(fchownat, place, "", plan.identity.uid, plan.identity.gid, AT_EMPTY_PATH);
    if (result < 0) fail_step(STEP_MOUNTS, "fchownat", entry->target, result, NULL);
  }
  long tree = CALL(open_tree, place, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | O_CLOEXEC);
  if (tree < 0) fail_step(STEP_MOUNTS, "open_tree", entry->target, tree, NULL);
  struct mount_attributes attributes = {attributes_of(entry), 0, MS_PRIVATE, 0};
  result = CALL(mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
  if (result < 0) fail_step(STEP_MOUNTS, "mount_setattr", entry->target, result, NULL);
  result = CALL(move_mount, tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  if (result < 0) fail_step(STEP_MOUNTS, "move_mount", entry->target, result, NULL);
  shut(STEP_MOUNTS, place);
  shut(STEP_MOUNTS, tree);
}

static void make(const struct mount_entry *entry) {
  long result = 0;
  const char *call = "mkdirat";
  if (entry->kind == MAKE_DIRECTORY) {
    result = CALL(mkdirat, new_root, entry->target, entry->mode);
  } else if (entry->kind == MAKE_LINK) {
    call = "symlinkat";
    result = CALL(symlinkat, entry->source, new_root, entry->target);
  } else {
    call = "openat2";
    struct open_how how = {O_WRONLY | O_CREAT | O_CLOEXEC, entry->mode, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    result = CALL(openat2, new_root, entry->target, &how, sizeof how);
    if (result >= 0) shut(STEP_MOUNTS, result);
  }
  if (result < 0) fail_step(STEP_MOUNTS, call, entry->target, result, NULL);
}

// Read-only at its own place, after what is above that and before what is below. Folders above it that no entry has made
// yet are made; within it there is nothing to be made: what is mounted there is a part of the same folder.
static void show_callers_folder(void) {
  if (callers_folder_descriptor < 0) return;
  char path[PATH_MAXIMUM];
  size_t length = 0;
  do {
    path[length] = callers_folder.path[length + 1];
    if (path[length] != 0 && path[length] != '/') continue;
    bool is_whole = path[length] == 0;
    path[length] = 0;
    long result = CALL(mkdirat, new_root, path, 0755);
    if (result < 0 && result != -EEXIST) fail_step(STEP_CALLERS_FOLDER, "mkdirat", path, result, NULL);
    if (is_whole) break;
    path[length] = '/';
  } while (++length < sizeof path - 1);
  struct mount_entry entry = {.kind = MOUNT_BIND, .source = callers_folder.path, .target = path};
  bind(&entry, (int)callers_folder_descriptor);
  callers_folder_descriptor = -1;
}

static bool is_below_callers_folder(const struct mount_entry *entry) {
  return callers_folder.how == FOLDER_MOUNTED && is_within(entry->target, callers_folder.path + 1);
}

// Everything but /proc, which only a process of the new pid namespace can mount: see processes.h.
static void build_root(const struct mounts_step *step) {
  if (!step->present) return;
  // What is mounted here from now on is nobody else's, and nothing arrives from outside.
  struct mount_attributes own = {0, 0, MS_PRIVATE, 0};
  long result = CALL(mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &own, sizeof own);
  if (result < 0) fail_step(STEP_MOUNTS, "mount_setattr", "/", result, namespaces_hint);
  open_sources(step);

  struct mount_entry root = {.kind = MOUNT_TMPFS, .mode = 0755, .source = "", .target = "."};
  new_root = (int)make_file_system(&root, "tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  result = CALL(move_mount, new_root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
  if (result < 0) fail_step(STEP_MOUNTS, "move_mount", "/", result, NULL);
  result = CALL(fchdir, new_root);
  if (result < 0) fail_step(STEP_MOUNTS, "fchdir", NULL, result, NULL);

  long mask = must(STEP_MOUNTS, "umask", CALL(umask, 0));
  struct payload payload = {(uint8_t *)(uintptr_t)step->entries, step->size, false};
  for (uint32_t i = 0; i < step->count; i++) {
    struct mount_entry entry = take_mount(&payload);
    bool is_below = is_below_callers_folder(&entry);
    if (is_below) show_callers_folder();
    switch (entry.kind) {
      case MOUNT_BIND: bind(&entry, mount_sources[i]); break;
      case MOUNT_TMPFS: attach(make_file_system(&entry, "tmpfs", attributes_of(&entry)), entry.target, may_be_absent(entry.device, entry.inode)); break;
      case MOUNT_DEVPTS: attach(make_file_system(&entry, "devpts", attributes_of(&entry)), entry.target, false); break;
      case MOUNT_OWN: make_own_folder(&entry); break;
      case MOUNT_PROC: break;
      default:
        if (!is_below) make(&entry);
        break;
    }
  }
  show_callers_folder();
  must(STEP_MOUNTS, "umask", CALL(umask, mask));
}

// By the first process of the pid namespace, while the caller's own /proc is still to be seen: the kernel grants a
// fresh one only beside one that is whole.
static void mount_proc(const struct mounts_step *step) {
  struct payload payload = {(uint8_t *)(uintptr_t)step->entries, step->size, false};
  for (uint32_t i = 0; i < step->count; i++) {
    struct mount_entry entry = take_mount(&payload);
    if (entry.kind == MOUNT_PROC) attach(make_file_system(&entry, "proc", attributes_of(&entry)), entry.target, false);
  }
}

// The old root is put on top of the new one and taken away from there, so that it needs no folder. The kernel looks
// through all processes for those that are in the old root: one call is enough for all of ours.
static void take_new_root(void) {
  if (!plan.pivot) return;
  long result = CALL(pivot_root, ".", ".");
  if (result < 0) fail_step(STEP_PIVOT, "pivot_root", NULL, result, "the root here is not a mount that can be changed");
}

static void let_old_root_go(void) {
  if (!plan.pivot) return;
  long result = CALL(umount2, ".", MNT_DETACH);
  if (result < 0) fail_step(STEP_PIVOT, "umount2", NULL, result, NULL);
}

// Nothing is made in it from here on. One's own folder is in it, and it is one's root.
static void close_new_root(void) {
  if (!plan.pivot) return;
  struct mount_attributes attributes = {MOUNT_ATTR_RDONLY, 0, 0, 0};
  long result = CALL(mount_setattr, new_root, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
  if (result < 0) fail_step(STEP_PIVOT, "mount_setattr", NULL, result, NULL);
  result = CALL(fchdir, new_root);
  if (result < 0) fail_step(STEP_PIVOT, "fchdir", NULL, result, NULL);
  shut(STEP_PIVOT, new_root);
}

#endif
