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
//   16 bytes "callgate kept 1\0", 64 bytes kernel release; u32 made, u32 inputs; then
//   made × (32 bytes SHA-256, path\0), inputs × (u64 device, inode, size, modified ns, changed ns, path\0)

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

enum { KEPT_MAXIMUM = 256 << 10, MADE_MAXIMUM = 8, INPUTS_MAXIMUM = 512, CHUNK = 64 << 10 };

static uint8_t kept[KEPT_MAXIMUM + 1];
static uint8_t block_bytes[CHUNK + 128]; // and the padding

// ── SHA-256 (FIPS 180-4) ───────────────────────────────────────────────────────────────────────────────────────

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t word, int bits) {
  return word >> bits | word << (32 - bits);
}

// Every start waits for this: it is worth more code than the rest of the file.
__attribute__((optimize("O3"))) static void compress(uint32_t state[8], const uint8_t *block) {
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
           block[4 * i + 3];
  for (int i = 16; i < 64; i++)
    w[i] = (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10) + w[i - 7] +
           (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 16];
  for (int i = 0; i < 8; i++) s[i] = state[i];
  for (int i = 0; i < 64; i++) {
    uint32_t first = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
                     ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_constants[i] + w[i];
    uint32_t second = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    for (int j = 7; j > 0; j--) s[j] = s[j - 1];
    s[4] += first;
    s[0] = first + second;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
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
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  long file = CALL(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return false;
  uint64_t bits = 0;
  for (bool is_end = false; !is_end;) {
    long length = read_bytes(file, block_bytes, CHUNK);
    if (length < 0) return false;
    bits += (uint64_t)length * 8;
    is_end = length < CHUNK;
    if (is_end) {
      block_bytes[length++] = 0x80;
      while (length % 64 != 56) block_bytes[length++] = 0;
      for (int shift = 56; shift >= 0; shift -= 8) block_bytes[length++] = (uint8_t)(bits >> shift);
    }
    for (long at = 0; at < length; at += 64) compress(state, block_bytes + at);
  }
  CALL(close, file);
  for (int i = 0; i < 32; i++)
    if ((uint8_t)(state[i / 4] >> (24 - 8 * (i % 4))) != wanted[i]) return false;
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
    if (magic[i] != (uint8_t)"callgate kept 1"[i]) return false;
  uint64_t made = number(counts, 4), inputs = number(counts + 4, 4);
  if (made == 0 || made > MADE_MAXIMUM || inputs == 0 || inputs > INPUTS_MAXIMUM) return false;
  if (!is_same_kernel(release)) return false;

  for (uint64_t i = 0; i < made; i++) {
    const uint8_t *hash = take(&reader, 32);
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
