/**
 * A set of a word's values as few cubes: sets of which some bits are fixed and the others free, each one masked
 * comparison. No cube can be left out, and none made larger (Minato's irredundant sums of products).
 */
import { all, type Diagram, type Diagrams, none } from "./diagram.ts";

interface Cover {
  readonly cubes: readonly Diagram[];
  /** All that they hold together. */
  readonly set: Diagram;
}

class TooManyCubes extends Error {}

/** Cubes that together are the set; undefined where they are more than `most`. They may overlap. */
export function cubesOf(sets: Diagrams, set: Diagram, most: number): readonly Diagram[] | undefined {
  const known = new Map<string, Cover>();
  /** A cover of all of `least` and nothing beyond `largest`. */
  const cover = (least: Diagram, largest: Diagram): Cover => {
    if (least === none) return { cubes: [], set: none };
    if (largest === all) return { cubes: [all], set: all };
    const key = `${least},${largest}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    const level = Math.min(sets.top(least)?.level ?? Infinity, sets.top(largest)?.level ?? Infinity);
    const [least0, least1] = halvesOf(sets, least, level);
    const [largest0, largest1] = halvesOf(sets, largest, level);
    const without = (a: Diagram, b: Diagram): Diagram => sets.intersect(a, sets.complement(b));
    // What only one half holds needs the bit to be said; what is left in both does not.
    const zero = cover(without(least0, largest1), largest0);
    const one = cover(without(least1, largest0), largest1);
    const rest = sets.unite(without(least0, zero.set), without(least1, one.set));
    const free = cover(rest, sets.intersect(largest0, largest1));
    const bit = sets.variable(level);
    const noBit = sets.complement(bit);
    const cubes = [
      ...free.cubes,
      ...zero.cubes.map((cube) => sets.intersect(noBit, cube)),
      ...one.cubes.map((cube) => sets.intersect(bit, cube)),
    ];
    if (cubes.length > most) throw new TooManyCubes();
    const parts = [free.set, sets.intersect(noBit, zero.set), sets.intersect(bit, one.set)];
    const made = { cubes, set: parts.reduce((a, b) => sets.unite(a, b)) };
    known.set(key, made);
    return made;
  };
  try {
    return cover(set, set).cubes;
  } catch (error) {
    if (error instanceof TooManyCubes) return undefined;
    throw error;
  }
}

/** The set where the bit of a level is 0, and where it is 1. */
function halvesOf(sets: Diagrams, set: Diagram, level: number): readonly [Diagram, Diagram] {
  const top = sets.top(set);
  return top === undefined || top.level !== level ? [set, set] : [top.zero, top.one];
}
