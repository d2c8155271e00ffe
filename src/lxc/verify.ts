/**
 * The check of a running container against the kernel: the filters of its init, and of every process in it, are read
 * back, and the strictest answer of the stack is proved equal to the policy and the floor.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Filter } from "../bpf/index.ts";
import { compile } from "../compiler/index.ts";
import { type Difference, diff, UndecidedError } from "../proof/diff.ts";
import { compareStackMembers, type StackDifference, type StackVerdict } from "../proof/stack.ts";
import { readProcessFilters } from "../sandbox/process-filters.ts";
import { hostAbi } from "../syscalls/index.ts";
import {
  attachProfileMember,
  compareWithPolicy,
  isSameButKey,
  keyOf,
  type Protection,
} from "./protection.ts";

export type Finding =
  /** Its filters are init's, with or without further ones of its own. */
  | { readonly kind: "as-init"; readonly further: number }
  /** `lxc-attach` alone: LXC's profile, but not the container's own filter. */
  | { readonly kind: "profile-only" }
  | { readonly kind: "different"; readonly witness: StackDifference }
  | { readonly kind: "unfiltered" }
  | { readonly kind: "not-verified"; readonly reason: string };

export interface VerifiedProcess {
  readonly pid: number;
  readonly command: string;
  readonly finding: Finding;
}

export type Verification =
  | {
      readonly verdict: "proved";
      readonly instructions: readonly number[];
      readonly processes: readonly VerifiedProcess[];
    }
  | {
      readonly verdict: "different";
      readonly instructions: readonly number[];
      readonly processes: readonly VerifiedProcess[];
      readonly reason: string;
      readonly witness?: StackDifference;
    }
  /** Where the kernel does not show filters to this user. */
  | { readonly verdict: "not-verified"; readonly reason: string; readonly filters: number | undefined };

/** Verifies a running container. @param init the process id of its init */
export function verifyContainer(init: number, protection: Protection): Verification {
  const read = readProcessFilters(init);
  if ("problem" in read)
    return { verdict: "not-verified", reason: read.problem, filters: countFilters(init) };
  const live = read.filters;
  const newestIsOwn = outerFilters(live, protection);
  // Another version of callgate may have made another filter that says the same.
  const outer = newestIsOwn ?? (live.length < 2 ? undefined : 0);
  if (outer === undefined) return refuted(live, "the container's own filter is not among those of its init");
  const own = live.slice(outer);
  const newest = live[live.length - 1];
  const key = newest === undefined ? [] : keyOf(protection.filter, newest);
  const verdict = compareWithPolicy(
    own.map((filter) => ({ filter })),
    protection,
    key,
  );
  if (verdict.verdict === "undecided")
    return { verdict: "not-verified", reason: verdict.reason, filters: live.length };
  if (verdict.verdict === "different")
    return {
      ...refuted(
        live,
        newestIsOwn === undefined
          ? "the container's own filter is not among those of its init"
          : "init's filters differ from the policy",
      ),
      witness: verdict.witness,
    };
  const processes = processesOf(init).map((pid) => verifyProcess(pid, { live, outer }, protection));
  const bad = processes.filter(({ finding }) => finding.kind !== "as-init" || finding.further < 0);
  const instructions = live.map((filter) => filter.instructions.length);
  if (bad.length === 0) return { verdict: "proved", instructions, processes };
  const reason =
    bad.length === 1
      ? "one process does not have all of init's filters"
      : `${bad.length} processes do not have all of init's filters`;
  return { verdict: "different", instructions, processes, reason };
}

function refuted(live: readonly Filter[], reason: string): Extract<Verification, { verdict: "different" }> {
  return {
    verdict: "different",
    instructions: live.map((one) => one.instructions.length),
    processes: [],
    reason,
  };
}

/**
 * Call by call, where the filters of a container's init answer otherwise than policy and floor. Empty where that cannot be
 * told: in a watched start, questions are among the answers.
 */
export function differencesFrom(init: number, { policy, floor, watched }: Protection): readonly Difference[] {
  const read = readProcessFilters(init);
  if (watched || "problem" in read) return [];
  try {
    const target = hostAbi() ?? "x86_64";
    const wanted = [...(floor === undefined ? [] : [floor.policy]), policy];
    return diff(
      wanted.map((one) => compile(one, { target })),
      [...read.filters],
    );
  } catch (error) {
    if (error instanceof UndecidedError) return [];
    throw error;
  }
}

/**
 * How many filters are older than LXC's profile: those that lxc-start itself ran under. The container's own is the
 * newest, and the profile the one before.
 */
function outerFilters(live: readonly Filter[], { filter }: Protection): number | undefined {
  const newest = live[live.length - 1];
  if (newest === undefined || live.length < 2 || !isSameButKey(filter, newest)) return undefined;
  return live.length - 2;
}

function verifyProcess(
  pid: number,
  { live: init, outer }: { readonly live: readonly Filter[]; readonly outer: number },
  protection: Protection,
): VerifiedProcess {
  const command = commandOf(pid);
  const read = readProcessFilters(pid);
  if ("problem" in read) {
    // What has ended meanwhile is no finding.
    const finding: Finding = isRunning(pid)
      ? { kind: "not-verified", reason: read.problem }
      : { kind: "as-init", further: 0 };
    return { pid, command, finding };
  }
  const { filters } = read;
  const isPrefix = (wanted: readonly Filter[]): boolean =>
    wanted.every((filter, index) => sameBytes(filter, filters[index]));
  if (filters.length >= init.length && isPrefix(init))
    return { pid, command, finding: { kind: "as-init", further: filters.length - init.length } };
  if (filters.length === 0) return { pid, command, finding: { kind: "unfiltered" } };
  const profile = attachProfileMember(protection);
  const newer = filters.slice(Math.min(outer, filters.length - 1)).map((filter) => ({ filter }));
  if (profile !== undefined && compareStackMembers(newer, [profile]).verdict === "equal")
    return { pid, command, finding: { kind: "profile-only" } };
  const verdict = compareAttached(filters.slice(outer), init.slice(outer), protection);
  if (verdict.verdict === "different")
    return { pid, command, finding: { kind: "different", witness: verdict.witness } };
  if (verdict.verdict === "equal") return { pid, command, finding: { kind: "as-init", further: 0 } };
  return { pid, command, finding: { kind: "not-verified", reason: verdict.reason } };
}

/** What came in by `callgate lxc attach` has the policy's filter under a key of its own, and refuses by itself. */
function compareAttached(
  filters: readonly Filter[],
  init: readonly Filter[],
  { policy, floor, attachFilter }: Protection,
): StackVerdict {
  const members = filters.map((filter) => ({ filter }));
  const own = filters.find((filter) => isSameButKey(attachFilter, filter));
  if (own === undefined)
    return compareStackMembers(
      members,
      init.map((filter) => ({ filter })),
    );
  const made = { policy, floor, filter: attachFilter, watched: false };
  return compareWithPolicy(members, made, keyOf(attachFilter, own));
}

function sameBytes(a: Filter, b: Filter | undefined): boolean {
  return b !== undefined && Buffer.from(a.bytes).equals(Buffer.from(b.bytes));
}

/** All processes of a container: those in its process namespace, and all below its init. */
function processesOf(init: number): readonly number[] {
  const namespace = namespaceOf(init);
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  const parents = new Map(pids.map((pid) => [pid, parentOf(pid)]));
  const isBelow = (pid: number): boolean => {
    for (let at: number | undefined = pid, steps = 0; at !== undefined && at > 1 && steps < 10_000; steps++) {
      if (at === init) return true;
      at = parents.get(at);
    }
    return false;
  };
  return pids.filter((pid) => isBelow(pid) || (namespace !== undefined && namespaceOf(pid) === namespace));
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

function statusOf(pid: number, key: string): string | undefined {
  try {
    return new RegExp(`^${key}:\\s*(.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  } catch {
    return undefined;
  }
}

function parentOf(pid: number): number | undefined {
  const parent = statusOf(pid, "PPid");
  return parent === undefined ? undefined : Number(parent);
}

/** How many filters a process has: this everybody may know. */
export function countFilters(pid: number): number | undefined {
  const count = statusOf(pid, "Seccomp_filters");
  return count === undefined ? undefined : Number(count);
}

function commandOf(pid: number): string {
  return statusOf(pid, "Name") ?? "?";
}

function isRunning(pid: number): boolean {
  const state = statusOf(pid, "State");
  return state !== undefined && !state.startsWith("Z") && !state.startsWith("X");
}
