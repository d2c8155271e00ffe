/** The rule that a person would write to permit a call. */
import { printRule } from "../policy/printer.ts";
import type { Rule } from "../policy/types.ts";
import type { AbiName } from "../syscalls/index.ts";
import type { RawCall } from "./decode-call.ts";
import { narrowSelector } from "./narrow-selector.ts";

/**
 * The narrowest rule that permits a call, as text; undefined where its number has no name. Of an ABI other than the
 * machine's own it is a rule for that ABI alone.
 */
export function permittingRule(raw: RawCall, native: AbiName): string | undefined {
  const selector = narrowSelector(raw.abi, raw.nr, [raw.args]);
  if (selector === undefined) return undefined;
  const rule: Rule = {
    action: { kind: "allow" },
    selectors: [raw.abi === native ? selector : { ...selector, abi: raw.abi }],
  };
  return printRule(rule);
}
