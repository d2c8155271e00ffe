/** `callgate convert`: a policy from any format that is read to any that is written, and what is lost on the way. */
import { renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import { loadPolicy } from "../../formats/load.ts";
import { writePolicy, writtenFormats } from "../../formats/write.ts";
import { printAction } from "../../policy/action.ts";
import type { Policy } from "../../policy/types.ts";
import { DecompileError, decompile } from "../../proof/decompile.ts";
import { type Difference, UndecidedError } from "../../proof/diff.ts";
import type { AbiName } from "../../syscalls/index.ts";
import { nearestName, type ParsedArguments, UsageError, valueOfOption } from "../arguments.ts";
import { holdsFilters, loadFilters } from "../comparable.ts";
import { print, printError, terminalOptions } from "../output.ts";
import { readingOf } from "../reading.ts";
import { writeFile } from "../replace-file.ts";

export function main(parsed: ParsedArguments): number {
  const [file, ...more] = parsed.operands;
  if (file === undefined) throw new UsageError("the policy is missing: callgate convert FILE --to FORMAT");
  if (more.length > 0) throw new UsageError("convert takes one policy");
  const format = formatOf(valueOfOption(parsed, "to"));
  const reading = readingOf(parsed, file);
  const { target } = reading;
  if (holdsFilters(file)) return convertFilters(parsed, file, format, target);
  const { policy, diagnostics } = loadPolicy(file, reading);
  const told = diagnostics.filter((one) => one.severity !== "note");
  if (told.length > 0) printError(renderDiagnostics(told, terminalOptions(2)));
  if (policy === undefined) return diagnostics.some((one) => one.id === "unreadable") ? 2 : 1;
  return written(parsed, policy, format, target, []);
}

/** A filter becomes the policy that says the same; what a policy cannot say is lost, and named. */
function convertFilters(
  parsed: ParsedArguments,
  file: string,
  format: string,
  target: AbiName | undefined,
): number {
  const filters = loadFilters(file, "convert");
  if (filters === undefined) return 2;
  const losses: Difference[] = [];
  try {
    const policy = decompile(filters, { lost: (difference) => losses.push(difference) });
    return written(parsed, policy, format, target, describeLosses(losses));
  } catch (error) {
    if (!(error instanceof DecompileError) && !(error instanceof UndecidedError)) throw error;
    printError(`callgate convert: ${sanitise(file)} cannot be converted: ${error.message}\n`);
    return error instanceof DecompileError ? 1 : 3;
  }
}

/** A line for each kind of loss; numbers without a call that are answered alike are one, however many ranges they are. */
function describeLosses(losses: readonly Difference[]): readonly string[] {
  const kinds = new Map<string, string[]>();
  for (const { abi, syscall, numbers, condition, before, after } of losses) {
    const range = numbers.from === numbers.to ? `${numbers.from}` : `${numbers.from} to ${numbers.to}`;
    const when = condition === undefined ? "" : `, where ${condition}`;
    const head = abi === undefined ? "architectures without a known ABI" : `${abi} ${syscall ?? "numbers"}`;
    const told = `${when}: the filter says ${printAction(before)}, the policy ${printAction(after)}`;
    const ranges = abi !== undefined && syscall === undefined ? [range] : [];
    const key = `${head}\0${told}`;
    kinds.set(key, [...(kinds.get(key) ?? []), ...ranges]);
  }
  return [...kinds].map(([key, ranges]) => {
    const [head = "", told = ""] = key.split("\0");
    const [first, ...more] = ranges;
    if (first === undefined) return `${head}${told}`;
    return `${head} ${more.length < 4 ? ranges.join(", ") : `${first} and ${more.length} more ranges up to ${more.at(-1)}`}${told}`;
  });
}

function written(
  parsed: ParsedArguments,
  policy: Policy,
  format: string,
  target: AbiName | undefined,
  lost: readonly string[],
): number {
  const { text, losses } = writePolicy(policy, format, target === undefined ? {} : { target });
  const out = valueOfOption(parsed, "output") ?? "-";
  if (out === "-") print(text);
  else {
    const failure = writeFile(out, Buffer.from(text));
    if (failure !== undefined) {
      printError(`callgate convert: cannot write ${sanitise(JSON.stringify(out))}: ${failure}\n`);
      return 2;
    }
  }
  for (const loss of [...lost, ...losses]) printError(`lost: ${sanitise(loss)}\n`);
  return 0;
}

function formatOf(word: string | undefined): string {
  if (word === undefined) throw new UsageError(`say what to convert to: --to ${writtenFormats.join("|")}`);
  if (writtenFormats.includes(word)) return word;
  const guess = nearestName(word, writtenFormats);
  throw new UsageError(
    `policies are not written as ${JSON.stringify(word)}: ${guess === undefined ? `formats are ${writtenFormats.join(", ")}` : `did you mean ${guess}?`}`,
  );
}
