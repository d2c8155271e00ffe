// Filters that compute with more than loads and comparisons, on words of 32 bits.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  ALU_ADD_K,
  ALU_ADD_X,
  ALU_AND_K,
  ALU_DIV_X,
  ALU_LSH_X,
  ALU_MUL_K,
  ALU_MUL_X,
  ALU_OR_K,
  ALU_RSH_K,
  ALU_SUB_K,
  ALU_XOR_X,
  check,
  emulateWords,
  errno,
  filterOf,
  type Instruction,
  instruction,
  JEQ_K,
  JEQ_X,
  JGE_K,
  JGT_K,
  JSET_K,
  JSET_X,
  jump,
  LD_IMM,
  LD_LEN,
  LD_MEM,
  LDX_IMM,
  LDX_MEM,
  load,
  RET_A,
  RET_ALLOW,
  ret,
  ST,
  TAX,
} from "../../src/bpf/index.ts";
import { DecisionMaker } from "../../src/proof/decisions.ts";
import { compareDecisions, type Equality } from "../../src/proof/equality.ts";
import { decisionsOfFilter, UnreadableFilter } from "../../src/proof/filter.ts";
import { inspectFilters } from "../../src/proof/inspect.ts";

const deny = ret(errno(1));
const allow = ret(RET_ALLOW);
const argument = (index: number): Instruction => load(16 + 8 * index);
const nr = load(0);

function compare(a: readonly Instruction[], b: readonly Instruction[]): Equality {
  assert.deepEqual([check(a), check(b)], [[], []]);
  const maker = new DecisionMaker();
  const verdict = compareDecisions(decisionsOfFilter(a, maker), decisionsOfFilter(b, maker));
  if (verdict.verdict === "different") {
    const words = Uint32Array.from(verdict.words);
    assert.notEqual(emulateWords(a, words), emulateWords(b, words));
  }
  return verdict;
}

function assertEqual(a: readonly Instruction[], b: readonly Instruction[]): void {
  assert.equal(compare(a, b).verdict, "equal");
}

function assertDifferent(a: readonly Instruction[], b: readonly Instruction[]): void {
  assert.equal(compare(a, b).verdict, "different");
}

describe("arithmetic on one word", () => {
  test("a shifted word is a masked one", () => {
    const shifted = [argument(0), instruction(ALU_RSH_K, 16), jump(JEQ_K, 5, 0, 1), deny, allow];
    const masked = (k: number): Instruction[] => [
      argument(0),
      instruction(ALU_AND_K, 0xffff_0000),
      jump(JEQ_K, k, 0, 1),
      deny,
      allow,
    ];
    assertEqual(shifted, masked(5 << 16));
    assertDifferent(shifted, masked((5 << 16) | 1));
  });

  test("a difference below a limit is an interval", () => {
    const subtracted = [nr, instruction(ALU_SUB_K, 100), jump(JGT_K, 10, 1, 0), deny, allow];
    const interval = (last: number): Instruction[] => [
      nr,
      jump(JGE_K, 100, 0, 2),
      jump(JGT_K, last, 1, 0),
      deny,
      allow,
    ];
    assertEqual(subtracted, interval(110));
    assertDifferent(subtracted, interval(111));
  });

  test("a table of bits, looked up with a shift by the number", () => {
    const bits = (1 << 3) | (1 << 17) | (1 << 30);
    const table = [
      nr,
      jump(JGE_K, 32, 5, 0),
      instruction(TAX),
      instruction(LD_IMM, 1),
      instruction(ALU_LSH_X),
      jump(JSET_K, bits, 0, 1),
      deny,
      allow,
    ];
    const chain = (last: number): Instruction[] => [
      nr,
      jump(JEQ_K, 3, 2, 0),
      jump(JEQ_K, 17, 1, 0),
      jump(JEQ_K, last, 0, 1),
      deny,
      allow,
    ];
    assertEqual(table, chain(30));
    assertDifferent(table, chain(29));
  });

  test("a product with a constant wraps as in the kernel", () => {
    const product = [nr, instruction(ALU_MUL_K, 0x8000_0001), jump(JEQ_K, 0x8000_0003, 0, 1), deny, allow];
    assertEqual(product, [nr, jump(JEQ_K, 3, 0, 1), deny, allow]);
    assertDifferent(product, [nr, jump(JEQ_K, 4, 0, 1), deny, allow]);
  });

  test("ret a, of a few values", () => {
    const computed = [
      argument(1),
      instruction(ALU_AND_K, 7),
      instruction(ALU_OR_K, errno(0)),
      instruction(RET_A),
    ];
    const listed = (last: number): Instruction[] => [
      argument(1),
      instruction(ALU_AND_K, 7),
      ...[0, 1, 2, 3, 4, 5, 6].flatMap((value) => [jump(JEQ_K, value, 0, 1), ret(errno(value))]),
      ret(errno(last)),
    ];
    assertEqual(computed, listed(7));
    assertDifferent(computed, listed(6));
  });

  test("the length is 64, and memory keeps what was stored", () => {
    const kept = [
      nr,
      instruction(ST, 3),
      instruction(LD_LEN),
      instruction(LDX_MEM, 3),
      jump(JEQ_X, 0, 0, 1),
      deny,
      allow,
    ];
    assertEqual(kept, [nr, jump(JEQ_K, 64, 0, 1), deny, allow]);
    assertDifferent(kept, [nr, jump(JEQ_K, 65, 0, 1), deny, allow]);
  });
});

describe("two words", () => {
  const equalArguments = [argument(0), instruction(TAX), argument(1), jump(JEQ_X, 0, 0, 1), deny, allow];

  test("are compared with each other", () => {
    const otherWay = [
      argument(1),
      instruction(ST, 0),
      argument(0),
      instruction(LDX_MEM, 0),
      instruction(ALU_XOR_X),
      jump(JEQ_K, 0, 0, 1),
      deny,
      allow,
    ];
    assertEqual(equalArguments, otherWay);
    assertDifferent(equalArguments, otherWay.with(5, jump(JEQ_K, 1, 0, 1)));
    assertDifferent(equalArguments, [
      argument(0),
      instruction(TAX),
      argument(1),
      jump(JSET_X, 0, 0, 1),
      deny,
      allow,
    ]);
  });

  test("are added", () => {
    const sum = (k: number): Instruction[] => [
      argument(0),
      instruction(TAX),
      argument(1),
      instruction(ALU_ADD_X),
      instruction(ALU_ADD_K, 5),
      jump(JEQ_K, k, 0, 1),
      deny,
      allow,
    ];
    assertEqual(sum(9), [...sum(9)].with(0, argument(1)).with(2, argument(0)));
    assertDifferent(sum(9), sum(10));
  });

  test("a division by 0 ends the filter with 0", () => {
    const divided = [argument(0), instruction(TAX), instruction(LD_IMM, 7), instruction(ALU_DIV_X), deny];
    assertEqual(divided, [argument(0), jump(JEQ_K, 0, 0, 1), ret(0), deny]);
    assertDifferent(divided, [argument(0), jump(JEQ_K, 0, 0, 1), ret(1), deny]);
  });
});

describe("what is too large to be expressed", () => {
  const product = [instruction(TAX), instruction(ALU_MUL_X), jump(JEQ_K, 144, 0, 1), deny, allow];

  test("is told apart by the values that are left", () => {
    // Below 1000, 12 alone has the square 144.
    const square = [nr, jump(JGE_K, 1000, 4, 0), ...product];
    assertEqual(square, [nr, jump(JEQ_K, 12, 0, 1), deny, allow]);
    assertDifferent(square, [nr, jump(JEQ_K, 13, 0, 1), deny, allow]);
  });

  test("is said to be undecided where there are too many", () => {
    const maker = new DecisionMaker();
    const factors = [argument(0), instruction(TAX), argument(1), ...product.slice(1)];
    assert.throws(() => decisionsOfFilter(factors, maker), UnreadableFilter);
    assert.throws(() => decisionsOfFilter([argument(0), instruction(RET_A)], maker), UnreadableFilter);
  });
});

test("X and memory that are not read any more do not multiply the runs", () => {
  const program: Instruction[] = [];
  for (let index = 0; index < 60; index++)
    program.push(
      argument(index % 6),
      jump(JEQ_K, index, 0, 2),
      instruction(ST, index % 16),
      instruction(LDX_IMM, index),
    );
  program.push(instruction(LD_IMM, 1), instruction(ST, 0), instruction(LD_MEM, 0), deny);
  const maker = new DecisionMaker();
  const decisions = decisionsOfFilter(program, maker);
  assert.equal(decisions.kind, "answer");
});

test("a filter that puts conditions on every call in hundreds of ways is told in part, and says so", () => {
  // Whether an even number of some bits is set: two chains side by side, which change places at each bit that is.
  const bits = [...Array(12).keys()].flatMap((half) =>
    [0, 7].map((bit) => [load(16 + 4 * half), 1 << bit] as const),
  );
  // The even chain stands first at each bit, 4 instructions before its next; behind the last there are the two returns.
  const steps = bits.flatMap(([word, bit], index): readonly Instruction[] => {
    const odd = index === bits.length - 1 ? 3 : 4;
    return [word, jump(JSET_K, bit >>> 0, odd, 2), word, jump(JSET_K, bit >>> 0, 0, odd - 2)];
  });
  const filter = filterOf([...steps, allow, deny]);
  const [native] = inspectFilters([filter], "x86_64").abis;
  const conditions = native?.conditional.map(({ cases }) => cases[0]?.condition) ?? [];
  assert.ok(conditions.length > 300);
  assert.equal(conditions.at(-1), "by conditions too many to be listed");
  assert.notEqual(conditions[0], "by conditions too many to be listed");
});
