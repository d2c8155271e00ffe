import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { builtinPolicies } from "../../src/formats/index.ts";
import { loadPolicy } from "../../src/formats/load.ts";
import { policyOfText, policyText } from "../../src/policy/policy-text.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";

const fixtures = join(packageRoot(), "tests", "fixtures", "policies");
const policies = [
  ...builtinPolicies(),
  ...readdirSync(fixtures)
    .filter((name) => name.endsWith(".toml"))
    .map((name) => join(fixtures, name)),
];

test("a policy comes back from its text with every value and every place", () => {
  let compared = 0;
  for (const name of policies) {
    const { policy } = loadPolicy(name);
    if (policy === undefined) continue;
    assert.deepEqual(policyOfText(policyText(policy)), policy, name);
    compared += 1;
  }
  assert.ok(compared > 3, `${compared} policies`);
});

test("names that the text uses itself may stand in an environment", () => {
  const { policy } = loadPolicy("strict");
  assert.ok(policy !== undefined);
  const set = { span: "1", value: "2", integer: "3", source: "4", start: "5", end: "6", sources: "7" };
  const own = { ...policy, environment: { keep: ["LANG"], set } };
  assert.deepEqual(policyOfText(policyText(own)), own);
});
