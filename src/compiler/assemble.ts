/**
 * The graph as instructions, emitted backwards: a node's targets come after it, so that every distance is known
 * when a jump is written. A conditional reaches 255 instructions; beyond that it lands on a copy of the return,
 * or on a JA, put right behind it.
 */
import {
  ALU_AND_K,
  type Instruction,
  instruction,
  JA,
  JEQ_K,
  JGE_K,
  JSET_K,
  LD_W_ABS,
  RET_K,
} from "../bpf/index.ts";
import type { Node, TestNode } from "./graph.ts";
import { wholeWord } from "./graph.ts";

export interface Assembly {
  readonly instructions: readonly Instruction[];
  /** The index of each test's conditional jump. */
  readonly jumpOf: ReadonlyMap<TestNode, number>;
}

const codeOf: Readonly<Record<TestNode["test"], number>> = {
  equal: JEQ_K,
  "at-least": JGE_K,
  "any-bit": JSET_K,
};
const longestJump = 255;

/** Where a node can be entered, counted from the end of the program. */
interface Entry {
  /** With whatever in A. */
  readonly start: number;
  /** With the node's word, unmasked, in A already. */
  readonly loaded: number;
}

export function assemble(root: Node): Assembly {
  const order = childrenFirst(root);
  const needsLoad = nodesEnteredWithoutTheirWord(root, order);
  const reversed: Instruction[] = [];
  const entries = new Map<Node, Entry>();
  const jumps = new Map<TestNode, number>();

  /** The distance for a jump that will stand right before everything emitted so far (and `between` more). */
  const position = (target: Node, holds: number | undefined): number => {
    const entry = entries.get(target);
    if (entry === undefined) throw new Error("targets are emitted before the jumps to them");
    return target.kind === "test" && target.word === holds ? entry.loaded : entry.start;
  };

  for (const node of order) {
    if (node.kind === "leaf") {
      reversed.push(instruction(RET_K, node.returnValue));
      entries.set(node, { start: reversed.length, loaded: reversed.length });
      continue;
    }
    const holds = node.mask === wholeWord ? node.word : undefined;
    // A stand-in behind the jump moves the other target one further away: place both before measuring.
    const targets = [node.then, node.else].map((target) => ({ target, at: position(target, holds) }));
    for (const one of targets) {
      const standIns = targets.filter((other) => reversed.length + 1 - other.at > longestJump).length;
      if (reversed.length + standIns - one.at <= longestJump) continue;
      reversed.push(
        one.target.kind === "leaf"
          ? instruction(RET_K, one.target.returnValue)
          : instruction(JA, reversed.length - one.at),
      );
      one.at = reversed.length;
    }
    const [then, otherwise] = targets;
    if (then === undefined || otherwise === undefined) throw new Error("a test has two targets");
    reversed.push(
      instruction(codeOf[node.test], node.k, reversed.length - then.at, reversed.length - otherwise.at),
    );
    jumps.set(node, reversed.length);
    if (node.mask !== wholeWord) reversed.push(instruction(ALU_AND_K, node.mask));
    const loaded = reversed.length;
    if (needsLoad.has(node)) reversed.push(instruction(LD_W_ABS, node.word * 4));
    entries.set(node, { start: reversed.length, loaded });
  }
  return {
    instructions: reversed.reverse(),
    jumpOf: new Map([...jumps].map(([node, fromEnd]) => [node, reversed.length - fromEnd])),
  };
}

/** All nodes below the root, every node after its targets; without recursion, since chains can be long. */
function childrenFirst(root: Node): readonly Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { readonly node: Node; readonly done: boolean }[] = [{ node: root, done: false }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node, done } = top;
    if (done) {
      order.push(node);
      continue;
    }
    if (seen.has(node)) continue;
    seen.add(node);
    stack.push({ node, done: true });
    if (node.kind === "test") stack.push({ node: node.then, done: false }, { node: node.else, done: false });
  }
  return order;
}

/** The tests that some jump reaches while A holds something else than their word: these need their load. */
function nodesEnteredWithoutTheirWord(root: Node, order: readonly Node[]): ReadonlySet<Node> {
  const needing = new Set<Node>([root]);
  for (const node of order) {
    if (node.kind === "leaf") continue;
    for (const target of [node.then, node.else]) {
      const held = node.mask === wholeWord && target.kind === "test" && target.word === node.word;
      if (!held) needing.add(target);
    }
  }
  return needing;
}
