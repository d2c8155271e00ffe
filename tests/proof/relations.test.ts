// Filters that compare words of a call with each other: told in words, never guessed, and no policy.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  ALU_ADD_K,
  ALU_ADD_X,
  ALU_AND_K,
  ALU_DIV_X,
  ALU_LSH_X,
  ALU_MUL_K,
  ALU_MUL_X,
  ALU_NEG,
  ALU_RSH_K,
  ALU_SUB_X,
  ALU_XOR_X,
  emulateWords,
  errno,
  type Filter,
  filterOf,
  type Instruction,
  instruction,
  JEQ_K,
  JEQ_X,
  JGE_K,
  JGT_K,
  JGT_X,
  JSET_K,
  JSET_X,
  jump,
  LD_IMM,
  LD_MEM,
  LDX_LEN,
  load,
  RET_A,
  RET_ALLOW,
  RET_KILL_PROCESS,
  ret,
  ST,
  TAX,
} from "../../src/bpf/index.ts";
import { decompile, diff, UndecidedError } from "../../src/proof/index.ts";
import { inspectFilters } from "../../src/proof/inspect.ts";
import { compareStackMembers } from "../../src/proof/stack.ts";
import { seed } from "../seed.ts";

const deny = ret(errno(1));
const allow = ret(RET_ALLOW);
const low = (index: number): Instruction => load(16 + 8 * index);
const high = (index: number): Instruction => load(20 + 8 * index);
const toX = instruction(TAX);
const x86_64 = [load(4), jump(JEQ_K, 0xc000_003e, 1, 0), ret(RET_KILL_PROCESS)];

/** A filter with a say in socket alone. */
function onSocket(...steps: readonly Instruction[]): Filter {
  return filterOf([...x86_64, load(0), jump(JEQ_K, 41, 1, 0), allow, ...steps]);
}

/** What `inspect` says of one call. */
function told(filter: Filter, syscall: string): readonly string[] {
  const [native] = inspectFilters([filter], "x86_64").abis;
  const found = native?.conditional.find((one) => one.syscall === syscall);
  return (found?.cases ?? []).map(({ condition, action }) => `${action} if ${condition}`);
}

describe("what a filter computes of several words is told", () => {
  const rows: readonly (readonly [string, readonly Instruction[]])[] = [
    ["domain == type", [low(0), toX, low(1), jump(JEQ_X, 0, 0, 1)]],
    ["type > domain", [low(0), toX, low(1), jump(JGT_X, 0, 0, 1)]],
    ["(domain & type) != 0", [low(0), toX, low(1), jump(JSET_X, 0, 0, 1)]],
    [
      "domain == type",
      [low(0), instruction(ST, 3), low(1), toX, instruction(LD_MEM, 3), jump(JEQ_X, 0, 0, 1)],
    ],
    [
      "((domain ^ type) & 255) == 0",
      [low(0), toX, low(1), instruction(ALU_XOR_X), instruction(ALU_AND_K, 255), jump(JEQ_K, 0, 0, 1)],
    ],
    ["(domain + type) > 4095", [low(0), toX, low(1), instruction(ALU_ADD_X), jump(JGT_K, 4095, 0, 1)]],
    ["(domain - type) < 16", [low(1), toX, low(0), instruction(ALU_SUB_X), jump(JGE_K, 16, 1, 0)]],
    ["high(args[0]) == low(args[4])", [high(0), toX, low(4), jump(JEQ_X, 0, 0, 1)]],
    ["low(ip) == type", [load(8), toX, low(1), jump(JEQ_X, 0, 0, 1)]],
  ];
  for (const [condition, steps] of rows)
    test(condition, () => {
      const filter = onSocket(...steps, deny, allow);
      assert.equal(told(filter, "socket")[0], `errno(EPERM) if ${condition}`);
      // The opposite is said of what is left.
      assert.equal(told(filter, "socket").length, 2);
      const without = onSocket(allow);
      const [only, ...more] = diff(without, filter);
      assert.deepEqual([only?.syscall, only?.condition, more], ["socket", condition, []]);
      assert.deepEqual(diff(filter, filter), []);
      assert.throws(() => decompile(filter), /instruction \d+ asks whether .* not with each other/);
      const lost: string[] = [];
      const policy = decompile(filter, {
        lost: (one) => {
          lost.push(one.syscall ?? "");
          assert.equal(one.milder, false);
        },
      });
      assert.deepEqual(lost, ["socket"]);
      assert.ok(diff(filter, policy).length > 0);
    });

  test("both halves of two arguments", () => {
    const filter = onSocket(
      ...[low(0), toX, low(1), jump(JEQ_X, 0, 0, 3), high(0), toX, high(1), jump(JEQ_X, 0, 1, 0)],
      ...[allow, deny],
    );
    const [where] = told(filter, "socket");
    assert.match(where ?? "", /high\(args\[0\]\) == high\(args\[1\]\)/);
  });

  test("number and architecture are known where a call is told", () => {
    const sum = filterOf([
      ...x86_64,
      ...[load(0), toX, low(0), instruction(ALU_ADD_X), jump(JEQ_K, 100, 0, 1), deny, allow],
    ]);
    const [first] = diff(sum, filterOf([...x86_64, allow]));
    assert.deepEqual([first?.syscall, first?.witness.args[0]], ["read", 100n]);
    const mixed = [load(4), toX, load(0), instruction(ALU_XOR_X), jump(JEQ_K, 0xc000_003e ^ 41, 0, 1)];
    const socket = inspectFilters([filterOf([...mixed, deny, allow])], "x86_64").abis[0];
    assert.deepEqual(socket?.always["errno(EPERM)"], ["socket"]);
  });

  test("ways that no call takes are not told", () => {
    // domain == type, domain == 1, and type == 2: the last is never reached with an answer of its own.
    const filter = onSocket(
      ...[low(0), toX, low(1), jump(JEQ_X, 0, 0, 4), jump(JEQ_K, 1, 0, 3)],
      ...[low(0), jump(JEQ_K, 2, 0, 1), ret(errno(38)), allow],
    );
    assert.deepEqual(diff(filter, onSocket(allow)), []);
    assert.deepEqual(told(filter, "socket"), ["allow if else"]);
  });
});

describe("arithmetic on one word is a set of its values", () => {
  const rows: readonly (readonly [string, readonly Instruction[]])[] = [
    ["domain in {AF_UNSPEC, -10..-1}", [low(0), instruction(ALU_NEG), jump(JGT_K, 10, 1, 0)]],
    ["domain in {21..27}", [low(0), instruction(0x34, 7), jump(JEQ_K, 3, 0, 1)]],
    ["domain == AF_AX25", [low(0), instruction(ALU_MUL_K, 3), jump(JEQ_K, 9, 0, 1)]],
    // A shift by X takes the lowest five bits of it.
    [
      "(domain & 31) == AF_AX25",
      [low(0), toX, instruction(LD_IMM, 1), instruction(ALU_LSH_X), jump(JSET_K, 8, 0, 1)],
    ],
    ["domain in {-0x80000000..-1}", [low(0), instruction(ALU_RSH_K, 31), jump(JEQ_K, 1, 0, 1)]],
    ["domain == 64", [instruction(LDX_LEN), low(0), jump(JEQ_X, 0, 0, 1)]],
    ["(ip & 4095) == 291", [load(8), instruction(ALU_AND_K, 4095), jump(JEQ_K, 291, 0, 1)]],
  ];
  for (const [condition, steps] of rows)
    test(condition, () => {
      const filter = onSocket(...steps, deny, allow);
      assert.equal(told(filter, "socket")[0], `errno(EPERM) if ${condition}`);
      assert.deepEqual(diff(filter, decompile(filter)), []);
    });

  test("of the number", () => {
    const filter = filterOf([
      ...x86_64,
      load(0),
      instruction(ALU_ADD_K, 5),
      jump(JEQ_K, 46, 0, 1),
      deny,
      allow,
    ]);
    assert.deepEqual(inspectFilters([filter], "x86_64").abis[0]?.always["errno(EPERM)"], ["socket"]);
    assert.deepEqual(diff(filter, decompile(filter)), []);
  });

  test("a division by 0 kills the thread", () => {
    const steps = [low(0), toX, instruction(LD_IMM, 100), instruction(ALU_DIV_X), jump(JGT_K, 10, 0, 1)];
    const filter = onSocket(...steps, deny, allow);
    assert.ok(told(filter, "socket").includes("kill-thread if domain == AF_UNSPEC"));
    assert.deepEqual(diff(filter, decompile(filter)), []);
  });
});

describe("what is too large is undecided, wherever it is asked", () => {
  const rows: readonly (readonly [string, readonly Instruction[]])[] = [
    ["a product of two words", [low(0), toX, low(1), instruction(ALU_MUL_X), jump(JEQ_K, 12, 0, 1)]],
    ["a quotient of two words", [low(0), toX, low(1), instruction(ALU_DIV_X), jump(JGT_K, 10, 0, 1)]],
    ["every value", [low(0), instruction(RET_A)]],
  ];
  for (const [name, steps] of rows)
    test(name, () => {
      const filter = onSocket(...steps, deny, allow);
      assert.throws(() => diff(filter, onSocket(allow)), UndecidedError);
      assert.throws(() => inspectFilters([filter], "x86_64"), UndecidedError);
      assert.throws(() => decompile(filter), UndecidedError);
      const verdict = compareStackMembers([{ filter }], [{ filter: onSocket(allow) }]);
      assert.equal(verdict.verdict, "undecided");
    });
});

describe(`random filters that compare words (seed ${seed})`, () => {
  const word = fc.constantFrom(low(0), low(1), low(2), load(0));
  const step = fc.oneof(
    fc.tuple(word, word, fc.constantFrom(JEQ_X, JGT_X, JSET_X)).map(([a, b, code]) => ({
      steps: [a, toX, b],
      test: code,
      k: 0,
    })),
    fc.tuple(word, fc.constantFrom(JEQ_K, JGE_K), fc.nat(2)).map(([a, code, k]) => ({
      steps: [a],
      test: code,
      k,
    })),
    fc.tuple(word, word, fc.constantFrom(ALU_XOR_X, ALU_SUB_X)).map(([a, b, code]) => ({
      steps: [a, toX, b, instruction(code), instruction(ALU_AND_K, 3)],
      test: JEQ_K,
      k: 1,
    })),
  );
  const lists = fc.array(fc.tuple(step, fc.constantFrom(errno(1), errno(2), RET_ALLOW)), {
    minLength: 1,
    maxLength: 4,
  });
  type List = typeof lists extends fc.Arbitrary<infer Value> ? Value : never;
  const filterFrom = (list: List): Filter =>
    filterOf([
      ...x86_64,
      ...list.flatMap(([one, value]) => [...one.steps, jump(one.test, one.k, 0, 1), ret(value)]),
      allow,
    ]);
  const filters = lists.map(filterFrom);
  /** Two that differ, or one of which the second asks its first question again. */
  const pairs = fc
    .tuple(lists, lists, fc.boolean())
    .map(
      ([a, b, isSame]) => [filterFrom(a), filterFrom(isSame ? [...a, ...a.slice(0, 1)] : b), isSame] as const,
    );

  /** Calls with small words, and with one that is nearly all ones. */
  const values = [0, 1, 2, 3, 0xffff_fffe];
  const differsSomewhere = (a: Filter, b: Filter): boolean => {
    const words = new Uint32Array(16);
    words[1] = 0xc000_003e;
    return [0, 1, 2, 3].some((nr) =>
      values.some((first) =>
        values.some((second) =>
          values.some((third) => {
            words.set([nr, 0xc000_003e, 0, 0, first, 0, second, 0, third]);
            return emulateWords(a.instructions, words) !== emulateWords(b.instructions, words);
          }),
        ),
      ),
    );
  };

  test("diff finds nothing between equals, and something where a call shows a difference", () => {
    let [equal, different] = [0, 0];
    fc.assert(
      fc.property(pairs, ([a, b, areEqual]) => {
        // A difference that emulating does not confirm is an UndecidedError, and ends this.
        const found = diff(a, b);
        if (areEqual) assert.deepEqual(found, []);
        if (differsSomewhere(a, b)) assert.ok(found.length > 0);
        if (found.length === 0) equal += 1;
        else different += 1;
      }),
      { numRuns: 60 },
    );
    assert.ok(equal > 5 && different > 5, `${equal} equal, ${different} different`);
  });

  test("a policy for one is nowhere milder", () => {
    fc.assert(
      fc.property(filters, (filter) => {
        decompile(filter, { lost: ({ milder }) => assert.equal(milder, false) });
      }),
      { numRuns: 12 },
    );
  });
});

describe("relations of the instruction pointer alone", () => {
  // Half of the addresses have to be told from the other half, bit by bit, in three ways at once.
  const about = (...steps: readonly Instruction[]): Filter => filterOf([...x86_64, ...steps, deny, allow]);
  const ordered = about(load(8), toX, load(12), jump(JGT_X, 0, 0, 1));
  const summed = about(load(8), toX, load(12), instruction(ALU_ADD_X), jump(JGT_K, 0x1234_5678, 0, 1));
  const numbered = about(load(0), toX, load(8), instruction(ALU_ADD_X), jump(JGT_K, 0x1234, 0, 1));
  const compared = (first: readonly Filter[], second: readonly Filter[]) =>
    compareStackMembers(
      first.map((filter) => ({ filter })),
      second.map((filter) => ({ filter })),
    );

  test("two in another order are equal", () => {
    assert.equal(compared([ordered, summed], [summed, ordered]).verdict, "equal");
  });

  test("three take more steps than the proof is given, which is said and taken for neither answer", () => {
    const verdict = compared([ordered, summed, numbered], [numbered, summed, ordered]);
    assert.equal(verdict.verdict, "undecided");
    assert.match("reason" in verdict ? verdict.reason : "", /takes more than 100000 steps/);
  });

  test("a difference is found all the same where it is near", () => {
    assert.equal(compared([ordered, summed], [ordered, numbered]).verdict, "different");
  });
});
