// Kept plans: `callgate run` keeps the plan that Node made, and runs it again while everything that it rests on is as it
// was. A part of launcher.c.
//
//   use_kept_plan     before Node: finds the plan for these surroundings, checks it and its facts
//   keep_plan         after Node: writes it down
//   say_kept          for `callgate plan`: whether there is one, and which of its facts hold no more

#ifndef CALLGATE_KEPT_PLAN_H
#define CALLGATE_KEPT_PLAN_H

#include "kept.h"

// How many words of `launcher run NODE CLI ARGUMENT…` a plan is found by: up to the one behind the first `--`, the program.
// What follows are its own arguments, on which no plan rests; they are put behind the plan's (run-plan.ts has the same
// rule).
static int words_of_plan(int argc, const char **argv) {
  for (int i = 4; i + 1 < argc; i++)
    if (is_word(argv[i], "--")) return i + 2;
  return argc;
}

// Also of a plan that is not new the user is told what there is to say of it.
static void say_notes(uint8_t *facts, size_t length) {
  struct payload payload = {facts, length, false};
  while (payload.left > 0 && !payload.short_of) {
    struct fact fact = take_fact(&payload);
    if (fact.kind == FACT_NOTE && !payload.short_of) CALL(write, 2, fact.text, length_of(fact.text));
  }
}

// Whether there is a plan that holds; it is then in plan_bytes and `plan`, checked.
static bool use_kept_plan(int argc, const char **argv, const char **environment) {
  struct kept_header header;
  if (!find_kept(argc, argv, environment, plan_bytes, &header)) return false;
  bool holds = check_authentic_plan(plan_bytes, header.plan_length, ARCHITECTURE, &plan) == NULL;
  // It makes namespaces, for which the kernel takes its time, while the files are looked at.
  if (holds) start_first_process(be_first_process);
  if (!holds || !facts_hold(plan_bytes + header.plan_length, header.facts_length)) {
    drop_first_process();
    memset(&plan, 0, sizeof plan);
    return false;
  }
  say_notes(plan_bytes + header.plan_length, header.facts_length);
  return true;
}

// Plan and facts as Node has sent them. Where the caller's limit of files (ulimit -f) is lower, nothing is kept, and the
// program starts.
static void keep_plan(uint8_t *bytes, size_t plan_length, size_t facts_length) {
  struct signal_action ignore = {.handler = SIG_IGN}, callers;
  if (facts_length == 0 || CALL(rt_sigaction, SIGXFSZ, &ignore, &callers, 8) != 0) return;
  keep(bytes, plan_length, facts_length);
  must(STEP_NODE, "rt_sigaction", CALL(rt_sigaction, SIGXFSZ, &callers, 0, 8));
}

// ── For people ─────────────────────────────────────────────────────────────────────────────────────────────────

// launcher kept BEARING NODE CLI ARGUMENT…, of what `launcher run NODE CLI ARGUMENT…` would do: one letter, and behind
// `c` for each fact that holds no more its kind as a digit, its path and a NUL. Nobody acts on it.
enum { KEPT_USED = 'u', KEPT_NONE = 'n', KEPT_CHANGED = 'c', KEPT_UNKNOWN = '?' };

static void say_bytes(const void *bytes, size_t length) { CALL(write, 1, bytes, length); }

static char say_broken_facts(uint8_t *facts, size_t length) {
  char said = KEPT_USED;
  struct payload payload = {facts, length, false};
  while (payload.left > 0) {
    struct fact fact = take_fact(&payload);
    if (payload.short_of) return KEPT_NONE;
    if (fact.kind >= FACT_NOTE || holds(&fact)) continue;
    char kind = (char)('0' + fact.kind);
    if (said == KEPT_USED) say_bytes("c", 1);
    said = KEPT_CHANGED;
    say_bytes(&kind, 1);
    say_bytes(fact.text, length_of(fact.text) + 1);
  }
  return said;
}

static char kept_state(int argc, const char **argv, const char **environment) {
  // Three digits: the mode of seccomp, no_new_privs, a terminal.
  const char *digits = argv[2];
  if (length_of(digits) != 3 || variable(environment, "CALLGATE_FRESH") != NULL) return KEPT_UNKNOWN;
  struct bearing bearing = {digits[0] - '0', digits[1] - '0', digits[2] == '1'};
  if (!hash_surroundings(&bearing, words_of_plan(argc - 1, argv + 1), argv + 1, environment, plan_bytes, surroundings))
    return KEPT_UNKNOWN;
  long folder = open_folder(false);
  if (folder < 0) return KEPT_NONE;
  struct kept_header header;
  return read_kept_file(folder, plan_bytes, &header) ? say_broken_facts(plan_bytes + header.plan_length, header.facts_length) : KEPT_NONE;
}

_Noreturn static void say_kept(int argc, const char **argv, const char **environment) {
  char state = kept_state(argc, argv, environment);
  if (state != KEPT_CHANGED) say_bytes(&state, 1);
  leave(0);
}

#endif
