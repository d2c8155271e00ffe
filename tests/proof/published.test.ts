// docs/proof.md: its figures add up, name policies that are here, and leave no mutant undecided.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { subjects } from "./mutation-score.ts";

const page = readFileSync(join(packageRoot(), "docs", "proof.md"), "utf8");

interface Row {
  readonly name: string;
  /** Instructions, mutants, refuted, refused, equal, not followed. */
  readonly figures: readonly number[];
}

const rows: readonly Row[] = page
  .split("\n")
  .filter((line) => /^\| .* \| \d/.test(line))
  .map((line) => {
    const [name = "", ...figures] = line.slice(1, -1).split("|");
    return { name: name.trim().replaceAll("*", ""), figures: figures.map(Number) };
  });

describe("docs/proof.md", () => {
  const policies = rows.filter(({ name }) => name !== "all");

  test("every mutant of every row has one fate, and none was left undecided", () => {
    for (const { name, figures } of rows) {
      const [, mutants = 0, refuted = 0, refused = 0, equal = 0, notFollowed = 0] = figures;
      assert.equal(refuted + refused + equal + notFollowed, mutants, name);
      assert.equal(notFollowed, 0, name);
      assert.ok(refuted > equal, name);
    }
  });

  test("the last row is the sum of the others", () => {
    const all = rows.find(({ name }) => name === "all");
    assert.ok(all !== undefined);
    for (const [index, figure] of all.figures.entries())
      assert.equal(
        policies.reduce((sum, { figures }) => sum + (figures[index] ?? 0), 0),
        figure,
      );
    assert.ok((all.figures[1] ?? 0) > 10_000);
  });

  test("the policies are those that the tests try mutants of", () => {
    const names = new Set(subjects().map(({ name }) => name));
    assert.ok(policies.length >= 10);
    for (const { name } of policies) assert.ok(names.has(name), name);
  });

  test("the files that it names are here", () => {
    for (const [, file = ""] of page.matchAll(/`(tests\/[\w/.-]+)`/g))
      assert.ok(existsSync(join(packageRoot(), file)), file);
  });
});
