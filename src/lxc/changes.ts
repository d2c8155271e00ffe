/** What a container may no longer do, call by call: the floor alone against the floor with the policy. */
import {
  actionOf,
  callOfWords,
  dataOf,
  RET_ALLOW,
  RET_ERRNO,
  RET_KILL_PROCESS,
  RET_KILL_THREAD,
  RET_LOG,
  RET_TRAP,
} from "../bpf/index.ts";
import { resolveSound } from "../policy/resolve.ts";
import { DecisionMaker } from "../proof/decisions.ts";
import { compareStacks } from "../proof/equality.ts";
import { decisionsOfPolicy } from "../proof/policy.ts";
import { type Argument, errnoName, hostAbi, type Syscall, syscallsOf } from "../syscalls/index.ts";
import type { Protection } from "./protection.ts";

export interface Change {
  readonly syscall: string;
  readonly from: string;
  readonly to: string;
  /** A call to which this happens, where it does not happen to all. */
  readonly example: string | undefined;
}

/** The changes on the native ABI; on the others the same names get the same. */
export function changesOf({ policy, floor }: Protection): readonly Change[] {
  const abi = hostAbi() ?? "x86_64";
  const maker = new DecisionMaker();
  const before =
    floor === undefined
      ? maker.answer(RET_ALLOW, "nothing")
      : decisionsOfPolicy(resolveSound(floor.policy), maker, { telling: "values" });
  const own = decisionsOfPolicy(resolveSound(policy), maker, { telling: "values" });
  // What no kernel has served has the kernel's own answer, before and after.
  const served = syscallsOf(abi).filter((call) => call.since !== undefined);
  return served.flatMap((call) => changesOfCall(call, before, own));
}

type Decisions = ReturnType<typeof decisionsOfPolicy>;

const archOf = { x86_64: 0xc000003e, aarch64: 0xc00000b7 } as const;

function changesOfCall(call: Syscall, before: Decisions, own: Decisions): readonly Change[] {
  const arch = call.abi === "aarch64" ? archOf.aarch64 : archOf.x86_64;
  const known = new Map([
    [0, call.nr],
    [1, arch],
  ]);
  const found = new Map<string, Change>();
  let unchanged = 0;
  // Both sides answer alike, so that the walk does not end at the first difference.
  compareStacks([before, own], [before, own], {
    known,
    visit: (after, _same, words) => {
      const example = words();
      const from = answerAt(before, example);
      if (from === after.returnValue) {
        unchanged += 1;
        return;
      }
      const change: Change = {
        syscall: call.name,
        from: describeReturn(from, call),
        to: describeReturn(after.returnValue, call),
        example: exampleOf(call, example),
      };
      const key = `${change.from} ${change.to}`;
      if (!found.has(key)) found.set(key, change);
    },
  });
  const changes = [...found.values()];
  const isWhole = unchanged === 0 && changes.length === 1;
  return changes.map((change) => (isWhole ? { ...change, example: undefined } : change));
}

/** What decisions say of one call, given as words. */
function answerAt(decisions: Decisions, words: readonly number[]): number {
  let at = decisions;
  while (at.kind === "question") {
    const value = ((words[at.word] ?? 0) & at.mask) >>> 0;
    const holds =
      at.test === "equal" ? value === at.k : at.test === "at-least" ? value >= at.k : (value & at.k) !== 0;
    at = holds ? at.holds : at.fails;
  }
  return at.returnValue;
}

/** A filter's answer in the words of the policy language. */
export function describeReturn(value: number, call: Pick<Syscall, "abi">): string {
  switch (actionOf(value)) {
    case RET_ALLOW:
      return "allow";
    case RET_LOG:
      return "log";
    case RET_ERRNO:
      return `errno(${errnoName(call.abi, dataOf(value)) ?? dataOf(value)})`;
    case RET_TRAP:
      return "trap";
    case RET_KILL_THREAD:
      return "kill-thread";
    case RET_KILL_PROCESS:
      return "kill";
    default:
      return "notify";
  }
}

function exampleOf(call: Syscall, words: readonly number[]): string {
  const shown = (call.args ?? []).map((argument) => `${argument.name} = ${shownValue(argument, words)}`);
  return `${call.name}(${shown.join(", ")})`;
}

function shownValue({ place, width, signed }: Argument, words: readonly number[]): string {
  if (place.kind !== "word") return "…";
  const whole = callOfWords(words).args[place.index] ?? 0n;
  const value = signed ? BigInt.asIntN(width, whole) : BigInt.asUintN(width, whole);
  return value > 255n ? `0x${value.toString(16)}` : value.toString();
}
