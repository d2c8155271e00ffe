// Debian packages: python3, bsdutils
/** What holds for every command: readers that go away, Ctrl-C, colours, columns, nearest names, no traces. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { parseArguments } from "../../src/cli/arguments.ts";
import type { Command } from "../../src/cli/command.ts";
import { commands } from "../../src/cli/commands.ts";
import { compile } from "../../src/compiler/index.ts";
import { builtinPolicyText } from "../../src/formats/index.ts";
import { runProgram, scratchFile, scratchPath } from "../kernel/native.ts";
import { policyOfText } from "../policy/reading.ts";
import { callgate, callgatePath, shell } from "./callgate.ts";

const mistaken = scratchFile("mistaken.toml", 'version = 1\n[syscalls]\nrules = "deny unshaer"\n');

const filterFile = scratchPath("default.bpf");
writeFileSync(filterFile, compile(policyOfText(builtinPolicyText("default") ?? "")).bytes);

describe("a reader that goes away ends a command by SIGPIPE, and quietly", () => {
  /** A pipe that nobody reads any more, as after `| head`: standard output before the command has begun. */
  const toNobody = (line: string): string => {
    const pipe = scratchPath("pipe");
    return `mkfifo ${pipe} && exec 4<>${pipe} 5>${pipe} 4>&- && rm ${pipe} && { "$callgate" ${line} >&5; echo "$?"; }`;
  };
  for (const line of [
    ...commands.map(({ name }) => `${name} --help`),
    "--help",
    "--version",
    "help run",
    "lxc --help",
    "policies default",
    "policies --schema",
    "formats",
    "completions zsh",
    "explain default keyctl",
    "explain --json default socket",
    "compile default",
    "compile --format asm default",
    "compile --format c default",
    `prove ${filterFile} default`,
    `prove --json ${filterFile} strict`,
    "diff default strict",
    "diff --json default strict",
    `inspect ${filterFile}`,
    `inspect --asm ${filterFile}`,
    `inspect --json ${filterFile}`,
    `convert ${filterFile} --to toml`,
    `merge --format asm ${filterFile}`,
    "audit default",
    "check default",
    `check --format sarif ${mistaken}`,
    "plan -- true",
    "run --dry-run -- true",
    "doctor --json",
  ]) {
    test(line, () => {
      assert.deepEqual(shell(toNobody(line)), { status: 0, signal: null, stdout: "141\n", stderr: "" });
    });
  }
  test("who reads only the first line sees it, and the rest is not waited for", () => {
    const { stdout, stderr } = shell(`"$callgate" inspect --asm ${filterFile} | head -n 1`);
    assert.match(stdout, /^\S+default\.bpf {2}1 filter, \d+ instructions\n$/);
    assert.equal(stderr, "");
  });
});

const commandOf = (name: string): Command => commands.find((one) => one.name === name) ?? assert.fail(name);

describe("every command", () => {
  for (const { name, usageStatus, options } of commands) {
    const words = name.split(" ");
    test(`${name}: an option that does not exist is ${usageStatus}, with the nearest that does`, () => {
      const { status, stdout, stderr } = callgate([...words, "--hlep"]);
      assert.deepEqual([status, stdout], [usageStatus, ""]);
      assert.match(stderr, /no option --hlep: did you mean --help\?\n.* --help says more\n$/);
    });
    for (const { name: option, value } of options.filter((one) => one.value !== undefined)) {
      test(`${name} --${option} needs its ${value}`, () => {
        const read = (): unknown => parseArguments([`--${option}`], commandOf(name));
        assert.throws(read, {
          name: "UsageError",
          message: `--${option} needs a value: --${option} ${value}`,
        });
      });
    }
  }
});

describe("colour", () => {
  const control = "\u001b";
  const onTerminal = (line: string, env: Readonly<Record<string, string>>): string =>
    shell(`script -qec '"$callgate" ${line}' /dev/null`, { env: { TERM: "xterm", SHELL: "/bin/sh", ...env } })
      .stdout;

  for (const line of ["doctor", `check ${mistaken}`]) {
    test(`${line.split(" ")[0]}: on a terminal, unless NO_COLOR is set`, () => {
      assert.ok(onTerminal(line, { NO_COLOR: "" }).includes(`${control}[`));
      assert.ok(!onTerminal(line, { NO_COLOR: "1" }).includes(`${control}[`));
      assert.ok(!callgate(line.split(" "), { env: { NO_COLOR: "" } }).stdout.includes(control));
    });
  }
});

test("Ctrl-C ends a command that waits for its input, by the signal", () => {
  // The command waits for a policy on a terminal; the interrupt is typed when it does.
  const script = `import os, pty, signal, sys, time
# Nor is Python to make an exception of it between its fork and its exec.
signal.signal(signal.SIGINT, signal.SIG_DFL)
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "check", "-"])
end = time.time() + 120
while True:
    # Until the command has taken over from sh and Node, a Ctrl-C ends these, which is the same to a user.
    os.write(fd, b"\\x03")
    done, status = os.waitpid(pid, os.WNOHANG)
    if done: break
    if time.time() > end: sys.exit("still there")
    time.sleep(0.05)
print(os.WIFSIGNALED(status) and os.WTERMSIG(status), os.WIFEXITED(status) and os.WEXITSTATUS(status))
`;
  const { stdout, stderr } = runProgram("python3", { args: ["-c", script, callgatePath] });
  assert.equal(stdout, "2 False\n", stderr);
});
