import type { Action } from "./types.ts";

/** `deny`: refused with EPERM. */
export const deny: Action = { kind: "errno", errno: "EPERM" };

/** The action in the policy language; EPERM is written `deny`. */
export function printAction(action: Action): string {
  switch (action.kind) {
    case "errno":
      return action.errno === "EPERM" ? "deny" : `errno(${action.errno})`;
    case "trap":
      return action.data === 0 ? "trap" : `trap(${action.data})`;
    case "trace":
      return `trace(${action.data})`;
    default:
      return action.kind;
  }
}

/** The kernel's ranking of actions: a smaller number is stricter. `ask` is a notification to the kernel. */
const rank: Readonly<Record<Action["kind"], number>> = {
  kill: 0,
  "kill-thread": 1,
  trap: 2,
  errno: 3,
  notify: 4,
  ask: 4,
  trace: 5,
  log: 6,
  allow: 7,
};

/** Negative where `a` is stricter than `b`, positive where it is more lenient, 0 where the kernel ranks them equal. */
export function compareStrictness(a: Action, b: Action): number {
  return rank[a.kind] - rank[b.kind];
}

/** Whether a rule of `require` may have this action: one that surely refuses. */
export function isDenial(action: Action): boolean {
  return rank[action.kind] <= rank.errno;
}
