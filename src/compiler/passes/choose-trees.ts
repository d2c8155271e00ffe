/** Makes trees of choices: JEQ and JGE by dynamic programming, JSET where the question is whether any bit is set. */
import { wordOfArch } from "../../policy/resolved.ts";
import { type ChoiceNode, type Graph, type Node, rewrite, wholeWord } from "../graph.ts";
import { type KnownTrees, type SearchTree, searchTree } from "../search-tree.ts";
import type { Weights } from "../weights.ts";

export function chooseTrees(graph: Graph, root: Node, weights: Weights, known: KnownTrees = new Map()): Node {
  // The same number is another call on another architecture, and so has another weight.
  if (root.kind === "test" && root.word === wordOfArch && root.test === "equal") {
    const then = treesOf(graph, root.then, weights, known, root.k);
    const otherwise = chooseTrees(graph, root.else, weights, known);
    return graph.test(root.word, root.mask, root.test, root.k, then, otherwise);
  }
  return treesOf(graph, root, weights, known, undefined);
}

function treesOf(
  graph: Graph,
  root: Node,
  weights: Weights,
  known: KnownTrees,
  arch: number | undefined,
): Node {
  return rewrite(graph, root, (node) =>
    node.kind === "choice" ? treeOf(graph, node, weights, known, arch) : node,
  );
}

function treeOf(
  graph: Graph,
  node: ChoiceNode,
  weights: Weights,
  known: KnownTrees,
  arch: number | undefined,
): Node {
  const { word, mask, segments } = node;
  const [zero, others] = segments;
  if (zero === undefined || others === undefined) return zero?.node ?? node;
  if (segments.length === 2 && others.start === 1 && mask !== wholeWord)
    return graph.test(word, wholeWord, "any-bit", mask, others.node, zero.node);
  const nodes = new Map(segments.map((one) => [one.node.id, one.node]));
  const build = (tree: SearchTree): Node => {
    if (tree.kind === "found") {
      const found = nodes.get(tree.destination);
      if (found === undefined) throw new Error("trees lead to the segments' nodes");
      return found;
    }
    return graph.test(word, mask, tree.kind, tree.k, build(tree.holds), build(tree.fails));
  };
  return build(searchTree(weights.ranges(node, arch), weights.perTest, known));
}
