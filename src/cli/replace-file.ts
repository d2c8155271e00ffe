/** Puts a new content in the place of a file's old one: whole, or not at all. */
import {
  chownSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { whyItFailed } from "./unwritable.ts";

/**
 * Writes a file that need not be there yet, with the mode that new files get. What is no ordinary file (a device, a
 * pipe, /dev/stdout) is written to as it is.
 * @returns why it could not be done; undefined when it was
 */
export function writeFile(path: string, content: string | Uint8Array): string | undefined {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isFile() === true) return replaceFile(path, content);
  if (status?.isDirectory() === true) return "it is a directory";
  if (status !== undefined) return attempt(() => writeFileSync(path, content));
  // A link to nothing: the file is made where it leads.
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined)
    return attempt(() => writeFileSync(path, content));
  return attempt(() => {
    const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
    try {
      writeFileSync(temporary, content, { flag: "wx" });
      renameSync(temporary, path);
    } finally {
      if (existsSync(temporary)) rmSync(temporary, { force: true });
    }
  });
}

function attempt(write: () => void): string | undefined {
  try {
    write();
    return undefined;
  } catch (error) {
    return whyItFailed(error);
  }
}

/** @returns why it could not be done; undefined when it was */
export function replaceFile(path: string, content: string | Uint8Array): string | undefined {
  let temporary: string | undefined;
  try {
    // A link stays a link: it is the file behind it that changes.
    const real = realpathSync(path);
    const status = statSync(real);
    const name = join(dirname(real), `.${basename(real)}.${process.pid}.tmp`);
    const descriptor = openSync(name, "wx", 0o600);
    temporary = name;
    try {
      const bytes = Buffer.from(content);
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
    return whyItFailed(error);
  }
}
