/** Where `compile` and `merge` put filters: to a file or standard output, in one of three forms. */
import type { Filter } from "../bpf/index.ts";
import type { CompileOptions } from "../compiler/index.ts";
import { sanitise } from "../diagnostics/index.ts";
import { counted } from "../diagnostics/words.ts";
import type { AbiName } from "../syscalls/index.ts";
import { nearestName, type ParsedArguments, UsageError, valueOfOption } from "./arguments.ts";
import type { FilterOrigin } from "./filter-text.ts";
import { print, printBytes, printError, terminalOptions } from "./output.ts";
import { requiredTargetOf } from "./reading.ts";
import { writeFile } from "./replace-file.ts";

const formats = ["bpf", "asm", "c"] as const;

/** What the filter is made for; the compiler's own words. */
const optimizations = ["kernel", "size", "classic"] as const satisfies readonly CompileOptions["optimize"][];

/** What the options say of the filter that is wanted. */
export interface FilterOutput {
  readonly format: (typeof formats)[number];
  readonly optimize: (typeof optimizations)[number];
  readonly target: AbiName;
  /** `-`: standard output. */
  readonly out: string;
}

/** @throws UsageError */
export function filterOutput(parsed: ParsedArguments): FilterOutput {
  const format = wordOf("format", valueOfOption(parsed, "format") ?? "bpf", formats);
  const optimize = wordOf("optimization", valueOfOption(parsed, "optimize") ?? "kernel", optimizations);
  const target = requiredTargetOf(parsed);
  const out = valueOfOption(parsed, "output") ?? "-";
  if (format === "bpf" && out === "-" && terminalOptions(1).terminal)
    throw new UsageError(
      "a filter is not text: write it to a file (-o FILE) or a pipe, or read it with --format asm",
    );
  return { format, optimize, target, out };
}

/** Writes a filter, and says on standard error what was written to a file. The exit status. */
export async function writeFilter(
  { format, out }: Pick<FilterOutput, "format" | "out">,
  filter: Filter,
  origin: FilterOrigin,
): Promise<number> {
  const content = await contentOf(format, filter, origin);
  if (out === "-") {
    if (typeof content === "string") print(content);
    else printBytes(content);
    return 0;
  }
  const failure = writeFile(out, content);
  if (failure !== undefined) {
    printError(`callgate: cannot write ${sanitise(JSON.stringify(out))}: ${failure}\n`);
    return 2;
  }
  const size = counted(filter.instructions.length, "instruction");
  printError(`${sanitise(out)}: ${size}, proved equal to ${origin.provedEqualTo}\n`);
  return 0;
}

async function contentOf(
  format: FilterOutput["format"],
  filter: Filter,
  origin: FilterOrigin,
): Promise<string | Uint8Array> {
  if (format === "bpf") return filter.bytes;
  // What a listing needs is loaded for those who read one.
  const { assemblyText, cText } = await import("./filter-text.ts");
  return format === "asm" ? assemblyText(filter, origin) : cText(filter, origin);
}

function wordOf<Word extends string>(what: string, word: string, known: readonly Word[]): Word {
  const found = known.find((one) => one === word);
  if (found !== undefined) return found;
  const guess = nearestName(word, known);
  throw new UsageError(
    `there is no ${what} ${JSON.stringify(word)}: ${guess === undefined ? `${what}s are ${known.join(", ")}` : `did you mean ${guess}?`}`,
  );
}
