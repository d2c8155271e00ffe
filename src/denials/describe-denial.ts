/** Denials: calls that a policy refused, with what said so and what would permit them. */
import { positionAt, sanitise } from "../diagnostics/index.ts";
import { printAction } from "../policy/action.ts";
import { evaluate } from "../policy/evaluate.ts";
import { printRule } from "../policy/printer.ts";
import type { Decision } from "../policy/resolved.ts";
import type { Policy } from "../policy/types.ts";
import type { AbiName } from "../syscalls/index.ts";
import { decodeCall, type RawCall } from "./decode-call.ts";
import { permittingRule } from "./permitting-rule.ts";

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
  /** The narrowest rule that would permit it; undefined for a number without a name. */
  readonly permit: string | undefined;
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
  if (action.kind !== "errno") return undefined;
  const decoded = decodeCall(raw);
  const span = rule?.span;
  return {
    abi: raw.abi,
    nr: raw.nr,
    syscall: decoded.name,
    text: decoded.text,
    errno: action.errno,
    by,
    rule:
      rule === undefined
        ? undefined
        : {
            file: span?.source.name,
            line: span === undefined ? undefined : positionAt(span.source, span.start).line,
            text: printRule({ action: rule.action, selectors: rule.selectors }),
            reason: rule.reason,
          },
    permit: permittingRule(raw),
    count: raw.count,
    program: raw.program,
    pid: raw.pid,
  };
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
    ...(denial.permit === undefined ? [] : [`        to permit:  ${denial.permit}`]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function describeReason({ by, rule }: Denial, policy: Policy): string {
  if (rule !== undefined) {
    const place = rule.file === undefined ? "" : `${sanitise(rule.file)}:${rule.line}  `;
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
