/** How a command reads the policies that it is given: `--from`, and what `native` means in them: `--target`. */
import { builtinPolicies, readFormats } from "../formats/index.ts";
import type { LoadOptions } from "../formats/load.ts";
import { abiAdvice } from "../policy/abi-name.ts";
import { type AbiName, abiByName, abis, hostAbi } from "../syscalls/index.ts";
import { nearestName, type ParsedArguments, UsageError, valueOfOption } from "./arguments.ts";

/**
 * @param operand a file, or the name of a built-in policy, which is of our own format whatever the file beside it is
 * @throws UsageError
 */
export function readingOf(parsed: ParsedArguments, operand: string): Pick<LoadOptions, "format" | "target"> {
  const format = formatOf(valueOfOption(parsed, "from"));
  const target = targetOf(parsed);
  return {
    ...(format === undefined || builtinPolicies().includes(operand) ? {} : { format }),
    ...(target === undefined ? {} : { target }),
  };
}

/**
 * The machine that `--target` names; undefined for this one.
 * @throws UsageError
 */
export function targetOf(parsed: ParsedArguments): AbiName | undefined {
  const word = valueOfOption(parsed, "target");
  if (word === undefined || word === "native") return undefined;
  const target = abiByName(word)?.name;
  if (target !== undefined) return target;
  throw new UsageError(`there is no ABI ${JSON.stringify(word)}: ${abiAdvice(word)}`);
}

/**
 * The machine that `--target` names, by default this one.
 * @throws UsageError where this one has no ABI of Linux's that is known
 */
export function requiredTargetOf(parsed: ParsedArguments): AbiName {
  const target = targetOf(parsed) ?? (process.platform === "linux" ? hostAbi() : undefined);
  if (target !== undefined) return target;
  const names = abis.map((one) => one.name).join("|");
  throw new UsageError(`say for which machine, since this one does not run Linux: --target ${names}`);
}

function formatOf(word: string | undefined): (typeof readFormats)[number] | undefined {
  if (word === undefined) return undefined;
  const format = readFormats.find((one) => one === word);
  if (format !== undefined) return format;
  const guess = nearestName(word, readFormats);
  throw new UsageError(
    `policies are not read from ${JSON.stringify(word)}: ${guess === undefined ? `formats are ${readFormats.join(", ")}` : `did you mean ${guess}?`}`,
  );
}
