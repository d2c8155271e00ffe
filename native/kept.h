// What is kept between starts: what Node has made, with everything that it rests on, to be used again while that is as it
// was. A part of launcher.c, which keeps plans (kept-plan.h), and of watcher.c, which keeps jobs (kept-job.h). README.md has
// the format in words, src/sandbox/kept-plans.ts writes the facts.
//
// Whatever is not as it has to be, here or there, means that Node makes a fresh one: nothing in this file fails. So no
// call's result is final here, and none is told to the user.
//
// Against whom? A sandbox of ours must not be able to put a plan here, or to read the key: the folder is the user's
// own, fixed by his number and by nothing in the environment, and never shown or granted (grants.ts). Everything else
// is against plans that are stale: a plan is found by what surrounds the start (a part of its name), and then each
// file that Node looked at is looked at again. The program that keeps is a part of its surroundings, so that neither takes
// what is the other's.

#ifndef CALLGATE_KEPT_H
#define CALLGATE_KEPT_H

#include "blake2b.h"
#include "plan.h"
#include "read-whole.h"
#include "system.h"

enum { KEPT_VERSION = 3, KEPT_KEY = HASH_KEY, KEPT_HASH = HASH_SIZE, KEPT_NAME = 32, KEPT_FACTS_MAXIMUM = 8192 };

// With its length, so that two things in a row cannot be taken for two others.
static void hash_thing(struct hash *hash, const void *bytes, size_t length) {
  uint64_t size = length;
  hash_add(hash, &size, sizeof size);
  hash_add(hash, bytes, length);
}

// ── Files ──────────────────────────────────────────────────────────────────────────────────────────────────────

struct instant {
  int64_t seconds;
  uint32_t nanoseconds, reserved;
};

// statx's structure is the same on every architecture.
struct file_facts {
  uint32_t known, block_size;
  uint64_t attributes;
  uint32_t links, uid, gid;
  uint16_t mode, spare;
  uint64_t inode, size, blocks, attributes_known;
  struct instant accessed, born, changed, modified;
  uint32_t own_major, own_minor, major, minor;
  uint8_t rest[128 - 16];
};

enum { AT_SYMLINK_NOFOLLOW = 0x100, STATX_BASIC_AND_BIRTH = 0xfff };
enum { KIND_MASK = 0170000, KIND_FOLDER = 0040000, KIND_FILE = 0100000, KIND_CHARACTERS = 0020000, FOR_OTHERS = 0077, MODE_BITS = 07777 };

static long look_at(long folder, const char *path, int flags, struct file_facts *facts) {
  return CALL(statx, folder, path, flags, STATX_BASIC_AND_BIRTH, facts);
}

static bool is_own(const struct file_facts *facts, uint32_t kind) {
  return (facts->mode & KIND_MASK) == kind && facts->uid == CALL(getuid) && (facts->mode & FOR_OTHERS) == 0;
}

// As userspace has it in st_dev.
static uint64_t device_of(const struct file_facts *facts) {
  return (uint64_t)(facts->major & 0xfff) << 8 | (facts->minor & 0xff) | (uint64_t)(facts->minor & ~0xffU) << 12 |
         (uint64_t)(facts->major & ~0xfffU) << 32;
}

static uint64_t nanoseconds_of(const struct instant *instant) {
  return (uint64_t)instant->seconds * 1000000000U + instant->nanoseconds;
}

// A file of the folder that is nobody else's; -1 where there is none.
static long open_own_file(long folder, const char *name) {
  // Not waiting for the writer of a pipe that somebody has laid there.
  struct open_how how = {O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0,
                         RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH};
  long file = CALL(openat2, folder, name, &how, sizeof how);
  if (file < 0) return -1;
  struct file_facts facts;
  if (look_at(file, "", AT_EMPTY_PATH, &facts) == 0 && is_own(&facts, KIND_FILE) && facts.links == 1) return file;
  CALL(close, file);
  return -1;
}

// ── The folder ─────────────────────────────────────────────────────────────────────────────────────────────────

// /run/callgate for root, /run/user/UID/callgate, or /dev/shm/callgate-UID where there is no such folder of the user's.
// The environment has no say: otherwise a program that may write somewhere could lay a plan there and wait for a day
// on which this place is somebody's HOME. kept-plans.ts has the same rule.
static void name_folder(struct line *path) {
  uint64_t uid = (uint64_t)CALL(getuid);
  *path = (struct line){.length = 0};
  if (uid == 0) {
    put(path, "/run");
  } else {
    struct file_facts facts;
    put(path, "/run/user/");
    put_number(path, uid);
    put_byte(path, 0);
    if (look_at(AT_FDCWD, path->text, AT_SYMLINK_NOFOLLOW, &facts) != 0 || !is_own(&facts, KIND_FOLDER)) {
      path->length = 0;
      put(path, "/dev/shm/callgate-");
      put_number(path, uid);
      put_byte(path, 0);
      return;
    }
    path->length--;
  }
  put(path, "/callgate");
  put_byte(path, 0);
}

// The user's own, 0700; -1 where there is none.
static long open_folder(bool make) {
  struct line path;
  name_folder(&path);
  if (make) CALL(mkdirat, AT_FDCWD, path.text, 0700);
  struct open_how how = {O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  long folder = CALL(openat2, AT_FDCWD, path.text, &how, sizeof how);
  if (folder < 0) return -1;
  struct file_facts facts;
  if (look_at(folder, "", AT_EMPTY_PATH, &facts) == 0 && is_own(&facts, KIND_FOLDER)) return folder;
  CALL(close, folder);
  return -1;
}

static bool read_key(long folder, uint8_t *key) {
  long file = open_own_file(folder, "key");
  if (file < 0) return false;
  uint8_t bytes[KEPT_KEY + 1];
  long length = read_whole(file, bytes, sizeof bytes);
  CALL(close, file);
  if (length != KEPT_KEY) return false;
  memcpy(key, bytes, KEPT_KEY);
  return true;
}

// Whole or not at all: under a name of its own first, and then by rename. Of two that do so at the same time, one wins.
// With `as`, the file is to have its mode and, as far as we may say, its owner, and to be on the disk before it is there.
static bool replace_file(long folder, const char *temporary, const char *name, const struct file_facts *as,
                         const void *const parts[], const size_t lengths[], int count) {
  long file = CALL(openat, folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return false;
  bool whole = true;
  for (int i = 0; i < count && whole; i++) {
    const uint8_t *bytes = parts[i];
    for (size_t written = 0; written < lengths[i] && whole;) {
      long result = CALL(write, file, bytes + written, lengths[i] - written);
      if (result > 0) written += (size_t)result;
      else if (result != -EINTR) whole = false;
    }
  }
  if (as != NULL && whole)
    whole = CALL(fchmod, file, as->mode & MODE_BITS) == 0 && CALL(fsync, file) == 0 &&
            (CALL(getuid) != 0 || CALL(fchownat, file, "", as->uid, as->gid, AT_EMPTY_PATH) == 0);
  if (CALL(close, file) != 0) whole = false;
  if (whole && CALL(renameat, folder, temporary, folder, name) == 0) return true;
  CALL(unlinkat, folder, temporary, 0);
  return false;
}

static bool write_own_file(long folder, const char *name, const void *const parts[], const size_t lengths[], int count) {
  struct line temporary = {.length = 0};
  put(&temporary, "new-");
  put_number(&temporary, (uint64_t)CALL(getpid));
  put_byte(&temporary, 0);
  // What a process of the same number has left there.
  CALL(unlinkat, folder, temporary.text, 0);
  return replace_file(folder, temporary.text, name, NULL, parts, lengths, count);
}

static bool make_key(long folder, uint8_t *key) {
  if (CALL(getrandom, key, KEPT_KEY, 0) != KEPT_KEY) return false;
  const void *parts[] = {key};
  size_t lengths[] = {KEPT_KEY};
  // Another start may have made one at the same time: the one that lies there now is everybody's.
  return write_own_file(folder, "key", parts, lengths, 1) && read_key(folder, key);
}

// ── Surroundings: what a plan rests on besides files ───────────────────────────────────────────────────────────

// NAME=VALUE against NAME or PREFIX*.
static bool variable_matches(const char *variable, const char *pattern) {
  for (; *pattern != 0; variable++, pattern++) {
    if (*pattern == '*' && pattern[1] == 0) return true;
    if (*variable != *pattern) return false;
  }
  return *variable == '=';
}

static const char *variable(const char **environment, const char *name) {
  for (; *environment != NULL; environment++)
    if (variable_matches(*environment, name)) return *environment;
  return NULL;
}

// A file of the kernel's, or the error with which it cannot be read. False where there is more of it than is read.
static bool hash_kernel_file(struct hash *hash, const char *path) {
  uint8_t bytes[4096];
  long file = CALL(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  long length = file < 0 ? file : read_whole(file, bytes, sizeof bytes);
  if (file >= 0) CALL(close, file);
  hash_thing(hash, &length, sizeof length);
  if (length > 0) hash_add(hash, bytes, (size_t)length);
  return length < (long)sizeof bytes;
}

static bool hash_identity(struct hash *hash, const char *path, bool with_times) {
  struct file_facts facts;
  if (look_at(AT_FDCWD, path, 0, &facts) != 0) return false;
  uint64_t identity[] = {device_of(&facts), facts.inode, nanoseconds_of(&facts.born)};
  hash_thing(hash, identity, sizeof identity);
  if (!with_times) return true;
  uint64_t state[] = {facts.size, nanoseconds_of(&facts.modified), nanoseconds_of(&facts.changed)};
  hash_thing(hash, state, sizeof state);
  return true;
}

// One of the standard streams is a terminal: consoles and serial lines, /dev/tty, pseudo-terminals; as caller.ts has it.
static bool has_terminal(void) {
  for (int descriptor = 0; descriptor <= 2; descriptor++) {
    struct file_facts facts;
    if (look_at(descriptor, "", AT_EMPTY_PATH, &facts) != 0 || (facts.mode & KIND_MASK) != KIND_CHARACTERS) continue;
    uint32_t major = facts.own_major;
    if (major == 4 || major == 5 || (major >= 136 && major <= 143)) return true;
  }
  return false;
}

// What Node, which is asked by a person, does not have as the launcher has it.
struct bearing {
  long seccomp, no_new_privileges;
  bool terminal;
};

enum { PR_GET_SECCOMP = 21, PR_GET_SECUREBITS = 27, PR_GET_NO_NEW_PRIVS = 39 };

static struct bearing own_bearing(void) {
  return (struct bearing){CALL(prctl, PR_GET_SECCOMP, 0, 0, 0, 0), CALL(prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
                          has_terminal()};
}

// `scratch` is for the list of groups. Answers false where something cannot be found out.
static bool hash_surroundings(const struct bearing *bearing, int argc, const char **argv, const char **environment,
                              uint8_t *scratch, uint8_t *result) {
  struct hash hash;
  hash_begin(&hash, NULL);

  // The command line from Node's path on.
  for (int i = 2; i < argc; i++) hash_thing(&hash, argv[i], length_of(argv[i]));
  // Only as hashes: no value of the environment is written down.
  static const char names[][16] = {"HOME", "PATH", "NODE_OPTIONS"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const char *value = variable(environment, names[i]);
    hash_thing(&hash, value, value == NULL ? 0 : length_of(value));
  }
  hash_thing(&hash, &bearing->terminal, sizeof bearing->terminal);

  // Who: ids, groups, capabilities, what was given up already.
  long groups = CALL(getgroups, PLAN_MAXIMUM / 4, scratch);
  if (groups < 0) return false;
  hash_thing(&hash, scratch, (size_t)groups * 4);
  struct capability_header header = {CAPABILITY_VERSION_3, 0};
  struct capability_sets sets[2];
  if (CALL(capget, &header, sets) != 0) return false;
  hash_thing(&hash, sets, sizeof sets);
  long who[] = {CALL(getuid), CALL(getgid), bearing->seccomp, CALL(prctl, PR_GET_SECUREBITS, 0, 0, 0, 0),
                bearing->no_new_privileges};
  hash_thing(&hash, who, sizeof who);

  // Where: the working directory as itself and by its name, and the namespaces in which names mean something.
  long length = CALL(getcwd, scratch, PLAN_MAXIMUM);
  if (length < 0) return false;
  hash_thing(&hash, scratch, (size_t)length);
  if (!hash_identity(&hash, ".", false)) return false;
  if (!hash_identity(&hash, "/proc/self/ns/mnt", false) || !hash_identity(&hash, "/proc/self/ns/user", false) ||
      !hash_identity(&hash, "/proc/self/ns/pid", false))
    return false;
  if (!hash_kernel_file(&hash, "/proc/self/cgroup")) return false;

  // On what: this file, the kernel, and what decides whether there are namespaces and Landlock.
  if (!hash_identity(&hash, "/proc/self/exe", true)) return false;
  static char system_name[6][65];
  if (CALL(uname, system_name) != 0) return false;
  memset(system_name[1], 0, sizeof system_name[1]); // the host's name decides nothing
  hash_thing(&hash, system_name, sizeof system_name);
  if (!hash_kernel_file(&hash, "/proc/sys/kernel/random/boot_id")) return false;
  long landlock = CALL(landlock_create_ruleset, 0, 0, LANDLOCK_VERSION);
  hash_thing(&hash, &landlock, sizeof landlock);
  bool is_whole = hash_kernel_file(&hash, "/proc/sys/user/max_user_namespaces") &&
                  hash_kernel_file(&hash, "/proc/sys/kernel/unprivileged_userns_clone") &&
                  hash_kernel_file(&hash, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns") &&
                  hash_kernel_file(&hash, "/proc/self/attr/current");
  if (!is_whole) return false;
  hash_end(&hash, result);
  return true;
}

// ── Facts: what a plan rests on in files ───────────────────────────────────────────────────────────────────────
// u32 kind, u32 errno, the fields of the kind (see take_fact), path; each begins where the last one ended.

enum {
  FACT_ABSENT = 1,    // lstat answers this error
  FACT_SAME = 2,      // it is the same thing, with the same owner and mode
  FACT_UNCHANGED = 3, // and neither it nor its content was changed
  FACT_CONTENT = 4,   // and its content is this
  FACT_NOTE = 5,      // not a fact: what Node said to the user when it made the plan
  FACT_END = 6,       // nothing follows: without it some of them are missing
};

struct fact {
  uint32_t kind, error, mode, uid, gid;
  uint64_t device, inode, born, size, modified, changed;
  uint32_t length;
  const uint8_t *content;
  const char *text; // a path; a note
};

static struct fact take_fact(struct payload *payload) {
  struct fact fact = {.kind = take32(payload)};
  fact.error = take32(payload);
  if (fact.kind == FACT_SAME || fact.kind == FACT_UNCHANGED || fact.kind == FACT_CONTENT) {
    fact.mode = take32(payload);
    fact.uid = take32(payload);
    fact.gid = take32(payload);
    fact.device = take64(payload);
    fact.inode = take64(payload);
    fact.born = take64(payload);
  }
  if (fact.kind == FACT_UNCHANGED || fact.kind == FACT_CONTENT) {
    fact.size = take64(payload);
    fact.modified = take64(payload);
    fact.changed = take64(payload);
  }
  if (fact.kind == FACT_CONTENT) {
    fact.length = take32(payload);
    fact.content = take(payload, fact.length);
  }
  fact.text = take_strings(payload, 1);
  if (fact.kind == 0 || fact.kind > FACT_END) payload->short_of = true;
  return fact;
}

// Whether this is what is left to read of a file.
static bool reads_as(long file, const uint8_t *wanted, size_t length) {
  uint8_t bytes[8192];
  bool same = true;
  long count;
  do {
    count = read_whole(file, bytes, sizeof bytes);
    same = count >= 0 && (size_t)count <= length;
    for (long i = 0; same && i < count; i++) same = bytes[i] == wanted[i];
    if (same) wanted += count, length -= (size_t)count;
  } while (same && count == (long)sizeof bytes);
  return same && length == 0;
}

static long open_plainly(long folder, const char *path, uint64_t flags) {
  struct open_how how = {flags | O_NONBLOCK | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  return CALL(openat2, folder, path, &how, sizeof how);
}

static bool has_content(long folder, const char *path, const uint8_t *wanted, size_t length) {
  long file = open_plainly(folder, path, O_RDONLY);
  if (file < 0) return false;
  bool same = reads_as(file, wanted, length);
  CALL(close, file);
  return same;
}

static bool holds(const struct fact *fact) {
  struct file_facts now;
  long result = look_at(AT_FDCWD, fact->text, AT_SYMLINK_NOFOLLOW, &now);
  if (fact->kind == FACT_ABSENT) return -result == (long)fact->error || (result == -ENOTDIR && fact->error == ENOENT);
  if (result != 0) return false;
  if (device_of(&now) != fact->device || now.inode != fact->inode || nanoseconds_of(&now.born) != fact->born ||
      now.mode != fact->mode || now.uid != fact->uid || now.gid != fact->gid)
    return false;
  if (fact->kind == FACT_SAME) return true;
  if (now.size != fact->size || nanoseconds_of(&now.modified) != fact->modified ||
      nanoseconds_of(&now.changed) != fact->changed)
    return false;
  return fact->kind == FACT_UNCHANGED || has_content(AT_FDCWD, fact->text, fact->content, fact->length);
}

static bool facts_hold(uint8_t *facts, size_t length) {
  struct payload payload = {facts, length, false};
  bool is_whole = false;
  for (uint32_t count = 0; payload.left > 0; count++) {
    struct fact fact = take_fact(&payload);
    if (payload.short_of || is_whole || count == KEPT_FACTS_MAXIMUM) return false;
    is_whole = fact.kind == FACT_END;
    if (fact.kind < FACT_NOTE && !holds(&fact)) return false;
  }
  return is_whole;
}

// ── The file of a kept plan ────────────────────────────────────────────────────────────────────────────────────

struct kept_header {
  uint8_t magic[8]; // "callkept"
  uint32_t version, plan_length, facts_length, reserved;
  uint8_t code[KEPT_HASH]; // with the key: of the surroundings, the header before it, plan and facts
};

static uint8_t surroundings[KEPT_HASH];
static bool may_keep; // the surroundings are known

static void authenticate(const uint8_t *key, const struct kept_header *header, const uint8_t *body, uint8_t *code) {
  struct hash hash;
  hash_begin(&hash, key);
  hash_add(&hash, surroundings, sizeof surroundings);
  hash_add(&hash, header, offsetof(struct kept_header, code));
  hash_add(&hash, body, (size_t)header->plan_length + header->facts_length);
  hash_end(&hash, code);
}

static void name_plan(const uint8_t *key, struct line *name) {
  struct hash hash;
  uint8_t result[KEPT_HASH];
  hash_begin(&hash, key);
  hash_add(&hash, surroundings, sizeof surroundings);
  hash_end(&hash, result);
  *name = (struct line){.length = 0};
  for (int i = 0; i < KEPT_NAME / 2; i++) {
    put_byte(name, "0123456789abcdef"[result[i] >> 4]);
    put_byte(name, "0123456789abcdef"[result[i] & 15]);
  }
  put_byte(name, 0);
}

// Plan and facts into `bytes`, if the file is what this user's callgate has written for these surroundings.
static bool read_kept_file(long folder, uint8_t *bytes, struct kept_header *header) {
  uint8_t key[KEPT_KEY], code[KEPT_HASH];
  if (!read_key(folder, key)) return false;
  struct line name;
  name_plan(key, &name);
  long file = open_own_file(folder, name.text);
  if (file < 0) return false;
  bool whole = read_whole(file, (uint8_t *)header, sizeof *header) == (long)sizeof *header;
  long length = whole ? read_whole(file, bytes, PLAN_MAXIMUM + 1) : 0;
  CALL(close, file);
  if (!whole || length <= 0 || length > PLAN_MAXIMUM || header->version != KEPT_VERSION) return false;
  for (size_t i = 0; i < sizeof header->magic; i++)
    if (header->magic[i] != (uint8_t)"callkept"[i]) return false;
  if ((uint64_t)header->plan_length + header->facts_length != (uint64_t)length) return false;
  authenticate(key, header, bytes, code);
  return same_hash(code, header->code);
}

// Whether there is something kept for these surroundings; it is then in `bytes`, which have room for PLAN_MAXIMUM and one
// more. It may be used when its facts hold.
static bool find_kept(int argc, const char **argv, const char **environment, uint8_t *bytes, struct kept_header *header) {
  if (variable(environment, "CALLGATE_FRESH") != NULL) return false;
  struct bearing bearing = own_bearing();
  may_keep = hash_surroundings(&bearing, argc, argv, environment, bytes, surroundings);
  if (!may_keep) return false;
  long folder = open_folder(false);
  if (folder < 0) return false;
  bool found = read_kept_file(folder, bytes, header);
  CALL(close, folder);
  return found;
}

static void write_kept(const uint8_t *bytes, size_t plan_length, size_t facts_length) {
  long folder = open_folder(true);
  if (folder < 0) return;
  uint8_t key[KEPT_KEY];
  if (read_key(folder, key) || make_key(folder, key)) {
    struct kept_header header = {{'c', 'a', 'l', 'l', 'k', 'e', 'p', 't'}, KEPT_VERSION, (uint32_t)plan_length,
                                 (uint32_t)facts_length, 0, {0}};
    authenticate(key, &header, bytes, header.code);
    struct line name;
    name_plan(key, &name);
    const void *parts[] = {&header, bytes};
    size_t lengths[] = {sizeof header, plan_length + facts_length};
    write_own_file(folder, name.text, parts, lengths, 2);
  }
  CALL(close, folder);
}

// Plan and facts as Node has sent them, one behind the other. What does not hold now is not kept: something was changed
// while it was made.
static void keep(uint8_t *bytes, size_t plan_length, size_t facts_length) {
  if (may_keep && facts_length != 0 && facts_hold(bytes + plan_length, facts_length))
    write_kept(bytes, plan_length, facts_length);
}

#endif
