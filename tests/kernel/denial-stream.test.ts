// child.denials and exec's denials: what a program was denied, told only where somebody asks for it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { exec } from "../../src/sandbox/exec.ts";
import { prepare } from "../../src/sandbox/policy-input.ts";
import { PrepareError } from "../../src/sandbox/prepare.ts";
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

  test("exec says them, unless it is told not to", { timeout: 120_000 }, async () => {
    for (const policy of [filterOnly, whole]) {
      const told = await exec(probePath, ["keyctl"], { policy });
      assert.deepEqual([told.exitCode, told.denials.map(({ syscall }) => syscall)], [1, ["keyctl"]]);
      const none = await exec("true", [], { policy });
      assert.deepEqual([none.exitCode, none.denials], [0, []]);
      const untold = await exec(probePath, ["keyctl"], { policy, denials: false });
      assert.deepEqual([untold.exitCode, untold.stdout, untold.denials], [1, told.stdout, []]);
    }
  });

  test("exec under a policy of several filters: run and said to be without, or refused where it was asked for", {
    timeout: 120_000,
  }, async () => {
    const rule = (value: number): string =>
      `deny socket(domain == ${value} && type == ${value * 3} && protocol == ${value * 7})`;
    const rules = Array.from({ length: 1500 }, (_, value) => rule(value + 100)).join("\n");
    const policy = prepare({ version: 1, extends: ["default"], syscalls: { rules } });
    const warnings: string[] = [];
    const hear = ({ name, message }: Error): void => {
      if (name === "CallgateWarning") warnings.push(message);
    };
    process.on("warning", hear);
    for (const _ of [1, 2]) {
      const { stdout, denials } = await exec("echo", ["ran"], { policy });
      assert.deepEqual([stdout, denials], ["ran\n", []]);
    }
    await assert.rejects(exec("echo", ["ran"], { policy, denials: true }), PrepareError);
    process.off("warning", hear);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /^exec: /);
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
