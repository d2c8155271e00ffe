// What the compiler makes: listings of two small policies, far jumps, the kernel's cache, the launch key.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  check,
  disassemble,
  emulate,
  type Filter,
  format,
  isCacheable,
  JA,
  RET_ALLOW,
} from "../../src/bpf/index.ts";
import { assemble } from "../../src/compiler/assemble.ts";
import { Graph, type Segment } from "../../src/compiler/graph.ts";
import { compile, ProofError, TooLargeError } from "../../src/compiler/index.ts";
import { compileForLaunch } from "../../src/compiler/launch-key.ts";
import { chooseTrees } from "../../src/compiler/passes/choose-trees.ts";
import { rangesOf } from "../../src/compiler/weights.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { prove } from "../../src/proof/index.ts";
import { abis, syscallNumber } from "../../src/syscalls/index.ts";
import { policyOf, target } from "../policy/reading.ts";

const count = (length: number): readonly number[] => [...Array(length).keys()];

test("a small policy, instruction by instruction", () => {
  const filter = compile(policyOf("allow read, write, exit_group\nkill ptrace"), { target });
  assert.equal(
    format(disassemble(filter.instructions)),
    `${[
      "  0  ld    [4]                  ; arch",
      "  1  jeq   0xc000003e ? 2 : 15",
      "  2  ld    [0]                  ; nr",
      "  3  jge   0x151 ? 4 : 9",
      "  4  jge   0x1d8 ? 5 : 7",
      "  5  jge   0x40000000 ? 6 : 8",
      "  6  jge   0x80000000 ? 8 : 15",
      "  7  jge   0x1a8 ? 13 : 8",
      "  8  ret   ERRNO(38)",
      "  9  jge   0x66 ? 10 : 11",
      " 10  jeq   0xe7 ? 14 : 13",
      " 11  jge   0x2 ? 12 : 14",
      " 12  jeq   0x65 ? 15 : 13",
      " 13  ret   ERRNO(1)",
      " 14  ret   ALLOW",
      " 15  ret   KILL_PROCESS",
    ].join("\n")}\n`,
  );
});

test("a policy with conditions, instruction by instruction", () => {
  const filter = compile(
    policyOf("deny socket(domain == AF_VSOCK)\nallow socket, lseek(offset < 0)", 'newer = "kill"'),
    { target },
  );
  assert.equal(
    format(disassemble(filter.instructions)),
    `${[
      "  0  ld    [4]                   ; arch",
      "  1  jeq   0xc000003e ? 2 : 14",
      "  2  ld    [0]                   ; nr",
      "  3  jge   0x151 ? 4 : 6",
      "  4  jge   0x1a8 ? 5 : 14",
      "  5  jge   0x1d8 ? 14 : 13",
      "  6  jeq   0x8 ? 7 : 9",
      "  7  ld    [28]                  ; args[1] high",
      "  8  jge   0x80000000 ? 12 : 13",
      "  9  jeq   0x29 ? 10 : 13",
      " 10  ld    [16]                  ; args[0] low",
      " 11  jeq   0x28 ? 13 : 12",
      " 12  ret   ALLOW",
      " 13  ret   ERRNO(1)",
      " 14  ret   KILL_PROCESS",
    ].join("\n")}\n`,
  );
});

describe("segment trees", () => {
  const graph = new Graph();
  const leaves = count(4).map((value) => graph.leaf(value));
  const leafOf = (value: number) => graph.leaf(value % 4);
  const treeOf = (segments: readonly Segment[]) =>
    chooseTrees(graph, graph.choice(4, 0xffff_ffff, segments), {
      perTest: 0.01,
      ranges: (node) => rangesOf(node.segments),
    });
  const run = (node: ReturnType<typeof treeOf>, value: number): number => {
    let at = node;
    while (at.kind === "test") {
      const bits = (value & at.mask) >>> 0;
      const holds =
        at.test === "equal" ? bits === at.k : at.test === "at-least" ? bits >= at.k : (bits & at.k) !== 0;
      at = holds ? at.then : at.else;
    }
    assert.ok(at.kind === "leaf");
    return at.returnValue;
  };

  test("find the segment of every value", () => {
    for (const starts of [[0], [0, 1], [0, 5, 6], [0, 5, 6, 7, 9, 200, 255], count(256)]) {
      const segments = starts.map((start, index) => ({ start, node: leafOf(index) }));
      const tree = treeOf(segments);
      for (const value of count(256)) {
        const index = starts.findLastIndex((start) => start <= value);
        assert.equal(run(tree, value), index % 4, `${value} among ${starts.join()}`);
      }
    }
  });

  test("neighbours with one answer are one segment, and a single value between equal ones is one JEQ", () => {
    const [a, b] = leaves;
    assert.ok(a !== undefined && b !== undefined);
    const same = treeOf([
      { start: 0, node: a },
      { start: 7, node: a },
    ]);
    assert.equal(same, a);
    const one = treeOf([
      { start: 0, node: a },
      { start: 7, node: b },
      { start: 8, node: a },
    ]);
    assert.ok(one.kind === "test" && one.test === "equal" && one.k === 7);
  });
});

describe("far jumps", () => {
  test("tests further apart than 255 instructions land on stand-ins, and decide as before", () => {
    const rules = count(700).map((i) => `errno(${i % 11}) personality(persona in {${i * 5}, ${i * 5 + 3}})`);
    const policy = policyOf(`allow read\n${rules.join("\n")}\nkill personality`);
    const filter = compile(policy, { target });
    assert.ok(filter.instructions.length > 1000);
    assert.deepEqual(check(filter.instructions), []);
    const nr = syscallNumber(target, "personality") ?? -1;
    for (const persona of count(3600)) {
      const i = Math.floor(persona / 5);
      const hit = i < 700 && [0, 3].includes(persona % 5);
      const args = [BigInt(persona)];
      assert.equal(
        emulate(filter.instructions, { arch: 0xc000_003e, nr, args }),
        hit ? 0x0005_0000 + (i % 11) : 0x8000_0000,
      );
    }
  });

  test("a test whose both targets are far away", () => {
    const graph = new Graph();
    const last = graph.test(6, 0xffff_ffff, "equal", 1, graph.leaf(1), graph.leaf(10));
    let chain = last;
    for (const k of count(600)) {
      const next = graph.test(5, 0xffff_ffff, "equal", k, graph.leaf(10 + k), chain);
      chain = next;
    }
    // The end of the chain is also where the first test goes: too far for one jump.
    const root = graph.test(4, 0xffff_ffff, "at-least", 9, last, chain);
    const { instructions } = assemble(root);
    assert.deepEqual(check(instructions), []);
    assert.ok(instructions.some((step) => step.code === JA && step.k > 255));
    const at = (a: bigint, b: bigint): number =>
      emulate(instructions, { nr: 0, arch: 0xc000_003e, args: [a, b] });
    assert.deepEqual(
      [at(9n, 0n), at(9n, 1n), at(0n, 0n), at(599n << 32n, 0n), at(600n << 32n, 1n)],
      [10, 1, 10, 609, 1],
    );
  });
});

describe("the kernel's cache of calls that are always allowed", () => {
  const policies = {
    "an allow list": policyOf("deny socket(domain == AF_VSOCK)\nallow @system-service", 'abis = ["all"]'),
    "a deny list": policyOf(
      "deny keyctl, ptrace, @module, ioctl(request == TIOCSTI)",
      'default = "allow"\nbaseline = "6.6"\nabis = ["all"]',
    ),
    "native and x32": policyOf("allow *\ndeny x32:#600", 'abis = ["x86_64", "x32"]'),
    "two machines": policyOf(
      "allow @basic-io, mmap(prot & PROT_EXEC), @process",
      'abis = ["x86_64", "aarch64"]',
    ),
  };
  for (const [name, policy] of Object.entries(policies)) {
    test(`${name}: every number up to 600 of every ABI`, () => {
      const { instructions } = compile(policy, { target });
      let cached = 0;
      for (const { name: abi, arch, numberBase } of abis) {
        for (const offset of count(601)) {
          const nr = numberBase + offset;
          const always = [0n, 1n, 40n, 0x5412n, -1n, 0x4000_0000n].every((word) => {
            const args = Array<bigint>(6).fill(BigInt.asUintN(64, word));
            return emulate(instructions, { nr, arch, args }) === RET_ALLOW;
          });
          assert.equal(isCacheable(instructions, nr, arch), always, `${abi} ${nr}`);
          if (always) cached += 1;
        }
      }
      assert.ok(cached > 50, `${cached} calls are cached`);
    });
  }
});

test("a filter larger than the kernel takes says how large it is", () => {
  const rules = count(6000).map((i) => `errno(${i % 9}) personality(persona == ${i * 2})`);
  assert.throws(
    () => compile(policyOf(rules.join("\n")), { target }),
    (error) => {
      assert.ok(error instanceof TooLargeError);
      assert.ok(error.instructions > 4096);
      assert.equal(
        error.message,
        `the filter has ${error.instructions} instructions, but the kernel takes 4096 at most`,
      );
      return true;
    },
  );
});

test("a policy with errors is compiled, evaluated and proved by nobody", () => {
  const sound = policyOf("allow read");
  const policy = {
    ...sound,
    syscalls: {
      ...sound.syscalls,
      rules: [
        { action: { kind: "errno", errno: 1 }, selectors: [{ target: { kind: "name", name: "unshaer" } }] },
      ],
    },
  } as const;
  const refusal = {
    name: "TypeError",
    message: 'the policy has an error: there is no system call "unshaer"',
  };
  assert.throws(() => compile(policy, { target }), refusal);
  assert.throws(() => compileForLaunch(policy, target), refusal);
  assert.throws(() => evaluate(policy, { abi: target, syscall: "read" }, { target }), refusal);
  assert.throws(() => prove(compile(sound, { target }), policy, { target }), refusal);
});

test("what was not proved is told with the call on which it fails", () => {
  const filter = compile(policyOf("allow read"), { target });
  const verdict = prove(filter, policyOf("allow write"), { target });
  assert.ok(verdict.verdict === "refuted");
  const error = new ProofError(verdict);
  assert.equal(
    error.message,
    `the compiled filter differs from the policy on call ${verdict.witness.nr} (architecture 0xc000003e)`,
  );
  assert.equal(error.witness, verdict.witness);
});

describe("the launch key", () => {
  const key = [0x0101_0101, 0x0202_0202, 0x0303_0303, 0x0404_0404, 0x0505_0505, 0x0606_0606];
  const execve = syscallNumber(target, "execve") ?? -1;
  const patched = ({ filter, keyPlaces }: ReturnType<typeof compileForLaunch>) => {
    const instructions = [...filter.instructions];
    for (const { instruction: at, keyWord } of keyPlaces) {
      const found = instructions[at];
      assert.ok(found !== undefined);
      instructions[at] = { ...found, k: key[keyWord] ?? 0 };
    }
    return instructions;
  };
  const call = (
    instructions: Filter["instructions"],
    words: readonly number[],
    nr = execve,
    arch = 0xc000_003e,
  ): number => {
    const wide = (index: number): bigint =>
      BigInt(words[index] ?? 0) | (BigInt(words[index + 1] ?? 0) << 32n);
    return emulate(instructions, { nr, arch, args: [1n, 2n, 3n, wide(0), wide(2), wide(4)] });
  };

  for (const [rules, head, refused] of [
    ["deny execve, execveat\nallow *", "", 0x0005_0001],
    ["allow @basic-io", 'default = "kill"', 0x8000_0000],
    ["kill execve(args[3] == 0x9e3779b9)\nerrno(9) execve\nallow *", "", 0x0005_0009],
    ["allow *", 'abis = ["x86"]\nother-abis = "trap"', 0x0003_0000],
    ["allow execve(pathname == 0)", "", 0x0005_0001],
  ] as const) {
    test(`${rules.replaceAll("\n", "; ")}: execve passes only with all six words`, () => {
      const launch = compileForLaunch(policyOf(rules, head), target);
      assert.deepEqual(
        launch.keyPlaces.map(({ keyWord }) => keyWord),
        [0, 1, 2, 3, 4, 5],
      );
      assert.equal(new Set(launch.keyPlaces.map(({ instruction: at }) => at)).size, 6);
      const instructions = patched(launch);
      assert.deepEqual(check(instructions), []);
      assert.equal(call(instructions, key), RET_ALLOW);
      for (const wrong of count(6)) {
        for (const change of [1, 0x8000_0000, 0x40])
          assert.equal(call(instructions, key.with(wrong, ((key[wrong] ?? 0) ^ change) >>> 0)), refused);
      }
      assert.equal(call(instructions, []), refused);
      // The key opens execve of this ABI only.
      const others = compile(policyOf(rules, head), { target }).instructions;
      for (const [nr, arch] of [
        [syscallNumber(target, "execveat") ?? -1, 0xc000_003e],
        [execve | 0x4000_0000, 0xc000_003e],
        [execve, 0x4000_0003],
        [11, 0x4000_0003],
        [0, 0xc000_003e],
      ] as const)
        assert.equal(call(instructions, key, nr, arch), call(others, key, nr, arch));
    });
  }

  for (const [rules, head] of [
    ["allow execve", ""],
    ["log execve", ""],
    ["deny keyctl", 'default = "allow"\nbaseline = "6.6"'],
    ["allow execve\ndeny execve", ""],
  ] as const) {
    test(`${rules.replaceAll("\n", "; ")}: no key is needed`, () => {
      const { filter, keyPlaces } = compileForLaunch(policyOf(rules, head), target);
      assert.deepEqual(keyPlaces, []);
      assert.deepEqual(filter.instructions, compile(policyOf(rules, head), { target }).instructions);
    });
  }
});
