/** A filter as decisions: run with symbols instead of values, every path once. */
import {
  ALU_AND_K,
  type Instruction,
  JA,
  JEQ_K,
  JGE_K,
  JGT_K,
  JSET_K,
  LD_IMM,
  LD_W_ABS,
  RET_A,
  RET_K,
} from "../bpf/index.ts";
import type { DecisionMaker, Decisions } from "./decisions.ts";
import type { WordTest } from "./words.ts";

/** What A holds: a word of the call with only the bits of a mask, or a number. */
type Accumulator =
  | { readonly kind: "word"; readonly word: number; readonly mask: number }
  | { readonly kind: "number"; readonly value: number };

/** An instruction whose result this reading cannot express; the proof is then undecided. */
export class UnreadableFilter extends Error {}

/**
 * The decisions of a filter that the kernel would accept.
 * @throws UnreadableFilter where it computes with more than loads, masks and constants
 */
export function decisionsOfFilter(instructions: readonly Instruction[], maker: DecisionMaker): Decisions {
  const known = new Map<string, Decisions>();
  /** Up to the next return or open test. */
  const run = (start: number, initial: Accumulator): Decisions | Branch => {
    let a = initial;
    for (let at = start; ; at++) {
      const instruction = instructions[at];
      if (instruction === undefined) throw new UnreadableFilter(`instruction ${at} does not exist`);
      const { code, k } = instruction;
      switch (code) {
        case LD_W_ABS:
          a = { kind: "word", word: k / 4, mask: maker.ones };
          break;
        case LD_IMM:
          a = { kind: "number", value: k };
          break;
        case ALU_AND_K:
          a =
            a.kind === "word"
              ? { ...a, mask: (a.mask & k) >>> 0 }
              : { kind: "number", value: (a.value & k) >>> 0 };
          break;
        case JA:
          at += k;
          break;
        case RET_K:
          return maker.answer(k, "filter");
        case RET_A:
          if (a.kind !== "number") throw new UnreadableFilter(`instruction ${at} returns a word of the call`);
          return maker.answer(a.value, "filter");
        case JEQ_K:
        case JGT_K:
        case JGE_K:
        case JSET_K: {
          if (a.kind === "number") at += outcome(code, k, a.value) ? instruction.jt : instruction.jf;
          else if (code === JGT_K && k >= maker.ones) at += instruction.jf;
          else return known.get(`${at},${a.word},${a.mask}`) ?? { kind: "branch", at, instruction, a };
          break;
        }
        default:
          throw new UnreadableFilter(
            `instruction ${at} (code 0x${code.toString(16)}) is more than the proof can follow`,
          );
      }
    }
  };
  // A filter can be thousands of tests long: the open ones wait here, not on the machine's stack.
  const start = run(0, { kind: "number", value: 0 });
  const open = start.kind === "branch" ? [start] : [];
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const { at, a } = top;
    const { code, k, jt, jf } = top.instruction;
    const [taken, other] = [run(at + 1 + jt, a), run(at + 1 + jf, a)];
    if (taken.kind === "branch") open.push(taken);
    else if (other.kind === "branch") open.push(other);
    else {
      known.set(`${at},${a.word},${a.mask}`, maker.question(a.word, testOf(code, k, a.mask), taken, other));
      open.pop();
    }
  }
  return start.kind === "branch" ? settled(run(0, { kind: "number", value: 0 })) : start;
}

/** A test whose outcome depends on the call. */
interface Branch {
  readonly kind: "branch";
  readonly at: number;
  readonly instruction: Instruction;
  readonly a: Extract<Accumulator, { kind: "word" }>;
}

function settled(decisions: Decisions | Branch): Decisions {
  if (decisions.kind === "branch") throw new Error("every test of the filter is settled by now");
  return decisions;
}

function outcome(code: number, k: number, value: number): boolean {
  if (code === JEQ_K) return value === k;
  if (code === JGT_K) return value > k;
  if (code === JGE_K) return value >= k;
  return (value & k) !== 0;
}

function testOf(code: number, k: number, mask: number): WordTest {
  if (code === JEQ_K) return { mask, test: "equal", k };
  if (code === JGE_K) return { mask, test: "at-least", k };
  if (code === JGT_K) return { mask, test: "at-least", k: k + 1 };
  return { mask, test: "any-bit", k };
}
