/** Words by which one part of callgate starts another: `learn-on` and `tell-denials`. They are no commands. */
import { printError } from "./output.ts";

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
