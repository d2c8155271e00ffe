/** What a policy says of itself in `expect`, proved. */
import { listWords, positionAt } from "../../diagnostics/index.ts";
import { printAction } from "../../policy/action.ts";
import { printSelector } from "../../policy/printer.ts";
import { resolve } from "../../policy/resolve.ts";
import type { Entry, ResolvedAbi, ResolvedCondition, ResolvedPolicy } from "../../policy/resolved.ts";
import type { Rule } from "../../policy/types.ts";
import { comparePolicies, isOrigin, policyOfCalls } from "../../proof/reach.ts";
import { describeCall } from "../describe-call.ts";
import { at } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import type { Subject } from "../subject.ts";

export const expectationFailed: Lint = {
  documentation: {
    id: "expectation-failed",
    severity: "error",
    what: "A line of `expect` does not hold: some call that it selects gets another action, or it selects no call at all.",
    why: "`expect` says in the policy itself what it is for. Each line is written as a rule, and means that every call which it selects, on every ABI of the policy and with all that the policy extends, gets exactly that action. `check` proves it by an exact search and shows a call for which it is not so. An argument that lies in memory may be anything. A parent's expectations are its own: they do not bind the policies that extend it (`require` does).",
    example:
      "version = 1\nexpect = [\"deny keyctl\"]\n[syscalls]\nrules = '''\nallow @default\nallow keyctl(operation == KEYCTL_GET_KEYRING_ID)\n'''\n",
    instead: 'version = 1\nexpect = ["deny keyctl"]\n[syscalls]\nrules = "allow @default"\n',
  },
  check: (subject) => (subject.policy.expect ?? []).flatMap((rule) => failures(subject, rule)),
};

function failures(subject: Subject, expected: Rule): readonly Finding[] {
  const { policy, target } = subject;
  const alone = { ...policy.syscalls, require: [], rules: [expected] };
  const { resolved, diagnostics } = resolve(
    { version: 1, syscalls: alone },
    ...(target === undefined ? [] : [target]),
  );
  const mistakes = diagnostics.filter((one) => one.severity === "error");
  if (mistakes.length > 0)
    return mistakes.map(({ message, label, span }) => ({
      message: `this expectation cannot be read: ${message}`,
      ...(label === undefined ? {} : { label }),
      ...at(span),
    }));
  const asked = policyOfCalls(resolved, (call) =>
    [call, ...(call.behind?.calls ?? [])].some((one) => one.entries.length > 0),
  );
  if (asked.abis.length === 0) {
    return [
      {
        message: `this expectation is about no call of ${listWords(
          resolved.abis.map((abi) => abi.abi.name),
          "or",
        )}`,
        ...at(expected.span),
      },
    ];
  }
  const actual = withCallsOf(subject.resolved, asked);
  const result = comparePolicies(withExpectation(actual, asked), actual);
  switch (result.verdict) {
    case "equal":
      return [];
    case "undecided":
      return [{ message: `this expectation could not be decided: ${result.reason}`, ...at(expected.span) }];
    case "different": {
      const origin = isOrigin(result.second.by) ? result.second.by : "default";
      return [
        {
          message: `this does not hold: ${describeCall(actual, result.words)} gets ${actionOf(subject, origin)}`,
          label: `expected ${printAction(expected.action)} for every ${listWords(expected.selectors.map(printSelector), "and")}`,
          notes: [whoSays(subject, origin)],
          ...at(expected.span),
        },
      ];
    }
  }
}

/** The policy's own say on the calls of another one. */
function withCallsOf(resolved: ResolvedPolicy, asked: ResolvedPolicy): ResolvedPolicy {
  const abis = asked.abis.flatMap((abi) => {
    const own = resolved.abis.find((one) => one.abi.name === abi.abi.name);
    const numbers = new Set(abi.calls.map((call) => call.nr));
    return own === undefined ? [] : [{ ...own, calls: own.calls.filter((call) => numbers.has(call.nr)) }];
  });
  return { ...resolved, abis };
}

/** The policy as it would be with the expectation for its first rule: equal to it where the expectation holds. */
function withExpectation(actual: ResolvedPolicy, expected: ResolvedPolicy): ResolvedPolicy {
  const abis = expected.abis.map((abi): ResolvedAbi => {
    const own = actual.abis.find((one) => one.abi.name === abi.abi.name);
    const calls = abi.calls.map((call) => {
      const found = own?.calls.find((one) => one.nr === call.nr);
      const rest = found ?? { entries: [], fallback: call.fallback };
      const behind = call.behind === undefined ? undefined : (found?.behind ?? call.behind);
      return {
        ...call,
        entries: [...call.entries.map(assumed), ...rest.entries],
        fallback: rest.fallback,
        ...(behind === undefined
          ? {}
          : {
              behind: {
                ...behind,
                calls: behind.calls.map((one) => {
                  const asked = call.behind?.calls.find((other) => other.code === one.code);
                  return { ...one, entries: [...(asked?.entries ?? []).map(assumed), ...one.entries] };
                }),
              },
            }),
      };
    });
    return { ...abi, calls };
  });
  return { ...actual, abis };
}

/** What cannot be seen may be so: an expectation has to hold for it too. */
function assumed(entry: Entry): Entry {
  return { ...entry, condition: assume(entry.condition, true) };
}

function assume(condition: ResolvedCondition, value: boolean): ResolvedCondition {
  switch (condition.kind) {
    case "and":
    case "or":
      return { kind: condition.kind, items: condition.items.map((item) => assume(item, value)) };
    case "not":
      return { kind: "not", item: assume(condition.item, !value) };
    case "unknown":
      return { kind: "known", value };
    default:
      return condition;
  }
}

type Origin = Rule | string;

function actionOf({ policy }: Subject, origin: Origin): string {
  if (typeof origin === "object") return printAction(origin.action);
  const { syscalls } = policy;
  if (origin === "newer") return printAction(syscalls.newer);
  return printAction(origin === "other-abis" ? syscalls.otherAbis : syscalls.default);
}

function whoSays(subject: Subject, origin: Origin): { message: string; span?: NonNullable<Rule["span"]> } {
  if (typeof origin === "string") {
    return {
      message:
        origin === "newer"
          ? "it is newer than the baseline, and no rule names it"
          : `the policy's ${origin} says so`,
    };
  }
  const { span } = subject.itemOf(origin)?.rule ?? origin;
  if (span === undefined) return { message: "by a rule that was made as a value" };
  return { message: `line ${positionAt(span.source, span.start).line} says so`, span };
}
