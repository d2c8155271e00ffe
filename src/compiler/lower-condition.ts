/** Conditions as tests of 32-bit words: comparisons become sets of intervals, and these become trees. */
import type { Field, ResolvedComparison, ResolvedCondition } from "../policy/resolved.ts";
import { type Graph, type Node, type Segment, segmentTree, wholeWord } from "./graph.ts";

/**
 * The graph that goes on with `then` where the condition holds, and with `otherwise` where it does not. Inside a
 * negation the rule's own answer is the one in `otherwise`: of equally strict answers it has to win.
 */
export function lowerCondition(
  graph: Graph,
  condition: ResolvedCondition,
  unknown: "strictest" | "most-lenient",
  then: Node,
  otherwise: Node,
  negated = false,
): Node {
  const lower = (item: ResolvedCondition, yes: Node, no: Node): Node =>
    lowerCondition(graph, item, unknown, yes, no, negated);
  switch (condition.kind) {
    case "known":
      return condition.value ? then : otherwise;
    case "unknown":
      return negated ? graph.merge(otherwise, then, unknown) : graph.merge(then, otherwise, unknown);
    case "not":
      return lowerCondition(graph, condition.item, unknown, otherwise, then, !negated);
    case "and":
      return condition.items.reduceRight<Node>((rest, item) => lower(item, rest, otherwise), then);
    case "or":
      return condition.items.reduceRight<Node>((rest, item) => lower(item, then, rest), otherwise);
    case "test":
      return lowerTest(graph, condition.field, condition.mask, condition.comparison, then, otherwise);
  }
}

interface Interval {
  readonly low: bigint;
  readonly high: bigint;
}

function lowerTest(
  graph: Graph,
  field: Field,
  mask: bigint | undefined,
  comparison: ResolvedComparison,
  then: Node,
  otherwise: Node,
): Node {
  const ones = (1n << BigInt(field.width)) - 1n;
  if (comparison.operator === "nonzero") return anyBit(graph, field, mask ?? ones, then, otherwise);
  if (comparison.operator === "within")
    return anyBit(graph, field, ones & ~comparison.value, otherwise, then);
  const bits = mask ?? ones;
  const signed = field.signed && mask === undefined;
  const { intervals, negated } = intervalsOf(comparison, field.width, signed);
  const [inside, outside] = negated ? [otherwise, then] : [then, otherwise];
  const [only] = intervals;
  if (intervals.length === 1 && only !== undefined && only.low === only.high && mask !== undefined) {
    if (only.low === 0n) return anyBit(graph, field, bits, outside, inside);
    if (only.low === bits && (bits & (bits - 1n)) === 0n) return anyBit(graph, field, bits, inside, outside);
  }
  if (field.high === undefined) {
    return tree(graph, field.low, Number(bits), intervals, inside, outside);
  }
  return highThenLow(graph, { ...field, high: field.high }, bits, intervals, inside, outside);
}

/** Whether any of the bits is set: JSET on each half that has some. */
function anyBit(graph: Graph, field: Field, bits: bigint, then: Node, otherwise: Node): Node {
  const low = graph.test(field.low, wholeWord, "any-bit", Number(bits & 0xffff_ffffn), then, otherwise);
  if (field.high === undefined) return low;
  return graph.test(field.high, wholeWord, "any-bit", Number(bits >> 32n), then, low);
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
function tree(
  graph: Graph,
  word: number,
  mask: number,
  intervals: readonly Interval[],
  inside: Node,
  outside: Node,
): Node {
  const segments: Segment[] = [{ start: 0, node: outside }];
  for (const { low, high } of intervals) {
    const start = Number(low);
    if (start === 0) segments.pop();
    segments.push({ start, node: inside });
    if (high < 0xffff_ffffn) segments.push({ start: Number(high) + 1, node: outside });
  }
  return segmentTree(graph, word, mask >>> 0, segments);
}

/**
 * Two words against 64-bit intervals: a tree over the high half whose segments are either wholly inside, wholly
 * outside, or one value of the high half with a tree of its own over the low half.
 */
function highThenLow(
  graph: Graph,
  field: Field & { readonly high: number },
  bits: bigint,
  intervals: readonly Interval[],
  inside: Node,
  outside: Node,
): Node {
  const lowMask = Number(bits & 0xffff_ffffn);
  const highMask = Number(bits >> 32n);
  const edges = new Set<bigint>();
  for (const { low, high } of intervals) {
    edges.add(low >> 32n);
    edges.add(high >> 32n);
  }
  const atHigh = (high: bigint): Node => {
    const from = high << 32n;
    const to = from | 0xffff_ffffn;
    const parts = intervals
      .filter((interval) => interval.high >= from && interval.low <= to)
      .map((interval) => ({
        low: interval.low > from ? interval.low - from : 0n,
        high: interval.high < to ? interval.high - from : 0xffff_ffffn,
      }));
    return tree(graph, field.low, lowMask, parts, inside, outside);
  };
  const segments: Segment[] = [];
  let next = 0n;
  for (const edge of [...edges].sort((a, b) => (a < b ? -1 : 1))) {
    // Between two edges the low half does not matter.
    if (next < edge) segments.push({ start: Number(next), node: atHigh(next) });
    segments.push({ start: Number(edge), node: atHigh(edge) });
    next = edge + 1n;
  }
  if (next <= 0xffff_ffffn) segments.push({ start: Number(next), node: atHigh(next) });
  return segmentTree(graph, field.high, highMask >>> 0, segments);
}
