/** The narrowest selector that covers calls which were seen: conditions on the arguments that matter. */
import type { Condition, Operand, Selector, Value, ValueRange } from "../policy/types.ts";
import { type AbiName, type Argument, argumentNamed, syscallByNumber } from "../syscalls/index.ts";
import { kindOf, type Matter, mattersOf } from "./argument-kinds.ts";
import { argumentValue, type RawCall } from "./decode-call.ts";
import { maskValue, nameValue } from "./name-value.ts";

/** An argument that matters, and that a filter can see on this ABI. */
export interface VisibleMatter extends Matter {
  readonly field: Argument;
  /** The bits that matter. */
  readonly bits: bigint;
}

/** The arguments by which rules on a call are narrowed on an ABI. */
export function visibleMatters(
  abi: AbiName,
  call: string,
  args: readonly Argument[],
): readonly VisibleMatter[] {
  return mattersOf(call).flatMap((matter) => {
    const field = argumentNamed(args, matter.argument);
    if (field === undefined || field.place.kind !== "word" || field.kind === "pointer") return [];
    const all = (1n << BigInt(field.width)) - 1n;
    return [{ ...matter, field, bits: matter.mask === undefined ? all : maskValue(abi, matter.mask) }];
  });
}

/** More different values than this in one call are not a list that anybody would read: the condition is left out. */
const mostValues = 24;

/**
 * One selector for calls with the same number: what mattered in them, and nothing else.
 * @returns undefined where the number has no name
 */
export function narrowSelector(
  abi: AbiName,
  nr: number,
  calls: readonly RawCall["args"][],
): Selector | undefined {
  const call = syscallByNumber(abi, nr);
  if (call === undefined) return undefined;
  const target = { kind: "name", name: call.name } as const;
  const matters = visibleMatters(abi, call.name, call.args ?? []);
  if (matters.length === 0 || calls.length === 0) return { target };
  const rows = calls.map((args) => matters.map((matter) => matterValue(matter, args)));
  const condition = conditionOf({ abi, call: call.name, matters }, 0, distinct(rows), []);
  return condition === undefined ? { target } : { target, condition };
}

function matterValue({ field, bits, mask }: VisibleMatter, args: readonly bigint[]): bigint {
  const words = args.flatMap((arg) => [
    Number(BigInt.asUintN(32, arg)),
    Number(BigInt.asUintN(32, arg >> 32n)),
  ]);
  const value = argumentValue(field, words) ?? 0n;
  return mask === undefined ? value : BigInt.asUintN(field.width, value) & bits;
}

interface Subject {
  readonly abi: AbiName;
  readonly call: string;
  readonly matters: readonly VisibleMatter[];
}

/**
 * A condition on the matters from `at` on. Rows with the same value here go together; values whose rest is the same
 * condition share one list: `level == SOL_SOCKET && optname in {…}`.
 */
function conditionOf(
  subject: Subject,
  at: number,
  rows: readonly (readonly bigint[])[],
  before: readonly bigint[],
): Condition | undefined {
  const matter = subject.matters[at];
  if (matter === undefined) return undefined;
  if (matter.style === "bits") {
    const union = rows.reduce((sum, row) => sum | BigInt.asUintN(matter.field.width, row[at] ?? 0n), 0n);
    const value = valueNamed(subject, matter, union, before);
    return { kind: "test", operand: operandOf(matter), test: { kind: "within", value } };
  }
  const groups = new Map<bigint, (readonly bigint[])[]>();
  for (const row of rows) groups.set(row[at] ?? 0n, [...(groups.get(row[at] ?? 0n) ?? []), row]);
  if (groups.size > mostValues) return undefined;
  const alternatives = new Map<string, { readonly values: Value[]; readonly rest: Condition | undefined }>();
  for (const [value, own] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    // What kind of a netlink socket it is says nothing: raw and datagram are the same there.
    const isNetlink = subject.call === "socket" && at === 0 && value === netlink;
    const rest = isNetlink
      ? conditionOf(subject, 2, own, [value])
      : conditionOf(subject, at + 1, own, [...before, value]);
    const key = JSON.stringify(rest, (_, part) => (typeof part === "bigint" ? part.toString() : part));
    const known = alternatives.get(key ?? "");
    const named = valueNamed(subject, matter, value, before);
    if (known === undefined) alternatives.set(key ?? "", { values: [named], rest });
    else known.values.push(named);
  }
  const items = [...alternatives.values()].map(({ values, rest }): Condition => {
    const own = listTest(matter, values);
    if (rest === undefined) return own;
    return { kind: "and", items: rest.kind === "and" ? [own, ...rest.items] : [own, rest] };
  });
  const [first] = items;
  return items.length === 1 ? first : { kind: "or", items };
}

const netlink = 16n;

function listTest(matter: VisibleMatter, values: readonly Value[]): Condition {
  const operand = operandOf(matter);
  const [only] = values;
  if (values.length === 1 && only !== undefined)
    return { kind: "test", operand, test: { kind: "compare", operator: "==", value: only } };
  const items: readonly ValueRange[] = values.map((value) => ({ low: value, high: value }));
  return { kind: "test", operand, test: { kind: "in", negated: false, items } };
}

function operandOf(matter: VisibleMatter): Operand {
  const word = { kind: "argument", name: matter.field.name } as const;
  if (matter.mask === undefined) return { word };
  const names = matter.mask.split(" | ");
  const items = names.map((name): Value => ({ kind: "constant", name }));
  const [first] = items;
  return { word, mask: items.length === 1 && first !== undefined ? first : { kind: "union", items } };
}

function valueNamed(
  { abi, call, matters }: Subject,
  matter: VisibleMatter,
  value: bigint,
  before: readonly bigint[],
): Value {
  const others = (name: string): string | undefined => {
    const index = matters.findIndex((one) => one.argument === name);
    const other = before[index];
    if (other === undefined) return undefined;
    const named = nameValue(abi, kindOf(call, name), other);
    return named.kind === "constant" ? named.name : undefined;
  };
  return nameValue(abi, kindOf(call, matter.argument), value, others);
}

function distinct(rows: readonly (readonly bigint[])[]): readonly (readonly bigint[])[] {
  return [...new Map(rows.map((row) => [row.join(), row])).values()];
}
