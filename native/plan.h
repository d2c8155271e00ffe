// The plan: everything the launcher does, in order, as data. README.md has the same in words, src/sandbox/plan.ts
// writes it. Numbers are little-endian. Everything is checked before the first step is carried out.
//
//   header   40 bytes, see struct plan_header
//   step     u32 kind, u32 length of the payload, payload, zero bytes up to a multiple of 8
//   step     … in strictly ascending kind order (FILTER alone may repeat), EXECUTE last, nothing after it
//
// The kinds are numbered in the order in which they are carried out, with room between them for what comes later. A kind that the launcher does not know is an error: skipping it would be half a sandbox.

#ifndef CALLGATE_PLAN_H
#define CALLGATE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  PLAN_VERSION = 1,
  PLAN_MAXIMUM = 4 << 20,       // bytes
  ENVIRONMENT_MAXIMUM = 4096,   // names kept, and variables set
  KEPT_DESCRIPTORS_MAXIMUM = 1024,
  FILTERS_MAXIMUM = 16,
  INSTRUCTIONS_MAXIMUM = 4096,  // the kernel's own limit for one filter
  PATCHES_MAXIMUM = 256,
  ARGUMENTS_MAXIMUM = 262144,
  MOUNTS_MAXIMUM = 4096,
  RESTRICTIONS_MAXIMUM = 4096,  // rules of Landlock
  LIMITS_MAXIMUM = 16,
  CGROUPS_MAXIMUM = 8,
  CGROUP_SETTINGS_MAXIMUM = 16,
  CGROUP_EVENTS_MAXIMUM = 8,    // of all groups: a bit each
  HOST_NAME_MAXIMUM = 64,
  REPORT_ROWS_MAXIMUM = 8192,
  ERRNO_MAXIMUM = 4095,
  KEY_WORDS = 6,                // args[3], args[4], args[5] of execve, low half first
};

enum step_kind {
  STEP_REPORT = 5,
  STEP_CGROUPS = 10,
  STEP_NAMESPACES = 20,
  STEP_ID_MAPS = 30,
  STEP_CALLERS_FOLDER = 35,
  STEP_MOUNTS = 40,
  STEP_PIVOT = 50,
  STEP_DETACH_MOUNT = 55,
  STEP_HOST_NAME = 60,
  STEP_LIMITS = 70,
  STEP_EXPLAIN_KILL = 75,
  STEP_ENVIRONMENT = 80,
  STEP_WORKING_DIRECTORY = 90,
  STEP_TERMINAL = 100,
  STEP_IDENTITY = 105,
  STEP_CAPABILITIES = 110,
  STEP_NO_NEW_PRIVILEGES = 120,
  STEP_HARDENING = 125,
  STEP_LANDLOCK = 130,
  STEP_CLOSE = 140,
  STEP_SIGNALS = 150,
  STEP_DECIDING_FILTER = 156,
  STEP_RULE_FILTER = 157,
  STEP_NOTIFYING_FILTER = 158,
  STEP_FILTER = 160,
  STEP_EXECUTE = 170,
};

enum { NAMESPACE_FLAGS = 0x7e020000 }; // NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
enum { ID_MAP_OWN = 1, ID_MAP_ALL = 2 };
enum { MOUNT_BIND = 1, MOUNT_TMPFS = 2, MOUNT_PROC = 3, MOUNT_DEVPTS = 4, MAKE_DIRECTORY = 5, MAKE_FILE = 6, MAKE_LINK = 7, MOUNT_OWN = 8 };
enum { MOUNT_WRITABLE = 1, MOUNT_DEVICES = 2, MOUNT_NO_EXECUTION = 4, MOUNT_FLAGS = 7 };
enum { CGROUPS_SAY_ABSENCE = 1 }; // that a limit is held by no group
enum { CONTROLLER_MEMORY = 1, CONTROLLER_PIDS = 2, CONTROLLERS = 3 };
enum { HARDENING_NO_NEW_CODE = 1 };
enum { TERMINAL_NEW_SESSION = 1 };
enum { FILTER_WATCHED = 1 };
enum { REPORT_ALL = 1, REPORT_LIVE = 2, REPORT_BY_NODE = 4, REPORT_ASKS = 8, REPORT_BY_LAUNCHER = 16, REPORT_FLAGS = 31 };
enum { REPORT_ROW = 24, REPORT_MASKS = 48 }; // bytes

// In the place of device and inode of a mount or of a rule of Landlock: 0, 0 is not compared, 0, 1 need not be there.
// No file has either.
static inline bool may_be_absent(uint64_t device, uint64_t inode) { return device == 0 && inode == 1; }
enum { EXECUTE_WITH_KEY = 1, EXECUTE_WITH_ARGUMENTS = 2 };

struct plan_header {
  uint8_t magic[8]; // "callgate"
  uint32_t version;
  uint32_t length; // of the whole plan, in bytes
  uint32_t steps;
  uint32_t architecture; // AUDIT_ARCH_*: numbers in filters mean nothing on another one
  uint64_t checksum;     // plan_checksum() of the whole plan, which takes this field as zero; against garbling only
  uint64_t reserved;     // zero
};

// ── A plan that was checked ────────────────────────────────────────────────────────────────────────────────────
// Views into the plan's bytes; "strings" are NUL-terminated and follow each other.

struct cgroups_step { // u32 count, u32 flags, count × cgroup_entry
  bool present, says_absence;
  uint32_t count;
  const uint8_t *entries;
  size_t size;
};

// One control group that is made for the sandbox. With a version, its folder is looked for at the start, and of such entries
// each adds the controllers that those before it could not have.
// u32 settings, u32 events, u32 version or 0, u32 CONTROLLER_*, parent, settings × cgroup_setting, events × cgroup_event
struct cgroup_entry {
  uint32_t settings, events, version, controllers;
  const char *parent; // the folder that it is made in, or empty
};

struct cgroup_setting { // u32 optional: not every kernel has it, file, value
  bool optional;
  const char *file, *value;
};

// A limit that was reached: the number behind the key, in a file of lines "KEY NUMBER", is not 0.
struct cgroup_event { // file, key, sentence
  const char *file, *key, *sentence;
};

struct environment_step { // u32 keep_all, u32 keep_count, u32 set_count, u32 0, strings
  bool present, keep_all;
  uint32_t keep_count, set_count;
  const char *keep; // names; a trailing * matches every name that begins so
  const char *set;  // NAME=VALUE
};

// What a call is noted by. Rows are sorted by architecture and number; of one call's the last is for what the others are not.
struct report_row {
  uint32_t arch, nr;
  uint32_t widths;    // two bits for each argument: how many of 0, 16, 32, 64 bits of it are a scalar
  uint32_t more;      // of the lowest three bits: the argument that points to a path, and 1; of the others: which masks
  uint32_t only, value; // the argument, and 1, whose low half must be this value; 0: it is for all
};

// The bits by which kinds of denials are told apart, of each argument. Most calls have the same few.
struct report_masks {
  uint64_t of[6];
};

// u32 flags, u32 records, u32 target, u32 length, u32 refusals, u32 0, u32 rows, u32 masks, masks, rows, the policy for who
// prints, strings
struct report_step {
  bool present;
  uint32_t flags, records, target, policy_length, refusal_count, row_count, masks_count;
  const uint8_t *masks; // struct report_masks
  const uint8_t *rows;  // struct report_row
  const uint8_t *policy;
  // Where the launcher prints: the call of each row in words, with a byte 1 to 6 where an argument register is shown; and
  // of each refusal its errno and what says so.
  const char *calls, *refusals;
};

struct namespaces_step { // u32 CLONE_NEW* flags
  bool present;
  uint32_t flags;
};

struct id_maps_step { // u32 ID_MAP_*
  bool present;
  uint32_t kind;
};

struct callers_folder_step { // u64 Landlock's rights
  bool present;
  uint64_t rights;
};

// One mount, or one thing that is made to mount on. Targets are relative to the new root.
struct mount_entry { // u32 kind, u32 flags, u32 mode, u32 0, u64 device, u64 inode (0, 0: not compared), source, target
  uint32_t kind, flags, mode;
  uint64_t device, inode;
  const char *source; // BIND: a path of the caller's; LINK: what it says; TMPFS: its size, or empty; else empty
  const char *target;
};

struct mounts_step { // u32 count, u32 0, count × mount_entry
  bool present;
  uint32_t count;
  const uint8_t *entries;
  size_t size;
};

struct host_name_step { // string
  bool present;
  uint32_t length;
  const char *name;
};

struct limits_step { // u32 count, u32 wall time in seconds (0: none), count × (u32 RLIMIT_*, u32 unless, u64 value)
  bool present;
  uint32_t count, wall_time;
  const uint8_t *limits; // unless: CONTROLLER_*; where a group that was found has one of them, it holds instead
};

struct explain_kill_step { // string: what is said when SIGSYS has ended the program
  const char *sentence;
};

struct identity_step { // u32 uid, u32 gid: no other groups
  bool present;
  uint32_t uid, gid;
};

struct hardening_step { // u32 flags
  uint32_t flags;
};

struct landlock_step { // u32 least ABI, u32 scopes, u64 files, u64 network, u32 rules, u32 ports, rules, ports
  bool present;
  uint32_t least, scopes, rule_count, port_count;
  uint64_t files, network; // the rights that are taken away; the rules give some back
  const uint8_t *rules;    // u64 rights, u64 device, u64 inode (0, 0: not compared), string
  size_t rules_size;
  const uint8_t *ports;    // u64 rights, u64 port
};

struct detach_mount_step { // string
  bool present;
  const char *path;
};

struct working_directory_step { // u64 device, u64 inode (0, 0: not compared), string
  bool present;
  uint64_t device, inode;
  const char *path;
};

struct terminal_step { // u32 flags
  bool present;
};

struct close_step { // u32 count, count × u32 descriptor, ascending, above 2
  bool present;
  uint32_t count;
  const uint8_t *keep;
};

struct signals_step { // u64 mask: bit N-1 for signal N
  bool present;
  uint64_t keep_ignored;
};

struct filter_step { // u32 flags, u32 patches, u32 instructions, u32 0, patches, instructions
  bool is_watched;
  uint32_t patch_count, instruction_count;
  const uint8_t *patches; // u32 instruction, u32 key word
  uint8_t *instructions;  // struct sock_filter; not const, since the key is written into them
};

struct execute_step { // u32 argc, u32 flags, strings: path, argv
  uint32_t argument_count;
  bool with_key, with_arguments; // with the launcher's own arguments behind these
  const char *path;
  const char *arguments;
};

struct plan {
  struct report_step report;
  struct cgroups_step cgroups;
  struct namespaces_step namespaces;
  struct id_maps_step id_maps;
  struct callers_folder_step callers_folder;
  struct mounts_step mounts;
  bool pivot;
  struct host_name_step host_name;
  struct limits_step limits;
  struct explain_kill_step explain_kill;
  struct identity_step identity;
  bool capabilities;
  struct hardening_step hardening;
  struct landlock_step landlock;
  struct detach_mount_step detach_mount;
  struct environment_step environment;
  struct working_directory_step working_directory;
  struct terminal_step terminal;
  bool no_new_privileges;
  struct close_step close;
  struct signals_step signals;
  struct filter_step deciding, rule, notifying; // no instructions: not there
  uint32_t filter_count;
  struct filter_step filters[FILTERS_MAXIMUM];
  struct execute_step execute;
};

// ── The check ──────────────────────────────────────────────────────────────────────────────────────────────────
// A pure function over the bytes: no system call, no memory beyond them. check-plan.c compiles it as an ordinary
// program under sanitizers. It answers NULL when the plan is valid, else what is wrong with it.

// What is left of one payload. A read past its end makes `short_of` true and answers zero; nobody trusts the
// values before `short_of` was looked at.
struct payload {
  uint8_t *at;
  size_t left;
  bool short_of;
};

static inline uint32_t load32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t load64(const uint8_t *at) {
  return (uint64_t)load32(at) | (uint64_t)load32(at + 4) << 32;
}

static inline uint8_t *take(struct payload *payload, size_t length) {
  if (payload->left < length) {
    payload->short_of = true;
    payload->left = 0;
    return NULL;
  }
  uint8_t *taken = payload->at;
  payload->at += length;
  payload->left -= length;
  return taken;
}

static inline uint32_t take32(struct payload *payload) {
  const uint8_t *at = take(payload, 4);
  return at == NULL ? 0 : load32(at);
}

static inline uint64_t take64(struct payload *payload) {
  const uint8_t *at = take(payload, 8);
  return at == NULL ? 0 : load64(at);
}

// `count` strings, each of which ends inside the payload.
static inline const char *take_strings(struct payload *payload, uint32_t count) {
  const char *first = (const char *)payload->at;
  for (uint32_t i = 0; i < count; i++) {
    do {
      if (payload->left == 0) {
        payload->short_of = true;
        return NULL;
      }
      payload->left--;
    } while (*payload->at++ != 0);
  }
  return first;
}

static inline const char *next_string(const char *string) {
  while (*string != 0) string++;
  return string + 1;
}

static inline size_t length_of(const char *string) { return (size_t)(next_string(string) - string) - 1; }

static inline bool is_word(const char *given, const char *word) {
  while (*given != 0 && *given == *word) given++, word++;
  return *given == *word;
}

// The 4 bytes from a place on, those of the checksum itself and those behind the end as zero.
static inline uint32_t checked_word(const uint8_t *bytes, size_t length, size_t at) {
  const size_t field = offsetof(struct plan_header, checksum);
  if (at == field || at == field + 4) return 0;
  if (at + 4 <= length) return load32(bytes + at);
  uint32_t word = 0;
  for (int shift = 0; at < length; at++, shift += 8) word |= (uint32_t)bytes[at] << shift;
  return word;
}

static inline uint64_t plan_checksum(const uint8_t *bytes, size_t length) {
  const uint32_t prime = 0x1000193;
  uint32_t low = 0x811c9dc5, high = 0xcbf29ce4;
  for (size_t i = 0; i < length; i += 8) {
    low = (low ^ checked_word(bytes, length, i)) * prime;
    high = (high ^ low >> 15 ^ checked_word(bytes, length, i + 4)) * prime;
  }
  return (uint64_t)high << 32 | low;
}

static inline const char *check_report(struct payload *payload, struct report_step *step) {
  step->flags = take32(payload);
  step->records = take32(payload);
  step->target = take32(payload);
  step->policy_length = take32(payload);
  step->refusal_count = take32(payload);
  uint32_t reserved = take32(payload);
  step->row_count = take32(payload);
  step->masks_count = take32(payload);
  if (payload->short_of) return NULL;
  if (reserved != 0) return "its report step has unknown flags";
  if ((step->flags & ~(uint32_t)REPORT_FLAGS) != 0) return "its report step has unknown flags";
  if (step->row_count > REPORT_ROWS_MAXIMUM || step->masks_count > step->row_count) return "its report step has too many rows";
  bool by_node = (step->flags & REPORT_BY_NODE) != 0, by_launcher = (step->flags & REPORT_BY_LAUNCHER) != 0;
  bool to_socket = step->records > 2 && step->records <= INT32_MAX;
  if ((by_node ? 1 : 0) + (by_launcher ? 1 : 0) + (to_socket ? 1 : 0) != 1 || (!to_socket && step->records != 0) ||
      (!by_node && step->target != 0))
    return "its report step has no place for the records";
  if (by_launcher ? step->refusal_count > ERRNO_MAXIMUM || (step->flags & REPORT_ASKS) != 0 : step->refusal_count != 0)
    return "its report step has words for nobody, or for too much";
  if (step->target > INT32_MAX) return "its report step names no descriptor";
  step->masks = take(payload, (size_t)step->masks_count * REPORT_MASKS);
  step->rows = take(payload, (size_t)step->row_count * REPORT_ROW);
  step->policy = take(payload, step->policy_length);
  if (by_launcher) {
    step->calls = take_strings(payload, step->row_count);
    step->refusals = take_strings(payload, step->refusal_count * 2);
  }
  if (payload->short_of) return NULL;
  for (uint32_t i = 0; i < step->row_count; i++) {
    const uint8_t *row = step->rows + (size_t)i * REPORT_ROW, *next = row + REPORT_ROW;
    const size_t only = offsetof(struct report_row, only);
    uint32_t more = load32(row + offsetof(struct report_row, more));
    if ((more & 7) > 6 || load32(row + only) > 6) return "a row of its report step names no argument";
    if (more >> 3 >= step->masks_count) return "a row of its report step has no masks";
    // Who looks for the row of a question goes on to the last of its call's.
    if (load32(row + only) != 0 && (i + 1 == step->row_count || load32(next) != load32(row) || load32(next + 4) != load32(row + 4)))
      return "a row of its report step has none behind it for the rest of the call";
  }
  step->present = true;
  return NULL;
}

static inline struct cgroup_entry take_cgroup(struct payload *payload) {
  struct cgroup_entry entry = {0};
  entry.settings = take32(payload);
  entry.events = take32(payload);
  entry.version = take32(payload);
  entry.controllers = take32(payload);
  entry.parent = take_strings(payload, 1);
  return entry;
}

static inline struct cgroup_setting take_cgroup_setting(struct payload *payload) {
  struct cgroup_setting setting = {0};
  setting.optional = take32(payload) != 0;
  setting.file = take_strings(payload, 1);
  setting.value = take_strings(payload, 1);
  return setting;
}

static inline struct cgroup_event take_cgroup_event(struct payload *payload) {
  struct cgroup_event event = {0};
  event.file = take_strings(payload, 1);
  event.key = take_strings(payload, 1);
  event.sentence = take_strings(payload, 1);
  return event;
}

// A file of the group itself.
static inline bool is_plain_name(const char *name) {
  if (*name == 0 || *name == '.') return false;
  for (; *name != 0; name++)
    if (*name == '/') return false;
  return true;
}

static inline const char *check_cgroups(struct payload *payload, struct cgroups_step *step) {
  step->count = take32(payload);
  uint32_t flags = take32(payload);
  if ((flags & ~(uint32_t)CGROUPS_SAY_ABSENCE) != 0) return "its cgroup step has unknown flags";
  step->says_absence = flags != 0;
  if (step->count > CGROUPS_MAXIMUM) return "it has too many control groups";
  if (step->count == 0 && !payload->short_of) return "its cgroup step has no group";
  step->entries = payload->at;
  step->size = payload->left;
  uint32_t events = 0;
  for (uint32_t i = 0; i < step->count; i++) {
    struct cgroup_entry entry = take_cgroup(payload);
    if (payload->short_of) return NULL;
    bool is_sought = entry.version == 2 || (entry.version == 1 && (entry.controllers & (entry.controllers - 1)) == 0);
    bool is_given = entry.version == 0 && entry.controllers == 0;
    if (is_sought ? entry.controllers == 0 || (entry.controllers & ~(uint32_t)CONTROLLERS) != 0 : !is_given)
      return "a control group has unknown controllers";
    if (is_sought ? *entry.parent != 0 : *entry.parent != '/') return "the folder of a control group is not absolute";
    events += entry.events;
    if (entry.settings > CGROUP_SETTINGS_MAXIMUM || entry.events > CGROUP_EVENTS_MAXIMUM || events > CGROUP_EVENTS_MAXIMUM)
      return "a control group has too many settings or events";
    for (uint32_t j = 0; j < entry.settings; j++) {
      struct cgroup_setting setting = take_cgroup_setting(payload);
      if (payload->short_of) return NULL;
      if (!is_plain_name(setting.file) || *setting.value == 0) return "a setting of a control group is none";
    }
    for (uint32_t j = 0; j < entry.events; j++) {
      struct cgroup_event event = take_cgroup_event(payload);
      if (payload->short_of) return NULL;
      if (!is_plain_name(event.file) || *event.key == 0 || *event.sentence == 0) return "an event of a control group is none";
    }
  }
  step->present = true;
  return NULL;
}

static inline const char *check_namespaces(struct payload *payload, struct namespaces_step *step) {
  step->flags = take32(payload);
  if (payload->short_of) return NULL;
  if (step->flags == 0 || (step->flags & ~(uint32_t)NAMESPACE_FLAGS) != 0) return "its namespaces are unknown ones";
  const uint32_t least = 0x10000000 | 0x20000000; // CLONE_NEWUSER, CLONE_NEWPID
  if ((step->flags & least) != least) return "its namespaces are without those of users and of processes";
  step->present = true;
  return NULL;
}

static inline const char *check_id_maps(struct payload *payload, struct id_maps_step *step) {
  step->kind = take32(payload);
  if (payload->short_of) return NULL;
  if (step->kind != ID_MAP_OWN && step->kind != ID_MAP_ALL) return "its id maps are of an unknown kind";
  step->present = true;
  return NULL;
}

static inline const char *check_callers_folder(struct payload *payload, struct callers_folder_step *step) {
  step->rights = take64(payload);
  step->present = true;
  return NULL;
}

static inline struct mount_entry take_mount(struct payload *payload) {
  struct mount_entry entry = {0};
  entry.kind = take32(payload);
  entry.flags = take32(payload);
  entry.mode = take32(payload);
  if (take32(payload) != 0) entry.kind = 0;
  entry.device = take64(payload);
  entry.inode = take64(payload);
  entry.source = take_strings(payload, 1);
  entry.target = take_strings(payload, 1);
  return entry;
}

static inline const char *check_mounts(struct payload *payload, struct mounts_step *step) {
  step->count = take32(payload);
  uint32_t reserved = take32(payload);
  if (reserved != 0) return "its mounts step has unknown flags";
  if (step->count > MOUNTS_MAXIMUM) return "it has too many mounts";
  step->entries = payload->at;
  step->size = payload->left;
  for (uint32_t i = 0; i < step->count; i++) {
    struct mount_entry entry = take_mount(payload);
    if (payload->short_of) return NULL;
    if (entry.kind < MOUNT_BIND || entry.kind > MOUNT_OWN) return "a mount is of an unknown kind";
    if ((entry.flags & ~(uint32_t)MOUNT_FLAGS) != 0 || entry.mode > 07777) return "a mount has unknown flags";
    if (*entry.target == 0 || *entry.target == '/') return "a mount's target is not relative to the new root";
    if ((entry.kind == MOUNT_BIND || entry.kind == MAKE_LINK) && *entry.source == 0) return "a mount has no source";
  }
  step->present = true;
  return NULL;
}

static inline const char *check_host_name(struct payload *payload, struct host_name_step *step) {
  step->name = take_strings(payload, 1);
  if (payload->short_of) return NULL;
  while (step->length <= HOST_NAME_MAXIMUM && step->name[step->length] != 0) step->length++;
  if (step->length == 0 || step->length > HOST_NAME_MAXIMUM) return "its host name is empty or too long";
  step->present = true;
  return NULL;
}

static inline const char *check_limits(struct payload *payload, struct limits_step *step) {
  step->count = take32(payload);
  step->wall_time = take32(payload);
  if (step->count > LIMITS_MAXIMUM) return "it has too many limits";
  step->limits = take(payload, (size_t)step->count * 16);
  for (uint32_t i = 0; i < step->count && step->limits != NULL; i++)
    if ((load32(step->limits + (size_t)i * 16 + 4) & ~(uint32_t)CONTROLLERS) != 0) return "a limit has unknown flags";
  step->present = true;
  return NULL;
}

static inline const char *check_explain_kill(struct payload *payload, struct explain_kill_step *step) {
  step->sentence = take_strings(payload, 1);
  return NULL;
}

static inline const char *check_identity(struct payload *payload, struct identity_step *step) {
  step->uid = take32(payload);
  step->gid = take32(payload);
  if (step->uid == ~0U || step->gid == ~0U) return "its identity is none";
  step->present = true;
  return NULL;
}

static inline const char *check_hardening(struct payload *payload, struct hardening_step *step) {
  step->flags = take32(payload);
  if (!payload->short_of && step->flags != HARDENING_NO_NEW_CODE) return "its hardening step has unknown flags";
  return NULL;
}

static inline const char *check_landlock(struct payload *payload, struct landlock_step *step) {
  step->least = take32(payload);
  step->scopes = take32(payload);
  step->files = take64(payload);
  step->network = take64(payload);
  step->rule_count = take32(payload);
  step->port_count = take32(payload);
  if (payload->short_of) return NULL;
  if (step->rule_count > RESTRICTIONS_MAXIMUM || step->port_count > RESTRICTIONS_MAXIMUM)
    return "it has too many rules of Landlock";
  step->rules = payload->at;
  step->rules_size = payload->left;
  for (uint32_t i = 0; i < step->rule_count; i++) {
    take(payload, 24);
    take_strings(payload, 1);
  }
  step->ports = take(payload, (size_t)step->port_count * 16);
  step->present = true;
  return NULL;
}

static inline const char *check_detach_mount(struct payload *payload, struct detach_mount_step *step) {
  step->path = take_strings(payload, 1);
  step->present = true;
  return NULL;
}

static inline const char *check_environment(struct payload *payload, struct environment_step *step) {
  uint32_t keep_all = take32(payload);
  step->keep_count = take32(payload);
  step->set_count = take32(payload);
  uint32_t reserved = take32(payload);
  if (keep_all > 1 || reserved != 0) return "its environment step has unknown flags";
  if (step->keep_count > ENVIRONMENT_MAXIMUM || step->set_count > ENVIRONMENT_MAXIMUM)
    return "its environment step names too many variables";
  if (keep_all == 1 && step->keep_count != 0) return "its environment step keeps all and names some";
  step->keep = take_strings(payload, step->keep_count);
  step->set = take_strings(payload, step->set_count);
  if (payload->short_of) return NULL; // the caller says so
  const char *string = step->keep;
  for (uint32_t i = 0; i < step->keep_count; i++, string = next_string(string)) {
    if (*string == 0) return "its environment step keeps a variable without a name";
    for (const char *at = string; *at != 0; at++)
      if (*at == '=') return "its environment step keeps a name with = in it";
  }
  string = step->set;
  for (uint32_t i = 0; i < step->set_count; i++, string = next_string(string)) {
    const char *at = string;
    while (*at != 0 && *at != '=') at++;
    if (*at == 0 || at == string) return "its environment step sets something that is not NAME=VALUE";
  }
  step->keep_all = keep_all == 1;
  step->present = true;
  return NULL;
}

static inline const char *check_working_directory(struct payload *payload, struct working_directory_step *step) {
  step->device = take64(payload);
  step->inode = take64(payload);
  step->path = take_strings(payload, 1);
  step->present = true;
  return NULL;
}

static inline const char *check_terminal(struct payload *payload, struct terminal_step *step) {
  if (take32(payload) != TERMINAL_NEW_SESSION && !payload->short_of) return "its terminal step has unknown flags";
  step->present = true;
  return NULL;
}

static inline const char *check_close(struct payload *payload, struct close_step *step) {
  step->count = take32(payload);
  if (step->count > KEPT_DESCRIPTORS_MAXIMUM) return "it keeps too many descriptors";
  step->keep = take(payload, (size_t)step->count * 4);
  if (payload->short_of) return NULL;
  uint32_t last = 2;
  for (uint32_t i = 0; i < step->count; i++) {
    uint32_t descriptor = load32(step->keep + (size_t)i * 4);
    if (descriptor <= last || descriptor > INT32_MAX) return "the descriptors that it keeps are not ascending from 3";
    last = descriptor;
  }
  step->present = true;
  return NULL;
}

static inline const char *check_signals(struct payload *payload, struct signals_step *step) {
  step->keep_ignored = take64(payload);
  step->present = true;
  return NULL;
}

static inline const char *check_filter(struct payload *payload, struct filter_step *step) {
  uint32_t flags = take32(payload);
  step->patch_count = take32(payload);
  step->instruction_count = take32(payload);
  uint32_t reserved = take32(payload);
  if (payload->short_of) return NULL;
  if ((flags & ~(uint32_t)FILTER_WATCHED) != 0 || reserved != 0) return "a filter step has unknown flags";
  step->is_watched = (flags & FILTER_WATCHED) != 0;
  if (step->instruction_count == 0) return "a filter has no instruction";
  if (step->instruction_count > INSTRUCTIONS_MAXIMUM) return "a filter has more than 4096 instructions";
  if (step->patch_count > PATCHES_MAXIMUM) return "a filter has too many places for the launch key";
  step->patches = take(payload, (size_t)step->patch_count * 8);
  step->instructions = take(payload, (size_t)step->instruction_count * 8);
  if (payload->short_of) return NULL;
  for (uint32_t i = 0; i < step->patch_count; i++) {
    uint32_t instruction = load32(step->patches + (size_t)i * 8);
    uint32_t word = load32(step->patches + (size_t)i * 8 + 4);
    if (instruction >= step->instruction_count) return "a place for the launch key is outside its filter";
    if (word >= KEY_WORDS) return "a place for the launch key asks for a word that the key does not have";
    // BPF_JMP | BPF_JEQ | BPF_K: anything else would let the key decide what the filter does.
    const uint8_t *code = step->instructions + (size_t)instruction * 8;
    if (code[0] != 0x15 || code[1] != 0) return "a place for the launch key is not a comparison with a constant";
  }
  return NULL;
}

static inline const char *check_execute(struct payload *payload, struct execute_step *step) {
  step->argument_count = take32(payload);
  uint32_t flags = take32(payload);
  if (flags > (EXECUTE_WITH_KEY | EXECUTE_WITH_ARGUMENTS)) return "its execute step has unknown flags";
  if (step->argument_count == 0 && !payload->short_of) return "its program has no arguments, not even its own name";
  if (step->argument_count > ARGUMENTS_MAXIMUM) return "its program has too many arguments";
  step->path = take_strings(payload, 1);
  step->arguments = take_strings(payload, step->argument_count);
  step->with_key = (flags & EXECUTE_WITH_KEY) != 0;
  step->with_arguments = (flags & EXECUTE_WITH_ARGUMENTS) != 0;
  return NULL;
}

static inline const char *check_step(uint32_t kind, struct payload *payload, struct plan *plan) {
  switch (kind) {
    case STEP_REPORT: return check_report(payload, &plan->report);
    case STEP_CGROUPS: return check_cgroups(payload, &plan->cgroups);
    case STEP_NAMESPACES: return check_namespaces(payload, &plan->namespaces);
    case STEP_ID_MAPS: return check_id_maps(payload, &plan->id_maps);
    case STEP_CALLERS_FOLDER: return check_callers_folder(payload, &plan->callers_folder);
    case STEP_MOUNTS: return check_mounts(payload, &plan->mounts);
    case STEP_PIVOT: plan->pivot = true; return NULL;
    case STEP_HOST_NAME: return check_host_name(payload, &plan->host_name);
    case STEP_LIMITS: return check_limits(payload, &plan->limits);
    case STEP_EXPLAIN_KILL: return check_explain_kill(payload, &plan->explain_kill);
    case STEP_IDENTITY: return check_identity(payload, &plan->identity);
    case STEP_CAPABILITIES: plan->capabilities = true; return NULL;
    case STEP_HARDENING: return check_hardening(payload, &plan->hardening);
    case STEP_LANDLOCK: return check_landlock(payload, &plan->landlock);
    case STEP_DETACH_MOUNT: return check_detach_mount(payload, &plan->detach_mount);
    case STEP_ENVIRONMENT: return check_environment(payload, &plan->environment);
    case STEP_WORKING_DIRECTORY: return check_working_directory(payload, &plan->working_directory);
    case STEP_TERMINAL: return check_terminal(payload, &plan->terminal);
    case STEP_NO_NEW_PRIVILEGES: plan->no_new_privileges = true; return NULL;
    case STEP_CLOSE: return check_close(payload, &plan->close);
    case STEP_SIGNALS: return check_signals(payload, &plan->signals);
    case STEP_DECIDING_FILTER: return check_filter(payload, &plan->deciding);
    case STEP_RULE_FILTER: return check_filter(payload, &plan->rule);
    case STEP_NOTIFYING_FILTER: return check_filter(payload, &plan->notifying);
    case STEP_FILTER:
      if (plan->filter_count == FILTERS_MAXIMUM) return "it has too many filters";
      return check_filter(payload, &plan->filters[plan->filter_count++]);
    case STEP_EXECUTE: return check_execute(payload, &plan->execute);
    default: return "it has a step that this launcher does not know: launcher and callgate are of different versions";
  }
}

static inline const char *check_plan_header(const uint8_t *bytes, size_t length, uint32_t architecture) {
  if (length == 0) return "it is empty";
  if (length < sizeof(struct plan_header)) return "it ends inside its header";
  for (size_t i = 0; i < 8; i++)
    if (bytes[i] != (uint8_t)"callgate"[i]) return "it does not begin as a plan does";
  if (load32(bytes + offsetof(struct plan_header, version)) != PLAN_VERSION)
    return "its version is not 1: launcher and callgate are of different versions";
  if (load32(bytes + offsetof(struct plan_header, length)) != length) return "its length is not what its header says";
  if (load32(bytes + offsetof(struct plan_header, architecture)) != architecture)
    return "it was made for another architecture";
  if (load64(bytes + offsetof(struct plan_header, reserved)) != 0) return "its header's reserved field is not zero";
  return NULL;
}

// All but the checksum, which is not looked at where a keyed hash over the same bytes was.
static inline const char *check_authentic_plan(uint8_t *bytes, size_t length, uint32_t architecture, struct plan *plan) {
  const char *wrong_header = check_plan_header(bytes, length, architecture);
  if (wrong_header != NULL) return wrong_header;

  uint32_t steps = load32(bytes + offsetof(struct plan_header, steps));
  uint32_t last = 0;
  size_t at = sizeof(struct plan_header);
  for (uint32_t i = 0; i < steps; i++) {
    if (last == STEP_EXECUTE) return "it has steps after the program's start";
    if (length - at < 8) return "it ends inside a step";
    uint32_t kind = load32(bytes + at);
    uint32_t size = load32(bytes + at + 4);
    at += 8;
    if (size > length - at) return "it ends inside a step";
    if (kind < last || (kind == last && kind != STEP_FILTER)) return "its steps are not in their order";
    last = kind;

    struct payload payload = {bytes + at, size, false};
    const char *wrong = check_step(kind, &payload, plan);
    if (wrong != NULL) return wrong;
    if (payload.short_of) return "a step is shorter than what it must hold, or a string in it has no end";
    if (payload.left != 0) return "a step is longer than what it holds";

    at += size;
    for (; at % 8 != 0; at++)
      if (at >= length || bytes[at] != 0) return "the padding after a step is not zero";
  }
  if (at != length) return "there are bytes after its last step";
  if (last != STEP_EXECUTE) return "it starts no program";

  // Without a namespace of its own a mount would be everybody's.
  if (plan->mounts.present != plan->pivot) return "it has mounts or a pivot, but not both";
  if (plan->mounts.present && (plan->namespaces.flags & 0x20000) == 0) return "it has mounts and no mount namespace";
  if (plan->id_maps.present != ((plan->namespaces.flags & 0x10000000) != 0))
    return "it has id maps or a user namespace, but not both";
  if (plan->host_name.present && (plan->namespaces.flags & 0x4000000) == 0)
    return "it has a host name and no namespace for it";

  // Who answers calls decides by one plain filter; one that asks has the questions marked in a filter of its own.
  if (plan->report.present != (plan->notifying.instruction_count != 0))
    return "it has a report or a filter that hands calls up, but not both";
  if (plan->report.present && plan->filter_count != 1) return "it has a report, and not one plain filter";
  if (((plan->report.flags & REPORT_ASKS) != 0) != (plan->deciding.instruction_count != 0))
    return "it asks or has a filter that decides what is asked, but not both";

  if (((plan->report.flags & REPORT_BY_LAUNCHER) != 0) != (plan->rule.instruction_count != 0) || plan->rule.patch_count != 0)
    return "its launcher tells denials or it has a filter that names rules, but not both";

  uint32_t patches = plan->notifying.patch_count + plan->deciding.patch_count;
  for (uint32_t i = 0; i < plan->filter_count; i++) patches += plan->filters[i].patch_count;
  if ((patches != 0) != plan->execute.with_key)
    return "the launch key is used by its filters or by its execute step, but not by both";
  return NULL;
}

// `plan` comes zeroed. `bytes` are not changed here, but filter views into them are written to later.
static inline const char *check_plan(uint8_t *bytes, size_t length, uint32_t architecture, struct plan *plan) {
  const char *wrong = check_plan_header(bytes, length, architecture);
  if (wrong != NULL) return wrong;
  if (load64(bytes + offsetof(struct plan_header, checksum)) != plan_checksum(bytes, length))
    return "its checksum is wrong: it was changed or damaged on its way";
  return check_authentic_plan(bytes, length, architecture, plan);
}

#endif
