/** What a command line says of reports: `--report=MODE` and `--report-to FILE|N`. */
import { deserialize, serialize } from "node:v8";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { canTypeAnswers, hasQuestions } from "../denials/index.ts";
import type { Policy } from "../policy/types.ts";
import type { ReportOptions } from "../sandbox/prepare.ts";
import { type ParsedArguments, UsageError, valueOfOption } from "./arguments.ts";
import type { PolicyFile } from "./ask/always.ts";
import type { Caller } from "./caller.ts";

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
  if (!/^[0-9]{1,7}$/.test(to)) return { mode, to };
  const descriptor = Number(to);
  if (descriptor === 2) return { mode, to: undefined };
  if (descriptor === 0 || !caller.hasDescriptor(descriptor))
    throw new UsageError(`--report-to ${to}: descriptor ${to} is not open for writing`);
  return { mode, to: descriptor };
}

/** What `callgate tell-denials` has to know: it runs when the program has ended, whatever has become of files meanwhile. */
export interface ToldPolicy {
  readonly policy: Policy;
  readonly mode: ReportMode;
  readonly file: string | undefined;
  /** A descriptor of the caller's. */
  readonly hasTarget: boolean;
  /** The policy's own file, to which "always" adds a rule. */
  readonly policyFile: PolicyFile | undefined;
}

/** The report of a plan. @param policy the one that the filter is equal to @param policyFile where it was read from */
export function reportOptions(
  { mode, to }: ReportRequest,
  policy: Policy,
  policyFile: PolicyFile | undefined,
): ReportOptions {
  const told: ToldPolicy = {
    policy,
    mode,
    file: typeof to === "string" ? to : undefined,
    hasTarget: typeof to === "number",
    policyFile: hasQuestions(policy) ? policyFile : undefined,
  };
  return {
    live: mode === "live",
    all: mode === "all" || mode === "json",
    asks: !canTypeAnswers(policy),
    to: {
      kind: "node",
      policy: deflateRawSync(serialize(told), { level: 1 }),
      target: typeof to === "number" ? to : undefined,
    },
  };
}

/** The same, read back from the launcher, which had it from `reportOptions`. */
export function toldPolicy(bytes: Uint8Array): ToldPolicy {
  return deserialize(inflateRawSync(bytes));
}
