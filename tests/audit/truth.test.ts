// What audit says of the built-in policies, tried call by call: what a hole lacks is refused, whatever the arguments.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { auditCves, type Need } from "../../src/audit/index.ts";
import { RET_ALLOW } from "../../src/bpf/index.ts";
import { builtinPolicies } from "../../src/formats/index.ts";
import { loadPolicy } from "../../src/formats/load.ts";
import { evaluateWords } from "../../src/policy/evaluate.ts";
import { resolve } from "../../src/policy/resolve.ts";
import type { ResolvedPolicy } from "../../src/policy/resolved.ts";
import { reachableCases } from "../../src/proof/reach.ts";
import { policyOf, target } from "../policy/reading.ts";
import { drawing, randomOf, seed } from "../seed.ts";

/** The calls of which any would meet a need. */
function selectorsOf(need: Need): readonly string[] {
  switch (need.kind) {
    case "call":
      return [need.selector];
    case "any":
      return need.of.flatMap(selectorsOf);
    default:
      return [];
  }
}

function decide(resolved: ResolvedPolicy, words: readonly number[]): string {
  return evaluateWords(resolved, target, words[0] ?? 0, (word) => BigInt(words[word] ?? 0)).action.kind;
}

/** Calls that the policy of one selector allows: an edge of each of its cases, and others like it. */
function callsMeant(wanted: ResolvedPolicy, random: () => number): readonly (readonly number[])[] {
  const edges = reachableCases(wanted).cases.filter(({ returnValue }) => returnValue === RET_ALLOW);
  return edges.flatMap(({ words }) => {
    const others = Array.from({ length: 60 }, () =>
      words.map((word, index) => {
        if (index < 4 || random() < 0.5) return word;
        return random() < 0.5 ? Math.floor(random() * 2 ** 32) : Math.floor(random() * 16);
      }),
    );
    return [words, ...others].filter((call) => decide(wanted, call) === "allow");
  });
}

describe(`what holes lack under the built-in policies (seed ${seed})`, () => {
  for (const name of builtinPolicies()) {
    test(
      name,
      drawing((context) => {
        const { policy } = loadPolicy(name, { target });
        assert.ok(policy !== undefined);
        const { resolved } = resolve(policy, target);
        const { outOfReach } = auditCves(policy, { target });
        const random = randomOf(seed);
        const asked = new Set(outOfReach.flatMap(({ missing }) => missing.flatMap(selectorsOf)));
        let tried = 0;
        for (const selector of asked) {
          const wanted = resolve(policyOf(`allow ${selector}`, 'default = "kill"\nnewer = "kill"'), target);
          for (const words of callsMeant(wanted.resolved, random)) {
            tried += 1;
            const decided = decide(resolved, words);
            assert.notEqual(
              decided,
              "allow",
              `${selector}: ${words.map((word) => word.toString(16)).join()}`,
            );
          }
        }
        context.diagnostic(`${tried} calls of ${asked.size} selectors`);
        assert.ok(tried > 10 * asked.size);
      }),
    );
  }
});
