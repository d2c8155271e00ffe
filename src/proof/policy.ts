/**
 * A policy as decisions, straight from its rules: the other side of every proof. Comparisons are taken apart
 * word by word, from the highest to the lowest, by code that the compiler does not share.
 */
import { strictness } from "../bpf/index.ts";
import { returnValueOf } from "../compiler/return-value.ts";
import type {
  Entry,
  Field,
  Decisions as PolicyDecisions,
  ResolvedAbi,
  ResolvedCall,
  ResolvedComparison,
  ResolvedCondition,
  ResolvedPolicy,
} from "../policy/resolved.ts";
import type { Action, Rule } from "../policy/types.ts";
import type { AbiName } from "../syscalls/index.ts";
import type { DecisionMaker, Decisions } from "./decisions.ts";
import type { WordTest } from "./words.ts";

const numberWord = 0;
const archWord = 1;
/** The low half of args[3]; five more follow. */
const launchKeyWord = 10;

/** What an answer is put down to: a rule, or what holds where no rule matches. */
export type Origin = Rule | "default" | "newer" | "other-abis" | "launch key";

/**
 * `origins`: answers keep what they are put down to, and equal answers of different rules stay apart.
 * `values`: only what is returned counts, and far more is shared. A proof needs no more.
 */
export type Telling = "origins" | "values";

/** Makes the answer for an action on an ABI. */
type Answering = (action: Action, abi: AbiName, origin: Origin) => Decisions;

/** The launcher's one execve, let through whatever the rules say: number and six words of args[3] to args[5]. */
export interface LaunchKeyRule {
  readonly arch: number;
  readonly nr: number;
  readonly key: readonly number[];
  readonly returnValue: number;
}

/** Which of two decisions a policy can be turned into, and with what in front. */
export interface PolicyDecisionOptions {
  readonly telling: Telling;
  /** The launcher's one execve passes whatever the rules say. */
  readonly launchKey?: LaunchKeyRule;
}

/** The decisions of a policy. */
export function decisionsOfPolicy(
  resolved: ResolvedPolicy,
  maker: DecisionMaker,
  { telling, launchKey }: PolicyDecisionOptions,
): Decisions {
  const answer: Answering = (action, abi, origin) =>
    maker.answer(returnValueOf(action, abi), telling === "origins" ? origin : undefined);
  const reader = new PolicyReader(resolved, maker, answer);
  const decisions = reader.decisions();
  if (launchKey === undefined) return decisions;
  return withLaunchKey(decisions, maker, launchKey, telling === "origins" ? "launch key" : undefined);
}

/** Decisions with the launcher's one execve before them. */
export function withLaunchKey(
  decisions: Decisions,
  maker: DecisionMaker,
  launchKey: LaunchKeyRule,
  origin: Origin | undefined,
): Decisions {
  const pass = maker.answer(launchKey.returnValue, origin);
  const equal = (k: number): WordTest => ({ mask: maker.ones, test: "equal", k });
  const keyed = launchKey.key.reduceRight<Decisions>(
    (rest, k, index) => maker.question(launchKeyWord + index, equal(k), rest, decisions),
    pass,
  );
  const execve = maker.question(numberWord, equal(launchKey.nr), keyed, decisions);
  return maker.question(archWord, equal(launchKey.arch), execve, decisions);
}

class PolicyReader {
  readonly #resolved: ResolvedPolicy;
  readonly #maker: DecisionMaker;
  readonly #answer: Answering;

  constructor(resolved: ResolvedPolicy, maker: DecisionMaker, answer: Answering) {
    this.#resolved = resolved;
    this.#maker = maker;
    this.#answer = answer;
  }

  decisions(): Decisions {
    const { abis, otherAbis } = this.#resolved;
    const foreign = this.#answer(otherAbis.action, abis[0]?.abi.name ?? "x86_64", otherAbis.by);
    const arches = [...new Set(abis.map((one) => one.abi.arch))];
    return arches.reduceRight<Decisions>(
      (rest, arch) => this.#maker.question(archWord, this.#equal(arch), this.#numbersOf(arch, foreign), rest),
      foreign,
    );
  }

  /**
   * The numbers of one architecture value. The second highest bit marks x32 on x86_64's; what is negative there
   * to the kernel is no call of either, and x86_64's to decide.
   */
  #numbersOf(arch: number, foreign: Decisions): Decisions {
    const sharing = this.#resolved.abis.filter(({ abi }) => abi.arch === arch);
    const callsOf = (abi: ResolvedAbi | undefined): Decisions =>
      abi === undefined ? foreign : this.#search(abi);
    const named = (name: AbiName): Decisions => callsOf(sharing.find(({ abi }) => abi.name === name));
    if (!sharing.some(({ abi }) => abi.name === "x86_64" || abi.name === "x32")) return callsOf(sharing[0]);
    const native = named("x86_64");
    const firstNegative = (this.#maker.ones >>> 1) + 1;
    const others = this.#maker.question(numberWord, this.#atLeast(firstNegative / 2), named("x32"), native);
    return this.#maker.question(numberWord, this.#atLeast(firstNegative), native, others);
  }

  #equal(k: number): WordTest {
    return { mask: this.#maker.ones, test: "equal", k };
  }

  #atLeast(k: number): WordTest {
    return { mask: this.#maker.ones, test: "at-least", k };
  }

  #unknownNumber(abi: ResolvedAbi): Decisions {
    return this.#answer(abi.unknownNumber.action, abi.abi.name, abi.unknownNumber.by);
  }

  /** A search tree over the ABI's numbers: neighbours that are decided alike are one run. */
  #search(abi: ResolvedAbi): Decisions {
    const unknown = this.#unknownNumber(abi);
    const runs: { readonly first: number; readonly decisions: Decisions }[] = [];
    const append = (first: number, decisions: Decisions): void => {
      if (runs.at(-1)?.decisions !== decisions) runs.push({ first, decisions });
    };
    let next = 0;
    for (const call of abi.calls) {
      if (call.nr > next) append(next, unknown);
      append(call.nr, this.#call(call, abi.abi.name));
      next = call.nr + 1;
    }
    append(next, unknown);
    const within = (from: number, to: number): Decisions => {
      const half = (from + to) >> 1;
      const pivot = runs[half];
      if (pivot === undefined) return unknown;
      if (half === from) return pivot.decisions;
      return this.#maker.question(
        numberWord,
        this.#atLeast(pivot.first),
        within(half, to),
        within(from, half),
      );
    };
    return within(0, runs.length);
  }

  #call(call: ResolvedCall, abi: AbiName): Decisions {
    const { behind } = call;
    const own = this.#inOrder(call, abi);
    if (behind === undefined) return own;
    return behind.calls.reduceRight<Decisions>(
      (rest, one) =>
        this.#maker.question(
          behind.word,
          { mask: behind.mask >>> 0, test: "equal", k: one.code },
          this.#inOrder(one, abi),
          rest,
        ),
      own,
    );
  }

  /** The rules of one call: the first that holds decides. */
  #inOrder({ entries, fallback }: PolicyDecisions, abi: AbiName): Decisions {
    let rest = this.#answer(fallback.action, abi, fallback.by);
    for (let at = entries.length - 1; at >= 0; at--) {
      const entry = entries[at];
      if (entry === undefined) continue;
      rest = ask(
        entry.condition,
        this.#answer(entry.rule.action, abi, entry.rule),
        rest,
        entry.unknown,
        this.#maker,
      );
    }
    return rest;
  }
}

function ask(
  condition: ResolvedCondition,
  holds: Decisions,
  fails: Decisions,
  unknown: Entry["unknown"],
  maker: DecisionMaker,
  negated = false,
): Decisions {
  switch (condition.kind) {
    case "known":
      return condition.value ? holds : fails;
    case "unknown":
      // Under a negation the rule's own answer is what follows when the item fails.
      return negated ? either(fails, holds, unknown, maker) : either(holds, fails, unknown, maker);
    case "not":
      return ask(condition.item, fails, holds, unknown, maker, !negated);
    case "and":
    case "or": {
      let rest = condition.kind === "and" ? holds : fails;
      for (const item of [...condition.items].reverse()) {
        rest =
          condition.kind === "and"
            ? ask(item, rest, fails, unknown, maker, negated)
            : ask(item, holds, rest, unknown, maker, negated);
      }
      return rest;
    }
    case "test":
      return compare(condition.field, condition.mask, condition.comparison, holds, fails, maker);
  }
}

/**
 * What holds when either answer is possible: the stricter (milder), and among equals the first rule's. Without
 * recursion, since a call can have thousands of rules.
 */
function either(
  one: Decisions,
  other: Decisions,
  unknown: Entry["unknown"],
  maker: DecisionMaker,
): Decisions {
  const known = new Map<string, Decisions>();
  const keyOf = (first: Decisions, second: Decisions): string => `${first.id},${second.id}`;
  const stack: (readonly [Decisions, Decisions])[] = [[one, other]];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const [first, second] = top;
    const asking = first.kind === "question" ? first : second;
    if (first === second || asking.kind === "answer") {
      const [a, b] = [first, second].map((one) => (one.kind === "answer" ? strictness(one.returnValue) : 0));
      const takesSecond = unknown === "strictest" ? (b ?? 0) > (a ?? 0) : (b ?? 0) < (a ?? 0);
      known.set(keyOf(first, second), takesSecond ? second : first);
      stack.pop();
      continue;
    }
    const beside = (next: Decisions): readonly [Decisions, Decisions] =>
      asking === first ? [next, second] : [first, next];
    const below = [beside(asking.holds), beside(asking.fails)];
    const missing = below.filter(([a, b]) => !known.has(keyOf(a, b)));
    if (missing.length > 0) {
      stack.push(...missing);
      continue;
    }
    const [holds, fails] = below.map(([a, b]) => known.get(keyOf(a, b)));
    if (holds === undefined || fails === undefined) throw new Error("what stands below is settled first");
    known.set(keyOf(first, second), maker.question(asking.word, asking, holds, fails));
    stack.pop();
  }
  return known.get(keyOf(one, other)) ?? one;
}

/** One word of a field, with the bits of the mask that lie in it. */
interface Part {
  readonly word: number;
  readonly mask: number;
  /** How far the word's bits are from the field's. */
  readonly shift: bigint;
}

/** The words of a field from the highest to the lowest; `bits` are those of it that count. */
function partsOf(field: Field, bits: bigint, maker: DecisionMaker): readonly Part[] {
  const low: Part = { word: field.low, mask: Number(bits & BigInt(maker.ones)), shift: 0n };
  const shift = BigInt(maker.width);
  return field.high === undefined ? [low] : [{ word: field.high, mask: Number(bits >> shift), shift }, low];
}

function compare(
  field: Field,
  mask: bigint | undefined,
  comparison: ResolvedComparison,
  holds: Decisions,
  fails: Decisions,
  maker: DecisionMaker,
): Decisions {
  // A field has half a word, one or two: 16, 32 or 64 bits where a word has 32.
  const width = BigInt((field.width * maker.width) / 32);
  const ones = (1n << width) - 1n;
  const parts = partsOf(field, mask ?? ones, maker);
  const wordOf = (value: bigint, part: Part): number => Number((value >> part.shift) & BigInt(maker.ones));
  const isEqual = (value: bigint, yes: Decisions, no: Decisions): Decisions =>
    parts.reduceRight<Decisions>(
      (rest, part) =>
        // Where no bit is looked at, the value has to be 0 there.
        part.mask === 0
          ? wordOf(value, part) === 0
            ? rest
            : no
          : maker.question(part.word, { mask: part.mask, test: "equal", k: wordOf(value, part) }, rest, no),
      yes,
    );
  const noBit = (value: bigint, yes: Decisions, no: Decisions): Decisions =>
    parts.reduceRight<Decisions>(
      (rest, part) =>
        maker.question(part.word, { mask: maker.ones, test: "any-bit", k: wordOf(value, part) }, no, rest),
      yes,
    );
  /** At least `value`, in the order of unsigned numbers. */
  const isAtLeast = (value: bigint, yes: Decisions, no: Decisions): Decisions =>
    parts.reduceRight<Decisions>((rest, part, index) => {
      const k = wordOf(value, part);
      const last = index === parts.length - 1;
      // Greater here is enough, less is too little, and equal leaves it to the words below.
      const orEqual = last ? yes : rest;
      const atLeastHere = (limit: number, then: Decisions): Decisions =>
        limit === 0
          ? then
          : limit > part.mask
            ? no
            : maker.question(part.word, { mask: part.mask, test: "at-least", k: limit }, then, no);
      if (last) return atLeastHere(k, yes);
      const greater =
        k >= part.mask
          ? orEqual
          : maker.question(part.word, { mask: part.mask, test: "at-least", k: k + 1 }, yes, orEqual);
      return atLeastHere(k, greater);
    }, yes);

  const half = 1n << (width - 1n);
  const signed = field.signed && mask === undefined;
  const isNegative = (yes: Decisions, no: Decisions): Decisions => isAtLeast(half, yes, no);
  /** At least `value` in the field's own order: a negative number is less than every other. */
  const reaches = (value: bigint, yes: Decisions, no: Decisions): Decisions => {
    if (!signed) return isAtLeast(value, yes, no);
    return value >= half
      ? isNegative(isAtLeast(value, yes, no), yes)
      : isNegative(no, isAtLeast(value, yes, no));
  };
  const exceeds = (value: bigint, yes: Decisions, no: Decisions): Decisions => {
    const largest = signed ? half - 1n : ones;
    return value === largest ? no : reaches((value + 1n) & ones, yes, no);
  };

  switch (comparison.operator) {
    case "nonzero":
      return noBit(mask ?? ones, fails, holds);
    case "within":
      return noBit(ones & ~comparison.value, holds, fails);
    case "==":
      return isEqual(comparison.value, holds, fails);
    case "!=":
      return isEqual(comparison.value, fails, holds);
    case ">=":
      return reaches(comparison.value, holds, fails);
    case "<":
      return reaches(comparison.value, fails, holds);
    case ">":
      return exceeds(comparison.value, holds, fails);
    case "<=":
      return exceeds(comparison.value, fails, holds);
    case "in": {
      const [inside, outside] = comparison.negated ? [fails, holds] : [holds, fails];
      return comparison.ranges.reduceRight<Decisions>(
        (rest, { low, high }) =>
          low === high ? isEqual(low, inside, rest) : reaches(low, exceeds(high, rest, inside), rest),
        outside,
      );
    }
  }
}
