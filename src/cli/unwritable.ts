/** Why a file cannot be written, for people. */
import { accessSync, constants, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { errorCode } from "../diagnostics/error-code.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such folder",
  ENOTDIR: "a part of its path is not a folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "no space left on the device",
};

/** What an attempt came to. */
export function whyItFailed(error: unknown): string {
  const code = errorCode(error);
  return code === undefined ? "it cannot be written" : (reasons[code] ?? code);
}

/** What is known against it before anybody tries; undefined: nothing. */
export function whyUnwritable(path: string): string | undefined {
  try {
    const status = statSync(path, { throwIfNoEntry: false });
    if (status?.isDirectory() === true) return "it is a folder";
    if (status === undefined) accessSync(dirname(resolve(path)), constants.W_OK | constants.X_OK);
    else accessSync(path, constants.W_OK);
    return undefined;
  } catch (error) {
    return whyItFailed(error);
  }
}
