/** What a policy says of a call of which some arguments are given: every outcome that is possible, with an example. */
import type { Diagnostic } from "../diagnostics/index.ts";
import { counted } from "../diagnostics/words.ts";
import type { WrittenCall } from "../policy/parser.ts";
import { type Problem, resolveCondition } from "../policy/resolve-condition.ts";
import {
  type Field,
  type ResolvedPolicy,
  wordOfArch,
  wordOfNumber,
  wordsOfArgument,
} from "../policy/resolved.ts";
import type { Condition } from "../policy/types.ts";
import {
  type Abi,
  type Argument,
  argumentNamed,
  multiplexedOf,
  syscallByName,
  syscallByNumber,
  twinsOf,
} from "../syscalls/index.ts";
import { type Case, type Reach, reachableCases } from "./reach.ts";

/** One way in which an ABI makes the call: directly or through a multiplexer, itself or as a twin. */
export interface CallCases {
  readonly abi: Abi;
  readonly nr: number;
  /** The call's name; undefined for a number that the table does not know. */
  readonly name: string | undefined;
  /** `socketcall`, where the call is made through it. */
  readonly through: string | undefined;
  /** The call that was asked for, where this is another name of the same work: the same rules govern it. */
  readonly twinOf: string | undefined;
  readonly args: readonly Argument[] | undefined;
  /** The arguments that were given, as this way has them. */
  readonly given: WrittenCall["args"];
  readonly cases: readonly Case[];
  /** Whether these are all; where the rules are too many to tell, there may be more. */
  readonly isComplete: boolean;
}

export interface CallCasesResult {
  readonly calls: readonly CallCases[];
  readonly diagnostics: readonly Diagnostic[];
}

/** The outcomes of a written call on every ABI of the policy that has it. */
export function callCases(resolved: ResolvedPolicy, call: WrittenCall): CallCasesResult {
  const calls: CallCases[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const { abi } of resolved.abis) {
    if (call.abi !== undefined && call.abi !== abi.name) continue;
    for (const way of waysOf(abi, call.target)) {
      const known = new Map(way.known);
      const given = way.twinOf === undefined ? call.args : givenToTwin(call.args, call.target, abi, way);
      for (const { span, ...problem } of fillIn(known, abi, way, given)) {
        if (diagnostics.some((one) => one.message === problem.message)) continue;
        diagnostics.push({
          id: problem.id,
          severity: "error",
          message: problem.message,
          ...(span === undefined ? {} : { span }),
          ...(problem.label === undefined ? {} : { label: problem.label }),
        });
      }
      const { nr, name, through, twinOf, args } = way;
      calls.push({ abi, nr, name, through, twinOf, args, given, ...reachableCases(resolved, { known }) });
    }
  }
  return { calls, diagnostics };
}

interface Way extends Omit<CallCases, keyof Reach | "abi" | "given"> {
  readonly known: ReadonlyMap<number, number>;
}

function waysOf(abi: Abi, target: WrittenCall["target"]): readonly Way[] {
  const direct = (nr: number, name: string | undefined, args: readonly Argument[] | undefined): Way => ({
    nr,
    name,
    through: undefined,
    twinOf: undefined,
    args,
    known: new Map([
      [wordOfArch, abi.arch],
      [wordOfNumber, nr],
    ]),
  });
  if (target.kind === "number") {
    const call = syscallByNumber(abi.name, target.nr);
    return [direct(target.nr, call?.name, call?.args)];
  }
  if (target.kind !== "name") return [];
  return twinsOf(target.name).flatMap((name): readonly Way[] => {
    const call = syscallByName(abi.name, name);
    const ways: Way[] = call === undefined ? [] : [direct(call.nr, call.name, call.args)];
    for (const one of multiplexedOf(abi.name)) {
      const multiplexer = one.name === name ? syscallByName(abi.name, one.multiplexer) : undefined;
      if (multiplexer === undefined) continue;
      const way = direct(multiplexer.nr, one.name, one.args);
      const word = wordsOfArgument(one.selector.index, abi.endian).low;
      ways.push({ ...way, through: one.multiplexer, known: new Map([...way.known, [word, one.code]]) });
    }
    return ways.map((way) => ({ ...way, twinOf: name === target.name ? undefined : target.name }));
  });
}

/**
 * What was written for a call, for its twin, which may have arguments in other places or lack some: by their names. What it
 * does not have stays open.
 */
function givenToTwin(
  given: WrittenCall["args"],
  target: WrittenCall["target"],
  abi: Abi,
  way: Way,
): WrittenCall["args"] {
  const asked = target.kind === "name" ? syscallByName(abi.name, target.name)?.args : undefined;
  return given.flatMap((one) => {
    const name = one.name ?? (asked ?? way.args)?.[one.index]?.name;
    const argument = name === undefined ? undefined : argumentNamed(way.args ?? [], name);
    return argument === undefined ? [] : [{ ...one, name: argument.name }];
  });
}

/** Puts the given arguments where the ABI has them. */
function fillIn(
  known: Map<number, number>,
  abi: Abi,
  way: Way,
  given: WrittenCall["args"],
): readonly Problem[] {
  const problems: Problem[] = [];
  const report = (problem: Problem): number => problems.push(problem);
  const callName = way.name ?? `#${way.nr}`;
  for (const { index, name, value, span } of given) {
    const argument = name ?? way.args?.[index]?.name;
    if (argument === undefined && way.args !== undefined) {
      const message = `${callName} takes ${counted(way.args.length, "argument")}`;
      report({ id: "too-many-arguments", message, always: true, ...(span === undefined ? {} : { span }) });
      continue;
    }
    const word =
      argument === undefined
        ? ({ kind: "raw", index } as const)
        : ({ kind: "argument", name: argument } as const);
    const operand = span === undefined ? { word } : { word, span };
    const test: Condition = { kind: "test", operand, test: { kind: "compare", operator: "==", value } };
    const resolved = resolveCondition(test, { abi: abi.name, name: callName, args: way.args, report });
    // A pointer may be given for the reader's sake: where it points decides nothing.
    if (resolved.kind === "test" && resolved.comparison.operator === "==")
      setField(known, resolved.field, resolved.comparison.value);
  }
  return problems.filter((problem) => problem.id !== "pointer-compared");
}

function setField(known: Map<number, number>, field: Field, value: bigint): void {
  known.set(field.low, Number(BigInt.asUintN(32, value)));
  if (field.high !== undefined) known.set(field.high, Number(value >> 32n));
}
