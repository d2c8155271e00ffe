/** A condition that lets some calls through, while a later rule lets all the others through as well. */
import { describeInstead } from "../describe-rules.ts";
import { at } from "../edits.ts";
import type { Lint } from "../lint.ts";
import { redundantItems } from "../reach.ts";

export const idleCondition: Lint = {
  documentation: {
    id: "idle-condition",
    severity: "warning",
    what: "A condition keeps nothing out: later rules let through every call that it excludes as well.",
    why: "A rule with a condition speaks of the calls for which it holds, and says nothing of the others: they go on to the next rule. `allow clone(!(flags & CLONE_NEWUSER))` keeps nobody from CLONE_NEWUSER when a group below allows clone. What is to be kept out needs a rule that refuses it, above.",
    example: "allow clone(!(flags & CLONE_NEWUSER))\nallow @default, @process",
    instead: "deny clone(flags & CLONE_NEWUSER)\nallow @default, @process",
  },
  check: (subject) =>
    redundantItems(subject).flatMap(({ item, instead, keepsNothingOut }) => {
      const rules = instead.filter((one) => one !== "fallback");
      if (!keepsNothingOut || rules.length === 0) return [];
      return [
        {
          message: `this condition keeps nothing out: ${describeInstead(subject, rules, item.rule)} for the other calls too`,
          label: "refuse what it excludes, above",
          ...at(item.single.span),
        },
      ];
    }),
};
