/** The largest prime below 2^64. */
const prime = 2n ** 64n - 59n;

/**
 * Rabin's fingerprint: the bytes as one number, modulo a prime. It sees every change within eight bytes that follow each
 * other, and any other damage as surely as 64 bits of a hash. It is no secret and no signature: whoever can write both a file
 * and what is written down of it can make them agree, as with any hash. A first start does with it without Node's
 * modules for hashes, which take longer to load than everything else that it checks.
 */
export function fingerprint(bytes: Buffer): string {
  return (BigInt(`0x${bytes.toString("hex")}`) % prime).toString(16).padStart(16, "0");
}
