/** `callgate merge`: a stack of filters as one filter that is proved to answer as they do together. */
import type { Filter } from "../../bpf/index.ts";
import { ProofError, TooLargeError } from "../../compiler/index.ts";
import { MergeError, merge } from "../../compiler/merge.ts";
import { counted } from "../../diagnostics/words.ts";
import { abiByName } from "../../syscalls/index.ts";
import { type ParsedArguments, UsageError } from "../arguments.ts";
import { loadFilters } from "../comparable.ts";
import { filterOutput, writeFilter } from "../filter-output.ts";
import { printError } from "../output.ts";

export async function main(parsed: ParsedArguments): Promise<number> {
  if (parsed.operands.length === 0)
    throw new UsageError("the filters are missing: callgate merge FILTER…, the oldest first");
  const output = filterOutput(parsed);
  const filters: Filter[] = [];
  for (const operand of parsed.operands) {
    const loaded = loadFilters(operand, "merge");
    if (loaded === undefined) return 2;
    filters.push(...loaded);
  }
  const merged = mergedOf(filters, output);
  if (typeof merged === "number") return merged;
  const sizes = filters.map(({ instructions }) => instructions.length);
  const title = `${counted(filters.length, "filter")} of ${sizes.join(" + ")} instructions`;
  return writeFilter(output, merged, {
    title,
    provedEqualTo: filters.length === 1 ? "it" : "them together",
    machine: abiByName(output.target)?.machine ?? "x86_64",
    constants: [],
  });
}

/** The filter, or the exit status where there is none. */
function mergedOf(
  filters: readonly Filter[],
  { target, optimize }: ReturnType<typeof filterOutput>,
): Filter | number {
  try {
    return merge(filters, { target, optimize });
  } catch (error) {
    if (!(error instanceof MergeError || error instanceof TooLargeError || error instanceof ProofError))
      throw error;
    printError(`callgate merge: ${error.message}\n`);
    return error instanceof TooLargeError ? 1 : 3;
  }
}
