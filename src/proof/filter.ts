/**
 * A filter as decisions: run with symbols instead of values, every path once. Everything that the kernel accepts
 * is read: arithmetic, X and the scratch memory too (`symbols.ts`). Where an instruction's result is too large to
 * be expressed, the run is made again, and at that instruction the cases are told apart by the value of a word
 * that can only have few values there. What is too large even so is not decided, and said not to be.
 */
import {
  ALU_DIV_X,
  ALU_NEG,
  type Instruction,
  isConditionalJump,
  JA,
  JEQ_K,
  JGE_K,
  JGT_K,
  JSET_K,
  LD_IMM,
  LD_LEN,
  LD_MEM,
  LD_W_ABS,
  LDX_IMM,
  LDX_LEN,
  LDX_MEM,
  RET_A,
  RET_K,
  RET_KILL_THREAD,
  SECCOMP_DATA_SIZE,
  ST,
  STX,
  TAX,
  TXA,
} from "../bpf/index.ts";
import type { DecisionMaker, Decisions } from "./decisions.ts";
import { all, type Diagram, none, TooManyNodes } from "./diagram.ts";
import type { Expression } from "./expressions.ts";
import { isLive, liveAtEach, registerA, registerX } from "./liveness.ts";
import type { Relations } from "./relations.ts";
import { type CallBit, keyOfValue, number, Symbols, type Value, zero } from "./symbols.ts";
import { type WordSet, WordSets, type WordTest } from "./words.ts";

/** A filter that computes more than this reading can express; the proof is then undecided. */
export class UnreadableFilter extends Error {}

/** An instruction whose result became too large. */
class TooHard extends Error {
  readonly at: number;
  constructor(at: number) {
    super();
    this.at = at;
  }
}

/** In an opcode of arithmetic or of a test: the operand is X, not k (`BPF_X`). */
const operandIsX = 0x08;
/** So many instructions may need their cases told apart, before the filter is given up. */
const mostHard = 8;
/** What all runs of one filter may need of `Symbols`: half a second of the processor. */
const mostNodes = 250_000;
/** So many values of a word are told apart. */
const mostCases = 4096;
const mostTests = 100_000;

/**
 * The decisions of a filter that the kernel would accept. With `relations`, a test of several words is one question
 * about a relation, to be told; without, it is questions about their bits.
 * @throws UnreadableFilter where they are too many to be written down
 */
export function decisionsOfFilter(
  instructions: readonly Instruction[],
  maker: DecisionMaker,
  relations?: Relations,
): Decisions {
  const hard = new Set<number>();
  let nodes = 0;
  for (;;) {
    const reader = new FilterReader(instructions, maker, hard, relations);
    try {
      return reader.decisions();
    } catch (error) {
      if (!(error instanceof TooHard)) throw error;
      nodes += reader.nodes;
      if (hard.has(error.at) || hard.size >= mostHard || nodes >= mostNodes)
        throw new UnreadableFilter(
          `what instruction ${error.at} computes depends on the call in more ways than the proof can follow`,
        );
      hard.add(error.at);
    }
  }
}

/** The machine before an instruction. */
interface State {
  readonly at: number;
  readonly a: Value;
  readonly x: Value;
  readonly memory: readonly Value[];
  /** What words can still be, where that is kept account of: only where cases may have to be told apart. */
  readonly possible: ReadonlyMap<number, WordSet>;
}

/** A test whose outcome depends on the call. */
interface Branch {
  readonly kind: "branch";
  readonly key: string;
  readonly here: State;
  readonly asks: (WordTest & { readonly word: number }) | Diagram;
  readonly holds: State | Decisions;
  readonly fails: State;
}

/** A state to go on at, or an end. */
type Next = State | Decisions | Branch;

class FilterReader {
  readonly #instructions: readonly Instruction[];
  readonly #maker: DecisionMaker;
  readonly #hard: ReadonlySet<number>;
  readonly #relations: Relations | undefined;
  readonly #symbols: Symbols;
  readonly #sets: WordSets;
  readonly #live: readonly number[];
  readonly #known = new Map<string, Decisions>();

  constructor(
    instructions: readonly Instruction[],
    maker: DecisionMaker,
    hard: ReadonlySet<number>,
    relations: Relations | undefined,
  ) {
    this.#instructions = instructions;
    this.#maker = maker;
    this.#hard = hard;
    this.#relations = relations;
    this.#symbols = new Symbols(maker.width);
    this.#sets = new WordSets(maker.width);
    this.#live = liveAtEach(instructions);
  }

  get nodes(): number {
    return this.#symbols.size;
  }

  decisions(): Decisions {
    const initial: State = { at: 0, a: zero, x: zero, memory: [], possible: new Map() };
    // A filter can be thousands of tests long: the open ones wait here, not on the machine's stack.
    const start = this.#run(initial);
    const open = start.kind === "branch" ? [start] : [];
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const holds = "kind" in top.holds ? top.holds : this.#run(top.holds);
      const fails = this.#run(top.fails);
      if (holds.kind === "branch") open.push(holds);
      else if (fails.kind === "branch") open.push(fails);
      else {
        if (this.#known.size >= mostTests)
          throw new UnreadableFilter(`the filter makes more than ${mostTests} different tests`);
        this.#known.set(top.key, this.#question(top, holds, fails));
        open.pop();
      }
    }
    const result = start.kind === "branch" ? this.#known.get(start.key) : start;
    if (result === undefined) throw new Error("every test of the filter is settled by now");
    return result;
  }

  /** Up to the next return or open test. */
  #run(initial: State): Decisions | Branch {
    let { at, a, x, memory, possible } = initial;
    /** Goes on at a state, or ends. */
    const goOn = (next: Next): Decisions | Branch | undefined => {
      if ("kind" in next) return next;
      ({ a, x, memory, possible } = next);
      at = next.at - 1;
      return undefined;
    };
    for (; ; at++) {
      const instruction = this.#instructions[at];
      if (instruction === undefined) throw new UnreadableFilter(`instruction ${at} does not exist`);
      const { code, k } = instruction;
      const here: State = { at, a, x, memory, possible };
      switch (code) {
        case LD_W_ABS:
          a = this.#load(k / 4, possible);
          break;
        case LD_IMM:
          a = number(k);
          break;
        case LDX_IMM:
          x = number(k);
          break;
        case LD_LEN:
          a = number(SECCOMP_DATA_SIZE);
          break;
        case LDX_LEN:
          x = number(SECCOMP_DATA_SIZE);
          break;
        case LD_MEM:
          a = memory[k] ?? zero;
          break;
        case LDX_MEM:
          x = memory[k] ?? zero;
          break;
        case ST:
          memory = withWord(memory, k, a);
          break;
        case STX:
          memory = withWord(memory, k, x);
          break;
        case TAX:
          x = a;
          break;
        case TXA:
          a = x;
          break;
        case JA:
          at += k;
          break;
        case RET_K:
          return this.#maker.answer(k, undefined);
        case RET_A:
          return this.#returned(at, a);
        default: {
          const operand = (code & operandIsX) === 0 ? number(k) : x;
          const plain = code & ~operandIsX;
          const cases = this.#tellApart(here, operand);
          if (cases !== undefined) {
            const end = goOn(cases);
            if (end !== undefined) return end;
            break;
          }
          if (isConditionalJump(code)) {
            const holds = { ...here, at: at + 1 + instruction.jt };
            const fails = { ...here, at: at + 1 + instruction.jf };
            const asks = this.#try(at, () => this.#ask(plain, a, operand));
            const next =
              typeof asks === "boolean" ? (asks ? holds : fails) : this.#branch(here, asks, holds, fails);
            const end = goOn(next);
            if (end !== undefined) return end;
            break;
          }
          if (code === ALU_DIV_X) {
            const divisorIsZero = this.#try(at, () => this.#ask(JEQ_K, x, zero));
            // The kernel leaves the filter there with 0.
            const killed = this.#maker.answer(RET_KILL_THREAD, undefined);
            if (divisorIsZero === true) return killed;
            if (divisorIsZero !== false) {
              const quotient = this.#try(at, () => this.#symbols.operate(plain, a, x));
              const divided = { ...here, at: at + 1, a: quotient };
              const end = goOn(this.#branch(here, divisorIsZero, killed, divided));
              if (end !== undefined) return end;
              break;
            }
          }
          a = this.#try(at, () => this.#symbols.operate(plain, a, code === ALU_NEG ? zero : operand));
        }
      }
    }
  }

  /** What follows a test: where its outcome is known, that; else what is known of it, or the open test. */
  #branch(here: State, asks: Branch["asks"], holds: State | Decisions, fails: State): Next {
    const key = this.#keyOf(here);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#hard.size === 0 || typeof asks === "number")
      return { kind: "branch", key, here, asks, holds, fails };
    const parts = this.#sets.split(here.possible.get(asks.word) ?? this.#sets.full, asks);
    const within = (state: State, part: WordSet | undefined): State =>
      part === undefined ? state : { ...state, possible: new Map([...state.possible, [asks.word, part]]) };
    if (parts.fails === undefined) return holds;
    if (parts.holds === undefined) return fails;
    const held = "kind" in holds ? holds : within(holds, parts.holds);
    return { kind: "branch", key, here, asks, holds: held, fails: within(fails, parts.fails) };
  }

  /** A word of the call; a number where only one value is left of it. */
  #load(word: number, possible: State["possible"]): Value {
    const set = possible.get(word);
    return set !== undefined && this.#sets.count(set) === 1
      ? number(this.#sets.member(set))
      : this.#symbols.word(word);
  }

  /** At an instruction that proved too hard: asks for one value of a word after the other. */
  #tellApart(here: State, operand: Value): Next | undefined {
    if (!this.#hard.has(here.at)) return undefined;
    const words = new Set([...this.#symbols.wordsOf(here.a), ...this.#symbols.wordsOf(operand)]);
    const sizes = [...words].map((word) => {
      const set = here.possible.get(word) ?? this.#sets.full;
      return { word, set, count: this.#sets.count(set) };
    });
    const [smallest] = sizes.sort((one, other) => one.count - other.count);
    if (smallest === undefined) return undefined;
    if (smallest.count > mostCases) throw new TooHard(here.at);
    const { word, set } = smallest;
    const k = this.#sets.member(set);
    const asks = { word, mask: this.#maker.ones, test: "equal", k } as const;
    const known = (value: Value): Value => this.#symbols.substitute(value, word, k);
    return this.#branch(
      here,
      asks,
      { ...here, a: known(here.a), x: known(here.x), memory: here.memory.map(known) },
      here,
    );
  }

  /** Whether a test holds: known, asked of one word, or of bits of several. */
  #ask(code: number, a: Value, operand: Value): boolean | Branch["asks"] {
    if (a.kind !== "word" || operand.kind !== "number") return this.#symbols.test(code, a, operand);
    const { word, mask } = a;
    const k = operand.value;
    switch (code) {
      case JEQ_K:
        return (k & ~mask) >>> 0 === 0 ? { word, mask, test: "equal", k } : false;
      case JGE_K:
        return k === 0 ? true : k > mask ? false : { word, mask, test: "at-least", k };
      case JGT_K:
        return k >= mask ? false : { word, mask, test: "at-least", k: k + 1 };
      case JSET_K:
        return (k & mask) === 0 ? false : { word, mask, test: "any-bit", k };
      default:
        throw new RangeError(`0x${code.toString(16)} is no test`);
    }
  }

  /** `ret a`: an answer for each value that A can have. */
  #returned(at: number, a: Value): Decisions {
    const known = new Map<string, Decisions>();
    const walk = (value: Value): Decisions => {
      if (value.kind === "number") return this.#maker.answer(value.value, undefined);
      const key = keyOfValue(value);
      const found = known.get(key);
      if (found !== undefined) return found;
      const parts = this.#symbols.split(value);
      if (parts === undefined) throw new Error("a value that is no number depends on some bit");
      if (known.size >= mostCases)
        throw new UnreadableFilter(`instruction ${at} returns more than ${mostCases} different values`);
      const made = this.#bitQuestion(parts.asks, walk(parts.one), walk(parts.zero));
      known.set(key, made);
      return made;
    };
    return this.#try(at, () => walk(a));
  }

  #question({ here, asks }: Branch, holds: Decisions, fails: Decisions): Decisions {
    if (typeof asks !== "number") return this.#maker.question(asks.word, asks, holds, fails);
    if (this.#relations !== undefined && this.#symbols.wordsIn([asks]).size > 1)
      return this.#relationQuestion(this.#relations, here, asks, holds, fails);
    const known = new Map<Diagram, Decisions>([
      [none, fails],
      [all, holds],
    ]);
    const walk = (calls: Diagram): Decisions => {
      const found = known.get(calls);
      if (found !== undefined) return found;
      const top = this.#symbols.top(calls);
      if (top === undefined) return fails;
      const made = this.#bitQuestion(top.asks, walk(top.one), walk(top.zero));
      known.set(calls, made);
      return made;
    };
    return walk(asks);
  }

  #relationQuestion(
    relations: Relations,
    { at, a, x }: State,
    calls: Diagram,
    holds: Decisions,
    fails: Decisions,
  ): Decisions {
    const { code = JEQ_K, k = 0 } = this.#instructions[at] ?? {};
    const of = (value: Value): Expression => this.#symbols.expressionOf(value);
    // The other instruction that branches is a division, by whether X is 0.
    const comparison = isConditionalJump(code)
      ? { code: code & ~operandIsX, left: of(a), right: of((code & operandIsX) === 0 ? number(k) : x) }
      : { code: JEQ_K, left: of(x), right: of(zero) };
    const { word, isOpposite } = relations.add(this.#symbols, calls, comparison, at);
    return this.#maker.question(word, { mask: 1, test: "equal", k: isOpposite ? 0 : 1 }, holds, fails);
  }

  #bitQuestion({ word, bit }: CallBit, one: Decisions, zero: Decisions): Decisions {
    return this.#maker.question(
      word,
      { mask: this.#maker.ones, test: "any-bit", k: (1 << bit) >>> 0 },
      one,
      zero,
    );
  }

  /** What decides all that follows: the place, and the registers that are still read. */
  #keyOf({ at, a, x, memory, possible }: State): string {
    const live = this.#live[at] ?? 0;
    let key = `${at}`;
    if (isLive(live, registerA)) key += `,${keyOfValue(a)}`;
    if (isLive(live, registerX)) key += `,${keyOfValue(x)}`;
    for (const [index, value] of memory.entries()) if (isLive(live, index)) key += `,${keyOfValue(value)}`;
    for (const [word, set] of [...possible].sort(([one], [other]) => one - other))
      key += `;${word}:${set.id}`;
    return key;
  }

  #try<Result>(at: number, compute: () => Result): Result {
    try {
      return compute();
    } catch (error) {
      if (error instanceof TooManyNodes) throw new TooHard(at);
      throw error;
    }
  }
}

function withWord(memory: readonly Value[], index: number, value: Value): readonly Value[] {
  const made = [...memory];
  for (let at = made.length; at < index; at++) made.push(zero);
  made[index] = value;
  return made;
}
