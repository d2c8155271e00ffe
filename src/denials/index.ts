/**
 * System calls for people: decoded, and the narrowest rule that would permit them.
 *
 *   const raw = { abi: "x86_64", nr: 41, args: [16n, 0x80003n, 0n] };
 *   decodeCall(raw).text     socket(domain = AF_NETLINK, type = SOCK_RAW|SOCK_CLOEXEC, protocol = NETLINK_ROUTE)
 *   permittingRule(raw, "x86_64")  allow socket(domain == AF_NETLINK && protocol == NETLINK_ROUTE)
 */
export { type ArgumentKind, describedArguments, kindOf, type Matter, mattersOf } from "./argument-kinds.ts";
export {
  type DecodedArgument,
  type DecodedCall,
  decodeArguments,
  decodeCall,
  quoteText,
  type RawCall,
} from "./decode-call.ts";
export {
  type Denial,
  describeDenial,
  describeReason,
  explainDenial,
  isNews,
  type RawDenial,
  sandboxSource,
} from "./describe-denial.ts";
export { type Answer, explainQuestion, type Question } from "./explain-question.ts";
export { nameValue } from "./name-value.ts";
export { narrowSelector, type VisibleMatter, visibleMatters } from "./narrow-selector.ts";
export { describeNetwork, type NetworkDenial, networkDenial } from "./network-denial.ts";
export { pathArguments } from "./path-arguments.ts";
export { permittingRule } from "./permitting-rule.ts";
export { type ReportRow, reportRows } from "./report-rows.ts";
export { callWords, type Refusal, type RuleNumbers, ruleNumbers } from "./rule-numbers.ts";
export { handedUp, hasQuestions, withoutQuestions } from "./supervised.ts";
export { canTypeAnswers, unaskedQuestions } from "./unasked.ts";
