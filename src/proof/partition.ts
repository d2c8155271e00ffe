/**
 * Decisions once more, in a form that can be told: word by word in one order (architecture, number, arguments), and
 * at each word its values divided into parts, each with what follows. Equal decisions are one object, whatever
 * program they come from. What this cannot hold (tests of two words against each other) is refused by its budget.
 *
 *     arch 0xc000003e ─ nr 41 ─ args[0] low {1, 2} ─ ALLOW
 *                             └ the rest ─────────── ERRNO(1)
 */
import type { Decisions, Question } from "./decisions.ts";
import { all, type Diagram, Diagrams, none } from "./diagram.ts";
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
  readonly word: number;
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
const rankOfWord: readonly number[] = order.map((_, word) => order.indexOf(word));

function rankOf(partition: Partition): number {
  return partition.kind === "leaf" ? order.length : (rankOfWord[partition.word] ?? 0);
}

/** Makes partitions; equal ones are one object. */
export class Partitions {
  readonly sets = new Diagrams(32, mostNodes);
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
      const word = order[Math.min(rankOf(a), rankOf(b))] ?? 0;
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

  /** What is left of a partition where a word is known. */
  at(partition: Partition, word: number, value: number): Partition {
    if (rankOf(partition) > (rankOfWord[word] ?? 0)) return partition;
    if (partition.kind === "leaf") return partition;
    if (partition.word !== word)
      return this.#fork(
        partition.word,
        partition.parts.map(({ set, rest }) => ({ set, rest: this.at(rest, word, value) })),
      );
    return partition.parts.find(({ set }) => this.sets.has(set, value))?.rest ?? partition;
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
      fork = { kind: "fork", id: this.#count++, word, parts: merged };
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
    const rank = Math.min(rankOfWord[word] ?? 0, rankOf(holds), rankOf(fails));
    const top = order[rank] ?? word;
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
