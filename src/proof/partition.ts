/**
 * Decisions once more, in a form that can be told: word by word in one order (architecture, number, arguments), and
 * at each word its values divided into parts, each with what follows. Equal decisions are one object, whatever
 * program they come from. Tests of several words against each other are relations (`relations.ts`), and stand behind
 * the words; what is too large even so is refused by a budget.
 *
 *     arch 0xc000003e ─ nr 41 ─ args[0] low {1, 2} ─ ALLOW
 *                             └ the rest ─────────── ERRNO(1)
 */
import type { Decisions, Question } from "./decisions.ts";
import { all, type Diagram, Diagrams, none } from "./diagram.ts";
import { firstRelation, type Relation, Relations } from "./relations.ts";
import type { WordTest } from "./words.ts";

export type Partition = Leaf | Fork;

export interface Leaf {
  readonly kind: "leaf";
  readonly id: number;
  readonly value: number;
}

export interface Fork {
  readonly kind: "fork";
  readonly id: number;
  /** A word of the call, or a relation. */
  readonly word: number;
  /** The words that relations compare here and further on, a bit each. */
  readonly relates: number;
  /** Disjoint sets of values, together all of them, each with another rest. */
  readonly parts: readonly Part[];
}

export interface Part {
  readonly set: Diagram;
  readonly rest: Partition;
}

/** Some tenths of a second; beyond it, TooManyNodes is thrown. */
const mostNodes = 1_500_000;

/** Architecture, number, then arguments, the high half of each before the low; the instruction pointer last. */
const order = [1, 0, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14, 3, 2];
const ranks: readonly number[] = order.map((_, word) => order.indexOf(word));

/** Relations come last, in their own order. */
function rankOfWord(word: number): number {
  return ranks[word] ?? word;
}

function wordOfRank(rank: number): number {
  return order[rank] ?? rank;
}

function rankOf(partition: Partition): number {
  return partition.kind === "leaf" ? Number.POSITIVE_INFINITY : rankOfWord(partition.word);
}

/** The words that relations compare in it, a bit each. */
export function relatesOf(partition: Partition): number {
  return partition.kind === "leaf" ? 0 : partition.relates;
}

/** Makes partitions; equal ones are one object. */
export class Partitions {
  readonly sets = new Diagrams(32, mostNodes);
  readonly relations = new Relations();
  readonly #forks = new Map<string, Fork>();
  readonly #leaves = new Map<number, Leaf>();
  readonly #chosen = new Map<string, Partition>();
  #count = 0;

  leaf(value: number): Leaf {
    let leaf = this.#leaves.get(value);
    if (leaf === undefined) {
      leaf = { kind: "leaf", id: this.#count++, value };
      this.#leaves.set(value, leaf);
    }
    return leaf;
  }

  /** Decisions as a partition; `meaning` says what counts of a return value. */
  ofDecisions(decisions: Decisions, meaning: (returnValue: number) => number): Partition {
    const known = new Map<number, Partition>();
    const find = (one: Decisions): Partition | undefined =>
      one.kind === "answer" ? this.leaf(meaning(one.returnValue)) : known.get(one.id);
    const settle = (question: Question): boolean => {
      const [holds, fails] = [find(question.holds), find(question.fails)];
      if (holds === undefined || fails === undefined) return false;
      known.set(question.id, this.#choose(question.word, this.setOf(question), holds, fails));
      return true;
    };
    // Without recursion: a filter can be thousands of tests long.
    const stack: Question[] = decisions.kind === "question" ? [decisions] : [];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      if (known.has(top.id) || settle(top)) stack.pop();
      else for (const next of [top.holds, top.fails]) if (next.kind === "question") stack.push(next);
    }
    const result = find(decisions);
    if (result === undefined) throw new Error("every question is settled by now");
    return result;
  }

  /** Both at once: `join` makes one value of two. */
  combine(first: Partition, second: Partition, join: (first: number, second: number) => number): Partition {
    const known = new Map<string, Partition>();
    const walk = (a: Partition, b: Partition): Partition => {
      if (a.kind === "leaf" && b.kind === "leaf") return this.leaf(join(a.value, b.value));
      const key = `${a.id},${b.id}`;
      const found = known.get(key);
      if (found !== undefined) return found;
      const word = wordOfRank(Math.min(rankOf(a), rankOf(b)));
      const parts: Part[] = [];
      for (const one of partsAt(a, word))
        for (const other of partsAt(b, word)) {
          const set = this.sets.intersect(one.set, other.set);
          if (set !== none) parts.push({ set, rest: walk(one.rest, other.rest) });
        }
      const made = this.#fork(word, parts);
      known.set(key, made);
      return made;
    };
    return walk(first, second);
  }

  /** What is left of a partition where a word of the call is known. */
  at(partition: Partition, word: number, value: number): Partition {
    const known = new Map<Partition, Partition>();
    const walk = (one: Partition): Partition => {
      if (one.kind === "leaf") return one;
      const isAsked = rankOf(one) <= rankOfWord(word) || (one.relates & (1 << word)) !== 0;
      if (!isAsked) return one;
      const found = known.get(one);
      if (found !== undefined) return found;
      const made = this.#walkedAt(one, word, value, walk);
      known.set(one, made);
      return made;
    };
    return walk(partition);
  }

  #walkedAt(fork: Fork, word: number, value: number, walk: (one: Partition) => Partition): Partition {
    if (fork.word === word)
      return walk(fork.parts.find(({ set }) => this.sets.has(set, value))?.rest ?? fork);
    if (fork.word < firstRelation)
      return this.#fork(
        fork.word,
        fork.parts.map(({ set, rest }) => ({ set, rest: walk(rest) })),
      );
    const { holds, fails } = this.outcomes(fork);
    const left = this.relations.given(this.relations.relation(fork.word), word, value);
    if (typeof left === "boolean") return walk(left ? holds : fails);
    const set = this.sets.maskedEqual(1, left.isOpposite ? 0 : 1);
    return this.#choose(left.word, set, walk(holds), walk(fails));
  }

  /** What follows a relation. */
  outcomes(fork: Fork): { readonly holds: Partition; readonly fails: Partition } {
    const at = (value: number): Partition =>
      fork.parts.find(({ set }) => this.sets.has(set, value))?.rest ?? fork;
    return { holds: at(1), fails: at(0) };
  }

  /** The partition with one value in the place of another. */
  replaced(partition: Partition, value: number, other: number): Partition {
    return this.combine(partition, partition, (one) => (one === value ? other : one));
  }

  /** The values that it has, whether some call comes to them or not. */
  valuesIn(partition: Partition): readonly number[] {
    const found = new Set<number>();
    const seen = new Set<Partition>();
    const walk = (one: Partition): void => {
      if (seen.has(one)) return;
      seen.add(one);
      if (one.kind === "leaf") found.add(one.value);
      else for (const { rest } of one.parts) walk(rest);
    };
    walk(partition);
    return [...found];
  }

  /** The relations that it asks about. */
  relationsIn(partition: Partition): readonly Relation[] {
    const found = new Set<number>();
    const seen = new Set<Partition>();
    const walk = (one: Partition): void => {
      if (seen.has(one) || relatesOf(one) === 0 || one.kind === "leaf") return;
      seen.add(one);
      if (one.word >= firstRelation) found.add(one.word);
      for (const { rest } of one.parts) walk(rest);
    };
    walk(partition);
    return [...found].map((word) => this.relations.relation(word));
  }

  /**
   * For each value that some call comes to, words of one; the words that are not named do not matter.
   * @param within the architectures that are looked at
   */
  ways(partition: Partition, within: Diagram = all): ReadonlyMap<number, ReadonlyMap<number, number>> {
    const found = new Map<number, ReadonlyMap<number, number>>();
    const seen = new Set<string>();
    const isRelated = relatesOf(partition) !== 0;
    const walk = (one: Partition, words: ReadonlyMap<number, number>, calls: Diagram): void => {
      if (calls === none || seen.has(`${one.id},${calls}`)) return;
      seen.add(`${one.id},${calls}`);
      if (one.kind === "leaf") {
        if (!found.has(one.value)) found.set(one.value, isRelated ? this.relations.member(calls) : words);
        return;
      }
      for (const { set, rest } of one.parts) {
        const way = new Map([...words, [one.word, isRelated ? 0 : this.sets.member(set)]]);
        walk(rest, way, isRelated ? this.relations.both(calls, this.#callsIn(one.word, set)) : calls);
      }
    };
    walk(partition, new Map(), (relatesOf(partition) & 2) === 0 ? all : this.#callsIn(1, within));
    return found;
  }

  /** The calls of which a word, or the outcome of a relation, is in a set. */
  #callsIn(word: number, set: Diagram): Diagram {
    if (word < firstRelation) return this.relations.callsIn(word, this.sets, set);
    return this.relations.callsWhere(word, this.sets.has(set, 1));
  }

  /** With each relation settled for both of its outcomes: `join` makes one value of two. */
  withoutRelations(partition: Partition, join: (first: number, second: number) => number): Partition {
    const known = new Map<Partition, Partition>();
    const walk = (one: Partition): Partition => {
      if (one.kind === "leaf" || one.relates === 0) return one;
      const found = known.get(one);
      if (found !== undefined) return found;
      const parts = one.parts.map(({ set, rest }) => ({ set, rest: walk(rest) }));
      const made =
        one.word < firstRelation
          ? this.#fork(one.word, parts)
          : parts.map(({ rest }) => rest).reduce((a, b) => this.combine(a, b, join));
      known.set(one, made);
      return made;
    };
    return walk(partition);
  }

  /** The values of a word for which a test holds. */
  setOf({ mask, test, k }: WordTest): Diagram {
    switch (test) {
      case "equal":
        return this.sets.maskedEqual(mask, k);
      case "at-least":
        return this.sets.maskedAtLeast(mask, k);
      case "any-bit":
        return this.sets.complement(this.sets.maskedEqual((mask & k) >>> 0, 0));
    }
  }

  #fork(word: number, parts: readonly Part[]): Partition {
    const bySet = new Map<Partition, Diagram>();
    for (const { set, rest } of parts) bySet.set(rest, this.sets.unite(bySet.get(rest) ?? none, set));
    const [first] = bySet.keys();
    if (first === undefined) throw new Error("a word has some value");
    if (bySet.size === 1) return first;
    const merged = [...bySet].map(([rest, set]) => ({ set, rest })).sort((a, b) => a.rest.id - b.rest.id);
    const key = `${word}:${merged.map(({ set, rest }) => `${set},${rest.id}`).join(";")}`;
    let fork = this.#forks.get(key);
    if (fork === undefined) {
      const own = word < firstRelation ? 0 : this.relations.relation(word).compared;
      const relates = merged.reduce((words, { rest }) => words | relatesOf(rest), own);
      fork = { kind: "fork", id: this.#count++, word, relates, parts: merged };
      this.#forks.set(key, fork);
    }
    return fork;
  }

  #choose(word: number, set: Diagram, holds: Partition, fails: Partition): Partition {
    if (holds === fails || set === all) return holds;
    if (set === none) return fails;
    const key = `${word},${set},${holds.id},${fails.id}`;
    const found = this.#chosen.get(key);
    if (found !== undefined) return found;
    const top = wordOfRank(Math.min(rankOfWord(word), rankOf(holds), rankOf(fails)));
    const parts: Part[] = [];
    if (top === word) {
      const others = this.sets.complement(set);
      for (const part of partsAt(holds, word))
        parts.push({ set: this.sets.intersect(part.set, set), rest: part.rest });
      for (const part of partsAt(fails, word))
        parts.push({ set: this.sets.intersect(part.set, others), rest: part.rest });
    } else {
      for (const one of partsAt(holds, top))
        for (const other of partsAt(fails, top)) {
          const both = this.sets.intersect(one.set, other.set);
          if (both !== none) parts.push({ set: both, rest: this.#choose(word, set, one.rest, other.rest) });
        }
    }
    const made = this.#fork(
      top,
      parts.filter((part) => part.set !== none),
    );
    this.#chosen.set(key, made);
    return made;
  }
}

function partsAt(partition: Partition, word: number): readonly Part[] {
  return partition.kind === "fork" && partition.word === word
    ? partition.parts
    : [{ set: all, rest: partition }];
}
