/**
 * Where the values of a set are all the combinations of some bits (0, 8, 0x20000 and 0x20008: no bit but these two),
 * one JSET of all the other bits does what would take a JEQ for each value.
 */
import { type ChoiceNode, type Graph, type Node, rewrite, type Segment, wholeWord } from "../graph.ts";
import { fewestTests } from "../search-tree.ts";
import { rangesOf } from "../weights.ts";

/** Sets of more combinations are found by their lower bits, if at all. */
const mostBits = 10;
/** Choices with more segments are sets of another kind. */
const mostSegments = 200;

export function testBits(graph: Graph, root: Node): Node {
  return rewrite(graph, root, (node) => (node.kind === "choice" ? splitOff(graph, node) : node));
}

function splitOff(graph: Graph, node: ChoiceNode): Node {
  const { word, mask, segments } = node;
  const [zero] = segments;
  if (mask !== wholeWord || word < 2 || zero === undefined || segments.length < 5) return node;
  if (segments.length > mostSegments) return node;
  const bits = bitsWithin(segments, zero.node);
  const rest = withoutCombinations(segments, bits, zero.node);
  if (rest === undefined || bits === 0) return node;
  const before = fewestTests(rangesOf(segments));
  if (fewestTests(rangesOf(rest)) + 1 >= before) return node;
  return graph.choice(word, ~bits >>> 0, [
    { start: 0, node: zero.node },
    { start: 1, node: graph.choice(word, wholeWord, rest) },
  ]);
}

/** The bits of which every combination leads to `node`. */
function bitsWithin(segments: readonly Segment[], node: Node): number {
  let bits = 0;
  let combinations = [0];
  for (let bit = 0; bit < 32 && combinations.length < 1 << mostBits; bit++) {
    const more = combinations.map((one) => (one | (1 << bit)) >>> 0);
    if (!more.every((one) => segments.findLast((segment) => segment.start <= one)?.node === node)) continue;
    combinations = [...combinations, ...more];
    bits = (bits | (1 << bit)) >>> 0;
  }
  return bits;
}

/**
 * The segments with the combinations belonging to what surrounds them: they no longer occur. Undefined where they are
 * surrounded by different things.
 */
function withoutCombinations(
  segments: readonly Segment[],
  bits: number,
  node: Node,
): readonly Segment[] | undefined {
  const around = new Set<Node>();
  const rest: Segment[] = [];
  for (const [index, { start, node: here }] of segments.entries()) {
    const last = (segments[index + 1]?.start ?? wholeWord + 1) - 1;
    const isCombination = here === node && last - start < 1 << mostBits && allWithin(start, last, bits);
    if (!isCombination) {
      rest.push({ start, node: here });
      if (here !== node) around.add(here);
    }
  }
  const [only] = around;
  if (around.size !== 1 || only === undefined) return undefined;
  return rest[0]?.start === 0 ? rest : [{ start: 0, node: only }, ...rest];
}

function allWithin(first: number, last: number, bits: number): boolean {
  for (let value = first; value <= last; value++) if ((value & ~bits) !== 0) return false;
  return true;
}
