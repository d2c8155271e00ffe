/**
 * A policy may deny execve, but the launcher has to execute the program once, with the filter already on. Such a
 * filter lets exactly one execve pass: the one whose unused argument words hold a key. The launcher draws the
 * key at each start, puts it into the filter at the places named here, and forgets it by executing.
 *
 * The proof is made with stand-ins for the key, and with that one rule in front of the policy. It holds for any
 * key: the six words are only ever compared for equality, in the six instructions that are named.
 */
import { type Filter, JEQ_K, RET_ALLOW } from "../bpf/index.ts";
import { resolveSound } from "../policy/resolve.ts";
import { type ResolvedPolicy, wordOfArch, wordOfNumber, wordsOfArgument } from "../policy/resolved.ts";
import type { Policy } from "../policy/types.ts";
import type { LaunchKeyRule } from "../proof/policy.ts";
import { type AbiName, abiByName, hostAbi, syscallNumber } from "../syscalls/index.ts";
import { type Assembly, assemble } from "./assemble.ts";
import { Graph, type Node, type TestNode, wholeWord } from "./graph.ts";
import { finish } from "./index.ts";
import { lower } from "./lower.ts";
import { optimize } from "./passes/index.ts";
import { weightsFor } from "./weights.ts";

/** The words of args[3] to args[5] follow each other, whichever half of an argument comes first. */
const firstKeyWord = wordsOfArgument(3, "little").low;

/** Where the launcher puts a word of its key: 0 and 1 are the halves of args[3], 2 and 3 of args[4], 4 and 5 of args[5]. */
export interface KeyPlace {
  readonly instruction: number;
  readonly keyWord: number;
}

/** A filter that is ready to be launched under. */
export interface LaunchFilter {
  readonly filter: Filter;
  /** Empty where the policy itself lets the launcher's execve pass. */
  readonly keyPlaces: readonly KeyPlace[];
}

/** The instructions that a key takes at most: eight words are loaded and compared, and one return. */
export const keyInstructions = 17;

/** What stands for the key until the launcher draws one: six words that the policy's own filters do not have. */
export function standInsFor(assemblies: readonly Assembly[]): readonly number[] {
  const used = new Set(assemblies.flatMap(({ instructions }) => instructions.map((one) => one.k)));
  const words: number[] = [];
  for (let word = 0x9e37_79b9; words.length < 6; word = (word + 0x9e37_79b9) >>> 0) {
    if (!used.has(word)) words.push(word);
  }
  return words;
}

/**
 * Compiles a policy for a launch on this machine (or `target`): the filter lets the launcher's one execve pass,
 * whatever the policy says of execve.
 */
export function compileForLaunch(policy: Policy, target: AbiName | undefined = hostAbi()): LaunchFilter {
  if (target === undefined) throw new TypeError("this machine's ABI is not known: name a target");
  const resolved = resolveSound(policy, target);
  const graph = new Graph();
  const root = optimize(graph, lower(graph, resolved), weightsFor("kernel", resolved.abis));
  const assembly = assemble(root);
  if (alwaysAllowsExecve(resolved, target)) return { filter: finish(assembly, resolved), keyPlaces: [] };
  const rule = keyRule(target, standInsFor([assembly]));
  const keyed = withKey(graph, root, rule);
  return { filter: finish(keyed.assembly, resolved, rule), keyPlaces: keyed.keyPlaces };
}

/** The rule that stands before the policy: the one execve with these words passes. */
export function keyRule(target: AbiName, key: readonly number[]): LaunchKeyRule {
  const arch = abiByName(target)?.arch;
  const nr = syscallNumber(target, "execve");
  if (arch === undefined || nr === undefined) throw new TypeError(`${target} has no execve`);
  return { arch, nr, key, returnValue: RET_ALLOW };
}

/** The instructions of a graph of tests with the key's rule in front, and the places of the key's words in them. */
export function withKey(
  graph: Graph,
  root: Node,
  { arch, nr, key, returnValue }: LaunchKeyRule,
): { readonly assembly: Assembly; readonly keyPlaces: readonly KeyPlace[] } {
  const equal = (word: number, k: number, then: Node): Node =>
    graph.test(word, wholeWord, "equal", k, then, root);
  const tests: TestNode[] = [];
  let keyed: Node = graph.leaf(returnValue);
  for (let index = key.length - 1; index >= 0; index--) {
    keyed = equal(firstKeyWord + index, key[index] ?? 0, keyed);
    if (keyed.kind === "test") tests.unshift(keyed);
  }
  const assembly = assemble(equal(wordOfArch, arch, equal(wordOfNumber, nr, keyed)));
  const keyPlaces = tests.map((test, keyWord) => ({ instruction: assembly.jumpOf.get(test) ?? -1, keyWord }));
  for (const { instruction, keyWord } of keyPlaces) {
    const found = assembly.instructions[instruction];
    if (found?.code !== JEQ_K || found.k !== key[keyWord])
      throw new Error("a place of the launch key holds something else");
  }
  const comparesStandIn = assembly.instructions.filter((one) => key.includes(one.k)).length;
  if (keyPlaces.length !== key.length || comparesStandIn !== key.length) {
    throw new Error("the stand-ins for the launch key stand in more places than the key's own");
  }
  return { assembly, keyPlaces };
}

/** Whether the policy lets every execve of the target pass: then no key is needed. */
export function alwaysAllowsExecve(resolved: ResolvedPolicy, target: AbiName): boolean {
  const abi = resolved.abis.find((one) => one.abi.name === target);
  const call = abi?.calls.find((one) => one.name === "execve");
  if (call === undefined) return false;
  for (const { condition, rule } of call.entries) {
    if (condition.kind === "known" && !condition.value) continue;
    return condition.kind === "known" && (rule.action.kind === "allow" || rule.action.kind === "log");
  }
  return call.fallback.action.kind === "allow" || call.fallback.action.kind === "log";
}
