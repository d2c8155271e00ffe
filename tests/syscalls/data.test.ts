/**
 * The tables against the project's own collection of facts, where that is at hand (it is not part of the
 * package): CALLGATE_DATA names its folder.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  abis,
  constantValue,
  formatVersion,
  isConstant,
  syscallByName,
  syscallsOf,
} from "../../src/syscalls/index.ts";

const folder = process.env["CALLGATE_DATA"] ?? "/work/shared/data";

interface Call {
  readonly name: string;
  readonly numbers: Readonly<Record<string, number>>;
  readonly since?: string;
}

interface Arch {
  readonly arch: string;
  readonly sameNumbersAs?: string;
  readonly auditValue: number;
  readonly bits?: number;
  readonly endian: string;
  readonly numberBase?: number;
}

/** The names under which it has the numbers of the other byte order. */
const otherOrder: Readonly<Record<string, string>> = {
  mips64el: "mips64",
  mipsel64n32: "mips64n32",
  mipsel: "mips",
};

/** ABIs that got numbers for calls that others had before. */
const laterNumbers: ReadonlySet<string> = new Set(["x86", "aarch64", "s390x", "ppc64le", "mips", "mipsel"]);

/** Where C library and kernel disagree, or a C int was printed with its sign. */
const otherValues = ["O_LARGEFILE", "SIGRTMIN", "MS_NOUSER", "PR_SET_PTRACER_ANY", "UFFD_API_IOCTLS"];

/** syscalls(2) says 4.8 of these, their own pages 4.9. */
const otherReleases = ["pkey_mprotect", "pkey_alloc", "pkey_free"];

if (existsSync(join(folder, "syscalls.json"))) {
  test("numbers and first releases are those of syscalls.json", () => {
    const calls: readonly Call[] = JSON.parse(readFileSync(join(folder, "syscalls.json"), "utf8"));
    let checked = 0;
    for (const { name: abi } of abis) {
      const listed = otherOrder[abi] ?? abi;
      const here = calls.filter((call) => call.numbers[listed] !== undefined);
      assert.equal(syscallsOf(abi).length, here.length, abi);
      for (const call of here) {
        const ours = syscallByName(abi, call.name);
        assert.equal(ours?.nr, call.numbers[listed], `${abi} ${call.name}`);
        const since = ours?.since && formatVersion(ours.since);
        // An ABI may have got the number later than the first one got the call.
        if (call.since !== undefined && !otherReleases.includes(call.name) && !laterNumbers.has(abi))
          assert.equal(since, call.since.replace(/^2\.6\.0$/, "2.6"), call.name);
        checked += 1;
      }
    }
    assert.ok(checked > 5500, `${checked} numbers`);
  });

  test("architecture values, widths and byte orders are those of archs.json", () => {
    const archs: readonly Arch[] = JSON.parse(readFileSync(join(folder, "archs.json"), "utf8"));
    for (const { name, arch, bits, endian, numberBase } of abis) {
      const found = archs.find((one) => one.arch === name);
      assert.equal(arch, found?.auditValue, name);
      assert.equal(endian, found?.endian, name);
      const numbers = archs.find((one) => one.arch === (found?.sameNumbersAs ?? name));
      assert.equal(numberBase, numbers?.numberBase, name);
      // n32 has 32-bit pointers in registers of 64 bits, which is what a filter sees.
      if (!name.endsWith("n32")) assert.equal(bits, numbers?.bits, name);
    }
  });

  test("constants of x86_64 are those of constants.json", () => {
    const values: Readonly<Record<string, number>> = JSON.parse(
      readFileSync(join(folder, "constants.json"), "utf8"),
    );
    let checked = 0;
    for (const [name, value] of Object.entries(values)) {
      if (!isConstant(name) || otherValues.includes(name)) continue;
      const ours = constantValue("x86_64", name);
      if (ours === undefined) continue;
      assert.equal(ours, BigInt(value), name);
      checked += 1;
    }
    assert.ok(checked > 2000, `${checked} constants`);
  });
}
