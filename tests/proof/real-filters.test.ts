// Filters of others, read back from their processes: the proof decides them, and tells them.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { emulate, type Filter, filterOf, RET_ALLOW, readFilter, ret } from "../../src/bpf/index.ts";
import { diff } from "../../src/proof/diff.ts";
import { inspectFilters } from "../../src/proof/inspect.ts";
import { compareStackMembers } from "../../src/proof/stack.ts";
import { syscallByName } from "../../src/syscalls/index.ts";

const folder = join(import.meta.dirname, "..", "..", "..", "tests", "fixtures", "filters");

const filterNamed = (name: string): Filter => readFilter(readFileSync(join(folder, name)));

const names = readdirSync(folder).filter((name) => name.endsWith(".bpf"));

describe("each real filter", () => {
  test("there are some", () => {
    assert.ok(names.length >= 5);
  });
  for (const name of names) {
    test(`${name} is decided, equal to itself and not to one that is changed`, () => {
      const filter = filterNamed(name);
      assert.equal(compareStackMembers([{ filter }], [{ filter }, { filter }]).verdict, "equal");
      assert.deepEqual(diff(filter, [filter, filter]), []);
      const last = filter.instructions.length - 1;
      const returns = filter.instructions.findLastIndex((step) => step.code === 6 && step.k !== RET_ALLOW);
      const changed = filterOf(filter.instructions.with(returns, ret(RET_ALLOW)));
      assert.ok(returns >= 0 && last > 0);
      const differences = diff(filter, changed);
      assert.ok(differences.length > 0 && differences.every((one) => one.milder));
      assert.equal(compareStackMembers([{ filter }], [{ filter: changed }]).verdict, "different");
    });

    test(`${name} is told as the emulator runs it`, () => {
      const filter = filterNamed(name);
      for (const { abi, always } of inspectFilters([filter], "x86_64").abis) {
        for (const call of always["allow"] ?? []) {
          const nr = syscallByName(abi, call)?.nr ?? -1;
          const arch = abi === "x86" ? 0x4000_0003 : 0xc000_003e;
          for (const value of [0n, 1n, 0xffff_ffff_ffff_ffffn, 0x1_0000_0000n])
            assert.equal(
              emulate(filter.instructions, { nr, arch, args: new Array<bigint>(6).fill(value) }),
              RET_ALLOW,
            );
        }
      }
    });
  }
});

test("the weaknesses of real filters are told, and their witnesses pass", () => {
  const ids = (...files: readonly string[]): readonly string[] =>
    inspectFilters(files.map(filterNamed), "x86_64").weaknesses.map((one) => one.id);
  assert.ok(ids("firejail-1.bpf", "firejail-2.bpf").includes("unknown-numbers"));
  assert.ok(ids("firejail-1.bpf", "firejail-2.bpf").includes("x86-open"));
  const runc = inspectFilters([filterNamed("runc.bpf")], "x86_64");
  const wide = runc.weaknesses.find((one) => one.id === "wide-compare" && one.message.includes("socket"));
  assert.match(wide?.witness ?? "", /^socket\(AF_VSOCK \+ 2\^32/);
});
