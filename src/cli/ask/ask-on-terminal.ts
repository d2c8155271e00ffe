/**
 * Questions on the terminal, one after the other:
 *
 *   callgate: fetch[6259] asks for
 *     socket(domain = AF_VSOCK, type = SOCK_STREAM, protocol = 0)
 *     thumbnailer.toml:9  ask socket(domain == AF_VSOCK)
 *     always writes:  allow socket(domain == AF_VSOCK && …)  into thumbnailer.toml
 *   (o)nce, for this (r)un, (a)lways, (d)eny, or deny and ask (n)o more?
 *
 * The program can write to the same terminal. Nothing that it says is in a question but its name, which cannot drive a
 * terminal; only a line that is an answer and nothing else counts; and what was typed before the question does not.
 */
import { type Answer, describeReason, type Question } from "../../denials/index.ts";
import { sanitise } from "../../diagnostics/index.ts";
import type { Policy } from "../../policy/types.ts";
import type { Terminal } from "./terminal.ts";

/** What was said for good: the sentence that tells of it, and whether it covers another question. */
export interface Always {
  /** What writing would do. */
  readonly offer: (question: Question) => string;
  /** Writes the rule; answers what came of it. */
  readonly write: (question: Question) => string;
  /** Whether a rule that was written permits it. */
  readonly permits: (question: Question) => boolean;
}

export interface Asking {
  readonly take: (key: number, turn: number, question: Question) => void;
  readonly withdraw: (key: number) => void;
  /** Nobody waits for anything any more. */
  readonly end: () => void;
}

interface Open {
  readonly turn: number;
  readonly question: Question;
}

type Choice = Answer | "always" | "none";

const answers: Readonly<Record<string, Choice>> = {
  o: "once",
  once: "once",
  r: "run",
  run: "run",
  a: "always",
  always: "always",
  d: "deny",
  deny: "deny",
  n: "none",
  none: "none",
};

const choices = "(o)nce, for this (r)un, (a)lways, (d)eny, or deny and ask (n)o more? ";
/** How often the terminal is looked at while a question is open, in milliseconds. */
const period = 100;

export function askOnTerminal(
  terminal: Terminal,
  policy: Policy,
  always: Always,
  answer: (key: number, turn: number, verdict: Answer) => void,
): Asking {
  const open = new Map<number, Open>();
  let shown: number | undefined;
  let askedAgain: number | undefined; // it was shown, and nobody else has been in front since
  let isWaiting = false; // it was said that a question waits for its turn in front
  let isQuiet = false;
  let timer: NodeJS.Timeout | undefined;

  const settle = (key: number, turn: number, verdict: Answer): void => {
    open.delete(key);
    if (shown === key) shown = undefined;
    answer(key, turn, verdict);
  };

  const give = (key: number, { turn, question }: Open, given: Choice): void => {
    if (given === "none") {
      refuseAll();
    } else if (given === "always") {
      terminal.write(`callgate: ${sanitise(always.write(question))}\n`);
      settle(key, turn, "run");
    } else settle(key, turn, given);
  };

  const show = (key: number, { question }: Open): void => {
    // What was typed before was not meant for this.
    if (askedAgain !== key) while ((terminal.read() ?? "") !== "");
    askedAgain = undefined;
    const more = open.size > 1 ? `  (${open.size - 1} more wait)\n` : "";
    // A question that is not whole on the terminal is asked again, and nothing that is typed answers it.
    const isWhole = terminal.write(
      `\ncallgate: ${whoAsks(question)} asks for\n  ${question.text}\n  ${describeReason(question, policy)}\n  ${sanitise(always.offer(question))}\n${more}${choices}`,
    );
    if (!isWhole) return;
    shown = key;
    isWaiting = false;
  };

  /** Nobody can be asked on a terminal that is gone: what is open is refused, and so is what comes. */
  const refuseAll = (): void => {
    isQuiet = true;
    for (const [key, one] of [...open]) settle(key, one.turn, "deny");
  };

  const hear = (key: number, one: Open): void => {
    const typed = terminal.read();
    if (typed === undefined) return;
    if (typed === "") {
      terminal.write("\n");
      give(key, one, "deny");
      return;
    }
    // A terminal in raw mode gives keys, without an end of line, and shows nothing.
    const isRaw = !typed.includes("\n");
    const word = typed.trim().toLowerCase();
    const given = Object.hasOwn(answers, word) ? answers[word] : undefined;
    if (given === undefined) terminal.write(`${isRaw ? "\n" : ""}${choices}`);
    else {
      if (isRaw) terminal.write(`${given}\n`);
      give(key, one, given);
    }
  };

  const look = (): void => {
    for (const [key, one] of [...open]) if (always.permits(one.question)) settle(key, one.turn, "run");
    const [first] = open;
    if (first === undefined) {
      clearInterval(timer);
      timer = undefined;
      return;
    }
    const [key, one] = shown === undefined ? first : [shown, open.get(shown) ?? first[1]];
    if (!terminal.isInFront(one.question.pid)) {
      shown = undefined;
      askedAgain = undefined;
      if (!isWaiting)
        terminal.write(
          `\ncallgate: ${whoAsks(one.question)} has a question, and waits to be in front (fg)\n`,
        );
      isWaiting = true;
    } else if (shown === undefined) show(key, one);
    else hear(key, one);
    if (terminal.problem() !== undefined) refuseAll();
  };

  return {
    take: (key, turn, question) => {
      if (isQuiet) {
        answer(key, turn, "deny");
        return;
      }
      if (shown === key) {
        // A signal (Ctrl-Z and fg) makes the kernel ask anew: what was typed at this question still answers it. Of
        // somebody else it does not.
        const before = open.get(key);
        askedAgain = before !== undefined && looksTheSame(before.question, question) ? key : undefined;
        shown = undefined;
      }
      open.set(key, { turn, question });
      timer ??= setInterval(look, period);
      if (open.size === 1) look();
    },
    withdraw: (key) => {
      const gone = open.get(key);
      open.delete(key);
      if (shown !== key || gone === undefined) return;
      shown = undefined;
      terminal.write(`\ncallgate: ${whoAsks(gone.question)} asks no more\n`);
    },
    end: () => {
      clearInterval(timer);
      timer = undefined;
      if (shown !== undefined) terminal.write("\ncallgate: the program has ended, and asks no more\n");
      open.clear();
      shown = undefined;
    },
  };
}

/** Of two questions with one key, which have call and arguments in common. */
function looksTheSame(one: Question, other: Question): boolean {
  return whoAsks(one) === whoAsks(other) && one.text === other.text;
}

function whoAsks({ program, pid }: Question): string {
  return `${sanitise(program)}[${pid}]`;
}
