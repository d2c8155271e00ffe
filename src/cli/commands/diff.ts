/** `callgate diff`: how two policies, filters or stacks differ, in words, each difference with a call that shows it. */
import { sanitise } from "../../diagnostics/index.ts";
import { printAction } from "../../policy/action.ts";
import { type Difference, diff, UndecidedError } from "../../proof/diff.ts";
import { type AbiName, abis, hostAbi, syscallByName } from "../../syscalls/index.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { type Loaded, loadComparable } from "../comparable.ts";
import { wrap } from "../help.ts";
import { print, printError } from "../output.ts";
import { readingOf, targetOf } from "../reading.ts";

export function main(parsed: ParsedArguments): number {
  const [first, second, ...more] = parsed.operands;
  if (first === undefined || second === undefined || more.length > 0)
    throw new UsageError("diff takes two policies or filters: callgate diff A B");
  if (first === "-" && second === "-")
    throw new UsageError("standard input can be one of the two only: it is read once");
  const a = loadComparable(first, "diff", readingOf(parsed, first));
  const b = loadComparable(second, "diff", readingOf(parsed, second));
  if (a === undefined || b === undefined) return 2;
  const target = targetOf(parsed);
  try {
    const found = diff(comparable(a), comparable(b), target === undefined ? {} : { target });
    const wanted = hasOption(parsed, "stricter") ? found.filter((one) => one.milder) : found;
    report(parsed, wanted, found, { a, b, target: target ?? hostAbi() });
    return wanted.length === 0 ? 0 : 1;
  } catch (error) {
    if (error instanceof UndecidedError) {
      if (hasOption(parsed, "json"))
        print(`${JSON.stringify({ verdict: "undecided", reason: error.message })}\n`);
      else printError(`callgate diff: not decided: ${error.message}\n`);
      return 3;
    }
    if (!(error instanceof TypeError)) throw error;
    printError(`callgate diff: ${sanitise(error.message)}\n`);
    return 2;
  }
}

function comparable(loaded: Loaded): Parameters<typeof diff>[0] {
  return loaded.kind === "policy" ? loaded.policy : loaded.filters;
}

function report(
  parsed: ParsedArguments,
  wanted: readonly Difference[],
  all: readonly Difference[],
  sides: Sides,
): void {
  const stricter = hasOption(parsed, "stricter");
  if (hasOption(parsed, "json")) {
    const verdict = stricter
      ? wanted.length === 0
        ? "stricter"
        : "milder"
      : wanted.length === 0
        ? "equal"
        : "different";
    print(`${JSON.stringify({ verdict, differences: wanted.map(jsonOf) })}\n`);
    return;
  }
  const rows = folded(groupsOf(wanted));
  const width = (column: (row: Row) => string): number =>
    Math.min(40, Math.max(0, ...rows.map((row) => column(row).length)));
  const [calls, conditions, changes] = [
    width((row) => row.call),
    width((row) => row.condition),
    width((row) => row.change),
  ];
  for (const row of rows) {
    print(
      `${`${row.call.padEnd(calls)}  ${row.condition.padEnd(conditions)}  ${row.change.padEnd(changes)}  e.g. ${row.example}`.trimEnd()}\n`,
    );
    if (row.of.length > 0) print(`${wrap(row.of.join(", "), 100, "    ")}\n`);
  }
  print(`${closing(stricter, wanted, all, sides)}\n`);
}

interface Sides {
  readonly a: Loaded;
  readonly b: Loaded;
  /** The machine that they are for. */
  readonly target: AbiName | undefined;
}

function closing(
  stricter: boolean,
  wanted: readonly Difference[],
  all: readonly Difference[],
  { target, ...sides }: Sides,
): string {
  const [a, b] = [sanitise(sides.a.name), sanitise(sides.b.name)];
  const machine = abis.find(({ name }) => name === target)?.machine ?? "x86_64";
  const names = abis.filter((abi) => abi.machine === machine).map(({ name }) => name);
  const everything = `${names.join(", ")}, every number and argument`;
  if (stricter)
    return wanted.length === 0
      ? `${b} is at least as strict as ${a}${all.length === 0 ? ", and equal to it" : ""}: ${everything}`
      : `${b} is not as strict as ${a}; what it answers otherwise is equal or stricter: ${everything}`;
  return wanted.length === 0 ? `equal: ${everything}` : `the rest is equal: ${everything}`;
}

/** So many calls that are answered otherwise in the same way, whatever their arguments, are one row. */
const fewestFolded = 12;
const always = "always";
const otherAbis = "other ABIs";

interface Row {
  readonly call: string;
  /** The calls that it stands for, where it is about many. */
  readonly of: readonly string[];
  /** ` (x86)` where it is not about all ABIs that are compared. */
  readonly abis: string;
  readonly condition: string;
  readonly change: string;
  readonly example: string;
}

/** Equal differences of several ABIs are one row; ABIs are named where they are not all that have the call. */
function groupsOf(differences: readonly Difference[]): readonly Row[] {
  const groups = new Map<string, Difference[]>();
  for (const one of differences) {
    const numbers =
      one.syscall === undefined && one.abi !== undefined ? `${one.numbers.from}-${one.numbers.to}` : "";
    const key = [nameOf(one), numbers, one.condition ?? "", changeOf(one)].join("\0");
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()].flatMap((group): readonly Row[] => {
    const [first] = group;
    if (first === undefined) return [];
    const own = [...new Set(group.map((one) => one.abi ?? ""))].filter((name) => name !== "");
    const isOnlySome = own.length > 0 && (own.length === 1 || own.length < abisWith(first));
    return [
      {
        call: nameOf(first),
        of: [],
        abis: isOnlySome ? ` (${own.join(", ")})` : "",
        condition: first.condition ?? always,
        change: changeOf(first),
        example: first.witness.call,
      },
    ];
  });
}

/** Where a whole ABI is answered otherwise, nobody reads a row a call: one row, and the calls below it. */
function folded(rows: readonly Row[]): readonly Row[] {
  const alike = new Map<string, Row[]>();
  const keyOf = ({ abis: own, change }: Row): string => `${own}\0${change}`;
  for (const row of rows)
    if (row.condition === always && row.call !== otherAbis)
      alike.set(keyOf(row), [...(alike.get(keyOf(row)) ?? []), row]);
  return rows.flatMap((row): readonly Row[] => {
    const group = alike.get(keyOf(row)) ?? [];
    if (group.length < fewestFolded || !group.includes(row))
      return [{ ...row, call: `${row.call}${row.abis}` }];
    if (row !== group[0]) return [];
    const calls = group.filter(({ call }) => !call.startsWith("#")).length;
    const counted = [
      ...(calls > 0 ? [`${calls} calls`] : []),
      ...(calls < group.length ? ["numbers without a call"] : []),
    ];
    return [{ ...row, call: `${counted.join(", ")}${row.abis}`, of: group.map(({ call }) => call) }];
  });
}

/** How many ABIs of its machine have the call. */
function abisWith({ abi, syscall }: Difference): number {
  const machine = abis.find(({ name }) => name === abi)?.machine;
  return abis.filter(
    (one) =>
      one.machine === machine && syscall !== undefined && syscallByName(one.name, syscall) !== undefined,
  ).length;
}

function nameOf({ abi, syscall, numbers }: Difference): string {
  if (abi === undefined) return otherAbis;
  if (syscall !== undefined) return syscall;
  return numbers.from === numbers.to ? `#${numbers.from}` : `#${numbers.from} to #${numbers.to}`;
}

function changeOf({ before, after }: Difference): string {
  return `${written(before)} → ${written(after)}`;
}

function written(action: Difference["before"]): string {
  return action.kind === "errno" ? `errno(${action.errno})` : printAction(action);
}

function jsonOf(one: Difference): object {
  return {
    abi: one.abi ?? null,
    syscall: one.syscall ?? null,
    numbers: one.numbers,
    condition: one.condition ?? null,
    before: written(one.before),
    after: written(one.after),
    milder: one.milder,
    witness: {
      ...one.witness,
      args: one.witness.args.map(String),
      instructionPointer: String(one.witness.instructionPointer),
    },
  };
}
