import type { Field, ResolvedComparison } from "./resolved.ts";

/**
 * Whether a comparison holds for a value: the meaning of the language's operators, on whole numbers. The
 * compiler and the proof work on 32-bit words instead and share none of this.
 */
export function comparisonHolds(
  value: bigint,
  { width, signed }: Pick<Field, "width" | "signed">,
  mask: bigint | undefined,
  comparison: ResolvedComparison,
): boolean {
  const bits = BigInt.asUintN(width, value) & (mask ?? -1n);
  const ordered = (pattern: bigint): bigint =>
    signed && mask === undefined ? BigInt.asIntN(width, pattern) : pattern;
  switch (comparison.operator) {
    case "nonzero":
      return bits !== 0n;
    case "within":
      return (bits & ~comparison.value) === 0n;
    case "in":
      return (
        comparison.ranges.some(
          (range) => ordered(range.low) <= ordered(bits) && ordered(bits) <= ordered(range.high),
        ) !== comparison.negated
      );
    case "==":
      return bits === comparison.value;
    case "!=":
      return bits !== comparison.value;
    case "<":
      return ordered(bits) < ordered(comparison.value);
    case "<=":
      return ordered(bits) <= ordered(comparison.value);
    case ">":
      return ordered(bits) > ordered(comparison.value);
    case ">=":
      return ordered(bits) >= ordered(comparison.value);
  }
}
