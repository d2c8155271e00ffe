/**
 * Whether two filters answer every call alike, decided without anything of src/proof: by running both.
 *
 * Where a program loads a word that has no value yet, the word gets one value of each cell, a cell being a set of
 * values that no test ahead, in either program, tells apart. All cells are tried, so every call is tried up to what
 * the programs can tell of it. Cells come from the constants; where masks are among the tests, from a diagram of the
 * word's bits.
 */
import {
  ALU_AND_K,
  ALU_OR_K,
  type Instruction,
  JA,
  JEQ_K,
  JGE_K,
  JGT_K,
  JSET_K,
  LD_IMM,
  LD_W_ABS,
  RET_K,
} from "../../src/bpf/index.ts";

export type SecondOpinion =
  /** `runs`: the pairs of runs, each from one load to the next. */
  | { readonly verdict: "equal"; readonly runs: number }
  | { readonly verdict: "different"; readonly words: Uint32Array }
  | { readonly verdict: "not followed"; readonly reason: string };

class NotFollowed extends Error {}

const mostRuns = 3_000_000;
const mostCells = 20_000;
const allBits = 0xffff_ffff;

/** A comparison of a word's bits under a mask, with some bits set whatever they were, by its instruction's code. */
interface Test {
  readonly code: number;
  readonly mask: number;
  readonly set: number;
  readonly k: number;
}

/** What lies ahead of an instruction: for each word that is loaded there, the tests that it can meet. */
type Ahead = ReadonlyMap<number, readonly Test[]>;

/** Where a program stands: at a load of a word without a value, or at its end. */
type Stand = { readonly at: number } | { readonly returned: number };

class Program {
  readonly #instructions: readonly Instruction[];
  readonly #ahead = new Map<number, Ahead>();

  constructor(instructions: readonly Instruction[]) {
    this.#instructions = instructions;
  }

  #step(at: number): Instruction {
    const step = this.#instructions[at];
    if (step === undefined) throw new NotFollowed(`instruction ${at} does not exist`);
    return step;
  }

  /** Runs from an instruction where A is not needed, or from the start, where it is 0. */
  run(start: number, values: readonly (number | undefined)[]): Stand {
    let a = 0;
    for (let at = start; ; at++) {
      const { code, k, jt, jf } = this.#step(at);
      switch (code) {
        case LD_W_ABS: {
          const value = values[k / 4];
          if (value === undefined) return { at };
          a = value;
          break;
        }
        case LD_IMM:
          a = k;
          break;
        case ALU_AND_K:
          a = (a & k) >>> 0;
          break;
        case ALU_OR_K:
          a = (a | k) >>> 0;
          break;
        case JA:
          at += k;
          break;
        case JEQ_K:
        case JGT_K:
        case JGE_K:
        case JSET_K:
          at += holds({ code, mask: allBits, set: 0, k }, a) ? jt : jf;
          break;
        case RET_K:
          return { returned: k };
        default:
          throw new NotFollowed(`instruction ${at} has code 0x${code.toString(16)}`);
      }
    }
  }

  ahead(start: number): Ahead {
    const known = this.#ahead.get(start);
    if (known !== undefined) return known;
    const found = new Map<number, Map<string, Test>>();
    const seen = new Set<string>();
    /** `word` is -1 where A is a number: both ways are then taken for possible. */
    const open: (readonly [at: number, word: number, mask: number, set: number])[] = [[start, -1, 0, 0]];
    for (let top = open.pop(); top !== undefined; top = open.pop()) {
      const [at, word, mask, set] = top;
      const state = top.join();
      if (seen.has(state)) continue;
      seen.add(state);
      const { code, k, jt, jf } = this.#step(at);
      switch (code) {
        case LD_W_ABS:
          if (!found.has(k / 4)) found.set(k / 4, new Map());
          open.push([at + 1, k / 4, allBits, 0]);
          break;
        case LD_IMM:
          open.push([at + 1, -1, 0, 0]);
          break;
        case ALU_AND_K:
          open.push([at + 1, word, (mask & k) >>> 0, (set & k) >>> 0]);
          break;
        case ALU_OR_K:
          open.push([at + 1, word, (mask & ~k) >>> 0, (set | k) >>> 0]);
          break;
        case JA:
          open.push([at + 1 + k, word, mask, set]);
          break;
        case JEQ_K:
        case JGT_K:
        case JGE_K:
        case JSET_K:
          found.get(word)?.set(`${code},${mask},${set},${k}`, { code, mask, set, k });
          open.push([at + 1 + jt, word, mask, set], [at + 1 + jf, word, mask, set]);
          break;
        case RET_K:
          break;
        default:
          throw new NotFollowed(`instruction ${at} has code 0x${code.toString(16)}`);
      }
    }
    const ahead: Ahead = new Map([...found].map(([word, tests]) => [word, [...tests.values()]]));
    this.#ahead.set(start, ahead);
    return ahead;
  }

  loadAt(at: number): number {
    return this.#step(at).k / 4;
  }
}

function holds({ code, mask, set, k }: Test, value: number): boolean {
  const bits = ((value & mask) | set) >>> 0;
  if (code === JEQ_K) return bits === k;
  if (code === JGT_K) return bits > k;
  if (code === JGE_K) return bits >= k;
  return (bits & k) !== 0;
}

/** The smaller values of a set of words whose tests are of whole words: the first of each stretch. */
function edgesOf(tests: readonly Test[]): readonly number[] {
  const edges = new Set([0]);
  for (const { code, k } of tests) {
    if (code !== JGT_K) edges.add(k);
    if (code !== JGE_K && k < allBits) edges.add(k + 1);
  }
  return [...edges].sort((a, b) => a - b);
}

/** One value of every cell. */
function cellsOf(tests: readonly Test[]): readonly number[] {
  const isWhole = ({ code, mask }: Test): boolean => mask === allBits && code !== JSET_K;
  const edges = edgesOf(tests.filter(isWhole));
  const masked = tests.filter((test) => !isWhole(test));
  if (masked.length === 0) return edges;
  const bits = new Bits();
  const sets = masked.map((test) => bits.of(test));
  return edges.flatMap((low, index) => {
    const high = (edges[index + 1] ?? allBits + 1) - 1;
    if (low === high) return [low];
    const within = bits.and(
      bits.of({ code: JGE_K, mask: allBits, set: 0, k: low }),
      bits.not(bits.of({ code: JGT_K, mask: allBits, set: 0, k: high })),
    );
    let cells = [within];
    for (const set of sets) {
      const others = bits.not(set);
      cells = cells.flatMap((cell) =>
        [bits.and(cell, set), bits.and(cell, others)].filter((one) => one !== bits.nothing),
      );
      if (cells.length > mostCells) throw new NotFollowed(`more than ${mostCells} cells of a word`);
    }
    return cells.map((cell) => bits.member(cell));
  });
}

/** A set of words: what is left of it when the highest bit that matters is 0, and when it is 1. */
interface Bdd {
  readonly id: number;
  /** 31 to 0; -1 for the two ends. */
  readonly bit: number;
  readonly zero: Bdd | undefined;
  readonly one: Bdd | undefined;
}

class Bits {
  readonly nothing: Bdd = { id: 0, bit: -1, zero: undefined, one: undefined };
  readonly everything: Bdd = { id: 1, bit: -1, zero: undefined, one: undefined };
  readonly #nodes = new Map<string, Bdd>();
  readonly #meets = new Map<string, Bdd>();
  #count = 2;

  #node(bit: number, zero: Bdd, one: Bdd): Bdd {
    if (zero === one) return zero;
    const key = `${bit},${zero.id},${one.id}`;
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    const made: Bdd = { id: this.#count++, bit, zero, one };
    this.#nodes.set(key, made);
    return made;
  }

  /** The words for which a test holds: bit by bit, whether what was read so far is below, at or above `k`. */
  of({ code, mask, set, k }: Test): Bdd {
    const known = new Map<string, Bdd>();
    const from = (bit: number, order: -1 | 0 | 1, hit: boolean): Bdd => {
      if (bit < 0) {
        const result =
          code === JSET_K ? hit : code === JEQ_K ? order === 0 : code === JGT_K ? order > 0 : order >= 0;
        return result ? this.everything : this.nothing;
      }
      const key = `${bit},${order},${hit}`;
      const found = known.get(key);
      if (found !== undefined) return found;
      const wanted = (k >>> bit) & 1;
      const next = (value: number): Bdd => {
        const here = ((value & (mask >>> bit)) | (set >>> bit)) & 1;
        const after = order !== 0 || here === wanted ? order : here > wanted ? 1 : -1;
        return from(bit - 1, after, hit || (here & wanted) === 1);
      };
      const made = this.#node(bit, next(0), next(1));
      known.set(key, made);
      return made;
    };
    return from(31, 0, false);
  }

  and(a: Bdd, b: Bdd): Bdd {
    if (a === this.nothing || b === this.nothing) return this.nothing;
    if (a === this.everything || a === b) return b;
    if (b === this.everything) return a;
    const key = `${a.id},${b.id}`;
    const known = this.#meets.get(key);
    if (known !== undefined) return known;
    const bit = Math.max(a.bit, b.bit);
    const [a0, a1] = below(a, bit);
    const [b0, b1] = below(b, bit);
    const made = this.#node(bit, this.and(a0, b0), this.and(a1, b1));
    this.#meets.set(key, made);
    return made;
  }

  not(a: Bdd): Bdd {
    const known = new Map<Bdd, Bdd>([
      [this.nothing, this.everything],
      [this.everything, this.nothing],
    ]);
    const walk = (set: Bdd): Bdd => {
      const found = known.get(set);
      if (found !== undefined) return found;
      const [zero, one] = below(set, set.bit);
      const made = this.#node(set.bit, walk(zero), walk(one));
      known.set(set, made);
      return made;
    };
    return walk(a);
  }

  /** The smallest word of a set that has one. */
  member(set: Bdd): number {
    let value = 0;
    for (let at = set; at !== this.everything; ) {
      const [zero, one] = below(at, at.bit);
      if (zero === this.nothing) value += 2 ** at.bit;
      at = zero === this.nothing ? one : zero;
    }
    return value;
  }
}

function below(set: Bdd, bit: number): readonly [Bdd, Bdd] {
  return set.bit === bit && set.zero !== undefined && set.one !== undefined
    ? [set.zero, set.one]
    : [set, set];
}

/** Programs by their instructions: the original is compared with many mutants. */
const programs = new WeakMap<readonly Instruction[], Program>();

function programOf(instructions: readonly Instruction[]): Program {
  const known = programs.get(instructions) ?? new Program(instructions);
  programs.set(instructions, known);
  return known;
}

export function secondOpinion(a: readonly Instruction[], b: readonly Instruction[]): SecondOpinion {
  const [first, second] = [programOf(a), programOf(b)];
  const values = new Array<number | undefined>(16).fill(undefined);
  const seen = new Set<string>();
  let runs = 0;

  const differs = (left: Stand, right: Stand): boolean => {
    if ("returned" in left && "returned" in right) return left.returned !== right.returned;
    const program = "at" in left ? first : second;
    const at = "at" in left ? left.at : "at" in right ? right.at : 0;
    const aheads = [
      "at" in left ? first.ahead(left.at) : undefined,
      "at" in right ? second.ahead(right.at) : undefined,
    ];
    const end = (stand: Stand): string => ("at" in stand ? `${stand.at}` : `=${stand.returned}`);
    let key = `${end(left)},${end(right)}`;
    for (let word = 0; word < 16; word++) {
      if (values[word] !== undefined && aheads.some((ahead) => ahead?.has(word)))
        key += `,${word}:${values[word]}`;
    }
    if (seen.has(key)) return false;
    const word = program.loadAt(at);
    for (const value of cellsOf(aheads.flatMap((ahead) => ahead?.get(word) ?? []))) {
      runs += 1;
      if (runs > mostRuns) throw new NotFollowed(`more than ${mostRuns} runs`);
      values[word] = value;
      const next = (stand: Stand, of: Program): Stand => ("at" in stand ? of.run(stand.at, values) : stand);
      if (differs(next(left, first), next(right, second))) return true;
    }
    values[word] = undefined;
    seen.add(key);
    return false;
  };

  try {
    if (differs(first.run(0, values), second.run(0, values)))
      return { verdict: "different", words: Uint32Array.from(values, (value) => value ?? 0) };
    return { verdict: "equal", runs };
  } catch (error) {
    if (error instanceof NotFollowed) return { verdict: "not followed", reason: error.message };
    throw error;
  }
}
