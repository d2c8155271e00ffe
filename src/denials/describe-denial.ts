/** Denials: calls that a policy refused, with what said so and what would permit them. */
import { positionAt, sanitise } from "../diagnostics/index.ts";
import { printAction } from "../policy/action.ts";
import { evaluate } from "../policy/evaluate.ts";
import { printRule } from "../policy/printer.ts";
import type { Decision } from "../policy/resolved.ts";
import type { Policy, Rule } from "../policy/types.ts";
import type { AbiName } from "../syscalls/index.ts";
import { decodeCall, type RawCall } from "./decode-call.ts";
import { permittingRule } from "./permitting-rule.ts";

/** The name of the rules that stand for what no mount, namespace or Landlock decides (sandbox/sandbox-rules.ts). */
export const sandboxSource = "the sandbox";

/** Where the program has namespaces of its own, it can reach nobody else's. */
const withNamespaces =
  "user namespaces on this machine (callgate doctor says what keeps them from you), or --filter-only";

/** What switches such a rule off, by its reason. */
const layerOptions: Readonly<Record<string, string>> = {
  "no network": "--net",
  "only TCP": "--net",
  "it makes sockets, past every filter": "--net",
  "connects without connect": "--net",
  "typing into the caller's terminal":
    "--filter-only, and no rule that asks: whoever shares your terminal could type into your shell",
  "memory and queues of the machine": withNamespaces,
  "limits of other processes": withNamespaces,
  "priorities of other processes": withNamespaces,
  'new-code = "deny"': 'new-code = "allow" in [hardening]',
  'exec = "files"': 'exec = "any" in [hardening]',
};

/** One kind of denial: calls with the same number and the same arguments that matter. */
export interface Denial {
  readonly abi: AbiName;
  readonly nr: number;
  readonly syscall: string | undefined;
  /** The call with its arguments by name, as it was made first. */
  readonly text: string;
  /** `EPERM`, or a number without a name. */
  readonly errno: string | number;
  readonly by: Decision["by"];
  readonly rule:
    | {
        readonly file: string | undefined;
        readonly line: number | undefined;
        readonly text: string;
        readonly reason: string | undefined;
      }
    | undefined;
  /**
   * What would permit it: the narrowest rule; for one of the sandbox's own rules the option or the entry that switches it
   * off. Undefined for a number without a name, and where nothing can.
   */
  readonly permit: string | undefined;
  /** The policy asks about it: somebody has refused, or nobody could be asked. */
  readonly asked?: true;
  readonly count: number;
  readonly program: string;
  readonly pid: number;
}

/** What the supervisor has of a denial. */
export interface RawDenial extends RawCall {
  readonly count: number;
  readonly program: string;
  readonly pid: number;
}

/** The denial with its explanation; undefined where the policy does not refuse the call by an errno. */
export function explainDenial(policy: Policy, raw: RawDenial, native: AbiName): Denial | undefined {
  const { action, by, rule } = evaluate(
    policy,
    { abi: raw.abi, syscall: raw.nr, args: raw.args },
    { target: native },
  );
  // A question that nobody could be asked, or that was answered so, is a refusal.
  if (action.kind !== "errno" && action.kind !== "ask") return undefined;
  const decoded = decodeCall(raw);
  const isRequired = rule !== undefined && policy.syscalls.require.includes(rule);
  return {
    abi: raw.abi,
    nr: raw.nr,
    syscall: decoded.name,
    text: raw.abi === native ? decoded.text : `${raw.abi}: ${decoded.text}`,
    errno: action.kind === "errno" ? action.errno : "EPERM",
    ...(action.kind === "ask" ? { asked: true } : {}),
    by,
    rule: rule === undefined ? undefined : ruleFacts(rule),
    permit: isRequired ? layerOption(rule) : permittingRule(raw, native),
    count: raw.count,
    program: raw.program,
    pid: raw.pid,
  };
}

/** A rule with its place. */
export function ruleFacts(rule: Rule): NonNullable<Denial["rule"]> {
  const { span } = rule;
  return {
    file: span?.source.name,
    line: span === undefined || isOwn(rule) ? undefined : positionAt(span.source, span.start).line,
    text: printRule({ action: rule.action, selectors: rule.selectors }),
    reason: rule.reason,
  };
}

/** Rules that stand for another layer of the sandbox have no line that anybody could read. */
function isOwn({ span }: Rule): boolean {
  return span?.source.name === sandboxSource;
}

/** What switches one of the sandbox's own rules off; undefined for any other rule. */
export function layerOption(rule: Rule): string | undefined {
  return isOwn(rule) && rule.reason !== undefined ? layerOptions[rule.reason] : undefined;
}

/** Whether a report is about it without being asked: what is newer than the policy fails for every program. */
export function isNews({ by, errno }: Denial): boolean {
  return by !== "newer" && errno !== "ENOSYS";
}

/** Three lines at most, without anything that could drive a terminal. */
export function describeDenial(denial: Denial, policy: Policy): string {
  const count = denial.count > 1 ? `   ×${denial.count}` : "";
  const lines = [
    `denied  ${denial.text} → ${denial.errno}${count}   by ${sanitise(denial.program)}[${denial.pid}]`,
    `        ${describeReason(denial, policy)}`,
    ...(denial.permit === undefined ? unpermitted(denial) : [`        to permit:  ${denial.permit}`]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** What no rule permits. */
function unpermitted({ rule, syscall }: Denial): readonly string[] {
  if (rule === undefined || syscall === undefined || rule.file === sandboxSource) return [];
  return ["        to permit:  nothing can: the policy requires it"];
}

/** What refused a call: the rule with its place, or what holds where no rule matches. */
export function describeReason({ by, rule }: Pick<Denial, "by" | "rule">, policy: Policy): string {
  if (rule !== undefined) {
    const line = rule.line === undefined ? "" : `:${rule.line}`;
    const place = rule.file === undefined ? "" : `${sanitise(rule.file)}${line}  `;
    return `${place}${rule.text}${rule.reason === undefined ? "" : `  # ${sanitise(rule.reason)}`}`;
  }
  switch (by) {
    case "newer":
      return "newer than the policy's baseline, or not known: no rule names it";
    case "other-abis":
      return "the policy has no rules for this ABI";
    default:
      return `no rule matches: the policy's default is ${printAction(policy.syscalls.default)}`;
  }
}
