// callgate's hook: what LXC runs before a container's start, when nothing has changed since the last one.
//
//   hook KEPT CALLGATE ARGUMENT…
//
// KEPT says what the container's profile and first program were made of, and their hashes (src/lxc/kept.ts writes it).
// Where each of those files is the very one that it was (device, inode, size, times of content and of change), the
// kernel too, and what was made still has its hash, there is nothing to do. A configuration may be another file, if all of
// its lines that can matter are the same: of a network or a limit of memory, and of a comment, nothing is made. In every
// other case, and whatever goes wrong, CALLGATE is executed, which makes everything anew. Nothing is ever started with less
// because of this file.
// Where somebody watches (`callgate lxc watch` listens beside KEPT), too.
//
//   16 bytes "callgate kept 3\0", 64 bytes kernel release; u32 made, u32 inputs; then
//   made × (64 bytes BLAKE2b, path\0),
//   inputs × (u64 device, inode, size, modified ns, changed ns; u8 whether 64 bytes BLAKE2b of its lines follow; path\0)

#include "blake2b.h"
#include "read-whole.h"
#include "system.h"

// What system.h does not have.
enum {
#if defined(__x86_64__)
  NUMBER_CONNECT = 42,
#else
  NUMBER_CONNECT = 203,
#endif
  UNIX = 1, STREAM = 1, SOCKET_CLOEXEC = 0x80000, EPROTOTYPE = 91,
};

enum { KEPT_MAXIMUM = 256 << 10, MADE_MAXIMUM = 8, INPUTS_MAXIMUM = 512, CONFIGURATION_MAXIMUM = 256 << 10 };

static uint8_t kept[KEPT_MAXIMUM + 1];
static uint8_t configuration[CONFIGURATION_MAXIMUM + 1];

// The length of what is in a file; negative where it cannot be read, or fills the room, of which one byte is for telling.
static long read_file(const char *path, uint8_t *bytes, size_t room) {
  long file = CALL(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return file;
  long length = read_whole(file, bytes, room);
  CALL(close, file);
  return length == (long)room ? -1 : length;
}

static bool has_hash(const char *path, const uint8_t *wanted) {
  static uint8_t content[8 << 10];
  long file = CALL(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return false;
  struct hash hash;
  hash_begin(&hash, NULL);
  long length;
  do {
    length = read_whole(file, content, sizeof content);
    if (length < 0) return false;
    hash_add(&hash, content, (size_t)length);
  } while (length == (long)sizeof content);
  CALL(close, file);
  uint8_t result[HASH_SIZE];
  hash_end(&hash, result);
  return same_hash(result, wanted);
}

// ── The lines of a configuration ───────────────────────────────────────────────────────────────────────────────

// Keys of LXC's of which callgate makes nothing, whatever their values: the list is the one of src/lxc/kept.ts.
static const char without_matter[][16] = {
    "lxc.cgroup.",  "lxc.cgroup2.", "lxc.console.", "lxc.environment", "lxc.group",   "lxc.log.",
    "lxc.monitor.", "lxc.net.",     "lxc.prlimit.", "lxc.start.",      "lxc.sysctl.", "lxc.uts.",
};

static bool begins_with(const uint8_t *line, size_t length, const char *word) {
  for (size_t i = 0; word[i] != 0; i++)
    if (i == length || line[i] != (uint8_t)word[i]) return false;
  return true;
}

// Of a line that LXC or callgate could read another way, the answer is yes.
static bool can_matter(const uint8_t *line, size_t length) {
  if (begins_with(line, length, "# callgate:")) return true; // where its own lines begin and end
  while (length > 0 && (*line == ' ' || *line == '\t')) line++, length--;
  if (length == 0 || *line == '\n' || *line == '#') return false;
  for (size_t i = 0; i < sizeof without_matter / sizeof without_matter[0]; i++)
    if (begins_with(line, length, without_matter[i])) return false;
  return true;
}

static bool has_lines(const char *path, const uint8_t *wanted) {
  long length = read_file(path, configuration, sizeof configuration);
  if (length < 0) return false;
  struct hash hash;
  hash_begin(&hash, NULL);
  for (size_t start = 0, end; start < (size_t)length; start = end) {
    end = start;
    while (end < (size_t)length && configuration[end] != '\n') end++;
    if (end < (size_t)length) end++;
    if (can_matter(configuration + start, end - start)) hash_add(&hash, configuration + start, end - start);
  }
  uint8_t result[HASH_SIZE];
  hash_end(&hash, result);
  return same_hash(result, wanted);
}

// ── What is kept ───────────────────────────────────────────────────────────────────────────────────────────────

struct reader {
  const uint8_t *at;
  size_t left;
};

static const uint8_t *take(struct reader *reader, size_t length) {
  if (reader->left < length) return NULL;
  const uint8_t *taken = reader->at;
  reader->at += length;
  reader->left -= length;
  return taken;
}

static uint64_t number(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; i--) value = value << 8 | at[i];
  return value;
}

static const char *take_path(struct reader *reader) {
  const char *path = (const char *)reader->at;
  for (size_t i = 0; i < reader->left; i++) {
    if (reader->at[i] != 0) continue;
    take(reader, i + 1);
    return path;
  }
  return NULL;
}

static bool is_same_file(const char *path, const uint8_t *facts) {
  struct file_status status;
  long file = CALL(openat, AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
  if (file < 0) return false;
  long result = CALL(fstat, file, &status);
  CALL(close, file);
  // Size, and the times of content and of change (seconds, nanoseconds), lie alike on both architectures.
  const uint8_t *raw = (const uint8_t *)&status;
  uint64_t modified = number(raw + 88, 8) * 1000000000U + number(raw + 96, 8);
  uint64_t changed = number(raw + 104, 8) * 1000000000U + number(raw + 112, 8);
  return result == 0 && status.device == number(facts, 8) && status.inode == number(facts + 8, 8) &&
         number(raw + 48, 8) == number(facts + 16, 8) && modified == number(facts + 24, 8) &&
         changed == number(facts + 32, 8);
}

static bool is_same_kernel(const uint8_t *release) {
  static struct { char field[6][65]; } names;
  if (CALL(uname, &names) < 0) return false;
  for (size_t i = 0; i < 64; i++) {
    if ((uint8_t)names.field[2][i] != release[i]) return false;
    if (release[i] == 0) return true;
  }
  return false;
}

// The configuration that LXC reads is the one that was read: LXC_CONFIG_FILE is the first input.
static bool is_configuration(const char *path, const char **environment) {
  static const char name[] = "LXC_CONFIG_FILE=";
  for (; *environment != NULL; environment++) {
    const char *at = *environment;
    size_t same = 0;
    while (name[same] != 0 && at[same] == name[same]) same++;
    if (name[same] != 0) continue;
    at += same;
    while (*at != 0 && *at == *path) at++, path++;
    return *at == *path;
  }
  return false;
}

// A watcher's socket has another type than the one that asks: the kernel says so, and the watcher is not troubled.
static bool has_watcher(const char *kept_path) {
  static const char kept_name[] = "kept", watch_name[] = "watch";
  struct {
    uint16_t family;
    char path[108];
  } address = {UNIX, {0}};
  size_t length = 0;
  while (kept_path[length] != 0) length++;
  if (length < sizeof kept_name - 1) return false;
  length -= sizeof kept_name - 1;
  if (length + sizeof watch_name > sizeof address.path) return false;
  memcpy(address.path, kept_path, length);
  memcpy(address.path + length, watch_name, sizeof watch_name);
  long socket = CALL(socket, UNIX, STREAM | SOCKET_CLOEXEC, 0);
  if (socket < 0) return false;
  long result = call6(NUMBER_CONNECT, WORD(socket), WORD(&address), sizeof address, 0, 0, 0);
  CALL(close, socket);
  return result == -EPROTOTYPE;
}

static bool nothing_changed(const char *path, const char **environment) {
  if (has_watcher(path)) return false;
  long length = read_file(path, kept, sizeof kept);
  if (length < 0) return false;

  struct reader reader = {kept, (size_t)length};
  const uint8_t *magic = take(&reader, 16);
  const uint8_t *release = take(&reader, 64);
  const uint8_t *counts = take(&reader, 8);
  if (magic == NULL || release == NULL || counts == NULL) return false;
  for (size_t i = 0; i < 16; i++)
    if (magic[i] != (uint8_t)"callgate kept 3"[i]) return false;
  uint64_t made = number(counts, 4), inputs = number(counts + 4, 4);
  if (made == 0 || made > MADE_MAXIMUM || inputs == 0 || inputs > INPUTS_MAXIMUM) return false;
  if (!is_same_kernel(release)) return false;

  for (uint64_t i = 0; i < made; i++) {
    const uint8_t *hash = take(&reader, HASH_SIZE);
    const char *name = hash == NULL ? NULL : take_path(&reader);
    if (name == NULL || !has_hash(name, hash)) return false;
  }
  for (uint64_t i = 0; i < inputs; i++) {
    const uint8_t *facts = take(&reader, 41);
    if (facts == NULL || facts[40] > 1) return false;
    const uint8_t *lines = facts[40] == 1 ? take(&reader, HASH_SIZE) : NULL;
    if (facts[40] == 1 && lines == NULL) return false;
    const char *name = take_path(&reader);
    if (name == NULL || (!is_same_file(name, facts) && (lines == NULL || !has_lines(name, lines)))) return false;
    if (i == 0 && !is_configuration(name, environment)) return false;
  }
  return reader.left == 0;
}

__attribute__((used)) _Noreturn void start(const uint64_t *stack) {
  int argc = (int)stack[0];
  const char **argv = (const char **)(uintptr_t)(stack + 1);
  const char **environment = argv + argc + 1;
  if (argc >= 3 && nothing_changed(argv[1], environment)) leave(0);
  static const char usage[] = "callgate: this program is LXC's pre-start hook; `callgate lxc enable` writes it there\n";
  if (argc >= 3) {
    long result = CALL(execve, argv[2], argv + 2, environment);
    struct line line = {.length = 0};
    put_failure(&line, "callgate: cannot execute", argv[2], result);
    put_byte(&line, '\n');
    CALL(write, 2, line.text, line.length);
  } else {
    CALL(write, 2, usage, sizeof usage - 1);
  }
  leave(1);
}
