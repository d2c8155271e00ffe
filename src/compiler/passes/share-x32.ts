/**
 * x32 has the numbers of x86_64 with bit 30 set, and most of its calls are x86_64's. Where the policy says the same of
 * both, x32's numbers need no tree of their own:
 *
 *         LD   nr
 *         JSET bit 30, exceptions, tree
 *     exceptions: … numbers that differ …
 *         AND  ~bit 30
 *     tree: … x86_64's numbers …
 *
 * All of that are instructions with constants: what is allowed on the way stays in the kernel's action cache.
 */
import { firstX32Number, wordOfNumber } from "../../policy/resolved.ts";
import { type ChoiceNode, type Graph, type Node, rewrite, type Segment, wholeWord } from "../graph.ts";
import { fewestTests } from "../search-tree.ts";
import { rangesOf, type Weights } from "../weights.ts";

const bit = firstX32Number;
/** How much of a step on every path has to be saved in size. */
const shareOfStep = 0.5;
const withoutBit = ~bit >>> 0;

export function shareX32(graph: Graph, root: Node, { perTest }: Weights): Node {
  return rewrite(graph, root, (node) => (node.kind === "choice" ? share(graph, node, perTest) : node));
}

function share(graph: Graph, node: ChoiceNode, perTest: number): Node {
  if (node.word !== wordOfNumber || node.mask !== wholeWord) return node;
  const x32 = node.segments.filter((one) => one.start > bit && one.start < 2 * bit);
  if (x32.length === 0) return node;
  const own = cut(node.segments, 0, bit).concat(cut(node.segments, 2 * bit, wholeWord + 1));
  const shared = graph.choice(wordOfNumber, withoutBit, own);
  if (shared.kind !== "choice") return node;
  const exceptions = graph.choice(wordOfNumber, wholeWord, exceptionsTo(shared, node.segments));
  const separate = fewestTests(rangesOf(node.segments));
  const together = fewestTests(rangesOf(own));
  const apart = exceptions.kind === "choice" ? fewestTests(rangesOf(exceptions.segments)) : 0;
  // The bit's test and the AND are two instructions more, and the test is one step more for every call.
  if ((separate - together - apart - 2) * perTest < shareOfStep) return apartFrom(graph, node);
  return graph.test(wordOfNumber, wholeWord, "any-bit", bit, exceptions, shared);
}

/** x32's numbers as one branch among x86_64's: they are rarely looked for. */
function apartFrom(graph: Graph, node: ChoiceNode): Node {
  const [first, ...others] = cut(node.segments, bit, 2 * bit);
  if (first === undefined) return node;
  const x32 = graph.choice(wordOfNumber, wholeWord, [{ start: 0, node: first.node }, ...others]);
  const own = cut(node.segments, 0, bit);
  const negative = cut(node.segments, 2 * bit, wholeWord + 1);
  return graph.choice(wordOfNumber, wholeWord, [...own, { start: bit, node: x32 }, ...negative]);
}

/** The segments of the values from `from` to below `to`. */
function cut(segments: readonly Segment[], from: number, to: number): Segment[] {
  return segments.flatMap(({ start, node }, index) => {
    const end = segments[index + 1]?.start ?? wholeWord + 1;
    return start < to && end > from ? [{ start: Math.max(start, from), node }] : [];
  });
}

/**
 * x32's numbers with their own nodes, or with the shared choice where that says the same. Each piece has to have its
 * own node and may have the shared one; chosen so that as few tests as possible part them.
 */
function exceptionsTo(shared: ChoiceNode, segments: readonly Segment[]): readonly Segment[] {
  const x32 = cut(segments, bit, 2 * bit);
  const negative = cut(segments, 3 * bit, wholeWord + 1);
  const starts = new Set(x32.map((one) => one.start));
  for (const { start } of shared.segments) if (start < bit) starts.add(start + bit);
  const nodeAt = (list: readonly Segment[], value: number): Node | undefined =>
    list.findLast((one) => one.start <= value)?.node;
  const pieces = [...starts]
    .sort((a, b) => a - b)
    .map((start) => ({ start, own: nodeAt(x32, start), common: nodeAt(shared.segments, start - bit) }));

  interface Way {
    readonly cost: number;
    readonly chosen: readonly Segment[];
  }
  let ways = new Map<Node, Way>();
  for (const [index, { start, own, common }] of pieces.entries()) {
    const last = (pieces[index + 1]?.start ?? 2 * bit) - 1;
    const next = new Map<Node, Way>();
    const offer = (after: Node, node: Node, way: Way, more: number): void => {
      const known = next.get(after);
      const cost = way.cost + more;
      if (known === undefined || cost < known.cost)
        next.set(after, { cost, chosen: [...way.chosen, { start, node }] });
    };
    const fitting: Node[] = own === undefined ? [] : own === common ? [own, shared] : [own];
    for (const node of fitting) {
      if (ways.size === 0) offer(node, node, { cost: 0, chosen: [] }, 0);
      for (const [before, way] of ways) {
        offer(node, node, way, before === node ? 0 : 1);
        // A single value is taken out by one JEQ, whatever stands around it.
        if (start === last) offer(before, node, way, 1);
      }
    }
    ways = next;
  }
  const [least] = [...ways.values()].sort((a, b) => a.cost - b.cost);
  const chosen = least?.chosen ?? x32;
  // Below bit 30 nothing comes here, so that the first piece may begin at 0.
  const [first, ...others] = chosen;
  if (first === undefined) return segments;
  // Numbers with both high bits are x86_64's, and unknown: the AND leaves them unknown where no rule names any.
  const isPlain = !shared.segments.some((one) => one.start > 2 * bit);
  const unknown = nodeAt(shared.segments, 2 * bit);
  const tail =
    isPlain && negative.every((one) => one.node === unknown) ? [{ start: 3 * bit, node: shared }] : negative;
  return [{ start: 0, node: first.node }, ...others, ...tail];
}
