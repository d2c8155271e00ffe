// The proof's whole engine, filters and policies, on words of 2 to 4 bits, against trying every call.
// CALLGATE_PROOF_RUNS=50 tries fifty times as many.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { check, emulateWords, type Instruction } from "../../src/bpf/index.ts";
import { returnValueOf } from "../../src/compiler/index.ts";
import type { ResolvedPolicy } from "../../src/policy/resolved.ts";
import { DecisionMaker, type Decisions } from "../../src/proof/decisions.ts";
import { compareDecisions, type Equality } from "../../src/proof/equality.ts";
import { decisionsOfFilter } from "../../src/proof/filter.ts";
import { decisionsOfPolicy } from "../../src/proof/policy.ts";
import { seed } from "../seed.ts";
import {
  actionFor,
  changed,
  everyCall,
  filterIn,
  filterOfTable,
  machineFilterIn,
  onesOf,
  policyIn,
  type Shape,
} from "./narrow-words.ts";

const times = Number(process.env["CALLGATE_PROOF_RUNS"] ?? "1");

type Answering = (call: Uint32Array) => number;

const filterAnswers =
  (instructions: readonly Instruction[]): Answering =>
  (call) =>
    emulateWords(instructions, call);

const policyAnswers =
  (resolved: ResolvedPolicy, shape: Shape): Answering =>
  (call) =>
    returnValueOf(actionFor(resolved, call, shape), "x86_64");

function differs(shape: Shape, a: Answering, b: Answering): boolean {
  for (const call of everyCall(shape)) if (a(call) !== b(call)) return true;
  return false;
}

/** Words that the shape leaves out are 0: number and architecture of policies over arguments alone. */
function knownOutside(shape: Shape): ReadonlyMap<number, number> {
  const outside = [0, 1, 2, 3].filter((word) => !shape.words.includes(word));
  return new Map(outside.map((word) => [word, 0]));
}

function compared(shape: Shape, a: Decisions, b: Decisions): Equality {
  return compareDecisions(a, b, { width: shape.width, known: knownOutside(shape) });
}

/** The engine's verdict is that of trying every call, and its witness is one that differs. */
function assertVerdict(shape: Shape, verdict: Equality, a: Answering, b: Answering): Equality["verdict"] {
  assert.equal(verdict.verdict, differs(shape, a, b) ? "different" : "equal");
  if (verdict.verdict === "different") {
    const call = Uint32Array.from(verdict.words);
    assert.ok(call.every((word) => word <= onesOf(shape)));
    assert.notEqual(a(call), b(call));
    assert.deepEqual([verdict.first.returnValue, verdict.second.returnValue], [a(call), b(call)]);
  }
  return verdict.verdict;
}

function compareFilters(shape: Shape, a: readonly Instruction[], b: readonly Instruction[]): string {
  const maker = new DecisionMaker(shape.width);
  const verdict = compared(shape, decisionsOfFilter(a, maker), decisionsOfFilter(b, maker));
  return assertVerdict(shape, verdict, filterAnswers(a), filterAnswers(b));
}

function compareWithPolicy(shape: Shape, filter: readonly Instruction[], resolved: ResolvedPolicy): string {
  const maker = new DecisionMaker(shape.width);
  const policy = decisionsOfPolicy(resolved, maker, { telling: "values" });
  const verdict = compared(shape, decisionsOfFilter(filter, maker), policy);
  return assertVerdict(shape, verdict, filterAnswers(filter), policyAnswers(resolved, shape));
}

describe(`on narrow words the engine decides as trying every call does (seed ${seed})`, () => {
  const filterShapes: readonly (readonly [Shape, number])[] = [
    [{ width: 4, words: [0, 4] }, 1500],
    [{ width: 4, words: [0, 4, 5] }, 80],
  ];
  for (const [shape, runs] of filterShapes) {
    test(`two filters over ${shape.words.length} words of ${shape.width} bits`, (context) => {
      const count = { equal: 0, different: 0 };
      const add = (verdict: string): void => {
        if (verdict === "equal" || verdict === "different") count[verdict] += 1;
      };
      fc.assert(
        fc.property(filterIn(shape), filterIn(shape), fc.nat(), fc.nat(), (filter, other, at, way) => {
          assert.deepEqual(check(filter), []);
          add(compareFilters(shape, filter, other));
          add(compareFilters(shape, filter, changed(filter, at, way, onesOf(shape))));
          add(compareFilters(shape, filter, filterOfTable(shape, filterAnswers(filter))));
        }),
        { numRuns: runs * times },
      );
      context.diagnostic(JSON.stringify(count));
      assert.ok(count.equal > runs && count.different > runs / 2, JSON.stringify(count));
    });
  }

  const machineShapes: readonly (readonly [Shape, number])[] = [
    [{ width: 4, words: [0, 4] }, 1200],
    [{ width: 3, words: [0, 4, 5] }, 300],
  ];
  for (const [shape, runs] of machineShapes) {
    test(`every instruction, over ${shape.words.length} words of ${shape.width} bits`, (context) => {
      const count = { equal: 0, different: 0 };
      const add = (verdict: string): void => {
        if (verdict === "equal" || verdict === "different") count[verdict] += 1;
      };
      fc.assert(
        fc.property(
          machineFilterIn(shape),
          machineFilterIn(shape),
          fc.nat(),
          fc.nat(),
          (filter, other, at, way) => {
            assert.deepEqual(check(filter), []);
            add(compareFilters(shape, filter, other));
            add(compareFilters(shape, filter, changed(filter, at, way, onesOf(shape))));
            add(compareFilters(shape, filter, filterOfTable(shape, filterAnswers(filter))));
          },
        ),
        { numRuns: runs * times },
      );
      context.diagnostic(JSON.stringify(count));
      assert.ok(count.equal > runs && count.different > runs / 2, JSON.stringify(count));
    });
  }

  const policyShapes: readonly (readonly [Shape, string, number, number])[] = [
    [{ width: 4, words: [4, 5] }, "the arguments of one call", 600, 4],
    [{ width: 4, words: [4, 5, 6] }, "the arguments of one call", 30, 4],
    [{ width: 2, words: [0, 1, 4, 5] }, "number, architecture and arguments", 700, 2],
    [{ width: 4, words: [0, 1, 4] }, "number, architecture and an argument", 40, 2],
    [{ width: 2, words: [0, 1, 4, 5, 6] }, "number, architecture and arguments", 150, 3],
  ];
  for (const [shape, title, runs, rules] of policyShapes) {
    test(`filters and policies over ${shape.words.length} words of ${shape.width} bits: ${title}`, (context) => {
      const count = { equal: 0, different: 0 };
      const add = (verdict: string): void => {
        if (verdict === "equal" || verdict === "different") count[verdict] += 1;
      };
      fc.assert(
        fc.property(
          policyIn(shape, rules),
          filterIn(shape),
          fc.nat(),
          fc.nat(),
          (resolved, other, at, way) => {
            const one = shape.words.includes(0) ? resolved : onCallZero(resolved);
            const table = filterOfTable(shape, policyAnswers(one, shape));
            assert.equal(compareWithPolicy(shape, table, one), "equal");
            add("equal");
            add(compareWithPolicy(shape, changed(table, at, way, onesOf(shape)), one));
            add(compareWithPolicy(shape, other, one));
          },
        ),
        { numRuns: runs * times },
      );
      context.diagnostic(JSON.stringify(count));
      assert.ok(count.equal > runs && count.different > runs / 2, JSON.stringify(count));
    });
  }
});

/** The policy's first call as the one with number 0 of the only ABI, and that one's architecture value 0. */
function onCallZero(resolved: ResolvedPolicy): ResolvedPolicy {
  const calls = resolved.abis.flatMap((one) => one.calls);
  const [first] = calls;
  const [abi] = resolved.abis;
  if (abi === undefined || first === undefined) return resolved;
  return {
    ...resolved,
    abis: [{ ...abi, abi: { ...abi.abi, name: "aarch64", arch: 0 }, calls: [{ ...first, nr: 0 }] }],
  };
}
