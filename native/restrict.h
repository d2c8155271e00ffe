// What the process gives up of itself: limits, identity, capabilities, and what Landlock takes. A part of launcher.c.

#ifndef CALLGATE_RESTRICT_H
#define CALLGATE_RESTRICT_H

static void set_limits(const struct limits_step *step) {
  for (uint32_t i = 0; i < step->count; i++) {
    const uint8_t *at = step->limits + (size_t)i * 16;
    if ((load32(at + 4) & controllers_held) != 0) continue;
    uint64_t value = load64(at + 8);
    enum { RLIMIT_CPU = 0 };
    // At its end of processor time a program gets SIGXCPU, by which the end can be explained; a second later SIGKILL.
    struct resource_limit limit = {value, load32(at) == RLIMIT_CPU ? value + 1 : value}, old;
    long result = CALL(prlimit64, 0, load32(at), 0, &old);
    if (result < 0) fail_step(STEP_LIMITS, "prlimit64", NULL, result, NULL);
    // A stricter limit that the caller lives under stays.
    if (old.maximum < limit.maximum) limit.maximum = old.maximum;
    if (old.current < limit.current) limit.current = old.current;
    result = CALL(prlimit64, 0, load32(at), &limit, 0);
    if (result < 0) fail_step(STEP_LIMITS, "prlimit64", NULL, result, NULL);
  }
}

// Groups first: without the user's rights they could not be given up.
static void take_identity(const struct identity_step *step) {
  if (!step->present) return;
  long result = CALL(setgroups, 0, 0);
  if (result < 0) fail_step(STEP_IDENTITY, "setgroups", NULL, result, NULL);
  result = CALL(setresgid, step->gid, step->gid, step->gid);
  if (result < 0) fail_step(STEP_IDENTITY, "setresgid", NULL, result, NULL);
  result = CALL(setresuid, step->uid, step->uid, step->uid);
  if (result < 0) fail_step(STEP_IDENTITY, "setresuid", NULL, result, NULL);
}

// The ways by which execve could give a capability back: the bounding set, and what uid 0 is. It takes some forty calls,
// and so is done before there are the processes of ours that need it too: they are made from this one. Before the
// identity, whose change takes the right to do so. Without CAP_SETPCAP, which everybody has in a user namespace of his own, there
// was nothing to give back in the first place.
static void drop_bounding_set(bool present) {
  if (!present) return;
  enum { NO_ROOT_LOCKED = 0xef }; // NOROOT, NO_SETUID_FIXUP, no KEEP_CAPS, NO_CAP_AMBIENT_RAISE; all locked
  enum { IN_EVERY_KERNEL = 37, END = 64 };
  for (uint64_t capability = 0; capability < END; capability++) {
    long result = CALL(prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
    if (result == -EINVAL && capability >= IN_EVERY_KERNEL) break; // there are no more
    if (result == -EPERM && !has_user_namespace) return;
    must(STEP_CAPABILITIES, "prctl(PR_CAPBSET_DROP)", result);
  }
  long result = CALL(prctl, PR_SET_SECUREBITS, NO_ROOT_LOCKED, 0, 0, 0);
  if (result != -EPERM || has_user_namespace) must(STEP_CAPABILITIES, "prctl(PR_SET_SECUREBITS)", result);
}

static void drop_capabilities(bool present) {
  if (!present) return;
  // Kernels before 4.3 have no ambient capabilities.
  long result = CALL(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (result < 0 && result != -EINVAL) fail_step(STEP_CAPABILITIES, "prctl(PR_CAP_AMBIENT)", NULL, result, NULL);
  struct capability_header header = {CAPABILITY_VERSION_3, 0};
  struct capability_sets none[2] = {{0, 0, 0}, {0, 0, 0}};
  result = CALL(capset, &header, none);
  if (result < 0) fail_step(STEP_CAPABILITIES, "capset", NULL, result, NULL);
}

// ── Landlock ───────────────────────────────────────────────────────────────────────────────────────────────────

enum { LANDLOCK_RULE_PATH = 1, LANDLOCK_RULE_PORT = 2, LANDLOCK_REFER = 1 << 13 };

struct landlock_ruleset {
  uint64_t files, network, scopes;
};
// The kernel's structure is packed.
struct __attribute__((packed)) landlock_path_rule {
  uint64_t rights;
  int32_t directory;
};
struct landlock_port_rule {
  uint64_t rights, port;
};

// What each version of Landlock knows of files: with more than that the kernel would refuse the whole.
static uint64_t known_file_rights(long version) {
  if (version >= 9) return 0x1ffff; // connecting to a socket by its path
  if (version >= 5) return 0xffff;  // ioctl of devices
  if (version >= 3) return 0x7fff;  // truncate
  if (version == 2) return 0x3fff;  // link and rename across folders
  return 0x1fff;
}

static void restrict_by_landlock(const struct landlock_step *step) {
  if (!step->present) return;
  long version = CALL(landlock_create_ruleset, 0, 0, LANDLOCK_VERSION);
  if (version < 0) fail_step(STEP_LANDLOCK, "landlock_create_ruleset", NULL, version, "this kernel has no Landlock");
  if (version < (long)step->least)
    fail_step(STEP_LANDLOCK, "compare", NULL, 0, "this kernel's Landlock is older than the one that the plan was made for");
  uint64_t known = known_file_rights(version);
  struct landlock_ruleset attributes = {step->files & known, version >= 4 ? step->network : 0,
                                        version >= 6 ? step->scopes : 0};
  size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  long ruleset = CALL(landlock_create_ruleset, &attributes, size, 0);
  if (ruleset < 0) fail_step(STEP_LANDLOCK, "landlock_create_ruleset", NULL, ruleset, NULL);

  struct payload payload = {(uint8_t *)(uintptr_t)step->rules, step->rules_size, false};
  for (uint32_t i = 0; i < step->rule_count; i++) {
    uint64_t rights = take64(&payload), device = take64(&payload), inode = take64(&payload);
    const char *path = take_strings(&payload, 1);
    long file = open_compared(STEP_LANDLOCK, path, device, inode);
    if (file < 0) continue;
    struct landlock_path_rule rule = {rights & attributes.files, (int32_t)file};
    if (rule.rights != 0) {
      long result = CALL(landlock_add_rule, ruleset, LANDLOCK_RULE_PATH, &rule, 0);
      if (result < 0) fail_step(STEP_LANDLOCK, "landlock_add_rule", path, result, NULL);
    }
    shut(STEP_LANDLOCK, file);
  }
  if (callers_folder.how == FOLDER_MOUNTED) {
    long file = open_compared(STEP_LANDLOCK, callers_folder.path, callers_folder.status.device, callers_folder.status.inode);
    struct landlock_path_rule rule = {plan.callers_folder.rights & attributes.files, (int32_t)file};
    long result = CALL(landlock_add_rule, ruleset, LANDLOCK_RULE_PATH, &rule, 0);
    if (result < 0) fail_step(STEP_LANDLOCK, "landlock_add_rule", callers_folder.path, result, NULL);
    shut(STEP_LANDLOCK, file);
  }
  for (uint32_t i = 0; i < step->port_count && attributes.network != 0; i++) {
    const uint8_t *at = step->ports + (size_t)i * 16;
    struct landlock_port_rule rule = {load64(at) & attributes.network, load64(at + 8)};
    long result = CALL(landlock_add_rule, ruleset, LANDLOCK_RULE_PORT, &rule, 0);
    if (result < 0) fail_step(STEP_LANDLOCK, "landlock_add_rule", NULL, result, "a port");
  }
  long result = CALL(landlock_restrict_self, ruleset, 0);
  if (result < 0)
    fail_step(STEP_LANDLOCK, "landlock_restrict_self", NULL, result,
              result == -E2BIG ? "there are too many sandboxes in each other" : NULL);
  shut(STEP_LANDLOCK, ruleset);
}

// One domain more, for the program alone: outer is in the one around it, and can do to the program what it must, but
// the program cannot send outer a signal. Outer is in its process group, so that no name of it is needed for that; who
// stopped it would have no more wall time to fear.
static void keep_signals_inside(const struct landlock_step *step) {
  enum { SCOPE_SIGNAL = 2 };
  if (!step->present || (step->scopes & SCOPE_SIGNAL) == 0) return;
  long version = must(STEP_LANDLOCK, "landlock_create_ruleset", CALL(landlock_create_ruleset, 0, 0, LANDLOCK_VERSION));
  if (version < 6) return;
  struct landlock_ruleset attributes = {0, 0, SCOPE_SIGNAL};
  long ruleset = CALL(landlock_create_ruleset, &attributes, sizeof attributes, 0);
  if (ruleset < 0) fail_step(STEP_LANDLOCK, "landlock_create_ruleset", NULL, ruleset, NULL);
  long result = CALL(landlock_restrict_self, ruleset, 0);
  if (result < 0) fail_step(STEP_LANDLOCK, "landlock_restrict_self", NULL, result, NULL);
  shut(STEP_LANDLOCK, ruleset);
}

// Memory that was writable does not become executable, for this program and all that it starts.
static void harden(const struct hardening_step *step) {
  if ((step->flags & HARDENING_NO_NEW_CODE) == 0) return;
  long result = CALL(prctl, PR_SET_MDWE, 1, 0, 0, 0);
  if (result < 0) fail_step(STEP_HARDENING, "prctl(PR_SET_MDWE)", NULL, result, "the kernel has it from 6.3 on");
}

#endif
