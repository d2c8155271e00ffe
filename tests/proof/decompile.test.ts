// decompile: filters of the compiler and of others, back into policies that are proved to say the same.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  errno,
  type Filter,
  filterOf,
  instruction,
  JEQ_K,
  JEQ_X,
  JGE_K,
  jump,
  load,
  RET_A,
  RET_ALLOW,
  ret,
  TAX,
} from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { renderDiagnostics } from "../../src/diagnostics/index.ts";
import { builtinPolicies, readPolicy } from "../../src/formats/index.ts";
import { loadPolicy } from "../../src/formats/load.ts";
import { writePolicy } from "../../src/formats/write.ts";
import { printRule } from "../../src/policy/printer.ts";
import type { Policy } from "../../src/policy/types.ts";
import { DecompileError, decompile } from "../../src/proof/decompile.ts";
import { type Difference, diff, UndecidedError } from "../../src/proof/diff.ts";
import { prove } from "../../src/proof/prove.ts";
import { policyOf } from "../policy/reading.ts";
import "../seed.ts";
import { filterNamed, realStacks } from "./corpus.ts";

const target = { target: "x86_64" } as const;

/** The policy of a filter is proved, also after it was written and read again, and so is its own filter. */
function roundTrip(filter: Filter): Policy {
  const policy = decompile(filter);
  assert.equal(prove(filter, policy, target).verdict, "proved");
  const again = readPolicy(writePolicy(policy, "toml").text, target);
  assert.ok(again.policy !== undefined, renderDiagnostics(again.diagnostics));
  assert.equal(prove(filter, again.policy, target).verdict, "proved");
  assert.equal(prove(compile(policy, target), policy, target).verdict, "proved");
  return policy;
}

const rulesOf = (policy: Policy): readonly string[] => policy.syscalls.rules.map(printRule);

describe("what the compiler made", () => {
  for (const name of builtinPolicies())
    test(`the built-in policy ${name}`, () => {
      const { policy } = loadPolicy(name, target);
      assert.ok(policy !== undefined);
      const back = roundTrip(compile(policy, target));
      // Groups and families keep it as short as people write it.
      assert.ok(back.syscalls.rules.length < 80, `${back.syscalls.rules.length} rules`);
    });

  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ["allow read, write", "", ["allow read, write"]],
    ["allow socket(domain in {AF_UNIX, AF_INET})", "", ["allow socket(domain in {AF_UNIX, AF_INET})"]],
    // One bit apart, and told by their names all the same.
    ["allow socket(domain in {AF_INET, AF_INET6})", "", ["allow socket(domain in {AF_INET, AF_INET6})"]],
    [
      "allow socket(domain not in {AF_INET, AF_INET6})",
      "",
      ["deny socket(domain in {AF_INET, AF_INET6})", "allow socket"],
    ],
    ["allow umount2(flags & MNT_FORCE)", "", ["allow umount2(flags & MNT_FORCE)"]],
    ["allow umount2(!(flags & MNT_FORCE))", "", ["allow umount2((flags & MNT_FORCE) == 0)"]],
    ["allow close(fd >= 3)", "", ["deny close(fd <= 2)", "allow close"]],
    [
      "allow clone(!(flags & (CLONE_NEWUSER | CLONE_NEWNS)))",
      "",
      ["allow clone((flags & (CLONE_NEWNS | CLONE_NEWUSER)) == 0)"],
    ],
    ["allow ioctl(args[1] != TIOCSTI)", "", ["deny ioctl(args[1] == TIOCSTI)", "allow ioctl"]],
    ["deny keyctl, add_key", "default = 'allow'\nbaseline = '6.1'", ["deny add_key, keyctl"]],
    ["kill x86:*\nallow x86_64:read", "abis = ['x86_64', 'x86']", ["kill x86:*", "allow read"]],
    ["allow x86:setuid, x86:getuid", "abis = ['x86']", ["allow setuid, getuid"]],
    ["deny x86:#213\nallow setuid", "abis = ['x86']", ["allow x86:#23"]],
    [
      "allow lseek(offset < -5 && whence != 0)",
      "",
      ["allow lseek(offset in {-0x8000000000000000..-6} && whence)"],
    ],
    ["allow lseek(whence != 0 && offset < -5)", "", []],
    ["allow setpriority(prio in {-20..3, 7})", "", []],
    ["allow setpriority(prio & 0x80000000)", "", []],
    ["allow kill(sig == SIGKILL && pid == 7)", "", []],
    ["errno(EBUSY) @clock", "", ["errno(EBUSY) @clock"]],
    // Both halves of an argument, each by masks.
    [
      "allow lseek(offset & 0x10000000f == 0x100000003)",
      "",
      ["allow lseek((offset & 0x10000000f) == 0x100000003)"],
    ],
    ["allow lseek(args[1] & 0x55b3d5462e8e6418 < 5), read", "abis = ['all']", []],
    ["trap(7) *(args[3] & 0xaa4c2ab9d1719be7 < 5), read(args[1] > 0x1_0000_0005)", "", []],
    ["allow futex(args[0] & 0x8b3f0e08b3f0e0 in {4..0x40000000000, 0xafbc9002})", "", []],
    ["allow close(ip & 0x3fffffff00ffffff || fd > 7)", "", []],
  ];
  for (const [rules, head, expected] of cases)
    test(rules.replaceAll("\n", "; "), () => {
      const back = rulesOf(roundTrip(compile(policyOf(rules, head), target)));
      if (expected.length > 0) assert.deepEqual(back, expected);
    });

  test("ABIs that no rule looks at are other-abis, and the baseline is found again", () => {
    const { syscalls } = roundTrip(
      compile(policyOf("deny keyctl", "default = 'allow'\nbaseline = '5.15'\nabis = ['x86_64']"), target),
    );
    assert.deepEqual(syscalls.abis, ["x86_64"]);
    assert.equal(syscalls.otherAbis.kind, "kill");
    assert.deepEqual(syscalls.baseline, { major: 5, minor: 15, patch: 0 });
  });

  test("random policies", () => {
    const selector = fc.constantFrom(
      "read",
      "x86:setuid",
      "setuid",
      "socket(domain == AF_INET)",
      "socket(type & 0x800)",
      "clone(flags within CLONE_VM | CLONE_FS)",
      "ioctl(request in {1..5, TIOCSTI})",
      "lseek(offset > 4096)",
      "lseek(whence != 0 && offset < -5)",
      "mmap(prot & PROT_EXEC)",
      "#700",
      "x32:ioctl(args[1] == 7)",
      "x86:ipc",
      "prctl(args[0] & 0xff00 || option == PR_SET_NAME)",
    );
    const action = fc.constantFrom("allow", "deny", "kill", "errno(ENOSYS)", "trap(7)", "log");
    const rule = fc.tuple(action, selector).map((parts) => parts.join(" "));
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1, maxLength: 6 }), fc.boolean(), (rules, open) => {
        const head = `abis = ['all']\ndefault = '${open ? "allow" : "deny"}'\nbaseline = '6.6'`;
        roundTrip(compile(policyOf(rules.join("\n"), head), target));
      }),
      { numRuns: Number(process.env["CALLGATE_PROOF_RUNS"] ?? "1") * 3 },
    );
  });
});

describe("what others made", () => {
  for (const name of ["man", "man-groff", "runc", "firejail-2", "lxc-common"])
    test(name, () => {
      roundTrip(filterNamed(name));
    });

  for (const name of ["chromium-utility", "systemd-logind"])
    test(`${name}: all but ranges of numbers that no call has`, () => {
      const filters = realStacks.find((one) => one.name === name)?.filters ?? [];
      const lost: Difference[] = [];
      const policy = decompile(filters, { lost: (difference) => lost.push(difference) });
      assert.ok(policy.syscalls.rules.length > 10);
      for (const { syscall, milder, numbers } of lost) {
        assert.equal(syscall, undefined);
        assert.equal(milder && numbers.from < 0x8000_0000, false);
      }
      const again = readPolicy(writePolicy(policy, "toml").text, target);
      assert.ok(again.policy !== undefined, renderDiagnostics(again.diagnostics));
      assert.deepEqual(diff(compile(again.policy, target), policy), []);
    });

  test("a policy that can only be near is an error, or strict and with a list of what is lost", () => {
    const filter = filterNamed("firejail-1");
    assert.throws(() => decompile(filter), DecompileError);
    let milder = 0;
    const lost: number[] = [];
    decompile(filter, {
      lost: (difference) => {
        lost.push(difference.numbers.from);
        milder += difference.milder ? 1 : 0;
      },
    });
    assert.ok(lost.length > 0);
    assert.equal(milder, 0);
  });

  test("words that are compared with each other are no policy, and what is undecided is said to be", () => {
    const compare = [
      load(16),
      instruction(TAX),
      load(24),
      jump(JEQ_X, 0, 0, 1),
      ret(errno(1)),
      ret(RET_ALLOW),
    ];
    assert.throws(() => decompile(filterOf(compare)), DecompileError);
    assert.throws(() => decompile(filterOf([load(16), instruction(RET_A)])), UndecidedError);
    assert.throws(() => decompile(filterOf([load(16)])), TypeError);
  });

  test("raw words only where the filter compares them", () => {
    const onSocket = (...steps: readonly (readonly [number, number, number, number])[]): Filter =>
      filterOf([
        load(4),
        jump(JEQ_K, 0xc000003e, 1, 0),
        ret(errno(38)),
        load(0),
        jump(JGE_K, 0x4000_0000, 0, 1),
        ret(errno(38)),
        jump(JEQ_K, 41, 1, 0),
        ret(errno(38)),
        ...steps.map(([code, k, jt, jf]) => instruction(code, k, jt, jf)),
        ret(errno(38)),
        ret(RET_ALLOW),
      ]);
    const low = onSocket([load(16).code, 16, 0, 0], [JEQ_K, 2, 1, 0]);
    const both = onSocket(
      [load(20).code, 20, 0, 0],
      [JEQ_K, 0, 0, 2],
      [load(16).code, 16, 0, 0],
      [JEQ_K, 2, 1, 0],
    );
    assert.deepEqual(rulesOf(roundTrip(low)), ["allow socket(domain == AF_INET)"]);
    assert.deepEqual(rulesOf(roundTrip(both)), ["allow socket(args[0] == AF_INET)"]);
  });
});
