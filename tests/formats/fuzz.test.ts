// Mutated policies through every reader: no crash, no hang, no partially read policy, and nothing read that cannot be
// written and read again.
//
//     CALLGATE_SEED=7 CALLGATE_FUZZ_ROUNDS=50000 npm test -- formats/fuzz
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type Diagnostic, hasErrors, renderDiagnostics, type Span } from "../../src/diagnostics/index.ts";
import { formats } from "../../src/formats/catalogue.ts";
import {
  builtinPolicies,
  builtinPolicyText,
  type ReadOptions,
  type ReadResult,
  readPolicy,
} from "../../src/formats/index.ts";
import type { PolicyDocument } from "../../src/formats/object.ts";
import { writePolicy } from "../../src/formats/write.ts";
import { printAction } from "../../src/policy/action.ts";
import { printRule } from "../../src/policy/printer.ts";
import type { Policy } from "../../src/policy/types.ts";
import { fileOf, target } from "../policy/reading.ts";
import { drawing, seed } from "../seed.ts";

const rounds = Number(process.env["CALLGATE_FUZZ_ROUNDS"] ?? "250");
/** What no read may take, in milliseconds: they take one or two, and a machine may be busy. */
const hang = 20_000;

type Random = (below: number) => number;

/** Marsaglia's xorshift: whole numbers from 0, less than `below`. */
function randomFrom(start: number): Random {
  // Close seeds begin alike, and zero would stay zero.
  let state = Math.imul(start, 0x9e37_79b1) ^ 0x6d2b_79f5 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function oneOf<T>(items: readonly T[], random: Random): T {
  const item = items[random(items.length)];
  assert.ok(item !== undefined, "nothing to choose from");
  return item;
}

const textsIn = (folder: string, ending: string): readonly string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => readFileSync(join(folder, name), "utf8"));

const corpus: readonly string[] = [
  ...formats.map((format) => format.example),
  ...builtinPolicies().map((name) => builtinPolicyText(name) ?? ""),
  ...textsIn("tests/fixtures/policies", ".toml"),
  ...textsIn("examples", ".toml"),
  ...textsIn("bench/policies", ".json"),
  fileOf(
    "errno(ENOSYS) clone3, x86_64:#300(args[2] == 5)\nallow clone(!(flags & (CLONE_NEWUSER | CLONE_NEWNS)))\ntrap(7) personality(persona in {1..9, 0xffffffff})",
    'default = "kill"\nmultiplexed = "open"\nrequire = "deny kexec_load  # never"',
  ),
  `${fileOf("allow @default")}[files]\nread = ["/usr"]\n[network]\nmode = "ports"\nports = [80, 443]\n[limits]\nmemory = "512M"\nwall-time = "10s"\n[environment]\nkeep = ["LANG"]\nset = { "A" = "b" }\n[hardening]\nnew-code = "deny"\n`,
  "2\ndenylist\nreject_force_umount\n[all]\nsocket errno 97 [0,38,==]\nmknod notify [1,0x2000,&=,0xf000]\n[x86]\nclone kill\n",
  "2\nallowlist trap\n[x86_64]\nread\n[arm]\nioctl [1,0x5401,SCMP_CMP_EQ,0xffffffff]\n",
  "1\nallowlist\n0\n1\n231\n",
  '{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"]}],"syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}],"includes":{"minKernel":"4.8"},"excludes":{"caps":["CAP_SYS_ADMIN"],"arches":["s390"]}}]}',
];

/** Numbers, brackets and characters at which readers of text go wrong. */
const awkward = [
  "0",
  "-1",
  "4294967296",
  "18446744073709551615",
  "18446744073709551616",
  "-9223372036854775809",
  "9".repeat(400),
  "0x",
  `0x${"f".repeat(40)}`,
  "1e999",
  "nan",
  "1979-05-27",
  "(".repeat(3000),
  "[".repeat(3000),
  "!".repeat(3000),
  "~(".repeat(1000),
  '{"a":'.repeat(3000),
  `a${".a".repeat(2000)} = 1\n`,
  "\u0000",
  "\ufeff",
  "\ud800",
  "\u2028",
  "\u202e",
  "\u001b[31m",
  "\r",
  "\r\n",
  "'''",
  '"""',
  '"',
  "\\",
  "\\u0000",
  "#",
  "__proto__",
  "constructor",
  "toString",
  'extends = ["strict"]\n',
  "@default",
  "@constructor",
  "x86:#-1",
];

type Pieces = readonly string[];

function mutatePieces(pieces: Pieces, random: Random): Pieces {
  const at = random(pieces.length);
  const other = random(pieces.length);
  const length = 1 + random(4);
  switch (random(4)) {
    case 0:
      return pieces.toSpliced(at, length);
    case 1:
      return pieces.toSpliced(other, 0, ...pieces.slice(at, at + length));
    case 2:
      return pieces.with(at, pieces[other] ?? "").with(other, pieces[at] ?? "");
    default:
      return pieces.with(at, pieces[other] ?? "");
  }
}

type Mutation = (text: string, random: Random) => string;

const mutations: readonly Mutation[] = [
  // One bit of a byte; what is no UTF-8 then becomes U+FFFD.
  (text, random) => {
    const bytes = Buffer.from(text);
    const at = random(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
    return bytes.toString();
  },
  (text, random) => mutatePieces(text.split(/(?<=\n)/), random).join(""),
  (text, random) => mutatePieces(text.match(/\s+|[\w$@-]+|./gsu) ?? [""], random).join(""),
  (text, random) => text.slice(0, random(text.length)),
  (text, random) => text.slice(random(text.length)),
  (text, random) => {
    const at = random(text.length);
    return text.slice(0, at) + oneOf(awkward, random) + text.slice(at + random(3));
  },
  // A number, or a word, that is another one.
  (text, random) => {
    const words = [...text.matchAll(/\b\w+\b/g)];
    if (words.length === 0) return text;
    const word = oneOf(words, random);
    return text.slice(0, word.index) + oneOf(awkward, random) + text.slice(word.index + word[0].length);
  },
  // A piece of another file.
  (text, random) => {
    const other = oneOf(corpus, random);
    const from = random(other.length);
    const at = random(text.length);
    return text.slice(0, at) + other.slice(from, from + random(400)) + text.slice(at);
  },
];

function mutate(text: string, random: Random): string {
  let mutated = text;
  for (let left = 1 + random(3); left > 0 && mutated.length > 0; left -= 1)
    mutated = oneOf(mutations, random)(mutated, random);
  return mutated;
}

/** A value of a policy's object, changed somewhere: the library's users pass whatever they have. */
function mutateValue(value: unknown, random: Random): unknown {
  const isLeaf = typeof value !== "object" || value === null || Object.keys(value).length === 0;
  if (isLeaf || random(5) === 0) return strangeValue(value, random);
  if (Array.isArray(value)) {
    const at = random(value.length);
    return random(4) === 0 ? value.toSpliced(at, 1) : value.with(at, mutateValue(value[at], random));
  }
  const entries = Object.entries(value);
  const [key, item] = oneOf(entries, random);
  const others = entries.filter(([name]) => name !== key);
  if (random(6) === 0) return Object.fromEntries(others);
  const name = random(6) === 0 ? oneOf(awkward, random) : key;
  return Object.fromEntries([...others, [name, mutateValue(item, random)]]);
}

function strangeValue(value: unknown, random: Random): unknown {
  if (typeof value === "string" && value !== "" && random(2) === 0) return mutate(value, random);
  let nested: unknown = value;
  switch (random(5)) {
    case 0:
      return oneOf(awkward, random);
    case 1:
      for (let depth = 0; depth < 2000; depth += 1)
        nested = random(2) === 0 ? [nested] : { syscalls: nested };
      return nested;
    case 2:
      return [value, value];
    default:
      return oneOf(
        [null, true, 0, -1, 0.5, Number.NaN, 2 ** 53, 1n << 70n, Symbol("x"), () => 1, new Date(0), [], {}],
        random,
      );
  }
}

function spansOf(diagnostic: Diagnostic): readonly Span[] {
  return [
    diagnostic.span,
    ...(diagnostic.notes ?? []).map((note) => note.span),
    ...(diagnostic.fix?.edits ?? []).map((edit) => edit.span),
  ].filter((span) => span !== undefined);
}

function assertSound({ policy, diagnostics }: ReadResult): void {
  assert.equal(
    policy === undefined,
    hasErrors(diagnostics),
    "a policy, or errors: never both, never neither",
  );
  for (const { start, end, source } of diagnostics.flatMap(spansOf))
    assert.ok(0 <= start && start <= end && end <= source.text.length, `${start}..${end}: outside the text`);
  for (const format of ["text", "json"] as const)
    assert.equal(
      renderDiagnostics(diagnostics, { format }) === "",
      diagnostics.length === 0 && format === "text",
    );
}

/** All that decides, in words. The baseline may be a foreign profile's, which has none and gets the newest. */
function said({ syscalls, files, network, limits, environment, hardening }: Policy): unknown {
  return {
    rules: syscalls.rules.map(printRule),
    require: syscalls.require.map(printRule),
    actions: [syscalls.default, syscalls.newer, syscalls.otherAbis].map(printAction),
    abis: [...syscalls.abis],
    multiplexed: syscalls.multiplexed,
    sections: { files, network, limits, environment, hardening },
  };
}

function assertWritable(policy: Policy): void {
  for (const format of ["toml", "json"] as const) {
    const { text } = writePolicy(policy, format, { target });
    const again = readPolicy(text, { target, format });
    assert.ok(again.policy !== undefined, `written as ${format}:\n${renderDiagnostics(again.diagnostics)}`);
    assert.deepEqual(said(again.policy), said(policy));
  }
}

/** Reads and checks; a failure tells the input. */
function tryRead(input: string | PolicyDocument, options: ReadOptions): ReadResult {
  const begin = performance.now();
  try {
    const result = readPolicy(input, { target, ...options });
    assertSound(result);
    assert.ok(performance.now() - begin < hang, "this took too long");
    if (result.policy !== undefined) assertWritable(result.policy);
    return result;
  } catch (error) {
    const shown = typeof input === "string" ? JSON.stringify(input) : String(Object.keys(input));
    throw new Error(`format ${options.format ?? "by content"}: ${shown.slice(0, 4000)}`, {
      cause: error,
    });
  }
}

describe(`mutated policies (seed ${seed}, ${rounds} rounds)`, () => {
  test("the corpus itself is read, or refused as a whole", () => {
    const read = corpus.filter((text) => tryRead(text, {}).policy !== undefined);
    assert.ok(read.length > corpus.length / 2, `${read.length} of ${corpus.length}`);
  });

  for (const format of [undefined, "toml", "json", "lxc", "oci"] as const) {
    test(
      `as text, ${format ?? "known by content"}`,
      drawing((context) => {
        const random = randomFrom(seed);
        const options = format === undefined ? {} : { format };
        // Mostly texts of this format: what is another's is refused soon.
        const own = corpus.filter((text) => readPolicy(text, { target, ...options }).policy !== undefined);
        let read = 0;
        for (let round = 0; round < rounds; round += 1) {
          const text = oneOf(random(8) === 0 ? corpus : own, random);
          const { policy } = tryRead(mutate(text, random), options);
          if (policy !== undefined) read += 1;
        }
        context.diagnostic(`${read} of ${rounds} read`);
        assert.ok(rounds < 100 || (read > 0 && read < rounds), "the mutations are too mild or too strong");
      }),
    );
  }

  test("what was found so is refused", () => {
    const half = "half \ud800";
    const found: readonly (readonly [string | PolicyDocument, string])[] = [
      [`name = "${half}"\n${fileOf("allow @default")}`, "not-text"],
      ['{ "version": 1, "name": "\\ud800", "syscalls": { "rules": "allow @default" } }', "json-syntax"],
      [{ version: 1, name: half, syscalls: { rules: "allow @default" } }, "wrong-type"],
      ["1\nallowlist\n0\n23118446744073709551615\n", "lxc-number"],
      ["1\nallowlist\n0\n1073741824\n", "lxc-number"],
    ];
    assert.deepEqual(
      found.map(([input]) =>
        tryRead(input, {})
          .diagnostics.filter((one) => one.severity === "error")
          .map(({ id }) => id),
      ),
      found.map(([, id]) => [id]),
    );
  });

  test(
    "as objects",
    drawing((context) => {
      const random = randomFrom(seed);
      const documents = corpus
        .filter((text) => text.startsWith("{"))
        .map((text): unknown => JSON.parse(text));
      const own = builtinPolicies().map((name): unknown => {
        const { policy } = readPolicy(builtinPolicyText(name) ?? "", { target });
        assert.ok(policy !== undefined);
        return JSON.parse(writePolicy(policy, "json").text);
      });
      let read = 0;
      for (let round = 0; round < rounds; round += 1) {
        const mutated = mutateValue(oneOf([...own, ...documents], random), random);
        // What a caller without types passes: the reader has to check it.
        if (tryRead(mutated as PolicyDocument, {}).policy !== undefined) read += 1;
      }
      context.diagnostic(`${read} of ${rounds} read`);
      assert.ok(rounds < 100 || (read > 0 && read < rounds), "the mutations are too mild or too strong");
    }),
  );
});
