// The manual's promises: every id that the source can emit has its page, every example gives what it shows.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type Diagnostic, policyOfExample } from "../../src/diagnostics/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { documentation } from "../../src/lint/documentation.ts";
import { lint, lints } from "../../src/lint/index.ts";
import { target } from "../policy/reading.ts";

/** What `check` finds in a text, but for what only compiling shows. */
export function findingsIn(text: string): readonly Diagnostic[] {
  const { policy, diagnostics } = readPolicy(text, { filename: "p.toml", target });
  return policy === undefined ? diagnostics : [...diagnostics, ...lint(policy, { target })];
}

const src = join(import.meta.dirname, "..", "..", "..", "src");

/** Facts of the machine and weaknesses of filters have ids of their own: docs of `doctor` and `inspect`. */
const elsewhere = new Set(["cli/doctor/checks.ts", "cli/doctor/facts.ts", "proof/inspect.ts"]);

/** Hyphenated words that stand where ids stand, and are something else. */
const noIds = new Set([
  ..."other-abis file-size cpu-time wall-time open-files missing-layers new-code".split(" "),
  ..."kill-thread any-bit at-least utf-8 dry-run keep-fd as-root report-to new-session filter-only".split(
    " ",
  ),
  // Kinds of failure of the launcher and of programs that are looked for.
  ..."not-executable not-found too-long odd-length".split(" "),
  // A word by which the launcher starts Node.
  "tell-denials",
  // Programs and hooks of LXC, kinds of completion.
  ..."lxc-start lxc-stop lxc-create lxc-destroy lxc-info lxc-attach pre-start builtin-policy".split(" "),
]);

/** Arguments of calls, and values of `id`: over-complete, so that no new id is missed. */
function idsIn(text: string): readonly string[] {
  return [
    ...text.matchAll(/[(,]\s*"([a-z]+(?:-[a-z0-9]+)+|syntax|unreadable|unwritable)"\s*[,)]/g),
    ...text.matchAll(/\bid: "([a-z0-9-]+)"/g),
  ].flatMap(([, id]) => (id === undefined || noIds.has(id) ? [] : [id]));
}

describe("documentation", () => {
  const files = readdirSync(src, { recursive: true })
    .map(String)
    .filter(
      (file) =>
        file.endsWith(".ts") &&
        !file.includes("tables/") &&
        !/catalogue(-lxc)?\.ts$/.test(file) &&
        !elsewhere.has(file),
    );
  const emitted = new Set(files.flatMap((file) => idsIn(readFileSync(join(src, file), "utf8"))));
  const documented = new Set(documentation.map((one) => one.id));

  test("every id has one page, and every page an id", () => {
    assert.equal(documented.size, documentation.length);
    assert.deepEqual(
      [...emitted].filter((id) => !documented.has(id)),
      [],
    );
    assert.deepEqual(
      [...documented].filter((id) => !emitted.has(id)),
      [],
    );
  });

  test("docs/diagnostics.md is what scripts/gen-docs.mjs writes", () => {
    const script = join(src, "..", "scripts", "gen-docs.mjs");
    const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });

  test("every lint has an example with its cure", () => {
    for (const { documentation: page } of lints) {
      assert.ok(page.example !== undefined && page.instead !== undefined, page.id);
    }
  });

  for (const { id, severity, example, instead, noExample } of documentation) {
    if (example === undefined) {
      test(`${id} says why it has no example`, () => assert.ok(noExample !== undefined));
      continue;
    }
    test(`the example of ${id} gives it`, () => {
      const found = findingsIn(policyOfExample(example));
      const own = found.filter((one) => one.id === id);
      assert.ok(own.length > 0, `found ${found.map((one) => `${one.id}: ${one.message}`).join("; ")}`);
      assert.equal(own[0]?.severity, severity);
    });
    if (instead === undefined) continue;
    test(`what to write instead of ${id} does not give it`, () => {
      const found = findingsIn(policyOfExample(instead));
      assert.deepEqual(
        found
          .filter((one) => one.id === id || one.severity === "error")
          .map((one) => `${one.id}: ${one.message}`),
        [],
      );
    });
  }
});
