/** The policies by which a program is watched: what a policy does not permit yet is handed up. */
import { plainText } from "../policy/document.ts";
import { extendPolicy } from "../policy/extend.ts";
import { parseRules } from "../policy/parser.ts";
import type { Policy, Rule } from "../policy/types.ts";

/** Linux 4.10: what is newer and was not seen does not exist for the program, and C libraries take the older call. */
export const learnedBaseline = "4.10";

const rulesOf = (lines: readonly string[]): readonly Rule[] => {
  const text = lines.join("\n");
  return parseRules(plainText({ name: "learning", text }, text, 0)).rules;
};

/**
 * The policy with everything handed up that it refuses because nothing is said of it. What a rule of it refuses stays
 * refused: that was somebody's decision. Starting the program is always handed up, since a policy may refuse it.
 * @param others whether calls of ABIs that it has no rules for are handed up too, or stay refused
 */
export function watchPolicy(policy: Policy, others: boolean): Policy {
  const starts = rulesOf(["notify execve, execveat"]);
  const watched = extendPolicy(policy, { rules: starts, abis: [] });
  const { syscalls } = watched;
  return {
    ...watched,
    syscalls: {
      ...syscalls,
      default: { kind: "notify" },
      newer: { kind: "notify" },
      otherAbis: others ? { kind: "notify" } : syscalls.otherAbis,
    },
  };
}
