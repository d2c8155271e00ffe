/** What is asked on a terminal that is held, or gone: no question that was not shown whole is answered by anybody. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Asking, askOnTerminal } from "../../src/cli/ask/ask-on-terminal.ts";
import type { Terminal } from "../../src/cli/ask/terminal.ts";
import type { Answer, Question } from "../../src/denials/index.ts";
import { readPolicy } from "../../src/index.ts";

const { policy } = readPolicy('version = 1\n[syscalls]\nrules = "ask socket(domain == AF_NETLINK)"\n');
const question: Question = {
  abi: "x86_64",
  syscall: "socket",
  nr: 41,
  by: "default",
  rule: undefined,
  permit: undefined,
  args: [16n, 3n, 0n, 0n, 0n, 0n],
  text: "socket(domain = AF_NETLINK)",
  pid: process.pid,
  program: "asker",
};

interface Scene {
  readonly asking: Asking;
  readonly answers: Map<number, Answer>;
  /** What was tried to be written. */
  readonly tried: string[];
}

function sceneOn(terminal: (tried: string[]) => Terminal): Scene {
  const tried: string[] = [];
  const answers = new Map<number, Answer>();
  assert.ok(policy !== undefined);
  const always = { offer: () => "offer", write: () => "written", permits: () => false };
  const asking = askOnTerminal(terminal(tried), policy, always, (key, _turn, answer) => {
    answers.set(key, answer);
  });
  return { asking, answers, tried };
}

/** A keyboard, and the terminal in front of it. */
class Keyboard {
  /** What was typed and not read yet. */
  typed: string | undefined;
  /** Nothing can be written (Ctrl-S). */
  isHeld = false;

  terminal(tried: string[]): Terminal {
    return {
      write: (text) => {
        tried.push(text);
        return !this.isHeld;
      },
      read: () => {
        const now = this.typed;
        this.typed = undefined;
        return now;
      },
      problem: () => undefined,
      isInFront: () => true,
    };
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries += 1) {
    assert.ok(tries < 1200, "waited for a minute");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("a terminal that is gone refuses what is asked, and what comes, and knows why", async () => {
  const { asking, answers, tried } = sceneOn((all) => ({
    write: (text) => {
      all.push(text);
      return false;
    },
    read: () => undefined,
    problem: () => (all.length === 0 ? undefined : "writing to it: EIO"),
    isInFront: () => true,
  }));
  asking.take(1, 1, question);
  asking.take(2, 1, question);
  await until(() => answers.size === 2);
  asking.take(3, 1, question);
  assert.deepEqual([...answers.values()], ["deny", "deny", "deny"]);
  assert.equal(tried.filter((one) => one.includes("asks for")).length, 1);
});

test("a terminal that is held is tried again; what is typed before the question is whole on it is no answer", async () => {
  const keyboard = new Keyboard();
  keyboard.isHeld = true;
  const { asking, answers, tried } = sceneOn((all) => keyboard.terminal(all));
  asking.take(1, 1, question);
  await until(() => tried.length > 2);
  keyboard.typed = "r\n";
  await until(() => keyboard.typed === undefined);
  const before = tried.length;
  await until(() => tried.length > before + 1);
  assert.equal(answers.size, 0);
  keyboard.isHeld = false;
  const held = tried.length;
  await until(() => tried.length > held);
  keyboard.typed = "o\n";
  await until(() => answers.size === 1);
  assert.deepEqual([...answers], [[1, "once"]]);
  assert.ok(tried.every((one) => one.includes("asks for")));
});

test("who asks again after a signal is shown again, and what was typed meanwhile counts; for somebody else it does not", async () => {
  const keyboard = new Keyboard();
  const { asking, answers, tried } = sceneOn((all) => keyboard.terminal(all));
  asking.take(1, 1, question);
  keyboard.typed = "o\n";
  asking.take(1, 2, question);
  await until(() => answers.delete(1));
  assert.equal(tried.length, 2, tried.join("\n"));

  asking.take(1, 3, question);
  keyboard.typed = "o\n"; // for the one that it was shown of
  asking.take(1, 4, { ...question, program: "other" });
  await until(() => tried.length === 4);
  assert.match(tried[3] ?? "", /other\[/);
  assert.equal(keyboard.typed, undefined);
  assert.equal(answers.size, 0);
  asking.withdraw(1);
  asking.end();
});
