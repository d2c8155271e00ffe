/** "Always": the rule that permits a question's call goes into the policy's file, and holds in this run too. */
import { readFileSync, statSync } from "node:fs";
import type { Question } from "../../denials/index.ts";
import { hasErrors } from "../../diagnostics/index.ts";
import type { FoundPolicy } from "../../formats/index.ts";
import { readFound } from "../../formats/load.ts";
import { plainText } from "../../policy/document.ts";
import { evaluate } from "../../policy/evaluate.ts";
import { extendPolicy } from "../../policy/extend.ts";
import { parseRules } from "../../policy/parser.ts";
import type { Policy } from "../../policy/types.ts";
import type { AbiName } from "../../syscalls/index.ts";
import { replaceFile } from "../replace-file.ts";
import { addRuleBefore } from "./add-rule.ts";
import type { Always } from "./ask-on-terminal.ts";

/** The file that the plan's policy was read from, with what was in it then. */
export interface PolicyFile {
  readonly path: string;
  /** As its rules name it. */
  readonly filename: string;
  readonly text: string;
}

/**
 * @param policy the one that asks
 * @param file undefined where the policy is a built-in one, or came on a pipe
 */
export function alwaysInto(
  file: PolicyFile | undefined,
  policy: Policy,
  native: AbiName,
  today: string,
): Always {
  let known = file?.text;
  // What was written, before all that asked: on the command line too.
  let extended = policy;

  const write = (question: Question): string => {
    const only = "allowed for this run only: ";
    if (file === undefined || known === undefined) return `${only}the policy is in no file`;
    if (question.permit === undefined) return `${only}no rule can permit it`;
    const asking = ruleOf(question, policy);
    // What the command line says comes before what is in the file.
    if (asking?.source.name.startsWith("--") === true)
      return `${only}the rule that asks is on the command line`;
    const { filename, path } = file;
    const rule = `${question.permit}  # always, as answered on ${today}`;
    // Later rules have moved by what was written before.
    const moved =
      asking?.source.name === filename ? placeIn(known, asking.source.text, asking.start) : undefined;
    const changed = addRuleBefore({ name: filename, text: known }, rule, moved);
    if ("problem" in changed) return `${only}${path}: ${changed.problem}`;
    if (!permits({ text: changed.text, filename }, question, native))
      return `${only}in ${path} another rule would still decide`;
    const problem = contentProblem(path, known) ?? replaceFile(path, changed.text);
    if (problem !== undefined) return `${only}${path} was not written: ${problem}`;
    known = changed.text;
    const { rules } = parseRules(plainText({ name: filename, text: rule }, rule, 0));
    extended = extendPolicy(extended, { rules, abis: [] });
    return `wrote ${question.permit} into ${path}`;
  };

  return {
    write,
    offer: ({ permit }) =>
      file === undefined || permit === undefined
        ? "always means for this run: there is no file of the policy's to write to"
        : `always writes:  ${permit}  into ${file.path}`,
    permits: (question) => isPermitted(extended, question, native),
  };
}

function ruleOf(
  { abi, nr, args }: Question,
  policy: Policy,
): { readonly source: { readonly name: string; readonly text: string }; readonly start: number } | undefined {
  return evaluate(policy, { abi, syscall: nr, args }).rule?.span;
}

/** Where something is that is as far from the end as it was: rules are added before it only. */
function placeIn(now: string, before: string, start: number): { readonly start: number } | undefined {
  const rest = before.slice(start);
  const same = now.indexOf(rest);
  return same === -1 ? undefined : { start: same };
}

/** Whether the policy in a text permits what is asked. */
function permits(found: FoundPolicy, question: Question, native: AbiName): boolean {
  const { policy, diagnostics } = readFound(found);
  return policy !== undefined && !hasErrors(diagnostics) && isPermitted(policy, question, native);
}

function isPermitted(policy: Policy, { abi, nr, args }: Question, target: AbiName): boolean {
  return evaluate(policy, { abi, syscall: nr, args }, { target }).action.kind === "allow";
}

/** Whoever has changed the file meanwhile had something in mind. */
function contentProblem(path: string, expected: string): string | undefined {
  try {
    if (!statSync(path).isFile()) return "it is no file any more";
    const bytes = readFileSync(path);
    return bytes.toString() === expected || bytes.toString().replace(/^\ufeff/, "") === expected
      ? undefined
      : "it was changed since the program was started";
  } catch {
    return "it cannot be read";
  }
}
