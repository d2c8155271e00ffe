// The working directory of whoever starts a file of `callgate build`, shown read-only as `callgate run` shows it, and with
// the same refusals: what was granted is in the plan, but nobody could know this folder when the file was built. A part
// of launcher.c.
//
// Folders are compared by what they are, device and inode, not by their names: going up from a home and from callgate's
// own folder, whoever comes by the working directory would show them. The one list of names that is read is the kernel's
// of mounts, for other names of callgate's folder below.

#ifndef CALLGATE_CALLERS_FOLDER_H
#define CALLGATE_CALLERS_FOLDER_H

enum { FOLDER_DEPTH = 4096, PATH_MAXIMUM = 4096, FOLDER_HIDDEN = 0, FOLDER_MOUNTED = 1, FOLDER_GRANTED = 2 };

static struct {
  int how; // FOLDER_*
  struct file_status status;
  char path[PATH_MAXIMUM];
} callers_folder;
static long callers_folder_descriptor = -1; // apart from it: what is not zero lies in the file

static void name_folder(struct line *path);                                      // of kept plans
static const char *variable(const char **environment, const char *name);

// Whether a path is a folder, or lies below it. Neither ends in a slash, but for the root.
static bool is_within(const char *path, const char *folder) {
  if (*folder == 0 || is_word(folder, "/")) return true;
  while (*folder != 0 && *path == *folder) path++, folder++;
  return *folder == 0 && (*path == 0 || *path == '/');
}

// A folder, or an answer by which it is not for this user to look at; anything else ends the start.
static long to_look_at(long folder, const char *path) {
  bool is_answer = folder == -ENOENT || folder == -ENOTDIR || folder == -EACCES || folder == -ELOOP || folder == -ENAMETOOLONG;
  if (folder < 0 && !is_answer) fail_step(STEP_CALLERS_FOLDER, "openat", path, folder, NULL);
  return folder;
}

static long open_to_look(long folder, const char *path) {
  return to_look_at(CALL(openat, folder, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0), path);
}

static bool is_callers_folder(long folder) {
  struct file_status status;
  must(STEP_CALLERS_FOLDER, "fstat", CALL(fstat, folder, &status));
  return status.device == callers_folder.status.device && status.inode == callers_folder.status.inode;
}

static bool is_root(long folder, long above) {
  struct file_status one, other;
  must(STEP_CALLERS_FOLDER, "fstat", CALL(fstat, folder, &one));
  must(STEP_CALLERS_FOLDER, "fstat", CALL(fstat, above, &other));
  return one.device == other.device && one.inode == other.inode;
}

// Whether the working directory is this folder or one above it. Where its caller may not search a folder on the way up, the
// program could not come down that way either.
static bool shows(long folder) {
  for (int depth = 0; folder >= 0 && depth < FOLDER_DEPTH; depth++) {
    bool is_same = is_callers_folder(folder);
    long above = is_same ? -1 : open_to_look(folder, "..");
    bool is_top = above >= 0 && is_root(folder, above);
    shut(STEP_CALLERS_FOLDER, folder);
    if (is_same) return true;
    if (above == -EACCES) return false;
    folder = above;
    if (is_top) {
      shut(STEP_CALLERS_FOLDER, above);
      return false;
    }
  }
  return true;
}

static bool shows_home(const char *home) {
  if (is_within(home, callers_folder.path)) return true;
  long folder = open_to_look(AT_FDCWD, home);
  return folder == -ENOENT || folder == -ENOTDIR ? false : shows(folder);
}

// What of a mount is compared while its line goes by: "36 35 0:25 / /mnt rw …".
struct mount_line {
  uint32_t field, at, escaped; // escaped: how many digits are to come
  bool same_device, is_below;
  uint8_t digits;
};

static void take_point(struct mount_line *line, char byte) {
  const char *folder = callers_folder.path;
  uint32_t at = line->at++;
  size_t length = 0;
  while (folder[length] != 0) length++;
  if (at < length) line->is_below = line->is_below && byte == folder[at];
  else if (at == length) line->is_below = line->is_below && byte == '/';
}

static bool take_mount_byte(struct mount_line *line, char byte, const struct line *device) {
  if (byte == ' ' || byte == '\n') {
    size_t length = 0;
    while (callers_folder.path[length] != 0) length++;
    if (line->field == 2) line->same_device = line->same_device && line->at == device->length;
    bool found = line->field == 4 && line->same_device && line->is_below && line->at > length + 1;
    if (byte == '\n') *line = (struct mount_line){.same_device = true, .is_below = true};
    else line->field++, line->at = 0;
    return found;
  }
  if (line->field == 2) {
    line->same_device = line->same_device && line->at < device->length && byte == device->text[line->at];
    line->at++;
  } else if (line->field == 4 && line->escaped > 0) {
    line->digits = (uint8_t)(line->digits << 3 | (byte - '0'));
    if (--line->escaped == 0) take_point(line, (char)line->digits);
  } else if (line->field == 4 && byte == '\\') {
    line->escaped = 3;
  } else if (line->field == 4) {
    take_point(line, byte);
  }
  return false;
}

// Whether the file system of callgate's folder is mounted below the working directory as well.
static bool has_mount_of(uint64_t device) {
  struct line number = {.length = 0};
  put_number(&number, (device >> 8 & 0xfff) | (device >> 32 & ~0xfffULL));
  put_byte(&number, ':');
  put_number(&number, (device & 0xff) | (device >> 12 & 0xfff00));
  static char text[16384];
  long file = to_look_at(CALL(openat, AT_FDCWD, "/proc/self/mountinfo", O_RDONLY | O_CLOEXEC, 0), "/proc/self/mountinfo");
  if (file < 0) return true;
  struct mount_line line = {.same_device = true, .is_below = true};
  bool found = false;
  for (long count = 1; count != 0;) {
    count = CALL(read, file, text, sizeof text);
    if (count == -EINTR) continue;
    must(STEP_CALLERS_FOLDER, "read", count);
    for (long i = 0; i < count; i++)
      if (take_mount_byte(&line, text[i], &number)) found = true;
  }
  shut(STEP_CALLERS_FOLDER, file);
  return found;
}

// Plans that decide what `callgate run` does next. Where there are none yet, the folder that they would be in.
static bool shows_kept_plans(void) {
  struct line path;
  name_folder(&path);
  long folder = open_to_look(AT_FDCWD, path.text);
  if (folder == -ENOENT) {
    for (path.length--; path.text[path.length] != '/';) path.length--;
    path.text[path.length] = 0;
    folder = open_to_look(AT_FDCWD, path.text);
  }
  if (folder == -ENOENT) return false;
  if (folder < 0) return true;
  struct file_status status;
  must(STEP_CALLERS_FOLDER, "fstat", CALL(fstat, folder, &status));
  return shows(folder) || has_mount_of(status.device);
}

// A part of what is shown anyway, by its own name.
static bool is_granted(void) {
  if (plan.mounts.present) {
    struct payload payload = {(uint8_t *)(uintptr_t)plan.mounts.entries, plan.mounts.size, false};
    bool granted = false;
    for (uint32_t i = 0; i < plan.mounts.count; i++) {
      struct mount_entry entry = take_mount(&payload);
      if (!is_within(callers_folder.path + 1, entry.target)) continue;
      granted = entry.kind == MOUNT_BIND && is_within(callers_folder.path, entry.source);
    }
    return granted;
  }
  struct payload payload = {(uint8_t *)(uintptr_t)plan.landlock.rules, plan.landlock.rules_size, false};
  for (uint32_t i = 0; i < plan.landlock.rule_count; i++) {
    uint64_t rights = take64(&payload);
    take(&payload, 16);
    bool is_read = (rights & plan.callers_folder.rights) == plan.callers_folder.rights;
    if (is_within(callers_folder.path, take_strings(&payload, 1)) && is_read) return true;
  }
  return false;
}

// What the sandbox has of its own in the folder would not be there, or cover what is there.
static bool has_place_of_sandbox(void) {
  struct payload payload = {(uint8_t *)(uintptr_t)plan.mounts.entries, plan.mounts.size, false};
  for (uint32_t i = 0; i < plan.mounts.count; i++) {
    struct mount_entry entry = take_mount(&payload);
    bool is_own = entry.kind == MAKE_LINK || entry.kind == MOUNT_OWN || (entry.kind == MOUNT_TMPFS && !may_be_absent(entry.device, entry.inode));
    if (is_own && is_within(entry.target, callers_folder.path + 1)) return true;
    if (entry.kind == MOUNT_TMPFS && !is_own && is_within(callers_folder.path + 1, entry.target)) return true;
  }
  return false;
}

static const char *why_hidden(const char **environment) {
  static const char own[][8] = {"/proc", "/dev", "/sys", "/run"};
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
    if (is_within(callers_folder.path, own[i])) return "it is one of the system's own";
  if (is_word(callers_folder.path, "/tmp") || is_word(callers_folder.path, "/var/tmp") || has_place_of_sandbox())
    return "the sandbox has folders of its own there";
  const char *home = variable(environment, "HOME");
  if (home == NULL || home[5] != '/') return "HOME does not say where your home is";
  if (shows_home(home + 5)) return "your home is in it";
  if (shows_kept_plans()) return "callgate keeps plans in it, which decide what is run how";
  return NULL;
}

// Nobody who starts programs in / (cron, service managers) means all files.
static void say_hidden(const char *path, const char *why) {
  if (is_word(path, "/")) return;
  struct line line = {.length = 0};
  put(&line, prefix);
  put(&line, "the working directory ");
  if (*path != 0) {
    put_quoted(&line, path);
    put_byte(&line, ' ');
  }
  put(&line, "is not shown to the program: ");
  put(&line, why);
  put_byte(&line, '\n');
  CALL(write, 2, line.text, line.length);
}

// In the mount namespace in which it is used.
static void find_callers_folder(const char **environment) {
  if (!plan.callers_folder.present) return;
  long length = CALL(getcwd, callers_folder.path, sizeof callers_folder.path);
  if (length != -ENOENT && length != -ENAMETOOLONG && length != -ERANGE)
    must(STEP_CALLERS_FOLDER, "getcwd", length);
  if (length < 0 || callers_folder.path[0] != '/') {
    say_hidden("", "it is gone, or cannot be named here");
    return;
  }
  long folder = CALL(openat, AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (folder == -EACCES) {
    say_hidden(callers_folder.path, "it is not yours to enter");
    return;
  }
  callers_folder_descriptor = must(STEP_CALLERS_FOLDER, "openat", folder);
  must(STEP_CALLERS_FOLDER, "fstat", CALL(fstat, folder, &callers_folder.status));
  if (is_granted()) {
    callers_folder.how = FOLDER_GRANTED;
  } else {
    const char *why = why_hidden(environment);
    if (why == NULL) callers_folder.how = FOLDER_MOUNTED;
    else say_hidden(callers_folder.path, why);
  }
  if (callers_folder.how == FOLDER_MOUNTED && plan.mounts.present) return;
  shut(STEP_CALLERS_FOLDER, callers_folder_descriptor);
  callers_folder_descriptor = -1;
}

#endif
