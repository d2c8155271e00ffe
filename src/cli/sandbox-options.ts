/** What a command line says of the sandbox around the filter: it adds to the policy. */
import { layerNames } from "../policy/keys.ts";
import type { EnvironmentRules, Limits, NetworkRules, Policy } from "../policy/types.ts";
import { keptVariables, type SandboxSettings } from "../sandbox/full-sandbox.ts";
import { hasOption, type ParsedArguments, UsageError, valueOfOption } from "./arguments.ts";
import type { Caller } from "./caller.ts";
import { printError } from "./output.ts";

export interface CommandLineSandbox {
  readonly policy: Policy;
  /** Undefined: the filter alone. */
  readonly settings: SandboxSettings | undefined;
}

/** The options that limit something: limit-options.ts reads them. */
export const limitNames = [
  "memory",
  "processes",
  "cpu-time",
  "wall-time",
  "file-size",
  "open-files",
] as const;
const aroundTheFilter = [
  ...["read", "write", "home", "net", "port", "tty", "new-session", "user", "as-root", "missing"],
  ...limitNames,
];

/** Whether a policy takes something away by other means than its filter. What it grants is open without a sandbox. */
function asksForMore(policy: Policy): boolean {
  const { hardening, limits, network } = policy;
  return (
    network?.mode === "off" ||
    limits !== undefined ||
    hardening?.newCode === "deny" ||
    hardening?.exec === "files"
  );
}

/** A policy, and every file that it was read from. */
interface ReadPolicy {
  readonly policy: Policy;
  readonly files: readonly string[];
}

/**
 * The policy with what the command line grants and limits.
 * @returns undefined where that has mistakes; the user has been told
 * @throws UsageError
 */
export function sandboxOfCommandLine(
  parsed: ParsedArguments,
  { policy, files: ownFiles }: ReadPolicy,
  caller: Caller,
  limitsOf: (parsed: ParsedArguments) => Limits | undefined,
): CommandLineSandbox | undefined {
  const variables = withVariables(parsed, policy);
  if (hasOption(parsed, "filter-only")) {
    const other = aroundTheFilter.find((name) => hasOption(parsed, name));
    if (other !== undefined)
      throw new UsageError(`--filter-only sets up nothing but the filter: --${other} would do nothing`);
    if (asksForMore(policy)) {
      printError(
        "callgate: the policy asks for more than a filter (no network, limits or hardening), and --filter-only would start without it: nothing was started\n",
      );
      return undefined;
    }
    if (policy.files !== undefined || policy.network !== undefined)
      printError("callgate: note: --filter-only: files and network are open, whatever the policy grants\n");
    const environment = variables ?? policy.environment;
    return {
      policy: environment === undefined ? policy : { ...policy, environment },
      settings: undefined,
    };
  }
  const limits = limitsOf(parsed);
  if (limits === undefined) return undefined;
  const values = (name: string): readonly string[] =>
    parsed.given.filter((option) => option.name === name).map(({ value }) => value);
  const home = hasOption(parsed, "home") ? ["~"] : [];
  const files = {
    read: [...(policy.files?.read ?? []), ...values("read")],
    write: [...(policy.files?.write ?? []), ...values("write"), ...home],
  };
  const hardening = policy.hardening ?? { newCode: "allow", exec: "any", missingLayers: [] };
  const network = networkOf(parsed, policy);
  const environment = variables ?? policy.environment;
  return {
    policy: {
      ...policy,
      files,
      hardening: {
        ...hardening,
        missingLayers: [...hardening.missingLayers, ...missingOf(values("missing"))],
      },
      ...(network === undefined ? {} : { network }),
      ...(policy.limits === undefined && Object.keys(limits).length === 0
        ? {}
        : { limits: { ...policy.limits, ...limits } }),
      ...(environment === undefined ? {} : { environment }),
    },
    settings: settingsOf(parsed, ownFiles, caller),
  };
}

function settingsOf(parsed: ParsedArguments, ownFiles: readonly string[], caller: Caller): SandboxSettings {
  const user = valueOfOption(parsed, "user");
  if (hasOption(parsed, "tty") && hasOption(parsed, "new-session"))
    throw new UsageError("--tty and --new-session contradict each other: a new session has no terminal");
  return {
    ...(user === undefined ? {} : { user }),
    asRoot: hasOption(parsed, "as-root"),
    newSession: hasOption(parsed, "new-session"),
    terminal: hasOption(parsed, "tty") || caller.hasTerminal(),
    ownFiles,
  };
}

function missingOf(names: readonly string[]): readonly string[] {
  const known: readonly string[] = layerNames;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`there is no layer ${JSON.stringify(unknown)}: layers are ${layerNames.join(", ")}`);
  return names;
}

function networkOf(parsed: ParsedArguments, { network }: Policy): NetworkRules | undefined {
  const ports = parsed.given.filter(({ name }) => name === "port").map(({ value }) => portOf(value));
  if (hasOption(parsed, "net")) {
    if (ports.length > 0)
      throw new UsageError("--net and --port contradict each other: --port is for these ports only");
    return { mode: "host", ports: [] };
  }
  if (ports.length === 0 || network?.mode === "host") return network;
  return { mode: "ports", ports: [...new Set([...(network?.ports ?? []), ...ports])] };
}

function portOf(value: string): number {
  const port = /^[0-9]{1,5}$/.test(value) ? Number(value) : 0;
  if (port < 1 || port > 65535)
    throw new UsageError(`${JSON.stringify(value)} is no port: --port takes a number from 1 to 65535`);
  return port;
}

/** Where `--env` was given: what the policy keeps, or else the short list, and these. */
function withVariables(parsed: ParsedArguments, policy: Policy): EnvironmentRules | undefined {
  const given = parsed.given.filter(({ name }) => name === "env").map(({ value }) => value);
  if (given.length === 0) return undefined;
  const base = policy.environment ?? { keep: keptVariables, set: {} };
  const wrong = given.find((one) => !/^[^=\0]+/.test(one));
  if (wrong !== undefined)
    throw new UsageError(`${JSON.stringify(wrong)} is no variable: --env takes NAME or NAME=VALUE`);
  const set = given.filter((one) => one.includes("="));
  return {
    keep: [...base.keep, ...given.filter((one) => !one.includes("="))],
    set: {
      ...base.set,
      ...Object.fromEntries(
        set.map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)]),
      ),
    },
  };
}
