/** What a return value does to a call, in the policy's words: the way back from `returnValueOf`. */
import {
  actionOf,
  dataOf,
  MAX_ERRNO,
  RET_ALLOW,
  RET_ERRNO,
  RET_KILL_PROCESS,
  RET_KILL_THREAD,
  RET_LOG,
  RET_TRACE,
  RET_TRAP,
  RET_USER_NOTIF,
} from "../bpf/index.ts";
import type { Action } from "../policy/types.ts";
import { type AbiName, errnoName } from "../syscalls/index.ts";

/** The value without what makes no difference: data that the action ignores, errnos that are cut, unknown actions. */
export function effectOf(returnValue: number): number {
  const action = actionOf(returnValue);
  switch (action) {
    case RET_KILL_THREAD:
    case RET_LOG:
    case RET_ALLOW:
    case RET_USER_NOTIF:
      return action;
    case RET_ERRNO:
      return (RET_ERRNO | Math.min(dataOf(returnValue), MAX_ERRNO)) >>> 0;
    case RET_TRAP:
    case RET_TRACE:
      return returnValue;
    default:
      // What the kernel does not know, it kills for.
      return RET_KILL_PROCESS;
  }
}

/** The action of a return value; errnos have the names that they have on the ABI. */
export function actionOfReturnValue(returnValue: number, abi: AbiName): Action {
  const data = dataOf(returnValue);
  switch (actionOf(returnValue)) {
    case RET_KILL_THREAD:
      return { kind: "kill-thread" };
    case RET_TRAP:
      return { kind: "trap", data };
    case RET_ERRNO: {
      const number = Math.min(data, MAX_ERRNO);
      return { kind: "errno", errno: errnoName(abi, number) ?? number };
    }
    case RET_USER_NOTIF:
      return { kind: "notify" };
    case RET_TRACE:
      return { kind: "trace", data };
    case RET_LOG:
      return { kind: "log" };
    case RET_ALLOW:
      return { kind: "allow" };
    default:
      return { kind: "kill" };
  }
}
