/** `callgate audit`: which known holes of the kernel a policy leaves in reach, and by which call. */
import {
  auditCves,
  type CveAudit,
  cvesDate,
  describeNeed,
  type Passage,
  type PassingCall,
  type ReachableCve,
  type UnreachableCve,
} from "../../audit/index.ts";
import { hasErrors, positionAt, renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import { loadPolicy } from "../../formats/load.ts";
import { resolve } from "../../policy/resolve.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { print, printError, terminalOptions } from "../output.ts";
import { readingOf, requiredTargetOf } from "../reading.ts";

export function main(parsed: ParsedArguments): number {
  const [file, ...more] = parsed.operands;
  if (file === undefined) throw new UsageError("the policy is missing: callgate audit FILE");
  if (more.length > 0) throw new UsageError("audit takes one policy");
  const target = requiredTargetOf(parsed);
  const { policy, diagnostics } = loadPolicy(file, { ...readingOf(parsed, file), target });
  if (policy === undefined || hasErrors(diagnostics)) {
    printError(renderDiagnostics(diagnostics, terminalOptions(2)));
    return 2;
  }
  const { resolved } = resolve(policy, target);
  const asRoot = hasOption(parsed, "as-root");
  const audit = auditCves(resolved, { capabilities: asRoot ? "all" : [] });
  if (hasOption(parsed, "json")) print(`${JSON.stringify(jsonOf(audit), null, 2)}\n`);
  else printAudit(file, audit, hasOption(parsed, "all"));
  return audit.reachable.length === 0 ? 0 : 1;
}

function printAudit(file: string, { reachable, outOfReach }: CveAudit, isAll: boolean): void {
  const total = reachable.length + outOfReach.length;
  for (const one of reachable) {
    print(`${one.cve.id}  ${one.cve.kind}  ${one.cve.summary}\n`);
    for (const passage of one.passages) print(`    ${describePassage(passage)}\n`);
  }
  if (isAll) for (const one of outOfReach) print(`${describeUnreachable(one)}\n`);
  if (reachable.length > 0) print("\n");
  print(
    `${sanitise(file)}: ${reachable.length} of ${total} known kernel holes stay in reach, ${outOfReach.length} are out of reach\n`,
  );
  print(`as published until ${cvesDate}; a kernel that is up to date has them mended\n`);
}

function describePassage({ need, call }: Passage): string {
  const asked = describeNeed(need);
  if (call === undefined) return `${asked}: the program has it`;
  const [, name = ""] = /^(\w+)/.exec(asked) ?? [];
  const other = call.name === name || call.name === "*" ? "" : ` by ${call.name}`;
  const through = call.through === undefined ? "" : ` through ${call.through}`;
  return `${asked}${other}${through}: ${howOf(call)} on ${call.abi}${describeBy(call)}`;
}

function howOf({ how }: PassingCall): string {
  switch (how) {
    case "allowed":
      return "allowed";
    case "asked":
      return "left to a tracer or a supervisor";
    case "undecided":
      return "not shown to be refused";
  }
}

function describeBy({ by }: PassingCall): string {
  if (by === undefined || by === "launch key") return "";
  if (by === "default") return ", by the policy's default";
  if (by === "newer" || by === "other-abis") return `, by ${by}`;
  if (by.span === undefined) return "";
  return `, by ${sanitise(by.span.source.name)}:${positionAt(by.span.source, by.span.start).line}`;
}

function describeUnreachable({ cve, missing }: UnreachableCve): string {
  const needs = [...new Set(missing.map(describeNeed))];
  return `${cve.id}  out of reach without ${needs.join(", nor without ")}`;
}

function jsonOf({ reachable, outOfReach }: CveAudit): object {
  return {
    date: cvesDate,
    reachable: reachable.map(jsonOfReachable),
    outOfReach: outOfReach.map(({ cve, missing }) => ({
      id: cve.id,
      kind: cve.kind,
      summary: cve.summary,
      missing: missing.map(describeNeed),
    })),
  };
}

function jsonOfReachable({ cve, passages }: ReachableCve): object {
  return {
    id: cve.id,
    kind: cve.kind,
    confidence: cve.confidence,
    summary: cve.summary,
    fixedIn: cve.fixedIn ?? null,
    passages: passages.map(({ need, call }) => ({
      need: describeNeed(need),
      call:
        call === undefined
          ? null
          : {
              abi: call.abi,
              syscall: call.name,
              through: call.through ?? null,
              how: call.how,
              ...byOf(call),
            },
    })),
  };
}

function byOf({ by }: PassingCall): object {
  if (typeof by !== "object") return { by: by ?? null, file: null, line: null };
  const file = by.span?.source.name ?? null;
  const line = by.span === undefined ? null : positionAt(by.span.source, by.span.start).line;
  return { by: "rule", file, line };
}
