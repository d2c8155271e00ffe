/**
 * Rules that come from an LXC profile, as LXC's lines again. LXC compares 64 bits of an argument where the ABI has them
 * and 32 elsewhere, so that a policy which says what such a line does says something else on each ABI; the line
 * that means just this is found by reading it back.
 */
import { resolveSound } from "../../policy/resolve.ts";
import {
  type Decisions,
  type ResolvedAbi,
  type ResolvedCall,
  type ResolvedCondition,
  wordsOfArgument,
} from "../../policy/resolved.ts";
import type { Action } from "../../policy/types.ts";
import type { Abi } from "../../syscalls/index.ts";
import { type LxcProfileOptions, readLxcProfile } from "./read.ts";

export interface LinesWanted {
  readonly name: string;
  /** What the policy says of it, on every ABI that has it. */
  readonly calls: readonly { readonly abi: ResolvedAbi; readonly call: ResolvedCall }[];
  /** Version and policy line. */
  readonly head: string;
  /** An action in LXC's words. */
  readonly words: (action: Action) => string;
  readonly options: LxcProfileOptions;
}

/** What stands behind the name in each line; undefined where no lines mean exactly that. */
export function linesAsRead({
  name,
  calls,
  head,
  words,
  options,
}: LinesWanted): readonly string[] | undefined {
  const shape = (decisions: Decisions): string =>
    JSON.stringify(
      [
        decisions.entries.map(({ rule, condition }) => [words(rule.action), condition]),
        words(decisions.fallback.action),
      ],
      (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value),
    );
  const isSame = (one: ResolvedCall, other: ResolvedCall): boolean =>
    shape(one) === shape(other) &&
    (one.behind?.calls ?? []).map(shape).join() === (other.behind?.calls ?? []).map(shape).join();
  for (const { abi, call } of calls) {
    const lines = call.entries.map(({ rule, condition }) => {
      const tests = testsOf(condition, abi.abi);
      return tests === undefined ? undefined : `${words(rule.action)}${tests}`;
    });
    if (lines.length === 0 || !lines.every((line) => line !== undefined)) continue;
    const text = `${head}\n${lines.map((line) => `${name} ${line}\n`).join("")}`;
    const { policy } = readLxcProfile({ name, text }, options);
    if (policy === undefined) continue;
    const read = resolveSound(policy, options.target).abis;
    const isWhole = read.every((other) =>
      other.calls.every((one) => {
        const wanted = calls.find((own) => own.abi.abi.name === other.abi.name && own.call.nr === one.nr);
        return wanted === undefined ? one.entries.length === 0 : isSame(one, wanted.call);
      }),
    );
    if (isWhole) return lines;
  }
  return undefined;
}

/** A condition as argument tests, of whole arguments and in LXC's operators. */
function testsOf(condition: ResolvedCondition, abi: Abi): string | undefined {
  if (condition.kind === "known") return condition.value ? "" : undefined;
  const items = condition.kind === "and" ? condition.items : [condition];
  const tests = items.map((item) => {
    if (item.kind !== "test") return undefined;
    const { field, mask, comparison } = item;
    const index = [0, 1, 2, 3, 4, 5].find((at) => wordsOfArgument(at, abi.endian).low === field.low);
    if (
      index === undefined ||
      comparison.operator === "nonzero" ||
      comparison.operator === "in" ||
      comparison.operator === "within"
    )
      return undefined;
    const value = `0x${comparison.value.toString(16)}`;
    if (mask === undefined) return `[${index},${value},${comparison.operator}]`;
    return comparison.operator === "=="
      ? `[${index},${value},SCMP_CMP_MASKED_EQ,0x${mask.toString(16)}]`
      : undefined;
  });
  return tests.every((test) => test !== undefined) ? ` ${tests.join("")}` : undefined;
}
