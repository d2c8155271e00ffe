/**
 * A start with what the build has made ready: a built-in policy without other rules. Nothing is read, compiled or
 * proved then, since the build has done that with the same code; `callgate plan` and `prove` do it again.
 */
import type { Policy } from "../policy/types.ts";
import { readyFilters, readyPolicy, shapeOf } from "../sandbox/ready-files.ts";
import { hostAbi } from "../syscalls/index.ts";
import { type ParsedArguments, valueOfOption } from "./arguments.ts";
import { buildId } from "./build-id.ts";
import { limitNames } from "./sandbox-options.ts";
import type { StartPolicy } from "./start-policy.ts";

/** Nothing is ready for this start, which is only seen on the way: then it is read and compiled. */
export class NotReadyError extends Error {}

/** Options that make another policy of the one that is named. */
const changesPolicy: ReadonlySet<string> = new Set(["allow", "deny", "rule", "rules", "abi"]);

/** Undefined where nothing can be ready for this command line. */
export async function readyStart(parsed: ParsedArguments): Promise<StartPolicy | undefined> {
  const target = hostAbi();
  const build = buildId;
  if (build === undefined || target === undefined) return undefined;
  if (parsed.given.some(({ name }) => changesPolicy.has(name))) return undefined;
  const name = valueOfOption(parsed, "policy") ?? "default";
  let ready: Policy | undefined;
  return {
    policy() {
      ready = readyPolicy(build, name);
      if (ready === undefined) throw new NotReadyError();
      return { policy: ready, file: undefined, files: [] };
    },
    keepTerminal() {
      throw new NotReadyError();
    },
    limits: await limitsReader(parsed),
    filters(policy, isAlone) {
      // What the command line grants and limits stands beside the rules: these are still the very ones.
      if (ready === undefined || policy.syscalls !== ready.syscalls) throw new NotReadyError();
      const shape = shapeOf(policy, isAlone);
      const set = shape === undefined ? undefined : readyFilters({ build, name, target, shape });
      if (set === undefined) throw new NotReadyError();
      return set;
    },
  };
}

/** Limits are read as policies are, by code that a start without them does without. */
async function limitsReader({ given }: ParsedArguments): Promise<StartPolicy["limits"]> {
  const names: readonly string[] = limitNames;
  if (!given.some(({ name }) => names.includes(name))) return () => ({});
  return (await import("./limit-options.ts")).limitsOf;
}
