/** Puts a new text in the place of a file's old one: whole, or not at all. */
import {
  chownSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

/** @returns why it could not be done; undefined when it was */
export function replaceFile(path: string, text: string): string | undefined {
  let temporary: string | undefined;
  try {
    // A link stays a link: it is the file behind it that changes.
    const real = realpathSync(path);
    const status = statSync(real);
    const name = join(dirname(real), `.${basename(real)}.${process.pid}.tmp`);
    const descriptor = openSync(name, "wx", 0o600);
    temporary = name;
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      fchmodSync(descriptor, status.mode & 0o7777);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    if (process.getuid?.() === 0) chownSync(name, status.uid, status.gid);
    renameSync(name, real);
    return undefined;
  } catch (error) {
    if (temporary !== undefined) rmSync(temporary, { force: true });
    return error instanceof Error && "code" in error ? String(error.code) : "it cannot be written";
  }
}
