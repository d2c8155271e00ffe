// What people and programs get to see of a diagnostic.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type Diagnostic,
  nearest,
  positionAt,
  renderDiagnostics,
  type Source,
  sanitise,
} from "../../src/diagnostics/index.ts";

/** A diagnostic on the word between « and » of a text, which are taken out. */
function marked(text: string, more: Partial<Diagnostic> = {}): Diagnostic {
  const start = text.indexOf("«");
  const source: Source = { name: "p.toml", text: text.replace(/[«»]/g, "") };
  const span = { source, start, end: text.indexOf("»") - 1 };
  return { id: "test", severity: "error", message: "a message", span, ...more };
}

/** The rendering's line of text and its line of carets, both from the first column of the text on. */
function frame(diagnostic: Diagnostic, width = 80): readonly [line: string, caret: string] {
  const [, line = "", caret = ""] = renderDiagnostics([diagnostic], { width }).split("\n");
  return [line.replace(/^ *\d+ \| /, ""), caret.replace(/^ *\| /, "")];
}

test("a diagnostic with everything", () => {
  const found = marked("version = 1\nrules = '''\ndeny «unshaer»\n'''", {
    id: "unknown-syscall",
    message: 'there is no system call "unshaer"',
    label: "did you mean unshare?",
    notes: [{ message: "a note without a place" }],
  });
  const note = { message: "a note with a place", ...(found.span === undefined ? {} : { span: found.span }) };
  assert.equal(
    renderDiagnostics([{ ...found, notes: [...(found.notes ?? []), note] }]),
    [
      'p.toml:3:6 error unknown-syscall: there is no system call "unshaer"',
      "   3 | deny unshaer",
      "     |      ^^^^^^^ did you mean unshare?",
      "     = a note without a place",
      "     = p.toml:3:6: a note with a place",
      "",
    ].join("\n"),
  );
});

test("diagnostics without a place, one after the other, and none", () => {
  const one: Diagnostic = { id: "a", severity: "warning", message: "b", label: "c" };
  assert.equal(
    renderDiagnostics([one, { ...one, severity: "note" }]),
    "warning a: b\n     = c\nnote a: b\n     = c\n",
  );
  assert.equal(renderDiagnostics([]), "");
});

describe("the caret stands under the word", () => {
  const rows: readonly (readonly [title: string, text: string, line: string, caret: string])[] = [
    ["at the beginning", "«deny» x", "deny x", "^^^^"],
    ["behind tabs", "\t\t«deny»", "  deny", "  ^^^^"],
    ["of no length", "deny«»", "deny", "    ^"],
    ["at the end of a line with CRLF", "deny «x»\r\nb", "deny x", "     ^"],
    ["behind an emoji", "# 🙂 «x»", "# 🙂 x", "     ^"],
    ["behind wide characters", "# 漢字 «x»", "# 漢字 x", "       ^"],
    ["behind full-width forms", "ＡＢ«x»", "ＡＢx", "    ^"],
    ["behind a mark that combines", "e\u0301 «x»", "e\u0301 x", "  ^"],
    ["behind a family of emoji", "👨‍👩‍👧 «x»", "👨\\u{200d}👩\\u{200d}👧 x", `${" ".repeat(23)}^`],
    ["under wide characters", "a «漢字» b", "a 漢字 b", "  ^^^^"],
    ["under an emoji", "a «🙂» b", "a 🙂 b", "  ^^"],
    ["behind an escape sequence", "\u001b[31m«x»", "\\x1b[31mx", "        ^"],
    ["under a control character", "a«\u0007»b", "a\\x07b", " ^^^^"],
    ["behind characters that turn the line", "\u202e«x»", "\\u{202e}x", "        ^"],
    ["over the end of its line", "a «b\nc»", "a b", "  ^"],
  ];
  for (const [title, text, line, caret] of rows)
    test(title, () => assert.deepEqual(frame(marked(text)), [line, caret]));

  for (const width of [40, 80, 200]) {
    for (const filler of ["x", "漢", "🙂", "\u0001"]) {
      test(`in a long line of ${JSON.stringify(filler)}, cut at ${width} columns`, () => {
        for (const [before, after] of [
          [0, 300],
          [10, 300],
          [300, 300],
          [300, 0],
        ] as const) {
          const found = marked(`${filler.repeat(before)}«HERE»${filler.repeat(after)}`);
          const rendered = renderDiagnostics([{ ...found, label: "say so" }], { width });
          const [line, caret] = frame(found, width);
          assert.match(line, /HERE/);
          const columns = (text: string): number => {
            const wide = text.match(/[漢🙂]/gu) ?? [];
            return [...text].length + wide.length;
          };
          assert.equal(columns(line.slice(0, line.indexOf("HERE"))), caret.indexOf("^"));
          assert.equal(caret.trim(), "^^^^");
          for (const one of rendered.split("\n")) assert.ok(columns(one) <= width, `${columns(one)}: ${one}`);
          assert.doesNotMatch(rendered, /\p{Surrogate}/u);
        }
      });
    }
  }

  test("a label that does not fit beside the caret stands below it", () => {
    const text = renderDiagnostics(
      [marked("deny «x»", { label: "a label of some forty characters, or more" })],
      { width: 40 },
    );
    assert.match(text, /\n {5}\| {6}\^\n {5}= a label of/);
  });
});

test("nothing from outside reaches the terminal as a command", () => {
  const evil = "\u001b]0;owned\u0007\u009b2J\u200b\u2028\u2066\ufeff\r\n";
  const found = marked(`${evil}«x»${evil}`, { message: evil, label: evil, notes: [{ message: evil }] });
  const text = renderDiagnostics([
    {
      ...found,
      ...(found.span === undefined
        ? {}
        : { span: { ...found.span, source: { ...found.span.source, name: evil } } }),
    },
  ]);
  const commands = [...text].filter(
    (one) => one !== "\n" && (/\p{Control}|\p{Format}/u.test(one) || /[\u2028\u2029]/.test(one)),
  );
  assert.deepEqual(commands, []);
  assert.equal(sanitise("a\tb\u001b"), "a b\\x1b");
});

test("colours are sent only when they are asked for, and change nothing else", () => {
  const found = marked("deny «x»", { label: "y" });
  const coloured = renderDiagnostics([found], { colour: true });
  assert.notEqual(coloured, renderDiagnostics([found]));
  const sequence = "\u001b";
  const plain = coloured
    .split(sequence)
    .map((part, index) => (index === 0 ? part : part.replace(/^\[[0-9;]*m/, "")));
  assert.equal(plain.join(""), renderDiagnostics([found]));
});

test("as JSON: every key is there, absent things are null", () => {
  const full = marked("a\n🙂 «x»", { label: "l", notes: [{ message: "n" }] });
  const span = full.span;
  assert.ok(span !== undefined);
  const fix = { message: "f", edits: [{ span, text: "y" }] };
  const place = { file: "p.toml", line: 2, column: 4, endLine: 2, endColumn: 5 };
  assert.deepEqual(
    JSON.parse(
      renderDiagnostics(
        [
          { ...full, fix },
          { id: "b", severity: "note", message: "m" },
        ],
        { format: "json" },
      ),
    ),
    [
      {
        id: "test",
        severity: "error",
        message: "a message",
        ...place,
        label: "l",
        notes: [{ message: "n", place: null }],
        fix: { message: "f", edits: [{ place, text: "y" }] },
      },
      {
        id: "b",
        severity: "note",
        message: "m",
        file: null,
        line: null,
        column: null,
        endLine: null,
        endColumn: null,
        label: null,
        notes: [],
        fix: null,
      },
    ],
  );
});

test("places are counted from 1, columns in UTF-16 units as editors do", () => {
  const source = { name: "s", text: "ab\n\r\n🙂c\n" };
  const at = (offset: number) => Object.values(positionAt(source, offset)).join(":");
  assert.deepEqual([0, 2, 3, 5, 7, 9].map(at), ["1:1", "1:3", "2:1", "3:1", "3:3", "4:1"]);
});

test("the nearest name, if one is near enough", () => {
  const names = ["unshare", "mount", "umount2", "x86_64", "AF_VSOCK", "read"];
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["unshaer", "unshare"],
    ["UNSHARE", "unshare"],
    ["SYS_mount", "mount"],
    ["__NR_read", "read"],
    ["umount", "mount"],
    ["AF_VSOK", "AF_VSOCK"],
    ["raed", "read"],
    ["xyz", undefined],
    ["", undefined],
    ["x".repeat(60_000), undefined],
  ];
  for (const [word, wanted] of rows) assert.equal(nearest(word, names), wanted, word.slice(0, 20));
});
