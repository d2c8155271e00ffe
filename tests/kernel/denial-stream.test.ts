// child.denials and exec's denials: what a program was denied, told only where somebody asks for it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { exec } from "../../src/sandbox/exec.ts";
import { prepare } from "../../src/sandbox/policy-input.ts";
import { spawn } from "../../src/sandbox/spawn.ts";
import { isRoot, ordinaryUser, probePath } from "./native.ts";

const rules = 'version = 1\nextends = ["default"]\n[syscalls]\nrules = "deny keyctl  # no keys"\n';
const filterOnly = prepare(rules, { filename: "own.toml" });
const whole = prepare(`${rules}[network]\nmode = "off"\n`, { filename: "own.toml" });
const people: readonly { readonly uid?: number; readonly gid?: number }[] = isRoot
  ? [{}, ordinaryUser]
  : [{}];

describe("denials of the library's programs", () => {
  for (const [name, policy] of Object.entries({ filterOnly, whole })) {
    for (const person of people) {
      test(`for await, ${name}, uid ${person.uid ?? "own"}`, { timeout: 120_000 }, async () => {
        const child = spawn("sh", ["-c", `${probePath} keyctl; ${probePath} keyctl; exit 3`], {
          policy,
          ...person,
          stdio: "ignore",
        });
        const ended = once(child, "exit");
        const found = [];
        for await (const denial of child.denials) found.push(denial);
        assert.deepEqual(
          found.map(({ syscall, errno, program, rule }) => [
            syscall,
            errno,
            program,
            rule?.file,
            rule?.line,
            rule?.reason,
          ]),
          [["keyctl", "EPERM", "probe", "own.toml", 4, "no keys"]],
        );
        assert.equal(child.denials.all()[0]?.count, 2);
        assert.deepEqual(await ended, [3, null]);
      });
    }
  }

  test("exec says them where it is asked to, and nothing otherwise", { timeout: 120_000 }, async () => {
    const asked = await exec(probePath, ["keyctl"], { policy: filterOnly, denials: true });
    assert.deepEqual([asked.exitCode, asked.denials?.map(({ syscall }) => syscall)], [1, ["keyctl"]]);
    const none = await exec("true", [], { policy: filterOnly, denials: true });
    assert.deepEqual([none.exitCode, none.denials], [0, []]);
    const unasked = await exec(probePath, ["keyctl"], { policy: filterOnly });
    assert.deepEqual([unasked.exitCode, unasked.stdout, unasked.denials], [1, asked.stdout, undefined]);
  });

  test("it is too late when the program may have started", { timeout: 120_000 }, async () => {
    const child = spawn("true", [], { policy: filterOnly, stdio: "ignore" });
    await once(child, "exit");
    assert.throws(() => child.denials, /in the turn in which the program is started/);
  });

  test("a program that cannot be started is denied nothing", { timeout: 120_000 }, async () => {
    const child = spawn("/nonexistent/program", [], { policy: filterOnly, stdio: "ignore" });
    const failed = once(child, "error");
    for await (const denial of child.denials) assert.fail(JSON.stringify(denial));
    await failed;
  });
});
