/** `callgate policies`: the built-in policies, one of them as it is written, or the schema for editors. */
import { builtinPolicies, builtinPolicyText } from "../../formats/index.ts";
import { hasOption, nearestName, type ParsedArguments, UsageError } from "../arguments.ts";
import { print } from "../output.ts";

export async function main(parsed: ParsedArguments): Promise<number> {
  const [name, ...more] = parsed.operands;
  if (more.length > 0) throw new UsageError("policies takes one name at most");
  if (hasOption(parsed, "schema")) {
    if (name !== undefined) throw new UsageError("--schema is the same for all policies: it takes no name");
    const { policySchema } = await import("../../policy/schema.ts");
    print(`${JSON.stringify(policySchema(), null, 2)}\n`);
    return 0;
  }
  if (name !== undefined) return printPolicy(name, hasOption(parsed, "json"));
  const policies = builtinPolicies().map((one) => ({ name: one, summary: summaryOf(one) }));
  if (hasOption(parsed, "json")) {
    print(`${JSON.stringify(policies, null, 2)}\n`);
    return 0;
  }
  const width = Math.max(...policies.map((one) => one.name.length));
  for (const one of policies) print(`${one.name.padEnd(width)}  ${one.summary}\n`);
  return 0;
}

function printPolicy(name: string, asJson: boolean): number {
  const text = builtinPolicyText(name);
  if (text === undefined) {
    const guess = nearestName(name, builtinPolicies());
    const advice =
      guess === undefined ? `they are ${builtinPolicies().join(", ")}` : `did you mean ${guess}?`;
    throw new UsageError(`there is no built-in policy ${JSON.stringify(name)}: ${advice}`);
  }
  print(asJson ? `${JSON.stringify({ name, summary: summaryOf(name), text }, null, 2)}\n` : text);
  return 0;
}

/** A built-in policy begins with `# The policy "NAME": what it is for.` */
function summaryOf(name: string): string {
  const [first = ""] = (builtinPolicyText(name) ?? "").split("\n");
  return first.replace(/^# The policy "[^"]*": /, "").split(/\.(?: |$)/, 1)[0] ?? "";
}
