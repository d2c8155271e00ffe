// The rule language, production by production: what is accepted, what is refused, and where the caret stands.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readPolicy } from "../../src/formats/index.ts";
import { parseAction, parseRules, parseSelectors } from "../../src/policy/parser.ts";
import { printCondition, printRule } from "../../src/policy/printer.ts";
import type { Action } from "../../src/policy/types.ts";
import { brief, fileOf, readRules, target } from "./reading.ts";

/** The rules of a text that must be without mistakes. */
function rulesOf(text: string) {
  const { rules, diagnostics } = parseRules({ text });
  assert.deepEqual(diagnostics, [], text);
  return rules;
}

/** The one condition of `allow x(TEXT)`, fully parenthesised where it is built of others. */
function shape(text: string): string {
  const condition = rulesOf(`allow x(${text})`)[0]?.selectors[0]?.condition;
  assert.ok(condition !== undefined);
  const shown = (one: typeof condition): string => {
    switch (one.kind) {
      case "and":
      case "or":
        return `(${one.items.map(shown).join(one.kind === "and" ? " && " : " || ")})`;
      case "not":
        return `!${shown(one.item)}`;
      case "test":
        return printCondition(one);
    }
  };
  return shown(condition);
}

describe("actions", () => {
  const rows: readonly (readonly [text: string, action: Action])[] = [
    ["allow", { kind: "allow" }],
    ["deny", { kind: "errno", errno: "EPERM" }],
    ["errno(ENOSYS)", { kind: "errno", errno: "ENOSYS" }],
    ["errno(0)", { kind: "errno", errno: 0 }],
    ["errno(4095)", { kind: "errno", errno: 4095 }],
    ["errno(0x26)", { kind: "errno", errno: 38 }],
    ["kill", { kind: "kill" }],
    ["kill-thread", { kind: "kill-thread" }],
    ["trap", { kind: "trap", data: 0 }],
    ["trap(65535)", { kind: "trap", data: 65535 }],
    ["log", { kind: "log" }],
    ["trace(1)", { kind: "trace", data: 1 }],
    ["notify", { kind: "notify" }],
    ["ask", { kind: "ask" }],
  ];
  for (const [text, action] of rows) {
    test(`${text} is an action of a rule and of a default`, () => {
      assert.deepEqual(rulesOf(`${text} read`)[0]?.action, action);
      assert.deepEqual(parseAction({ text }).action, action);
    });
  }
});

test("selectors: names, groups, numbers, everything, and an ABI before each", () => {
  const [rule] = rulesOf("deny read, @basic-io, #435, *, x86:socket, x32:@mount, aarch64:#0x10, x86_64:*");
  assert.deepEqual(
    rule?.selectors.map(({ span, ...rest }) => rest),
    [
      { target: { kind: "name", name: "read" } },
      { target: { kind: "group", name: "@basic-io" } },
      { target: { kind: "number", nr: 435 } },
      { target: { kind: "any" } },
      { abi: "x86", target: { kind: "name", name: "socket" } },
      { abi: "x32", target: { kind: "group", name: "@mount" } },
      { abi: "aarch64", target: { kind: "number", nr: 16 } },
      { abi: "x86_64", target: { kind: "any" } },
    ],
  );
});

describe("conditions", () => {
  const rows: readonly (readonly [text: string, shape: string])[] = [
    ["a", "a"],
    ["a & 3", "a & 3"],
    ["(a & 3) == 1", "(a & 3) == 1"],
    ["((a & 3)) != 1", "(a & 3) != 1"],
    ["a & 3 == 1", "(a & 3) == 1"],
    ["(a)", "a"],
    ["a & (B | C)", "a & (B | C)"],
    ["a & ~B", "a & ~B"],
    ["a & ~(B | C) && b", "(a & ~(B | C) && b)"],
    ["a == 1 || b == 2 && c == 3", "(a == 1 || (b == 2 && c == 3))"],
    ["(a == 1 || b == 2) && c == 3", "((a == 1 || b == 2) && c == 3)"],
    ["!(a) && !(b || c)", "(!a && !(b || c))"],
    ["!(!(a))", "!!a"],
    ["a in {1}", "a in {1}"],
    ["a in {1, 3..5, B | C..~D}", "a in {1, 3..5, B | C..~D}"],
    ["a not in {-1..1}", "a not in {-1..1}"],
    ["(a & 3) in {1, 2}", "(a & 3) in {1, 2}"],
    ["a within B | 0x8_000", "a within B | 0x8000"],
    ["a < 1 && a <= 1 && a > 1 && a >= 1", "(a < 1 && a <= 1 && a > 1 && a >= 1)"],
    ["args[0] == 1 || args[5]", "(args[0] == 1 || args[5])"],
    ["ip >= 0x7f0000000000", "ip >= 0x7f0000000000"],
    ["a == 0b1_0 || a == 0o17 || a == 1_000", "(a == 2 || a == 15 || a == 1000)"],
    ["a == -AT_FDCWD || a == ~-1", "(a == -AT_FDCWD || a == ~(-1))"],
    ["a == B|C|4", "a == B | C | 4"],
    ["a==1||b==2", "(a == 1 || b == 2)"],
  ];
  for (const [text, wanted] of rows)
    if (!text.includes("~-1")) test(text, () => assert.equal(shape(text), wanted));

  test("64 parentheses can be nested, one more cannot, wherever they stand", () => {
    const nested = (depth: number, open: string, close: string): string =>
      `allow x(${open.repeat(depth)}a${close.repeat(depth)})`;
    for (const [open, close] of [
      ["(b && ", ")"],
      ["b || (", ")"],
      ["!(", ")"],
    ] as const) {
      assert.deepEqual(parseRules({ text: nested(60, open, close) }).diagnostics, []);
      for (const depth of [66, 5_000]) {
        const { diagnostics } = parseRules({ text: nested(depth, open, close) });
        assert.deepEqual(
          diagnostics.map(({ message }) => message),
          ["more than 64 nested parentheses"],
        );
      }
    }
    for (const text of [`a == ${"(".repeat(9_000)}`, `a == ${"~(".repeat(9_000)}`, "(".repeat(9_000)])
      assert.equal(parseRules({ text: `allow x(${text})` }).diagnostics.length, 1);
  });
});

describe("lines", () => {
  test("a reason is kept, a line without rule is not one, a trailing comma continues", () => {
    const rules = rulesOf(`
# nothing here
allow read     # it reads: it is # 1
deny write,    # first

  # a line of its own between
   close       # second
kill ptrace
allow #435     #
`);
    assert.deepEqual(
      rules.map((rule) => [printRule(rule), rule.reason]),
      [
        ["allow read  # it reads: it is # 1", "it reads: it is # 1"],
        ["deny write, close  # first second", "first second"],
        ["kill ptrace", undefined],
        ["allow #435", undefined],
      ],
    );
  });

  test("a list of strings is as good as a block", () => {
    const { policy } = readPolicy(
      'version = 1\n[syscalls]\nrules = ["allow read  # why", """deny write\nkill close"""]',
      { target },
    );
    assert.deepEqual(policy?.syscalls.rules.map(printRule), [
      "allow read  # why",
      "deny write",
      "kill close",
    ]);
  });

  test("selectors can be read alone", () => {
    const { selectors, diagnostics } = parseSelectors({ text: "keyctl, socket(domain == AF_VSOCK)" });
    assert.deepEqual(diagnostics, []);
    assert.equal(selectors.length, 2);
  });
});

describe("what is refused, and where", () => {
  /** Rules in lines from 5 on; the diagnostics as brief() has them, and the first one's label. */
  const rows: readonly (readonly [
    rules: string,
    expected: readonly string[],
    label?: string | RegExp,
    head?: string,
  ])[] = [
    ["alow read", ['unknown-action 5:1 "alow"'], "did you mean allow?"],
    ["permit read", ['unknown-action 5:1 "permit"'], /^actions are allow, deny/],
    ["kill - thread read", ['syntax 5:6 "-"']],
    ["allow", ['syntax 5:6 ""'], /^a call is written/],
    ["allow read write", ['syntax 5:12 "write"'], /^expected a comma/],
    ["allow read,", ['syntax 5:12 ""'], /^a call is written/],
    ["allow read, , write", ['syntax 5:13 ","'], /^a call is written/],
    ["allow , read", ['syntax 5:7 ","'], /^a call is written/],
    ["allow read #why", ['syntax 5:12 "#why"'], "a reason begins with # and a space"],
    ["allow read; deny write", ['syntax 5:11 ";"'], "this character has no meaning in a rule"],
    ["allow read 🙂", ['syntax 5:12 "🙂"'], "this character has no meaning in a rule"],
    ["errno read", ['syntax 5:7 "read"']],
    ["errno(4096) read", ['number-out-of-range 5:7 "4096"']],
    ["errno(EFOO) read", ['unknown-errno 5:7 "EFOO"']],
    ["errno(EPREM) read", ['unknown-errno 5:7 "EPREM"'], "did you mean EPERM?"],
    ["errno(-1) read", ['syntax 5:7 "-"']],
    ["trap(65536) read", ['number-out-of-range 5:6 "65536"']],
    ["trace read", ['syntax 5:7 "read"']],
    ["trace(65536) read", ['number-out-of-range 5:7 "65536"']],
    ["deny unshaer", ['unknown-syscall 5:6 "unshaer"'], "did you mean unshare?"],
    ["deny SYS_read", ['unknown-syscall 5:6 "SYS_read"'], "did you mean read?"],
    ["deny xyzzy_plugh", ['unknown-syscall 5:6 "xyzzy_plugh"']],
    ["deny @network_io", ['unknown-group 5:6 "@network_io"'], "did you mean @network-io?"],
    ["deny @", ['syntax 5:7 ""']],
    ["deny x68:read", ['unknown-abi 5:6 "x68"'], "did you mean x86?"],
    ["deny amd64:read", ['unknown-abi 5:6 "amd64"'], "did you mean x86_64?"],
    ["deny #41", ['number-without-abi 5:6 "#41"'], "write the ABI before it: x86_64:#41"],
    ["deny #423, #424, x86:#41", ['number-without-abi 5:6 "#423"']],
    ["deny #4294967296", ['number-out-of-range 5:7 "4294967296"']],
    ["deny x86_64:#0x40000003", ['number-of-x32 5:13 "#0x40000003"'], "write x32 before it"],
    [
      "deny socket(domian == 1)",
      ['unknown-argument 5:13 "domian"'],
      /^did you mean domain\? its arguments are domain \(int\), type/,
    ],
    ["deny fork(flags)", ['unknown-argument 5:11 "flags"'], "it takes no arguments"],
    ["deny socket(domain == AF_VSOK)", ['unknown-constant 5:23 "AF_VSOK"'], "did you mean AF_VSOCK?"],
    [
      "deny socket(domain == QWERTYUIOP_X)",
      ['unknown-constant 5:23 "QWERTYUIOP_X"'],
      "write its number instead",
    ],
    ["deny socket(domain = 1)", ['syntax 5:20 "="'], "a comparison is written =="],
    ["deny socket()", ['syntax 5:13 ")"'], "leave the parentheses out for every call"],
    ["deny socket(domain == 1", ['syntax 5:12 "("']],
    ["deny socket(domain == 1))", ['syntax 5:25 ")"']],
    ["deny socket(domain == )", ['syntax 5:23 ")"'], /^a value is a number or a constant/],
    ["deny socket(1 == domain)", ['syntax 5:13 "1"'], "the argument stands on the left: fd == 1"],
    ["deny socket(domain in {1, 2)", ['syntax 5:28 ")"']],
    ["deny socket(domain in {1, 2", ['syntax 5:23 "{"']],
    ["deny socket(domain in {})", ['syntax 5:24 "}"']],
    ["deny socket(domain in {5..3})", ['empty-range 5:24 "5"'], "write the smaller end first"],
    ["deny socket(domain not {1})", ['syntax 5:24 "{"']],
    ["deny socket(!domain)", ['syntax 5:14 "domain"']],
    ["deny socket((domain & 1) within 2)", ['syntax 5:26 "within"'], "leave the mask out"],
    ["deny socket(domain & 1 == 1 == 1)", ['syntax 5:29 "=="']],
    ["deny read(args[6])", ['number-out-of-range 5:16 "6"']],
    ["deny socket(domain == 010)", ['bad-number 5:23 "010"'], "write 0o10 for octal, or 10 for decimal"],
    ["deny socket(domain == 08)", ['bad-number 5:23 "08"'], "a decimal number does not begin with 0"],
    ["deny socket(domain == 0x)", ['bad-number 5:23 "0x"'], /^this is not a number/],
    ["deny socket(domain == 0b2)", ['bad-number 5:23 "0b2"'], /^this is not a number/],
    ["deny socket(domain == 1__0)", ['bad-number 5:23 "1__0"'], "underscores stand between digits"],
    ["deny socket(domain == 0x_1)", ['bad-number 5:23 "0x_1"'], "underscores stand between digits"],
    ["deny socket(domain == 12ab)", ['bad-number 5:23 "12ab"'], /^this is not a number/],
    [
      "deny mmap(prot & PROT_WRITE | PROT_EXEC)",
      ['ambiguous-mask 5:29 "|"'],
      "write prot & (PROT_WRITE | PROT_EXEC), or (prot & PROT_WRITE) || …",
    ],
    ["deny socket(domain == 0x1_0000_0000)", ['value-too-wide 5:23 "0x1_0000_0000"']],
    ["deny socket(domain < 0x8000_0000)", ['value-too-wide 5:22 "0x8000_0000"']],
    ["deny socket(domain & 0x1_0000_0001)", ['value-too-wide 5:22 "0x1_0000_0001"']],
    ["deny socket(domain == ~0x1_0000_0000)", ['value-too-wide 5:24 "0x1_0000_0000"']],
    ["deny chmod(mode == 0x1_0000)", ['value-too-wide 5:20 "0x1_0000"']],
    ["deny kill(pid == -0x8000_0001)", ['value-too-wide 5:18 "-0x8000_0001"']],
    ["deny read(fd < -1)", ['negative-unsigned 5:16 "-1"']],
    ["deny read(buf == 5)", ['pointer-compared 5:11 "buf"'], "a pointer can only be compared with 0"],
    [
      "deny @pkey(pkey == 1)",
      ['group-condition 5:6 "@pkey"'],
      "name the calls, or use the condition with allow",
    ],
    ["deny *(fd == 1)", ['any-condition 5:6 "*"']],
  ];
  for (const [rules, expected, label, head] of rows) {
    test(rules, () => {
      const { policy, diagnostics } = readRules(rules, head);
      assert.equal(policy, undefined);
      assert.deepEqual(diagnostics.map(brief), expected);
      for (const { message } of diagnostics) assert.match(message, /^(?![A-Z][a-z]).*[^.]$/);
      if (typeof label === "string") assert.equal(diagnostics[0]?.label, label);
      else if (label !== undefined) assert.match(diagnostics[0]?.label ?? "", label);
    });
  }

  test("a & B | C shows both readings", () => {
    const [found] = readRules("deny mmap(prot & PROT_WRITE | PROT_EXEC)").diagnostics;
    assert.equal(found?.message, "prot & PROT_WRITE | PROT_EXEC can be read in two ways");
  });

  test("negative numbers that are what the kernel reads are none of this", () => {
    assert.deepEqual(
      readRules("deny read(fd == -1), openat(dirfd == AT_FDCWD), kill(pid == -0x8000_0000)").diagnostics,
      [],
    );
  });

  test("rules of require that permit", () => {
    for (const action of ["allow", "log", "trace(1)", "notify", "ask"]) {
      const { diagnostics } = readRules("deny read", `require = '${action} fsync'`);
      assert.deepEqual(diagnostics.map(brief), [`require-permits 3:12 "${action} fsync"`]);
    }
  });
});

describe("every mistake of a file at once, each under its own word", () => {
  const mistakes = ["unknown-syscall", "unknown-constant", "unknown-action"];
  const rules = ["deny unshaer", "allow read", "deny socket(domain == AF_VSOK)", "alow write"];
  const words = ["unshaer", "AF_VSOK", "alow"];
  const block = rules.join("\n");
  const escaped = rules.map((rule) => rule.replace("deny", "d\\u0065ny").replace(" ", "\\t")).join("\\n");
  const files: Readonly<Record<string, string>> = {
    "a literal block": fileOf(block),
    "a literal block with CRLF": fileOf(block).replaceAll("\n", "\r\n"),
    "a basic block": `version = 1\n[syscalls]\nrules = """\n${block}\n"""`,
    "a basic block whose lines are joined": `version = 1\n[syscalls]\nrules = """\\\n   ${rules.join("\\n\\\n   ")}"""`,
    "a basic string with escapes": `version = 1\n[syscalls]\nrules = "${escaped}"`,
    "a list of strings": `version = 1\n[syscalls]\nrules = [\n${rules.map((rule) => `  '${rule}',`).join("\n")}\n]`,
    "an inline table": `version = 1\nsyscalls = { default = "deny", rules = ["${rules.join('", "')}"] }`,
    "a file with emoji before the place": `# 🙂🙂 \u{1d518}\nversion = 1\nname = "🙂"\n[syscalls]\nrules = '''\n${rules.map((rule) => `${rule}   # 🙂 é`).join("\n")}\n'''`,
    "emoji before the word in its own line": `version = 1\n[syscalls]\nrules = ["""${"allow read # 🙂\\n"}${escaped}"""]`,
    "a file with a byte order mark": `\ufeff${fileOf(block)}`,
    JSON: JSON.stringify({ version: 1, syscalls: { rules } }, undefined, 2),
    "JSON with escapes": `{"version": 1, "na\\u006de": "\\ud83d\\ude42", "syscalls": {"rules": "${escaped}"}}`,
  };
  for (const [name, text] of Object.entries(files)) {
    test(name, () => {
      const { policy, diagnostics } = readPolicy(text, { target });
      assert.equal(policy, undefined);
      assert.deepEqual(diagnostics.map(({ id }) => id).sort(), [...mistakes].sort());
      for (const [index, id] of mistakes.entries()) {
        const span = diagnostics.find((one) => one.id === id)?.span;
        assert.ok(span !== undefined);
        assert.equal(span.source.text.slice(span.start, span.end), words[index]);
        assert.equal(span.source.text, text.replace(/^\ufeff/, ""));
      }
      const starts = diagnostics.map(({ span }) => span?.start ?? 0);
      assert.deepEqual(
        starts,
        [...starts].sort((a, b) => a - b),
      );
    });
  }

  test("an object, whose places are its own paths", () => {
    const { diagnostics } = readPolicy({ version: 1, syscalls: { default: "dney", rules } }, { target });
    assert.deepEqual(diagnostics.map((one) => `${one.span?.source.name} ${brief(one)}`).sort(), [
      'policy.syscalls.default unknown-action 1:1 "dney"',
      'policy.syscalls.rules[0] unknown-syscall 1:6 "unshaer"',
      'policy.syscalls.rules[2] unknown-constant 1:23 "AF_VSOK"',
      'policy.syscalls.rules[3] unknown-action 1:1 "alow"',
    ]);
  });

  test("a block longer than the TOML parser takes", () => {
    const text = `version = 1\n[syscalls]\nrules = '''\n${"allow read   # 🙂\n".repeat(9_000)}${block}'''\ndefalt = 1`;
    const { diagnostics } = readPolicy(text, { target });
    assert.deepEqual(diagnostics.map(brief).sort(), [
      'unknown-action 9007:1 "alow"',
      'unknown-constant 9006:23 "AF_VSOK"',
      'unknown-key 9008:1 "defalt"',
      'unknown-syscall 9004:6 "unshaer"',
    ]);
  });

  test("a syntax error of TOML or JSON stands alone", () => {
    for (const [text, expected] of [
      [`version = 1\nversion = 1\n${fileOf("alow read")}`, "toml-syntax 2:1"],
      [`${fileOf("alow read")}\n[oops`, "toml-syntax 8:6"],
      ['{"version": 1, "syscalls": {"rules": ["alow read",]}}', "json-syntax 1:51"],
      ['{"version": 1, "version": 1}', "json-syntax 1:16"],
    ] as const) {
      const { diagnostics } = readPolicy(text, { target });
      assert.deepEqual(
        diagnostics.map((one) => brief(one).split(" ").slice(0, 2).join(" ")),
        [expected],
      );
    }
  });
});
