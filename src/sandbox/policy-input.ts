/** Policies as the library's users give them, and the plans that come of them. */
import { type Diagnostic, hasErrors, renderDiagnostics } from "../diagnostics/index.ts";
import {
  builtinName,
  builtinPolicies,
  builtinPolicyText,
  type ReadOptions,
  readPolicy,
  unnamedPolicy,
} from "../formats/index.ts";
import type { PolicyDocument } from "../formats/object.ts";
import { isPolicy } from "../policy/resolve.ts";
import type { Policy } from "../policy/types.ts";
import { compiledFilters } from "./compiled-filters.ts";
import { asksForSandbox, type PreparedPlan, PrepareError, preparePlan } from "./prepare.ts";

/**
 * A policy in any of its forms: what `readPolicy` or `loadPolicy` gave, the name of a built-in one (`"default"`), its
 * text (TOML or JSON), or an object of the same shape.
 */
export type PolicyInput = Policy | PolicyDocument | string;

/** How the text of a policy is read, and how much is set up. */
export interface PrepareOptions extends Pick<ReadOptions, "format" | "filename" | "resolve"> {
  /**
   * `"whole"`: as `callgate run`, whatever the policy says; `"filter"`: as `callgate run --filter-only`, for policies that
   * ask for nothing more. By default the whole sandbox for policies that say something of files, network, limits or
   * hardening, and the filter for others.
   */
  readonly sandbox?: "whole" | "filter";
}

/** The policy has mistakes. The message shows them as `callgate check` does. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
  /** All of them, with their places; warnings too. */
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(`the policy has errors: nothing was started\n${renderDiagnostics(diagnostics).trimEnd()}`);
    this.diagnostics = diagnostics;
  }
}

/**
 * Compiles a policy, proves the filter, and gives a plan for `spawn` and `exec`, to be used any number of times, also
 * in parallel. It takes some ten milliseconds once; a start under the plan then costs little more than any start.
 *
 * ```ts
 * const plan = prepare("default");
 * const results = await Promise.all(files.map((file) => exec("./convert", [file], { policy: plan })));
 * ```
 *
 * A policy that says nothing of files, network, limits and hardening comes to its filter alone; one that does, and any
 * policy with `{ sandbox: "whole" }`, to the whole sandbox, as `callgate run` sets it up.
 *
 * For a policy file: `prepare(readFileSync(path, "utf8"), { filename: path })`, or `loadPolicy(path)` where it extends
 * other files.
 *
 * @throws PolicyError where the policy has mistakes; PrepareError where it asks for what cannot be given here
 */
export function prepare(policy: PolicyInput, options: PrepareOptions = {}): PreparedPlan {
  const found = isPolicy(policy) ? policy : read(policy, options);
  const asks = asksForSandbox(found);
  const { sandbox } = options;
  if (sandbox !== undefined && sandbox !== "whole" && sandbox !== "filter")
    throw new TypeError('sandbox is "whole" or "filter"');
  if (sandbox === "filter" && asks)
    throw new PrepareError(
      "the policy asks for more than a filter (files, network, limits or hardening), and with the filter alone the program would start without it",
    );
  const settings = asks || sandbox === "whole" ? { ownFiles: filesOf(found) } : undefined;
  return preparePlan(found, settings, compiledFilters);
}

/** Where a policy's rules stand. What is no file (a built-in policy, an object) has a name that leads to none. */
function filesOf({ syscalls }: Policy): readonly string[] {
  const sources = [...syscalls.require, ...syscalls.rules].map((rule) => rule.span?.source.name ?? "");
  return [...new Set(sources)].filter((name) => name !== unnamedPolicy);
}

function read(input: string | PolicyDocument, options: PrepareOptions): Policy {
  if (typeof input !== "string" && (typeof input !== "object" || input === null))
    throw new TypeError("a policy is a Policy, its text, a built-in name, an object, or what prepare gave");
  const name = typeof input === "string" && isWord(input) ? input : undefined;
  const builtin = name === undefined ? undefined : builtinPolicyText(name);
  if (name !== undefined && builtin === undefined) throw new PolicyError([unknownName(name)]);
  const found =
    name === undefined || builtin === undefined
      ? { text: input, options }
      : { text: builtin, options: { filename: builtinName(name) } };
  const { policy, diagnostics } = readPolicy(found.text, found.options);
  if (policy === undefined || hasErrors(diagnostics)) throw new PolicyError(diagnostics);
  return policy;
}

/** No text of a policy is a single word. */
function isWord(text: string): boolean {
  return /^[\w./~-]+$/.test(text);
}

function unknownName(name: string): Diagnostic {
  return {
    id: "unknown-policy",
    severity: "error",
    message: `there is no built-in policy ${JSON.stringify(name)}: built-in are ${builtinPolicies().join(", ")}; for a file, use loadPolicy`,
  };
}
