/**
 * The passes between lowering and instructions, in their order. Each is one function from graph to graph that keeps
 * what the graph decides.
 *
 * 1. `foldKnown` comes first: what it removes need not be looked at by any other.
 * 2. `shareX32` compares the choices of x86_64 and x32 number by number, which it can only as long as they are choices.
 * 3. `testBits` takes out of a choice what one bit test settles, before the rest of the choice becomes a tree.
 * 4. `chooseTrees` makes trees of all choices; after it there are only tests.
 * 5. `forgetX32Bit` finds pieces of these trees that are alike.
 * 6. `testArchLast` comes after `chooseTrees`, which weighs numbers by the architecture that is tested in front of them.
 */
import type { Graph, Node } from "../graph.ts";
import type { Weights } from "../weights.ts";
import { chooseTrees } from "./choose-trees.ts";
import { foldKnown } from "./fold-known.ts";
import { forgetX32Bit } from "./forget-x32-bit.ts";
import { shareX32 } from "./share-x32.ts";
import { testArchLast } from "./test-arch-last.ts";
import { testBits } from "./test-bits.ts";

/** A pass: the same decisions, as another graph. */
export type Pass = (graph: Graph, root: Node, weights: Weights) => Node;

export const passes: readonly { readonly name: string; readonly run: Pass }[] = [
  { name: "foldKnown", run: foldKnown },
  { name: "shareX32", run: shareX32 },
  { name: "testBits", run: testBits },
  { name: "chooseTrees", run: chooseTrees },
  { name: "forgetX32Bit", run: forgetX32Bit },
  { name: "testArchLast", run: testArchLast },
];

/** All passes, one after the other. */
export function optimize(graph: Graph, root: Node, weights: Weights): Node {
  return passes.reduce((node, { run }) => run(graph, node, weights), root);
}
