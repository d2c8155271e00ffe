/**
 * Where a bound has been passed that no number with x32's bit is below, a test of the whole number and one of the number
 * without that bit are the same test. Written as the second, which is what x86_64's tree is made of where x32 shares it,
 * pieces of another architecture's tree and of this one are one:
 *
 *         JGE  0x1d3, …, piece        of the 32-bit ABI: A is the number
 *         AND  ~bit 30
 *         JGE  0x1d3, …, piece        of x86_64 and x32: A is the number without the bit
 *     piece: … numbers that both ABIs have alike …
 */
import { firstX32Number, wordOfNumber } from "../../policy/resolved.ts";
import { childrenFirst, type Graph, type Node, rewrite, wholeWord } from "../graph.ts";

const withoutBit = ~firstX32Number >>> 0;

export function forgetX32Bit(graph: Graph, root: Node): Node {
  const isShared = childrenFirst(root).some((node) => node.kind === "test" && node.mask === withoutBit);
  if (!isShared) return root;
  const forgotten = new Map<Node, Node>();
  const forget = (node: Node): Node => {
    if (node.kind !== "test" || node.word !== wordOfNumber || node.mask !== wholeWord) return node;
    const known = forgotten.get(node);
    if (known !== undefined) return known;
    const made = graph.test(node.word, withoutBit, node.test, node.k, forget(node.then), forget(node.else));
    forgotten.set(node, made);
    return made;
  };
  return rewrite(graph, root, (node) => {
    const isBound = node.kind === "test" && node.word === wordOfNumber && node.test === "at-least";
    if (!isBound || node.mask !== wholeWord || node.k > firstX32Number) return node;
    return graph.test(node.word, node.mask, node.test, node.k, node.then, forget(node.else));
  });
}
