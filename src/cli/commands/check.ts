/** `callgate check`: reads policies, lints, compiles and proves them, and reports every mistake. */
import {
  applyFixes,
  type Diagnostic,
  diagnosticsToJson,
  hasErrors,
  listWords,
  renderDiagnostics,
  type Source,
  sanitise,
} from "../../diagnostics/index.ts";
import { countedMistakes } from "../../diagnostics/words.ts";
import {
  builtinName,
  builtinPolicies,
  type FoundPolicy,
  inTextOrder,
  isLxcProfile,
} from "../../formats/index.ts";
import { findText, readFoundPartly, standardInput, unreadable } from "../../formats/load.ts";
import type { Policy } from "../../policy/types.ts";
import { hasOption, nearestName, type ParsedArguments, UsageError, valueOfOption } from "../arguments.ts";
import { print, printError, terminalOptions } from "../output.ts";
import { readingOf } from "../reading.ts";
import { version } from "../version.ts";

const formats = ["text", "json", "github", "sarif"] as const;
type Format = (typeof formats)[number];

export async function main(parsed: ParsedArguments): Promise<number> {
  if (parsed.operands.length === 0) throw new UsageError("the policy is missing: callgate check FILE…");
  const format = formatOf(parsed);
  const isFixing = hasOption(parsed, "fix");
  const diagnostics: Diagnostic[] = [];
  for (const file of parsed.operands)
    diagnostics.push(...(await checkOperand(file, readingOf(parsed, file), isFixing)));
  await report(format, diagnostics, parsed.operands);
  if (diagnostics.some((one) => one.id === "unreadable" || one.id === "unwritable")) return 2;
  return hasErrors(diagnostics) ? 1 : 0;
}

function formatOf(parsed: ParsedArguments): Format {
  const asked = valueOfOption(parsed, "format");
  if (asked === undefined) return hasOption(parsed, "json") ? "json" : "text";
  const format = formats.find((one) => one === asked);
  if (format === undefined) {
    const guess = nearestName(asked, formats);
    throw new UsageError(
      `there is no format ${JSON.stringify(asked)}: ${guess === undefined ? `formats are ${formats.join(", ")}` : `did you mean ${guess}?`}`,
    );
  }
  if (format !== "json" && hasOption(parsed, "json"))
    throw new UsageError(`--json and --format ${format} cannot both be had`);
  return format;
}

type Reading = ReturnType<typeof readingOf>;

async function checkOperand(
  operand: string,
  reading: Reading,
  isFixing: boolean,
): Promise<readonly Diagnostic[]> {
  const found = findText(operand);
  if (typeof found === "string") return [unreadable(operand, found)];
  const diagnostics = await checkText(found, reading);
  if (!isFixing || !isFile(found.filename)) return diagnostics;
  return fixFile(operand, found, reading, diagnostics);
}

async function checkText(found: FoundPolicy, reading: Reading): Promise<readonly Diagnostic[]> {
  const { policy, diagnostics, sound } = readFoundPartly(found, reading);
  if (policy === undefined && sound === undefined) return mended(diagnostics);
  // Lints are about our own language, and their fixes about its text.
  if (isLxcProfile(found.text, reading.format)) return diagnostics;
  const { lint, lintSound } = await import("../../lint/index.ts");
  const options = {
    isOwn: (source: Source): boolean => source.name === found.filename,
    ...(reading.target === undefined ? {} : { target: reading.target }),
  };
  if (policy === undefined) {
    const told = sound === undefined ? [] : lintSound(sound, options);
    return inTextOrder([...(await mended(diagnostics)), ...told]);
  }
  const linted = [...(await mended(diagnostics)), ...lint(policy, options)];
  return hasErrors(linted) || !mayBeTooLarge(policy)
    ? linted
    : [...linted, ...(await compileErrors(policy, reading))];
}

/** What the readers found, with fixes; most policies have nothing to be mended, and need not load what does it. */
async function mended(diagnostics: readonly Diagnostic[]): Promise<readonly Diagnostic[]> {
  if (diagnostics.length === 0) return diagnostics;
  const { withFix } = await import("../../lint/mend.ts");
  return diagnostics.map(withFix);
}

/** More rounds than this are not needed: a fix that waits for another one is rare, and three deep unheard of. */
const mostRounds = 10;

/**
 * Carries out the fixes round by round, since fixes that touch each other wait for the next one. A round that
 * brings new errors is not kept, and the file is written once, when the last one has been read again.
 */
async function fixFile(
  operand: string,
  found: FoundPolicy,
  reading: Reading,
  diagnostics: readonly Diagnostic[],
): Promise<readonly Diagnostic[]> {
  let { text } = found;
  let left = diagnostics;
  let count = 0;
  for (let round = 0; round < mostRounds; round++) {
    const fixed = applyFixes(left, { name: found.filename, text });
    if (fixed.applied.length === 0 || fixed.text === text) break;
    const again = await checkText({ ...found, text: fixed.text }, reading);
    if (countErrors(again) > countErrors(left)) break;
    text = fixed.text;
    left = again;
    count += fixed.applied.length;
  }
  if (count === 0) return left;
  const { rewritePolicy } = await import("../rewrite-policy.ts");
  const failure = rewritePolicy(operand, text);
  if (failure !== undefined) {
    const message = `cannot write ${JSON.stringify(operand)}: ${failure}`;
    return [...diagnostics, { id: "unwritable", severity: "error", message }];
  }
  printError(`${sanitise(operand)}: ${count === 1 ? "1 fix" : `${count} fixes`} made\n`);
  return left;
}

function countErrors(diagnostics: readonly Diagnostic[]): number {
  return diagnostics.filter((one) => one.severity === "error").length;
}

/** Built-in policies and standard input have names in messages too, but no file. */
function isFile(name: string): boolean {
  return name !== standardInput && !builtinPolicies().some((one) => builtinName(one) === name);
}

async function report(
  format: Format,
  diagnostics: readonly Diagnostic[],
  operands: readonly string[],
): Promise<void> {
  const errors = countErrors(diagnostics);
  const warnings = diagnostics.filter((one) => one.severity === "warning").length;
  switch (format) {
    case "json": {
      const found = diagnosticsToJson(diagnostics);
      print(`${JSON.stringify({ ok: errors === 0, errors, warnings, diagnostics: found }, null, 2)}\n`);
      return;
    }
    case "github": {
      const { renderGithub } = await import("../../diagnostics/render-github.ts");
      print(renderGithub(diagnostics, isFile));
      return;
    }
    case "sarif": {
      const { renderSarif } = await import("../../diagnostics/render-sarif.ts");
      const { documentationOf } = await import("../../lint/documentation.ts");
      print(`${renderSarif(diagnostics, { version, documentationOf, isFile })}\n`);
      return;
    }
    case "text": {
      print(renderDiagnostics(diagnostics, terminalOptions(1)));
      const found = countedMistakes(errors, warnings);
      print(`${found || `${listWords(operands, "and")}: no mistakes found`}\n`);
    }
  }
}

/** A filter has 4,096 instructions at most; policies of ordinary size stay far below, and checking them is quicker without. */
function mayBeTooLarge({ syscalls }: Policy): boolean {
  return syscalls.rules.length + syscalls.require.length > 200;
}

/** What only compiling shows: a policy that takes more than one filter. */
async function compileErrors(policy: Policy, { target }: Reading): Promise<readonly Diagnostic[]> {
  const { compile, ProofError, TooLargeError } = await import("../../compiler/index.ts");
  try {
    compile(policy, target === undefined ? {} : { target });
    return [];
  } catch (error) {
    if (error instanceof TooLargeError)
      return [
        {
          id: "filter-too-large",
          severity: "warning",
          message: `${error.message}: run starts programs under several filters; whoever takes one filter (a container, a report) cannot use this policy`,
        },
      ];
    if (error instanceof ProofError) return [{ id: "not-proved", severity: "error", message: error.message }];
    throw error;
  }
}
