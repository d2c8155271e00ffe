/**
 * Whether two decisions (or two stacks of them) answer every call alike: a walk over both at once, with the exact set of values that
 * each word can still have. Where one side asks, the set is split; where the set already knows, the walk goes
 * straight on; at two answers they are compared.
 *
 * The walk is a product of both sides' nodes, kept by (node, node, what the later questions can tell of the
 * sets). Every question is about one word, so that what is still possible is a product of one set a word: the
 * sets are exact, nothing is lost by forgetting bits that no later question looks at, and the walk is complete.
 */
import { strictest } from "../bpf/index.ts";
import type { Answer, Decisions } from "./decisions.ts";
import { type WordSet, WordSets } from "./words.ts";

export type Equality =
  | { readonly verdict: "equal"; readonly regions: number }
  /** `words` is a call that `first` and `second` answer differently. */
  | {
      readonly verdict: "different";
      readonly words: readonly number[];
      readonly first: Answer;
      readonly second: Answer;
    }
  | { readonly verdict: "undecided"; readonly reason: string };

export interface EqualityOptions {
  /** The bits of a word. */
  readonly width?: number;
  /** Steps after which the answer is "undecided". */
  readonly budget?: number;
  /** Values that words are known to have. */
  readonly known?: ReadonlyMap<number, number>;
  /**
   * Called at every pair of answers that some call reaches, with such a call. `"enough"` ends the walk, which is
   * then undecided.
   */
  readonly visit?: (first: Answer, second: Answer, call: () => readonly number[]) => "enough" | undefined;
}

const words = 16;
/**
 * A second or two. Filters and policies that are in use take fewer than 2,000 (tests/proof/real-filters), five thousand rules
 * 13,000; five thousand that either of two arguments meets, in 16 filters, 80,000.
 */
const mostSteps = 100_000;
/** What a set costs is less than a step; what is in use makes 25,000, the hardest of the tests 630,000. */
const mostSets = 700_000;

class OutOfBudget extends Error {}

class Enough extends Error {}

/** Where one side stands, and the parts into which its question splits a set: the failing one first. */
interface Settled {
  readonly at: Decisions;
  readonly parts: readonly WordSet[];
}

/** Decisions of which one asks about a word, and the parts of that word's set that are still to be looked at. */
interface OpenGroup {
  readonly all: readonly Decisions[];
  readonly key: string;
  readonly word: number;
  readonly before: WordSet;
  readonly parts: WordSet[];
}

export function compareDecisions(a: Decisions, b: Decisions, options: EqualityOptions = {}): Equality {
  return compareStacks([a], [b], options);
}

/**
 * The same for stacks, the oldest first: each answers with the strictest of its answers, as the kernel does for
 * several filters. All are walked at once.
 */
export function compareStacks(
  a: readonly Decisions[],
  b: readonly Decisions[],
  options: EqualityOptions = {},
): Equality {
  const sets = new WordSets(options.width ?? 32);
  const budget = options.budget ?? mostSteps;
  const setBudget = options.budget ?? mostSets;
  const possible: WordSet[] = new Array<WordSet>(words).fill(sets.full);
  for (const [word, k] of options.known ?? []) {
    possible[word] = sets.split(sets.full, { mask: sets.ones, test: "equal", k }).holds ?? sets.full;
  }
  const members = (): readonly number[] => possible.map((set) => sets.member(set));
  const seen = new Set<string>();
  const open: OpenGroup[] = [];
  let steps = 0;
  let regions = 0;
  let difference: Equality | undefined;

  /** Goes on until the sets leave a question of `decisions` open; `parts` are those of its word's set. */
  const settle = (decisions: Decisions): Settled => {
    let at = decisions;
    while (at.kind === "question") {
      const { holds, fails } = sets.split(possible[at.word] ?? sets.full, at);
      if (holds !== undefined && fails !== undefined) return { at, parts: [fails, holds] };
      at = holds === undefined ? at.fails : at.holds;
    }
    return { at, parts: [] };
  };

  /** Both stacks, settled; what stands in both is looked at once. */
  const settleAll = (group: readonly Decisions[]): readonly Settled[] => {
    const settled: Settled[] = [];
    for (const [index, one] of group.entries()) {
      const twin = index < a.length ? undefined : settled[index - a.length];
      settled.push(twin !== undefined && one === group[index - a.length] ? twin : settle(one));
    }
    return settled;
  };

  /** Looks at one group; where a question is open, the group waits on the stack for its parts. */
  const enter = (group: readonly Decisions[]): void => {
    steps += 1;
    if (steps > budget || sets.size > setBudget) throw new OutOfBudget();
    const settled = settleAll(group);
    const all = settled.map(({ at }) => at);
    const first = settled.find(({ at }) => at.kind === "question");
    if (first === undefined || first.at.kind === "answer") {
      regions += 1;
      const [left, right] = [strictestAnswer(all.slice(0, a.length)), strictestAnswer(all.slice(a.length))];
      if (options.visit?.(left, right, members) === "enough") throw new Enough();
      if (left.returnValue !== right.returnValue)
        difference = { verdict: "different", words: members(), first: left, second: right };
      return;
    }
    // Equal decisions are one object, made of the same tests in the same order: they cannot answer differently.
    if (options.visit === undefined && areSame(all.slice(0, a.length), all.slice(a.length))) {
      regions += 1;
      return;
    }
    const key = keyOf(all);
    if (seen.has(key)) return;
    const { word } = first.at;
    open.push({ all, key, word, before: possible[word] ?? sets.full, parts: [...first.parts] });
  };

  /** Depth first, with a stack of its own: decisions can be thousands of questions deep. */
  const walk = (): void => {
    enter([...a, ...b]);
    for (let top = open.at(-1); top !== undefined && difference === undefined; top = open.at(-1)) {
      const part = top.parts.pop();
      possible[top.word] = part ?? top.before;
      if (part !== undefined) enter(top.all);
      else {
        seen.add(top.key);
        open.pop();
      }
    }
  };

  const keyOf = (all: readonly Decisions[]): string => {
    let key = "";
    for (const one of all) key += `${one.id},`;
    for (let word = 0; word < words; word++) {
      let bits = 0;
      for (const one of all) bits |= looksAt(one, word);
      if (bits !== 0) key += `,${sets.project(possible[word] ?? sets.full, bits >>> 0).id}`;
    }
    return key;
  };

  try {
    walk();
  } catch (error) {
    if (error instanceof OutOfBudget)
      return {
        verdict: "undecided",
        reason: `the comparison takes more than ${budget} steps or ${setBudget} sets`,
      };
    if (error instanceof Enough) return { verdict: "undecided", reason: "the walk was ended before its end" };
    throw error;
  }
  return difference ?? { verdict: "equal", regions };
}

function areSame(some: readonly Decisions[], others: readonly Decisions[]): boolean {
  return some.length === others.length && some.every((one, index) => one === others[index]);
}

function looksAt(decisions: Decisions, word: number): number {
  return decisions.kind === "question" ? (decisions.looksAt[word] ?? 0) : 0;
}

/** What a stack answers, the oldest first; every one of them is an answer. */
function strictestAnswer(stack: readonly Decisions[]): Answer {
  let strict: Answer | undefined;
  for (const one of stack) {
    if (one.kind !== "answer") throw new Error("a stack is answered when all of it is");
    if (strict === undefined || strictest(one.returnValue, strict.returnValue) === one.returnValue)
      strict = one;
  }
  if (strict === undefined) throw new Error("an empty stack answers nothing");
  return strict;
}
