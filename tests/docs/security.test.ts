// The table of attacks in docs/security.md: all 44, each once, and each attempt that it names is one that a test makes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");
const document = textOf("docs/security.md");

/** The sources whose words stand for a kind of test in the table: what is tried, and what holds it to be refused. */
const sources: Readonly<Record<string, readonly string[]>> = {
  calls: ["tests/fixtures/attacks/probe.c", "tests/kernel/attacks.test.ts"],
  machine: ["tests/fixtures/attacks/sandbox.py", "tests/kernel/sandbox-attacks.test.ts"],
  supervisor: ["tests/fixtures/attacks/supervisor.py"],
};
const files: Readonly<Record<string, string>> = {
  calls: "attacks.test.ts",
  machine: "sandbox-attacks.test.ts",
  supervisor: "attacks-supervisor.test.ts",
  terminal: "attacks-terminal.test.ts",
  race: "attacks-race.test.ts",
  limits: "limits.test.ts",
};

const rows = document
  .split("\n")
  .filter((line) => /^\| \d/.test(line))
  .map((line) => {
    const [, number = "", attack = "", stopped = "", without = "", tried = ""] = line.split("|");
    return { number: Number(number), attack, stopped, without, tried: tried.trim() };
  });

/** Attempts that a row names, each with the kind of test that makes it. */
function attempts(tried: string): readonly (readonly [kind: string, name: string])[] {
  return tried.split(";").flatMap((part) => {
    const kind = /^\s*(\w+)/.exec(part)?.[1] ?? "";
    const names = [...part.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
    return names.filter((name) => !name.includes("/")).map((name) => [kind, name] as const);
  });
}

describe("the table of attacks", () => {
  test("has all 44, in order, each with what stops it in both modes and who tries it", () => {
    assert.deepEqual(
      rows.map(({ number }) => number),
      Array.from({ length: 44 }, (_, index) => index + 1),
    );
    for (const row of rows)
      for (const cell of [row.attack, row.stopped, row.without, row.tried])
        assert.ok(cell.trim().length > 0, `${row.number}`);
  });

  test("names only attempts that are made: in the program that makes them and in the test that judges them", () => {
    let count = 0;
    for (const { number, tried } of rows) {
      for (const [kind, name] of attempts(tried)) {
        count += 1;
        for (const source of sources[kind] ?? assert.fail(`${number}: ${kind} is no kind of test`))
          assert.match(textOf(source), new RegExp(`\\b${name}\\b`), `${number}: ${source}`);
      }
    }
    assert.ok(count > 60);
  });

  test("names only tests that there are", () => {
    for (const { number, tried } of rows) {
      const paths = [...tried.matchAll(/`(tests\/[^`]+)`/g)].map(([, path = ""]) => path);
      const kinds = tried.replace(/`[^`]*`/g, "").match(/\w+(?=[:;,]|\s*$)/g) ?? [];
      for (const path of paths) assert.ok(textOf(path).length > 0, path);
      for (const kind of kinds.filter((one) => one !== "them"))
        assert.ok(textOf(`tests/kernel/${files[kind] ?? assert.fail(`${number}: ${kind}`)}`).length > 0);
      assert.ok(paths.length + kinds.length > 0, `${number}`);
    }
  });

  test("what it calls open is what the attempts call open", () => {
    const open = rows.filter(({ without }) => without.includes("**open**")).map(({ number }) => number);
    assert.deepEqual(open, [26, 30, 40]);
    const judged = textOf("tests/kernel/sandbox-attacks.test.ts").match(/open: "without namespaces"/g) ?? [];
    assert.equal(
      judged.length,
      1,
      "other_users_processes (40); 26 is open with --net alone, 30 with --write alone",
    );
    assert.ok(rows.every(({ stopped }) => !stopped.includes("**open**")));
  });
});

describe("the claims about denials and questions", () => {
  const start = document.indexOf("**Denials and questions.**");
  const claims = document
    .slice(start, document.indexOf("\n\n", document.indexOf("| claim |")))
    .split("\n")
    .filter((line) => /^\| [A-Z]/.test(line));

  test("each names tests that there are", () => {
    assert.ok(claims.length >= 12, `${claims.length}`);
    for (const claim of claims) {
      const named = [...(claim.split("|")[2] ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
      assert.ok(named.length > 0, claim);
      for (const name of named)
        assert.ok(textOf(name.includes("/") ? name : `tests/kernel/${name}`).length > 0, name);
    }
  });
});
