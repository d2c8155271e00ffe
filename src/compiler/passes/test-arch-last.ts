/**
 * Where a policy for one architecture has only two answers, and one of them is also that of other architectures, what is
 * refused is refused on all of them: the architecture is looked at where a call would be allowed, and nowhere else.
 *
 *         LD   nr
 *         … numbers and arguments … refused, last
 *     last:    LD   arch
 *              JEQ  x86_64, allowed, refused
 *
 * These are the instructions that would stand in front otherwise, and a refused call passes two less.
 */
import { wordOfArch } from "../../policy/resolved.ts";
import { childrenFirst, type Graph, type Node, rewrite } from "../graph.ts";

export function testArchLast(graph: Graph, root: Node): Node {
  if (root.kind !== "test" || root.word !== wordOfArch || root.test !== "equal") return root;
  const { then: own, else: foreign } = root;
  if (own.kind === "leaf" || foreign.kind !== "leaf") return root;
  const leaves = childrenFirst(own).filter((node) => node.kind === "leaf" && node !== foreign);
  const [other] = leaves;
  if (other === undefined || leaves.length > 1) return root;
  const last = graph.test(root.word, root.mask, root.test, root.k, other, foreign);
  return replace(graph, own, other, last);
}

/** The graph with one leaf replaced. */
function replace(graph: Graph, root: Node, leaf: Node, by: Node): Node {
  const at = (node: Node): Node => (node === leaf ? by : node);
  return rewrite(graph, root, (node) =>
    node.kind === "test"
      ? graph.test(node.word, node.mask, node.test, node.k, at(node.then), at(node.else))
      : node,
  );
}
