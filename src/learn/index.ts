/**
 * Learning a policy from runs that were watched. Pure: what starts programs is in sandbox/watch.ts.
 *
 *   observation = readRecords(bytes)                       what a run did beyond what a policy permits
 *   learned = learnedRules(observation, policy, "x86_64")  rules for it, with conditions on the arguments that matter
 *   text = addRules({ name, text }, learned)               the policy's file with them
 */
export { addressUse, describeAddress } from "./addresses.ts";
export { type FileUse, fileUse, fold } from "./files.ts";
export { answerNumber, encodeJob } from "./job.ts";
export { type LearnedRule, type LearnedRules, learnedRules, servingFrom } from "./learned-rules.ts";
export { addRules, type History, historyOf, newPolicyText, withHistory } from "./policy-text.ts";
export { type Observation, readRecords, type SeenCall, type SeenText } from "./records.ts";
export { unwatched } from "./unwatched.ts";
export { reportPolicy, watchPolicy } from "./watch-policy.ts";
