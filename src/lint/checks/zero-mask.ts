/** `flags & O_RDONLY`: a mask without a bit. */
import { spanText } from "../../diagnostics/index.ts";
import { printValue } from "../../policy/printer.ts";
import { argumentOf, ownTests, type TestNode } from "../conditions.ts";
import { at, fixOf } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import { isZeroMask } from "./constant-condition.ts";

export const zeroMask: Lint = {
  documentation: {
    id: "zero-mask",
    severity: "warning",
    what: "An argument is masked by a constant that is 0, such as O_RDONLY or PROT_NONE: no bit is left to be looked at.",
    why: "The condition has the same outcome for every call. Names of value 0 are not flags but the absence of flags: reading only is `flags & O_ACCMODE == O_RDONLY`.",
    example: "deny open(flags & O_RDONLY)",
    instead: "deny open(flags & O_ACCMODE == O_RDONLY)",
  },
  check: (subject) => {
    const findings: Finding[] = [];
    for (const { test } of ownTests(subject)) {
      const { operand } = test.written;
      if (operand.mask === undefined || !isZeroMask(test)) continue;
      const mask = operand.mask.span === undefined ? printValue(operand.mask) : spanText(operand.mask.span);
      findings.push({
        message: `${mask} is 0: no bit of the argument is looked at`,
        label: meant(test) ?? "compare with == instead",
        ...at(test.written.span),
        ...fixFor(test),
      });
    }
    return findings;
  },
};

/** What a bare `flags & NAME` was to be; undefined where that cannot be told. */
function meant(node: TestNode): string | undefined {
  const { operand, test } = node.written;
  const name = argumentOf(node);
  if (test.kind !== "nonzero" || operand.mask?.kind !== "constant" || name === undefined) return undefined;
  const { name: constant } = operand.mask;
  if (constant === "O_RDONLY") return `${name} & O_ACCMODE == O_RDONLY`;
  return constant === "PROT_NONE" ? `${name} == PROT_NONE` : undefined;
}

function fixFor(test: TestNode): ReturnType<typeof fixOf> {
  const text = meant(test);
  const { span } = test.written;
  return text === undefined || span === undefined ? {} : fixOf(`write ${text}`, { span, text });
}
