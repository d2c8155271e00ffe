/**
 * What a policy says of one call, worked out a second time: from the design's description of the language and the
 * texts of the tables, read here anew. Of the product it has nothing but the policy as it was read, and the lists of
 * groups. The product resolves a policy once, to entries per number and fields of words; this asks every rule anew for one call
 * and its six registers.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Action, Condition, Policy, Rule, Selector, Test, Value } from "../../src/policy/types.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { type AbiName, groups } from "../../src/syscalls/index.ts";

interface Fact {
  /** Whose tables it has, the kernel that serves it, its first number. */
  readonly table: string;
  readonly machine: string;
  readonly first: number;
  readonly bits: number;
}

const fact = (table: string, machine: string, first = 0, bits = 64): Fact => ({
  table,
  machine,
  first,
  bits,
});

/** In the order in which the product lists them, since a policy's ABIs are. */
export const facts: Readonly<Record<AbiName, Fact>> = {
  x86_64: fact("x86_64", "pc"),
  x86: fact("x86", "pc", 0, 32),
  x32: fact("x32", "pc", 2 ** 30),
  aarch64: fact("aarch64", "arm"),
  arm: fact("arm", "arm", 0, 32),
  riscv64: fact("riscv64", "riscv"),
  ppc64le: fact("ppc64le", "power"),
  s390x: fact("s390x", "s390"),
  loongarch64: fact("loongarch64", "loongarch"),
  mips64: fact("mips64", "mips", 5000),
  mips64n32: fact("mips64n32", "mips", 6000),
  mips: fact("mips", "mips", 4000, 32),
  mips64el: fact("mips64", "mipsel", 5000),
  mipsel64n32: fact("mips64n32", "mipsel", 6000),
  mipsel: fact("mips", "mipsel", 4000, 32),
};

function linesOf(table: string): readonly string[] {
  const text = readFileSync(join(packageRoot(), "src/syscalls/tables", `${table}.ts`), "utf8");
  return text.split("`")[1]?.trim().split("\n") ?? assert.fail(table);
}

interface Arg {
  readonly names: readonly string[];
  readonly pointer: boolean;
  readonly signed: boolean;
  readonly width: number;
  /** `3`, `3+4`, `mem`, or `=0`. */
  readonly place: string;
}

function argsOf(text: string, bits: number): readonly Arg[] | undefined {
  if (text === "?") return undefined;
  let next = 0;
  return text
    .split(" ")
    .filter((one) => one !== "")
    .map((one) => {
      const [, names = "", letter, width, at, value] =
        /^([^:]+):([sup])(\d*)(?:@([\dme+]+))?(=-?\d+)?$/.exec(one) ?? assert.fail(one);
      const place = at ?? value ?? `${next}`;
      if (/^\d/.test(place)) next = Math.max(...place.split("+").map(Number)) + 1;
      return {
        names: names.split("/"),
        pointer: letter === "p",
        signed: letter === "s",
        width: width === "" ? bits : Number(width),
        place,
      };
    });
}

interface Row {
  readonly nr: number;
  readonly name: string;
  readonly since: string;
  readonly args: readonly Arg[] | undefined;
}

interface Inner extends Row {
  readonly mask: number;
  readonly code: number;
}

const readRows = new Map<AbiName, ReadonlyMap<number, Row>>();

/** The calls of an ABI by number. */
export function rowsOf(abi: AbiName): ReadonlyMap<number, Row> {
  const known = readRows.get(abi);
  if (known !== undefined) return known;
  const rows = new Map<number, Row>();
  for (const line of linesOf(facts[abi].table)) {
    const [nr = "", name = "", since = "", ...rest] = line.split(" ");
    rows.set(Number(nr), { nr: Number(nr), name, since, args: argsOf(rest.join(" "), facts[abi].bits) });
  }
  readRows.set(abi, rows);
  return rows;
}

const innerLines = linesOf("multiplexed").map((line) => line.split(" "));
const readInner = new Map<string, readonly Inner[]>();

/** What is behind a call; all selectors are in the first word. */
export function innersOf(abi: AbiName, outer: string): readonly Inner[] {
  const key = `${abi} ${outer}`;
  const known = readInner.get(key);
  if (known !== undefined) return known;
  const found = innerLines
    .filter(([owner, name]) => owner === facts[abi].table && name === outer)
    .map(([, , word, mask = "", code = "", name = "", ...rest]) => {
      assert.equal(word, "0");
      const since =
        [...rowsOf("x86_64").values()].find((row) => row.name === name)?.since ??
        [...rowsOf(abi).values()].find((row) => row.name === outer)?.since ??
        "-";
      const args = argsOf(rest.join(" "), facts[abi].bits);
      return { nr: 0, name, since, args, mask: Number(mask), code: Number(code) };
    });
  readInner.set(key, found);
  return found;
}

const canonicalNames = new Map<string, string>();

/** One name for all the numbers that reach one kernel function. */
export function canonical(name: string): string {
  let found = canonicalNames.get(name);
  if (found === undefined) {
    found = findCanonical(name);
    canonicalNames.set(name, found);
  }
  return found;
}

function findCanonical(name: string): string {
  const plain = name
    .replace(/_time64$/, "")
    .replace(/^((?:clock|timer|timerfd)_\w+?)64$/, "$1")
    .replace(/^([gs]et(?:u|g|eu|eg|resu|resg|reu|reg|fsu|fsg)id|[gs]etgroups|[lf]?chown)32$/, "$1")
    .replace(/^(statfs|fstatfs|truncate|ftruncate|fcntl|sendfile)64$/, "$1")
    .replace(/^(?:old)?([lf]?stat)(?:64)?$/, "$1")
    .replace(/^rt_(sig(?:action|procmask|pending|suspend|return))$/, "$1");
  const others: Readonly<Record<string, string>> = {
    fstatat64: "newfstatat",
    _llseek: "lseek",
    fadvise64_64: "fadvise64",
    arm_fadvise64_64: "fadvise64",
    sync_file_range2: "sync_file_range",
    arm_sync_file_range: "sync_file_range",
    mmap2: "mmap",
    _newselect: "select",
    olduname: "uname",
    oldolduname: "uname",
    ugetrlimit: "getrlimit",
    umount: "umount2",
    waitpid: "wait4",
    send: "sendto",
    recv: "recvfrom",
  };
  return Object.hasOwn(others, plain) ? (others[plain] ?? plain) : plain;
}

const flattened = new Map<string, ReadonlySet<string>>();

function membersOf(group: string): ReadonlySet<string> {
  const known = flattened.get(group);
  if (known !== undefined) return known;
  const list = groups.find((one) => one.name === group)?.members ?? assert.fail(group);
  const flat = new Set(list.flatMap((one) => (one.startsWith("@") ? [...membersOf(one)] : [canonical(one)])));
  flattened.set(group, flat);
  return flat;
}

/** A release as one number that orders as releases do. */
function age(release: string): number {
  const [major = 0, minor = 0, patch = 0] = release.split(".").map(Number);
  return (major * 1000 + minor) * 1000 + patch;
}

const constants = new Map<string, ReadonlyMap<string, string>>();

function constantsOf(table: string): ReadonlyMap<string, string> {
  let found = constants.get(table);
  if (found === undefined) {
    found = new Map(
      linesOf(table).map((line): [string, string] => [line.split(" ")[0] ?? "", line.split(" ")[1] ?? ""]),
    );
    constants.set(table, found);
  }
  return found;
}

function constantOf(abi: AbiName, name: string): bigint | undefined {
  const { table } = facts[abi];
  const own = table === "x86_64" ? undefined : constantsOf(`constants_${table}`).get(name);
  const value = own ?? constantsOf("constants").get(name) ?? constantsOf("errnos").get(name) ?? "-";
  return value === "-" ? undefined : BigInt(value);
}

/** A value's bits in a width; more bits than that where it does not fit, undefined where the ABI lacks a name. */
function bitsOf(abi: AbiName, value: Value, width: number): bigint | undefined {
  const ones = 2n ** BigInt(width) - 1n;
  switch (value.kind) {
    case "integer":
      return value.value;
    case "constant": {
      const found = constantOf(abi, value.name);
      return found !== undefined && found < 0n ? BigInt.asUintN(width, found) : found;
    }
    case "complement": {
      const item = bitsOf(abi, value.item, width);
      return item === undefined ? undefined : BigInt.asUintN(width, ~item);
    }
    case "negative": {
      const item = bitsOf(abi, value.item, width);
      return item === undefined ? undefined : (ones + 1n - item) & ones;
    }
    case "union": {
      const items = value.items.map((item) => bitsOf(abi, item, width));
      return items.reduce(
        (all, item) => (all === undefined || item === undefined ? undefined : all | item),
        0n,
      );
    }
  }
}

/** A value as a number on the line: what stands with a minus is below zero. */
function numberOf(abi: AbiName, value: Value, width: number): bigint | undefined {
  if (value.kind !== "negative") return bitsOf(abi, value, width);
  const item = bitsOf(abi, value.item, width);
  return item === undefined ? undefined : -item;
}

/** A call with what its registers hold. */
export interface RegisterCall {
  readonly abi: AbiName;
  readonly nr: number;
  readonly registers: readonly bigint[];
  readonly instructionPointer: bigint;
}

type Truth = boolean | undefined;

interface Asked {
  readonly call: RegisterCall;
  readonly args: readonly Arg[] | undefined;
}

/** What a condition's word holds: its bits, or undefined where no filter sees them. */
function lookAt(word: { kind: string; name?: string; index?: number }, { call, args }: Asked) {
  const whole = (index: number): bigint => BigInt.asUintN(64, call.registers[index] ?? 0n);
  const isOutOfSight = (index: number): boolean => facts[call.abi].table === "mips" && index > 2;
  if (word.kind === "ip") return { bits: call.instructionPointer, width: 64, signed: false };
  if (word.index !== undefined)
    return isOutOfSight(word.index) ? undefined : { bits: whole(word.index), width: 64, signed: false };
  // A manual page's own name for an argument goes before another argument's alias.
  const name = word.name ?? "";
  const arg = args?.find((one) => one.names[0] === name) ?? args?.find((one) => one.names.includes(name));
  if (arg === undefined || arg.place === "mem") return undefined;
  const { width, signed } = arg;
  if (arg.place.startsWith("="))
    return { bits: BigInt.asUintN(width, BigInt(arg.place.slice(1))), width, signed };
  const [low = 0, high] = arg.place.split("+").map(Number);
  const bits =
    high === undefined
      ? whole(low)
      : BigInt.asUintN(32, whole(low)) + BigInt.asUintN(32, whole(high)) * 2n ** 32n;
  return { bits: BigInt.asUintN(width, bits), width, signed };
}

function holdsTest(test: Test, bits: bigint, width: number, signed: boolean, abi: AbiName): Truth {
  const number = signed ? BigInt.asIntN(width, bits) : bits;
  switch (test.kind) {
    case "nonzero":
      return bits !== 0n;
    case "within": {
      const allowed = bitsOf(abi, test.value, width);
      return allowed === undefined ? undefined : (bits & ~allowed) === 0n;
    }
    case "compare": {
      if (test.operator === "==" || test.operator === "!=") {
        const wanted = bitsOf(abi, test.value, width);
        return wanted === undefined ? undefined : (bits === wanted) === (test.operator === "==");
      }
      const limit = numberOf(abi, test.value, width);
      if (limit === undefined) return undefined;
      if (test.operator === "<") return number < limit;
      if (test.operator === "<=") return number <= limit;
      return test.operator === ">" ? number > limit : number >= limit;
    }
    case "in": {
      let found = false;
      for (const { low, high } of test.items) {
        const single = low === high;
        const from = single ? bitsOf(abi, low, width) : numberOf(abi, low, width);
        const to = single ? from : numberOf(abi, high, width);
        if (from === undefined || to === undefined) return undefined;
        if (single ? bits === from : from <= number && number <= to) found = true;
      }
      return found !== test.negated;
    }
  }
}

function holds(condition: Condition, asked: Asked): Truth {
  switch (condition.kind) {
    case "not": {
      const item = holds(condition.item, asked);
      return item === undefined ? undefined : !item;
    }
    case "and": {
      const items = condition.items.map((item) => holds(item, asked));
      return items.includes(false) ? false : items.includes(undefined) ? undefined : true;
    }
    case "or": {
      const items = condition.items.map((item) => holds(item, asked));
      return items.includes(true) ? true : items.includes(undefined) ? undefined : false;
    }
    case "test": {
      const { operand, test } = condition;
      const { abi } = asked.call;
      const seen = lookAt(operand.word, asked);
      if (seen === undefined) return undefined;
      if (operand.mask === undefined) return holdsTest(test, seen.bits, seen.width, seen.signed, abi);
      const mask = bitsOf(abi, operand.mask, seen.width);
      return mask === undefined ? undefined : holdsTest(test, seen.bits & mask, seen.width, false, abi);
    }
  }
}

function namesIn(condition: Condition): readonly string[] {
  if (condition.kind === "not") return namesIn(condition.item);
  if (condition.kind !== "test") return condition.items.flatMap(namesIn);
  return condition.operand.word.kind === "argument" ? [condition.operand.word.name] : [];
}

export interface Told {
  readonly action: Action;
  readonly by: "rule" | "default" | "newer" | "other-abis";
  readonly rule: Rule | undefined;
}

const strictness = ["kill", "kill-thread", "trap", "errno", "notify", "trace", "log", "allow"];
const rank = ({ action }: Told): number => strictness.indexOf(action.kind === "ask" ? "notify" : action.kind);

/** The ABIs of a policy on a machine, in order. */
export function abisOf(policy: Policy, target: AbiName): readonly AbiName[] {
  const all: readonly string[] = Object.keys(facts);
  const wanted = policy.syscalls.abis.flatMap((one): readonly string[] => {
    if (one === "native") return [target];
    if (one !== "all") return [one];
    return Object.entries(facts).flatMap(([name, { machine }]) =>
      machine === facts[target].machine ? [name] : [],
    );
  });
  return all.filter((name): name is AbiName => wanted.includes(name));
}

/** What the policy says of the call on that machine. */
export function secondOpinion(policy: Policy, target: AbiName, call: RegisterCall): Told {
  const { syscalls } = policy;
  const fallback = (action: Action, by: Told["by"]): Told => ({ action, by, rule: undefined });
  if (!abisOf(policy, target).includes(call.abi)) return fallback(syscalls.otherAbis, "other-abis");

  const row = rowsOf(call.abi).get(call.nr);
  const selected = Number(BigInt.asUintN(32, call.registers[0] ?? 0n));
  const inner =
    row === undefined
      ? undefined
      : innersOf(call.abi, row.name).find(({ mask, code }) => (selected & mask) >>> 0 === code);
  const made = inner ?? row;
  const { baseline } = syscalls;
  const isNew =
    made !== undefined &&
    baseline !== undefined &&
    (made.since === "-" ||
      age(made.since) > (baseline.major * 1000 + baseline.minor) * 1000 + baseline.patch);

  /** Whether a selector means this call, with which arguments, and what a condition that cannot be seen comes to. */
  const meant = (
    { abi, target: what, condition }: Selector,
    action: Action,
  ): (Asked & { open: boolean }) | undefined => {
    if (abi !== undefined && abi !== call.abi) return undefined;
    const outright = { call, args: row?.args, open: false };
    if (what.kind === "number") {
      const nr = what.nr < facts[call.abi].first ? what.nr + facts[call.abi].first : what.nr;
      return nr === call.nr ? outright : undefined;
    }
    if (row === undefined || made === undefined) return undefined;
    if (what.kind !== "name" && isNew) return undefined;
    const needed =
      what.kind === "group" && action.kind === "allow" && condition !== undefined ? namesIn(condition) : [];
    const means = (one: Row): boolean => {
      if (what.kind === "any") return true;
      if (what.kind === "name") return canonical(what.name) === canonical(one.name);
      if (!membersOf(what.name).has(canonical(one.name)) && what.name !== "@known") return false;
      return needed.every((name) => one.args?.some(({ names }) => names.includes(name)) === true);
    };
    if (inner !== undefined && means(inner))
      return { call, args: inner.args, open: syscalls.multiplexed === "open" };
    return means(row) ? outright : undefined;
  };

  const entries = [...syscalls.require, ...syscalls.rules].flatMap((rule) =>
    rule.selectors.map((selector) => ({ rule, selector })),
  );
  const from = (at: number): Told => {
    const entry = entries[at];
    if (entry === undefined)
      return isNew || row === undefined
        ? fallback(syscalls.newer, "newer")
        : fallback(syscalls.default, "default");
    const { rule, selector } = entry;
    const asked = meant(selector, rule.action);
    if (asked === undefined) return from(at + 1);
    const truth = selector.condition === undefined ? true : holds(selector.condition, asked);
    if (truth === false) return from(at + 1);
    const own: Told = { action: rule.action, by: "rule", rule };
    if (truth === true) return own;
    const rest = from(at + 1);
    const isOwn = asked.open ? rank(own) >= rank(rest) : rank(own) <= rank(rest);
    return isOwn ? own : rest;
  };
  return from(0);
}
