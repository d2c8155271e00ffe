/** Finds the program that a command names, as a shell does, and says why it cannot be run. */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import type { AbiName } from "../syscalls/index.ts";

export type FoundProgram =
  | { readonly kind: "found"; readonly path: string }
  /** Status 127. */
  | { readonly kind: "not-found"; readonly message: string }
  /** Status 126. */
  | { readonly kind: "not-executable"; readonly message: string };

/** What is said to be at a path. */
function look(path: string): "executable" | "directory" | "not-executable" | "missing" {
  try {
    const status = statSync(path);
    if (status.isDirectory()) return "directory";
    accessSync(path, constants.X_OK);
    // Root may access everything; what has no x bit at all is not executable for root either.
    return status.isFile() && (status.mode & 0o111) === 0 ? "not-executable" : "executable";
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "EACCES" || code === "EPERM" ? "not-executable" : "missing";
  }
}

/**
 * The path of a command: itself where it has a slash, else the first executable of that name in the folders of
 * `search` (a PATH).
 */
export function findProgram(command: string, search: string | undefined): FoundProgram {
  if (command === "") return { kind: "not-found", message: "the command is empty" };
  if (command.includes("/")) return judge(command, look(command));
  let refused: FoundProgram | undefined;
  for (const folder of (search ?? "/usr/local/bin:/usr/bin:/bin").split(":")) {
    const path = folder === "" ? `./${command}` : join(folder, command);
    const found = look(path);
    if (found === "executable") return { kind: "found", path };
    if (found === "not-executable") refused ??= judge(path, found);
  }
  return refused ?? { kind: "not-found", message: `${command}: command not found` };
}

function judge(path: string, found: ReturnType<typeof look>): FoundProgram {
  switch (found) {
    case "executable":
      return { kind: "found", path };
    case "directory":
      return { kind: "not-executable", message: `${path}: is a directory` };
    case "not-executable":
      return { kind: "not-executable", message: `${path}: permission denied: the file is not executable` };
    case "missing":
      return { kind: "not-found", message: `${path}: no such file` };
  }
}

/** The ABI of an ELF file; of a script, its interpreter's. Undefined for what is neither or cannot be read. */
export function programAbi(path: string, depth = 0): AbiName | undefined {
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

function readHead(path: string): Buffer | undefined {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
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
