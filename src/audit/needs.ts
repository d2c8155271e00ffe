/** Whether one need of a hole can be met under a policy, and by what. */
import { listWords } from "../diagnostics/index.ts";
import type { ResolvedPolicy } from "../policy/resolved.ts";
import { abis } from "../syscalls/index.ts";
import { sharedNeeds } from "./cves.ts";
import { letsPass, type PassingCall, passingCall, passingCallOfAbi } from "./passing-call.ts";
import type { Need } from "./types.ts";

/** What no filter decides: by default that of a program that `callgate run` starts for an ordinary user. */
export interface Surroundings {
  /** Which the program has, or can get; by default none. */
  readonly capabilities?: "all" | readonly string[];
  /** Whether set-user-id programs give no rights; by default they do not. */
  readonly noNewPrivileges?: boolean;
  /** Whether a file is there to be opened; by default each is. The policy's own rules on opening count as well. */
  readonly canOpen?: (path: string) => boolean;
}

/** A need that is met. */
export interface Passage {
  readonly need: Need;
  /** Undefined where something other than a call meets it. */
  readonly call: PassingCall | undefined;
}

/** What meets a need (several together, where it is made of several); undefined where nothing does. */
export function meetNeed(
  resolved: ResolvedPolicy,
  need: Need,
  surroundings: Surroundings,
  meet: (need: Need) => readonly Passage[] | undefined,
): readonly Passage[] | undefined {
  const given: readonly Passage[] = [{ need, call: undefined }];
  const byCall = (call: PassingCall | undefined): readonly Passage[] | undefined =>
    call === undefined ? undefined : [{ need, call }];
  switch (need.kind) {
    case "call":
      return byCall(anyCall(resolved, [need.selector]));
    case "capability": {
      const { capabilities = [] } = surroundings;
      return capabilities === "all" || capabilities.includes(need.name) ? given : undefined;
    }
    case "abi":
      return byCall(passingCallOfAbi(resolved, need.name) ?? otherAbi(resolved, need.name));
    case "set-user-id":
      return (surroundings.noNewPrivileges ?? true)
        ? undefined
        : byCall(anyCall(resolved, ["execve", "execveat"]));
    case "file":
      return surroundings.canOpen?.(need.path) === false
        ? undefined
        : byCall(anyCall(resolved, need.write ? opensForWriting : opensForReading));
    case "any":
      for (const one of need.of) {
        const met = meet(one);
        if (met !== undefined) return met;
      }
      return undefined;
    case "shared": {
      const shared = sharedNeeds[need.name];
      if (shared === undefined) throw new TypeError(`there is no shared need ${need.name}`);
      return meet(shared);
    }
  }
}

const opensForReading = ["open", "openat", "openat2", "open_by_handle_at"];
const opensForWriting = [
  ...["open", "openat", "open_by_handle_at"].map((name) => `${name}(flags & O_ACCMODE != O_RDONLY)`),
  "openat2",
  "creat",
];

/**
 * What io_uring does for a program without the call's own number: a policy that lets io_uring pass lets these
 * pass, whatever its rules on them say. Operations up to Linux 6.16.
 */
const byIoUring = new Set(
  (
    "socket setsockopt bind listen accept accept4 connect sendto sendmsg recvfrom recvmsg shutdown epoll_ctl " +
    "epoll_wait open openat openat2 close read readv pread64 write writev pwrite64 splice tee fsync madvise " +
    "fadvise64 fallocate ftruncate statx renameat linkat symlinkat unlinkat mkdirat setxattr fsetxattr getxattr " +
    "fgetxattr waitid pipe pipe2 poll"
  ).split(" "),
);

function anyCall(resolved: ResolvedPolicy, selectors: readonly string[]): PassingCall | undefined {
  for (const selector of selectors) {
    const name = /^\w+/.exec(selector)?.[0] ?? "";
    const found = passingCall(resolved, selector) ?? throughIoUring(resolved, name) ?? otherAbi(resolved);
    if (found !== undefined) return found.name === "*" ? { ...found, name } : found;
  }
  return undefined;
}

function throughIoUring(resolved: ResolvedPolicy, name: string): PassingCall | undefined {
  if (!byIoUring.has(name)) return undefined;
  const setup = passingCall(resolved, "io_uring_setup");
  const enter = passingCall(resolved, "io_uring_enter");
  return setup === undefined || enter === undefined
    ? undefined
    : { ...enter, name, through: "io_uring_enter", words: undefined };
}

/** Where calls of ABIs that the policy has no rules for pass, all of them do. */
function otherAbi(resolved: ResolvedPolicy, wanted?: string): PassingCall | undefined {
  const { action } = resolved.otherAbis;
  if (!letsPass(action)) return undefined;
  const machine = resolved.abis[0]?.abi.machine;
  const open = abis.find(
    (abi) =>
      abi.machine === machine &&
      (wanted === undefined || abi.name === wanted) &&
      !resolved.abis.some((one) => one.abi.name === abi.name),
  );
  if (open === undefined) return undefined;
  const how = action.kind === "allow" || action.kind === "log" ? "allowed" : "asked";
  return { abi: open.name, name: "*", how, words: undefined, by: "other-abis" };
}

/** A need in a few words. */
export function describeNeed(need: Need): string {
  switch (need.kind) {
    case "call":
      return need.selector;
    case "capability":
      return need.name;
    case "abi":
      return `calls of ${need.name}`;
    case "set-user-id":
      return "a set-user-id program";
    case "file":
      return `${need.write ? "writing" : "opening"} ${need.path}`;
    case "any":
      return listWords(need.of.map(describeNeed), "or");
    case "shared": {
      const shared = sharedNeeds[need.name];
      return shared === undefined ? need.name : describeNeed(shared);
    }
  }
}
