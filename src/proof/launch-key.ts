/**
 * The launch key in a filter that is read back from a process. Where its policy denies execve, the launcher's filter
 * lets one execve pass, by six words in the argument registers that execve does not use. These words are random, and
 * the kernel has cleared them since; what remains to be said of the filter is what it says without that rule.
 */
import {
  ALU_AND_K,
  type Filter,
  filterOf,
  type Instruction,
  isConditionalJump,
  JA,
  JEQ_K,
  JGE_K,
  JGT_K,
  JSET_K,
  LD_W_ABS,
  RET_ALLOW,
  RET_K,
} from "../bpf/index.ts";
import { type AbiName, abiByName, hostAbi, syscallNumber } from "../syscalls/index.ts";
import { DecisionMaker } from "./decisions.ts";
import { compareDecisions } from "./equality.ts";
import { decisionsOfFilter, UnreadableFilter } from "./filter.ts";
import { type LaunchKeyRule, withLaunchKey } from "./policy.ts";

/** A filter without the rule of its launch key, and that rule. */
export interface KeylessFilter {
  /** As long as the filter was: the key's words are 0 in it, and nothing leads to them. */
  readonly filter: Filter;
  readonly launchKey: LaunchKeyRule;
}

/** The offset of the low half of args[3]. */
const firstKeyOffset = 40;
const keyWords = 6;

/**
 * The filter without the rule of its launch key: proved to be the same for every call but that one execve. Undefined
 * where it has no such rule.
 */
export function withoutLaunchKey(
  filter: Filter,
  target: AbiName | undefined = hostAbi(),
): KeylessFilter | undefined {
  const arch = target === undefined ? undefined : abiByName(target)?.arch;
  const nr = target === undefined ? undefined : syscallNumber(target, "execve");
  if (arch === undefined || nr === undefined) return undefined;
  const places = placesOfKey(filter.instructions, [nr, arch]);
  const [first] = places ?? [];
  if (places === undefined || first === undefined) return undefined;
  const key = places.map((at) => filter.instructions[at]?.k ?? 0);
  const keyless = filterOf(
    filter.instructions.map((step, at) =>
      places.includes(at) ? { ...step, k: 0, ...(at === first ? { jt: step.jf } : {}) } : step,
    ),
    abiByName(target ?? "x86_64")?.endian,
  );
  const launchKey = { arch, nr, key, returnValue: RET_ALLOW };
  return isSameBut(filter, keyless, launchKey) ? { filter: keyless, launchKey } : undefined;
}

/** The six comparisons that an execve of this machine comes to first, where the last of them allows it. */
function placesOfKey(
  instructions: readonly Instruction[],
  [nr, arch]: readonly [nr: number, arch: number],
): readonly number[] | undefined {
  const places: number[] = [];
  let a = 0;
  for (let at = 0; ; at++) {
    const step = instructions[at];
    if (step === undefined) return undefined;
    const { code, k, jt, jf } = step;
    if (code === LD_W_ABS && k < 8) a = k === 0 ? nr : arch;
    else if (code === LD_W_ABS) {
      // From here on only the key's words are looked at, one after the other.
      const compare = instructions[at + 1];
      if (k !== firstKeyOffset + 4 * places.length || compare?.code !== JEQ_K) return undefined;
      places.push(at + 1);
      at += 1 + compare.jt;
      if (places.length === keyWords) {
        const end = instructions[at + 1];
        return end?.code === RET_K && end.k === RET_ALLOW ? places : undefined;
      }
    } else if (places.length > 0) return undefined;
    else if (code === JA) at += k;
    else if (code === ALU_AND_K) a = (a & k) >>> 0;
    else if (isConditionalJump(code)) {
      const holds = outcomeOf(code, a, k);
      if (holds === undefined) return undefined;
      at += holds ? jt : jf;
    } else return undefined;
  }
}

function outcomeOf(code: number, a: number, k: number): boolean | undefined {
  switch (code) {
    case JEQ_K:
      return a === k;
    case JGE_K:
      return a >= k;
    case JGT_K:
      return a > k;
    case JSET_K:
      return (a & k) !== 0;
    default:
      return undefined;
  }
}

/** Whether a filter is another one with the launch key's rule in front. */
function isSameBut(filter: Filter, keyless: Filter, launchKey: LaunchKeyRule): boolean {
  const maker = new DecisionMaker();
  try {
    const without = decisionsOfFilter(keyless.instructions, maker);
    const keyed = withLaunchKey(without, maker, launchKey, undefined);
    return compareDecisions(decisionsOfFilter(filter.instructions, maker), keyed).verdict === "equal";
  } catch (error) {
    if (error instanceof UnreadableFilter) return false;
    throw error;
  }
}
