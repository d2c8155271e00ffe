// callgate's hook: what LXC runs before a container's start, when nothing has changed since the last one.
//
//   hook KEPT CALLGATE ARGUMENT…
//
// KEPT says what the container's profile and first program were made of, and their hashes (src/lxc/kept.ts writes it).
// Where each of those files is the very one that it was (device, inode, size, times of content and of change), the
// kernel too, and what was made still has its hash, there is nothing to do. In every other case, and whatever goes wrong,
// CALLGATE is executed, which makes everything anew. Nothing is ever started with less because of this file.
// Where somebody watches (`callgate lxc watch` listens beside KEPT), too.
//
//   16 bytes "callgate kept 2\0", 64 bytes kernel release; u32 made, u32 inputs; then
//   made × (64 bytes BLAKE2b, path\0), inputs × (u64 device, inode, size, modified ns, changed ns, path\0)

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

enum { KEPT_MAXIMUM = 256 << 10, MADE_MAXIMUM = 8, INPUTS_MAXIMUM = 512, CHUNK = 8 << 10 };

static uint8_t kept[KEPT_MAXIMUM + 1];
static uint8_t content[CHUNK + 128]; // and the block before it

// ── BLAKE2b (RFC 7693), without a key, 64 bytes ────────────────────────────────────────────────────────────────
// Every start waits for this: of the hashes that cannot be forged it is the quickest without instructions of its own.

enum { HASH_SIZE = 64, BLOCK_SIZE = 128, ROUNDS = 12 };

static const uint64_t initial[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

// Which word of the block each step of a round takes; after the tenth round they begin again.
static const uint8_t order[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint64_t rotate(uint64_t word, int bits) {
  return word >> bits | word << (64 - bits);
}

__attribute__((always_inline)) static inline void mix(uint64_t v[16], int a, int b, int c, int d, uint64_t x,
                                                      uint64_t y) {
  v[a] += v[b] + x;
  v[d] = rotate(v[d] ^ v[a], 32);
  v[c] += v[d];
  v[b] = rotate(v[b] ^ v[c], 24);
  v[a] += v[b] + y;
  v[d] = rotate(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = rotate(v[b] ^ v[c], 63);
}

// `length` is of the whole content up to this block's end.
__attribute__((optimize("O3"))) static void compress(uint64_t state[8], const uint8_t *block, uint64_t length,
                                                     bool is_last) {
  uint64_t m[16], v[16];
  // Both architectures have the low byte first.
  for (int i = 0; i < 16; i++) __builtin_memcpy(&m[i], block + 8 * i, sizeof m[i]);
  for (int i = 0; i < 8; i++) v[i] = state[i], v[8 + i] = initial[i];
  v[12] ^= length;
  if (is_last) v[14] = ~v[14];
#pragma GCC unroll 12 // the order's words are then constants
  for (int round = 0; round < ROUNDS; round++) {
    const uint8_t *o = order[round % 10];
    mix(v, 0, 4, 8, 12, m[o[0]], m[o[1]]);
    mix(v, 1, 5, 9, 13, m[o[2]], m[o[3]]);
    mix(v, 2, 6, 10, 14, m[o[4]], m[o[5]]);
    mix(v, 3, 7, 11, 15, m[o[6]], m[o[7]]);
    mix(v, 0, 5, 10, 15, m[o[8]], m[o[9]]);
    mix(v, 1, 6, 11, 12, m[o[10]], m[o[11]]);
    mix(v, 2, 7, 8, 13, m[o[12]], m[o[13]]);
    mix(v, 3, 4, 9, 14, m[o[14]], m[o[15]]);
  }
  for (int i = 0; i < 8; i++) state[i] ^= v[i] ^ v[8 + i];
}

// As many bytes as there are, up to the buffer's end; negative: an error.
static long read_bytes(long file, uint8_t *to, size_t room) {
  size_t length = 0;
  while (length < room) {
    long count = CALL(read, file, to + length, room - length);
    if (count == -EINTR) continue;
    if (count < 0) return count;
    if (count == 0) break;
    length += (size_t)count;
  }
  return (long)length;
}

static bool has_hash(const char *path, const uint8_t *wanted) {
  uint64_t state[8], total = 0;
  memcpy(state, initial, sizeof state);
  state[0] ^= 0x01010000 ^ HASH_SIZE;
  long file = CALL(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return false;
  // The last block is another one than those before, also where it is full: it stays until nothing comes behind it.
  size_t left = 0;
  for (bool is_end = false; !is_end;) {
    long length = read_bytes(file, content + left, CHUNK);
    if (length < 0) return false;
    is_end = length < CHUNK;
    left += (size_t)length;
    size_t at = 0;
    for (; left > BLOCK_SIZE; at += BLOCK_SIZE, left -= BLOCK_SIZE)
      compress(state, content + at, total += BLOCK_SIZE, false);
    if (at > 0) memcpy(content, content + at, left);
  }
  CALL(close, file);
  for (size_t i = left; i < BLOCK_SIZE; i++) content[i] = 0;
  compress(state, content, total + left, true);
  for (size_t i = 0; i < HASH_SIZE; i++)
    if (((const uint8_t *)state)[i] != wanted[i]) return false;
  return true;
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
  long file = CALL(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return false;
  long length = read_bytes(file, kept, sizeof kept);
  CALL(close, file);
  if (length < 0 || length > KEPT_MAXIMUM) return false;

  struct reader reader = {kept, (size_t)length};
  const uint8_t *magic = take(&reader, 16);
  const uint8_t *release = take(&reader, 64);
  const uint8_t *counts = take(&reader, 8);
  if (magic == NULL || release == NULL || counts == NULL) return false;
  for (size_t i = 0; i < 16; i++)
    if (magic[i] != (uint8_t)"callgate kept 2"[i]) return false;
  uint64_t made = number(counts, 4), inputs = number(counts + 4, 4);
  if (made == 0 || made > MADE_MAXIMUM || inputs == 0 || inputs > INPUTS_MAXIMUM) return false;
  if (!is_same_kernel(release)) return false;

  for (uint64_t i = 0; i < made; i++) {
    const uint8_t *hash = take(&reader, HASH_SIZE);
    const char *name = hash == NULL ? NULL : take_path(&reader);
    if (name == NULL || !has_hash(name, hash)) return false;
  }
  for (uint64_t i = 0; i < inputs; i++) {
    const uint8_t *facts = take(&reader, 40);
    const char *name = facts == NULL ? NULL : take_path(&reader);
    if (name == NULL || !is_same_file(name, facts)) return false;
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
