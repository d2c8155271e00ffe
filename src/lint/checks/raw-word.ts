/** `args[N]` and `ip`: for what other programs have written, not for people. */

import { ownTests, type TestNode } from "../conditions.ts";
import { at, fixOf } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import { argumentsAt } from "../subject.ts";

export const rawWord: Lint = {
  documentation: {
    id: "raw-word",
    severity: "warning",
    what: "A condition looks at a raw argument word (`args[N]`) or at the instruction pointer (`ip`).",
    why: "A raw word is compared as 64 bits, of which the kernel may read 32 or 16: one high bit passes the rule. Its place differs between ABIs as well. An argument's name stands for what the kernel reads, wherever the ABI puts it. The instruction pointer is the program's to choose.",
    example: "deny socket(args[0] == AF_NETLINK)\nallow socket",
    instead: "deny socket(domain == AF_NETLINK)\nallow socket",
  },
  check: (subject) => {
    const findings: Finding[] = [];
    for (const { test } of ownTests(subject)) {
      const { operand } = test.written;
      if (operand.word.kind === "argument") continue;
      const name = operand.word.kind === "raw" ? argumentAt(test, operand.word.index) : undefined;
      const shown = operand.word.kind === "raw" ? `args[${operand.word.index}]` : "ip";
      findings.push({
        message:
          operand.word.kind === "ip"
            ? "ip says nothing about what a call does: a program can make it from anywhere"
            : `${shown} is the raw 64-bit word: the kernel may read fewer bits of it`,
        ...(name === undefined ? {} : { label: `write ${name}` }),
        ...at(operand.span),
        ...fixOf(
          `write ${name ?? ""}`,
          name === undefined || operand.span === undefined
            ? undefined
            : { span: wordOf(operand.span), text: name },
        ),
      });
    }
    return findings;
  },
};

/** The word at the beginning of an operand, without its mask. */
function wordOf(span: NonNullable<TestNode["written"]["span"]>): NonNullable<TestNode["written"]["span"]> {
  const text = span.source.text.slice(span.start, span.end);
  const length = /^args\s*\[[^\]]*\]|^ip/.exec(text)?.[0].length ?? text.length;
  return { ...span, end: span.start + length };
}

/** The one name that the word has at every call of the selector; a pointer has none worth a comparison. */
function argumentAt({ resolved }: TestNode, index: number): string | undefined {
  const names = new Set(
    resolved.map(({ placement }) => {
      const found = argumentsAt(placement)?.find(
        (one) => one.place.kind === "word" && one.place.index === index,
      );
      return found === undefined || found.kind === "pointer" ? undefined : found.name;
    }),
  );
  const [name] = names;
  return names.size === 1 ? name : undefined;
}
