/**
 * Conditions as graphs over the words of a call: comparisons become sets of intervals, masks become words of their
 * own. A condition is a graph that ends in `holds` and `fails`.
 */
import type { Field, ResolvedComparison, ResolvedCondition } from "../policy/resolved.ts";
import { type Graph, type Node, type Segment, wholeWord } from "./graph.ts";

/** How conditions are put together. */
export interface Join {
  readonly order: "words" | "rules";
  readonly ifElse: (condition: Node, then: Node, otherwise: Node) => Node;
}

/** Each word is looked at once, in one order: what rules have in common is seen. */
export function inWordOrder(graph: Graph): Join {
  return {
    order: "words",
    ifElse: (condition, then, otherwise) => graph.ifElse(condition, then, otherwise),
  };
}

/** Rule after rule, for those whose conditions would blow up otherwise. */
export function inRuleOrder(graph: Graph): Join {
  const ifElse = (condition: Node, then: Node, otherwise: Node): Node => {
    if (condition.kind === "leaf") return condition === graph.holds ? then : otherwise;
    if (condition.kind === "test") throw new Error("conditions are choices");
    const segments = condition.segments.map(({ start, node }) => ({
      start,
      node: ifElse(node, then, otherwise),
    }));
    return graph.choice(condition.word, condition.mask, segments);
  };
  return { order: "rules", ifElse };
}

/**
 * The graph that goes on with `then` where the condition holds, and with `otherwise` where it does not. Inside a
 * negation the rule's own answer is the one in `otherwise`: of equally strict answers it has to win.
 */
export function lowerCondition(
  graph: Graph,
  join: Join,
  condition: ResolvedCondition,
  unknown: "strictest" | "most-lenient",
  then: Node,
  otherwise: Node,
  negated = false,
): Node {
  const lower = (item: ResolvedCondition, yes: Node, no: Node): Node =>
    lowerCondition(graph, join, item, unknown, yes, no, negated);
  switch (condition.kind) {
    case "known":
      return condition.value ? then : otherwise;
    case "unknown":
      return negated ? graph.merge(otherwise, then, unknown) : graph.merge(then, otherwise, unknown);
    case "not":
      return lowerCondition(graph, join, condition.item, unknown, otherwise, then, !negated);
    case "and":
      return condition.items.reduceRight<Node>((rest, item) => lower(item, rest, otherwise), then);
    case "or":
      return condition.items.reduceRight<Node>((rest, item) => lower(item, then, rest), otherwise);
    case "test":
      return join.ifElse(
        lowerTest(graph, condition.field, condition.mask, condition.comparison),
        then,
        otherwise,
      );
  }
}

/** Whether some part of a condition cannot be seen by a filter. */
export function hasUnknown(condition: ResolvedCondition): boolean {
  switch (condition.kind) {
    case "unknown":
      return true;
    case "not":
      return hasUnknown(condition.item);
    case "and":
    case "or":
      return condition.items.some(hasUnknown);
    default:
      return false;
  }
}

interface Interval {
  readonly low: bigint;
  readonly high: bigint;
}

/** One comparison as a graph over one word or two. */
export function lowerTest(
  graph: Graph,
  field: Field,
  mask: bigint | undefined,
  comparison: ResolvedComparison,
): Node {
  const ones = (1n << BigInt(field.width)) - 1n;
  const { holds, fails } = graph;
  if (field.high !== undefined) graph.noteHighHalf(field.high);
  if (comparison.operator === "nonzero") return anyBit(graph, field, mask ?? ones, holds, fails);
  if (comparison.operator === "within") return anyBit(graph, field, ones & ~comparison.value, fails, holds);
  const signed = field.signed && mask === undefined;
  const { intervals, negated } = intervalsOf(comparison, field.width, signed);
  const [inside, outside] = negated ? [fails, holds] : [holds, fails];
  return lowThenHigh(graph, field, mask ?? ones, intervals, inside, outside);
}

/** Whether any of the bits is set, in either half. */
function anyBit(graph: Graph, field: Field, bits: bigint, then: Node, otherwise: Node): Node {
  const of = (word: number, mask: bigint, none: Node): Node =>
    graph.choice(word, Number(mask), [
      { start: 0, node: none },
      { start: 1, node: then },
    ]);
  const high = field.high === undefined ? otherwise : of(field.high, bits >> 32n, otherwise);
  return of(field.low, bits & 0xffff_ffffn, high);
}

/** The patterns for which a comparison holds (or, negated, does not): disjoint, ascending, unsigned. */
function intervalsOf(
  comparison: Exclude<ResolvedComparison, { operator: "nonzero" | "within" }>,
  width: number,
  signed: boolean,
): { readonly intervals: readonly Interval[]; readonly negated: boolean } {
  const ones = (1n << BigInt(width)) - 1n;
  // Adding half the range puts signed numbers into the order of unsigned ones.
  const bias = signed ? 1n << BigInt(width - 1) : 0n;
  const ordered = (pattern: bigint): bigint => pattern ^ bias;
  switch (comparison.operator) {
    case "==":
    case "!=":
      return {
        intervals: [{ low: comparison.value, high: comparison.value }],
        negated: comparison.operator === "!=",
      };
    case "<":
    case ">=":
      return {
        intervals: unbias([{ low: ordered(comparison.value), high: ones }], bias, ones),
        negated: comparison.operator === "<",
      };
    case "<=":
    case ">":
      return {
        intervals: unbias([{ low: 0n, high: ordered(comparison.value) }], bias, ones),
        negated: comparison.operator === ">",
      };
    case "in": {
      const ranges = comparison.ranges.map((range) => ({
        low: ordered(range.low),
        high: ordered(range.high),
      }));
      return { intervals: unbias(ranges, bias, ones), negated: comparison.negated };
    }
  }
}

/** Intervals of biased numbers as disjoint, ascending intervals of patterns. */
function unbias(intervals: readonly Interval[], bias: bigint, ones: bigint): readonly Interval[] {
  const pieces = intervals.flatMap(({ low, high }) => {
    if (bias === 0n) return [{ low, high }];
    // The order of patterns breaks where the sign changes.
    const below = low < bias ? [{ low: low + bias, high: (high < bias ? high : bias - 1n) + bias }] : [];
    const above = high >= bias ? [{ low: (low >= bias ? low : bias) - bias, high: high - bias }] : [];
    return [...below, ...above];
  });
  pieces.sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0));
  const merged: Interval[] = [];
  for (const piece of pieces) {
    const last = merged[merged.length - 1];
    if (last !== undefined && piece.low <= last.high + 1n) {
      merged[merged.length - 1] = { low: last.low, high: piece.high > last.high ? piece.high : last.high };
    } else if (piece.low <= ones) merged.push(piece);
  }
  return merged;
}

/** One word against intervals that fit it. */
function oneWord(
  graph: Graph,
  word: number,
  mask: number,
  intervals: readonly { readonly low: number; readonly high: number }[],
  inside: Node,
  outside: Node,
): Node {
  const segments: Segment[] = [{ start: 0, node: outside }];
  for (const { low, high } of intervals) {
    if (low === 0) segments.pop();
    segments.push({ start: low, node: inside });
    if (high < wholeWord) segments.push({ start: high + 1, node: outside });
  }
  return graph.choice(word, mask, segments);
}

/**
 * A field against intervals: the low half first, cut where the intervals begin and end; at each piece of it the high
 * halves that are left form intervals again.
 */
function lowThenHigh(
  graph: Graph,
  field: Field,
  bits: bigint,
  intervals: readonly Interval[],
  inside: Node,
  outside: Node,
): Node {
  const halves = intervals.map(({ low, high }) => ({
    low: { low: Number(low & 0xffff_ffffn), high: Number(low >> 32n) },
    high: { low: Number(high & 0xffff_ffffn), high: Number(high >> 32n) },
  }));
  const lowMask = Number(bits & 0xffff_ffffn);
  const { high: highWord } = field;
  if (highWord === undefined) {
    const ranges = halves.map(({ low, high }) => ({ low: low.low, high: high.low }));
    return oneWord(graph, field.low, lowMask, ranges, inside, outside);
  }
  const cuts = new Set([0]);
  for (const { low, high } of halves) {
    cuts.add(low.low);
    if (high.low < wholeWord) cuts.add(high.low + 1);
  }
  const highsAt = (start: number): Node => {
    const highs = halves
      .map(({ low, high }) => ({
        low: start >= low.low ? low.high : low.high + 1,
        high: start <= high.low ? high.high : high.high - 1,
      }))
      .filter((one) => one.low <= one.high)
      .sort((a, b) => a.low - b.low);
    // Intervals of 64 bits are apart; their high halves need not be.
    const joined: { low: number; high: number }[] = [];
    for (const one of highs) {
      const last = joined.at(-1);
      if (last !== undefined && one.low <= last.high + 1) last.high = Math.max(last.high, one.high);
      else joined.push(one);
    }
    return oneWord(graph, highWord, Number(bits >> 32n), joined, inside, outside);
  };
  const segments = [...cuts].sort((a, b) => a - b).map((start) => ({ start, node: highsAt(start) }));
  return graph.choice(field.low, lowMask, segments);
}
