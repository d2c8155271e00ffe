/**
 * What a container's files were made of, for native/hook.c: where nothing of it has changed, the next start needs no
 * Node. What was made is compared by its hash, what it was made of by device, inode, size and times; and of a
 * configuration that is another file, the lines that can matter, by their hash.
 */
import { createHash } from "node:crypto";
import { type BigIntStats, readFileSync, statSync } from "node:fs";
import { release } from "node:os";
import { ownMark } from "./block.ts";

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
  /** Those of it that LXC reads as configuration, whole files and folders of them. */
  readonly configurations: readonly string[];
}

/**
 * Keys of LXC's of which nothing is made, whatever their values: no statement, hook, mount, profile, capability or first
 * program is among them. What is not in this list, callgate's own keys and ones that nobody knows, matters.
 */
const withoutMatter = [
  "lxc.cgroup.",
  "lxc.cgroup2.",
  "lxc.console.",
  "lxc.environment",
  "lxc.group",
  "lxc.log.",
  "lxc.monitor.",
  "lxc.net.",
  "lxc.prlimit.",
  "lxc.start.",
  "lxc.sysctl.",
  "lxc.uts.",
];

/** The hook reads no larger ones. */
const largestConfiguration = 256 * 1024;

/** The bytes of callgate.kept; undefined where the next start has to make everything anew. */
export function encodeKept({ began, made, inputs, configurations }: KeptOptions): Uint8Array | undefined {
  const files = [...new Set(inputs)];
  // Before the facts: a file that has them is still what was read here.
  const lines = new Map(configurations.map((path) => [path, hashOfLines(path)]));
  const facts = files.map(factsOf);
  const youngest = (BigInt(began) - settledMilliseconds) * 1_000_000n;
  const isSettled = (one: BigIntStats | undefined): one is BigIntStats =>
    one !== undefined && one.ctimeNs < youngest && one.mtimeNs < youngest;
  if (files.length > mostInputs || !facts.every(isSettled)) return undefined;
  const parts = [text("callgate kept 3", 16), text(release(), 64), u32(made.length), u32(files.length)];
  for (const path of made) {
    parts.push(createHash("blake2b512").update(readFileSync(path)).digest(), text(path, 0));
  }
  facts.forEach((one, index) => {
    for (const value of [one.dev, one.ino, one.size, one.mtimeNs, one.ctimeNs]) parts.push(u64(value));
    const path = files[index] ?? "";
    const hash = lines.get(path);
    parts.push(Buffer.of(hash === undefined ? 0 : 1), hash ?? Buffer.of(), text(path, 0));
  });
  return Buffer.concat(parts);
}

/** Of the lines of a configuration that can matter; undefined of a folder, and of what cannot be read. */
function hashOfLines(path: string): Buffer | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return undefined;
  }
  if (bytes.length > largestConfiguration) return undefined;
  const hash = createHash("blake2b512");
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(10, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    const line = bytes.subarray(start, end);
    if (canMatter(line.toString("latin1"))) hash.update(line);
    start = end;
  }
  return hash.digest();
}

/** Of a line that LXC or callgate could read another way, the answer is yes; native/hook.c has the same once more. */
function canMatter(line: string): boolean {
  if (line.startsWith(ownMark)) return true;
  const written = line.replace(/^[ \t]+/, "");
  return (
    written !== "" &&
    !written.startsWith("\n") &&
    !written.startsWith("#") &&
    !withoutMatter.some((key) => written.startsWith(key))
  );
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
