/**
 * Questions to the file system whose answers a plan rests on. Inside of `recordLookups` each answer is written down as a
 * fact, which the launcher asks for again before it uses a kept plan; so whatever makes plans asks here, and not `node:fs`.
 *
 * What is asked twice in a recording has one answer: a plan rests on one state of each file.
 */
import {
  accessSync,
  type BigIntStats,
  constants,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
} from "node:fs";
import { constants as system } from "node:os";
import { resolve as resolvePath } from "node:path";
import { errorCode } from "../diagnostics/error-code.ts";

/** Something that was so when the plan was made. */
export type Fact =
  | { readonly kind: "absent"; readonly path: string; readonly errno: number }
  /** The same thing, with the same owner and mode: all that is asked of folders and of what is granted. */
  | { readonly kind: "same"; readonly path: string; readonly status: BigIntStats }
  /** And nothing in it was changed: links, folders whose names were read, files that were looked into. */
  | { readonly kind: "unchanged"; readonly path: string; readonly status: BigIntStats }
  /** And its text is this one. */
  | {
      readonly kind: "content";
      readonly path: string;
      readonly status: BigIntStats;
      readonly content: Uint8Array;
    };

interface Recording {
  readonly facts: Map<string, Fact>;
  /** Why these facts are not all that the plan rests on. */
  gap: string | undefined;
}

let recording: Recording | undefined;

/** What was asked, in the order in which it was; or why a plan made of it cannot be kept. */
export type Lookups = { readonly facts: readonly Fact[] } | { readonly gap: string };

/** Does the work and says what it has looked up. */
export function recordLookups<Result>(work: () => Result): {
  readonly result: Result;
  readonly lookups: Lookups;
} {
  const own: Recording = { facts: new Map(), gap: undefined };
  recording = own;
  try {
    const result = work();
    return { result, lookups: own.gap === undefined ? { facts: [...own.facts.values()] } : { gap: own.gap } };
  } finally {
    recording = undefined;
  }
}

/** The plan rests on something that cannot be looked up again. */
export function restOnMore(gap: string): void {
  if (recording !== undefined) recording.gap ??= gap;
}

/** An error as `node:fs` throws it. */
class LookupError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** lstat. @throws an error with a `code` */
function look(path: string): BigIntStats {
  const known = recording?.facts.get(path);
  if (known !== undefined) {
    if (known.kind === "absent") throw new LookupError(nameOfErrno(known.errno));
    return known.status;
  }
  // The descriptors of whoever asks, and what the kernel makes up at each look.
  if (/^\/proc(?:\/|$)|^\/dev\/(?:fd|std)/.test(path)) restOnMore(`it was made with ${path}`);
  try {
    const status = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (status === undefined) throw new LookupError("ENOENT");
    recording?.facts.set(path, { kind: status.isSymbolicLink() ? "unchanged" : "same", path, status });
    return status;
  } catch (error) {
    const code = errorCode(error);
    const errno = Object.entries(system.errno).find(([name]) => name === code)?.[1];
    if (errno === undefined) restOnMore(`${path} cannot be looked at`);
    else recording?.facts.set(path, { kind: "absent", path, errno });
    throw error;
  }
}

function nameOfErrno(errno: number): string {
  return Object.entries(system.errno).find(([, number]) => number === errno)?.[0] ?? "";
}

/** What is at a path, itself a link or not; undefined where nothing can be seen. */
export function statusOf(path: string): BigIntStats | undefined {
  try {
    return look(path);
  } catch {
    return undefined;
  }
}

const mostLinks = 40;

/**
 * Where a path leads to, without links. Every folder and link on the way becomes a fact.
 * @throws an error with a `code`: ENOENT, ENOTDIR, EACCES, ELOOP …
 */
export function realPathOf(path: string): string {
  let rest = namesOf(resolvePath(path));
  let at = "";
  for (let links = 0; rest.length > 0; ) {
    const [name = "", ...more] = rest;
    if (name === "..") {
      at = at.slice(0, Math.max(at.lastIndexOf("/"), 0));
      rest = more;
      continue;
    }
    const next = `${at}/${name}`;
    const status = look(next);
    if (!status.isSymbolicLink()) {
      if (more.length > 0 && !status.isDirectory()) throw new LookupError("ENOTDIR");
      at = next;
      rest = more;
      continue;
    }
    links += 1;
    if (links > mostLinks) throw new LookupError("ELOOP");
    const target = readlinkSync(next);
    if (target.startsWith("/")) at = "";
    rest = [...namesOf(target), ...more];
  }
  return at === "" ? "/" : at;
}

function namesOf(path: string): readonly string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** Where a path leads to, or undefined where it leads nowhere. */
export function realPath(path: string): string | undefined {
  try {
    return realPathOf(path);
  } catch {
    return undefined;
  }
}

/** What a link says. */
export function linkTarget(path: string): string {
  look(path);
  return readlinkSync(path);
}

/** From now on the plan rests on this thing being unchanged, and not just the same. */
function restOnUnchanged(path: string): void {
  const known = recording?.facts.get(path);
  if (known?.kind === "same") recording?.facts.set(path, { ...known, kind: "unchanged" });
}

/** What is in a folder; nothing where it cannot be read. Links to folders are no folders. */
export function entriesOf(folder: string): readonly { readonly name: string; readonly isFolder: boolean }[] {
  if (statusOf(folder) === undefined) return [];
  restOnUnchanged(folder);
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) => ({
      name: entry.name,
      isFolder: entry.isDirectory(),
    }));
  } catch {
    return [];
  }
}

/** Whether this process may read what is there now. */
export function isReadable(path: string): boolean {
  if (statusOf(path) === undefined) return false;
  restOnUnchanged(path);
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** The text of one of the system's files. @throws as readFileSync */
export function textOf(path: string): string {
  const content = readFileSync(path);
  restOnContent(path, content);
  return content.toString();
}

/** The plan rests on the content that a file had when it was read. */
export function restOnContent(path: string, content: Uint8Array): void {
  if (recording === undefined) return;
  const real = realPath(path);
  const status = real === undefined ? undefined : statusOf(real);
  if (real === undefined || status?.isFile() !== true)
    restOnMore(`it was made with ${path}, which is no file`);
  else recording.facts.set(real, { kind: "content", path: real, status, content });
}

/** The plan rests on every file that lies in a folder, and on there being no others. */
export function restOnFilesIn(folder: string): void {
  const real = recording === undefined ? undefined : realPath(folder);
  if (real === undefined) return;
  // Without walking to each of them from the root once more.
  for (const { name } of entriesOf(real)) {
    const path = `${real}/${name}`;
    const status = statusOf(path);
    if (status?.isFile() === true) restOnUnchanged(path);
    else if (status?.isSymbolicLink() === true) restOnFile(path);
  }
}

/** The plan rests on a file that is asked for by other means: before that, what is there is written down. */
export function restOnFile(path: string): void {
  if (recording === undefined) return;
  const real = realPath(path);
  if (real !== undefined && statusOf(real)?.isFile() === true) restOnUnchanged(real);
}
