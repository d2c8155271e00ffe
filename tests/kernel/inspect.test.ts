// Debian packages: firejail
// callgate inspect: the filters of live processes, read back from the kernel.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { callgate, callgatePath } from "../cli/callgate.ts";
import { isRoot, ordinaryUser, scratchFile, scratchPath } from "./native.ts";

const policy = scratchFile(
  "inspect.toml",
  `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nabis = ["x86_64"]\nrules = '''\ndeny keyctl, socket(domain == AF_VSOCK)\n'''\n`,
);

const nameOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return ""; // gone meanwhile
  }
};

/** Waits for the program, which has its filters before it is the program: callgate's own process, or a child of it. */
async function programOf(child: ChildProcess, name: string): Promise<string> {
  const own = String(child.pid);
  for (let tries = 0; tries < 1200; tries++) {
    assert.equal(child.exitCode, null);
    const children = readFileSync(`/proc/${own}/task/${own}/children`, "utf8").trim().split(" ");
    const found = [own, ...children].find((pid) => nameOf(pid) === name);
    if (found !== undefined) return found;
    await sleep(50);
  }
  throw new Error(`${own} has not become ${name}, nor has a child, after a minute`);
}

async function withFilteredProcess(
  body: (pid: string) => void,
  ...options: readonly string[]
): Promise<void> {
  const run = ["run", ...(options.length > 0 ? options : ["--filter-only", "--policy", policy])];
  const child = spawn(callgatePath, [...run, "--", "sleep", "100000"], { stdio: "ignore" });
  try {
    body(await programOf(child, "sleep"));
  } finally {
    child.kill("SIGKILL");
  }
}

describe("a process", () => {
  test("its filters are read back as they were loaded, or it is said what that needs", async () => {
    const out = scratchPath("inspect.bpf");
    assert.equal(callgate(["compile", policy, "-o", out]).status, 0);
    await withFilteredProcess((pid) => {
      const { status, stdout, stderr } = callgate(["inspect", pid]);
      if (!isRoot) {
        assert.equal(status, 2);
        assert.match(stderr, /needs root/);
        return;
      }
      assert.equal(status, 0, stderr);
      assert.match(stdout, new RegExp(`^pid ${pid} {2}sleep {2}1 filter, \\d+ instructions$`, "m"));
      assert.match(stdout, /refuses +\d+ calls always: .*errno\(EPERM\) 1 \(keyctl\)/);
      assert.match(stdout, /socket +if domain == AF_VSOCK: errno\(EPERM\)/);
      const { filters } = JSON.parse(callgate(["inspect", "--json", pid]).stdout);
      assert.deepEqual(
        filters.map((one: { bytes: string }) => one.bytes),
        [readFileSync(out).toString("hex")],
      );
    });
  });

  test("an ordinary user is told what is needed, and what is known without", {
    skip: !isRoot && "only root can be somebody else",
  }, async () => {
    await withFilteredProcess((pid) => {
      const { status, stderr } = callgate(["inspect", pid], { ...ordinaryUser });
      assert.equal(status, 2);
      assert.match(stderr, /cannot read the filters of process \d+ \(sleep\)/);
      assert.match(stderr, /this needs root .*it has 1 filter/s);
      assert.doesNotMatch(stderr, /\n\s+at /);
    });
  });

  test("one without filters, and one that is gone", () => {
    const gone = spawn("true", { stdio: "ignore" });
    assert.match(callgate(["inspect", String(process.pid)]).stderr, /has no filter/);
    assert.match(callgate(["inspect", "4194304"]).stderr, /there is no process 4194304/);
    gone.kill();
  });
});

describe("a process whose policy denies execve", { skip: !isRoot && "needs root" }, () => {
  const still = scratchFile(
    "still.toml",
    `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = '''\ndeny execve, execveat, keyctl\n'''\n`,
  );

  test("is proved: the launch key is known, and not shown", async () => {
    await withFilteredProcess(
      (pid) => {
        const proved = callgate(["prove", pid, still]);
        assert.equal(proved.status, 0, proved.stdout + proved.stderr);
        assert.match(proved.stdout, new RegExp(`^proved: process ${pid} \\(sleep\\) says the same as `));
        assert.match(proved.stderr, /execve passes also with callgate's launch key/);
        const refuted = callgate(["prove", pid, policy]);
        assert.equal(refuted.status, 1, refuted.stdout);
        assert.equal(callgate(["diff", pid, still]).status, 0);
        const told = callgate(["inspect", pid]);
        assert.match(told.stdout, /errno\(EPERM\) 3 \(execve, keyctl, execveat\)/);
        assert.match(told.stdout, /^launch key +execve passes also with/m);
        const { launchKey, filters } = JSON.parse(callgate(["inspect", "--json", pid]).stdout);
        assert.equal(launchKey, true);
        // The six words are 0 in what is shown; two processes are shown alike, although their keys differ.
        assert.match(filters[0].bytes, /^(?:[0-9a-f]{16})*20000000280000001500(..)\1(?:00){4}/);
        const merged = scratchPath("merged.bpf");
        assert.equal(callgate(["merge", pid, "-o", merged]).status, 0);
        assert.equal(callgate(["prove", merged, still]).status, 0);
        const policyBack = callgate(["convert", pid, "--to", "toml"]);
        assert.match(policyBack.stdout, /deny execve, execveat, keyctl|deny execve, keyctl, execveat/);
      },
      "--filter-only",
      "--policy",
      still,
    );
  });

  test("in run's whole sandbox, the rules of its layers are known", async () => {
    await withFilteredProcess(
      (pid) => {
        const proved = callgate(["prove", pid, still]);
        assert.equal(proved.status, 0, proved.stdout + proved.stderr);
        assert.match(proved.stdout, /says the same as .*still\.toml with the rules of run's sandbox/);
      },
      "--policy",
      still,
    );
  });
});

test("no process, and no right to look", () => {
  for (const command of [
    ["prove", "4194304", policy],
    ["diff", "4194304", policy],
    ["merge", "4194304"],
    ["convert", "4194304", "--to", "toml"],
  ]) {
    const { status, stderr } = callgate(command);
    assert.equal(status, 2);
    assert.match(stderr, new RegExp(`^callgate ${command[0]}: there is no process 4194304\n$`));
  }
  assert.match(callgate(["prove", String(process.pid), policy]).stderr, /has no filter/);
});

describe("a command", () => {
  test("what it loads is told at its end, all filters together", { skip: !isRoot && "needs root" }, () => {
    const run = callgate([
      "inspect",
      "--json",
      "--",
      "firejail",
      "--noprofile",
      "--quiet",
      "--seccomp",
      "true",
    ]);
    assert.equal(run.status, 0, run.stderr);
    const line = run.stdout.split("\n").find((one) => one.startsWith('{"title"')) ?? "{}";
    const { filters, abis } = JSON.parse(line);
    assert.ok(filters.length >= 1);
    assert.ok(abis.length >= 1);
  });

  test("its own filter is seen too, and one without any is said to have none", {
    skip: !isRoot && "needs root",
  }, () => {
    const seen = callgate([
      "inspect",
      "--",
      callgatePath,
      "run",
      "--filter-only",
      "--policy",
      policy,
      "--",
      "true",
    ]);
    assert.equal(seen.status, 0, seen.stderr);
    assert.match(seen.stdout, /^pid \d+ {2}true {2}1 filter/m);
    const none = callgate(["inspect", "--", "true"]);
    assert.equal(none.status, 2);
    assert.match(none.stderr, /no process of it had a filter/);
    assert.match(callgate(["inspect", "--", "no-such-command"]).stderr, /command not found/);
  });
});
