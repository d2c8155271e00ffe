/**
 * What a container's files were made of, for native/hook.c: where nothing of it has changed, the next start needs no
 * Node. What was made is compared by its hash, what it was made of by device, inode, size and times.
 */
import { createHash } from "node:crypto";
import { type BigIntStats, readFileSync, statSync } from "node:fs";
import { release } from "node:os";

/** A file that was changed less than this before it was read could change again with the same times. */
const settledMilliseconds = 1500n;
const mostInputs = 512;

export interface KeptOptions {
  /** When the reading began, in milliseconds. */
  readonly began: number;
  /** Files that the start uses: the profile, the first program, the state. */
  readonly made: readonly string[];
  /** Everything that was looked at; the configuration first. */
  readonly inputs: readonly string[];
}

/** The bytes of callgate.kept; undefined where the next start has to make everything anew. */
export function encodeKept({ began, made, inputs }: KeptOptions): Uint8Array | undefined {
  const files = [...new Set(inputs)];
  const facts = files.map(factsOf);
  const youngest = (BigInt(began) - settledMilliseconds) * 1_000_000n;
  const isSettled = (one: BigIntStats | undefined): one is BigIntStats =>
    one !== undefined && one.ctimeNs < youngest && one.mtimeNs < youngest;
  if (files.length > mostInputs || !facts.every(isSettled)) return undefined;
  const parts = [text("callgate kept 2", 16), text(release(), 64), u32(made.length), u32(files.length)];
  for (const path of made) {
    parts.push(createHash("blake2b512").update(readFileSync(path)).digest(), text(path, 0));
  }
  facts.forEach((one, index) => {
    for (const value of [one.dev, one.ino, one.size, one.mtimeNs, one.ctimeNs]) parts.push(u64(value));
    parts.push(text(files[index] ?? "", 0));
  });
  return Buffer.concat(parts);
}

function factsOf(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}

/** With its NUL, in a field of a length where there is one. */
function text(value: string, length: number): Buffer {
  const bytes = Buffer.from(`${value}\0`);
  if (length === 0) return bytes;
  return Buffer.concat([bytes.subarray(0, length - 1), Buffer.alloc(length)]).subarray(0, length);
}
