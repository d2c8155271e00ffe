/**
 * Learning a policy from runs that were watched. Pure: what starts programs is in sandbox/watch.ts.
 *
 *   observation = readRecords(bytes)                       what a run did beyond what a policy permits
 *   learned = learnedRules(observation, policy, "x86_64")  rules for it, with conditions on the arguments that matter
 *   grants = learnedGrants(observation, place)             files and ports that the policy does not grant yet
 *   text = addGrants({ name, text: addRules({ name, text }, learned) }, grants)   the policy's file with them
 */
export { addressUse, describeAddress } from "./addresses.ts";
export { type FileFacts, type FileUse, fileUse, fold } from "./files.ts";
export { addGrants } from "./grant-text.ts";
export { type GrantPlace, type LearnedGrants, learnedGrants } from "./grants.ts";
export { answerNumber, encodeJob, type JobOptions } from "./job.ts";
export {
  type LearnedRule,
  type LearnedRules,
  learnedRules,
  rulesForDenials,
  servingFrom,
} from "./learned-rules.ts";
export {
  addRules,
  aroundHistory,
  describeLimits,
  type History,
  historyOf,
  historyText,
  limitsText,
  newPolicyText,
  withHistory,
  withLimits,
} from "./policy-text.ts";
export { type Observation, readRecords, type SeenCall, type SeenText } from "./records.ts";
export { unwatched } from "./unwatched.ts";
export { watchPolicy } from "./watch-policy.ts";
