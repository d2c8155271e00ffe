// What docs/filters.md publishes of callgate's filters is what the compiler makes, and what was to be reached is.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { callsOf } from "../../bench/calls.ts";
import { ownFilters, tableOf } from "../../bench/filters.ts";
import { pathsOf } from "../../bench/paths.ts";
import {
  aims,
  compileText,
  goals,
  lxcWithX32,
  type PolicyName,
  policyNames,
  profileOf,
} from "../../bench/profiles.ts";
import { emulate, RET_ALLOW } from "../../src/bpf/index.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";

const page = readFileSync(join(packageRoot(), "docs", "filters.md"), "utf8");

/** Two instructions more than the goal, for the two ends of x32's numbers, which are killed: docs/filters.md says why. */
const smallest: Partial<Record<PolicyName, number>> = { lxc: 17 };

for (const name of policyNames) {
  describe(`the policy ${name} of the bench`, () => {
    const { text, profile } = profileOf(name);
    const calls = callsOf(profile);
    const filters = aims.map((aim) => ({ aim, filter: compileText(text, aim) }));
    const [size, kernel, classic] = filters.map(({ filter }) => pathsOf(filter.instructions, calls));

    test("is published as it is", () => {
      const [head, ...rows] = tableOf(name, ownFilters(name, text));
      const table = page.split("\n\n").find((block) => head !== undefined && block.includes(head));
      assert.ok(table !== undefined, `docs/filters.md has a table that begins with ${head}`);
      for (const row of rows) assert.ok(table.split("\n").includes(row), `the table has the row\n${row}`);
    });

    test("reaches its goals", () => {
      assert.ok(size !== undefined && kernel !== undefined && classic !== undefined);
      const goal = goals[name];
      assert.ok(size.instructions <= (smallest[name] ?? goal.instructions));
      assert.ok(kernel.longest <= goal.longest);
      if (goal.checked !== undefined) assert.ok(kernel.checked <= goal.checked);
      assert.ok(kernel.denied <= goal.denied);
      assert.ok(classic.mix <= goal.mix);
      for (const { cached } of [size, kernel, classic]) assert.equal(cached, calls.allowed.length);
    });
  });
}

test("with x32's numbers let through, as the goal of lxc has it, it is reached", () => {
  for (const aim of aims) {
    const { instructions } = compileText(lxcWithX32, aim);
    if (aim !== "classic") assert.ok(instructions.length <= goals.lxc.instructions);
    // What is given away with them.
    const x32 = { arch: 0xc000_003e, nr: 0x4000_0000 + 528, args: new Array<bigint>(6).fill(0n) };
    assert.equal(emulate(instructions, x32), RET_ALLOW);
  }
});
