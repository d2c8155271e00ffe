/** What a command line says of reports: `--report=MODE` and `--report-to FILE|N`. */
import { dirname, resolve } from "node:path";
import { hasQuestions } from "../denials/supervised.ts";
import { canTypeAnswers } from "../denials/unasked.ts";
import { realPath } from "../sandbox/lookups.ts";
import type { PreparedPlan, ReportOptions } from "../sandbox/prepare.ts";
import { type ParsedArguments, UsageError, valueOfOption } from "./arguments.ts";
import type { PolicyFile } from "./ask/always.ts";
import type { Caller } from "./caller.ts";
import { whyUnwritable } from "./unwritable.ts";

const modes = ["end", "live", "json", "all", "off"] as const;
/** `off`: of denials nothing is said, but the policy's questions are asked. */
export type ReportMode = (typeof modes)[number];

export interface ReportRequest {
  readonly mode: ReportMode;
  /** A file, or a descriptor of the caller's; standard error otherwise. */
  readonly to: string | number | undefined;
}

/** Where nothing is to be told. */
export const noReport: ReportRequest = { mode: "off", to: undefined };

/**
 * Which reports are wanted; undefined: none.
 * @param isWhole whether the program gets the whole sandbox, where reports are on unless they are switched off
 * @throws UsageError
 */
export function reportRequest(
  parsed: ParsedArguments,
  caller: Caller,
  isWhole: boolean,
): ReportRequest | undefined {
  const value = valueOfOption(parsed, "report") ?? (isWhole ? "end" : "off");
  const mode = modes.find((one) => one === value);
  if (mode === undefined)
    throw new UsageError(`there is no report ${JSON.stringify(value)}: ${modes.join(", ")}`);
  const to = valueOfOption(parsed, "report-to");
  if (to === undefined) return mode === "off" ? undefined : { mode, to };
  if (mode === "off") throw new UsageError("--report-to without a report: --report=json, end, all or live");
  if (!/^[0-9]{1,7}$/.test(to)) {
    refuseUnwritable(to);
    return { mode, to };
  }
  const descriptor = Number(to);
  if (descriptor === 2) return { mode, to: undefined };
  if (descriptor === 0 || !caller.hasDescriptor(descriptor))
    throw new UsageError(`--report-to ${to}: descriptor ${to} is not open for writing`);
  return { mode, to: descriptor };
}

/**
 * The report comes at the end of what may run for hours: what is known against its file is said before that. What stands under
 * /dev and /proc is another thing for each process, and not looked at.
 */
function refuseUnwritable(file: string): void {
  const isOwn = file.startsWith("/dev/") || file.startsWith("/proc/");
  // A kept plan rests on its folder. The file itself comes and goes with each report.
  if (!isOwn) realPath(dirname(resolve(file)));
  const why = file === "" ? "it names no file" : isOwn ? undefined : whyUnwritable(file);
  if (why !== undefined) throw new UsageError(`--report-to ${JSON.stringify(file)}: ${why}`);
}

/** How denials are told: with the rules all that `callgate tell-denials` knows, whatever has become of files meanwhile. */
export interface ReportManner {
  readonly mode: ReportMode;
  readonly file?: string;
  /** A descriptor of the caller's. */
  readonly hasTarget: boolean;
  /** The policy's own file, to which "always" adds a rule. */
  readonly policyFile?: PolicyFile;
}

const lineEnd = 0x0a;

/** The report of a plan. @param policyFile where its policy was read from */
export function reportOptions(
  { mode, to }: ReportRequest,
  { policy, filterSet }: Pick<PreparedPlan, "policy" | "filterSet">,
  policyFile: PolicyFile | undefined,
): ReportOptions {
  const isTarget = typeof to === "number";
  const manner: ReportManner = {
    mode,
    ...(typeof to === "string" ? { file: to } : {}),
    hasTarget: isTarget,
    ...(policyFile !== undefined && hasQuestions(policy) ? { policyFile } : {}),
  };
  return {
    live: mode === "live",
    all: mode === "all" || mode === "json",
    asks: !canTypeAnswers(policy),
    to: {
      kind: "node",
      policy: Buffer.concat([Buffer.from(`${JSON.stringify(manner)}\n`), filterSet.toldRules()]),
      target: isTarget ? to : undefined,
    },
  };
}

/** The same, as `tell-denials` has it from the launcher. */
export function readReport(bytes: Uint8Array): { readonly manner: ReportManner; readonly rules: Uint8Array } {
  const end = bytes.indexOf(lineEnd);
  const manner: ReportManner = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString());
  return { manner, rules: bytes.subarray(end + 1) };
}
