// Denials told without Node: the report of a file that `callgate build` has made. A part of launcher.c, of supervisor.h.
//
// All words are in the plan: what each call is called, what each rule says. Which rule refuses a call says the plan's rule
// filter, which is proved equal to the policy with each errno replaced by the number of the refusal. What the program has a
// say in, its name and the paths that it gave, is shown without a byte that could drive a terminal.

#ifndef CALLGATE_REPORT_H
#define CALLGATE_REPORT_H

enum { TEXT_MAXIMUM = 256, TEXT_SHOWN = 100 };
enum { RECORD_DENIAL = 1, RECORD_COUNT = 2, RECORD_END = 3, RECORD_QUESTION = 4, RECORD_OFF = 5, RECORD_WITHDRAWN = 6 };

// What goes to who prints, in the machine's byte order. src/sandbox/denial-records.ts reads it.
struct record {
  uint32_t kind, length;
  uint32_t key, pid; // key: which kind of denial, or which question
  uint64_t count;    // END: denials that were not told apart; OFF: why, an errno
  struct call_data data; // END: args[0] has the packets that found no way out
  char program[16];
  uint32_t text_argument, text_length; // which argument points to the text, and 1
  char text[TEXT_MAXIMUM];
};

static const char *string_at(const char *strings, uint32_t index) {
  for (; index > 0; index--) strings = next_string(strings);
  return strings;
}

static void put_hexadecimal(struct line *line, uint64_t number) {
  int shift = 60;
  put(line, "0x");
  while (shift > 0 && number >> shift == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) put_byte(line, "0123456789abcdef"[number >> shift & 15]);
}

static void put_harmless(struct line *line, const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    uint8_t byte = (uint8_t)text[i];
    if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
      put_byte(line, (char)byte);
      continue;
    }
    put(line, "\\x");
    put_byte(line, "0123456789abcdef"[byte >> 4]);
    put_byte(line, "0123456789abcdef"[byte & 15]);
  }
}

// Of a register as much as the kernel reads; what was only said, behind a pointer, is marked so: it can have changed since.
static void put_argument(struct line *line, const struct record *record, const struct report_row *row, uint32_t index) {
  static const uint64_t widths[4] = {~0ULL, 0xffff, 0xffffffff, ~0ULL};
  if (record->text_length != 0 && record->text_argument == index + 1) {
    put(line, " says \"");
    put_harmless(line, record->text, record->text_length < TEXT_SHOWN ? record->text_length : TEXT_SHOWN);
    put(line, record->text_length < TEXT_SHOWN ? "\"" : "…\"");
    return;
  }
  put(line, " = ");
  put_hexadecimal(line, record->data.args[index] & widths[row->widths >> (2 * index) & 3]);
}

static void put_call(struct line *line, const struct record *record) {
  const struct report_row *row = find_row(plan.report.rows, sizeof(struct report_row), plan.report.row_count, &record->data);
  if (row == NULL) {
    put_byte(line, '#');
    put_number(line, record->data.nr);
    return;
  }
  const char *words = string_at(plan.report.calls, (uint32_t)(row - (const struct report_row *)(const void *)plan.report.rows));
  for (; *words != 0; words++) {
    if (*words >= 1 && *words <= 6) put_argument(line, record, row, (uint32_t)*words - 1);
    else put_byte(line, *words);
  }
}

static void put_count(struct line *line, uint64_t count) {
  if (count < 2) return;
  put(line, "   ×");
  put_number(line, count);
}

static bool has_title;

// As they happen nobody knows how many there will be.
static void write_title(void) {
  static const char title[] = "callgate: calls were denied\n";
  if (!has_title && (plan.report.flags & REPORT_LIVE) == 0) CALL(write, 2, title, sizeof title - 1);
  has_title = true;
}

// Two lines, as `callgate run` has them, without the third: who starts the file did not write its policy.
static void print_denial(const struct record *record) {
  const struct filter_instruction *filter = (const struct filter_instruction *)(const void *)plan.rule.instructions;
  uint32_t value = run_filter(filter, plan.rule.instruction_count, &record->data, NULL);
  uint32_t number = value & 0xffff;
  if ((value & 0xffff0000U) != SECCOMP_RETURN_ERRNO || number == 0 || number > plan.report.refusal_count) return;
  const char *error = string_at(plan.report.refusals, (number - 1) * 2), *reason = next_string(error);
  if (*reason == 0) return; // told only where it is asked for
  write_title();
  struct line line = {.length = 0};
  put(&line, "denied  ");
  put_call(&line, record);
  put(&line, " → ");
  put(&line, error);
  put_count(&line, record->count);
  put(&line, "   by ");
  size_t length = 0;
  while (length < sizeof record->program && record->program[length] != 0) length++;
  put_harmless(&line, record->program, length);
  put_byte(&line, '[');
  put_number(&line, record->pid);
  put(&line, "]\n        ");
  // By one call where it fits: what outer says meanwhile, or the program, would stand in the middle of it.
  if (line.length + length_of(reason) + 1 <= sizeof line.text) {
    put(&line, reason);
    put_byte(&line, '\n');
    CALL(write, 2, line.text, line.length);
    return;
  }
  CALL(write, 2, line.text, line.length);
  CALL(write, 2, reason, length_of(reason));
  CALL(write, 2, "\n", 1);
}

static void print_end(const struct record *record) {
  struct line line = {.length = 0};
  if (record->data.args[0] != 0) {
    write_title();
    put(&line, "denied  network: packets or connections to other machines → ENETUNREACH");
    put_count(&line, record->data.args[0]);
    put(&line, "\n        the program has a network of its own, with no way out\n");
  }
  if (record->count != 0) {
    put(&line, "callgate: ");
    put_number(&line, record->count);
    put(&line, " more denials were of kinds that the supervisor had no room for\n");
  }
  CALL(write, 2, line.text, line.length);
}

// Before there is anything to tell, and so before the program: no call is left to it but these.
static bool become_printing_launcher(int records) {
  static const struct filter_instruction own_filter[] =
      OWN_FILTER(LET(recvfrom), LET(sendto), LET(write), LET(restart_syscall), LET(exit_group));
  int kept[2] = {2, records};
  keep_own_privileges();
  return become_ours(own_filter, sizeof own_filter / sizeof own_filter[0], kept, 2);
}

static bool receive_whole(int from, void *to, size_t length) {
  for (size_t done = 0; done < length;) {
    long count = CALL(recvfrom, from, (uint8_t *)to + done, length - done, 0, 0, 0);
    if (count == -EINTR) continue;
    if (count <= 0) return false;
    done += (size_t)count;
  }
  return true;
}

_Noreturn static void print_denials(int records) {
  static struct record record;
  const size_t head = offsetof(struct record, text);
  while (receive_whole(records, &record, head)) {
    if (record.length < head || record.length > sizeof record || record.text_length > TEXT_MAXIMUM) break;
    if (!receive_whole(records, record.text, record.length - head)) break;
    if (record.kind == RECORD_DENIAL) print_denial(&record);
    if (record.kind != RECORD_END) continue;
    print_end(&record);
    leave(0);
  }
  leave(STATUS_NOT_SAID);
}

#endif
