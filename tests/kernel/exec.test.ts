// The library's exec and prepare on real processes, by import and by require.
// Debian packages: coreutils dash
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { exec, loadPolicy, PolicyError, PrepareError, prepare, SandboxError } from "../../src/index.ts";
import { root, runProgram, scratchPath } from "./native.ts";

const plan = prepare("default");
const sh = (line: string): readonly [string, readonly string[]] => ["sh", ["-c", line]];

describe("exec", () => {
  test("gives what was written, and how it ended", async () => {
    assert.deepEqual(await exec(...sh("echo out; echo err >&2; exit 3"), { policy: plan }), {
      stdout: "out\n",
      stderr: "err\n",
      exitCode: 3,
      signal: null,
      timedOut: false,
      truncated: false,
      denials: [],
    });
    const killed = await exec(...sh("kill -TERM $$"), { policy: plan });
    assert.deepEqual([killed.exitCode, killed.signal], [null, "SIGTERM"]);
  });

  test("input: text, bytes, none; a program that does not read it", async () => {
    for (const input of ["ä\n", Buffer.from("ä\n")])
      assert.equal((await exec("cat", [], { policy: plan, input })).stdout, "ä\n");
    assert.equal((await exec("cat", [], { policy: plan })).stdout, "");
    assert.equal((await exec("true", [], { policy: plan, input: "x".repeat(1 << 20) })).exitCode, 0);
  });

  test("encodings", async () => {
    const { stdout } = await exec("printf", ["\\377\\0"], { policy: plan, encoding: "buffer" });
    assert.deepEqual(stdout, Buffer.from([0xff, 0]));
    assert.equal((await exec("printf", ["\\377"], { policy: plan, encoding: "hex" })).stdout, "ff");
  });

  test("much output arrives whole and in order", async () => {
    const { stdout } = await exec("seq", ["1", "1000000"], { policy: plan });
    assert.equal(stdout.length, 6_888_896);
    assert.ok(stdout.endsWith("\n999999\n1000000\n"));
  });

  test("too much output ends it", async () => {
    const result = await exec("yes", [], { policy: plan, maxBuffer: 1000 });
    assert.deepEqual(result, {
      stdout: "y\n".repeat(500),
      stderr: "",
      exitCode: null,
      signal: "SIGKILL",
      timedOut: false,
      truncated: true,
      denials: [],
    });
    assert.equal((await exec("printf", ["12"], { policy: plan, maxBuffer: 2 })).truncated, false);
  });

  test("timeout: also where it ignores signals, and where its children keep the output open", async () => {
    const line = "trap '' TERM; sleep 1000 & echo $!; wait; true";
    let said = "";
    // On a busy machine it may not have begun before its time is over: then with more of it.
    for (let timeout = 100; said === "" && timeout < 200_000; timeout *= 4) {
      const result = await exec(...sh(line), { policy: plan, timeout });
      assert.deepEqual([result.signal, result.timedOut], ["SIGKILL", true]);
      said = result.stdout;
    }
    // It is still there.
    process.kill(Number(said), "SIGKILL");
    assert.equal((await exec("true", [], { policy: plan, timeout: 240_000 })).timedOut, false);
  });

  test("an abort rejects, before and after the start", async () => {
    await assert.rejects(exec("sleep", ["9"], { policy: plan, signal: AbortSignal.abort() }), {
      name: "AbortError",
    });
    await assert.rejects(exec("sleep", ["9"], { policy: plan, signal: AbortSignal.timeout(50) }), {
      name: "AbortError",
    });
  });

  test("rejects where nothing could be started", async () => {
    await assert.rejects(exec("no-such-command", [], { policy: plan }), (error) => {
      assert.ok(error instanceof SandboxError);
      return error.code === "ENOENT" && error.step === "execute";
    });
    await assert.rejects(
      exec("true", [], { policy: "version = 1\n[syscalls]\nrules = 'deny x'\n" }),
      PolicyError,
    );
    await assert.rejects(exec("true", [], { policy: plan, maxBuffer: Number.NaN }), TypeError);
    await assert.rejects(exec("true", [], { policy: plan, encoding: "nonsense" as never }), TypeError);
  });
});

describe("prepare", () => {
  test("takes a policy in every form", async () => {
    const document = { version: 1, extends: ["default"], syscalls: { rules: "errno(77) uname" } } as const;
    const text = "version = 1\nextends = ['default']\n[syscalls]\nrules = 'errno(77) uname'\n";
    const { policy } = loadPolicy(join(root, "examples", "script.toml"));
    assert.ok(policy !== undefined);
    for (const input of ["default", document, text, JSON.stringify(document), policy]) {
      const { stdout } = await exec(...sh("uname 2>/dev/null || echo refused"), { policy: prepare(input) });
      assert.equal(stdout, input === "default" || input === policy ? "Linux\n" : "refused\n");
    }
  });

  test("says what is wrong with a policy, as check does", () => {
    assert.throws(
      () => prepare("version = 1\n[syscalls]\nrules = '''\ndeny unshaer\n'''\n", { filename: "mine.toml" }),
      (error) => {
        assert.ok(error instanceof PolicyError);
        assert.deepEqual(
          error.diagnostics.map(({ id }) => id),
          ["unknown-syscall"],
        );
        assert.match(error.message, /mine\.toml:4:6 error unknown-syscall: .*\n.*did you mean unshare\?$/s);
        return true;
      },
    );
    assert.throws(() => prepare("defualt"), /there is no built-in policy "defualt": built-in are .*default/);
    assert.throws(() => prepare("mine/policy.toml"), /for a file, use loadPolicy/);
    assert.throws(() => prepare({ version: 1, syscalls: { rules: "deny unshaer" } }), PolicyError);
    assert.throws(() => prepare(7 as never), TypeError);
  });

  test("refuses what it cannot give", () => {
    const notify = { version: 1, syscalls: { rules: "notify uname" } } as const;
    assert.throws(() => prepare(notify), PrepareError);
    const network = { version: 1, extends: ["default"], network: { mode: "off", ports: [1] } } as const;
    assert.throws(() => prepare(network), /contradict/);
  });

  test("sets up the whole sandbox where the policy asks for it", async () => {
    const policy = { version: 1, extends: ["default"], network: { mode: "off" } } as const;
    const { stdout } = await exec(
      ...sh("grep -c : /proc/net/dev; ls /proc | grep -cx 1; echo >/usr/x || echo no"),
      {
        policy,
        cwd: "/usr",
      },
    );
    assert.equal(stdout, "1\n1\nno\n");
    const granting = { ...policy, files: { read: ["/no/such"] } };
    await assert.rejects(exec("true", [], { policy: granting }), PrepareError);
  });
});

/** A copy of the package as it is installed, without what `less` names. */
function installed(...less: readonly string[]): string {
  const folder = scratchPath("installed");
  const home = join(folder, "node_modules", "callgate");
  mkdirSync(home, { recursive: true });
  for (const part of ["package.json", "bin", "dist/src", "native/prebuilt"])
    if (!less.includes(part)) cpSync(join(root, part), join(home, part), { recursive: true });
  for (const one of readdirSync(join(root, "node_modules")))
    if (!one.startsWith(".") && one !== "callgate")
      symlinkSync(join(root, "node_modules", one), join(folder, "node_modules", one));
  return folder;
}

describe("as a package", () => {
  const program = `exec("echo", ["hello"], { policy: prepare("default") }).then(
    ({ stdout }) => console.log(stdout.trim()), (error) => console.log(error.step, error.code, error.message));`;
  const main = (folder: string, name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    const result = runProgram(process.execPath, { args: [name], cwd: folder });
    return `${result.stdout}${result.stderr.replace(/^.*ExperimentalWarning.*\n.*\n/m, "")}`;
  };

  test("imported and required", () => {
    const folder = installed();
    assert.equal(main(folder, "a.mjs", `import { exec, prepare } from "callgate";\n${program}`), "hello\n");
    assert.equal(
      main(folder, "a.cjs", `const { exec, prepare } = require("callgate");\n${program}`),
      "hello\n",
    );
  });

  test("without its launcher it says what to do", () => {
    const output = main(
      installed("native/prebuilt"),
      "a.mjs",
      `import { exec, prepare } from "callgate";\n${program}`,
    );
    assert.match(
      output,
      /^launcher ENOENT spawn echo ENOENT: the launcher .* is not there: install callgate again, or build it/,
    );
  });

  test("with a damaged launcher it starts nothing", () => {
    const folder = installed();
    for (const machine of ["linux-x86_64", "linux-aarch64"])
      cpSync("/bin/true", join(folder, "node_modules/callgate/native/prebuilt", machine, "launcher"));
    const output = main(folder, "a.mjs", `import { exec, prepare } from "callgate";\n${program}`);
    assert.match(output, /^launcher ERR_SANDBOX .* checksum/);
  });
});

test("prepare: the whole sandbox or the filter alone, by word, whatever the policy says", async () => {
  const line = "echo $$; ls -A ~; cat /proc/net/dev | grep -c :";
  const inside = async (sandbox?: "whole" | "filter"): Promise<string> => {
    const plan = prepare("default", sandbox === undefined ? {} : { sandbox });
    return (
      await exec("sh", ["-c", line], {
        policy: plan,
        cwd: "/usr",
        env: { PATH: "/usr/bin", HOME: "/home/x" },
      })
    ).stdout;
  };
  assert.equal(await inside("whole"), "2\n1\n");
  assert.doesNotMatch(await inside("filter"), /^2\n/);
  assert.doesNotMatch(await inside(), /^2\n/);
  const files = { version: 1, extends: ["default"], files: { read: ["/usr"] } } as const;
  assert.throws(() => prepare(files, { sandbox: "filter" }), /asks for more than a filter/);
  assert.equal(prepare(files).sandbox === undefined, false);
});
