/** Actions: what a rule does with a call. */
import { nearest } from "../diagnostics/index.ts";
import { constantNames, errnoNumber } from "../syscalls/index.ts";
import { deny } from "./action.ts";
import { type Reader, smallInteger } from "./cursor.ts";
import type { Token } from "./lexer.ts";
import type { Action } from "./types.ts";

/** Every action, by its name. */
export const actionWords: readonly string[] = [
  "allow",
  "deny",
  "errno",
  "kill",
  "kill-thread",
  "trap",
  "log",
  "trace",
  "notify",
  "ask",
];

export function actionOf(reader: Reader): Action {
  const token = reader.next();
  let word = token.text;
  // A hyphen is a symbol elsewhere: here it joins two words that touch it.
  const [hyphen, second] = [reader.peek(), reader.peek(1)];
  const touches = hyphen.start === token.end && second.start === hyphen.end;
  if (word === "kill" && hyphen.text === "-" && second.text === "thread" && touches) {
    reader.next();
    reader.next();
    word = "kill-thread";
  }
  switch (word) {
    case "allow":
    case "kill":
    case "kill-thread":
    case "log":
    case "notify":
    case "ask":
      return { kind: word };
    case "deny":
      return deny;
    case "errno": {
      reader.expect("(", "after errno: errno(ENOSYS)");
      const value = reader.next();
      const errno =
        value.kind === "word" ? errnoOf(reader, value) : smallInteger(reader, value, 4095, "an errno");
      reader.expect(")", "after the errno");
      return { kind: "errno", errno };
    }
    case "trap":
      return { kind: "trap", data: reader.peek().text === "(" ? parenthesised(reader) : 0 };
    case "trace":
      return { kind: "trace", data: parenthesised(reader) };
    default: {
      const guess = token.kind === "word" ? nearest(word, actionWords) : undefined;
      return reader.fail(
        token,
        "unknown-action",
        token.kind === "end" ? "an action is missing" : `there is no action ${JSON.stringify(word)}`,
        guess === undefined ? `actions are ${actionWords.join(", ")}` : `did you mean ${guess}?`,
      );
    }
  }
}

let errnos: readonly string[] | undefined;

function errnoOf(reader: Reader, token: Token): string {
  if (errnoNumber("x86_64", token.text) !== undefined) return token.text;
  errnos ??= constantNames().filter((name) => errnoNumber("x86_64", name) !== undefined);
  const guess = nearest(token.text, errnos);
  return reader.fail(
    token,
    "unknown-errno",
    `there is no errno ${JSON.stringify(token.text)}`,
    guess === undefined ? "errnos are written EPERM, ENOSYS, …, or as a number" : `did you mean ${guess}?`,
  );
}

function parenthesised(reader: Reader): number {
  reader.expect("(", "and a number");
  const data = smallInteger(reader, reader.next(), 65535, "this number");
  reader.expect(")", "after the number");
  return data;
}
