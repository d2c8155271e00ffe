/**
 * Sets of words as binary decision diagrams: what a masked comparison leaves over is no interval, but always a
 * small diagram over the word's bits. Equal sets are one node, so that a set has a number.
 */

/** A node: 0 is the empty set, 1 the full one. */
export type Diagram = number;

export const none: Diagram = 0;
export const all: Diagram = 1;

/** Two nodes as one number: there are never 2^26 of them, since a comparison gives up long before. */
function pairKey(a: Diagram, b: Diagram): number {
  return a * 0x400_0000 + b;
}

/** Thrown where more nodes would be needed than were permitted. */
export class TooManyNodes extends Error {}

/** Makes diagrams over words of `width` bits; level 0 is the most significant bit. */
export class Diagrams {
  readonly width: number;
  readonly #mostNodes: number;
  readonly #level: number[];
  readonly #zero: Diagram[] = [0, 0];
  readonly #one: Diagram[] = [0, 0];
  /** For each level the nodes by their branches. */
  readonly #unique: readonly Map<number, Diagram>[];
  readonly #both = new Map<number, Diagram>();
  readonly #either = new Map<number, Diagram>();
  readonly #inverse = new Map<Diagram, Diagram>();

  constructor(width: number, mostNodes = Number.POSITIVE_INFINITY) {
    this.width = width;
    this.#mostNodes = mostNodes;
    this.#level = [width, width];
    this.#unique = Array.from({ length: width }, () => new Map<number, Diagram>());
  }

  /** The number of nodes made so far. */
  get size(): number {
    return this.#level.length;
  }

  #node(level: number, zero: Diagram, one: Diagram): Diagram {
    if (zero === one) return zero;
    const key = pairKey(zero, one);
    const found = this.#unique[level]?.get(key);
    if (found !== undefined) return found;
    const made = this.#level.length;
    if (made >= this.#mostNodes) throw new TooManyNodes();
    this.#level.push(level);
    this.#zero.push(zero);
    this.#one.push(one);
    this.#unique[level]?.set(key, made);
    return made;
  }

  /** The values whose bit at a level is one. */
  variable(level: number): Diagram {
    return this.#node(level, none, all);
  }

  /** What a set asks first: the level of a bit, and what is left of it for either value; undefined for none and all. */
  top(a: Diagram): { readonly level: number; readonly zero: Diagram; readonly one: Diagram } | undefined {
    if (a === none || a === all) return undefined;
    const level = this.#levelOf(a);
    return { level, zero: this.#branch(a, level, 0), one: this.#branch(a, level, 1) };
  }

  /** The values that are in both sets. */
  intersect(a: Diagram, b: Diagram): Diagram {
    if (a === b || b === all) return a;
    if (a === all) return b;
    if (a === none || b === none) return none;
    const [low, high] = a < b ? [a, b] : [b, a];
    const key = pairKey(low, high);
    const found = this.#both.get(key);
    if (found !== undefined) return found;
    const level = Math.min(this.#levelOf(a), this.#levelOf(b));
    const made = this.#node(
      level,
      this.intersect(this.#branch(a, level, 0), this.#branch(b, level, 0)),
      this.intersect(this.#branch(a, level, 1), this.#branch(b, level, 1)),
    );
    this.#both.set(key, made);
    return made;
  }

  /** The values that are not in the set. */
  complement(a: Diagram): Diagram {
    if (a === none) return all;
    if (a === all) return none;
    const found = this.#inverse.get(a);
    if (found !== undefined) return found;
    const level = this.#levelOf(a);
    const made = this.#node(
      level,
      this.complement(this.#branch(a, level, 0)),
      this.complement(this.#branch(a, level, 1)),
    );
    this.#inverse.set(a, made);
    this.#inverse.set(made, a);
    return made;
  }

  /** The values that are in either set. */
  unite(a: Diagram, b: Diagram): Diagram {
    if (a === b || b === none) return a;
    if (a === none) return b;
    if (a === all || b === all) return all;
    const [low, high] = a < b ? [a, b] : [b, a];
    const key = pairKey(low, high);
    const found = this.#either.get(key);
    if (found !== undefined) return found;
    const level = Math.min(this.#levelOf(a), this.#levelOf(b));
    const made = this.#node(
      level,
      this.unite(this.#branch(a, level, 0), this.#branch(b, level, 0)),
      this.unite(this.#branch(a, level, 1), this.#branch(b, level, 1)),
    );
    this.#either.set(key, made);
    return made;
  }

  /** The set of some values. */
  setOf(values: readonly number[]): Diagram {
    const sorted = [...values].sort((a, b) => a - b);
    let set = none;
    for (let at = 0; at < sorted.length; at++) {
      const from = sorted[at] ?? 0;
      let to = from;
      // Neighbours are one interval.
      while (sorted[at + 1] === to + 1) {
        at += 1;
        to += 1;
      }
      set = this.unite(set, this.interval(from, to));
    }
    return set;
  }

  /** The values whose bits under `mask` are those of `k`. */
  maskedEqual(mask: number, k: number): Diagram {
    if ((k & ~mask) >>> 0 !== 0) return none;
    let made = all;
    for (let level = this.width - 1; level >= 0; level--) {
      const bit = this.#bitAt(level);
      if ((mask & bit) === 0) continue;
      made = (k & bit) === 0 ? this.#node(level, made, none) : this.#node(level, none, made);
    }
    return made;
  }

  /** The values whose bits under `mask`, as a number, are at least `k`. */
  maskedAtLeast(mask: number, k: number): Diagram {
    // From the last bit up: what is still undecided when all bits were equal is equal, and so in the set.
    let made = all;
    for (let level = this.width - 1; level >= 0; level--) {
      const bit = this.#bitAt(level);
      if ((mask & bit) !== 0)
        made = (k & bit) === 0 ? this.#node(level, made, all) : this.#node(level, none, made);
      else if ((k & bit) !== 0) made = none;
    }
    return made;
  }

  /** The values from `low` to `high`, both included. */
  interval(low: number, high: number): Diagram {
    const ones = this.#ones();
    const from = this.maskedAtLeast(ones, low);
    return high === ones ? from : this.intersect(from, this.complement(this.maskedAtLeast(ones, high + 1)));
  }

  /** The values that have some completion in the set when only the bits under `mask` are kept. */
  project(a: Diagram, mask: number): Diagram {
    const known = new Map<Diagram, Diagram>();
    const walk = (node: Diagram): Diagram => {
      if (node === none || node === all) return node;
      const found = known.get(node);
      if (found !== undefined) return found;
      const level = this.#levelOf(node);
      const [zero, one] = [walk(this.#branch(node, level, 0)), walk(this.#branch(node, level, 1))];
      const made = (mask & this.#bitAt(level)) === 0 ? this.unite(zero, one) : this.#node(level, zero, one);
      known.set(node, made);
      return made;
    };
    return walk(a);
  }

  has(a: Diagram, value: number): boolean {
    let node = a;
    while (node !== none && node !== all) {
      const level = this.#levelOf(node);
      node = this.#branch(node, level, (value & this.#bitAt(level)) === 0 ? 0 : 1);
    }
    return node === all;
  }

  /** The set without one of its values. Makes a node for each of the value's bits, and no other. */
  without(a: Diagram, value: number): Diagram {
    const walk = (node: Diagram, level: number): Diagram => {
      if (level === this.width) return none;
      const [zero, one] = [this.#branch(node, level, 0), this.#branch(node, level, 1)];
      return (value & this.#bitAt(level)) === 0
        ? this.#node(level, walk(zero, level + 1), one)
        : this.#node(level, zero, walk(one, level + 1));
    };
    return this.has(a, value) ? walk(a, 0) : a;
  }

  /** The set as ascending disjoint intervals with both their ends; undefined where there are more than `most`. */
  intervals(a: Diagram, most: number): readonly (readonly [number, number])[] | undefined {
    const found: [number, number][] = [];
    const walk = (node: Diagram, level: number, from: number): boolean => {
      if (node === none) return true;
      if (node === all) {
        const to = from + 2 ** (this.width - level) - 1;
        const last = found.at(-1);
        if (last !== undefined && last[1] + 1 === from) last[1] = to;
        else found.push([from, to]);
        return found.length <= most;
      }
      const half = 2 ** (this.width - level - 1);
      return (
        walk(this.#branch(node, level, 0), level + 1, from) &&
        walk(this.#branch(node, level, 1), level + 1, from + half)
      );
    };
    return walk(a, 0, 0) ? found : undefined;
  }

  /** The set as one masked comparison, where it is one: the values whose bits under `mask` are `value`. */
  cube(a: Diagram): { readonly mask: number; readonly value: number } | undefined {
    let [mask, value] = [0, 0];
    for (let node = a; node !== all; ) {
      if (node === none) return undefined;
      const level = this.#levelOf(node);
      const [zero, one] = [this.#branch(node, level, 0), this.#branch(node, level, 1)];
      if (zero !== none && one !== none) return undefined;
      const bit = this.#bitAt(level);
      mask |= bit;
      if (zero === none) value |= bit;
      node = zero === none ? one : zero;
    }
    return { mask: mask >>> 0, value: value >>> 0 };
  }

  /** How many values are in the set. */
  count(a: Diagram): number {
    const known = new Map<Diagram, number>();
    /** As a part of all values of the bits from the node's own level down. */
    const walk = (node: Diagram): number => {
      if (node === none || node === all) return node;
      const found = known.get(node);
      if (found !== undefined) return found;
      const level = this.#levelOf(node);
      const made = (walk(this.#branch(node, level, 0)) + walk(this.#branch(node, level, 1))) / 2;
      known.set(node, made);
      return made;
    };
    return walk(a) * 2 ** this.width;
  }

  /** A member of a set that is not empty: the smallest. */
  member(a: Diagram): number {
    if (a === none) throw new RangeError("the empty set has no member");
    let value = 0;
    for (let node = a; node !== all; ) {
      const level = this.#levelOf(node);
      const zero = this.#branch(node, level, 0);
      if (zero !== none) node = zero;
      else {
        value |= this.#bitAt(level);
        node = this.#branch(node, level, 1);
      }
    }
    return value >>> 0;
  }

  #levelOf(a: Diagram): number {
    return this.#level[a] ?? this.width;
  }

  #branch(a: Diagram, level: number, bit: 0 | 1): Diagram {
    if (this.#levelOf(a) !== level) return a;
    return (bit === 0 ? this.#zero[a] : this.#one[a]) ?? none;
  }

  #bitAt(level: number): number {
    return (1 << (this.width - 1 - level)) >>> 0;
  }

  #ones(): number {
    return this.width === 32 ? 0xffff_ffff : (1 << this.width) - 1;
  }
}
