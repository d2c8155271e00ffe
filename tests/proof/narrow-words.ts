// Filters and policies over words of a few bits, small enough that every call can be tried; and what they say of
// a call, by code that neither the proof nor the compiler has.
import fc from "fast-check";
import {
  ALU_ADD_K,
  ALU_ADD_X,
  ALU_AND_K,
  ALU_AND_X,
  ALU_DIV_K,
  ALU_DIV_X,
  ALU_LSH_K,
  ALU_LSH_X,
  ALU_MUL_K,
  ALU_MUL_X,
  ALU_NEG,
  ALU_OR_K,
  ALU_OR_X,
  ALU_RSH_K,
  ALU_RSH_X,
  ALU_SUB_K,
  ALU_SUB_X,
  ALU_XOR_K,
  ALU_XOR_X,
  type Instruction,
  instruction,
  JA,
  JEQ_K,
  JEQ_X,
  JGE_K,
  JGE_X,
  JGT_K,
  JGT_X,
  JSET_K,
  JSET_X,
  jump,
  jumpAlways,
  LD_IMM,
  LD_LEN,
  LD_MEM,
  LDX_IMM,
  LDX_LEN,
  LDX_MEM,
  load,
  RET_A,
  ret,
  ST,
  STX,
  TAX,
  TXA,
} from "../../src/bpf/index.ts";
import type {
  Decisions,
  Entry,
  Field,
  ResolvedCondition,
  ResolvedPolicy,
} from "../../src/policy/resolved.ts";
import type { Action, Rule } from "../../src/policy/types.ts";
import type { Abi } from "../../src/syscalls/index.ts";
import { policyOf } from "../policy/reading.ts";

/** The words that calls differ in, and the bits of each. */
export interface Shape {
  readonly width: number;
  readonly words: readonly number[];
}

export const onesOf = ({ width }: Shape): number => 2 ** width - 1;
/** The words of arguments: those after number, architecture and instruction pointer. */
const argumentWords = ({ words }: Shape): readonly number[] => words.filter((word) => word >= 4);

/** Every call of a shape; the words outside it are 0. Each is the same array, to be looked at at once. */
export function* everyCall(shape: Shape): Generator<Uint32Array> {
  const call = new Uint32Array(16);
  const count = 2 ** (shape.width * shape.words.length);
  for (let index = 0; index < count; index++) {
    shape.words.forEach((word, at) => {
      call[word] = (index >>> (shape.width * at)) & onesOf(shape);
    });
    yield call;
  }
}

// Filters.

/** A random program that the kernel would take: forward jumps, a return at the end. */
export function filterIn(shape: Shape): fc.Arbitrary<readonly Instruction[]> {
  const k = fc.nat(onesOf(shape));
  const answer = fc.nat(2);
  const skip = fc.nat(5);
  const loading = fc.constantFrom(...shape.words).map((word) => load(4 * word));
  const step: fc.Arbitrary<Instruction> = fc.oneof(
    { weight: 3, arbitrary: loading },
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.constantFrom(JEQ_K, JGE_K, JGT_K, JSET_K), k, skip, skip)
        .map(([code, k, jt, jf]) => jump(code, k, jt, jf)),
    },
    k.map((mask) => instruction(ALU_AND_K, mask)),
    { weight: 2, arbitrary: answer.map(ret) },
    skip.map(jumpAlways),
    k.map((value) => instruction(LD_IMM, value)),
  );
  return fc
    .tuple(loading, fc.array(step, { minLength: 4, maxLength: 28, size: "max" }), answer)
    .map(([first, steps, last]) => lawful([first, ...steps, ret(last)]));
}

/** A random program of everything that seccomp permits: arithmetic, X, scratch memory, `ret a`. */
export function machineFilterIn(shape: Shape): fc.Arbitrary<readonly Instruction[]> {
  const k = fc.oneof(fc.nat(onesOf(shape)), fc.constantFrom(0xffff_ffff, 0xffff_fff0, 17, 64, 0x8000_0000));
  const skip = fc.nat(4);
  const memory = fc.nat(memoryWords - 1);
  const loading = fc.constantFrom(...shape.words).map((word) => load(4 * word));
  const of = (codes: readonly number[], operand: fc.Arbitrary<number>): fc.Arbitrary<Instruction> =>
    fc.tuple(fc.constantFrom(...codes), operand).map(([code, value]) => instruction(code, value));
  const step: fc.Arbitrary<Instruction> = fc.oneof(
    { weight: 6, arbitrary: loading },
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.constantFrom(JEQ_K, JGE_K, JGT_K, JSET_K, JEQ_X, JGE_X, JGT_X, JSET_X), k, skip, skip)
        .map(([code, value, jt, jf]) => jump(code, value, jt, jf)),
    },
    {
      weight: 4,
      arbitrary: of([ALU_ADD_K, ALU_SUB_K, ALU_MUL_K, ALU_OR_K, ALU_AND_K, ALU_XOR_K], k),
    },
    of([ALU_DIV_K], fc.integer({ min: 1, max: 9 })),
    of([ALU_LSH_K, ALU_RSH_K], fc.nat(31)),
    {
      weight: 4,
      arbitrary: of(
        [ALU_ADD_X, ALU_SUB_X, ALU_MUL_X, ALU_DIV_X, ALU_OR_X, ALU_AND_X, ALU_XOR_X, ALU_LSH_X, ALU_RSH_X],
        fc.constant(0),
      ),
    },
    { weight: 3, arbitrary: of([TAX, TXA, ALU_NEG, LD_LEN, LDX_LEN], fc.constant(0)) },
    { weight: 4, arbitrary: of([ST, STX, LD_MEM, LDX_MEM], memory) },
    of([LD_IMM, LDX_IMM], k),
    fc.constantFrom(ret(1), instruction(RET_A)),
    skip.map(jumpAlways),
  );
  // The kernel wants every memory word written before it is read.
  const written = fc
    .array(loading, { minLength: memoryWords, maxLength: memoryWords })
    .map((loads) => loads.flatMap((one, index) => [one, instruction(index % 2 === 0 ? ST : STX, index)]));
  return fc
    .tuple(
      written,
      fc.array(step, { minLength: 4, maxLength: 24, size: "max" }),
      fc.constantFrom(ret(0), instruction(RET_A)),
    )
    .map(([first, steps, last]) => lawful([...first, ...steps, last]));
}

/** The scratch memory that random programs use. */
const memoryWords = 3;

/** The program with jumps that would leave it led to its last instruction. */
function lawful(instructions: readonly Instruction[]): readonly Instruction[] {
  return instructions.map((step, index) => {
    const rest = instructions.length - index - 2;
    if (step.code === JA) return { ...step, k: Math.min(step.k, Math.max(0, rest)) };
    return { ...step, jt: Math.min(step.jt, Math.max(0, rest)), jf: Math.min(step.jf, Math.max(0, rest)) };
  });
}

/** A program made from the answers themselves, a comparison a step: equal to them by its making. */
export function filterOfTable(shape: Shape, answerOf: (call: Uint32Array) => number): Instruction[] {
  const call = new Uint32Array(16);
  const build = (at: number): Instruction[] => {
    const word = shape.words[at];
    if (word === undefined) return [ret(answerOf(call))];
    const parts: Instruction[][] = [];
    for (let value = 0; value <= onesOf(shape); value++) {
      call[word] = value;
      parts.push(build(at + 1));
    }
    const between = (low: number, high: number): Instruction[] => {
      const first = parts[low] ?? [];
      const text = JSON.stringify(first);
      if (parts.slice(low, high + 1).every((part) => JSON.stringify(part) === text)) return first;
      const middle = (low + high + 1) >> 1;
      const below = between(low, middle - 1);
      return [
        load(4 * word),
        jump(JGE_K, middle, 0, 1),
        jumpAlways(below.length),
        ...below,
        ...between(middle, high),
      ];
    };
    return between(0, onesOf(shape));
  };
  return build(0);
}

/** The program with one instruction changed. */
export function changed(
  instructions: readonly Instruction[],
  at: number,
  way: number,
  ones: number,
): readonly Instruction[] {
  const index = at % instructions.length;
  const step = instructions[index];
  if (step === undefined) return instructions;
  const other = ((): Instruction => {
    switch (step.code) {
      case JEQ_K:
      case JGE_K:
      case JGT_K:
      case JSET_K:
        if (way % 4 === 0) return { ...step, jt: step.jf, jf: step.jt };
        return { ...step, k: (step.k + (way % 4 === 1 ? 1 : way)) & ones };
      case ALU_AND_K:
      case LD_IMM:
        return { ...step, k: (step.k ^ (1 << (way % 4))) & ones };
      case JA:
      case RET_A:
        return step;
      default:
        return step.code === 6 ? ret((step.k + 1 + (way & 1)) % 3) : step;
    }
  })();
  return instructions.with(index, other);
}

// Policies.

const actions: readonly Action[] = [
  { kind: "allow" },
  { kind: "errno", errno: 7 },
  { kind: "errno", errno: 9 },
  { kind: "kill" },
  { kind: "log" },
];
const action = fc.constantFrom(...actions);

/** Fields of half a word, one word and two, by the names that they have where a word has 32 bits. */
function fieldIn(shape: Shape): fc.Arbitrary<Field> {
  const words = argumentWords(shape);
  const narrow = fc.record(
    { low: fc.constantFrom(...words), width: fc.constantFrom<16 | 32>(16, 32), signed: fc.boolean() },
    { noNullPrototype: true },
  );
  if (words.length < 2) return narrow;
  // Also in the other order, as some ABIs have the halves.
  const wide = fc
    .tuple(fc.shuffledSubarray([...words], { minLength: 2, maxLength: 2 }), fc.boolean())
    .map(([[low = 4, high = 5], signed]): Field => ({ low, high, width: 64, signed }));
  return fc.oneof(narrow, { weight: 2, arbitrary: wide });
}

export const bitsOf = (field: Field, shape: Shape): number => (field.width * shape.width) / 32;

function testIn(shape: Shape): fc.Arbitrary<ResolvedCondition> {
  return fc
    .tuple(
      fieldIn(shape),
      fc.nat(6),
      fc.nat(0xffff),
      fc.array(fc.nat(0xffff), { minLength: 6, maxLength: 6 }),
      fc.boolean(),
    )
    .map(([field, which, maskBits, values, flag]): ResolvedCondition => {
      const bits = bitsOf(field, shape);
      const all = (1n << BigInt(bits)) - 1n;
      const value = (index: number): bigint => BigInt(values[index] ?? 0) & all;
      const masked = flag && which !== 2;
      const mask = masked ? { mask: BigInt(maskBits) & all } : {};
      const number = (pattern: bigint): bigint =>
        field.signed && !masked ? BigInt.asIntN(bits, pattern) : pattern;
      const range = (index: number): { readonly low: bigint; readonly high: bigint } => {
        const [a, b] = [value(index), value(index + 1)];
        return number(a) <= number(b) ? { low: a, high: b } : { low: b, high: a };
      };
      const operators = ["==", "!=", "<", "<=", ">", ">="] as const;
      const operator = operators[(values[5] ?? 0) % operators.length] ?? "==";
      if (which === 0) return { kind: "test", field, ...mask, comparison: { operator: "nonzero" } };
      if (which === 1) {
        const ranges = [range(0), range(2), { low: value(4), high: value(4) }].slice(0, 1 + (maskBits % 3));
        const negated = (maskBits & 4) !== 0;
        return { kind: "test", field, ...mask, comparison: { operator: "in", negated, ranges } };
      }
      if (which === 2) return { kind: "test", field, comparison: { operator: "within", value: value(0) } };
      return { kind: "test", field, ...mask, comparison: { operator, value: value(0) } };
    });
}

export function conditionIn(shape: Shape): fc.Arbitrary<ResolvedCondition> {
  const leaf = fc.oneof(
    { weight: 12, arbitrary: testIn(shape) },
    fc.boolean().map((value): ResolvedCondition => ({ kind: "known", value })),
    { weight: 2, arbitrary: fc.constant<ResolvedCondition>({ kind: "unknown" }) },
  );
  return fc.letrec<{ readonly condition: ResolvedCondition }>((tie) => ({
    condition: fc.oneof(
      { maxDepth: 3, depthSize: "medium" },
      { weight: 3, arbitrary: leaf },
      {
        weight: 3,
        arbitrary: fc
          .tuple(fc.constantFrom("and", "or"), fc.array(tie("condition"), { minLength: 2, maxLength: 3 }))
          .map(([kind, items]): ResolvedCondition => ({ kind, items })),
      },
      tie("condition").map((item): ResolvedCondition => ({ kind: "not", item })),
    ),
  })).condition;
}

function decisionsIn(shape: Shape, most: number): fc.Arbitrary<Decisions> {
  const entry = fc
    .tuple(action, conditionIn(shape), fc.constantFrom<Entry["unknown"]>("strictest", "most-lenient"))
    .map(([action, condition, unknown]): Entry => ({ rule: ruleFor(action), condition, unknown }));
  return fc
    .tuple(fc.array(entry, { minLength: 1, maxLength: most }), action)
    .map(([entries, action]): Decisions => ({ entries, fallback: { action, by: "default" } }));
}

function ruleFor(action: Action): Rule {
  return { action, selectors: [{ target: { kind: "any" } }] };
}

const anyPolicy = policyOf("");

const sharedArch = 3;

/** The narrow machine's ABIs: x86_64 and x32 share a value and are told apart by the number's two highest bits. */
export const narrowAbis: readonly Abi[] = (["x86_64", "x32", "x86", "aarch64"] as const).map((name) => ({
  name,
  arch: { x86_64: sharedArch, x32: sharedArch, x86: 1, aarch64: 2 }[name],
  bits: 64,
  endian: "little",
  numberBase: 0,
  machine: name === "aarch64" ? "aarch64" : "x86_64",
}));

/** Policies that decide by number, architecture, multiplexers and conditions. */
export function policyIn(shape: Shape, mostRules: number): fc.Arbitrary<ResolvedPolicy> {
  const ones = onesOf(shape);
  const arguments_ = argumentWords(shape);
  const call = fc.tuple(
    fc.nat(ones),
    decisionsIn(shape, mostRules),
    fc.option(
      fc.tuple(
        fc.constantFrom(...arguments_),
        fc.constantFrom(ones, ones >> 1),
        fc.uniqueArray(fc.nat(ones), { maxLength: 3 }),
        fc.array(decisionsIn(shape, 2), { minLength: 3, maxLength: 3 }),
      ),
      { nil: undefined, freq: 3 },
    ),
  );
  const abi = fc.tuple(fc.array(call, { maxLength: 4 }), action);
  return fc
    .tuple(
      fc.subarray([...narrowAbis], { minLength: 1 }),
      fc.array(abi, { minLength: narrowAbis.length, maxLength: narrowAbis.length }),
      action,
    )
    .map(
      ([chosen, contents, otherwise]): ResolvedPolicy => ({
        policy: anyPolicy,
        otherAbis: { action: otherwise, by: "other-abis" },
        abis: chosen.map((abi, index) => {
          const [calls = [], unknown = { kind: "kill" as const }] = contents[index] ?? [];
          const byNumber = new Map(calls.map((one) => [one[0], one]));
          return {
            abi,
            unknownNumber: { action: unknown, by: "newer" },
            calls: [...byNumber.values()]
              .sort(([a], [b]) => a - b)
              .map(([nr, decisions, multiplexer]) => {
                const own = { nr, name: `call${nr}`, ...decisions };
                if (multiplexer === undefined) return own;
                const [word, mask, codes, insides] = multiplexer;
                const behind = codes
                  .filter((code) => (code & ~mask) === 0)
                  .map((code, at) => ({ code, name: `behind${code}`, ...(insides[at] ?? decisions) }));
                return { ...own, behind: { word, mask, calls: behind } };
              }),
          };
        }),
      }),
    );
}

// What they mean.

const strictest: readonly Action["kind"][] = [
  "kill",
  "kill-thread",
  "trap",
  "errno",
  "notify",
  "trace",
  "log",
  "allow",
];
const rankOf = ({ kind }: Action): number => strictest.indexOf(kind === "ask" ? "notify" : kind);

type Truth = "yes" | "no" | "unknown";

function truthOf(condition: ResolvedCondition, call: Uint32Array, shape: Shape): Truth {
  switch (condition.kind) {
    case "known":
      return condition.value ? "yes" : "no";
    case "unknown":
      return "unknown";
    case "not": {
      const item = truthOf(condition.item, call, shape);
      return item === "unknown" ? item : item === "yes" ? "no" : "yes";
    }
    case "and":
    case "or": {
      const items = condition.items.map((item) => truthOf(item, call, shape));
      const settling = condition.kind === "and" ? "no" : "yes";
      if (items.includes(settling)) return settling;
      if (items.includes("unknown")) return "unknown";
      return settling === "no" ? "yes" : "no";
    }
    case "test":
      return testHolds(condition, call, shape) ? "yes" : "no";
  }
}

/** On plain numbers: for 4 bits, a field has 8 at most. For 32, only fields of one word are read here. */
function testHolds(
  { field, mask, comparison }: Extract<ResolvedCondition, { kind: "test" }>,
  call: Uint32Array,
  shape: Shape,
): boolean {
  const size = 2 ** bitsOf(field, shape);
  const high = field.high === undefined ? 0 : (call[field.high] ?? 0);
  const whole = ((call[field.low] ?? 0) + high * 2 ** shape.width) % size;
  const bits = mask === undefined ? whole : whole & Number(mask);
  const signed = field.signed && mask === undefined;
  const order = (pattern: number): number => (signed && pattern >= size / 2 ? pattern - size : pattern);
  const n = order(bits);
  switch (comparison.operator) {
    case "nonzero":
      return bits !== 0;
    case "within":
      return (bits | Number(comparison.value)) === Number(comparison.value);
    case "in": {
      const inside = comparison.ranges.some(
        ({ low, high }) => n >= order(Number(low)) && n <= order(Number(high)),
      );
      return inside === !comparison.negated;
    }
    case "==":
      return n === order(Number(comparison.value));
    case "!=":
      return n !== order(Number(comparison.value));
    case "<":
      return n < order(Number(comparison.value));
    case "<=":
      return n <= order(Number(comparison.value));
    case ">":
      return n > order(Number(comparison.value));
    case ">=":
      return n >= order(Number(comparison.value));
  }
}

/** Rule by rule: what cannot be known makes two worlds, of which the entry says which counts. */
function decided({ entries, fallback }: Decisions, call: Uint32Array, shape: Shape, from = 0): Action {
  const entry = entries[from];
  if (entry === undefined) return fallback.action;
  const truth = truthOf(entry.condition, call, shape);
  if (truth === "yes") return entry.rule.action;
  const rest = decided({ entries, fallback }, call, shape, from + 1);
  if (truth === "no") return rest;
  const order = rankOf(entry.rule.action) - rankOf(rest);
  const takesOwn = entry.unknown === "strictest" ? order <= 0 : order >= 0;
  return takesOwn ? entry.rule.action : rest;
}

/** What the policy says of a call of the narrow machine. */
export function actionFor(resolved: ResolvedPolicy, call: Uint32Array, shape: Shape): Action {
  const [nr = 0, arch = 0] = call;
  const quarter = (onesOf(shape) + 1) / 4;
  const owner = Math.floor(nr / quarter) === 1 ? "x32" : "x86_64";
  const abi = resolved.abis.find(
    (one) => one.abi.arch === arch && (arch !== sharedArch || one.abi.name === owner),
  );
  if (abi === undefined) return resolved.otherAbis.action;
  const found = abi.calls.find((one) => one.nr === nr);
  if (found === undefined) return abi.unknownNumber.action;
  const { behind } = found;
  const inside = behind?.calls.find(({ code }) => code === ((call[behind.word] ?? 0) & behind.mask));
  return decided(inside ?? found, call, shape);
}
