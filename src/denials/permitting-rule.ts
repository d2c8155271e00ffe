/** The rule that a person would write to permit a call. */
import { printRule } from "../policy/printer.ts";
import type { Rule } from "../policy/types.ts";
import type { RawCall } from "./decode-call.ts";
import { narrowSelector } from "./narrow-selector.ts";

/** The narrowest rule that permits a call, as text; undefined where its number has no name. */
export function permittingRule(raw: RawCall): string | undefined {
  const selector = narrowSelector(raw.abi, raw.nr, [raw.args]);
  if (selector === undefined) return undefined;
  const rule: Rule = { action: { kind: "allow" }, selectors: [selector] };
  return printRule(rule);
}
