// Debian packages: python3
/** `callgate run`, end to end: what the program gets, how it ends, what is refused before it starts. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  compileC,
  isRoot,
  ordinaryUser,
  probePath,
  scratch,
  scratchFile,
  scratchPath,
} from "../kernel/native.ts";
import { callgate, callgatePath, shell } from "./callgate.ts";

const policy = (rules: string, rest = ""): string =>
  scratchFile(
    "policy.toml",
    `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = '''\n${rules}\n'''\n${rest}`,
  );

test("the program's exit status is callgate's, and its death by a signal is its own", () => {
  assert.equal(callgate(["run", "--filter-only", "--", "sh", "-c", "exit 7"]).status, 7);
  assert.equal(callgate(["run", "--filter-only", "--", "sh", "-c", "kill -TERM $$"]).signal, "SIGTERM");
  assert.equal(shell('"$callgate" run --filter-only -- sh -c "kill -9 \\$\\$"; echo $?').stdout, "137\n");
});

const notStarted: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ["a command that is not there", ["no-such-command"], 127, /command not found/],
  ["a path that is not there", ["/no/such/program"], 127, /no such file/],
  ["an empty command", [""], 127, /empty/],
  ["a directory", ["/etc"], 126, /is a directory/],
  ["a file that is not executable", [scratchFile("plain", "text\n")], 126, /not executable/],
  ["a script without #!", [scratchFile("script", "echo hello\n", 0o755)], 126, /no #! line/],
  [
    "a script whose interpreter is missing",
    [scratchFile("script", "#!/no/such/shell\n", 0o755)],
    127,
    /interpreter/,
  ],
];
for (const [name, command, status, message] of notStarted) {
  test(`${name}: ${status}`, () => {
    const found = callgate(["run", "--filter-only", "--", ...command]);
    assert.equal(found.status, status);
    assert.match(found.stderr, message);
  });
}

test("a file system that is mounted noexec is named", { skip: !isRoot && "needs root: it mounts" }, () => {
  const folder = scratchPath("no exec");
  const { status, stderr } = shell(
    `unshare -m sh -c 'mkdir "$1" && mount -t tmpfs -o noexec none "$1" && cp /bin/true "$1/" && cd / && "$callgate" run --filter-only -- "$1/true"' sh '${folder}'`,
  );
  assert.equal(status, 126);
  assert.equal(
    stderr,
    `callgate: ${folder}/true: permission denied: nothing is executed from the file system at ${folder}, which is mounted noexec\n`,
  );
});

test("standard input and output pass through untouched, also when they are large", () => {
  const text = "0123456789abcdef".repeat(40_000);
  assert.equal(callgate(["run", "--filter-only", "--", "cat"], { input: text }).stdout, text);
});

test("the environment is passed on; a policy's [environment] reduces it", () => {
  assert.match(
    callgate(["run", "--filter-only", "--", "env"], { env: { CANARY: "sings" } }).stdout,
    /^CANARY=sings$/m,
  );
  const reduced = policy(
    "deny keyctl",
    '[environment]\nkeep = ["PATH", "LC_*"]\nset = { GREETING = "hello" }\n',
  );
  const { stdout } = callgate(["run", "--filter-only", "--policy", reduced, "--", "env"], {
    env: { CANARY: "sings", LC_ALL: "C" },
  });
  assert.deepEqual(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0])
      .sort(),
    ["GREETING", "LC_ALL", "PATH"],
  );
});

test("descriptors above 2 are closed, but for those that are named", () => {
  const line =
    'exec 5</etc/passwd 6</etc/passwd; "$callgate" run --filter-only --keep-fd 6 -- ls /proc/self/fd';
  const open = shell(line).stdout.trim().split("\n");
  assert.ok(open.includes("6") && !open.includes("5"), open.join());
});

test("arguments are the bytes that were given, UTF-8 or not", () => {
  const { stdout } = shell(`"$callgate" run --filter-only -- printf %s "$(printf 'a\\377b')" | od -An -tx1`);
  assert.equal(stdout.trim(), "61 ff 62");
  assert.equal(
    callgate(["run", "--filter-only", "--", "printf", "%s|", "", "ü", "'\"$x"]).stdout,
    "|ü|'\"$x|",
  );
});

test("no process of callgate's is left beside the program", () => {
  const { stdout } = shell(
    "\"$callgate\" run --filter-only -- sh -c 'cat /proc/$PPID/comm; ps -o comm= --ppid $$ 2>/dev/null' & wait",
  );
  assert.doesNotMatch(stdout, /node|launcher|callgate/);
});

test("what an ignored SIGHUP means stays as nohup wants it; SIGPIPE is back at its default", () => {
  const show = "grep SigIgn /proc/self/status";
  const ignored = (line: string): bigint =>
    BigInt(`0x${/SigIgn:\s+(\w+)/.exec(shell(line).stdout)?.[1] ?? "x"}`);
  assert.equal(ignored(`trap '' HUP; "$callgate" run --filter-only -- ${show}`) & 1n, 1n);
  assert.equal(ignored(`trap '' PIPE USR1; "$callgate" run --filter-only -- ${show}`), 0n);
});

const uname = [
  "python3",
  "-c",
  "import os\ntry: print(os.uname().sysname)\nexcept OSError as e: print(e.errno)",
];
const rules: readonly (readonly [string, readonly string[], string])[] = [
  ["--deny refuses with EPERM", ["--deny", "uname"], "1"],
  ["--rule takes any rule", ["--rule", "errno(77) uname"], "77"],
  ["rules stand in the order of the command line", ["--allow", "uname(buf)", "--deny", "uname"], "Linux"],
  ["--rules reads a file", ["--rules", scratchFile("rules", "# a comment\nerrno(78) uname  # why\n")], "78"],
  ["--policy takes a file", ["--policy", policy("errno(79) uname")], "79"],
  [
    "the command line comes before the policy",
    ["--policy", policy("deny uname"), "--allow", "uname"],
    "Linux",
  ],
];
for (const [name, options, expected] of rules) {
  test(name, () => {
    const { stdout, stderr } = callgate(["run", "--filter-only", ...options, "--", ...uname]);
    assert.equal(stdout, `${expected}\n`, stderr);
  });
}

test("what a policy requires is not overridden by the command line", () => {
  const required = policy("allow uname").replace(/$/, "");
  const strictest = scratchFile(
    "required.toml",
    `version = 1\nextends = [${JSON.stringify(required)}]\n[syscalls]\nrequire = "errno(80) uname"\n`,
  );
  const found = callgate(["run", "--filter-only", "--policy", strictest, "--allow", "uname", "--", ...uname]);
  // The rule on the command line can then never decide, which is said.
  assert.equal(found.status, 125);
  assert.match(found.stderr, /unreachable-rule/);
  assert.equal(callgate(["run", "--filter-only", "--policy", strictest, "--", ...uname]).stdout, "80\n");
});

const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["a policy with mistakes", ["--policy", policy("deny unshaer")], /did you mean unshare/],
  ["a mistake on the command line", ["--deny", "keyctl(option = 1)"], /--deny:1:15 error syntax/],
  [
    "a rule on the command line that can never decide",
    ["--deny", "keyctl", "--allow", "keyctl"],
    /unreachable-rule/,
  ],
  ["a policy that is not there", ["--policy", "/no/such.toml"], /no such file/],
  ["rules that are not there", ["--rules", "/no/such"], /no such file/],
  ["notify without anybody who answers", ["--rule", "notify keyctl"], /nothing here would answer/],
];
for (const [name, options, message] of refused) {
  test(`${name}: 125, and nothing runs`, () => {
    const witness = scratchPath("witness");
    const found = callgate(["run", "--filter-only", ...options, "--", "touch", witness]);
    assert.equal(found.status, 125);
    assert.match(found.stderr, message);
    assert.equal(callgate(["run", "--filter-only", "--", "test", "-e", witness]).status, 1);
  });
}

test("--dry-run says what would be done, and does not do it", () => {
  const witness = scratchPath("witness");
  const { status, stdout } = callgate(["run", "--filter-only", "--dry-run", "--", "touch", witness]);
  assert.equal(status, 0);
  assert.match(stdout, /filter +\d+ instructions, proved equal to the policy default/);
  assert.equal(callgate(["run", "--filter-only", "--", "test", "-e", witness]).status, 1);
});

test("a policy that denies execve lets the launcher's one pass, and no other", () => {
  const alone = policy("deny execve, execveat, clone, clone3, fork, vfork");
  const script =
    "import os\nprint('up')\ntry: os.execv('/bin/true', ['true'])\nexcept OSError as e: print(e.errno)";
  const { stdout, stderr } = callgate([
    "run",
    "--filter-only",
    "--policy",
    alone,
    "--",
    "/usr/bin/python3",
    "-c",
    script,
  ]);
  assert.equal(stdout, "up\n1\n", stderr);
});

// _start: exit(5), by int 0x80: no C library, so no 32-bit one is needed.
const program32 = (): string =>
  compileC("exit32", '__asm__(".globl _start\\n_start: movl $1, %eax\\nmovl $5, %ebx\\nint $0x80\\n");', [
    "-m32",
    "-nostdlib",
    "-static",
    "-Wl,--build-id=none",
  ]);

test("that a program is 32-bit is said before it dies, and --abi x86 lets it run", () => {
  const program = program32();
  const foreign = callgate(["run", "--filter-only", "--", program]);
  assert.equal(foreign.signal, "SIGSYS");
  assert.match(foreign.stderr, /is a 32-bit \(x86\) program.*--abi x86/);
  const native = callgate(["run", "--filter-only", "--abi", "x86", "--", program]);
  assert.deepEqual([native.status, native.stderr], [5, ""]);
});

const without: readonly (readonly [string, string, RegExp])[] = [
  ["seccomp filters", "errno(EINVAL) seccomp", /set-up step "filter" failed.*no seccomp filters/],
  ["the seccomp call", "errno(ENOSYS) seccomp", /set-up step "filter" failed.*ENOSYS/],
  [
    "no_new_privs",
    "errno(EINVAL) prctl(option == PR_SET_NO_NEW_PRIVS)",
    /set-up step "start Node" failed: prctl\(PR_SET_NO_NEW_PRIVS\)/,
  ],
];
for (const [name, rule, message] of without) {
  test(`where the kernel has no ${name}, run refuses with 125`, () => {
    const witness = scratchPath("witness");
    const inner = [
      callgatePath,
      "run",
      "--filter-only",
      "--policy",
      policy("deny keyctl"),
      "--",
      "touch",
      witness,
    ];
    const found = callgate(["run", "--filter-only", "--policy", policy(rule), "--", ...inner]);
    assert.equal(found.status, 125);
    assert.match(found.stderr, message);
    assert.equal(callgate(["run", "--filter-only", "--", "test", "-e", witness]).status, 1);
  });
}

test("callgate runs under callgate", () => {
  const { status, stdout } = callgate([
    "run",
    "--filter-only",
    "--",
    callgatePath,
    "run",
    "--filter-only",
    "--",
    probePath,
    "keyctl",
  ]);
  assert.deepEqual([status, stdout], [1, "keyctl: EPERM (Operation not permitted)\n"]);
});

test("it works as an ordinary user", (t) => {
  if (!isRoot) return t.skip("this user is an ordinary one: every other test shows it");
  const { status, stdout, stderr } = callgate(["run", "--filter-only", "--", probePath, "unshare-user"], {
    uid: ordinaryUser.uid,
    cwd: "/",
    env: { HOME: "/nonexistent" },
  });
  assert.deepEqual([status, stdout], [1, "unshare-user: EPERM (Operation not permitted)\n"], stderr);
});

test("it works from a folder with spaces, through a link, and with an empty environment", () => {
  const folder = join(scratch(), "a folder, näher");
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  const link = join(folder, "my callgate");
  symlinkSync(callgatePath, link);
  assert.equal(shell('"$link" run -- echo yes', { env: { link } }).stdout, "yes\n");
  const bare = shell(
    'node=$(command -v node); env -i PATH="$(dirname "$node"):/bin" "$callgate" run --filter-only -- /bin/echo yes',
  );
  assert.equal(bare.stdout, "yes\n", bare.stderr);
});

test("a reader that is gone is no reason for a complaint", () => {
  const { stderr } = shell('"$callgate" --help | true; "$callgate" explain default personality | head -n 1');
  assert.equal(stderr, "");
});
