/** How long a filter's paths are: how many instructions the kernel executes for a call. */
import {
  ARCH_OFFSET,
  type Instruction,
  isCacheable,
  isConditionalJump,
  isReturn,
  JA,
  JEQ_K,
  JGE_K,
  JSET_K,
  LD_W_ABS,
  NR_OFFSET,
  trace,
} from "../src/bpf/index.ts";
import { firstX32Number } from "../src/policy/resolved.ts";
import type { Call, Calls } from "./calls.ts";

/** The architecture value of x86_64 and x32. */
export const arch = 0xc000_003e;

export interface Paths {
  readonly instructions: number;
  /** The longest way through the program for x86_64's numbers, whether or not a call takes it. */
  readonly longest: number;
  readonly checked: number;
  readonly denied: number;
  readonly mix: number;
  /** How many of the numbers that are always allowed the kernel's action cache holds. */
  readonly cached: number;
}

export function pathsOf(instructions: readonly Instruction[], calls: Calls): Paths {
  const length = ({ nr, args }: Call): number =>
    trace(instructions, { arch, nr, args: [...args] }).path.length;
  const weight = calls.mix.reduce((sum, one) => sum + one.weight, 0);
  return {
    instructions: instructions.length,
    longest: longestPath(instructions),
    checked: mean(calls.checked.map(length)),
    denied: mean(calls.denied.map((nr) => length({ nr, args: [] }))),
    mix: calls.mix.reduce((sum, one) => sum + one.weight * mean(one.calls.map(length)), 0) / weight,
    cached: calls.allowed.filter((nr) => isCacheable(instructions, nr, arch)).length,
  };
}

function mean(lengths: readonly number[]): number {
  return lengths.reduce((sum, one) => sum + one, 0) / lengths.length;
}

/** What A holds on a way: the architecture, the number, or something that this does not follow. */
type Held = "arch" | "number" | "other";

/** Jumps go forward only, so one pass from the end is enough. */
function longestPath(instructions: readonly Instruction[]): number {
  /** At each instruction: how many are still to be executed, by what A holds. */
  const rest: Readonly<Record<Held, number>>[] = [];
  for (const [at, step] of [...instructions.entries()].reverse()) {
    const after = (distance: number, held: Held): number => 1 + (rest[at + 1 + distance]?.[held] ?? 0);
    const way = (held: Held): number => {
      if (isReturn(step.code)) return 1;
      if (step.code === JA) return after(step.k, held);
      if (!isConditionalJump(step.code)) return after(0, step.code === LD_W_ABS ? loaded(step.k) : "other");
      const holds = known(step, held);
      if (holds !== undefined) return after(holds ? step.jt : step.jf, held);
      return Math.max(after(step.jt, held), after(step.jf, held));
    };
    rest[at] = { arch: way("arch"), number: way("number"), other: way("other") };
  }
  return rest[0]?.other ?? 0;
}

function loaded(offset: number): Held {
  return offset === ARCH_OFFSET ? "arch" : offset === NR_OFFSET ? "number" : "other";
}

/** What a test comes to for every call of x86_64: x32's numbers have bit 30. */
function known({ code, k }: Instruction, held: Held): boolean | undefined {
  if (held === "arch" && code === JEQ_K) return k === arch;
  if (held === "number" && code === JGE_K && k >= firstX32Number) return false;
  if (held === "number" && code === JSET_K && k >= firstX32Number && k % firstX32Number === 0) return false;
  return undefined;
}
