// The plan's check as an ordinary program, for sanitizers and fuzzers; it is not shipped.
//
//   gcc -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all check-plan.c -o check-plan
//   check-plan FILE…       says of each file whether it is a valid plan
//   check-plan -N FILE     also tries N plans that differ from it at random places, with a right checksum
//
// With -DLIBFUZZER and clang's -fsanitize=fuzzer it is a fuzz target instead.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

static const uint32_t architectures[] = {0xc000003eU, 0xc00000b7U};

static void store32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

// Everything that the launcher later follows without looking: each must lie inside the bytes.
static size_t walk(const struct plan *plan) {
  size_t sum = 0;
  const char *string = plan->environment.keep;
  for (uint32_t i = 0; i < plan->environment.keep_count; i++, string = next_string(string)) sum += strlen(string);
  string = plan->environment.set;
  for (uint32_t i = 0; i < plan->environment.set_count; i++, string = next_string(string)) sum += strlen(string);
  struct payload payload = {(uint8_t *)(uintptr_t)plan->cgroups.entries, plan->cgroups.size, false};
  for (uint32_t i = 0; i < plan->cgroups.count; i++) {
    struct cgroup_entry entry = take_cgroup(&payload);
    sum += strlen(entry.parent);
    for (uint32_t j = 0; j < entry.settings; j++) {
      struct cgroup_setting setting = take_cgroup_setting(&payload);
      sum += strlen(setting.file) + strlen(setting.value);
    }
    for (uint32_t j = 0; j < entry.events; j++) {
      struct cgroup_event event = take_cgroup_event(&payload);
      sum += strlen(event.file) + strlen(event.key) + strlen(event.sentence);
    }
  }
  payload = (struct payload){(uint8_t *)(uintptr_t)plan->mounts.entries, plan->mounts.size, false};
  for (uint32_t i = 0; i < plan->mounts.count; i++) {
    struct mount_entry entry = take_mount(&payload);
    sum += strlen(entry.source) + strlen(entry.target);
  }
  payload = (struct payload){(uint8_t *)(uintptr_t)plan->landlock.rules, plan->landlock.rules_size, false};
  for (uint32_t i = 0; i < plan->landlock.rule_count; i++) {
    sum += take64(&payload) + take64(&payload) + take64(&payload);
    sum += strlen(take_strings(&payload, 1));
  }
  for (uint32_t i = 0; i < plan->landlock.port_count; i++) sum += load64(plan->landlock.ports + (size_t)i * 16 + 8);
  for (uint32_t i = 0; i < plan->limits.count; i++) sum += load64(plan->limits.limits + (size_t)i * 16 + 8);
  if (plan->host_name.present) sum += strlen(plan->host_name.name);
  if (plan->working_directory.present) sum += strlen(plan->working_directory.path);
  for (uint32_t i = 0; i < plan->close.count; i++) sum += load32(plan->close.keep + (size_t)i * 4);
  for (uint32_t i = 0; i < plan->filter_count; i++) {
    const struct filter_step *filter = &plan->filters[i];
    for (uint32_t j = 0; j < filter->patch_count; j++) {
      const uint8_t *patch = filter->patches + (size_t)j * 8;
      sum += filter->instructions[(size_t)load32(patch) * 8 + 7] + load32(patch + 4);
    }
    for (uint32_t j = 0; j < filter->instruction_count * 8; j++) sum += filter->instructions[j];
  }
  sum += strlen(plan->execute.path);
  string = plan->execute.arguments;
  for (uint32_t i = 0; i < plan->execute.argument_count; i++, string = next_string(string)) sum += strlen(string);
  return sum;
}

// A copy that ends where the plan ends, so that a read beyond it is seen.
static const char *check_copy(const uint8_t *bytes, size_t length) {
  uint8_t *copy = malloc(length > 0 ? length : 1);
  if (copy == NULL) abort();
  if (length > 0) memcpy(copy, bytes, length);
  const char *wrong = "no architecture";
  for (size_t i = 0; i < 2 && wrong != NULL; i++) {
    struct plan plan = {0};
    wrong = check_plan(copy, length, architectures[i], &plan);
    static volatile size_t sink;
    if (wrong == NULL) sink = walk(&plan);
    (void)sink;
  }
  free(copy);
  return wrong;
}

static void repair(uint8_t *bytes, size_t length) {
  if (length < sizeof(struct plan_header)) return;
  store32(bytes + offsetof(struct plan_header, length), (uint32_t)length);
  uint64_t sum = plan_checksum(bytes, length);
  store32(bytes + offsetof(struct plan_header, checksum), (uint32_t)sum);
  store32(bytes + offsetof(struct plan_header, checksum) + 4, (uint32_t)(sum >> 32));
}

#ifdef LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  uint8_t *copy = malloc(length > 0 ? length : 1);
  if (copy == NULL) abort();
  if (length > 0) memcpy(copy, bytes, length);
  repair(copy, length);
  check_copy(bytes, length);
  check_copy(copy, length);
  free(copy);
  return 0;
}

#else

static uint64_t state = 0x9e3779b97f4a7c15U; // the same plans in every run

static uint64_t draw(uint64_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state % below;
}

static void mutate(const uint8_t *bytes, size_t length, long rounds) {
  static const uint32_t edges[] = {0, 1, 7, 8, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff};
  long valid = 0;
  for (long round = 0; round < rounds; round++) {
    size_t size = length;
    uint8_t *copy = malloc(length);
    if (copy == NULL) abort();
    memcpy(copy, bytes, length);
    for (uint64_t changes = 1 + draw(4); changes > 0; changes--) {
      size_t at = draw(length);
      switch (draw(5)) {
        case 0: copy[at] = (uint8_t)draw(256); break;
        case 1: copy[at] ^= (uint8_t)(1U << draw(8)); break;
        case 2: store32(copy + at / 4 * 4 % (length - 3), edges[draw(8)]); break;
        case 3: store32(copy + at / 4 * 4 % (length - 3), (uint32_t)draw(length)); break;
        default: size = draw(4) == 0 ? at + 1 : size; break;
      }
    }
    repair(copy, size);
    if (check_copy(copy, size) == NULL) valid++;
    free(copy);
  }
  printf("%ld plans, %ld of them valid\n", rounds, valid);
}

int main(int argc, char **argv) {
  static uint8_t bytes[PLAN_MAXIMUM + 1];
  long rounds = 0;
  int status = 0;
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '-') {
      rounds = strtol(argv[i] + 1, NULL, 10);
      continue;
    }
    FILE *file = fopen(argv[i], "rb");
    if (file == NULL) {
      perror(argv[i]);
      return 2;
    }
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    const char *wrong = check_copy(bytes, length);
    printf("%s: %s\n", argv[i], wrong == NULL ? "valid" : wrong);
    if (wrong != NULL) status = 1;
    if (length >= 4) mutate(bytes, length, rounds);
  }
  return status;
}

#endif
