// The library's spawn on real processes: Node's behaviour, under a policy. `exec` is in exec.test.ts.
// Debian packages: bash coreutils dash grep util-linux
import assert from "node:assert/strict";
import { type ChildProcess, spawn as nodeSpawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, openSync, readFileSync, realpathSync } from "node:fs";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  PlanError,
  type PolicyDocument,
  prepare,
  SandboxError,
  type SpawnOptions,
  spawn,
} from "../../src/index.ts";
import { isRoot, ordinaryUser, scratch, scratchFile, scratchPath } from "./native.ts";

const plan = prepare("default");

/** Allows everything but what its rules say. */
function policyWith(rules: string, more: Partial<PolicyDocument> = {}): PolicyDocument {
  return { version: 1, syscalls: { default: "allow", baseline: "6.0", rules }, ...more };
}

async function text(stream: NodeJS.ReadableStream | null | undefined): Promise<string> {
  if (stream === null || stream === undefined) return "";
  let all = "";
  for await (const chunk of stream) all += String(chunk);
  return all;
}

/** Every event of a child until its end, in order, as lines. */
function eventsOf(child: ChildProcess): Promise<readonly string[]> {
  const seen: string[] = [];
  const note = (line: string): void => {
    seen.push(line);
  };
  child.on("spawn", () => note("spawn"));
  child.on("error", (error: Error & { readonly code?: unknown }) =>
    note(`error ${error.name} ${error.code}`),
  );
  child.on("exit", (code, signal) => note(`exit ${code} ${signal}`));
  child.stdout?.on("data", (data) => note(`data ${String(data).trim()}`));
  return new Promise((resolve) => {
    child.on("close", (code, signal) => resolve([...seen, `close ${code} ${signal}`]));
  });
}

const shell = (line: string, options: Partial<SpawnOptions> = {}): ChildProcess =>
  spawn("sh", ["-c", line], { policy: plan, ...options });

/** Waits for the `error` event, and that nothing says that the program had run. */
async function failure(child: ChildProcess): Promise<SandboxError> {
  const events = eventsOf(child);
  const [error]: unknown[] = await once(child, "error");
  const lines = await events;
  assert.ok(error instanceof SandboxError, String(error));
  assert.deepEqual(
    lines.map((line) => line.split(" ")[0]),
    ["error", "close"],
  );
  return error;
}

describe("a program that is started", () => {
  test("its events come in Node's order", async () => {
    const lines = await eventsOf(shell("echo out; exit 3"));
    assert.deepEqual(lines, ["spawn", "data out", "exit 3 null", "close 3 null"]);
  });

  test("`spawn` is never behind output or end, in 200 quick programs", async () => {
    for (let round = 0; round < 200; round += 1) {
      const lines = await eventsOf(spawn("echo", ["x"], { policy: plan }));
      assert.equal(lines[0], "spawn", lines.join());
      assert.equal(lines.length, 4);
    }
  });

  test("runs under the policy", async () => {
    const line = "unshare -U true || echo refused; grep -E 'NoNewPrivs|Seccomp:' /proc/self/status";
    assert.equal(await text(shell(line).stdout), "refused\nNoNewPrivs:\t1\nSeccomp:\t2\n");
  });

  test("is the child itself: process id, and what `child` says of it", async () => {
    const child = shell("echo $$ $PPID");
    assert.equal(await text(child.stdout), `${child.pid} ${process.pid}\n`);
    assert.deepEqual([child.spawnfile, child.spawnargs], ["sh", ["sh", "-c", "echo $$ $PPID"]]);
    assert.equal(child.stdio.length, 3, "the launcher's socket is not among the streams");
  });

  test("reads what is written to it", async () => {
    const child = spawn("tr", ["a-z", "A-Z"], { policy: plan });
    child.stdin.end("hello");
    assert.equal(await text(child.stdout), "HELLO");
  });

  test("without arguments; with argv0; with arguments of every kind", async () => {
    assert.match(await text(spawn("pwd", { policy: plan }).stdout), /^\//);
    const child = spawn("sh", ["-c", "echo $0"], { policy: plan, argv0: "other" });
    assert.equal(await text(child.stdout), "other\n");
    const args = ["", " ", "a\nb", "ä𝄞", "$HOME", "'", "--", "-x".repeat(10_000)];
    const printed = await text(spawn("printf", ["%s\\0", ...args], { policy: plan }).stdout);
    assert.deepEqual(printed.split("\0"), [...args, ""]);
  });

  test("has the descriptors it was given, and no others", async () => {
    const open = openSync("/dev/null", "r");
    const line =
      "for d in 0 1 2 3 4 5 6 7 8 9 10 11 12; do [ -e /proc/$$/fd/$d ] && printf '%s ' $d; done; :";
    const child = shell(line, {
      stdio: ["ignore", "pipe", "inherit", "pipe", "ignore", open, null, "pipe"],
    });
    closeSync(open);
    assert.equal(await text(child.stdout), "0 1 2 3 5 7 ");
    assert.equal(child.stdio.length, 8);
  });

  test("speaks on pipes above 2, both ways", async () => {
    const child = shell('read -r line <&3; echo "4: $line" >&4; echo "5: $line" >&5', {
      stdio: ["ignore", "ignore", "inherit", "pipe", "pipe", "pipe"],
    });
    const [three, four, five] = [...child.stdio].slice(3);
    assert.ok(three !== null && three !== undefined && "write" in three);
    three.write("hello\n");
    assert.ok(four !== null && four !== undefined && "read" in four);
    assert.ok(five !== null && five !== undefined && "read" in five);
    assert.deepEqual(await Promise.all([text(four), text(five)]), ["4: hello\n", "5: hello\n"]);
  });

  test("inherits, takes numbers and streams", async () => {
    const file = scratchPath("output");
    const out = openSync(file, "w");
    const child = shell("echo one; echo two >&3", { stdio: ["ignore", out, "inherit", out] });
    closeSync(out);
    assert.equal(child.stdout, null);
    await once(child, "close");
    assert.equal(readFileSync(file, "utf8"), "one\ntwo\n");
    const quiet = shell("exit 0", { stdio: "inherit" });
    assert.deepEqual(quiet.stdio, [null, null, null]);
    await once(quiet, "close");
    assert.deepEqual(await eventsOf(shell("exit 5", { stdio: "ignore" })), [
      "spawn",
      "exit 5 null",
      "close 5 null",
    ]);
  });

  test("has its working directory, as text and as URL, and commands are found relative to it", async () => {
    const folder = realpathSync(scratch());
    for (const cwd of [folder, pathToFileURL(folder)])
      assert.equal(await text(spawn("pwd", { policy: plan, cwd }).stdout), `${folder}\n`);
    const script = scratchFile("script", '#!/bin/sh\necho "$0"\n', 0o755).slice(scratch().length + 1);
    assert.equal(await text(spawn(`./${script}`, { policy: plan, cwd: folder }).stdout), `./${script}\n`);
    const env = { PATH: ".:/usr/bin:/bin" };
    assert.match(await text(spawn(script, { policy: plan, cwd: folder, env }).stdout), /script\n$/);
  });

  test("has the environment it was given, less what the policy keeps from it", async () => {
    const env = { PATH: process.env["PATH"], A: "1", B: "2" };
    assert.equal(await text(shell("echo $A$B$HOME", { env }).stdout), "12\n");
    const policy = policyWith("", { environment: { keep: ["PATH", "A"], set: { C: "3" } } });
    assert.equal(await text(shell("echo $A-$B-$C", { env, policy }).stdout), "1--3\n");
  });

  test("through a shell", async () => {
    const child = spawn("echo a | tr a b; echo $0", [], { policy: plan, shell: true });
    assert.equal(await text(child.stdout), "b\n/bin/sh\n");
    const other = spawn("echo", ["$0", "x"], { policy: plan, shell: "/bin/bash" });
    assert.equal(await text(other.stdout), "/bin/bash x\n");
  });

  test("detached, it leads a session of its own; else it shares ours", async () => {
    const line = "cut -d' ' -f6 /proc/$$/stat; echo $$";
    const [session, pid] = (await text(shell(line, { detached: true }).stdout)).split("\n");
    assert.equal(session, pid);
    const [ours] = (await text(shell(line).stdout)).split("\n");
    assert.notEqual(ours, pid);
    assert.equal(ours, readFileSync("/proc/self/stat", "utf8").split(" ")[5]);
  });

  test("as another user and group", { skip: isRoot ? false : "needs root" }, async () => {
    const child = spawn("id", ["-u"], { policy: plan, ...ordinaryUser, cwd: "/" });
    assert.equal(await text(child.stdout), `${ordinaryUser.uid}\n`);
  });

  test("its exit code and its signal are its own", async () => {
    for (const [line, end] of [
      ["exit 0", "0 null"],
      ["exit 125", "125 null"],
      ["exit 127", "127 null"],
      ["kill -9 $$", "null SIGKILL"],
      ["kill -USR1 $$", "null SIGUSR1"],
    ] as const)
      assert.deepEqual(await eventsOf(shell(line)), ["spawn", `exit ${end}`, `close ${end}`]);
  });

  test("a policy that kills it is seen as SIGSYS", async () => {
    const policy = policyWith("kill uname");
    const lines = await eventsOf(spawn("uname", { policy }));
    assert.deepEqual(lines, ["spawn", "exit null SIGSYS", "close null SIGSYS"]);
  });

  test("also under a policy that denies execve, and one that denies write", async () => {
    const policy = policyWith("deny execve, execveat");
    assert.equal(
      await text(shell("echo works; /bin/true || echo alone", { policy }).stdout),
      "works\nalone\n",
    );
    const mute = policyWith("deny write, writev");
    assert.deepEqual(await eventsOf(shell("exit 6", { policy: mute })), [
      "spawn",
      "exit 6 null",
      "close 6 null",
    ]);
  });
});

describe("messages", () => {
  const script = scratchFile(
    "echo.cjs",
    "process.on('message', (m) => { if (m === 'end') process.disconnect(); else process.send({ got: m, fd: process.env.NODE_CHANNEL_FD ?? null }); });",
  );

  for (const serialization of ["json", "advanced"] as const) {
    test(`both ways, ${serialization}; the policy's environment rules do not cut the channel`, async () => {
      const policy = policyWith("", { environment: { keep: [], set: {} } });
      const child = spawn(process.execPath, [script], {
        policy,
        serialization,
        stdio: ["ignore", "inherit", "inherit", "ipc", "pipe"],
      });
      child.send({ n: 1 });
      const [answer]: unknown[] = await once(child, "message");
      assert.deepEqual(answer, { got: { n: 1 }, fd: null });
      const closed = once(child, "close");
      child.send("end");
      await once(child, "disconnect");
      assert.deepEqual(await closed, [0, null]);
    });
  }
});

describe("ending a program", () => {
  test("kill() reaches the program", async () => {
    const child = shell("trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.01; done");
    const events = eventsOf(child);
    await once(child.stdout ?? child, "data");
    assert.equal(child.kill(), true);
    assert.deepEqual((await events).slice(-3), ["data caught", "exit 9 null", "close 9 null"]);
    assert.equal(child.killed, true);
  });

  test("kill() at once: the program may not have run, and says so", async () => {
    for (let round = 0; round < 50; round += 1) {
      const child = spawn("sleep", ["20"], { policy: plan });
      const events = eventsOf(child);
      child.kill();
      const lines = (await events).filter((line) => line !== "spawn");
      assert.deepEqual(lines, ["exit null SIGTERM", "close null SIGTERM"]);
    }
  });

  test("timeout and killSignal", async () => {
    const lines = await eventsOf(
      spawn("sleep", ["1000"], { policy: plan, timeout: 50, killSignal: "SIGINT", stdio: "ignore" }),
    );
    // On a busy machine the program may not have been started in this time.
    assert.deepEqual(
      lines.filter((line) => line !== "spawn"),
      ["exit null SIGINT", "close null SIGINT"],
    );
  });

  test("abort of a program that runs", async () => {
    const controller = new AbortController();
    const child = spawn("sleep", ["20"], { policy: plan, signal: controller.signal, killSignal: "SIGKILL" });
    const events = eventsOf(child);
    await once(child, "spawn");
    controller.abort(new Error("enough"));
    assert.deepEqual(await events, [
      "spawn",
      "error AbortError ABORT_ERR",
      "exit null SIGKILL",
      "close null SIGKILL",
    ]);
  });

  test("abort before the start: the program does not run", async () => {
    const trace = scratchPath("trace");
    for (let round = 0; round < 20; round += 1) {
      const child = spawn("touch", [trace], { policy: plan, signal: AbortSignal.abort() });
      const lines = await eventsOf(child);
      assert.equal(lines[0], "error AbortError ABORT_ERR");
      assert.ok(!lines.includes("spawn"));
      assert.equal(lines.filter((line) => line.startsWith("error")).length, 1);
    }
    assert.throws(() => readFileSync(trace), { code: "ENOENT" });
  });
});

describe("a program that cannot be started is an error event, and nothing runs", () => {
  test("a missing command: as Node has it", async () => {
    for (const command of ["callgate-no-such-command", "./no-such-file", "/no/such/file"]) {
      const child = spawn(command, ["a"], { policy: plan });
      const error = await failure(child);
      const [nodes]: unknown[] = await once(nodeSpawn(command, ["a"]), "error");
      assert.ok(nodes instanceof Error && "code" in nodes && "errno" in nodes && "spawnargs" in nodes);
      assert.equal(error.step, "execute");
      assert.deepEqual(
        [error.code, error.errno, error.syscall, error.path, error.spawnargs],
        ["ENOENT", nodes.errno, `spawn ${command}`, command, nodes.spawnargs],
      );
      assert.ok(error.message.startsWith(nodes.message), error.message);
    }
  });

  for (const [what, content, mode, code, words] of [
    ["a file that is not executable", "#!/bin/sh\n", 0o644, "EACCES", /not marked executable/],
    ["a file that is no program", "\u0001\u0002", 0o755, "ENOEXEC", /no program for this machine/],
    ["an interpreter that is not there", "#!/no/such/sh\n", 0o755, "ENOENT", /interpreter/],
  ] as const) {
    test(what, async () => {
      const error = await failure(spawn(scratchFile("program", content, mode), [], { policy: plan }));
      assert.deepEqual([error.step, error.code], ["execute", code]);
      assert.match(error.message, words);
    });
  }

  test("also where the policy denies write, so that nothing could be said later", async () => {
    const policy = prepare(policyWith("kill write, writev"));
    assert.equal((await failure(spawn("/no/such/file", [], { policy }))).code, "ENOENT");
    assert.equal((await failure(spawn(scratchFile("program", "", 0o644), [], { policy }))).code, "EACCES");
  });

  test("a folder; a name in PATH that is not executable", async () => {
    const error = await failure(spawn("/usr", [], { policy: plan }));
    assert.deepEqual([error.step, error.code], ["execute", "EACCES"]);
    const file = scratchFile("name", "", 0o644);
    const env = { PATH: scratch() };
    const second = await failure(spawn(file.slice(scratch().length + 1), [], { policy: plan, env }));
    assert.deepEqual([second.step, second.code], ["execute", "EACCES"]);
  });

  test("a working directory that is not there, or is a file", async () => {
    const missing = await failure(spawn("true", [], { policy: plan, cwd: "/no/such/folder" }));
    assert.deepEqual([missing.step, missing.code], ["workingDirectory", "ENOENT"]);
    assert.match(missing.message, /"\/no\/such\/folder" does not exist/);
    const file = await failure(spawn("true", [], { policy: plan, cwd: "/etc/passwd" }));
    assert.deepEqual([file.step, file.code], ["workingDirectory", "ENOTDIR"]);
  });

  test("too many arguments for the kernel", async () => {
    const long = "x".repeat(200 * 1024);
    const error = await failure(spawn("true", [long], { policy: plan }));
    assert.deepEqual([error.step, error.code], ["execute", "E2BIG"]);
  });

  test("a step that fails: the filter is not accepted", async () => {
    const broken = { ...plan, filters: [{ kind: "filter", bytes: new Uint8Array(8).fill(0xff) }] } as const;
    const error = await failure(spawn("true", [], { policy: broken }));
    assert.deepEqual([error.step, error.code, error.errno], ["filter", "EINVAL", -22]);
    assert.match(error.message, /^spawn true EINVAL: set-up step "filter" failed: seccomp/);
  });

  test("a plan that the launcher refuses", async () => {
    const other = plan.architecture === "x86_64" ? "aarch64" : "x86_64";
    const error = await failure(spawn("true", [], { policy: { ...plan, architecture: other } }));
    assert.deepEqual([error.step, error.code, error.errno], ["plan", "ERR_SANDBOX", undefined]);
    assert.match(error.message, /another architecture/);
  });
});

describe("mistakes are thrown at once", () => {
  test("in the call: TypeError", () => {
    const call: (...args: readonly unknown[]) => unknown = spawn as never;
    for (const [args, words] of [
      [[], /command/],
      [["", [], { policy: plan }], /command/],
      [[7, [], { policy: plan }], /command/],
      [["true"], /policy is missing/],
      [["true", []], /policy is missing/],
      [["true", [], {}], /policy is missing/],
      [["true", [7], { policy: plan }], /arguments/],
      [["true", [], { policy: 7 }], /policy is/],
      [["true", [], { policy: null }], /policy is/],
    ] as const)
      assert.throws(
        () => call(...args),
        (error) => error instanceof TypeError && words.test(error.message),
        String(words),
      );
    assert.throws(() => spawn("true", ["a\0b"], { policy: plan }), PlanError);
  });

  test("in the policy: PolicyError with all diagnostics", () => {
    assert.throws(() => spawn("true", [], { policy: policyWith("deny unshaer\ndeny socket(domian == 1)") }), {
      name: "PolicyError",
      message: /unshaer[\s\S]*domian/,
    });
  });
});

describe("many programs", () => {
  test("one plan, fifty at the same time", async () => {
    const all = Array.from({ length: 50 }, (_, index) => text(shell(`sleep 0.05; echo ${index}`).stdout));
    assert.deepEqual(
      await Promise.all(all),
      all.map((_, index) => `${index}\n`),
    );
  });

  test("a thousand in a row leave no descriptor, process or memory", async () => {
    const descriptors = (): number => {
      let count = 0;
      for (let one = 0; one < 256; one += 1) {
        try {
          fstatSync(one);
          count += 1;
        } catch {}
      }
      return count;
    };
    const children = (): string => readFileSync(`/proc/self/task/${process.pid}/children`, "utf8");
    const run = async (times: number): Promise<void> => {
      for (let round = 0; round < times; round += 1) {
        const child = spawn(round % 10 === 0 ? "no-such-command" : "/bin/true", { policy: plan });
        child.on("error", () => {});
        await once(child, "close").catch(() => {});
      }
    };
    // After a collection: how far the heap grows before one comes is the collector's affair, and the machine's.
    setFlagsFromString("--expose-gc");
    const collect: unknown = runInNewContext("gc");
    assert.ok(typeof collect === "function");
    const memory = (): number => {
      collect();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    await run(200);
    const before = { descriptors: descriptors(), memory: memory() };
    await run(1000);
    // The last sockets are closed in a later turn of the loop.
    for (let turns = 0; descriptors() !== before.descriptors && turns < 3000; turns += 1)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(descriptors(), before.descriptors);
    assert.equal(children(), "");
    const growth = memory() - before.memory;
    // A child that is held, with its plan and its sockets, is 10 KB: ten MB for the thousand.
    assert.ok(growth < 4 * 1024 * 1024, `${growth} bytes more, from ${before.memory}`);
  });
});
