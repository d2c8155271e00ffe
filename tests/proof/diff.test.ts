// diff: what it says of policies, filters and stacks, and that each witness is one.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  emulateWords,
  errno,
  type Filter,
  filterOf,
  type Instruction,
  instruction,
  JEQ_K,
  JEQ_X,
  jump,
  load,
  RET_A,
  RET_ALLOW,
  RET_KILL_PROCESS,
  ret,
  strictest,
  TAX,
} from "../../src/bpf/index.ts";
import { compile } from "../../src/compiler/index.ts";
import { builtinPolicies } from "../../src/formats/index.ts";
import { loadPolicy } from "../../src/formats/load.ts";
import { printAction } from "../../src/policy/action.ts";
import type { Policy } from "../../src/policy/types.ts";
import { type Difference, diff, UndecidedError } from "../../src/proof/diff.ts";
import { policyOf } from "../policy/reading.ts";

/** `clone (flags & CLONE_NEWNS): deny → allow, clone(CLONE_NEWNS, …)`. */
function told({ syscall, condition, before, after, witness }: Difference): string {
  return `${syscall ?? "?"} ${condition ?? "always"}: ${printAction(before)} → ${printAction(after)}, ${witness.call}`;
}

function onX86_64(differences: readonly Difference[]): readonly string[] {
  return differences.filter((one) => one.abi === "x86_64").map(told);
}

const target = { target: "x86_64" } as const;

describe("policies", () => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    [
      "allow socket(domain in {AF_UNIX, AF_INET})",
      "allow socket(domain in {AF_UNIX, AF_INET, AF_VSOCK})",
      ["socket domain == AF_VSOCK: deny → allow, socket(AF_VSOCK, 0, 0)"],
    ],
    ["allow read, write", "allow read", ["write always: allow → deny, write(0, 0, 0)"]],
    [
      "allow ioctl(request != TIOCSTI)",
      "allow ioctl(args[1] != TIOCSTI)",
      ["ioctl args[1] & 0xffffffff00000000 && request == TIOCSTI: deny → allow, ioctl(0, TIOCSTI + 2^32, 0)"],
    ],
    [
      "allow clone(!(flags & CLONE_NEWUSER))",
      "allow clone(!(flags & (CLONE_NEWUSER | CLONE_NEWNS)))",
      [
        "clone (flags & (CLONE_NEWNS | CLONE_NEWUSER)) == CLONE_NEWNS: allow → deny, clone(CLONE_NEWNS, 0, 0, 0, 0)",
      ],
    ],
    ["allow close(fd >= 3)", "allow close(fd > 3)", ["close fd == 3: allow → deny, close(3)"]],
    ["allow kill(sig == 9), read", "allow read, kill(sig == SIGKILL)", []],
    ["deny #5000", "kill #5000", ["? always: deny → kill, #5000()"]],
  ];
  for (const [a, b, expected] of cases)
    test(`${a} | ${b}`, () => {
      assert.deepEqual(onX86_64(diff(policyOf(a), policyOf(b), target)), expected);
    });

  test("every built-in policy is equal to its filter, and to no other", () => {
    const policies = builtinPolicies().map((name) => loadPolicy(name, target).policy);
    for (const policy of policies) {
      assert.ok(policy !== undefined);
      assert.deepEqual(diff(compile(policy, target), policy, target), []);
    }
    const [first, second] = policies;
    assert.ok(first !== undefined && second !== undefined);
    const differences = diff(first, second, target);
    assert.ok(differences.length > 0);
    assert.deepEqual(
      diff(second, first, target).map((one) => [one.after, one.before]),
      differences.map((one) => [one.before, one.after]),
    );
  });

  test("a rule that is taken away is found again, and nothing else", () => {
    const { policy } = loadPolicy("default", target);
    assert.ok(policy !== undefined);
    const { rules } = policy.syscalls;
    for (let at = 0; at < rules.length; at += 7) {
      const without: Policy = { ...policy, syscalls: { ...policy.syscalls, rules: rules.toSpliced(at, 1) } };
      for (const { witness, before, after } of diff(policy, without, target)) {
        assert.notDeepEqual(before, after);
        assert.notEqual(witness.returnValues[0], witness.returnValues[1]);
      }
    }
  });
});

describe("filters and stacks", () => {
  const onlyFor = (nr: number, value: number): Filter =>
    filterOf([load(0), jump(JEQ_K, nr, 0, 1), ret(value), ret(RET_ALLOW)]);

  test("of a stack the strictest answer holds, and among equals the newest filter's", () => {
    const [older, newer] = [onlyFor(1, errno(1)), onlyFor(1, errno(2))];
    assert.deepEqual(diff([older, newer], onlyFor(1, errno(2))), []);
    assert.ok(diff([newer, older], onlyFor(1, errno(2))).length > 0);
    assert.deepEqual(diff([onlyFor(1, RET_KILL_PROCESS), older], onlyFor(1, RET_KILL_PROCESS)), []);
    assert.deepEqual(diff([older, onlyFor(2, errno(1))], [onlyFor(2, errno(1)), older]), []);
  });

  test("a stack of twenty is compared with one filter", () => {
    const numbers = Array.from({ length: 20 }, (_, index) => 3 * index);
    const stack = numbers.map((nr) => onlyFor(nr, errno(1)));
    const chain = (last: number): Filter => {
      const steps: Instruction[] = [load(0)];
      for (const [index, nr] of [...numbers.slice(0, -1), last].entries())
        steps.push(jump(JEQ_K, nr, numbers.length - index, 0));
      return filterOf([...steps, ret(RET_ALLOW), ret(errno(1))]);
    };
    assert.deepEqual(diff(stack, chain(57)), []);
    const differences = diff(stack, chain(58));
    assert.ok(
      differences.some((one) => one.witness.nr === 57) && differences.some((one) => one.witness.nr === 58),
    );
    for (const { witness } of differences) {
      const words = new Uint32Array(16);
      words[0] = witness.nr;
      words[1] = witness.arch;
      const answers = stack.map(({ instructions }) => emulateWords(instructions, words));
      assert.equal(
        answers.reduce((older, newer) => strictest(newer, older)),
        witness.returnValues[0],
      );
    }
  });

  test("data that an action ignores is no difference", () => {
    assert.deepEqual(diff(filterOf([ret(RET_ALLOW)]), filterOf([ret(RET_ALLOW + 7)])), []);
    assert.deepEqual(diff(filterOf([ret(errno(4095))]), filterOf([ret(errno(5000))])), []);
    assert.deepEqual(diff(filterOf([ret(RET_KILL_PROCESS)]), filterOf([ret(0x1234_0000)])), []);
  });

  test("words that are compared with each other are told as such", () => {
    const compare = [
      load(16),
      instruction(TAX),
      load(24),
      jump(JEQ_X, 0, 0, 1),
      ret(errno(1)),
      ret(RET_ALLOW),
    ];
    const found = diff(filterOf(compare), filterOf([ret(RET_ALLOW)]));
    const read = found.find(({ abi, syscall }) => abi === "x86_64" && syscall === "read");
    assert.equal(read?.condition, "fd == low(args[1])");
    for (const { condition, abi, witness } of found) {
      assert.equal(Number(witness.args[0]) >>> 0, Number(witness.args[1]) >>> 0);
      assert.ok(abi === undefined || condition !== undefined);
    }
    assert.deepEqual(diff(filterOf(compare), filterOf(compare)), []);
  });

  test("what cannot be decided is said not to be", () => {
    const open = filterOf([load(16), instruction(RET_A)]);
    assert.throws(() => diff(open, filterOf([ret(RET_ALLOW)])), UndecidedError);
  });

  test("what the kernel refuses is not compared", () => {
    assert.throws(
      () => diff(filterOf([load(16)]), filterOf([ret(RET_ALLOW)])),
      /kernel refuses.*not a return/,
    );
    assert.throws(() => diff([], filterOf([ret(RET_ALLOW)])), TypeError);
  });
});
