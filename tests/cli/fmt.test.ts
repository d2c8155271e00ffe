/** `callgate fmt`: the layout of rules, and that nothing but white space changes. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { formatPolicy } from "../../src/cli/commands/fmt.ts";
import { formatRules } from "../../src/cli/format-rules.ts";
import { builtinPolicies, builtinPolicyText } from "../../src/formats/index.ts";
import { tokenize } from "../../src/policy/lexer.ts";
import { parseRules } from "../../src/policy/parser.ts";
import { printRule } from "../../src/policy/printer.ts";
import { written } from "../property/arbitrary.ts";
import "../seed.ts";
import { callgate } from "./callgate.ts";

const folder = mkdtempSync(join(tmpdir(), "callgate-fmt-"));
after(() => rmSync(folder, { recursive: true, force: true }));

describe("layout", () => {
  const table: readonly (readonly [string, string, string])[] = [
    ["actions in a column", "kill ptrace\nallow  read\n", "kill  ptrace\nallow read\n"],
    [
      "long actions stand out",
      "errno( ENOSYS )   clone3\nallow read\ndeny write",
      "errno(ENOSYS) clone3\nallow read\ndeny  write",
    ],
    ["alone they are aligned", "errno(EPERM) a\nerrno(ENOSYS) b", "errno(EPERM)  a\nerrno(ENOSYS) b"],
    ["kill-thread", "kill-thread   read\ndeny write", "kill-thread read\ndeny        write"],
    ["commas", "allow read ,write,  close", "allow read, write, close"],
    ["reasons", "allow read # a\nallow readlink   #   b  c ", "allow read      # a\nallow readlink  # b  c"],
    ["an empty reason goes", "allow read #\n", "allow read\n"],
    [
      "comments and blank lines stay",
      "# about\n#   this\n\n\nallow read\n   # that\ndeny write",
      "# about\n#   this\n\n\nallow read\n# that\ndeny  write",
    ],
    [
      "a rule of several lines",
      "allow read, # one\n write,\n# between\n close # two\ndeny kill",
      "allow read,  # one\n      write,\n      # between\n      close  # two\ndeny  kill",
    ],
    [
      "conditions",
      "allow socket( domain==AF_UNIX&&!( type&SOCK_RAW )||protocol not in{1 .. 3,-1,~0} )",
      "allow socket(domain == AF_UNIX && !(type & SOCK_RAW) || protocol not in {1..3, -1, ~0})",
    ],
    [
      "numbers stay as they are",
      "allow chmod(mode&0o111), close(fd==0x1_0)",
      "allow chmod(mode & 0o111), close(fd == 0x1_0)",
    ],
    [
      "groups, numbers, ABIs",
      "allow x86 : read , @ basic-io,x86_64: #101 , *",
      "allow x86:read, @basic-io, x86_64:#101, *",
    ],
    [
      "raw words and masks",
      "allow close( args [0]==1 ), mprotect(prot within(PROT_READ|PROT_WRITE)), open((flags&3)==1)",
      "allow close(args[0] == 1), mprotect(prot within (PROT_READ | PROT_WRITE)), open((flags & 3) == 1)",
    ],
    [
      "an indented block keeps its indent",
      "  allow read\n    deny write\n  ",
      "  allow read\n  deny  write\n  ",
    ],
    ["other line ends stay", "allow  read\r\ndeny write\r\n", "allow read\r\ndeny  write\r\n"],
  ];
  for (const [name, before, wanted] of table) {
    test(name, () => {
      assert.equal(formatRules(before), wanted);
      assert.equal(formatRules(wanted), wanted);
    });
  }
});

/** The same tokens with other white space between them, and breaks where rules may have them. */
const shaken = fc.tuple(written, fc.infiniteStream(fc.nat(9))).map(([{ rules }, stream]) => {
  const dice = (): number => {
    const { value } = stream.next();
    return typeof value === "number" ? value : 0;
  };
  return rules
    .map((rule) => {
      const text = printRule(rule);
      let out = "";
      let at = 0;
      for (const token of tokenize(text, 0, text.length)) {
        const between = text.slice(at, token.start);
        const isBreakable = token.kind !== "end" && token.kind !== "reason" && text[at - 1] === ",";
        // A hyphen joins what touches it: only where there is white space may there be more.
        out += between === "" ? "" : isBreakable && dice() < 2 ? "\n \t" : between + " ".repeat(dice() % 3);
        out += text.slice(token.start, token.end);
        at = token.end;
      }
      return `${dice() < 2 ? "\n# note\n\n" : ""}${" ".repeat(dice() % 2)}${out}`;
    })
    .join("\n");
});

test("formatted rules are the same rules, and formatted once is formatted", () => {
  const read = (text: string): readonly string[] => {
    const { rules, diagnostics } = parseRules({ text });
    return [...rules.map(printRule), ...diagnostics.map((one) => one.message)];
  };
  fc.assert(
    fc.property(shaken, (text) => {
      const once = formatRules(text);
      assert.deepEqual(read(once), read(text));
      assert.equal(formatRules(once), once);
      assert.equal(once.replaceAll(/\s/g, ""), text.replaceAll(/\s/g, ""));
    }),
    { numRuns: 400 },
  );
});

test("the built-in policies keep every word", () => {
  for (const name of builtinPolicies()) {
    const text = builtinPolicyText(name) ?? "";
    const { formatted } = formatPolicy({ name, text });
    assert.equal(formatted?.replaceAll(/\s/g, ""), text.replaceAll(/\s/g, ""));
  }
});

describe("the file", () => {
  const untidy =
    "version   = 1  # one\nexpect = '''\ndeny  keyctl'''\n[syscalls]\nrequire = \"kill   ptrace\"\nrules = '''\nallow  read ,write\nkill ptrace   # x\n'''\n\n\n[files]\nread=['''a  ,  b''']\n";
  const tidy = untidy
    .replace("deny  keyctl", "deny keyctl")
    .replace("allow  read ,write\nkill ptrace   #", "allow read, write\nkill  ptrace  #");

  function file(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  test("only blocks change, in place, with the file's mode", () => {
    const path = file("a.toml", untidy);
    chmodSync(path, 0o600);
    const { status, stdout } = callgate(["fmt", path]);
    assert.equal(status, 0);
    assert.equal(stdout, `${path} formatted\n`);
    assert.equal(readFileSync(path, "utf8"), tidy);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(callgate(["fmt", path]).stdout, "");
  });

  test("--check changes nothing, and ends with 1 where something would change", () => {
    const path = file("b.toml", untidy);
    const { status, stdout } = callgate(["fmt", "--check", path]);
    assert.equal(status, 1);
    assert.equal(stdout, `${path} is not formatted\n`);
    assert.equal(readFileSync(path, "utf8"), untidy);
    assert.equal(callgate(["fmt", "--check", file("c.toml", tidy)]).status, 0);
  });

  test("- reads standard input and prints", () => {
    const { status, stdout } = callgate(["fmt", "-"], { input: untidy });
    assert.equal(status, 0);
    assert.equal(stdout, tidy);
  });

  test("a policy with mistakes stays as it is", () => {
    const text = "version = 1\n[syscalls]\nrules = '''\nallow  read ,\ndeny socket(domain = 1)\n'''\n";
    const path = file("d.toml", text);
    const { status, stderr } = callgate(["fmt", path]);
    assert.equal(status, 1);
    assert.match(stderr, /d\.toml:\d+:\d+ error syntax/);
    assert.equal(readFileSync(path, "utf8"), text);
    assert.equal(callgate(["fmt", join(folder, "none.toml")]).status, 2);
    assert.equal(callgate(["fmt"]).status, 2);
  });

  test("blocks with escapes stay as they are", () => {
    const text = 'version = 1\n[syscalls]\nrules = """\nallow  read \\\n"""\n';
    assert.equal(formatPolicy({ name: "p", text }).formatted, text);
  });
});
