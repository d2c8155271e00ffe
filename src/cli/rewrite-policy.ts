/** Writes a policy's new text into its file. */
import { closeSync, openSync, readSync } from "node:fs";
import { replaceFile } from "./replace-file.ts";

/** @returns why it could not be done; undefined when it was */
export function rewritePolicy(path: string, text: string): string | undefined {
  return replaceFile(path, beginsWithMark(path) ? `\ufeff${text}` : text);
}

/** A byte order mark is no part of the text, and stays in the file. */
function beginsWithMark(path: string): boolean {
  try {
    const descriptor = openSync(path, "r");
    try {
      const bytes = Buffer.alloc(3);
      return readSync(descriptor, bytes) === 3 && bytes.equals(Buffer.from("\ufeff"));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // Replacing the file says why.
    return false;
  }
}
