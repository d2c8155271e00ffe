/** `callgate doctor`: what this kernel and system can do, what is missing, and the fix. */
import { sanitise } from "../../diagnostics/index.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { type Finding, findings, isUsable } from "../doctor/checks.ts";
import { type Facts, gatherFacts } from "../doctor/facts.ts";
import { fixScript } from "../doctor/fixes.ts";
import { wrap } from "../help.ts";
import { print, printError, terminalOptions } from "../output.ts";

export function main(parsed: ParsedArguments): number {
  if (parsed.operands.length > 0) throw new UsageError("doctor takes no operands");
  if (hasOption(parsed, "json") && hasOption(parsed, "fix"))
    throw new UsageError("--json has the fixes in it: it goes without --fix");
  const facts = gatherFacts();
  const found = findings(facts);
  if (hasOption(parsed, "json")) print(`${JSON.stringify(jsonOf(facts, found), null, 2)}\n`);
  else if (hasOption(parsed, "fix")) printFixes(found);
  else printFindings(found);
  return isUsable(found) ? 0 : 1;
}

const marks: Readonly<Record<Finding["status"], string>> = { ok: "ok", missing: "missing", note: "note" };

function printFindings(found: readonly Finding[]): void {
  const { colour, width } = terminalOptions(1);
  const colours: Readonly<Record<Finding["status"], string>> = { ok: "32", missing: "33", note: "2" };
  const title = Math.max(...found.map(({ id }) => id.length)) + 2;
  const indent = title + 9;
  for (const { id, status, says, fix } of found) {
    const mark = marks[status].padEnd(9);
    const shown = colour ? `\u001b[${colours[status]}m${mark}\u001b[0m` : mark;
    const body = (text: string): string =>
      wrap(sanitise(text), Math.max(width, indent + 20), " ".repeat(indent));
    print(`${id.padEnd(title)}${shown}${body(says).slice(indent)}\n`);
    if (fix !== undefined) print(`${body(`→ ${fix.advice}`)}\n`);
  }
  const lacking = found.filter((one) => one.status === "missing");
  const needed = lacking.filter((one) => one.needed);
  if (needed.length > 0)
    print(
      `\ncallgate run cannot work here before this is mended: ${needed.map((one) => one.id).join(", ")}\n`,
    );
  else if (lacking.length === 0) print("\neverything that callgate can use is there\n");
  else print("\ncallgate run works here; what is missing, only policies that ask for it need\n");
}

function printFixes(found: readonly Finding[]): void {
  const fixes = found.flatMap(({ id, fix }) => (fix === undefined ? [] : [{ id, fix }]));
  if (fixes.length === 0) printError("callgate doctor: there is nothing to mend\n");
  else print(`# Nothing was changed. Read this, then give it to a shell as root.\n\n${fixScript(fixes)}`);
}

function jsonOf(facts: Facts, found: readonly Finding[]): object {
  return {
    usable: isUsable(found),
    kernel: facts.release,
    abi: facts.abi ?? null,
    container: facts.container ?? null,
    answers: Object.fromEntries(facts.answers),
    settings: Object.fromEntries(facts.settings),
    cgroups: facts.cgroups,
    lxc: facts.lxc ?? null,
    libseccomp: facts.libseccomp ?? null,
    findings: found.map(({ fix, ...one }) => ({ ...one, fix: fix ?? null })),
  };
}
