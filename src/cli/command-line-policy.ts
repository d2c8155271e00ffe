/** The policy that a command line names, with the rules that it adds. */
import { statSync } from "node:fs";
import { resolve as resolvePath } from "node:path";
import { hasQuestions } from "../denials/supervised.ts";
import { type Diagnostic, hasErrors, type Source } from "../diagnostics/index.ts";
import { builtinPolicyText, type ReadResult } from "../formats/index.ts";
import { findText, readFound, readText, unreadable } from "../formats/load.ts";
import { deny } from "../policy/action.ts";
import { plainText } from "../policy/document.ts";
import { extendPolicy } from "../policy/extend.ts";
import { parseRules, parseSelectors } from "../policy/parser.ts";
import { resolve } from "../policy/resolve.ts";
import type { AbiSelection, Policy, Rule } from "../policy/types.ts";
import { unreachableRules } from "../proof/reach.ts";
import { restOnContent } from "../sandbox/lookups.ts";
import { abiByName, abis } from "../syscalls/index.ts";
import { type ParsedArguments, UsageError, valueOfOption } from "./arguments.ts";
import type { PolicyFile } from "./ask/always.ts";

export interface CommandLinePolicy {
  readonly policy: Policy | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** The file that `--policy` names, of a policy that asks; undefined where it is a built-in one, or no file. */
  readonly file: PolicyFile | undefined;
  /** Every file that it was read from: those that it extends and those of `--rules` too. */
  readonly files: readonly string[];
}

/**
 * Reads `--policy`, `--allow`, `--deny`, `--rule`, `--rules` and `--abi`, in their order.
 * @param fileNamed the file that the user means by a name
 */
export function policyOfCommandLine(
  parsed: ParsedArguments,
  fileNamed: (name: string) => string,
): CommandLinePolicy {
  const named = fileNamed(valueOfOption(parsed, "policy") ?? "default");
  const files: string[] = [];
  const onRead = (path: string, content: Uint8Array): void => {
    files.push(path);
    restOnContent(path, content);
  };
  const text = findText(named, onRead);
  const base: ReadResult =
    typeof text === "string"
      ? { policy: undefined, diagnostics: [unreadable(named, text)] }
      : readFound(text, { onRead });
  const rules: Rule[] = [];
  const diagnostics: Diagnostic[] = [...base.diagnostics];
  const selected: AbiSelection[number][] = [];
  for (const { name, value } of parsed.given) {
    if (name === "abi") selected.push(abiOption(value));
    const found = rulesOfOption(name, name === "rules" ? fileNamed(value) : value, onRead);
    rules.push(...found.rules);
    diagnostics.push(...found.diagnostics);
  }
  if (typeof text === "string" || base.policy === undefined || hasErrors(diagnostics))
    return { policy: undefined, diagnostics, file: undefined, files };
  const policy = extendPolicy(base.policy, { rules, abis: selected });
  // Only a policy that asks is added to.
  const file =
    hasQuestions(policy) && builtinPolicyText(named) === undefined ? fileOf(named, text) : undefined;
  if (policy === base.policy) return { policy, diagnostics, file, files };
  const { resolved, diagnostics: found } = resolve(policy);
  const added = new Set(rules);
  // On a command line a rule that never decides is surely a mistake.
  const idle = rules.length === 0 ? [] : unreachableRules(resolved, (rule) => added.has(rule));
  const all = [...found, ...idle.map((one): Diagnostic => ({ ...one, severity: "error" }))];
  return { policy: hasErrors(all) ? undefined : policy, diagnostics: [...diagnostics, ...all], file, files };
}

/** Undefined where what was read is a pipe or a device. (Only what was read: there may be no working directory.) */
function fileOf(named: string, text: Omit<PolicyFile, "path">): PolicyFile | undefined {
  const path = resolvePath(named);
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? { ...text, path } : undefined;
}

function abiOption(value: string): AbiSelection[number] {
  if (value === "native" || value === "all") return value;
  const abi = abiByName(value);
  if (abi === undefined)
    throw new UsageError(
      `there is no ABI ${JSON.stringify(value)}: ABIs are native, all, ${abis.map((one) => one.name).join(", ")}`,
    );
  return abi.name;
}

function rulesOfOption(
  name: string,
  value: string,
  onRead: (path: string, content: Uint8Array) => void,
): { readonly rules: readonly Rule[]; readonly diagnostics: readonly Diagnostic[] } {
  const source: Source = { name: `--${name}`, text: value };
  switch (name) {
    case "allow":
    case "deny": {
      const { selectors, diagnostics } = parseSelectors(plainText(source, value, 0));
      const span = { source, start: 0, end: value.length };
      const rule: Rule = { action: name === "deny" ? deny : { kind: "allow" }, selectors, span };
      return { rules: selectors.length === 0 ? [] : [rule], diagnostics };
    }
    case "rule":
      return parseRules(plainText(source, value, 0));
    case "rules": {
      const found = readText(value, onRead);
      if (typeof found !== "string")
        return parseRules(plainText({ name: found.filename, text: found.text }, found.text, 0));
      const message = `cannot read ${JSON.stringify(value)}: ${found}`;
      return { rules: [], diagnostics: [{ id: "unreadable", severity: "error", message }] };
    }
    default:
      return { rules: [], diagnostics: [] };
  }
}
