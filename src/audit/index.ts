/**
 * Which known holes of the kernel stay within reach of a program under a policy, and by which calls.
 *
 *     const { reachable, outOfReach } = auditCves(policy, { noNewPrivileges: true });
 *     reachable[0]     // { cve: { id: "CVE-2014-3153", … }, passages: [{ need, call: { abi, name, how, by } }] }
 *
 * - **need**: something that the published way to use a hole must be able to do.
 * - **passage**: a need that is met, and what meets it.
 *
 * A hole is out of reach where each way to it has a need that the policy makes impossible, whatever the values of
 * arguments. It is the reach of what was published: no proof that a policy keeps out what nobody has found yet.
 */
import { resolveSound } from "../policy/resolve.ts";
import type { ResolvedPolicy } from "../policy/resolved.ts";
import type { Policy } from "../policy/types.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import { cves } from "./cves.ts";
import { meetNeed, type Passage, type Surroundings } from "./needs.ts";
import type { Cve, Need } from "./types.ts";

export { cves, cvesDate } from "./cves.ts";
export type { Passage, Surroundings } from "./needs.ts";
export { describeNeed } from "./needs.ts";
export type { PassingCall } from "./passing-call.ts";
export type { Cve, Need } from "./types.ts";

export interface ReachableCve {
  readonly cve: Cve;
  /** How each need of one way is met. */
  readonly passages: readonly Passage[];
}

export interface UnreachableCve {
  readonly cve: Cve;
  /** For each way, the first need that is not met. */
  readonly missing: readonly Need[];
}

export interface CveAudit {
  readonly reachable: readonly ReachableCve[];
  readonly outOfReach: readonly UnreachableCve[];
}

export interface AuditOptions extends Surroundings {
  /** What `native` in the policy means; by default this machine's ABI. */
  readonly target?: AbiName;
  /** By default all that are known. */
  readonly cves?: readonly Cve[];
}

/**
 * Every known hole, in reach or out of it.
 * @throws TypeError where the policy has errors
 */
export function auditCves(policy: Policy | ResolvedPolicy, options: AuditOptions = {}): CveAudit {
  const resolved = "abis" in policy ? policy : resolveSound(policy, options.target ?? hostAbi());
  const reachable: ReachableCve[] = [];
  const outOfReach: UnreachableCve[] = [];
  const known = new Map<string, readonly Passage[] | undefined>();
  const meet = (need: Need): readonly Passage[] | undefined => {
    const key = JSON.stringify(need);
    if (!known.has(key)) known.set(key, meetNeed(resolved, need, options, meet));
    return known.get(key);
  };
  for (const cve of options.cves ?? cves) {
    const missing: Need[] = [];
    let way: readonly Passage[] | undefined;
    for (const alternative of cve.needs) {
      const met = alternative.map(meet);
      const first = met.indexOf(undefined);
      if (first === -1) way ??= met.flatMap((passages) => passages ?? []);
      else missing.push(...alternative.slice(first, first + 1));
    }
    if (way === undefined) outOfReach.push({ cve, missing });
    else reachable.push({ cve, passages: way });
  }
  return { reachable, outOfReach };
}

/** The holes that stay in reach, each with what lets it through. */
export function reachableCves(
  policy: Policy | ResolvedPolicy,
  options: AuditOptions = {},
): readonly ReachableCve[] {
  return auditCves(policy, options).reachable;
}
