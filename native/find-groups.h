// Where a file of `callgate build` makes its control groups: in the folder in which `callgate run` would make them here,
// which nobody could know when the file was built. A part of launcher.c, before any right is given up.
//
// Hierarchies are looked for where every system mounts them, and told by what the kernel says of the file system, not by
// their names; v2 in /sys/fs/cgroup or its folder unified, v1 in the folder of its controller. The two lists that are
// read are the kernel's own. What is not there, or not this user's to write, is no error: then the kernel's limits of
// single processes hold. Everything else is one.

#ifndef CALLGATE_FIND_GROUPS_H
#define CALLGATE_FIND_GROUPS_H

enum { CGROUP_MAGIC = 0x27e0eb, CGROUP2_MAGIC = 0x63677270, W_OK = 2, EXDEV = 18, EROFS = 30 };

static const char controller_names[][8] = {"memory", "pids"}; // by the bits of CONTROLLER_*
static uint32_t controllers_held; // by groups that were found

// What cannot be had here; an answer that means something else ends the start.
static bool is_there(const char *call, const char *object, long result) {
  if (result >= 0) return true;
  bool is_absent_here = result == -ENOENT || result == -ENOTDIR || result == -EACCES || result == -EXDEV || result == -ELOOP ||
                        result == -EROFS;
  if (!is_absent_here) fail_step(STEP_CGROUPS, call, object, result, NULL);
  return false;
}

static bool is_separator(char byte) { return byte == ' ' || byte == ',' || byte == '\n'; }

static bool has_word(const char *at, const char *end, const char *word) {
  while (at < end) {
    const char *letter = word;
    while (at < end && *letter != 0 && *at == *letter) at++, letter++;
    if (*letter == 0 && (at == end || is_separator(*at))) return true;
    while (at < end && !is_separator(*at)) at++;
    at++;
  }
  return false;
}

static bool has_controllers(const char *at, const char *end, uint32_t controllers) {
  for (uint32_t bit = 0; bit < sizeof controller_names / sizeof controller_names[0]; bit++)
    if ((controllers >> bit & 1) != 0 && !has_word(at, end, controller_names[bit])) return false;
  return true;
}

static const char *until(const char *at, const char *end, char byte) {
  while (at < end && *at != byte) at++;
  return at;
}

// A small file of the kernel's, whole; 0 where it is not there or is longer than anybody expects.
static size_t read_list(long folder, const char *name, char *text, size_t size) {
  long file = CALL(openat, folder, name, O_RDONLY | O_CLOEXEC, 0);
  if (!is_there("openat", name, file)) return 0;
  size_t length = 0;
  for (;;) {
    long count = CALL(read, file, text + length, size - length);
    if (count == -EINTR) continue;
    must(STEP_CGROUPS, "read", count);
    length += (size_t)count;
    if (count == 0 || length == size) break;
  }
  shut(STEP_CGROUPS, file);
  return length < size ? length : 0;
}

// Where this process is, below the top of its hierarchy: "." or a/b. The kernel writes `0::/a/b`, or `7:memory,cpu:/a/b`.
static bool find_own_group(uint32_t version, uint32_t controllers, struct line *path) {
  static char text[16384];
  const char *end = text + read_list(AT_FDCWD, "/proc/self/cgroup", text, sizeof text);
  for (const char *line = text, *after; line < end; line = after + 1) {
    after = until(line, end, '\n');
    const char *list = until(line, after, ':') + 1;
    const char *list_end = until(list, after, ':');
    const char *own = list_end + 1;
    bool is_wanted = version == 2 ? list == list_end : has_controllers(list, list_end, controllers);
    if (!is_wanted || own >= after || *own != '/') continue;
    path->length = 0;
    if (own + 1 == after) put_byte(path, '.');
    for (own++; own < after; own++) put_byte(path, *own);
    if (path->length == sizeof path->text) return false;
    path->text[path->length] = 0;
    return true;
  }
  return false;
}

static bool is_of_type(long folder, uint64_t magic) {
  struct {
    uint64_t type;
    uint8_t rest[248];
  } facts;
  must(STEP_CGROUPS, "fstatfs", CALL(fstatfs, folder, &facts));
  return facts.type == magic;
}

static long open_hierarchy(const char *path, uint64_t magic) {
  long folder = CALL(openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (!is_there("openat", path, folder)) return -1;
  if (is_of_type(folder, magic)) return folder;
  shut(STEP_CGROUPS, folder);
  return -1;
}

static bool is_writable(long folder, const char *name) {
  return is_there("faccessat", name, CALL(faccessat, folder, name, W_OK, 0));
}

// Who moves a process has to have the right to the folder above both groups, which is this one.
static bool may_hold(long folder, uint32_t version, uint32_t controllers) {
  if (!is_writable(folder, ".")) return false;
  if (version == 1) return true;
  static char text[1024];
  size_t length = read_list(folder, "cgroup.subtree_control", text, sizeof text);
  return is_writable(folder, "cgroup.procs") && has_controllers(text, text + length, controllers);
}

// The own group, or of v2 the nearest above it that hands these controllers down.
static long find_in_hierarchy(long top, struct line *path, uint32_t version, uint32_t controllers) {
  for (;;) {
    struct open_how how = {O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    long folder = CALL(openat2, top, path->text, &how, sizeof how);
    if (is_there("openat2", path->text, folder)) {
      if (may_hold(folder, version, controllers)) return folder;
      shut(STEP_CGROUPS, folder);
    }
    if (version == 1 || is_word(path->text, ".")) return -1;
    while (path->length > 0 && path->text[path->length - 1] != '/') path->length--;
    if (path->length == 0) put(path, "./");
    path->text[--path->length] = 0;
  }
}

// The folder in which a group with these controllers can be made; -1 where there is none.
static long find_group(uint32_t version, uint32_t controllers) {
  struct line path;
  if (!find_own_group(version, controllers, &path)) return -1;
  long top;
  if (version == 2) {
    top = open_hierarchy("/sys/fs/cgroup", CGROUP2_MAGIC);
    if (top < 0) top = open_hierarchy("/sys/fs/cgroup/unified", CGROUP2_MAGIC);
  } else {
    top = open_hierarchy(controllers == CONTROLLER_MEMORY ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup/pids", CGROUP_MAGIC);
  }
  if (top < 0) return -1;
  long found = find_in_hierarchy(top, &path, version, controllers);
  shut(STEP_CGROUPS, top);
  return found;
}

#endif
