// Random policies: reading the rules, the compiled filter and the proof must be of one opinion.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { emulateWords } from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { hasErrors, renderDiagnostics } from "../../src/diagnostics/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { parseRules } from "../../src/policy/parser.ts";
import { printRule } from "../../src/policy/printer.ts";
import type { Policy } from "../../src/policy/types.ts";
import { prove } from "../../src/proof/index.ts";
import { target } from "../policy/reading.ts";
import { seed } from "../seed.ts";
import { callsOn, chances, textOf, type Written, written } from "./arbitrary.ts";

/** CALLGATE_PROPERTY_RUNS=100 makes a long run of it: a million pairs of a policy and a call, instead of ten thousand. */
const times = Number(process.env["CALLGATE_PROPERTY_RUNS"] ?? "1");
const runs = (numRuns: number) => ({ numRuns: numRuns * times });

/** Without places, which a policy in values does not have. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== "span")
      .map(([key, item]) => [key, bare(item)]),
  );
}

/** Policies of which some are refused: those are no use here. */
function readable(policy: Written): Policy | undefined {
  return readPolicy(textOf(policy), { target }).policy;
}

describe(`random policies (seed ${seed})`, () => {
  for (const optimize of ["kernel", "size", "classic"] as const)
    test(`the rules and the proved filter for ${optimize} decide every call alike`, (context) => {
      let read = 0;
      let tried = 0;
      let pairs = 0;
      fc.assert(
        fc.property(written, chances, (one, stream) => {
          tried += 1;
          const policy = readable(one);
          if (policy === undefined) return;
          read += 1;
          const filter = compile(policy, { target, optimize });
          assert.equal(prove(filter, policy, { target }).verdict, "proved");
          const random = (): number => stream.next().value ?? 0;
          for (const { words, expected } of callsOn(policy, random, 200)) {
            pairs += 1;
            assert.equal(
              emulateWords(filter.instructions, words),
              expected,
              [...words].map((w) => w.toString(16)).join(),
            );
          }
        }),
        runs(40),
      );
      context.diagnostic(`${read} policies, ${pairs} pairs of a policy and a call`);
      assert.ok(read > tried / 3, `only ${read} of ${tried} policies could be read`);
      // All three together: ten thousand, and a million in a long run.
      assert.ok(pairs >= (10_000 * times) / 3, `only ${pairs} pairs`);
    });

  test("rules that are printed and read again are the same rules", () => {
    fc.assert(
      fc.property(written, ({ rules }) => {
        const { rules: again, diagnostics } = parseRules({ text: rules.map(printRule).join("\n") });
        assert.deepEqual(diagnostics, []);
        assert.deepEqual(bare(again), bare(rules));
      }),
      runs(300),
    );
  });

  test("a policy with errors has an error to show, and one without has none", () => {
    fc.assert(
      fc.property(written, (one) => {
        const { policy, diagnostics } = readPolicy(textOf(one), { target });
        assert.equal(policy === undefined, hasErrors(diagnostics));
        for (const { message, span } of diagnostics) {
          assert.ok(message.length > 0 && span !== undefined, message);
          assert.ok(0 <= span.start && span.start < span.end && span.end <= span.source.text.length, message);
        }
      }),
      runs(200),
    );
  });
});

describe(`reading anything (seed ${seed})`, () => {
  const pieces = fc.constantFrom(
    "allow ",
    "deny ",
    "kill-thread ",
    "errno(",
    "trap(1) ",
    "read",
    "@mount",
    "#4",
    "*",
    "x86:",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "fd",
    " == ",
    " & ",
    " | ",
    " || ",
    " && ",
    "!",
    "~",
    "-",
    "..",
    ",",
    " in ",
    " not in ",
    " within ",
    "0x10",
    "017",
    "99999999999999999999",
    "O_DIRECT",
    "# why",
    "#",
    "\n",
    "\r\n",
    "\t",
    "é",
    "🙂",
    "\u0000",
    "\ud800",
    "'''",
    '"',
    "\\",
    "=",
  );
  const rulesText = fc.array(pieces, { maxLength: 40 }).map((list) => list.join(""));
  const anything = (text: string): void => {
    for (const format of ["toml", "json", undefined] as const) {
      const { policy, diagnostics } = readPolicy(text, {
        target,
        ...(format === undefined ? {} : { format }),
      });
      assert.equal(policy === undefined, hasErrors(diagnostics));
      renderDiagnostics(diagnostics);
      renderDiagnostics(diagnostics, { format: "json" });
    }
  };

  test("pieces of rules never throw", () => {
    fc.assert(
      fc.property(rulesText, (text) => {
        const { diagnostics } = parseRules({
          text,
          spanOf: (start, end) => ({ source: { name: "r", text }, start, end }),
        });
        for (const { span } of diagnostics)
          assert.ok(span !== undefined && span.start <= span.end && span.end <= text.length);
        anything(`version = 1\n[syscalls]\nrules = '''\n${text}\n'''`);
        anything(`{"version": 1, "syscalls": {"rules": ${JSON.stringify(text)}}}`);
      }),
      runs(400),
    );
  });

  test("policies with a stretch replaced never throw", () => {
    fc.assert(
      fc.property(
        written,
        fc.nat(),
        fc.nat(30),
        fc.oneof(rulesText, fc.string({ unit: "binary" })),
        (one, at, length, put) => {
          const text = textOf(one);
          const start = at % text.length;
          anything(text.slice(0, start) + put + text.slice(start + length));
        },
      ),
      runs(300),
    );
  });

  test("no text at all throws", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), anything), runs(300));
  });

  test("no value throws", () => {
    const keys = fc.constantFrom(
      "version",
      "name",
      "extends",
      "syscalls",
      "rules",
      "default",
      "limits",
      "set",
      "environment",
    );
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<unknown>(
          1,
          0.5,
          -1,
          2n,
          true,
          null,
          undefined,
          "deny",
          "allow read",
          "6.1",
          Symbol("s"),
          () => 1,
        ),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(keys, tie("value"), { maxKeys: 4 }),
      ),
    })).value;
    fc.assert(
      fc.property(fc.dictionary(keys, value), (document) => {
        // What a caller without types could pass.
        const read: (text: never) => ReturnType<typeof readPolicy> = readPolicy;
        const { policy, diagnostics } = Reflect.apply(read, undefined, [document, { target }]);
        assert.equal(policy === undefined, hasErrors(diagnostics));
      }),
      runs(300),
    );
  });
});
