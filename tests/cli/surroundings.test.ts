// Debian packages: python3, bsdutils
/** The command where things are not as usual: full disks, closed descriptors, odd names, PATHs, limits, terminals. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compileC, isRoot, ordinaryUser, scratchFile, scratchPath } from "../kernel/native.ts";
import { type CommandOptions, callgate, shell } from "./callgate.ts";

const denyUname = scratchFile("deny-uname", "deny uname\n");
const mistaken = scratchFile("mistaken.toml", 'version = 1\n[syscalls]\nrules = "deny unshaer"\n');
const hello = scratchFile("hello", '#!/bin/sh\necho "hello $*"\n', 0o755);
/** What `uname` says where it is denied. */
const refused = /cannot get system name: Operation not permitted/;

/** A line of sh, what it prints, what it complains of, and its status. */
interface Line {
  readonly line: string;
  readonly stdout?: string;
  readonly stderr?: RegExp;
  readonly status?: number;
  readonly options?: CommandOptions;
}

function lines(table: Readonly<Record<string, Line>>): void {
  for (const [name, { line, stdout = "", stderr = /^$/, status = 0, options }] of Object.entries(table)) {
    test(name, () => {
      const found = shell(line, options);
      assert.match(found.stderr, stderr);
      assert.doesNotMatch(found.stderr, /\n {4}at |internal error/);
      assert.deepEqual([found.stdout, found.status], [stdout, status]);
    });
  }
}

// ── Where nothing can be written ───────────────────────────────────────────────────────────────────────────────

const full = /^callgate: cannot write to standard output: no space left on the device\n$/;
lines({
  "an answer for a full disk: a sentence, and 2": {
    line: '"$callgate" check default >/dev/full',
    stderr: full,
    status: 2,
  },
  "a dry run for a full disk: a sentence, and 125": {
    line: '"$callgate" run --filter-only --dry-run -- true >/dev/full',
    stderr: full,
    status: 125,
  },
  "a complaint for a full disk does not change run's 125": {
    line: '"$callgate" run --filter-only --nope -- true 2>/dev/full',
    status: 125,
  },
  "nor the others' 2": { line: '"$callgate" chekc 2>/dev/full', status: 2 },
  "the program meets the full disk itself": {
    line: '"$callgate" run --filter-only -- sh -c "echo x || exit 9" >/dev/full',
    stderr: /I\/O error|No space left/,
    status: 9,
  },
  "a reader that is gone ends the program by SIGPIPE, as without callgate": {
    line: '{ "$callgate" run --filter-only -- yes; echo "status=$?" >&2; } | head -n 1',
    stdout: "y\n",
    stderr: /^status=141\n$/,
  },
});

// ── Descriptors ────────────────────────────────────────────────────────────────────────────────────────────────

lines({
  "a policy from standard input": {
    line: `echo "version = 1
extends = ['default']
[syscalls]
rules = 'deny uname'" | "$callgate" run --filter-only --policy - -- uname`,
    stderr: refused,
    status: 1,
  },
  // A socket, as spawnSync makes it.
  "rules from a standard input that cannot be opened again": {
    line: '"$callgate" run --filter-only --rules - -- true',
    stderr: /cannot read "-": descriptor 0 is neither a file nor a pipe/,
    status: 125,
  },
  "rules from /dev/stdin": {
    line: `"$callgate" run --filter-only --rules /dev/stdin -- uname <${denyUname}`,
    stderr: refused,
    status: 1,
  },
  "rules from a descriptor, as <(…) of bash gives it": {
    line: `"$callgate" run --filter-only --rules /dev/fd/5 -- uname 5<${denyUname}`,
    stderr: refused,
    status: 1,
  },
  "rules from a closed standard input: nothing waits": {
    line: '"$callgate" run --filter-only --rules - -- true <&-',
    stderr: /cannot read "-": descriptor 0 is not open/,
    status: 125,
  },
  // The launcher's own pipe may lie there.
  "rules from a descriptor that is not open": {
    line: '"$callgate" run --filter-only --rules /dev/fd/3 -- true',
    stderr: /cannot read "\/dev\/fd\/3": descriptor 3 is not open/,
    status: 125,
  },
  "--keep-fd of a descriptor that is not open": {
    line: '"$callgate" run --filter-only --keep-fd 77 -- true',
    stderr: /--keep-fd 77: descriptor 77 is not open/,
    status: 125,
  },
  "--keep-fd keeps a descriptor with what is to be read from it": {
    line: `"$callgate" run --filter-only --keep-fd 5 --keep-fd 1 -- sh -c 'cat <&5' 5<${denyUname} 6<${denyUname}`,
    stdout: "deny uname\n",
  },
  "what the caller closed is closed for the program": {
    line: `"$callgate" run --filter-only -- sh -c 'for d in 0 1 2; do [ ! -e /proc/$$/fd/$d ] || exit 9; done; exit 5' <&- >&- 2>&-`,
    status: 5,
  },
  "standard input is not read ahead": {
    line: `printf 'a\\nb\\n' | { "$callgate" run --filter-only -- sh -c 'read -r x; echo "1 $x"'; "$callgate" run --filter-only -- cat; }`,
    stdout: "1 a\nb\n",
  },
  "thirty megabytes through two of them": {
    line: 'head -c 30000000 /dev/zero | "$callgate" run --filter-only -- cat | "$callgate" run --filter-only -- cat | cksum',
    stdout: shell("head -c 30000000 /dev/zero | cksum").stdout,
  },
});

// ── Names ──────────────────────────────────────────────────────────────────────────────────────────────────────

const odd = scratchPath("odd");
mkdirSync(join(odd, "folder"), { recursive: true });
symlinkSync("circle", join(odd, "circle"));
symlinkSync("nothing", join(odd, "dangling"));
shell(
  `mkfifo -m 755 ${odd}/fifo; mkdir "${odd}/$(printf 'p\\376')"; cp ${hello} "${odd}/$(printf 'p\\376/h\\377')"`,
);
chmodSync(odd, 0o755);
const program = (name: string, message: RegExp, status: number): Line => ({
  line: `"$callgate" run --filter-only -- ${name}`,
  stderr: message,
  status,
});
lines({
  "links in a circle": program(`${odd}/circle`, /circle: its links lead in a circle\n$/, 126),
  "a link to nothing": program(`${odd}/dangling`, /dangling: is a link to a file that is not there\n$/, 127),
  "a pipe": program(`${odd}/fifo`, /fifo: is not a regular file\n$/, 126),
  "a file as a folder": program(`${hello}/x`, /no such file: a part of its path is not a directory\n$/, 127),
  "a name that is too long": program(`/${"x".repeat(300)}`, /ENAMETOOLONG/, 126),
  "control characters are shown, not sent": program(
    `"$(printf 'no\\033[31m\\nsuch')"`,
    /^callgate: no\\x1b\[31m\\x0asuch: command not found\n$/,
    127,
  ),
  "an option with control characters": {
    line: '"$callgate" check "--$(printf \'\\033[31m\')"',
    stderr: /no option --\\x1b\[31m\n/,
    status: 2,
  },
  "a program whose name is not UTF-8": {
    line: `"$callgate" run --filter-only -- "${odd}/$(printf 'p\\376/h\\377')" x`,
    stdout: "hello x\n",
  },
  "a folder in PATH whose name is not UTF-8": {
    line: `PATH="${odd}/$(printf 'p\\376'):$PATH" "$callgate" run --filter-only -- "$(printf 'h\\377')" x`,
    stdout: "hello x\n",
  },
  "empty arguments, and many, and long ones": {
    line: `"$callgate" run --filter-only -- sh -c 'echo $# \${#3}' x '' '' "$(head -c 100000 /dev/zero | tr '\\0' x)" $(seq 20000)`,
    stdout: "20003 100000\n",
  },
});

// ── PATH, folders, limits, starters ────────────────────────────────────────────────────────────────────────────

const locked = scratchPath("locked");
mkdirSync(locked, { mode: 0o700 });
const first = scratchPath("a path, näher");
mkdirSync(join(first, "hello"), { recursive: true });
const second = scratchPath("second");
mkdirSync(second);
shell(`cp ${hello} ${second}/hello; echo >${second}/plain`);
const nobody = { uid: ordinaryUser.uid, cwd: "/" } as const;
lines({
  "PATH with spaces, empty parts, and a folder of the program's name": {
    line: `cd ${second}; PATH="${first}::$PATH" "$callgate" run --filter-only -- hello x`,
    stdout: "hello x\n",
  },
  "a file in PATH that is not executable": {
    line: `PATH="${second}:$PATH" "$callgate" run --filter-only -- plain`,
    stderr: /second\/plain: permission denied: the file is not executable\n$/,
    status: 126,
  },
  "no PATH at all": { line: 'unset PATH; "$callgate" run --filter-only -- echo yes', stdout: "yes\n" },
  "no HOME": { line: 'unset HOME; "$callgate" run --filter-only -- echo yes', stdout: "yes\n" },
  "a folder that was removed": {
    line: `mkdir ${odd}/gone; cd ${odd}/gone; rmdir ${odd}/gone; "$callgate" run --filter-only -- echo yes`,
    stdout: "yes\n",
    stderr: /^(sh: 0: getcwd\(\).*\n)?$/,
  },
  "few descriptors, small files, a small stack": {
    // A command line of its own: no plan is kept of it that would make this start another one.
    line: 'ulimit -n 32; ulimit -f 0; ulimit -s 2000; "$callgate" run --filter-only -- true "$$"',
  },
  "too little memory for Node: 125, and nothing runs": {
    // So little that the kernel ends Node in its exec: with more, Node has been seen to hang in its own abort.
    line: 'ulimit -v 40000; "$callgate" run --filter-only -- echo ran',
    stderr: /callgate: Node was killed by signal \d+ while it prepared the start, nothing was started\n$/,
    status: 125,
  },
  "under nohup, timeout and xargs": {
    line: 'nohup "$callgate" run --filter-only -- echo a; timeout 200 "$callgate" run --filter-only -- echo b; echo c d | xargs -n 1 "$callgate" run --filter-only -- echo',
    stdout: "a\nb\nc\nd\n",
    stderr: /^(nohup: .*\n)?$/,
  },
  "timeout ends the program": { line: 'timeout 1 "$callgate" run --filter-only -- sleep 30', status: 124 },
  "in the background, waited for": {
    line: '"$callgate" run --filter-only -- sh -c "sleep 0.2; exit 6" & wait $!',
    status: 6,
  },
  "by exec: the program has the caller's process, and no child of ours": {
    line: `exec "$callgate" run --filter-only -- sh -c '[ $$ = ${"$"}0 ] && read -r all <"/proc/$$/task/$$/children"; echo "[$all]"' $$`,
    stdout: "[]\n",
  },
});

test("an ordinary user: a folder in PATH that may not be entered is passed by", (t) => {
  if (!isRoot) return t.skip("the folder is locked for another user only");
  const missing = shell(`PATH="${locked}:$PATH" "$callgate" run --filter-only -- no-such-program`, nobody);
  assert.deepEqual([missing.stderr, missing.status], ["callgate: no-such-program: command not found\n", 127]);
  const within = shell(`"$callgate" run --filter-only -- ${locked}/program`, nobody);
  assert.match(within.stderr, /permission denied: a folder on its path cannot be entered\n$/);
  assert.equal(within.status, 126);
  const rules = shell('echo deny uname | "$callgate" run --filter-only --rules - -- uname', nobody);
  assert.deepEqual([rules.status, refused.test(rules.stderr)], [1, true]);
});

// ── ABIs, terminals ────────────────────────────────────────────────────────────────────────────────────────────

test("a foreign program is warned of in a dry run, and by what the policy does with it", () => {
  const start = '__asm__(".globl _start\\n_start: movl $1, %eax\\nmovl $5, %ebx\\nint $0x80\\n");';
  const flags = ["-m32", "-nostdlib", "-static", "-Wl,--build-id=none"];
  const program32 = compileC("foreign", start, flags);
  const warning = (others: string): string => {
    const body = `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nother-abis = "${others}"\nrules = "deny uname"\n`;
    const policy = scratchFile("foreign.toml", body);
    const { status, stderr } = callgate([
      "run",
      "--filter-only",
      "--dry-run",
      "--policy",
      policy,
      "--",
      program32,
    ]);
    assert.equal(status, 0);
    return stderr;
  };
  assert.match(warning("kill"), /its first system call will end it\. To let it run: --abi x86\n$/);
  assert.match(
    warning("errno(ENOSYS)"),
    /all its system calls will be refused\. To let it run: --abi x86\n$/,
  );
});

test("colours on a terminal that wants them, and nowhere else", () => {
  const esc = "\u001b";
  // `script` gives its command a terminal.
  const onTerminal = (setting: string): string =>
    shell(`script -qec '${setting} "$callgate" check ${mistaken}' /dev/null`, {
      env: { NO_COLOR: "", TERM: "xterm", SHELL: "/bin/sh" },
    }).stdout;
  assert.match(onTerminal(""), new RegExp(`${esc}\\[31;1merror${esc}\\[0m unknown-syscall`));
  for (const setting of ["NO_COLOR=1", "TERM=dumb"])
    assert.match(onTerminal(setting), new RegExp(`^[^${esc}]* error unknown-syscall[^${esc}]*$`));
  assert.ok(!callgate(["check", mistaken], { env: { NO_COLOR: "" } }).stdout.includes(esc));
});

test("help fits a narrow terminal, and a terminal without a size", () => {
  const widths = (size: number): number => {
    const { stdout } = shell(
      `script -qec 'stty cols ${size}; "$callgate" run --filter-only --help' /dev/null`,
      {
        env: { SHELL: "/bin/sh" },
      },
    );
    const text = stdout.split("options:")[0] ?? "";
    assert.match(text, /built-in policy/);
    return Math.max(...text.split("\n").map((line) => line.trimEnd().length));
  };
  assert.ok(widths(46) <= 46);
  assert.ok(widths(0) > 46);
});
