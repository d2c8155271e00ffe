import {
  errno,
  RET_ALLOW,
  RET_KILL_PROCESS,
  RET_KILL_THREAD,
  RET_LOG,
  RET_TRACE,
  RET_TRAP,
  RET_USER_NOTIF,
} from "../bpf/index.ts";
import type { Decision, ResolvedPolicy } from "../policy/resolved.ts";
import type { Action } from "../policy/types.ts";
import { type AbiName, errnoNumber } from "../syscalls/index.ts";

/**
 * What a filter returns for an action on an ABI (the number of an errno is the ABI's own).
 * @throws RangeError for an errno that the ABI does not have.
 */
export function returnValueOf(action: Action, abi: AbiName): number {
  switch (action.kind) {
    case "allow":
      return RET_ALLOW;
    case "errno": {
      const number = typeof action.errno === "number" ? action.errno : errnoNumber(abi, action.errno);
      if (number === undefined) throw new RangeError(`${abi} has no errno ${action.errno}`);
      return errno(number);
    }
    case "kill":
      return RET_KILL_PROCESS;
    case "kill-thread":
      return RET_KILL_THREAD;
    case "trap":
      return RET_TRAP | action.data;
    case "log":
      return RET_LOG;
    case "trace":
      return RET_TRACE | action.data;
    case "notify":
    case "ask":
      return RET_USER_NOTIF;
  }
}

/**
 * What a filter returns for a decision on a call of an ABI. What the policy says of other ABIs it says in the errnos
 * of its first: those of one machine have the same ones.
 */
export function returnValueOfDecision(
  { action, by }: Decision,
  abi: AbiName | undefined,
  resolved: ResolvedPolicy,
): number {
  const first = resolved.abis[0]?.abi.name ?? "x86_64";
  return returnValueOf(action, by === "other-abis" ? first : (abi ?? first));
}
