/** `callgate inspect`: what filters do, whoever made them: those in a file, of a process, or of what a command starts. */
import { disassemble, type Filter, format } from "../../bpf/index.ts";
import { sanitise } from "../../diagnostics/index.ts";
import { counted } from "../../diagnostics/words.ts";
import { UndecidedError } from "../../proof/diff.ts";
import { type InspectedAbi, type Inspection, inspectFilters } from "../../proof/inspect.ts";
import { findProgram } from "../../sandbox/find-program.ts";
import { observeFilters } from "../../sandbox/process-filters.ts";
import { type Abi, abis, hostAbi } from "../../syscalls/index.ts";
import { annotateFilter } from "../annotate-filter.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { loadFilters } from "../comparable.ts";
import { launchKeyNote, readLiveFilters, withoutKeys } from "../live-filters.ts";
import { print, printError } from "../output.ts";

/** Filters that hold together, and whose they are. */
interface Subject {
  readonly title: string;
  readonly filters: readonly Filter[];
  /** Whether a rule for the launch key is left out of them. */
  readonly launchKey?: boolean;
}

export function main(parsed: ParsedArguments): number {
  const subjects = subjectsOf(parsed);
  if (subjects === undefined) return 2;
  const machine = abis.find(({ name }) => name === hostAbi())?.machine ?? "x86_64";
  const asJson = hasOption(parsed, "json");
  let status = 0;
  for (const [index, subject] of subjects.entries()) {
    if (index > 0 && !asJson) print("\n");
    status = Math.max(status, show(subject, machine, asJson, hasOption(parsed, "asm")));
  }
  return status;
}

/** What is to be inspected; undefined where it could not be read, and then it has been said why. */
function subjectsOf(parsed: ParsedArguments): readonly Subject[] | undefined {
  const dashes = process.argv.indexOf("--");
  if (dashes !== -1) return observed(process.argv.slice(dashes + 1));
  const [operand, ...more] = parsed.operands;
  if (operand === undefined || more.length > 0)
    throw new UsageError(
      "inspect takes a file, a process or a command: callgate inspect FILE|PID, or -- CMD",
    );
  if (/^\d+$/.test(operand)) return ofProcess(operand);
  const filters = loadFilters(operand, "inspect");
  return filters === undefined ? undefined : [{ title: sanitise(operand), filters }];
}

function ofProcess(pid: string): readonly Subject[] | undefined {
  const live = readLiveFilters(pid);
  if ("problem" in live) return refuse(live.problem);
  return [{ title: `pid ${pid}  ${live.name}`, filters: live.filters, launchKey: live.launchKey }];
}

function observed([command, ...args]: readonly string[]): readonly Subject[] | undefined {
  if (command === undefined) throw new UsageError("the command is missing: callgate inspect -- CMD");
  const program = findProgram(command, process.env["PATH"]);
  if (program.kind !== "found") return refuse(program.message);
  const result = observeFilters(program.path.toString(), args);
  if ("problem" in result)
    return refuse(`${result.problem}; reading filters needs root, outside of any filter`);
  const subjects: Subject[] = [];
  const seen = new Set<string>();
  for (const { pid, name, filters } of result.processes) {
    // Threads and workers mostly have their parent's filters.
    const key = Buffer.concat(filters.map((filter) => filter.bytes)).toString("latin1");
    if (!seen.has(key)) subjects.push({ title: `pid ${pid}  ${sanitise(name)}`, ...withoutKeys(filters) });
    seen.add(key);
  }
  if (subjects.length === 0) return refuse("the command has ended, and no process of it had a filter");
  return subjects;
}

function refuse(message: string): undefined {
  printError(`callgate inspect: ${message}\n`);
}

function show(
  { title, filters, launchKey = false }: Subject,
  machine: Abi["machine"],
  asJson: boolean,
  listing: boolean,
): number {
  const inspection = inspected(filters, machine);
  if (asJson) {
    print(
      `${JSON.stringify({ title, launchKey, ...(typeof inspection === "string" ? { undecided: inspection } : inspection), filters: filters.map((filter, index) => ({ ...(typeof inspection === "string" ? { instructions: filter.instructions.length } : inspection.filters[index]), bytes: Buffer.from(filter.bytes).toString("hex") })) })}\n`,
    );
    return typeof inspection === "string" ? 3 : 0;
  }
  const sizes = instructionsOf(filters.map(({ instructions }) => instructions.length));
  const wins = filters.length > 1 ? ", strictest answer wins" : "";
  print(`${title}  ${counted(filters.length, "filter")}, ${sizes}${wins}\n`);
  if (typeof inspection === "string") print(`not decided  ${inspection}\n`);
  else print(textOfInspection(inspection));
  if (launchKey) print(`${"launch key".padEnd(12)}${launchKeyNote}\n`);
  if (listing)
    for (const [index, { instructions }] of filters.entries()) {
      print(`\nfilter ${index + 1}${index === 0 && filters.length > 1 ? ", the oldest" : ""}\n`);
      print(format(disassemble(instructions, { annotate: annotateFilter(instructions, machine) })));
    }
  return typeof inspection === "string" ? 3 : 0;
}

/** So many numbers are read one by one. */
const mostCounted = 6;

/** `65 instructions`, `312 + 54 instructions`: of few filters each, of many their sum. */
function instructionsOf(counts: readonly number[]): string {
  const sum = counts.reduce((total, one) => total + one, 0);
  return counts.length > 1 && counts.length <= mostCounted
    ? `${counts.join(" + ")} instructions`
    : counted(sum, "instruction");
}

function inspected(filters: readonly Filter[], machine: Abi["machine"]): Inspection | string {
  try {
    return inspectFilters(filters, machine);
  } catch (error) {
    if (error instanceof UndecidedError) return error.message;
    throw error;
  }
}

function textOfInspection({ filters, abis: all, otherArchitectures, weaknesses }: Inspection): string {
  const lines: string[] = [];
  const row = (head: string, text: string): number => lines.push(`${head.padEnd(12)}${text}`);
  const [native, ...others] = all;
  if (native !== undefined) describeAbi(native, row, "");
  for (const abi of others) {
    if (
      native !== undefined &&
      JSON.stringify({ ...abi, abi: "" }) === JSON.stringify({ ...native, abi: "" })
    )
      row(abi.abi, `as ${native.abi}`);
    else describeAbi(abi, row, `${abi.abi} `);
  }
  row("other ABIs", otherArchitectures);
  row("paths", `at most ${instructionsOf(filters.map((one) => one.longestPath))} for a call`);
  if (native !== undefined)
    row(
      "cache",
      `${native.cached} calls of ${native.abi} are never shown to the filters: the kernel knows that they are allowed`,
    );
  for (const { message, remedy, witness } of weaknesses)
    lines.push(`weakness    ${message}`, `            e.g. ${witness} passes; ${remedy}`);
  return `${lines.join("\n")}\n`;
}

function describeAbi(
  { always, conditional, unknownNumbers }: InspectedAbi,
  row: (head: string, text: string) => number,
  prefix: string,
): void {
  const refused = Object.entries(always).filter(([action]) => action !== "allow");
  const count = refused.reduce((sum, [, names]) => sum + names.length, 0);
  const allowed = always["allow"]?.length ?? 0;
  if (allowed === 0 && conditional.length === 0 && refused.length === 1) {
    row(prefix.trim() === "" ? "refuses" : prefix.trim(), `every call: ${refused[0]?.[0] ?? ""}`);
    return;
  }
  row(`${prefix}allows`, `${counted(allowed, "call")} always · ${conditional.length} under conditions`);
  const parts = refused
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([action, names]) =>
      names.length <= 6 ? `${action} ${names.length} (${names.join(", ")})` : `${action} ${names.length}`,
    );
  row(
    `${prefix}refuses`,
    count === 0 ? "no call always" : `${counted(count, "call")} always: ${parts.join(", ")}`,
  );
  row(`${prefix}unknown`, `numbers that no call has: ${unknownNumbers}`);
  const width = Math.max(14, ...conditional.map(({ syscall }) => syscall.length));
  for (const { syscall, cases } of conditional)
    for (const [index, { condition, action }] of cases.entries())
      row(
        "",
        `${(index === 0 ? syscall : "").padEnd(width)}  ${condition === "else" ? "else" : `if ${condition}`}: ${action}`,
      );
}
