/** 64-bit arguments of operations that read 32 bits of them. */
import { isDenial } from "../../policy/action.ts";
import { argumentOf, missesOpen, ownTests, type TestNode } from "../conditions.ts";
import { at, fixOf, insertion } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";

/** Calls whose argument is one type to the system call and another to the operation that takes it. */
const untyped: Readonly<Record<string, readonly string[]>> = {
  // F_DUPFD, F_SETFD, F_SETFL, F_SETOWN, F_SETSIG … read an int of the unsigned long.
  fcntl: ["arg"],
  // TIOCSTI's is a pointer, but FIOCLEX's, TCFLSH's, TIOCSCTTY's … are an int.
  ioctl: ["arg", "argp"],
  // PR_SET_SECCOMP, PR_SET_TIMERSLACK, PR_SET_FP_MODE … differ among each other.
  prctl: ["arg2", "arg3", "arg4", "arg5"],
  // Key and user ids are 32 bits, sizes 64.
  keyctl: ["arg2", "arg3", "arg4", "arg5"],
};

export const wideArgument: Lint = {
  documentation: {
    id: "wide-argument",
    severity: "warning",
    what: "A rule that refuses compares all 64 bits of an argument of which some operations read 32: fcntl's and ioctl's arg, arg2 … arg5 of prctl and keyctl.",
    why: "The type of these arguments is the operation's own. Where the kernel reads an int, a program sets a bit above it, does the same, and the comparison fails. Mask the argument to the bits that are read.",
    example: "deny fcntl(cmd == F_SETFD && arg == 0)\nallow fcntl",
    instead: "deny fcntl(cmd == F_SETFD && arg & 0xffff_ffff == 0)\nallow fcntl",
  },
  check: (subject) => {
    const findings: Finding[] = [];
    for (const { item, test } of ownTests(subject)) {
      const { operand, test: comparison } = test.written;
      const name = argumentOf(test);
      if (name === undefined || operand.mask !== undefined || !isUntyped(test, name)) continue;
      if (comparison.kind === "nonzero" || comparison.kind === "within") continue;
      if (!missesOpen(item.rule, isDenial(item.rule.action), test, comparison)) continue;
      findings.push({
        message: `of ${name} some operations read 32 bits: with a bit above them the call passes this rule`,
        label: `write ${name} & 0xffff_ffff`,
        ...at(operand.span),
        ...fixOf(
          "look at the low 32 bits",
          operand.span === undefined
            ? undefined
            : insertion(operand.span, operand.span.end, " & 0xffff_ffff"),
        ),
      });
    }
    return findings;
  },
};

function isUntyped({ resolved }: TestNode, name: string): boolean {
  return resolved.some(
    ({ placement, condition }) =>
      untyped[placement.name ?? ""]?.includes(name) === true &&
      condition.kind === "test" &&
      condition.field.width === 64,
  );
}
