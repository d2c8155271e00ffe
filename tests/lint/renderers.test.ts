// What programs read: GitHub's workflow commands and SARIF, held against the formats' own rules.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Diagnostic, Source } from "../../src/diagnostics/index.ts";
import { renderGithub } from "../../src/diagnostics/render-github.ts";
import { renderSarif } from "../../src/diagnostics/render-sarif.ts";
import { documentationOf } from "../../src/lint/documentation.ts";

const source: Source = { name: "a dir/p,1:%.toml", text: "deny unshaer\nallow read\n" };
const builtin: Source = { name: "built-in default", text: "deny ptrace\n" };
const isFile = (name: string): boolean => !name.startsWith("built-in ");

const mistake: Diagnostic = {
  id: "unknown-syscall",
  severity: "error",
  message: 'there is no system call "unshaer", 100% sure',
  span: { source, start: 5, end: 12 },
  label: "did you mean unshare?",
  fix: { message: "write unshare", edits: [{ span: { source, start: 5, end: 12 }, text: "unshare" }] },
};

describe("GitHub's workflow commands", () => {
  /** As the runner takes them apart: actions/runner, ActionCommand.TryParseV2. */
  function parse(line: string): { command: string; properties: Record<string, string>; message: string } {
    const found = /^::([a-z]+) ([^:]*(?::(?!:)[^:]*)*)::(.*)$/.exec(line);
    assert.ok(found !== null, line);
    const [, command = "", list = "", message = ""] = found;
    const unescaped = (text: string): string =>
      text
        .replaceAll("%0D", "\r")
        .replaceAll("%0A", "\n")
        .replaceAll("%3A", ":")
        .replaceAll("%2C", ",")
        .replaceAll("%25", "%");
    const pairs = list.split(",").map((pair) => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), unescaped(pair.slice(at + 1))] as const;
    });
    return { command, properties: Object.fromEntries(pairs), message: unescaped(message) };
  }

  test("a diagnostic is one line that reads back", () => {
    const text = renderGithub([mistake]);
    assert.equal(text.split("\n").length, 2);
    assert.deepEqual(parse(text.trimEnd()), {
      command: "error",
      properties: { file: source.name, line: "1", col: "6", endColumn: "13", title: "unknown-syscall" },
      message: 'there is no system call "unshaer", 100% sure\ndid you mean unshare?',
    });
  });

  test("text from the policy cannot begin a command, or hide one", () => {
    const hostile = { ...mistake, message: "x\n::set-output name=a::b\r\n::stop-commands::c\u001b[2K" };
    const lines = renderGithub([hostile])
      .trimEnd()
      .split(/[\r\n]/);
    assert.equal(lines.length, 1);
    assert.ok(!lines[0]?.includes("\u001b"));
  });

  test("columns only within a line; no file where there is none", () => {
    const wide = { ...mistake, span: { source, start: 5, end: 20 } };
    assert.deepEqual(Object.keys(parse(renderGithub([wide]).trimEnd()).properties), [
      "file",
      "line",
      "endLine",
      "title",
    ]);
    const inner = parse(
      renderGithub([{ ...mistake, span: { source: builtin, start: 0, end: 4 } }], isFile).trimEnd(),
    );
    assert.deepEqual(Object.keys(inner.properties), ["title"]);
    assert.match(inner.message, /^built-in default:1:1: there/);
  });

  test("notes are notices", () => {
    assert.match(renderGithub([{ id: "x", severity: "note", message: "m" }]), /^::notice title=x::m\n$/);
  });
});

describe("SARIF", () => {
  const nested: Diagnostic = {
    id: "redundant-rule",
    severity: "note",
    message: "this rule changes nothing",
    span: { source: builtin, start: 0, end: 4 },
    notes: [{ message: "here", span: { source, start: 13, end: 18 } }, { message: "and there" }],
  };
  const placeless: Diagnostic = {
    id: "c-library-call",
    severity: "warning",
    message: "no rule allows futex",
  };
  const render = (diagnostics: readonly Diagnostic[]): unknown =>
    JSON.parse(renderSarif(diagnostics, { version: "1.2.3", documentationOf, isFile }));

  test("keeps to the parts of the schema that are used", () => {
    for (const log of [render([]), render([mistake, nested, placeless, mistake])])
      assert.deepEqual(violations(log, schema, "$"), []);
    // The check itself is worth something: a wrong log does not pass.
    assert.notDeepEqual(violations({ version: "2.1.0", runs: [{}] }, schema, "$"), []);
  });

  test("a result has its rule, its place and its fix", () => {
    const log = at(render([placeless, mistake]), "runs", 0);
    const result = at(log, "results", 1);
    assert.equal(at(result, "ruleId"), "unknown-syscall");
    const rule = at(log, "tool", "driver", "rules", Number(at(result, "ruleIndex")));
    assert.equal(at(rule, "id"), "unknown-syscall");
    assert.match(String(at(rule, "help", "markdown")), /deny unshare/);
    assert.deepEqual(at(result, "locations", 0, "physicalLocation"), {
      artifactLocation: { uri: "a%20dir/p%2C1%3A%25.toml" },
      region: { startLine: 1, startColumn: 6, endLine: 1, endColumn: 13 },
    });
    const replacement = at(result, "fixes", 0, "artifactChanges", 0, "replacements", 0);
    assert.deepEqual(at(replacement, "insertedContent"), { text: "unshare" });
    assert.deepEqual(at(replacement, "deletedRegion"), {
      startLine: 1,
      startColumn: 6,
      endLine: 1,
      endColumn: 13,
    });
  });

  test("what is no file has no artifact", () => {
    const result = at(render([nested]), "runs", 0, "results", 0);
    assert.equal(at(result, "locations", 0, "physicalLocation"), undefined);
    assert.equal(at(result, "locations", 0, "logicalLocations", 0, "fullyQualifiedName"), "built-in default");
  });

  test("an absolute path is a file URI", () => {
    const absolute: Source = { name: "/tmp/a b.toml", text: "x" };
    const result = at(
      render([{ ...mistake, span: { source: absolute, start: 0, end: 1 } }]),
      "runs",
      0,
      "results",
      0,
    );
    assert.equal(
      at(result, "locations", 0, "physicalLocation", "artifactLocation", "uri"),
      "file:///tmp/a%20b.toml",
    );
  });
});

/** A value inside others; undefined where there is none. */
function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((one, key) => {
    if (typeof one !== "object" || one === null) return undefined;
    return Object.entries(one).find(([name]) => name === String(key))?.[1];
  }, value);
}

/**
 * The part of sarif-schema-2.1.0.json that this renderer uses, by hand: the properties of each object with those
 * that are required, and no others.
 */
type Schema =
  | { readonly kind: "string"; readonly pattern?: RegExp }
  | { readonly kind: "integer"; readonly least: number }
  | { readonly kind: "array"; readonly item: Schema; readonly least?: number }
  | {
      readonly kind: "object";
      readonly required: readonly string[];
      readonly properties: Readonly<Record<string, Schema>>;
    };

const string: Schema = { kind: "string" };
const matching = (pattern: RegExp): Schema => ({ kind: "string", pattern });
const array = (item: Schema, least = 0): Schema => ({ kind: "array", item, least });
const object = (required: readonly string[], properties: Readonly<Record<string, Schema>>): Schema => ({
  kind: "object",
  required,
  properties,
});
const index: Schema = { kind: "integer", least: 0 };
const positive: Schema = { kind: "integer", least: 1 };
const level = matching(/^(none|note|warning|error)$/);
// §3.11, §3.12: a message needs a text (or an id); a multiformat string always its text.
const message = object(["text"], { text: string });
const multiformat = object(["text"], { text: string, markdown: string });
// §3.4.3: a URI reference of RFC 3986.
const artifactLocation = object([], { uri: matching(/^(?:file:\/\/\/)?[\w.~!$&'()*+,;=@%/-]*$/) });
// §3.30: with startLine, columns from 1, the end not before the start.
const region = object(["startLine"], {
  startLine: positive,
  startColumn: positive,
  endLine: positive,
  endColumn: positive,
});
const location = object([], {
  id: index,
  physicalLocation: object(["artifactLocation"], { artifactLocation, region }),
  logicalLocations: array(object([], { fullyQualifiedName: string, kind: string })),
  message,
});
const rule = object(["id"], {
  id: string,
  shortDescription: multiformat,
  fullDescription: multiformat,
  help: multiformat,
  defaultConfiguration: object([], { level }),
});
const replacement = object(["deletedRegion"], {
  deletedRegion: region,
  insertedContent: object([], { text: string }),
});
const fix = object(["artifactChanges"], {
  description: message,
  artifactChanges: array(
    object(["artifactLocation", "replacements"], { artifactLocation, replacements: array(replacement, 1) }),
    1,
  ),
});
const result = object(["message"], {
  ruleId: string,
  ruleIndex: { kind: "integer", least: -1 },
  level,
  message,
  locations: array(location),
  relatedLocations: array(location),
  fixes: array(fix),
});
const driver = object(["name"], {
  name: string,
  semanticVersion: matching(/^\d+\.\d+\.\d+(-[\w.]+)?$/),
  rules: array(rule),
});
const schema = object(["version", "runs"], {
  $schema: matching(/^https:\/\/\S+\.json$/),
  version: matching(/^2\.1\.0$/),
  runs: array(
    object(["tool"], {
      tool: object(["driver"], { driver }),
      columnKind: matching(/^(utf16CodeUnits|unicodeCodePoints)$/),
      results: array(result),
    }),
  ),
});

function violations(value: unknown, wanted: Schema, path: string): readonly string[] {
  switch (wanted.kind) {
    case "string":
      if (typeof value !== "string") return [`${path} is no string`];
      return wanted.pattern === undefined || wanted.pattern.test(value) ? [] : [`${path} is ${value}`];
    case "integer":
      return Number.isInteger(value) && Number(value) >= wanted.least ? [] : [`${path} is no such number`];
    case "array":
      if (!Array.isArray(value) || value.length < (wanted.least ?? 0)) return [`${path} is no such list`];
      return value.flatMap((item: unknown, i) => violations(item, wanted.item, `${path}[${i}]`));
    case "object": {
      if (typeof value !== "object" || value === null || Array.isArray(value))
        return [`${path} is no object`];
      const entries = Object.entries(value);
      const missing = wanted.required.filter((key) => !entries.some(([name]) => name === key));
      return [
        ...missing.map((key) => `${path}.${key} is missing`),
        ...entries.flatMap(([name, inner]) => {
          const known = wanted.properties[name];
          return known === undefined
            ? [`${path}.${name} is unknown`]
            : violations(inner, known, `${path}.${name}`);
        }),
      ];
    }
  }
}
