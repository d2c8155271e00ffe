import assert from "node:assert/strict";
import { test } from "node:test";
import { fingerprint } from "../../src/sandbox/fingerprint.ts";

const sound = Buffer.from(Uint8Array.from({ length: 200 }, (_, index) => (index * 151 + 7) & 255));

test("a changed bit, byte or end is seen wherever it is", () => {
  const seen = new Set([fingerprint(sound)]);
  const take = (bytes: Buffer, what: string): void => {
    const found = fingerprint(bytes);
    assert.match(found, /^[0-9a-f]{16}$/);
    assert.ok(!seen.has(found), what);
    seen.add(found);
  };
  for (let bit = 0; bit < sound.length * 8; bit += 1) {
    const changed = Buffer.from(sound);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    take(changed, `bit ${bit}`);
  }
  for (let length = 1; length < sound.length; length += 1) take(sound.subarray(0, length), `${length} bytes`);
  for (let more = 1; more < 20; more += 1) take(Buffer.concat([sound, Buffer.alloc(more)]), `${more} more`);
  const turned = Buffer.from(sound);
  take(turned.swap16(), "every two bytes exchanged");
});

test("it is the number that the bytes are, modulo the largest prime below 2^64", () => {
  assert.equal(fingerprint(Buffer.from([1])), "0000000000000001");
  assert.equal(fingerprint(Buffer.from("ffffffffffffffc5", "hex")), "0000000000000000");
  assert.equal(fingerprint(Buffer.from("010000000000000000", "hex")), "000000000000003b");
});
