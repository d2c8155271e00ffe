/** A set of flags compared as if it were one value. */
import { spanText } from "../../diagnostics/index.ts";
import { isDenial } from "../../policy/action.ts";
import type { Value } from "../../policy/types.ts";
import { argumentNamed } from "../../syscalls/index.ts";
import { argumentOf, missesOpen, namedValues, ownTests, type TestNode } from "../conditions.ts";
import { at, fixOf } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import { argumentsAt } from "../subject.ts";

export const equalFlags: Lint = {
  documentation: {
    id: "equal-flags",
    severity: "warning",
    what: "A set of flags is compared by == (or in, !=) as if it were one value.",
    why: "One more flag and the comparison fails: a rule that refuses `flags == CLONE_NEWUSER` is passed by CLONE_NEWUSER | CLONE_FS. Test the bits with &, or with within. For open and openat it is reported in rules that allow, too: libraries add O_CLOEXEC, and the call is refused.",
    example: "deny clone(flags == CLONE_NEWUSER)\nallow clone",
    instead: "deny clone(flags & CLONE_NEWUSER)\nallow clone",
  },
  check: (subject) => {
    const findings: Finding[] = [];
    for (const { item, test } of ownTests(subject)) {
      const values = namedValues(test.written.test);
      if (values.length === 0 || test.written.operand.mask !== undefined || !areFlags(test)) continue;
      const isEvaded = missesOpen(item.rule, isDenial(item.rule.action), test, test.written.test);
      if (isEvaded ? isOnlyZero(test) && !isOfOpen(test) : !isOfOpen(test)) continue;
      const name = argumentOf(test) ?? "";
      findings.push({
        message: isEvaded
          ? `${name} is a set of flags: with one flag more the call passes this rule`
          : `${name} is a set of flags: with O_CLOEXEC, which libraries add, the comparison fails`,
        ...advice(test, name, isEvaded),
        ...at(test.written.span),
      });
    }
    return findings;
  },
};

/** By the name that the argument has at every call of the selector. */
function areFlags(test: TestNode): boolean {
  const name = argumentOf(test);
  if (name === undefined || test.resolved.length === 0) return false;
  return test.resolved.every(({ placement }) => {
    const argument = argumentNamed(argumentsAt(placement) ?? [], name);
    return (
      argument !== undefined &&
      [argument.name, ...argument.aliases].some((one) => /(flags?|flg)$|^prot$/.test(one))
    );
  });
}

function isOfOpen({ resolved }: TestNode): boolean {
  return resolved.some(({ placement }) => placement.name === "open" || placement.name === "openat");
}

/** `flags == 0` asks for no flags at all, and means it. */
function isOnlyZero({ resolved }: TestNode): boolean {
  return resolved.every(({ condition }) => {
    if (condition.kind !== "test") return true;
    const { comparison } = condition;
    if (comparison.operator === "in") return comparison.ranges.every((range) => range.high === 0n);
    return "value" in comparison && comparison.value === 0n;
  });
}

function advice(test: TestNode, name: string, isEvaded: boolean): Pick<Finding, "label" | "fix"> {
  const { span, test: comparison } = test.written;
  if (!isEvaded) return { label: `write ${name} within … | O_CLOEXEC, or ${name} & O_ACCMODE == …` };
  if (comparison.kind !== "compare" || span === undefined || isOnlyZero(test))
    return { label: `write ${name} & …` };
  const bits = textOf(comparison.value);
  if (bits === undefined) return { label: `write ${name} & …` };
  const positive = comparison.operator === "==";
  // Of several flags all were asked for.
  const several = comparison.value.kind === "union";
  const masked = several
    ? `${name} & (${bits}) ${comparison.operator} ${bits}`
    : positive
      ? `${name} & ${bits}`
      : `!(${name} & ${bits})`;
  return { label: `write ${masked}`, ...fixOf(`write ${masked}`, { span, text: masked }) };
}

function textOf(value: Value): string | undefined {
  return value.span === undefined ? undefined : spanText(value.span);
}
