// Which rules decide: what half a search has not found is not taken for what does not exist.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { lint } from "../../src/lint/index.ts";
import { resolve } from "../../src/policy/resolve.ts";
import { reachableCases, unreachableRules } from "../../src/proof/reach.ts";
import { policyOf, target } from "../policy/reading.ts";

/** Masked comparisons without a pattern: what is left after some hundreds of them is no set that anybody can keep. */
function maskedRules(count: number): readonly string[] {
  return [...Array(count).keys()].map((i) => {
    const [mask, value] = [Math.imul(i + 1, 0x9e37_79b1) >>> 0, Math.imul(i + 7, 0x85eb_ca6b) >>> 0];
    return `errno(${(i % 100) + 1}) personality((persona & ${mask}) == ${(mask & value) >>> 0})`;
  });
}

describe("a search that gives up", () => {
  const rules = [...maskedRules(2000), "deny personality(persona == 0)", "allow personality"].join("\n");

  test("says so", () => {
    const { resolved } = resolve(policyOf(rules), target);
    const { cases, isComplete } = reachableCases(resolved);
    assert.equal(isComplete, false);
    assert.ok(cases.length > 0);
  });

  test("calls no rule unreachable", () => {
    const policy = policyOf(rules);
    assert.deepEqual(unreachableRules(resolve(policy, target).resolved), []);
    assert.deepEqual(
      lint(policy, { target }).filter(({ id }) => id === "unreachable-rule"),
      [],
    );
  });

  test("is no fault of small policies: nothing is lost at any budget", () => {
    const small = policyOf(
      "deny socket(domain == 1)\nallow socket(domain in {0..2})\nkill socket(domain == 2)",
    );
    const { resolved } = resolve(small, target);
    const all = reachableCases(resolved);
    assert.equal(all.isComplete, true);
    for (let budget = 0; budget < 2000; budget += 7) {
      const part = reachableCases(resolved, { budget });
      assert.ok(part.cases.length <= all.cases.length);
      if (part.isComplete) assert.deepEqual(part.cases, all.cases);
    }
    assert.equal(unreachableRules(resolved).length, 1);
  });
});

test("thousands of ranges on one call: the one rule that never decides is found among them", () => {
  const rules = [...Array(5000).keys()].map(
    (i) => `errno(${(i % 90) + 1}) ioctl(request in {${i * 5}..${i * 5 + 3}})`,
  );
  const policy = policyOf([...rules, "deny ioctl(request in {10..13, 100..102})", "allow ioctl"].join("\n"));
  const [found, ...others] = unreachableRules(resolve(policy, target).resolved);
  assert.deepEqual(others, []);
  assert.match(found?.message ?? "", /never decides/);
});
