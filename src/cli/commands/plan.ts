/** `callgate plan`: what `run` would do with the same options, step by step. */
import { describePlan, planFacts } from "../../sandbox/describe.ts";
import { hasOption, type ParsedArguments } from "../arguments.ts";
import { directCaller } from "../caller.ts";
import { print } from "../output.ts";
import { planOfCommandLine } from "../run-plan.ts";

export function main(parsed: ParsedArguments): number {
  const found = planOfCommandLine(parsed, directCaller);
  if (typeof found === "string") return found === "unreadable" ? 2 : 1;
  const { plan, policy } = found;
  print(
    hasOption(parsed, "json")
      ? `${JSON.stringify(planFacts(plan, policy), null, 2)}\n`
      : describePlan(plan, policy),
  );
  return 0;
}
