// Stacks of filters as one: of random policies, of others' processes, and by hand.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  emulateWords,
  errno,
  type Filter,
  filterOf,
  instruction,
  isCacheable,
  JEQ_K,
  JEQ_X,
  jump,
  load,
  RET_A,
  RET_ALLOW,
  RET_KILL_PROCESS,
  RET_TRAP,
  ret,
  strictest,
  TAX,
} from "../../src/bpf/index.ts";
import { compile, TooLargeError } from "../../src/compiler/index.ts";
import { MergeError, merge } from "../../src/compiler/merge.ts";
import { compileStack } from "../../src/compiler/stack.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { policyOf, target } from "../policy/reading.ts";
import { realStacks } from "../proof/corpus.ts";
import "../seed.ts";
import { chances, textOf, written } from "../property/arbitrary.ts";

const answerOf = (filters: readonly Filter[], words: Uint32Array): number =>
  filters
    .map(({ instructions }) => emulateWords(instructions, words))
    .reduce((older, newer) => strictest(newer, older));

/** Calls of which the words are those that filters compare with, and their neighbours. */
function* callsNear(filters: readonly Filter[], random: () => number, count: number): Generator<Uint32Array> {
  const constants = [...new Set(filters.flatMap(({ instructions }) => instructions.map(({ k }) => k)))];
  const numbers = constants.filter((k) => k < 600);
  const pick = (list: readonly number[]): number => list[Math.floor(random() * list.length)] ?? 0;
  for (let made = 0; made < count; made++) {
    const words = new Uint32Array(16);
    words[0] = random() < 0.8 ? pick(numbers) : pick(constants) + Math.floor(random() * 3) - 1;
    words[1] = pick([0xc000_003e, 0xc000_003e, 0x4000_0003, pick(constants)]);
    for (let word = 2; word < 16; word++)
      words[word] = random() < 0.5 ? 0 : pick(constants) + Math.floor(random() * 3) - 1;
    yield words;
  }
}

function assertSame(merged: Filter, filters: readonly Filter[], random: () => number, count: number): void {
  for (const words of callsNear(filters, random, count))
    assert.equal(emulateWords(merged.instructions, words), answerOf(filters, words), [...words].join());
}

const onRead = (...steps: Filter["instructions"]): Filter =>
  filterOf([load(0), jump(JEQ_K, 0, 1, 0), ret(RET_ALLOW), ...steps]);

describe("a stack as one filter", () => {
  test("the strictest answer holds, and among equal actions the newest filter's", () => {
    const filters = [onRead(ret(errno(1))), onRead(ret(errno(2)))];
    const merged = merge(filters, { target });
    assert.equal(emulateWords(merged.instructions, new Uint32Array(16)), errno(2));
    assert.deepEqual(merge([...filters].reverse(), { target }).instructions, [
      load(0),
      jump(JEQ_K, 0, 0, 1),
      ret(errno(1)),
      ret(RET_ALLOW),
    ]);
    const stricter = merge([onRead(ret(RET_TRAP)), ...filters], { target });
    assert.equal(emulateWords(stricter.instructions, new Uint32Array(16)), RET_TRAP);
  });

  for (const { name, filters } of realStacks.filter((one) => one.filters.length > 1))
    test(`${name}: ${filters.length} filters`, (context) => {
      for (const optimize of ["kernel", "size"] as const) {
        const merged = merge(filters, { target, optimize });
        const before = filters.reduce((sum, { instructions }) => sum + instructions.length, 0);
        context.diagnostic(`${optimize}: ${before} instructions become ${merged.instructions.length}`);
        assert.ok(merged.instructions.length < before);
        let seed = 1;
        const random = (): number => {
          seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
          return seed / 0x8000_0000;
        };
        assertSame(merged, filters, random, 1000);
        // What every filter of the stack leaves to the kernel's cache, the one filter does too.
        for (let nr = 0; nr < 480; nr++) {
          const cached = filters.every((one) => isCacheable(one.instructions, nr, 0xc000_003e));
          if (cached) assert.ok(isCacheable(merged.instructions, nr, 0xc000_003e), `${nr}`);
        }
      }
    });

  test("the filters that a large policy was split into are one again, where that fits", () => {
    const rules =
      "deny socket(domain == AF_VSOCK)\nerrno(5) personality(persona in {1, 5, 9})\nallow @system-service";
    const policy = policyOf(rules);
    const whole = compile(policy, { target });
    const parts = compileStack(policy, { target, mostInstructions: 30 });
    assert.ok(parts.length > 2, `${parts.length}`);
    assert.deepEqual(merge(parts, { target }).instructions, whole.instructions);
  });

  test("random policies, several at a time", () => {
    fc.assert(
      fc.property(fc.array(written, { minLength: 2, maxLength: 4 }), chances, (policies, stream) => {
        const filters = policies.flatMap((one) => {
          const { policy } = readPolicy(textOf(one), { target });
          return policy === undefined ? [] : [compile(policy, { target })];
        });
        fc.pre(filters.length > 1);
        const merged = merge(filters, { target });
        assertSame(merged, filters, () => stream.next().value ?? 0, 100);
      }),
      { numRuns: Number(process.env["CALLGATE_PROPERTY_RUNS"] ?? "1") * 10 },
    );
  });
});

describe("what cannot be merged", () => {
  test("no filter, and one that the kernel refuses", () => {
    assert.throws(() => merge([]), { name: "TypeError", message: "there is no filter to merge" });
    const endless = filterOf([load(16)]);
    assert.throws(() => merge([onRead(ret(RET_KILL_PROCESS)), endless]), /the kernel refuses filter 2/);
  });

  test("what cannot be followed is not guessed", () => {
    assert.throws(() => merge([filterOf([load(16), instruction(RET_A)])]), MergeError);
  });

  test("words that are compared with each other", () => {
    const compare = onRead(
      load(16),
      instruction(TAX),
      load(24),
      jump(JEQ_X, 0, 0, 1),
      ret(errno(1)),
      ret(RET_ALLOW),
    );
    assert.throws(() => merge([compare, compare]), MergeError);
  });

  test("more than the kernel takes", () => {
    const list = (offset: number, step: number): Filter =>
      filterOf([
        load(0),
        jump(JEQ_K, 135, 1, 0),
        ret(RET_ALLOW),
        load(offset),
        ...Array.from({ length: 1000 }, (_, at) => [
          jump(JEQ_K, at * step, 0, 1),
          ret(errno(at % 40)),
        ]).flat(),
        ret(RET_ALLOW),
      ]);
    assert.throws(
      () => merge([list(16, 3), list(24, 5), list(32, 7), list(40, 9)]),
      (error) => error instanceof TooLargeError || error instanceof MergeError,
    );
  });
});
