/** Finds the program that a command names, as a shell does, and says why it cannot be run. */
import {
  accessSync,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { errorCode } from "../diagnostics/error-code.ts";
import { sanitise } from "../diagnostics/index.ts";
import type { AbiName } from "../syscalls/index.ts";
import { restOnFile, restOnMore } from "./lookups.ts";
import { readMountTable } from "./mount-table.ts";
import type { PlanString } from "./plan.ts";

export type FoundProgram =
  | { readonly kind: "found"; readonly path: PlanString }
  /** Status 127. */
  | { readonly kind: "not-found"; readonly message: string }
  /** Status 126. */
  | { readonly kind: "not-executable"; readonly message: string };

/** O_PATH, which Node has no name for: the file itself, without a right to it. */
const openAsPath = 0o10000000;

/** What keeps a file from being executed. */
interface Obstacle {
  readonly kind: "not-found" | "not-executable";
  readonly why: string;
  /** A search goes on behind it, and forgets it. */
  readonly skipped: boolean;
}

function obstacleAt(path: Buffer): Obstacle | undefined {
  const obstacle = (kind: Obstacle["kind"], why: string, skipped: boolean): Obstacle => ({
    kind,
    why,
    skipped,
  });
  restOn(path);
  try {
    const status = statSync(path);
    if (status.isDirectory()) return obstacle("not-executable", "is a directory", true);
    if (!status.isFile()) return obstacle("not-executable", "is not a regular file", true);
    // Root may access everything; what has no x bit at all is not executable for root either.
    if ((status.mode & 0o111) !== 0 && mayExecute(path)) return undefined;
    const mount = (status.mode & 0o111) === 0 ? undefined : noexecMount(path);
    const why =
      mount === undefined
        ? "the file is not executable"
        : `nothing is executed from the file system at ${sanitise(mount)}, which is mounted noexec`;
    return obstacle("not-executable", `permission denied: ${why}`, false);
  } catch (error) {
    const code = errorCode(error) ?? "";
    switch (code) {
      case "ENOENT":
        return obstacle(
          "not-found",
          isLink(path) ? "is a link to a file that is not there" : "no such file",
          true,
        );
      case "ENOTDIR":
        return obstacle("not-found", "no such file: a part of its path is not a directory", true);
      case "EACCES":
        return obstacle("not-executable", "permission denied: a folder on its path cannot be entered", true);
      case "ELOOP":
        return obstacle("not-executable", "its links lead in a circle", true);
      default:
        return obstacle("not-executable", `cannot be looked at (${code})`, true);
    }
  }
}

/** A plan rests on what is asked here; before it is asked. */
function restOn(path: PlanString): void {
  const name = textOrBytes(Buffer.from(path));
  if (typeof name === "string") restOnFile(name);
  else restOnMore("a name that is not UTF-8 was looked up for it");
}

function mayExecute(path: Buffer): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where the file system is mounted that a file lies on, if it is mounted noexec. */
function noexecMount(path: Buffer): string | undefined {
  try {
    const descriptor = openSync(path, openAsPath);
    try {
      const id = /^mnt_id:\s*([0-9]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "latin1"))?.[1];
      const mounts = readMountTable(readFileSync("/proc/self/mountinfo", "utf8"));
      const mount = mounts.find((one) => one.id === id);
      return mount?.options.includes("noexec") === true ? mount.point : undefined;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined; // no /proc
  }
}

function isLink(path: Buffer): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

/**
 * The path of a command: itself where it has a slash, else the first executable of that name in the folders of
 * `search` (a PATH). Both are bytes to the kernel, and need not be UTF-8.
 */
export function findProgram(command: PlanString, search: PlanString | undefined): FoundProgram {
  const name = Buffer.from(command);
  const shown = sanitise(name.toString());
  if (name.length === 0) return { kind: "not-found", message: "the command is empty" };
  if (name.includes("/")) {
    const obstacle = obstacleAt(name);
    if (obstacle === undefined) return { kind: "found", path: command };
    return { kind: obstacle.kind, message: `${shown}: ${obstacle.why}` };
  }
  let refused: FoundProgram | undefined;
  // As latin1, every byte is a character: the split leaves them as they are.
  for (const folder of Buffer.from(search ?? "/usr/local/bin:/usr/bin:/bin")
    .toString("latin1")
    .split(":")) {
    const start = folder === "" ? "./" : folder.endsWith("/") ? folder : `${folder}/`;
    const path = Buffer.concat([Buffer.from(start, "latin1"), name]);
    const obstacle = obstacleAt(path);
    if (obstacle === undefined) return { kind: "found", path: textOrBytes(path) };
    if (!obstacle.skipped)
      refused ??= { kind: obstacle.kind, message: `${sanitise(path.toString())}: ${obstacle.why}` };
  }
  return refused ?? { kind: "not-found", message: `${shown}: command not found` };
}

function textOrBytes(path: Buffer): PlanString {
  const text = path.toString();
  return text.includes("\ufffd") ? path : text;
}

/** The ABI of an ELF file; of a script, its interpreter's. Undefined for what is neither or cannot be read. */
export function programAbi(path: PlanString, depth = 0): AbiName | undefined {
  const head = readHead(path);
  if (head === undefined || depth > 4) return undefined;
  if (head[0] === 0x23 && head[1] === 0x21) {
    const line = head.toString("latin1").split("\n", 1)[0] ?? "";
    const interpreter = /^#![ \t]*([^ \t]+)/.exec(line)?.[1];
    return interpreter === undefined ? undefined : programAbi(interpreter, depth + 1);
  }
  if (head.length < 20 || head.toString("latin1", 0, 4) !== "\x7fELF") return undefined;
  const wide = head[4] === 2;
  switch (head.readUInt16LE(18)) {
    case 3:
      return "x86";
    case 62:
      return wide ? "x86_64" : "x32";
    case 183:
      return "aarch64";
    default:
      return undefined;
  }
}

function readHead(path: PlanString): Buffer | undefined {
  restOn(path);
  try {
    const descriptor = openSync(
      typeof path === "string" ? path : Buffer.from(path),
      constants.O_RDONLY | constants.O_NONBLOCK,
    );
    try {
      const buffer = Buffer.alloc(256);
      return buffer.subarray(0, readSync(descriptor, buffer, 0, buffer.length, 0));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}
