// Debian packages: mandoc
/** The manual pages: clean to mandoc, and with everything that the tables have. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { commandGroups, commands } from "../../src/cli/commands.ts";
import { sectionKeys, topKeys } from "../../src/policy/keys.ts";
import { actionWords } from "../../src/policy/parse-action.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { groups } from "../../src/syscalls/index.ts";
import { runProgram } from "../kernel/native.ts";

const page = (name: string): string => join(packageRoot(), "dist", "man", name);
/** As a reader sees it: without overstriking, and with single spaces. */
const rendered = (name: string): string =>
  runProgram("mandoc", { args: ["-Tutf8", "-O", "width=80", page(name)] })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a backspace is how a terminal prints bold.
    .stdout.replaceAll(/.\u0008/g, "")
    .replaceAll(/\s+/g, " ");

for (const name of ["callgate.1", "callgate-policy.5"]) {
  test(`${name} is clean to mandoc, style included`, () => {
    const { stdout, stderr, status } = runProgram("mandoc", { args: ["-Tlint", "-Wstyle", page(name)] });
    // Whether other pages are installed on this machine is not this page's affair.
    const complaints = `${stdout}${stderr}`
      .split("\n")
      .filter((line) => line !== "" && !/referenced manual not found|outdated mandoc\.db/.test(line));
    assert.deepEqual(complaints, []);
    assert.ok(status !== null);
  });

  test(`${name} has nothing in it that was not meant to be read`, () => {
    assert.ok(readFileSync(page(name), "utf8").split("\n").length > 50);
    assert.doesNotMatch(rendered(name), /undefined|\[object|\\[(e&]/);
  });
}

describe("callgate(1)", () => {
  const text = rendered("callgate.1");
  for (const command of commands) {
    test(`has ${command.name}, its options and examples`, () => {
      assert.ok(text.includes(`callgate ${command.name}`));
      assert.ok(text.includes(command.summary.slice(0, 4)) || command.description.length > 0);
      for (const { name, value } of command.options)
        assert.ok(text.includes(`--${name}${value === undefined ? "" : ` ${value}`}`), name);
      for (const example of command.examples)
        assert.ok(text.includes(example.command.replaceAll(/\s+/g, " ")), example.command);
    });
  }
  test("has every group of commands", () => {
    for (const { name } of commandGroups) assert.ok(text.includes(` ${name} `), name);
  });
});

describe("callgate-policy(5)", () => {
  const text = rendered("callgate-policy.5");
  test("has every key, action and group", () => {
    for (const [section, keys] of Object.entries(sectionKeys))
      for (const key of keys) assert.ok(text.includes(`${section}.${key}`), `${section}.${key}`);
    for (const key of topKeys.filter((one) => !Object.hasOwn(sectionKeys, one)))
      assert.ok(text.includes(` ${key} `), key);
    for (const word of actionWords) assert.ok(text.includes(` ${word}`), word);
    for (const { name } of groups) assert.ok(text.includes(` ${name} `), name);
  });
});
