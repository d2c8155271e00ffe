// `callgate build`: a file that runs a program in its sandbox without Node and without callgate.
import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  isRoot,
  ordinaryUser,
  type RunResult,
  runProgram,
  scratchFile,
  scratchPath,
} from "../kernel/native.ts";
import { callgate } from "./callgate.ts";

interface Person {
  readonly name: string;
  /** As whom the file is started, and as whom the program then runs. */
  readonly identity: { readonly uid?: number; readonly gid?: number };
  readonly inside: number;
}
const people: readonly Person[] = [
  { name: "whoever built it", identity: {}, inside: isRoot ? ordinaryUser.uid : (process.getuid?.() ?? 0) },
  ...(isRoot ? [{ name: "another user", identity: { uid: 4242, gid: 4242 }, inside: 4242 }] : []),
];

function build(...args: readonly string[]): string {
  const out = scratchPath("built");
  const { status, stderr } = callgate(["build", ...args.slice(0, 1), "-o", out, ...args.slice(1)]);
  assert.deepEqual([status, stderr], [0, ""]);
  return out;
}

/** Without anything in the environment by which Node or callgate could be found. */
const start = (file: string, args: readonly string[], { identity }: Person): RunResult =>
  runProgram(file, { args, ...identity, env: { LANG: "C", PATH: "/usr/bin:/bin", SECRET: "x" }, cwd: "/" });

for (const person of people) {
  describe(`a built file, started by ${person.name}`, () => {
    test("runs the program with all arguments, as the user, in an empty home, alone", () => {
      const line =
        'echo "$(id -u) $PWD $HOME $SECRET$#$1$2 $(ls -A ~) $(ls /proc | grep -c "^[0-9]")"; exit 7';
      const file = build("default", "--", "sh", "-c", line, "sh", "a");
      const { status, stdout, stderr } = start(file, ["b c"], person);
      assert.deepEqual([status, stderr], [7, ""]);
      assert.match(stdout, new RegExp(`^${person.inside} /home/callgate /home/callgate 2ab c  [0-9]+\n$`));
    });

    test("holds to the policy, its network and its files", () => {
      const policy = scratchFile(
        "policy.toml",
        'version = 1\nextends = ["default"]\n[syscalls]\nrules = "errno(EXDEV) mkdir, mkdirat"\n',
      );
      const script = "mkdir /tmp/x; cat /etc/shadow; echo x >/usr/x; cat /proc/net/dev | grep -vc lo:";
      const { stdout, stderr } = start(build(policy, "--", "sh", "-c", script), [], person);
      assert.match(stderr, /cross-device link/i);
      assert.match(stderr, /\/etc\/shadow: Permission denied|\/etc\/shadow: No such file/);
      assert.match(stderr, /cannot create \/usr\/x/);
      assert.equal(stdout, "2\n", "two lines of heading, and no device but lo");
    });

    test("protects in writable folders what appears after it was built; what is granted has to be there", () => {
      const folder = scratchPath("data");
      mkdirSync(folder);
      chmodSync(folder, 0o777);
      const line = `cd ${folder} && echo x >new && cat new; echo x >>.envrc; echo x >>.git/config`;
      const file = build("default", "--write", folder, "--", "sh", "-c", line);
      mkdirSync(join(folder, ".git"), { mode: 0o777 });
      for (const name of [".envrc", ".git/config"]) {
        writeFileSync(join(folder, name), "");
        chmodSync(join(folder, name), 0o666);
      }
      const { stdout, stderr } = start(file, [], person);
      assert.equal(stdout, "x\n");
      assert.match(stderr, /\.envrc: Read-only file system[\s\S]*\.git\/config: Read-only file system/);
      const granted = scratchFile("granted", "");
      const other = build("default", "--read", granted, "--", "echo", "started");
      rmSync(granted);
      const missing = start(other, [], person);
      assert.deepEqual([missing.status, missing.stdout], [125, ""]);
      assert.match(missing.stderr, /set-up step "mounts" failed: openat2 ".*granted": ENOENT/);
    });

    test("a file that was cut off or changed starts nothing", () => {
      const whole = readFileSync(build("default", "--", "echo", "started"));
      // The file says where its plans are: one for everybody, and one for root.
      const mark = whole.indexOf("callgate's plan is at:") + 24;
      const own = mark + (isRoot && person.identity.uid === undefined ? 16 : 0);
      const [offset, length] = [own, own + 8].map((at) => Number(whole.readBigUInt64LE(at)));
      assert.ok(offset !== undefined && length !== undefined && offset + length <= whole.length);
      for (const at of [offset, offset + 100, offset + length - 1]) {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] ?? 0) ^ 0x20;
        const { status, stdout, stderr } = start(scratchFile("changed", changed, 0o755), [], person);
        assert.deepEqual([status, stdout], [125, ""], `byte ${at}`);
        assert.match(stderr, /the plan is not valid, nothing was started/);
      }
      const { status, stdout } = start(
        scratchFile("cut", whole.subarray(0, offset + 100), 0o755),
        [],
        person,
      );
      assert.deepEqual([status, stdout], [125, ""]);
    });

    test("--filter-only is the filter alone", () => {
      const file = build(
        "default",
        "--filter-only",
        "--",
        "sh",
        "-c",
        "grep Seccomp: /proc/self/status; echo $SECRET",
      );
      assert.equal(start(file, [], person).stdout, "Seccomp:\t2\nx\n");
    });
  });
}

test("refuses to run set-user-id", { skip: isRoot ? false : "needs root" }, () => {
  const file = scratchPath("setuid");
  copyFileSync(build("default", "--", "echo", "started"), file);
  chownSync(file, 0, 0);
  chmodSync(file, 0o4755);
  const { status, stdout, stderr } = runProgram(file, { uid: 4242, gid: 4242 });
  assert.deepEqual([status, stdout], [125, ""]);
  assert.match(stderr, /must not be set-user-id/);
});

test("the same inputs give the same bytes, whoever builds where", () => {
  const make = (options: Parameters<typeof callgate>[1]): Buffer => {
    const folder = scratchPath("out");
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    const out = join(folder, "built");
    const { status, stderr } = callgate(["build", "default", "-o", out, "--", "/bin/true"], options);
    assert.equal(status, 0, stderr);
    return readFileSync(out);
  };
  const first = make({});
  assert.deepEqual(make({ cwd: "/", env: { HOME: "/nowhere", LANG: "xx", SOMETHING: "else" } }), first);
  if (isRoot) assert.deepEqual(make({ cwd: "/", uid: 4242 }), first);
});

test("an output that is there is kept, and written over with --force", () => {
  const out = scratchFile("there", "mine");
  const args = ["build", "default", "-o", out, "--", "true"];
  const kept = callgate(args);
  assert.equal(kept.status, 1);
  assert.match(kept.stderr, /it is there already: --force writes over it/);
  assert.equal(readFileSync(out, "utf8"), "mine");
  assert.equal(callgate([...args, "--force"]).status, 1, "behind -- it is the program's");
  assert.equal(callgate(["build", "--force", ...args.slice(1)]).status, 0);
  assert.equal(runProgram(out).status, 0);
});

test("what cannot be built is said, and nothing is written", () => {
  const out = scratchPath("not-built");
  const broken = scratchFile("broken.toml", "version = 1\n[syscalls]\nrules = 'deny unshaer'\n");
  const memory = callgate(["build", "default", "-o", scratchPath("limits"), "--memory", "1G", "--", "true"]);
  assert.deepEqual([memory.status, /limits of memory/.test(memory.stderr)], [0, true]);
  for (const [args, status, message] of [
    [["default", "--", "true"], 2, /-o FILE/],
    [["default", "-o", out], 2, /the command is missing/],
    [["/nowhere.toml", "-o", out, "--", "true"], 2, /there is no such file/],
    [[broken, "-o", out, "--", "true"], 1, /did you mean unshare/],
    [["default", "-o", out, "--", "no-such-program"], 1, /command not found/],
    [["default", "-o", out, "--read", "~/x", "--", "true"], 1, /"~\/x" cannot be granted to a built file/],
    [["default", "-o", out, "--write", "here", "--", "true"], 1, /"here" cannot be granted to a built file/],
    [["default", "-o", out, "--home", "--", "true"], 2, /there is no option --home/],
    [["default", "-o", "/nowhere/x", "--", "true"], 1, /there is no such folder/],
    [["default", "-o", "/tmp", "--", "true"], 1, /it is a directory/],
  ] as const) {
    const result = callgate(["build", ...args]);
    assert.deepEqual([result.status, message.test(result.stderr)], [status, true], result.stderr);
    assert.equal(existsSync(out), false);
  }
});
