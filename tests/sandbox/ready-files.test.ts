/** Filters that were made when the package was built: each is proved here once more, and none is used by another build. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { inflateRawSync } from "node:zlib";
import { decode, filterOf } from "../../src/bpf/index.ts";
import { keyRule } from "../../src/compiler/launch-key.ts";
import { handedUp, hasQuestions } from "../../src/denials/index.ts";
import { builtinPolicies } from "../../src/formats/index.ts";
import { loadPolicy } from "../../src/formats/load.ts";
import { policyOfText } from "../../src/policy/policy-text.ts";
import { resolveSound } from "../../src/policy/resolve.ts";
import type { Policy } from "../../src/policy/types.ts";
import { proveResolved } from "../../src/proof/prove.ts";
import { compiledFilters, filteredPolicy } from "../../src/sandbox/compiled-filters.ts";
import { aloneIn, policyOfShape, readyFileTexts } from "../../src/sandbox/make-ready.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import type { FilterStep } from "../../src/sandbox/plan.ts";
import {
  type ReadyKey,
  readyFilters,
  readyPolicy,
  readyShapes,
  shapeOf,
} from "../../src/sandbox/ready-files.ts";
import type { AbiName } from "../../src/syscalls/index.ts";

const cli = join(packageRoot(), "dist", "cli");
const build = /const build = "([0-9a-f]{32})"/.exec(readFileSync(join(cli, "main.cjs"), "utf8"))?.[1] ?? "";
const targets = ["x86_64", "aarch64"] as const;

function builtin(name: string): Policy {
  const { policy } = loadPolicy(name);
  assert.ok(policy !== undefined);
  return policy;
}

/** Proves a step's filter equal to a policy, with the launch key's rule in front where it has places for one. */
function assertProved({ bytes, patches = [] }: FilterStep, policy: Policy, target: AbiName): void {
  const filter = filterOf(decode(bytes));
  const key = [0, 1, 2, 3, 4, 5].map((word) => {
    const place = patches.find((one) => one.word === word);
    return place === undefined ? 0 : (filter.instructions[place.instruction]?.k ?? 0);
  });
  const rule = patches.length === 0 ? undefined : keyRule(target, key);
  const { verdict } = proveResolved(filter, resolveSound(policy, target), rule);
  assert.equal(verdict, "proved");
}

describe("what the build has made ready", () => {
  for (const name of builtinPolicies()) {
    test(`${name} is the policy that its text is read as`, () => {
      assert.deepEqual(readyPolicy(build, name), builtin(name));
    });

    for (const target of targets)
      test(`${name}'s filters for ${target} are equal to it`, () => {
        const policy = builtin(name);
        assert.ok(!hasQuestions(policy), "a ready set has no deciding filter");
        for (const shape of readyShapes) {
          const own = policyOfShape(policy, shape);
          assert.equal(shapeOf(own, aloneIn(shape)), shape);
          const set = readyFilters({ build, name, target, shape });
          assert.ok(set !== undefined, shape);
          const filtered = filteredPolicy(own, aloneIn(shape));
          const fresh = compiledFilters(own, aloneIn(shape), target);
          assert.equal(set.filters.length, 1);
          for (const step of set.filters) assertProved(step, filtered, target);
          const { notifying, deciding, rows } = set.supervision(false);
          assertProved(notifying, handedUp(filtered), target);
          assert.equal(deciding, undefined);
          assert.deepEqual(Buffer.from(rows), Buffer.from(fresh.supervision(false).rows));
          assert.deepEqual(set.abis, fresh.abis);
          assert.deepEqual(
            policyOfText(inflateRawSync(set.toldRules()).toString()).syscalls,
            filtered.syscalls,
          );
        }
      });
  }

  test("is made again, byte by byte, by whoever builds again", () => {
    const made = readyFileTexts(build);
    assert.deepEqual([...made.keys()].sort(), readdirSync(join(cli, "ready")).sort());
    for (const [name, text] of made)
      assert.equal(readFileSync(join(cli, "ready", name), "utf8") === text, true, name);
  });
});

test("nothing is ready for another build, another policy or rules that no shape has", () => {
  const key: ReadyKey = { build, name: "default", target: "x86_64", shape: "off-alone" };
  const other = `${build.slice(1)}0`;
  assert.ok(readyFilters(key) !== undefined);
  assert.equal(readyFilters({ ...key, build: other }), undefined);
  assert.equal(readyPolicy(other, "default"), undefined);
  for (const name of [
    "nothing",
    "default-x86-off",
    "default.x86_64.filter",
    "default.policy",
    "../ready/default",
    "/etc/passwd",
    "",
    "toString",
  ])
    assert.equal(readyPolicy(build, name), undefined, name);
  const policy = builtin("default");
  const hardening = { newCode: "allow", exec: "any", missingLayers: [] } as const;
  assert.equal(shapeOf({ ...policy, hardening }, true), "off-alone");
  assert.equal(shapeOf({ ...policy, hardening: { ...hardening, newCode: "deny" } }, true), undefined);
  assert.equal(shapeOf({ ...policy, hardening: { ...hardening, exec: "files" } }, true), undefined);
});
