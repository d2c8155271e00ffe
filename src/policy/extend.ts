import type { AbiSelection, Policy, Rule } from "./types.ts";

/**
 * The policy with more rules before its own (after those of `require`, which nothing overrides) and more ABIs:
 * what a command line or a container's statements add.
 */
export function extendPolicy(
  policy: Policy,
  added: { readonly rules: readonly Rule[]; readonly abis: AbiSelection },
): Policy {
  if (added.rules.length === 0 && added.abis.length === 0) return policy;
  const { syscalls } = policy;
  return {
    ...policy,
    syscalls: {
      ...syscalls,
      abis: [...new Set([...syscalls.abis, ...added.abis])],
      rules: [...added.rules, ...syscalls.rules],
    },
  };
}
