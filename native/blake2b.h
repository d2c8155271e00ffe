// BLAKE2b, RFC 7693, with all 64 bytes of result, and a key of 32 bytes or none: of the hashes that cannot be forged it is
// the quickest without instructions of its own. A part of what is kept between starts (kept.h) and of hook.c.

#ifndef CALLGATE_BLAKE2B_H
#define CALLGATE_BLAKE2B_H

#include "system.h"

enum { HASH_KEY = 32, HASH_SIZE = 64 };

struct hash {
  uint64_t state[8], counted;
  size_t used;
  uint8_t block[128];
};

static const uint64_t hash_start[8] = {
    0x6a09e667f3bcc908U, 0xbb67ae8584caa73bU, 0x3c6ef372fe94f82bU, 0xa54ff53a5f1d36f1U,
    0x510e527fade682d1U, 0x9b05688c2b3e6c1fU, 0x1f83d9abfb41bd6bU, 0x5be0cd19137e2179U,
};

static inline uint64_t rotate(uint64_t word, int by) { return word >> by | word << (64 - by); }

static inline __attribute__((always_inline)) void hash_mix(uint64_t *v, int a, int b, int c, int d, uint64_t x, uint64_t y) {
  v[a] += v[b] + x;
  v[d] = rotate(v[d] ^ v[a], 32);
  v[c] += v[d];
  v[b] = rotate(v[b] ^ v[c], 24);
  v[a] += v[b] + y;
  v[d] = rotate(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = rotate(v[b] ^ v[c], 63);
}

// Unrolled, with the order of the words known at each place: most of what a start computes that needs no Node is this.
#define HASH_ROUND(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)                                                    \
  hash_mix(v, 0, 4, 8, 12, w[a], w[b]), hash_mix(v, 1, 5, 9, 13, w[c], w[d]), hash_mix(v, 2, 6, 10, 14, w[e], w[f]),  \
      hash_mix(v, 3, 7, 11, 15, w[g], w[h]), hash_mix(v, 0, 5, 10, 15, w[i], w[j]),                                   \
      hash_mix(v, 1, 6, 11, 12, w[k], w[l]), hash_mix(v, 2, 7, 8, 13, w[m], w[n]), hash_mix(v, 3, 4, 9, 14, w[o], w[p])

static void hash_block(struct hash *hash, const uint8_t *block, bool last) {
  uint64_t v[16], w[16];
  for (int i = 0; i < 8; i++) {
    v[i] = hash->state[i];
    v[i + 8] = hash_start[i];
  }
  v[12] ^= hash->counted;
  if (last) v[14] = ~v[14];
  memcpy(w, block, sizeof w); // both architectures have the low byte first
  HASH_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  HASH_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
  HASH_ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
  HASH_ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
  HASH_ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
  HASH_ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
  HASH_ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
  HASH_ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
  HASH_ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
  HASH_ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);
  HASH_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  HASH_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
  for (int i = 0; i < 8; i++) hash->state[i] ^= v[i] ^ v[i + 8];
}

static void hash_add(struct hash *hash, const void *bytes, size_t length) {
  const uint8_t *from = bytes;
  while (length > 0) {
    // The last block is not mixed in before it is known to be the last.
    if (hash->used == sizeof hash->block) {
      hash->counted += sizeof hash->block;
      hash_block(hash, hash->block, false);
      hash->used = 0;
    }
    while (hash->used == 0 && length > sizeof hash->block) {
      hash->counted += sizeof hash->block;
      hash_block(hash, from, false);
      from += sizeof hash->block;
      length -= sizeof hash->block;
    }
    size_t part = sizeof hash->block - hash->used;
    if (part > length) part = length;
    memcpy(hash->block + hash->used, from, part);
    hash->used += part;
    from += part;
    length -= part;
  }
}

static void hash_begin(struct hash *hash, const uint8_t *key) {
  memset(hash, 0, sizeof *hash);
  memcpy(hash->state, hash_start, sizeof hash->state);
  hash->state[0] ^= 0x01010000U ^ (key == NULL ? 0 : HASH_KEY << 8) ^ HASH_SIZE;
  if (key == NULL) return;
  memcpy(hash->block, key, HASH_KEY);
  hash->used = sizeof hash->block;
}

static void hash_end(struct hash *hash, uint8_t *result) {
  hash->counted += hash->used;
  memset(hash->block + hash->used, 0, sizeof hash->block - hash->used);
  hash_block(hash, hash->block, true);
  for (int i = 0; i < HASH_SIZE; i++) result[i] = (uint8_t)(hash->state[i / 8] >> (i % 8 * 8));
}

// In constant time: how far two hashes agree is nobody's business.
static bool same_hash(const uint8_t *one, const uint8_t *other) {
  uint8_t difference = 0;
  for (int i = 0; i < HASH_SIZE; i++) difference |= one[i] ^ other[i];
  return difference == 0;
}

#endif
