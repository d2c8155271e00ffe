// callgate learn on real programs: what it writes lets them work, and lets nothing else be done.
// Debian packages: busybox-static coreutils curl dash gcc git libc6-dev procps python3
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, get } from "node:http";
import { basename, dirname, join } from "node:path";
import { describe, test } from "node:test";
import { loadPolicy } from "../../src/formats/load.ts";
import { printRule } from "../../src/policy/printer.ts";
import { freePort } from "./free-port.ts";
import { rulesAreExplained } from "./learned.ts";
import {
  architecture,
  compileC,
  isRoot,
  ordinaryUser,
  probePath,
  root,
  scratchFile,
  scratchPath,
} from "./native.ts";

const callgate = join(root, "bin", "callgate");
const path = `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`;

interface Outcome {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Circumstances {
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly input?: string;
}

function run(args: readonly string[], { cwd, uid, gid, input }: Circumstances = {}): Outcome {
  const { status, signal, stdout, stderr, error } = spawnSync(callgate, args, {
    encoding: "utf8",
    timeout: 240_000,
    killSignal: "SIGKILL",
    env: { PATH: path, HOME: cwd ?? "/nonexistent", LC_ALL: "C", NO_COLOR: "1", GIT_CONFIG_NOSYSTEM: "1" },
    ...(input === undefined ? { stdio: ["ignore", "pipe", "pipe"] } : { input }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid }),
  });
  if (error !== undefined) throw error;
  return { status, signal, stdout, stderr };
}

/** Learns and confirms; the policy's path. */
function learn(name: string, command: readonly string[], circumstances: Circumstances = {}): string {
  const folder = scratchPath(name);
  mkdirSync(folder, { mode: 0o777 });
  if (circumstances.uid !== undefined) spawnSync("chmod", ["777", folder]);
  const policy = join(folder, "learned.toml");
  const outcome = run(["learn", "-o", policy, "--", ...command], circumstances);
  assert.equal(outcome.status, 0, outcome.stderr);
  assert.match(outcome.stderr, /tried: ran again under .*: nothing was denied/);
  assert.match(outcome.stderr, /tried: ran in the whole sandbox too \(callgate run /);
  const { diagnostics } = loadPolicy(policy);
  assert.deepEqual(
    diagnostics.filter(({ severity }) => severity !== "note"),
    [],
  );
  rulesAreExplained(readFileSync(policy, "utf8"));
  return policy;
}

/** Processes whose command line has this text in it. */
function processesWith(text: string): readonly string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
    } catch {
      return false;
    }
  });
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1200; tries += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`waited a minute for: ${what}`);
}

const attacks = [
  "keyctl",
  "add_key",
  "bpf",
  "perf_event_open",
  "userfaultfd",
  "io_uring_setup",
  "process_vm_readv",
  "unshare-user",
  "clone-user",
  "clone3",
  "setns",
  "mount",
  "kcmp",
  "fsopen",
  "settimeofday",
  "swapon",
  "ptrace",
  "socket-vsock",
  "socket-alg",
  "socket-netlink-audit",
  "socket-packet-high",
  "tiocsti",
  "tiocsti-high",
  "personality",
  "tcp-ulp",
];

/**
 * What the program never did is refused: each attack for real, as a program under the policy; and that it writes to what
 * a shell reads when somebody logs in.
 * @param itsOwn what it did do
 */
function refusesAttacks(policy: string, itsOwn: readonly string[] = []): void {
  const { status: refused, stdout } = run([
    "run",
    "--filter-only",
    "--policy",
    policy,
    "--",
    probePath,
    ...attacks,
  ]);
  assert.equal(refused, 1);
  for (const attack of attacks.filter((one) => !itsOwn.includes(one)))
    assert.match(stdout, new RegExp(`^${attack}: (?:EPERM|ENOSYS)`, "m"));
  const home = scratchPath(`home-${dirname(policy).split("/").pop()}-${basename(policy)}`);
  mkdirSync(home);
  const profile = join(home, ".bashrc");
  writeFileSync(profile, "# mine\n");
  const { status } = run([
    "run",
    ...(isRoot ? ["--as-root"] : []),
    "--policy",
    policy,
    "--",
    "busybox",
    "sh",
    "-c",
    `echo stolen >> ${profile}`,
  ]);
  assert.notEqual(status, 0, "it wrote to .bashrc");
  assert.equal(readFileSync(profile, "utf8"), "# mine\n");
}

const python = `
import sqlite3, subprocess, threading, sys
c = sqlite3.connect(sys.argv[1]); c.execute("create table t(a)"); c.execute("insert into t values (42)"); c.commit()
print(c.execute("select a from t").fetchall()); c.execute("drop table t"); c.commit()
print(subprocess.check_output(["echo", "hello"]))
t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
`;

describe("a learned policy lets the program work, and refuses what it never did", () => {
  const work = scratchPath("work");
  mkdirSync(work);
  writeFileSync(join(work, "hello.c"), '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n');
  spawnSync("git", ["init", "-q"], { cwd: work });
  // Folders below the one that is walked are opened by descriptors, which is not watched: its grant has them in it.
  mkdirSync(join(work, "deep", "er", "and", "deeper"), { recursive: true });
  writeFileSync(join(work, "deep", "er", "and", "deeper", "leaf"), "");
  const programs: readonly (readonly [name: string, command: readonly string[]])[] = [
    ["git", ["git", "status", "--short"]],
    ["gcc", ["gcc", "-O1", "hello.c", "-o", "hello"]],
    ["python", ["/usr/bin/python3", "-c", python, join(work, "a.db")]],
    ["node", ["node", "-e", 'console.log(require("fs").readdirSync("/").length > 2)']],
    ["shell", ["sh", "-c", "ls / | sort | head -1; exit 3"]],
    ["find", ["find", join(work, "deep"), "-name", "leaf"]],
    ["busybox", ["busybox", "sh", "-c", "echo $((6 * 7)) | busybox cat"]],
  ];
  for (const [name, command] of programs) {
    test(name, () => {
      const [program = "", ...args] = command;
      const plain = spawnSync(program, args, {
        cwd: work,
        encoding: "utf8",
        env: { PATH: path, HOME: work, LC_ALL: "C" },
      });
      const policy = learn(name, command, { cwd: work });
      const under = run(["run", "--filter-only", "--policy", policy, "--", ...command], { cwd: work });
      assert.match(under.stderr, /^(?:callgate: note: --filter-only: files and network are open, .*\n)?$/);
      assert.equal(under.status, plain.status);
      assert.equal(under.stdout, plain.stdout);
      // Node 24 makes a ring of its own at every start, so that its policy permits one.
      const hasRing = name === "node" && Number(process.versions.node.split(".")[0]) >= 24;
      refusesAttacks(policy, hasRing ? ["io_uring_setup"] : []);
    });
  }

  test("curl, against a server on loopback", async () => {
    const server = createServer((_, response) => response.end("hello\n"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const address = server.address();
      assert.ok(address !== null && typeof address === "object");
      const url = `http://127.0.0.1:${address.port}/`;
      const policy = scratchPath("curl.toml");
      // Not by spawnSync: the server is in this process.
      const learned = await finish(
        spawn(callgate, ["learn", "-o", policy, "--", "curl", "-s", url], { env: { PATH: path } }),
      );
      assert.equal(learned.status, 0, learned.stderr);
      assert.match(learned.stderr, new RegExp(`connect 127\\.0\\.0\\.1:${address.port}`));
      assert.match(readFileSync(policy, "utf8"), new RegExp(`ports = \\[\\n {2}${address.port},\\n`));
      const under = await finish(
        spawn(callgate, ["run", "--policy", policy, "--", "curl", "-s", url], { env: { PATH: path } }),
      );
      assert.deepEqual([under.status, under.stdout], [0, "hello\n"]);
      assert.match(
        readFileSync(policy, "utf8"),
        /allow socket\(.*domain == AF_INET && \(type & SOCK_TYPE_MASK\) == SOCK_STREAM/,
      );
      rulesAreExplained(readFileSync(policy, "utf8"));
      refusesAttacks(policy);
    } finally {
      server.close();
    }
  });

  test("a server that never ends: Ctrl-C ends learning, and the policy serves", async () => {
    const folder = scratchPath("site");
    mkdirSync(folder);
    writeFileSync(join(folder, "index.html"), "served\n");
    const policy = scratchPath("httpd.toml");
    const port = await freePort();
    const command = ["busybox", "httpd", "-f", "-p", `127.0.0.1:${port}`, "-h", folder];
    const fetched = (): Promise<string> =>
      new Promise((resolve) => {
        const request = get({ port, host: "127.0.0.1", path: "/index.html", agent: false }, (response) => {
          let text = "";
          response.on("data", (chunk) => {
            text += chunk;
          });
          response.on("end", () => resolve(text));
        });
        request.on("error", () => resolve(""));
      });
    const learning = spawn(callgate, ["learn", "-o", policy, "--phases", "--", ...command], {
      env: { PATH: path },
    });
    const learned = finish(learning);
    await until("the server to answer", async () => (await fetched()) === "served\n");
    learning.kill("SIGINT");
    const { status, stderr } = await learned;
    assert.equal(status, 0, stderr);
    assert.match(stderr, /not tried: learning was ended by a signal/);
    assert.match(stderr, /phases +not seen after the first listen, could be dropped then: .*\bbind\b/);
    assert.match(readFileSync(policy, "utf8"), /allow accept4?\b.* {2}# busybox ×\d+, later/);
    assert.match(readFileSync(policy, "utf8"), /allow bind\b.* {2}# busybox ×1, in start-up only/);
    rulesAreExplained(readFileSync(policy, "utf8"), true);
    refusesAttacks(policy);
    const serving = spawn(callgate, ["run", "--filter-only", "--policy", policy, "--", ...command], {
      stdio: "ignore",
      env: { PATH: path },
    });
    const served = finish(serving);
    try {
      await until("the server to answer under its policy", async () => (await fetched()) === "served\n");
    } finally {
      serving.kill("SIGKILL");
      await served;
    }
    assert.deepEqual(processesWith(folder), []);
  });

  test("a 32-bit program", { skip: architecture !== "x86_64" && "needs x86" }, () => {
    // write(1, "hi\n", 3); exit(7), by int 0x80 in a program without a C library.
    const source = `__asm__(".globl _start\\n_start: mov $4, %eax; mov $1, %ebx; lea text, %ecx; mov $3, %edx; int $0x80\\n"
      " mov $1, %eax; mov $7, %ebx; int $0x80\\n text: .ascii \\"hi\\\\n\\"");\n`;
    const program = compileC("small32", source, ["-m32", "-nostdlib", "-static", "-no-pie"]);
    const policy = learn("small32", [program]);
    const text = readFileSync(policy, "utf8");
    assert.match(text, /abis = \["native", "x86"\]/);
    assert.match(text, /allow x86:write\b/);
    const { status, stdout } = run(["run", "--filter-only", "--policy", policy, "--", program]);
    assert.deepEqual([status, stdout], [7, "hi\n"]);
  });

  test("as an ordinary user", { skip: !isRoot && "needs root" }, () => {
    learn("user", ["sh", "-c", "id -u; ls /"], ordinaryUser);
  });
});

/** What a command came to; killed after four minutes. */
function finish(child: ChildProcess): Promise<Outcome> {
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 240_000);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, stdout, stderr });
    });
  });
}

describe("learning says for programs what came of it", () => {
  interface Facts {
    readonly file: string;
    readonly confirmed: boolean | null;
    readonly notTried: string | null;
    readonly runs: number;
    readonly idleRuns: number;
    readonly added: {
      readonly rules: readonly { readonly text: string; readonly isDerived: boolean }[];
      readonly read: readonly string[];
    };
    readonly leftOut: readonly { readonly path: string; readonly why: string }[];
    readonly used: { readonly secrets: readonly string[]; readonly memoryKiB: number };
    readonly trials: readonly {
      readonly sandbox: string;
      readonly end: string;
      readonly endedAsBefore: boolean;
      readonly missing: { readonly rules: readonly { readonly text: string }[] } | null;
    }[];
    readonly droppable?: readonly string[] | null;
  }
  const facts = (args: readonly string[]): Facts & { readonly stderr: string } => {
    const { status, stdout, stderr } = run(["learn", "--json", ...args]);
    assert.equal(status, 0, stderr);
    return { ...(JSON.parse(stdout) as Facts), stderr };
  };

  test("what is new, what was left out, how it was tried; the program's own output apart", () => {
    const folder = scratchPath("json");
    mkdirSync(folder);
    const [secret, open] = [join(folder, "server.key"), join(folder, "open")];
    writeFileSync(secret, "secret\n");
    writeFileSync(open, "open\n");
    const policy = join(folder, "learned.toml");
    const command = ["-o", policy, "--phases", "--", "sh", "-c", `cat ${open}; cat ${secret} || true`];
    const first = facts(command);
    // Watched, and tried under the filter; what is left out is not there in the whole sandbox.
    assert.equal(first.stderr.split("\n").filter((line) => line === "open").length, 3);
    assert.equal(first.stderr.split("\n").filter((line) => line === "secret").length, 2);
    assert.equal(first.file, policy);
    assert.deepEqual([first.confirmed, first.notTried, first.runs, first.idleRuns], [true, null, 1, 0]);
    assert.ok(first.added.rules.some(({ text }) => text.startsWith("allow execve")));
    assert.ok(first.added.rules.some(({ isDerived }) => isDerived));
    assert.deepEqual(first.added.read, [open]);
    assert.deepEqual(first.used.secrets, [secret]);
    assert.deepEqual(
      first.leftOut.filter(({ path: left }) => left === secret).map(({ why }) => why),
      ["a key or password: grant it by hand, or not at all"],
    );
    assert.ok(first.used.memoryKiB > 100);
    assert.equal(first.droppable, null);
    assert.deepEqual(
      first.trials.map(({ sandbox, endedAsBefore, missing }) => [
        sandbox,
        endedAsBefore,
        missing?.rules.length ?? null,
      ]),
      [
        ["filter", true, 0],
        ["whole", true, 0],
      ],
    );

    const again = facts(command);
    assert.deepEqual([again.runs, again.idleRuns, again.confirmed], [2, 1, null]);
    assert.match(again.notTried ?? "", /^nothing new/);
    assert.deepEqual([again.added.rules, again.trials], [[], []]);
  });

  test("what was merged", () => {
    const [a, b] = [learn("json-a", ["true"]), learn("json-b", ["sh", "-c", "/bin/true"])];
    const merged = scratchPath("json-merged.toml");
    const { status, stdout } = run(["learn", "--json", "-o", merged, "--merge", a, b]);
    assert.equal(status, 0);
    const said = JSON.parse(stdout) as { readonly merged: readonly string[] } & Pick<Facts, "added">;
    assert.deepEqual(said.merged, [a, b]);
    assert.ok(said.added.rules.some(({ text }) => text === "allow execve"));
  });
});

describe("learning converges", () => {
  test("what is permitted already is not watched, and only its history changes", () => {
    const command = ["sh", "-c", "ls / > /dev/null"];
    const policy = learn("again", command);
    const first = readFileSync(policy, "utf8");
    const outcome = run(["learn", "-o", policy, "--", ...command]);
    assert.equal(outcome.status, 0);
    assert.match(outcome.stderr, /nothing new: .* this run brought nothing new/);
    const second = readFileSync(policy, "utf8");
    assert.match(second, /^# learned: 2 runs, the last 1 brought nothing new$/m);
    assert.equal(second.replace(/^# learned.*$/m, ""), first.replace(/^# learned.*$/m, ""));
  });

  test("what is new is added behind what there is", () => {
    const policy = learn("more", ["true"]);
    const first = readFileSync(policy, "utf8");
    assert.doesNotMatch(first, /allow execve/);
    assert.equal(run(["learn", "-o", policy, "--", "sh", "-c", "true; /bin/true"]).status, 0);
    const second = readFileSync(policy, "utf8");
    assert.match(second, /allow execve +# sh ×1\n/);
    assert.ok(second.startsWith(first.slice(0, first.indexOf("# learned"))));
  });

  test("what a rule refuses stays refused", () => {
    const policy = scratchFile(
      "refuses.toml",
      `version = 1\nextends = ["default"]\n[syscalls]\nrules = '''\nerrno(ENOTTY) ioctl   # by hand\ndeny mkdir, mkdirat\n'''\n`,
    );
    const folder = scratchPath("made");
    const outcome = run(["learn", "-o", policy, "--", "mkdir", folder]);
    assert.match(outcome.stderr, /Operation not permitted/);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.ok(!existsSync(folder));
    assert.match(readFileSync(policy, "utf8"), /deny mkdir, mkdirat\n'''\n$/);
  });

  test("a run under the policy that goes further is learned from too", () => {
    const marker = scratchPath("marker");
    // Only the second run finds the file, and makes a call that the first did not make.
    const policy = scratchPath("further.toml");
    const script = `if [ -e ${marker} ]; then mkfifo ${marker}.fifo; else : > ${marker}; fi`;
    const outcome = run(["learn", "-o", policy, "--", "sh", "-c", script]);
    assert.match(
      outcome.stderr,
      /this was still missing, and is added:\n(?: {2}allow .*\n)* {2}allow (?:mknod|mknodat|execve)/,
    );
    assert.match(readFileSync(policy, "utf8"), /allow mknod(?:at)?\b/);
  });

  test("calls that the program makes in the whole sandbox alone are learned from too, and what a rule refuses stays", () => {
    const folder = scratchPath("only-there");
    mkdirSync(folder);
    const [key, policy] = [join(folder, "server.key"), join(folder, "learned.toml")];
    writeFileSync(key, "secret\n");
    // A key is not granted: where it is missing, another program is started, which makes a call that nothing else has made.
    const script = `if [ -e ${key} ]; then echo here; else sync && rmdir /nonexistent; echo there; fi`;
    const outcome = run(["learn", "-o", policy, "--", "sh", "-c", script]);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.match(
      outcome.stderr,
      /tried: ran in the whole sandbox: this was still missing, and is added:\n {2}allow execve\n/,
    );
    const text = readFileSync(policy, "utf8");
    for (const rule of [
      /^allow execve +# sh ×\d+, in the whole sandbox$/m,
      /^allow sync +# sync ×1, in the whole sandbox$/m,
    ])
      assert.match(text, rule);
    rulesAreExplained(text);
    const refused = text
      .replace("# Not watched", "deny sync\n# Not watched")
      .replace(/^allow sync .*\n/m, "");
    writeFileSync(policy, refused);
    const again = run(["learn", "-o", policy, "--", "sh", "-c", `umask 077; ${script}`]);
    assert.match(again.stderr, /^denied {2}sync\(\)/m);
    assert.doesNotMatch(readFileSync(policy, "utf8"), /allow sync/);
  });

  test("a policy that is edited while the program runs keeps what was written into it", () => {
    const policy = learn("edited", ["true"]);
    // The program itself is who edits, in the run that is learned from; what it has written holds in the next one.
    const rule = "deny mkdir, mkdirat   # by hand";
    const script = `rmdir made 2>/dev/null; if mkdir made; then { sed "s/^errno(ENOSYS) clone3/${rule}\\n&/" "$0" >new; cat new >"$0"; }; fi`;
    const outcome = run(["learn", "-o", policy, "--", "sh", "-c", script, policy], { cwd: dirname(policy) });
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.match(
      outcome.stderr,
      /was changed while the program ran: what was learned is for what is there now\n[\s\S]*mkdir: .*not permitted\ncallgate learn: tried/,
    );
    const text = readFileSync(policy, "utf8");
    assert.equal(text.split(rule).length, 2, text);
    assert.match(text, /^allow execve\b/m);
    rulesAreExplained(text.replace(`${rule}\n`, ""));
  });

  test("what comes into the policy's place while the program runs is not written over", () => {
    const [policy, again] = [scratchPath("came.toml"), scratchPath("came-again.toml")];
    const first = run(["learn", "-o", policy, "--", "sh", "-c", 'echo "no policy" >"$0"', policy]);
    assert.equal(first.status, 2, first.stderr);
    assert.match(first.stderr, /came\.toml is no policy without mistakes/);
    assert.equal(readFileSync(policy, "utf8"), "no policy\n");
    const forced = run([
      "learn",
      "--once",
      "--force",
      "-o",
      again,
      "--",
      "sh",
      "-c",
      'echo "no policy" >"$0"',
      again,
    ]);
    assert.match(readFileSync(again, "utf8"), /Written by callgate learn/, forced.stderr);
  });

  test("policies are merged", () => {
    const [a, b] = [learn("a", ["true"]), learn("b", ["sh", "-c", "/bin/true"])];
    const merged = scratchPath("merged.toml");
    const outcome = run(["learn", "-o", merged, "--merge", a, b]);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.equal(run(["run", "--filter-only", "--policy", merged, "--", "sh", "-c", "/bin/true"]).status, 0);
    const narrow = (name: string, rules: string): string =>
      scratchFile(name, `version = 1\n[syscalls]\nbaseline = "4.10"\nrules = '''\n${rules}\n'''\n`);
    const wide = narrow("wide.toml", "allow ioctl(request in {TCGETS, FIONREAD})\nallow read");
    const more = narrow(
      "more.toml",
      "allow ioctl(request == TCGETS)\nallow ioctl(request in {TCGETS, TCSETS})\nallow read(fd == 0)",
    );
    const both = scratchPath("both.toml");
    const once = run(["learn", "-o", both, "--merge", wide, more]);
    assert.match(once.stderr, /2 policies, one rule added/);
    assert.deepEqual(
      loadPolicy(both).policy?.syscalls.rules.map((rule) =>
        printRule({ action: rule.action, selectors: rule.selectors }),
      ),
      [
        "allow ioctl(request in {TCGETS, FIONREAD})",
        "allow read",
        "allow ioctl(request in {TCGETS, TCSETS})",
      ],
    );
    const other = scratchFile(
      "other.toml",
      "version = 1\n[syscalls]\ndefault = \"kill\"\nrules = '''\nallow read\n'''\n",
    );
    const refused = run(["learn", "-o", scratchPath("no.toml"), "--merge", a, other]);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /differ in default/);
  });

  test("what the first one extends by a relative path is still the same file", () => {
    const folder = scratchPath("merge-extends");
    for (const part of ["", "a", "a/more", "out"]) mkdirSync(join(folder, part));
    const write = (file: string, head: string, rule: string): void =>
      writeFileSync(
        join(folder, file),
        `version = 1\n${head}[syscalls]\ndefault = "deny"\nbaseline = "6.1"\nrules = '''\n${rule}\n'''\n`,
      );
    write("a/base.toml", "", "allow read");
    write("a/more/other.toml", "", "allow lseek");
    write("a/a.toml", `extends = ["base.toml", './more/other.toml', "default"] # mine\n`, "allow write");
    write("b.toml", "", "allow mkdir");
    const line = ["learn", "-o", "out/merged.toml", "--merge", "a/a.toml", "b.toml"];
    const outcome = run(line, { cwd: folder });
    assert.equal(outcome.status, 0, outcome.stderr);
    const merged = join(folder, "out", "merged.toml");
    assert.match(
      readFileSync(merged, "utf8"),
      /^extends = \["\.\.\/a\/base\.toml", "\.\.\/a\/more\/other\.toml", "default"\] # mine$/m,
    );
    const { policy, diagnostics } = loadPolicy(merged);
    assert.deepEqual(
      diagnostics.filter(({ severity }) => severity === "error"),
      [],
    );
    const rules = policy?.syscalls.rules.map(({ span }) => span?.source.name ?? "");
    assert.ok(rules?.includes(join(folder, "a", "base.toml")), rules?.join());
  });

  test("merged grants stay those of the same files, wherever the policies are", () => {
    const folder = scratchPath("merge");
    for (const part of ["", "a", "b", "out"]) mkdirSync(join(folder, part));
    const policyWith = (file: string, grant: string): void =>
      writeFileSync(
        join(folder, file),
        `version = 1\n[syscalls]\nrules = '''\nallow read\n'''\n[files]\nread = ["${grant}"]\n`,
      );
    policyWith("a/a.toml", "/srv");
    policyWith("b/b.toml", "./data");
    const merged = join(folder, "out", "merged.toml");
    const outcome = run(["learn", "-o", merged, "--merge", "a/a.toml", "b/b.toml"], { cwd: folder });
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.deepEqual(loadPolicy(merged).policy?.files?.read, [join(folder, "b", "data"), "/srv"]);
    const moved = run(["learn", "-o", "out/no.toml", "--merge", "b/b.toml", "a/a.toml"], { cwd: folder });
    assert.equal(moved.status, 2);
    assert.match(moved.stderr, /relative to its own folder, and out\/no\.toml is in another one/);
    assert.ok(!existsSync(join(folder, "out", "no.toml")));
  });
});

describe("programs that are hard to watch", () => {
  test("signals while calls wait for their answers", () => {
    const script = `
import signal, os
count = 0
def note(*_):
    global count
    count += 1
signal.signal(signal.SIGALRM, note)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for _ in range(3000):
    os.close(os.open("/etc/passwd", os.O_RDONLY))
signal.setitimer(signal.ITIMER_REAL, 0)
print(count > 0)
`;
    learn("signals", ["/usr/bin/python3", "-c", script]);
  });

  test("many threads", () => {
    const source = `#include <pthread.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
static void *work(void *unused) {
  for (int i = 0; i < 20; i++) { int fd = open("/etc/passwd", O_RDONLY); if (fd >= 0) close(fd); }
  return unused;
}
int main(void) {
  for (int round = 0; round < 20; round++) {
    pthread_t all[100];
    for (int i = 0; i < 100; i++) if (pthread_create(&all[i], 0, work, 0) != 0) return 1;
    for (int i = 0; i < 100; i++) pthread_join(all[i], 0);
  }
  puts("2000 threads");
  return 0;
}
`;
    const policy = learn("threads", [compileC("threads", source, ["-pthread"])]);
    const text = readFileSync(policy, "utf8");
    assert.match(text, /clone\(flags within .*CLONE_THREAD/);
    assert.match(text, / ×40\d\d\d\n/);
  });

  test("a program that is killed while it waits", () => {
    learn("killed", ["sh", "-c", "kill -9 $$"]);
  });

  test("a program that installs a filter of its own", () => {
    const policy = scratchPath("filter.toml");
    const outcome = run(["learn", "-o", policy, "--", callgate, "run", "--filter-only", "--", "true"]);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.match(
      readFileSync(policy, "utf8"),
      /allow seccomp\(operation (?:== SECCOMP_SET_MODE_FILTER|in \{)/,
    );
  });

  test("a program that ends by no polite signal", async () => {
    const policy = scratchPath("stubborn.toml");
    const marker = `stubborn-${process.pid}`;
    const script = `trap '' INT TERM HUP; echo ready; while :; do sleep 1; done; : ${marker}`;
    const learning = spawn(callgate, ["learn", "-o", policy, "--", "sh", "-c", script], {
      env: { PATH: path },
    });
    const ended = finish(learning);
    await new Promise((resolve) => learning.stdout.once("data", resolve));
    learning.kill("SIGTERM");
    const { status, stderr } = await ended;
    assert.equal(status, 0, stderr);
    assert.ok(existsSync(policy));
    await until("the program's end", () => processesWith(marker).length === 0);
  });

  test("the watcher is killed: the program goes with it, and nothing stays", async () => {
    const policy = scratchPath("orphan.toml");
    const marker = `orphan-${process.pid}`;
    // What was seen in the last 64 calls may be lost: there are more before it is killed.
    const script = `i=0; while [ $i -lt 200 ]; do : < /etc/passwd; i=$((i + 1)); done; echo ready; while :; do : < /etc/passwd; done; : ${marker}`;
    const learning = spawn(callgate, ["learn", "-o", policy, "--", "sh", "-c", script], {
      env: { PATH: path },
    });
    const ended = finish(learning);
    await new Promise((resolve) => learning.stdout.once("data", resolve));
    const watcher = processesWith(marker).find(
      (pid) => readFileSync(`/proc/${pid}/comm`, "utf8") === "watcher\n",
    );
    assert.ok(watcher !== undefined);
    process.kill(Number(watcher), "SIGKILL");
    const { status, stderr } = await ended;
    assert.equal(status, 1, stderr);
    assert.match(stderr, /the watcher was killed/);
    await until("the program's end", () => processesWith(marker).length === 0);
  });

  test("a process that is left behind", async () => {
    const policy = scratchPath("behind.toml");
    const marker = `behind-${process.pid}`;
    const script = `sh -c 'while :; do sleep 1; done; : ${marker}' & echo ready`;
    const learning = spawn(callgate, ["learn", "-o", policy, "--", "sh", "-c", script], {
      env: { PATH: path },
    });
    const ended = finish(learning);
    let said = "";
    learning.stderr.on("data", (chunk) => {
      said += chunk;
    });
    await until("what is said of it", () => said.includes(" left "));
    learning.kill("SIGINT");
    const { stderr } = await ended;
    assert.match(stderr, /has ended and left \S+ (?:process|processes) behind: Ctrl-C ends learning/);
    await until("its end", () => processesWith(marker).length === 0);
  });
});

describe("bad input of learn", () => {
  const started = scratchPath("started");
  const lines: readonly (readonly [name: string, args: readonly string[], says: RegExp])[] = [
    ["no file", ["--", "true"], /the policy's file is missing/],
    ["no command", ["-o", "/tmp/x.toml"], /the command is missing/],
    [
      "a folder that is not there",
      ["-o", "/nonexistent/x.toml", "--", "touch", started],
      /there is no such folder/,
    ],
    ["a folder as the file", ["-o", "/tmp", "--", "touch", started], /it is not a file/],
    ["standard output", ["-o", "-", "--", "true"], /is written to a file/],
    ["no such program", ["-o", scratchPath("n.toml"), "--", "no-such-program"], /command not found/],
    [
      "a file that is no policy",
      ["-o", scratchFile("text", "hello\n"), "--", "true"],
      /cannot be extended: --force begins anew/,
    ],
  ];
  for (const [name, args, says] of lines) {
    test(name, () => {
      const { status, stderr } = run(["learn", ...args]);
      assert.equal(status, 2);
      assert.match(stderr, says);
      assert.ok(!existsSync(started), "the program was started");
    });
  }

  test("a policy that its user may not write: said before the program is started", {
    skip: !isRoot && "needs root, for somebody else's files",
  }, () => {
    const [folder, file] = [scratchPath("others"), scratchFile("others.toml", "version = 1\n")];
    mkdirSync(folder, { mode: 0o755 });
    for (const output of [join(folder, "new.toml"), file]) {
      const { status, stderr } = run(["learn", "-o", output, "--", "touch", started], ordinaryUser);
      assert.equal(status, 2);
      assert.match(stderr, /^callgate learn: cannot write ".*": permission denied\n$/);
    }
    assert.ok(!existsSync(started), "the program was started");
    assert.equal(readFileSync(file, "utf8"), "version = 1\n");
  });

  test("a program that does nothing", { skip: architecture !== "x86_64" && "needs x86" }, () => {
    const source = `__asm__(".globl _start\\n_start: mov $60, %eax; xor %edi, %edi; syscall");\n`;
    const program = compileC("nothing", source, ["-nostdlib", "-static", "-no-pie"]);
    const policy = scratchPath("nothing.toml");
    const { status, stderr } = run(["learn", "-o", policy, "--", program]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /: 0 rules for what was seen and 0 derived \(status 0\)\n/);
    assert.match(stderr, /tried: ran in the whole sandbox too \(callgate run /);
    assert.match(readFileSync(policy, "utf8"), /^# Seen\.\n'''$/m);
  });

  test("a file is replaced with --force only", () => {
    const file = scratchFile("old.toml", "not a policy\n");
    assert.equal(run(["learn", "-o", file, "--", "true"]).status, 2);
    assert.equal(readFileSync(file, "utf8"), "not a policy\n");
    assert.equal(run(["learn", "-o", file, "--force", "--", "true"]).status, 0);
    assert.match(readFileSync(file, "utf8"), /Written by callgate learn/);
  });

  test("a program's input: a file is read again, a pipe is not", () => {
    const policy = scratchPath("input.toml");
    const piped = run(["learn", "-o", policy, "--", "cat"], { input: "hello\n" });
    assert.equal(piped.stdout, "hello\n");
    assert.match(piped.stderr, /not tried: the program's input came from a pipe/);
    const file = scratchFile("input", "from a file\n");
    const shell = spawnSync(
      "sh",
      ["-c", `"$1" learn --force -o "$2" -- cat < "$3"`, "sh", callgate, policy, file],
      {
        encoding: "utf8",
      },
    );
    // Watched, tried under the filter, tried in the whole sandbox.
    assert.equal(shell.stdout, "from a file\n".repeat(3));
  });

  test("a set-user-id program is said to run without its owner's rights", {
    skip: !isRoot && "needs root",
  }, () => {
    const program = compileC("raised", "int main(void) { return 0; }\n");
    spawnSync("chmod", ["4755", program]);
    const folder = scratchPath("raised-out");
    mkdirSync(folder);
    spawnSync("chmod", ["777", folder]);
    const { stderr } = run(["learn", "-o", join(folder, "x.toml"), "--", program], ordinaryUser);
    assert.match(stderr, /is set-user-id: it runs without the rights of its owner/);
  });

  test("a name with escapes in it does not reach the terminal", () => {
    const folder = scratchPath("escape");
    mkdirSync(folder);
    const program = join(folder, "a\u001b[31mb'''#");
    spawnSync("cp", ["/bin/true", program]);
    const policy = join(folder, "x.toml");
    const { status, stderr } = run(["learn", "-o", policy, "--", program]);
    assert.equal(status, 0, stderr);
    assert.ok(!stderr.includes("\u001b"));
    assert.ok(!readFileSync(policy, "utf8").includes("\u001b"));
  });
});
