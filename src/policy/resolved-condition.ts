/** What is in a resolved condition, whatever its outcome. */
import type { Field, ResolvedCondition } from "./resolved.ts";

/** The field of each comparison in it, in their order; one that is compared twice is there twice. */
export function fieldsOf(condition: ResolvedCondition): readonly Field[] {
  switch (condition.kind) {
    case "and":
    case "or":
      return condition.items.flatMap(fieldsOf);
    case "not":
      return fieldsOf(condition.item);
    case "test":
      return [condition.field];
    default:
      return [];
  }
}

/** Whether some of it lies where no filter sees it. */
export function hasUnknown(condition: ResolvedCondition): boolean {
  switch (condition.kind) {
    case "and":
    case "or":
      return condition.items.some(hasUnknown);
    case "not":
      return hasUnknown(condition.item);
    default:
      return condition.kind === "unknown";
  }
}
