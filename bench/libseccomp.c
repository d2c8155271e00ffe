// A profile's filter by libseccomp, written to standard output:   libseccomp LEVEL < lines
//   default ACTION                        an action in libseccomp's own number
//   arch TOKEN                            an architecture beside x86_64
//   rule ACTION NAME [INDEX OP A B]…      OP as in enum scmp_compare
// Names that it does not know are left out, as runc and crun do; how many is told on standard error.
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "libseccomp: %s: %s\n", what, strerror(-result));
  exit(1);
}

int main(int argc, char **argv) {
  char line[512];
  scmp_filter_ctx context = NULL;
  int unknown = 0;
  if (argc != 2) return 2;
  while (fgets(line, sizeof line, stdin) != NULL) {
    char *word = strtok(line, " \n");
    if (word == NULL) continue;
    char *first = strtok(NULL, " \n");
    if (first == NULL) return 2;
    uint32_t number = (uint32_t)strtoul(first, NULL, 0);
    if (strcmp(word, "default") == 0) {
      context = seccomp_init(number);
      if (context == NULL) return 1;
      expect(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, (uint32_t)atoi(argv[1])), "optimize");
    } else if (strcmp(word, "arch") == 0) {
      int result = seccomp_arch_add(context, number);
      if (result != -EEXIST) expect(result, "arch");
    } else {
      char *name = strtok(NULL, " \n");
      if (name == NULL) return 2;
      int call = seccomp_syscall_resolve_name(name);
      if (call == __NR_SCMP_ERROR) {
        unknown++;
        continue;
      }
      struct scmp_arg_cmp comparisons[6];
      unsigned int count = 0;
      for (char *index; count < 6 && (index = strtok(NULL, " \n")) != NULL; count++) {
        char *op = strtok(NULL, " \n"), *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n");
        if (op == NULL || a == NULL || b == NULL) return 2;
        comparisons[count] = (struct scmp_arg_cmp){(unsigned int)atoi(index), (enum scmp_compare)atoi(op), strtoull(a, NULL, 0), strtoull(b, NULL, 0)};
      }
      expect(seccomp_rule_add_array(context, number, call, count, comparisons), name);
    }
  }
  expect(seccomp_export_bpf(context, 1), "export");
  fprintf(stderr, "%d\n", unknown);
  return 0;
}
