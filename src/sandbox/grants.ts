/** Paths that a policy or a command line grants, looked up: what they are now, and every mistake in them. */
import { accessSync, constants } from "node:fs";
import { dirname, resolve as resolvePath } from "node:path";
import { errorCode } from "../diagnostics/error-code.ts";
import { sanitise } from "../diagnostics/index.ts";
import { showsKeptPlans } from "./kept-plans.ts";
import { realPathOf, statusOf } from "./lookups.ts";
import { PrepareError } from "./prepare-error.ts";
import type { FileIdentity } from "./steps.ts";

export interface Grant {
  /** Without links. */
  readonly path: string;
  readonly identity: FileIdentity;
  readonly kind: "folder" | "file" | "socket";
  readonly writable: boolean;
}

export interface Place {
  readonly cwd: string;
  readonly home: string;
}

/** The grant that is written as a path, or what is wrong with it. */
export function readGrant(written: string, writable: boolean, place: Place): Grant | string {
  const shown = sanitise(JSON.stringify(written.replace("/./", "/")));
  if (written === "") return "a path that is granted is empty";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(written))
    return `${shown} cannot be granted: it has a newline or another control character in it`;
  if (/^~[^/]/.test(written))
    return `${shown} cannot be granted: ~ alone is your own home, another's is written as a whole path (a file of that name as ./${sanitise(written)})`;
  const absolute = absolutePath(written, place);
  try {
    const grant = grantOf(realPathOf(absolute), writable);
    if (/\/\.?$/.test(written) && grant.kind !== "folder")
      return `${shown} cannot be granted: it is a file, not a folder`;
    if (/^\/(?:proc|dev)(?:\/|$)/.test(grant.path))
      return `${shown} cannot be granted: /proc and /dev are the sandbox's own`;
    if (showsKeptPlans(grant, process.getuid?.() ?? 0))
      return `${shown} cannot be granted: callgate keeps plans in /run, which decide what is run how; grant what the program needs by its own name`;
    const tree = treeOf(written, place);
    if (tree !== undefined && isWithin(absolute, tree) && !isWithin(grant.path, realPathOf(tree)))
      return `${shown} cannot be granted: it is a link that leads out of ${sanitise(tree)}, to ${sanitise(grant.path)}: name that if it is meant`;
    accessSync(grant.path, grant.kind === "folder" ? constants.R_OK | constants.X_OK : constants.R_OK);
    return grant;
  } catch (error) {
    const code = errorCode(error) ?? "";
    switch (code) {
      case "ENOENT":
      case "ENOTDIR":
        return `${shown} cannot be granted: there is no such file or folder`;
      case "EACCES":
        return `${shown} cannot be granted: it is not readable`;
      case "ELOOP":
        return `${shown} cannot be granted: its links lead in a circle`;
      default:
        return `${shown} cannot be granted (${code})`;
    }
  }
}

/** The folder that a path is relative to: whoever can write in it must not choose what is granted. */
function treeOf(written: string, { cwd }: Place): string | undefined {
  if (written.includes("/./")) return resolvePath(cwd, written.slice(0, written.indexOf("/./")));
  return /^[/~]/.test(written) ? undefined : cwd;
}

/** `~` is the home of whoever calls; what is relative is so to the working directory. */
export function absolutePath(written: string, { cwd, home }: Place): string {
  return resolvePath(cwd, written === "~" ? home : written.replace(/^~\//, `${home}/`));
}

/** What is at a path that has no links in it. @throws where nothing is there */
export function grantOf(path: string, writable: boolean): Grant {
  const status = statusOf(path);
  if (status === undefined) throw new PrepareError(`${path} is gone: it was there a moment ago`);
  const kind = status.isDirectory() ? "folder" : status.isSocket() ? "socket" : "file";
  return { path, identity: { device: status.dev, inode: status.ino }, kind, writable };
}

/** Whether a path is a folder or lies below it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || folder === "/" || path.startsWith(`${folder}/`);
}

/** The folders above a path, from the top, without the root. */
export function foldersAbove(path: string): readonly string[] {
  const above = dirname(path);
  return above === "/" ? [] : [...foldersAbove(above), above];
}
