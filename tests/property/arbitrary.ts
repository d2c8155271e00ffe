// Random policies of the whole grammar, and the calls that are worth trying on one.
import fc from "fast-check";
import { returnValueOfDecision } from "../../src/compiler/index.ts";
import { printAction } from "../../src/policy/action.ts";
import { evaluateWords } from "../../src/policy/evaluate.ts";
import { printRule } from "../../src/policy/printer.ts";
import { resolve } from "../../src/policy/resolve.ts";
import { abiOfNumber, type Decision } from "../../src/policy/resolved.ts";
import type {
  Action,
  Condition,
  Operand,
  Policy,
  Rule,
  Selector,
  Test,
  Value,
  ValueRange,
} from "../../src/policy/types.ts";
import {
  type AbiName,
  type Argument,
  abis,
  constantValue,
  multiplexedOf,
  syscallByName,
  twinsOf,
} from "../../src/syscalls/index.ts";
import { target } from "../policy/reading.ts";

/** Calls of every kind: widths, signs, pairs of words, memory, twins, multiplexed, missing on some ABI, new. */
const pool = [
  "read",
  "close",
  "chmod",
  "kill",
  "lseek",
  "mmap",
  "clone",
  "setuid",
  "prctl",
  "ioctl",
  "socket",
  "connect",
  "shmget",
  "msgsnd",
  "pread64",
  "umount2",
  "fadvise64",
  "fcntl",
  "dup3",
  "personality",
  "futex",
  "mseal",
  "cachestat",
  "open",
  "execve",
  "socketcall",
  "waitpid",
  "setpriority",
  "recv",
  "ftruncate",
];
const groups = ["@basic-io", "@network-io", "@mount", "@pkey", "@system-service", "@ipc", "@setuid"];
const constants = [
  "O_DIRECT",
  "CLONE_NEWUSER",
  "PROT_EXEC",
  "AF_INET6",
  "SOCK_CLOEXEC",
  "MAP_32BIT",
  "AT_FDCWD",
];

/** The argument as the policy's author knows it: of the first ABI that has the call. */
function argumentsOf(name: string): readonly Argument[] {
  for (const { name: abi } of abis) {
    const args = syscallByName(abi, name)?.args ?? multiplexedOf(abi).find((one) => one.name === name)?.args;
    if (args !== undefined) return args;
  }
  return [];
}

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Action>({ kind: "allow" }) },
  { weight: 3, arbitrary: fc.constant<Action>({ kind: "errno", errno: "EPERM" }) },
  fc.constantFrom<Action>(
    { kind: "kill" },
    { kind: "kill-thread" },
    { kind: "log" },
    { kind: "notify" },
    { kind: "ask" },
    { kind: "errno", errno: "ENOSYS" },
  ),
  fc.integer({ min: 0, max: 4095 }).map((errno): Action => ({ kind: "errno", errno })),
  fc.integer({ min: 0, max: 65535 }).map((data): Action => ({ kind: "trap", data })),
  fc.integer({ min: 0, max: 65535 }).map((data): Action => ({ kind: "trace", data })),
);
const denial = action.filter(({ kind }) => ["errno", "kill", "kill-thread", "trap"].includes(kind));

/** Numbers that fit `width` bits, mostly small or with few bits. */
function bits(width: number): fc.Arbitrary<bigint> {
  return fc.oneof(
    fc.bigInt(0n, 5n),
    fc.bigInt(0n, BigInt(width - 1)).map((shift) => 1n << shift),
    fc.bigInt(0n, BigInt(width)).map((shift) => (1n << shift) - 1n),
    fc.bigInt(0n, (1n << BigInt(width)) - 1n),
  );
}

function valueWithin(width: number): fc.Arbitrary<Value> {
  const integer = bits(width).map((value): Value => ({ kind: "integer", value }));
  const plain = fc.oneof(
    { weight: 5, arbitrary: integer },
    fc.constantFrom(...constants).map((name): Value => ({ kind: "constant", name })),
  );
  return fc.oneof(
    { weight: 5, arbitrary: plain },
    plain.map((item): Value => ({ kind: "complement", item })),
    fc.tuple(plain, plain).map((items): Value => ({ kind: "union", items })),
    fc.tuple(plain, plain).map((items): Value => ({ kind: "complement", item: { kind: "union", items } })),
  );
}

/** A number that can stand at either end of an order. */
function orderedOf(width: number, signed: boolean): fc.Arbitrary<Value> {
  const positive = bits(signed ? width - 1 : width).map((value): Value => ({ kind: "integer", value }));
  if (!signed) return positive;
  const negative = bits(width - 1)
    .filter((value) => value > 0n)
    .map((value): Value => ({ kind: "negative", item: { kind: "integer", value } }));
  return fc.oneof(positive, negative);
}

function numberOf(value: Value): bigint {
  if (value.kind === "integer") return value.value;
  return value.kind === "negative" ? -numberOf(value.item) : 0n;
}

function rangeOf(width: number, signed: boolean): fc.Arbitrary<ValueRange> {
  return fc.oneof(
    valueWithin(width).map((value): ValueRange => ({ low: value, high: value })),
    fc
      .tuple(orderedOf(width, signed), orderedOf(width, signed))
      .filter(([a, b]) => numberOf(a) !== numberOf(b))
      .map(([a, b]): ValueRange => (numberOf(a) < numberOf(b) ? { low: a, high: b } : { low: b, high: a })),
  );
}

function testOf(width: number, signed: boolean, masked: boolean): fc.Arbitrary<Test> {
  const tests: fc.Arbitrary<Test>[] = [
    fc.constant({ kind: "nonzero" }),
    fc
      .tuple(fc.constantFrom("==", "!="), valueWithin(width))
      .map(([operator, value]): Test => ({ kind: "compare", operator, value })),
    fc
      .tuple(fc.constantFrom("<", "<=", ">", ">="), orderedOf(width, signed && !masked))
      .map(([operator, value]): Test => ({ kind: "compare", operator, value })),
    fc
      .tuple(fc.boolean(), fc.array(rangeOf(width, signed && !masked), { minLength: 1, maxLength: 4 }))
      .map(([negated, items]): Test => ({ kind: "in", negated, items })),
  ];
  if (!masked) tests.push(valueWithin(width).map((value): Test => ({ kind: "within", value })));
  return fc.oneof(...tests);
}

function leafOf(word: Operand["word"], width: number, signed: boolean): fc.Arbitrary<Condition> {
  return fc.option(valueWithin(width), { nil: undefined }).chain((mask) =>
    testOf(width, signed, mask !== undefined).map((test): Condition => {
      const operand: Operand = mask === undefined ? { word } : { word, mask };
      return { kind: "test", operand, test };
    }),
  );
}

function leafOfArgument({ name, kind, width, signed }: Argument): fc.Arbitrary<Condition> {
  const word = { kind: "argument", name } as const;
  if (kind === "integer") return leafOf(word, width, signed);
  const nothing: Value = { kind: "integer", value: 0n };
  return fc.constantFrom<Condition>(
    { kind: "test", operand: { word }, test: { kind: "nonzero" } },
    { kind: "test", operand: { word }, test: { kind: "compare", operator: "==", value: nothing } },
    { kind: "test", operand: { word }, test: { kind: "compare", operator: "!=", value: nothing } },
  );
}

const rawLeaf = fc.oneof(
  fc.integer({ min: 0, max: 5 }).chain((index) => leafOf({ kind: "raw", index }, 64, false)),
  leafOf({ kind: "ip" }, 64, false),
);

function conditionOf(leaf: fc.Arbitrary<Condition>): fc.Arbitrary<Condition> {
  return fc.letrec<{ readonly condition: Condition }>((tie) => ({
    condition: fc.oneof(
      { maxDepth: 3, depthSize: "small" },
      { weight: 4, arbitrary: leaf },
      fc
        .tuple(fc.constantFrom("and", "or"), fc.array(tie("condition"), { minLength: 2, maxLength: 3 }))
        .map(([kind, items]): Condition => ({ kind, items })),
      tie("condition").map((item): Condition => ({ kind: "not", item })),
    ),
  })).condition;
}

const named: fc.Arbitrary<Selector> = fc.constantFrom(...pool).chain((name) => {
  const args = argumentsOf(name);
  const target = { kind: "name", name } as const;
  const leaf = fc.oneof(
    rawLeaf,
    ...args.flatMap((one) => Array<fc.Arbitrary<Condition>>(2).fill(leafOfArgument(one))),
  );
  return fc
    .option(conditionOf(leaf), { nil: undefined, freq: 4 })
    .map((condition): Selector => (condition === undefined ? { target } : { target, condition }));
});

const abi = fc.constantFrom<AbiName>("x86_64", "x86", "x32");
const other: fc.Arbitrary<Selector> = fc.oneof(
  fc.constantFrom(...groups).map((name): Selector => ({ target: { kind: "group", name } })),
  fc
    .tuple(abi, fc.integer({ min: 0, max: 600 }))
    .map(([abi, nr]): Selector => ({ abi, target: { kind: "number", nr } })),
  fc.constantFrom(424, 435, 999, 0xffff_ffff).map((nr): Selector => ({ target: { kind: "number", nr } })),
  fc.constantFrom(102, 117).map((nr): Selector => ({ abi: "x86", target: { kind: "number", nr } })),
  fc
    .option(conditionOf(rawLeaf), { nil: undefined })
    .map(
      (condition): Selector =>
        condition === undefined ? { target: { kind: "any" } } : { target: { kind: "any" }, condition },
    ),
  fc.tuple(abi, named).map(([abi, selector]): Selector => ({ ...selector, abi })),
);
const groupWithCondition = fc
  .tuple(
    fc.constantFrom(["@network-io", "domain"], ["@basic-io", "fd"], ["@ipc", "key"]),
    leafOf({ kind: "argument", name: "" }, 16, false),
  )
  .map(([[group = "", name = ""], leaf]): Selector => {
    const condition: Condition =
      leaf.kind === "test"
        ? { ...leaf, operand: { ...leaf.operand, word: { kind: "argument", name } } }
        : leaf;
    return { target: { kind: "group", name: group }, condition };
  });

const selectors = fc.array(fc.oneof({ weight: 5, arbitrary: named }, { weight: 2, arbitrary: other }), {
  minLength: 1,
  maxLength: 3,
});
const reason = fc.option(fc.constantFrom("it never debugs", "a # in it, and é 🙂", "x"), { nil: undefined });

function ruleWith(actions: fc.Arbitrary<Action>): fc.Arbitrary<Rule> {
  return fc
    .tuple(actions, selectors, reason)
    .map(
      ([action, selectors, reason]): Rule =>
        reason === undefined ? { action, selectors } : { action, selectors, reason },
    );
}
const rule = fc.oneof(
  { weight: 9, arbitrary: ruleWith(action) },
  groupWithCondition.map((selector): Rule => ({ action: { kind: "allow" }, selectors: [selector] })),
);

/** A policy, as its head's values and its rules. */
export interface Written {
  readonly default: Action;
  readonly baseline: string | undefined;
  readonly newer: Action;
  readonly abis: readonly string[];
  readonly otherAbis: Action;
  readonly multiplexed: "strict" | "open";
  readonly require: readonly Rule[];
  readonly rules: readonly Rule[];
}

/** What a test draws further choices by, each from 0 to less than 1. */
export const chances = fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true }));

export const written: fc.Arbitrary<Written> = fc
  .record(
    {
      default: action,
      baseline: fc.constantFrom(undefined, "3.0", "5.4", "6.6", "7.2"),
      newer: action,
      abis: fc.constantFrom(
        ["native"],
        ["all"],
        ["x86"],
        ["x32"],
        ["x86_64", "x86"],
        ["x86", "x32"],
        ["aarch64", "x86_64"],
      ),
      otherAbis: action,
      multiplexed: fc.constantFrom("strict", "open"),
      require: fc.array(ruleWith(denial), { maxLength: 2 }),
      rules: fc.array(rule, { minLength: 1, maxLength: 8 }),
    },
    { noNullPrototype: true },
  )
  .map((one) => {
    const lets = one.default.kind === "allow" || one.default.kind === "log";
    return lets && one.baseline === undefined ? { ...one, baseline: "6.1" } : one;
  });

/** As a file. */
export function textOf(policy: Written): string {
  const rules = (key: string, list: Written["rules"]): string =>
    list.length === 0 ? "" : `${key} = '''\n${list.map(printRule).join("\n")}\n'''\n`;
  return `version = 1
[syscalls]
default = "${printAction(policy.default)}"
${policy.baseline === undefined ? "" : `baseline = "${policy.baseline}"`}
newer = "${printAction(policy.newer)}"
abis = ${JSON.stringify(policy.abis)}
other-abis = "${printAction(policy.otherAbis)}"
multiplexed = "${policy.multiplexed}"
${rules("require", policy.require)}${rules("rules", policy.rules)}`;
}

/** Every number that a value is made of, whatever the ABI. */
function numbersIn(value: Value): readonly bigint[] {
  switch (value.kind) {
    case "integer":
      return [value.value];
    case "constant":
      return abis.flatMap(({ name }) => constantValue(name, value.name) ?? []);
    case "negative":
      return numbersIn(value.item).map((one) => -one);
    case "complement":
      return numbersIn(value.item).flatMap((one) => [one, ~one]);
    case "union":
      return [...value.items.flatMap(numbersIn), value.items.flatMap(numbersIn).reduce((a, b) => a | b, 0n)];
  }
}

function numbersOfCondition(condition: Condition): readonly bigint[] {
  switch (condition.kind) {
    case "and":
    case "or":
      return condition.items.flatMap(numbersOfCondition);
    case "not":
      return numbersOfCondition(condition.item);
    case "test": {
      const { operand, test } = condition;
      const mask = operand.mask === undefined ? [] : numbersIn(operand.mask);
      if (test.kind === "nonzero") return mask;
      const values = test.kind === "in" ? test.items.flatMap(({ low, high }) => [low, high]) : [test.value];
      return [...mask, ...values.flatMap(numbersIn)];
    }
  }
}

/** The numbers at which decisions of these rules can change: each number in them, and its neighbours. */
function boundaries(rules: readonly Rule[]): readonly bigint[] {
  const found = rules
    .flatMap((rule) => rule.selectors)
    .flatMap(({ condition }) => (condition === undefined ? [] : numbersOfCondition(condition)));
  return [...new Set([0n, 1n, -1n, ...found.flatMap((one) => [one - 1n, one, one + 1n])])].map((one) =>
    BigInt.asUintN(64, one),
  );
}

/** The numbers that the rules' names can mean, with numbers that nobody has. */
function numbersOf(rules: readonly Rule[], abi: AbiName): readonly number[] {
  const names = rules.flatMap((rule) =>
    rule.selectors.flatMap(({ target }) => (target.kind === "name" ? twinsOf(target.name) : [])),
  );
  const base = abis.find((one) => one.name === abi)?.numberBase ?? 0;
  const known = [...new Set([...names, "socketcall", "ipc"])].flatMap(
    (name) => syscallByName(abi, name)?.nr ?? [],
  );
  const written = rules.flatMap((rule) =>
    rule.selectors.flatMap(({ target }) => (target.kind === "number" ? [target.nr] : [])),
  );
  return [...known, ...written.map((nr) => (base + nr) >>> 0), base + 3, base + 511, base + 999];
}

/** A call as the words of seccomp_data, and the value that a filter has to return for it. */
export interface Expected {
  readonly words: Uint32Array;
  readonly expected: number;
}

/** Some calls of a policy as words, chosen by `random`, with what the policy says and should be returned. */
export function* callsOn(policy: Policy, random: () => number, count: number): Generator<Expected> {
  const { resolved } = resolve(policy, target);
  const rules = [...policy.syscalls.require, ...policy.syscalls.rules];
  const edges = boundaries(rules);
  const pick = <T>(list: readonly T[], otherwise: T): T =>
    list[Math.floor(random() * list.length)] ?? otherwise;
  const word32 = (): number => Math.floor(random() * 2 ** 32);
  const numbers = new Map(abis.map(({ name }) => [name, numbersOf(rules, name)]));
  for (let i = 0; i < count; i++) {
    const abi = pick(abis, undefined);
    if (abi === undefined) return;
    const nr = random() < 0.05 ? word32() : pick(numbers.get(abi.name) ?? [], 0);
    const words = new Uint32Array(16);
    words[0] = nr;
    words[1] = random() < 0.03 ? word32() : abi.arch;
    for (let low = 2; low < 16; low += 2) {
      const value = pick(edges, 0n);
      words[low] = Number(value & 0xffff_ffffn);
      words[low + 1] = Number(value >> 32n);
      const garbage = random();
      if (garbage < 0.15) words[low + 1] = word32();
      else if (garbage < 0.25) words[low] = word32();
      else if (garbage < 0.3) words[low] = 1 + Math.floor(random() * 24);
    }
    const owner = abis.find((one) => one.arch === words[1])?.name;
    const decidedBy: AbiName | undefined = owner === undefined ? undefined : abiOfNumber(owner, nr >>> 0);
    const decision: Decision =
      decidedBy === undefined
        ? { ...resolved.otherAbis, rule: undefined }
        : evaluateWords(resolved, decidedBy, nr >>> 0, (index) => BigInt(words[index] ?? 0));
    yield { words, expected: returnValueOfDecision(decision, decidedBy, resolved) };
  }
}
