/**
 * Removes choices that an earlier one has settled: behind a range of a word's values, the bits that all of them have in
 * common are known, and a masked choice of the same word may look at no others.
 */
import { below, type Graph, type Node, rewrite, type Segment, wholeWord } from "../graph.ts";

export function foldKnown(graph: Graph, root: Node): Node {
  const folded = new Map<string, Node>();
  /** The node where the bits of `known` in a word are those of `value`. */
  const fold = (node: Node, word: number, known: number, value: number): Node => {
    if (node.kind !== "choice" || !looksAt(node, word)) return node;
    const key = `${node.id},${word},${known},${value}`;
    const found = folded.get(key);
    if (found !== undefined) return found;
    const isSettled = node.word === word && (node.mask & ~known) === 0;
    const made = isSettled
      ? fold(nodeAt(node.segments, (value & node.mask) >>> 0), word, known, value)
      : graph.choice(
          node.word,
          node.mask,
          node.segments.map((one) => ({ start: one.start, node: fold(one.node, word, known, value) })),
        );
    folded.set(key, made);
    return made;
  };
  /** The words of which a node or one below it looks at some bits only, as a set of bits. */
  const looking = new Map<Node, number>();
  const wordsOf = (node: Node): number => {
    let words = looking.get(node);
    if (words !== undefined) return words;
    words = node.kind === "choice" && node.mask !== wholeWord ? 1 << node.word : 0;
    for (const next of below(node)) words |= wordsOf(next);
    looking.set(node, words);
    return words;
  };
  const looksAt = (node: Node, word: number): boolean => (wordsOf(node) & (1 << word)) !== 0;

  return rewrite(graph, root, (node) => {
    // From the leaves up, so that this never goes deep.
    wordsOf(node);
    if (node.kind !== "choice" || node.mask !== wholeWord) return node;
    const segments = node.segments.map(({ start, node: next }, index) => {
      const last = (node.segments[index + 1]?.start ?? wholeWord + 1) - 1;
      const differing = (start ^ last) >>> 0;
      const known = differing === 0 ? wholeWord : ~(2 ** (32 - Math.clz32(differing)) - 1) >>> 0;
      return { start, node: fold(next, node.word, known, start) };
    });
    return graph.choice(node.word, node.mask, segments);
  });
}

function nodeAt(segments: readonly Segment[], value: number): Node {
  const found = segments.findLast((one) => one.start <= value);
  if (found === undefined) throw new RangeError("segments begin at 0");
  return found.node;
}
