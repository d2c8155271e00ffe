/**
 * The graph as instructions, emitted backwards: a node's targets come after it, so that every distance is known
 * when a jump is written. A conditional reaches 255 instructions; beyond that it lands on a copy of the return,
 * or on a JA, put right behind it.
 *
 *     node, entered with …                    anything    its word in A    its word & mask in A
 *                          LD  [word]            ┘
 *                          AND mask                            ┘
 *                          JEQ k, then, else                                      ┘
 *
 * Which of these a node needs depends on what A holds where it is jumped from; what nobody needs is not emitted.
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
import { childrenFirst, type Node, type TestNode, wholeWord } from "./graph.ts";

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

type EntryName = "start" | "loaded" | "masked";

/** What a node's test leaves in A: `word & mask`, of which the bits in `clear` are known to be 0. */
interface Accumulator {
  readonly word: number;
  readonly mask: number;
  readonly clear: number;
}

/** Where a node is entered by who comes with that in A. */
function entryFor(target: TestNode, a: Accumulator): EntryName {
  if (target.word !== a.word) return "start";
  // Bits that A lacks have to be bits that the target does not look at, or that are 0 anyway.
  if (((target.mask & ~a.mask) | 0) !== 0) return "start";
  return ((a.mask & ~target.mask & ~a.clear) | 0) === 0 ? "masked" : "loaded";
}

/** What A holds behind each of a test's two jumps. */
function accumulatorsOf(node: TestNode): { readonly taken: Accumulator; readonly other: Accumulator } {
  const { word, mask, test, k } = node;
  const a = { word, mask, clear: 0 };
  // What is less than k has none of the bits above those of k - 1.
  const clear = test === "any-bit" ? k : test === "at-least" ? ~ones(k - 1) : 0;
  return { taken: a, other: { ...a, clear } };
}

/** All bits up to the highest one of a value. */
function ones(value: number): number {
  return value === 0 ? 0 : wholeWord >>> Math.clz32(value);
}

/** Where a node can be entered, counted from the end of the program. */
type Entries = Readonly<Record<EntryName, number>>;

/** @throws Error where the graph still has choices */
export function assemble(root: Node): Assembly {
  const order = childrenFirst(root);
  const needed = neededEntries(root, order);
  const reversed: Instruction[] = [];
  const entries = new Map<Node, Entries>();
  const jumps = new Map<TestNode, number>();

  const position = (target: Node, a: Accumulator): number => {
    const entry = entries.get(target);
    if (entry === undefined) throw new Error("targets are emitted before the jumps to them");
    return target.kind === "test" ? entry[entryFor(target, a)] : entry.start;
  };

  for (const node of order) {
    if (node.kind === "choice") throw new Error("choices become tests before they become instructions");
    if (node.kind === "leaf") {
      reversed.push(instruction(RET_K, node.returnValue));
      const at = reversed.length;
      entries.set(node, { start: at, loaded: at, masked: at });
      continue;
    }
    const a = accumulatorsOf(node);
    // A stand-in behind the jump moves the other target one further away: place both before measuring.
    const targets = [
      { target: node.then, a: a.taken, at: position(node.then, a.taken) },
      { target: node.else, a: a.other, at: position(node.else, a.other) },
    ];
    for (const one of targets) {
      const standIns = targets.filter((other) => reversed.length + 1 - other.at > longestJump).length;
      if (reversed.length + standIns - one.at <= longestJump) continue;
      reversed.push(
        one.target.kind === "leaf"
          ? instruction(RET_K, one.target.returnValue)
          : instruction(JA, reversed.length - one.at),
      );
      one.at = reversed.length;
      // Whoever jumps there from further on takes the stand-in, which is nearer.
      const entry = entries.get(one.target);
      if (entry !== undefined) {
        const name = one.target.kind === "test" ? entryFor(one.target, one.a) : "start";
        entries.set(one.target, { ...entry, [name]: one.at });
      }
    }
    const [then, otherwise] = targets;
    if (then === undefined || otherwise === undefined) throw new Error("a test has two targets");
    reversed.push(
      instruction(codeOf[node.test], node.k, reversed.length - then.at, reversed.length - otherwise.at),
    );
    jumps.set(node, reversed.length);
    const masked = reversed.length;
    const needs = needed.get(node);
    if (node.mask !== wholeWord && (needs?.has("loaded") || needs?.has("start")))
      reversed.push(instruction(ALU_AND_K, node.mask));
    const loaded = reversed.length;
    if (needs?.has("start")) reversed.push(instruction(LD_W_ABS, node.word * 4));
    entries.set(node, { start: reversed.length, loaded, masked });
  }
  return {
    instructions: reversed.reverse(),
    jumpOf: new Map([...jumps].map(([node, fromEnd]) => [node, reversed.length - fromEnd])),
  };
}

/** The entries of each test that some jump uses. */
function neededEntries(root: Node, order: readonly Node[]): ReadonlyMap<Node, ReadonlySet<EntryName>> {
  const needed = new Map<Node, Set<EntryName>>();
  const need = (node: Node, entry: EntryName): void => {
    const known = needed.get(node);
    if (known === undefined) needed.set(node, new Set([entry]));
    else known.add(entry);
  };
  need(root, "start");
  for (const node of order) {
    if (node.kind !== "test") continue;
    const a = accumulatorsOf(node);
    if (node.then.kind === "test") need(node.then, entryFor(node.then, a.taken));
    if (node.else.kind === "test") need(node.else, entryFor(node.else, a.other));
  }
  return needed;
}
