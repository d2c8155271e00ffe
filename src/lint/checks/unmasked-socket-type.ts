/** socket's type compared with the flags that may stand beside it. */
import { argumentOf, ownTests, type TestNode } from "../conditions.ts";
import { at, fixOf, insertion } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";

export const unmaskedSocketType: Lint = {
  documentation: {
    id: "unmasked-socket-type",
    severity: "warning",
    what: "The type of a socket is compared without SOCK_CLOEXEC and SOCK_NONBLOCK being masked out.",
    why: "Both flags stand in the same argument: `type == SOCK_RAW` misses SOCK_RAW | SOCK_CLOEXEC, which is a raw socket all the same, and a rule that allows `type == SOCK_STREAM` refuses what most libraries ask for.",
    example: "deny socket(type == SOCK_RAW)\nallow socket",
    instead: "deny socket(type & SOCK_TYPE_MASK == SOCK_RAW)\nallow socket",
  },
  check: (subject) => {
    const findings: Finding[] = [];
    for (const { test } of ownTests(subject)) {
      const { operand } = test.written;
      if (argumentOf(test) !== "type" || operand.mask !== undefined || !isBlindToFlags(test)) continue;
      const end = operand.span?.end;
      findings.push({
        message: "type also holds SOCK_CLOEXEC and SOCK_NONBLOCK: with one of them the comparison fails",
        label: "write type & SOCK_TYPE_MASK",
        ...at(operand.span),
        ...fixOf(
          "mask the flags out",
          operand.span === undefined || end === undefined
            ? undefined
            : insertion(operand.span, end, " & SOCK_TYPE_MASK"),
        ),
      });
    }
    return findings;
  },
};

const typeBits = 0xfn;

/** All its values are types alone; who compares with the flags has thought of them. */
function isBlindToFlags({ resolved }: TestNode): boolean {
  return (
    resolved.length > 0 &&
    resolved.every(({ placement, condition }) => {
      if (placement.name !== "socket" && placement.name !== "socketpair") return false;
      // Through a multiplexer the argument lies in memory.
      if (condition.kind === "unknown") return true;
      if (condition.kind !== "test") return false;
      const { comparison } = condition;
      if (comparison.operator === "in")
        return comparison.ranges.every((range) => range.low === range.high && range.high <= typeBits);
      return (
        ["==", "!="].includes(comparison.operator) && "value" in comparison && comparison.value <= typeBits
      );
    })
  );
}
