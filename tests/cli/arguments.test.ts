/** Command lines are read as Node's own reader reads them: every list of up to three words, of all kinds of words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseArgs } from "node:util";
import {
  type ArgumentRules,
  nearestName,
  type OptionSpec,
  type ParsedArguments,
  parseArguments,
  UsageError,
} from "../../src/cli/arguments.ts";

const options: readonly OptionSpec[] = [
  { name: "json", short: "j", help: "" },
  { name: "quiet", short: "q", help: "" },
  { name: "output", short: "o", value: "FILE", help: "" },
  { name: "abi", value: "NAME", help: "" },
];
const words =
  "a - -- --json --json=x --abi --abi= --abi=x=y --nothing --nothing=x -j -jq -jo -jox -o -ox -oj -x -jx --= --=x ---".split(
    " ",
  );

/** The same by Node's reader. */
function byNode(args: readonly string[], { stopAtOperand }: ArgumentRules): ParsedArguments {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      options.map(({ name, short, value }) => [
        name,
        {
          type: value === undefined ? ("boolean" as const) : ("string" as const),
          multiple: true,
          ...(short === undefined ? {} : { short }),
        },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given: { name: string; value: string }[] = [];
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind !== "option") {
      const from = token.kind === "positional" ? token.index : token.index + 1;
      if (stopAtOperand) return { given, operands: args.slice(from) };
      if (token.kind === "positional") operands.push(token.value);
      continue;
    }
    const { rawName, value, inlineValue } = token;
    const spec = options.find(({ name }) => name === token.name);
    if (spec === undefined) {
      const guess = nearestName(
        rawName,
        options.map(({ name }) => `--${name}`),
      );
      throw new UsageError(
        `there is no option ${rawName}${guess === undefined ? "" : `: did you mean ${guess}?`}`,
      );
    }
    if (spec.value === undefined && value !== undefined) throw new UsageError(`${rawName} takes no value`);
    if (spec.value !== undefined && (value === undefined || (inlineValue !== true && /^-./.test(value)))) {
      const hint =
        value === undefined || value === "--"
          ? ""
          : ` (one that begins with - is written --${spec.name}=${value})`;
      throw new UsageError(`${rawName} needs a value: ${rawName} ${spec.value}${hint}`);
    }
    given.push({ name: spec.name, value: value ?? "" });
  }
  return { given, operands };
}

function outcome(read: () => ParsedArguments): ParsedArguments | string {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return error.message;
  }
}

for (const stopAtOperand of [false, true])
  test(`as Node reads them, ${stopAtOperand ? "up to a command" : "with operands anywhere"}`, () => {
    const rules = { options, stopAtOperand };
    const lists = [
      [],
      ...words.flatMap((one) => words.flatMap((two) => words.map((three) => [one, two, three]))),
    ];
    for (const list of lists)
      assert.deepEqual(
        outcome(() => parseArguments(list, rules)),
        outcome(() => byNode(list, rules)),
        list.join(" "),
      );
  });
