/** `callgate fmt`: lays out the rule blocks of TOML policies, and leaves everything else as it is. */
import {
  type Diagnostic,
  hasErrors,
  renderDiagnostics,
  type Source,
  sanitise,
} from "../../diagnostics/index.ts";
import { unfitText } from "../../formats/limits.ts";
import { readText, unreadable } from "../../formats/load.ts";
import { parseTomlDocument } from "../../formats/toml.ts";
import type { DocumentNode, TableNode } from "../../policy/document.ts";
import { parseRules } from "../../policy/parser.ts";
import { printRule } from "../../policy/printer.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { formatRules } from "../format-rules.ts";
import { print, printError, terminalOptions } from "../output.ts";
import { rewritePolicy } from "../rewrite-policy.ts";

export function main(parsed: ParsedArguments): number {
  if (parsed.operands.length === 0) throw new UsageError("the policy is missing: callgate fmt FILE…");
  const statuses = parsed.operands.map((file) => formatFile(file, hasOption(parsed, "check")));
  return Math.max(...statuses);
}

function formatFile(file: string, isChecking: boolean): number {
  const found = readText(file);
  if (typeof found === "string") return fail([unreadable(file, found)], 2);
  const { text } = found;
  const { formatted, diagnostics } = formatPolicy({ name: found.filename, text });
  if (formatted === undefined) return fail(diagnostics, 1);
  if (isChecking) {
    if (formatted === text) return 0;
    print(`${sanitise(found.filename)} is not formatted\n`);
    return 1;
  }
  if (file === "-") print(formatted);
  else if (formatted !== text) {
    const failure = rewritePolicy(file, formatted);
    if (failure !== undefined) {
      const message = `cannot write ${JSON.stringify(file)}: ${failure}`;
      return fail([{ id: "unwritable", severity: "error", message }], 2);
    }
    print(`${sanitise(found.filename)} formatted\n`);
  }
  return 0;
}

function fail(diagnostics: readonly Diagnostic[], status: number): number {
  printError(renderDiagnostics(diagnostics, terminalOptions(2)));
  return status;
}

/** The text with its rule blocks laid out; undefined where it has mistakes, since their layout is a guess. */
export function formatPolicy(source: Source): {
  readonly formatted: string | undefined;
  readonly diagnostics: readonly Diagnostic[];
} {
  const unfit = unfitText(source);
  if (unfit !== undefined) return { formatted: undefined, diagnostics: [unfit] };
  const { root, diagnostics } = parseTomlDocument(source);
  if (root === undefined) return { formatted: undefined, diagnostics };
  const blocks = blocksOf(root, source);
  const found = [...diagnostics, ...blocks.flatMap((block) => parseRules(block.rules).diagnostics)];
  if (hasErrors(found)) return { formatted: undefined, diagnostics: found };
  let formatted = source.text;
  for (const { start, end } of blocks.sort((a, b) => b.start - a.start)) {
    const before = source.text.slice(start, end);
    const after = formatRules(before);
    // The layout of a block is not worth a rule: what would read differently stays as it is.
    if (isSame(before, after)) formatted = formatted.slice(0, start) + after + formatted.slice(end);
  }
  return { formatted, diagnostics: found };
}

function isSame(before: string, after: string): boolean {
  const [a, b] = [before, after].map((text) => {
    const { rules, diagnostics } = parseRules({ text });
    return [...rules.map(printRule), ...diagnostics.map((one) => one.message)].join("\n");
  });
  return a === b;
}

interface Block {
  readonly rules: Parameters<typeof parseRules>[0];
  /** Of its content in the file. */
  readonly start: number;
  readonly end: number;
}

/** The strings of several lines that hold rules. */
function blocksOf(root: TableNode, source: Source): Block[] {
  const syscalls = root.entries.get("syscalls")?.value;
  const inSection = syscalls?.kind === "table" ? syscalls : undefined;
  return [
    root.entries.get("expect")?.value,
    inSection?.entries.get("require")?.value,
    inSection?.entries.get("rules")?.value,
  ].flatMap((node) => (node === undefined ? [] : blocksIn(node, source)));
}

function blocksIn(node: DocumentNode, source: Source): Block[] {
  if (node.kind === "array") return node.items.flatMap((item) => blocksIn(item, source));
  if (node.kind !== "string" || node.span === undefined) return [];
  const whole = source.text.slice(node.span.start, node.span.end);
  // Escapes would have to be written again: such blocks stay as they are.
  const isPlain = whole.startsWith("'''") || (whole.startsWith('"""') && !whole.includes("\\"));
  if (!isPlain) return [];
  const newline = /^...\r?\n/.exec(whole)?.[0].length;
  const start = node.span.start + (newline ?? 3);
  return [{ rules: node.text, start, end: node.span.end - 3 }];
}
