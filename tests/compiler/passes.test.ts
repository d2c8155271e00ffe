// The passes behind the trees: each alone, on filters that it is for and on filters that it must leave alone.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { disassemble, emulate, format, JEQ_K } from "../../src/bpf/index.ts";
import { assemble } from "../../src/compiler/assemble.ts";
import { Graph } from "../../src/compiler/graph.ts";
import { compile } from "../../src/compiler/index.ts";
import { lower } from "../../src/compiler/lower.ts";
import { passes } from "../../src/compiler/passes/index.ts";
import { weightsFor } from "../../src/compiler/weights.ts";
import { resolveSound } from "../../src/policy/resolve.ts";
import type { Policy } from "../../src/policy/types.ts";
import { policyOf, policyOfText, target } from "../policy/reading.ts";

const x86_64 = 0xc000_003e;
const i386 = 0x4000_0003;

/** How many instructions a policy's filter has when one pass is left out. */
function sizeWithout(policy: Policy, left: string): number {
  const resolved = resolveSound(policy, target);
  const graph = new Graph();
  const weights = weightsFor("size", resolved.abis);
  const root = passes
    .filter(({ name }) => name !== left)
    .reduce((node, { run }) => run(graph, node, weights), lower(graph, resolved));
  return assemble(root).instructions.length;
}

describe("testArchLast", () => {
  test("a filter that allows or kills looks at the architecture where it would allow", () => {
    const filter = compile(policyOf("allow read, exit_group", 'default = "kill"\nnewer = "kill"'), {
      target,
    });
    assert.equal(
      format(disassemble(filter.instructions)),
      `${[
        "  0  ld    [0]                 ; nr",
        "  1  jge   0x1 ? 2 : 3",
        "  2  jeq   0xe7 ? 3 : 6",
        "  3  ld    [4]                 ; arch",
        "  4  jeq   0xc000003e ? 5 : 6",
        "  5  ret   ALLOW",
        "  6  ret   KILL_PROCESS",
      ].join("\n")}\n`,
    );
    for (const arch of [x86_64, i386, 0])
      for (const nr of [0, 1, 0xe7, 0x4000_0000]) {
        const allowed = arch === x86_64 && (nr === 0 || nr === 0xe7);
        assert.equal(
          emulate(filter.instructions, { arch, nr, args: [] }),
          allowed ? 0x7fff_0000 : 0x8000_0000,
        );
      }
  });

  test("with a third answer the architecture stays in front", () => {
    const policy = policyOf("allow read\nerrno(1) ptrace", 'default = "kill"\nnewer = "kill"');
    const [, second] = compile(policy, { target }).instructions;
    assert.ok(second?.code === JEQ_K && second.k === x86_64);
  });
});

describe("forgetX32Bit", () => {
  const names =
    "allow read, write, close, pidfd_open, close_range, openat2, faccessat2, epoll_pwait2, landlock_add_rule, futex_waitv";
  test("the 32-bit ABI has its newer numbers decided by the pieces of x86_64's tree", () => {
    const policy = policyOfText(
      `version = 1\n[syscalls]\nabis = ["x86_64", "x86", "x32"]\nrules = '''\n${names}\n'''\n`,
    );
    const { instructions } = compile(policy, { target, optimize: "size" });
    assert.ok(instructions.length < sizeWithout(policy, "forgetX32Bit"));
    // On the 32-bit ABI bit 30 makes no x32 number: it is an unknown one.
    for (const nr of [3, 434, 436, 437]) {
      assert.equal(emulate(instructions, { arch: i386, nr, args: [] }), 0x7fff_0000, `${nr}`);
      assert.notEqual(
        emulate(instructions, { arch: i386, nr: nr + 2 ** 30, args: [] }),
        0x7fff_0000,
        `${nr}`,
      );
    }
  });

  test("without x32 there is nothing to forget", () => {
    const policy = policyOfText(
      `version = 1\n[syscalls]\nabis = ["x86_64", "x86"]\nrules = '''\n${names}\n'''\n`,
    );
    assert.equal(
      compile(policy, { target, optimize: "size" }).instructions.length,
      sizeWithout(policy, "forgetX32Bit"),
    );
  });
});
