// Debian packages: python3, zsh, fish
/**
 * Completions in the real shells: bash and zsh on a terminal, where Tab is pressed and the command then says which
 * arguments it got; fish by its own `complete -C`.
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { commandGroups, commands } from "../../src/cli/commands.ts";
import { bashCompletions } from "../../src/cli/completions/bash.ts";
import { fishCompletions } from "../../src/cli/completions/fish.ts";
import type { CompletionTable } from "../../src/cli/completions/index.ts";
import { zshCompletions } from "../../src/cli/completions/zsh.ts";
import { runProgram, scratchFile, scratchPath } from "../kernel/native.ts";
import { callgate } from "./callgate.ts";

/** Types lines into a shell on a terminal of its own, each after the one before has been carried out. */
const typist = `import os, pty, re, select, sys, time
shell, setup, lines = sys.argv[1].split(" "), sys.argv[2], sys.argv[3:]
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", PS1="$ ", HOME="/nonexistent", COLUMNS="200")
    os.execvp(shell[0], shell)
seen = ""
def until(pattern):
    global seen
    end = time.time() + 60
    while not re.search(pattern, seen):
        if time.time() > end: sys.exit("no " + pattern + " in " + repr(seen[-2000:]))
        if select.select([fd], [], [], 1)[0]:
            try: seen += os.read(fd, 65536).decode("utf8", "replace")
            except OSError: sys.exit("the shell ended: " + repr(seen[-2000:]))
    found = re.search(pattern, seen)
    seen = seen[found.end():]
    return found
os.write(fd, (setup + "\\n").encode())
until(r"READY-42")
for line in lines:
    # What the shell does not take at once waits in the terminal, in its order. Behind the Tab a line may go on.
    os.write(fd, ((line if "\\t" in line else line + "\\t") + "\\n").encode())
    print(until(r"GOT-42(.*?)END").group(1))
os.write(fd, b"\\nexit\\n")
`;
const typistFile = scratchFile("typist.py", typist);

function typed(shell: string, setup: string, lines: readonly string[]): readonly string[] {
  const { status, stdout, stderr } = runProgram("python3", {
    args: [typistFile, shell, setup, ...lines],
    cwd: folder,
  });
  assert.equal(status, 0, stderr);
  return stdout.trimEnd().split("\n");
}

// A group, as `lxc` is one, so that its words are tried whatever the table has.
const [first] = commands;
assert.ok(first !== undefined);
const table: CompletionTable = {
  commands: [
    ...commands.filter(({ name }) => !name.startsWith("test ")),
    {
      ...first,
      name: "test enable",
      operands: "NAME",
      completes: [["alpha", "beta"]],
      options: [{ name: "path", short: "P", value: "DIR", help: "where: [a] it's", completes: "folder" }],
      stopAtOperand: false,
    },
  ],
  groups: [
    ...commandGroups.filter(({ name }) => name !== "test"),
    { name: "test", summary: "it's one", description: [] },
  ],
};

const folder = scratchPath("a folder");
mkdirSync(join(folder, "sub folder"), { recursive: true });
writeFileSync(join(folder, "thumb nailer.toml"), "");
writeFileSync(join(folder, "rules.txt"), "");

/** What is typed, and the arguments that the command gets after Tab, in angle brackets. */
const cases: readonly (readonly [string, string])[] = [
  ["callgate expl", "<explain>"],
  ["callgate --vers", "<--version>"],
  ["callgate help compl", "<help><completions>"],
  ["callgate check --forma", "<check><--format>"],
  ["callgate check --format sar", "<check><--format><sarif>"],
  ["callgate check defa", "<check><default>"],
  ["callgate check thumb", "<check><thumb nailer.toml>"],
  ["callgate check default stri", "<check><default><strict>"],
  ["callgate explain default socketp", "<explain><default><socketpair>"],
  ["callgate explain default --abi x86_", "<explain><default><--abi><x86_64>"],
  ["callgate policies contai", "<policies><container>"],
  ["callgate completions fi", "<completions><fish>"],
  ["callgate run --policy str", "<run><--policy><strict>"],
  ["callgate run --deny keyct", "<run><--deny><keyctl>"],
  ["callgate run --deny @network-", "<run><--deny><@network-io>"],
  ["callgate run --deny 'ptrace, keyct", "<run><--deny><ptrace, keyctl>"],
  ["callgate run --deny ptrace,@network-", "<run><--deny><ptrace,@network-io>"],
  ["callgate run --rules rul", "<run><--rules><rules.txt>"],
  ["callgate run -p str", "<run><-p><strict>"],
  ["callgate run --dry-run --missing limi", "<run><--dry-run><--missing><limits>"],
  ["callgate run -- python3 thumb", "<run><--><python3><thumb nailer.toml>"],
  ["callgate run python3 thumb", "<run><python3><thumb nailer.toml>"],
  ["callgate run -- realpat", "<run><--><realpath>"],
  ["callgate test ena", "<test><enable>"],
  ["callgate test enable --pat", "<test><enable><--path>"],
  ["callgate test enable -P sub", "<test><enable><-P><sub folder/>"],
  ["callgate test enable alp", "<test><enable><alpha>"],
];
/** Forms that differ from shell to shell in what they leave before the closing quote. */
const inlineCases: readonly (readonly [string, string])[] = [
  ["callgate check --format=sar", "<check><--format=sarif>"],
  ["callgate run --policy=str", "<run><--policy=strict>"],
  ["callgate run --allow=@network-", "<run><--allow=@network-io>"],
];

const shown = `callgate() { printf 'GOT-'; printf '42'; printf '<%s>' "$@"; echo END; }; echo READY-$((6*7))`;

function compare(found: readonly string[], wanted: readonly (readonly [string, string])[]): void {
  // Whether the slash behind a folder stays is the shell's own affair.
  const plain = (text = ""): string => text.replaceAll("/>", ">");
  assert.deepEqual(
    wanted.map(([line], index) => `${line} → ${plain(found[index])}`),
    wanted.map(([line, result]) => `${line} → ${plain(result)}`),
  );
}

describe("bash", () => {
  test("on a terminal", () => {
    const script = scratchFile("callgate.bash", bashCompletions(table));
    const all = [...cases, ...inlineCases];
    const found = typed(
      "bash --norc --noprofile -i",
      `source ${script}; ${shown}`,
      all.map(([line]) => line),
    );
    compare(found, all);
  });

  test("the script says nothing and defines the completion of one command", () => {
    const script = scratchFile("callgate.bash", callgate(["completions", "bash"]).stdout);
    const { stdout, stderr } = runProgram("bash", {
      args: ["--norc", "-euc", `source ${script}; complete -p`],
    });
    assert.deepEqual([stdout, stderr], ["complete -F _callgate callgate\n", ""]);
  });
});

describe("zsh", () => {
  test("on a terminal", () => {
    const functions = scratchPath("functions");
    mkdirSync(functions);
    writeFileSync(join(functions, "_callgate"), zshCompletions(table));
    const setup = `fpath=(${functions} $fpath); autoload -Uz compinit; compinit -D -u; ${shown}`;
    // Behind a selector another one may follow: zsh leaves the quote open, and it is closed by hand.
    const all = [...cases, ...inlineCases].map(
      ([line, result]) =>
        [/[',]/.test(line) ? `${line}\t${line.includes("'") ? "'" : ""}` : line, result] as const,
    );
    compare(
      typed(
        "zsh -f -i",
        setup,
        all.map(([line]) => line),
      ),
      all,
    );
  });
});

describe("fish", () => {
  const script = scratchFile("callgate.fish", fishCompletions(table));
  const offered = (line: string): readonly string[] => {
    const { stdout, stderr } = runProgram("fish", {
      args: ["--no-config", "-c", `source ${script}; complete -C "$argv[1]"`, line],
      cwd: folder,
      env: { ...process.env, HOME: folder },
    });
    assert.equal(stderr, "");
    return stdout
      .trimEnd()
      .split("\n")
      .map((row) => row.split("\t")[0] ?? "");
  };
  for (const [line, wanted] of [...cases, ...inlineCases].filter(([line]) => !line.includes("'"))) {
    test(line, () => {
      const last = [...wanted.matchAll(/<([^>]*)>/g)].at(-1)?.[1];
      const words = offered(line).map((word) => word.replaceAll("\\", ""));
      assert.ok(
        words.includes(last ?? "") || words.includes((last ?? "").split("=")[1] ?? "-"),
        `${line}: ${words}`,
      );
    });
  }

  test("a command's own options only, each with what it is for", () => {
    const { stdout } = runProgram("fish", {
      args: ["--no-config", "-c", `source ${script}; complete -C "callgate fmt --"`],
    });
    assert.deepEqual(
      stdout
        .trimEnd()
        .split("\n")
        .map((row) => row.split("\t")[0])
        .sort(),
      ["--check", "--help"],
    );
    assert.match(stdout, /--help\tshow this help/i);
  });
});

test("a shell that is none: 2, and what there is", () => {
  const { status, stderr } = callgate(["completions", "bahs"]);
  assert.equal(status, 2);
  assert.match(stderr, /no completions for "bahs": did you mean bash\?/);
  assert.match(callgate(["completions"]).stderr, /the shell is missing: bash, zsh, fish/);
});
