/** Words by which one part of callgate starts another, and the file that it hands over. They are no commands. */
import { fstatSync, readSync } from "node:fs";
import { printError } from "./output.ts";

export const ownWords = {
  /** The watcher has begun a run of `learn`, and Node goes on with it: learn/handed-over.ts. */
  learnOn: "learn-on",
  /** The launcher, where a program was denied something: tell-denials.ts. */
  tellDenials: "tell-denials",
} as const;

/**
 * What is in a file that this process was started with, from its beginning: whoever wrote it has left the descriptor at its
 * end. Undefined where no file is there: somebody has typed the word.
 */
export function handedFile(descriptor: number): Buffer | undefined {
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) return undefined;
    const bytes = Buffer.alloc(status.size);
    for (let at = 0; at < bytes.length; ) {
      const count = readSync(descriptor, bytes, at, bytes.length - at, at);
      if (count === 0) break;
      at += count;
    }
    return bytes;
  } catch {
    return undefined;
  }
}

/**
 * Says so to somebody who types one.
 * @param command the command that it belongs to
 * @returns the status for it
 */
export function refuseOwnWord(word: string, command: string): 2 {
  printError(
    `callgate: ${word} is no command: callgate starts itself by it and hands something over; callgate ${command} is one\n`,
  );
  return 2;
}
