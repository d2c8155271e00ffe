/** A selector's condition node by node, each with what it has become at every place where the selector stands. */
import type { ResolvedCondition } from "../policy/resolved.ts";
import type { Condition, Rule, Test, Value } from "../policy/types.ts";
import type { Item, Placement, Subject } from "./subject.ts";

/** A part of a condition, as it was written and as each call has it. */
export interface ConditionNode<Written extends Condition = Condition> {
  readonly written: Written;
  /** Under an odd number of `!`. */
  readonly negated: boolean;
  readonly resolved: readonly { readonly placement: Placement; readonly condition: ResolvedCondition }[];
  readonly children: readonly ConditionNode[];
}

export type WrittenTest = Extract<Condition, { kind: "test" }>;
export type TestNode = ConditionNode<WrittenTest>;

/** The condition of an item, where it has one and stands somewhere. */
export function conditionOf(subject: Subject, item: Item): ConditionNode | undefined {
  const { condition } = item.selector;
  if (condition === undefined) return undefined;
  const placements = subject.placementsOf(item);
  if (placements.length === 0) return undefined;
  return nodeOf(
    condition,
    false,
    placements.map((placement) => ({ placement, condition: placement.entry.condition })),
  );
}

/** Resolving keeps a condition's shape, so that both can be walked side by side. */
function nodeOf(written: Condition, negated: boolean, resolved: ConditionNode["resolved"]): ConditionNode {
  const below = (
    child: Condition,
    part: (condition: ResolvedCondition) => ResolvedCondition | undefined,
    isNegated: boolean,
  ): ConditionNode =>
    nodeOf(
      child,
      isNegated,
      resolved.flatMap(({ placement, condition }) => {
        const found = part(condition);
        return found === undefined ? [] : [{ placement, condition: found }];
      }),
    );
  switch (written.kind) {
    case "test":
      return { written, negated, resolved, children: [] };
    case "not": {
      const child = below(written.item, (one) => (one.kind === "not" ? one.item : undefined), !negated);
      return { written, negated, resolved, children: [child] };
    }
    default: {
      const children = written.items.map((item, index) =>
        below(item, (one) => (one.kind === written.kind ? one.items[index] : undefined), negated),
      );
      return { written, negated, resolved, children };
    }
  }
}

function isTest(node: ConditionNode): node is TestNode {
  return node.written.kind === "test";
}

/** The comparisons of a condition. */
export function testsIn(node: ConditionNode): readonly TestNode[] {
  return isTest(node) ? [node] : node.children.flatMap(testsIn);
}

/** Every comparison of the policy's own selectors. */
export function* ownTests(subject: Subject): Generator<{ readonly item: Item; readonly test: TestNode }> {
  for (const item of subject.items) {
    if (!item.isOwn) continue;
    const node = conditionOf(subject, item);
    if (node === undefined) continue;
    for (const test of testsIn(node)) yield { item, test };
  }
}

/** The name of the argument that a comparison looks at. */
export function argumentOf({ written }: TestNode): string | undefined {
  return written.operand.word.kind === "argument" ? written.operand.word.name : undefined;
}

/**
 * Whether one value more outside what is written makes the rule milder: a rule that refuses where the comparison
 * holds is passed by whatever the comparison misses, one that lets through where it does not hold likewise.
 */
export function missesOpen(rule: Rule, refuses: boolean, { negated }: TestNode, test: Test): boolean {
  return refuses === (isPositive(test) !== negated) && rule.action.kind !== "log";
}

/** Whether a comparison names the values for which it holds, rather than those for which it does not. */
function isPositive(test: Test): boolean {
  switch (test.kind) {
    case "compare":
      return test.operator === "==" || test.operator === "<" || test.operator === "<=";
    case "in":
      return !test.negated;
    default:
      return true;
  }
}

/** The single values that a comparison names: none for ranges and orders. */
export function namedValues(test: Test): readonly Value[] {
  if (test.kind === "compare") return test.operator === "==" || test.operator === "!=" ? [test.value] : [];
  if (test.kind === "in") return test.items.flatMap((one) => (one.low === one.high ? [one.low] : []));
  return [];
}
