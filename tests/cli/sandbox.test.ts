// `callgate run` with everything: what a program finds by default, what is granted by a word, what is refused, and
// the mode without namespaces. As root and as an ordinary user.
// Debian packages: git, procps, python3, util-linux
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  isRoot,
  launch,
  ordinaryUser,
  planFor,
  refuseFilter,
  scratchFile,
  scratchPath,
} from "../kernel/native.ts";
import { callgate, callgatePath, type Outcome, shell } from "./callgate.ts";

interface Person {
  readonly name: string;
  readonly isRoot: boolean;
  readonly uid: number;
}
const ordinary: Person = {
  name: "an ordinary user",
  isRoot: false,
  uid: isRoot ? ordinaryUser.uid : (process.getuid?.() ?? 0),
};
const people: readonly Person[] = isRoot ? [{ name: "root", isRoot: true, uid: 0 }, ordinary] : [ordinary];

/** A home with what homes have, and a folder to work in; both the person's own. */
function home(person: Person): { readonly home: string; readonly work: string } {
  const folder = scratchPath("home");
  const work = scratchPath("work");
  const own = (path: string, content?: string): void => {
    if (content === undefined) mkdirSync(path);
    else writeFileSync(path, content);
    chmodSync(path, content === undefined ? 0o777 : 0o666);
    if (isRoot) chownSync(path, person.uid, person.uid);
  };
  for (const path of [folder, join(folder, ".ssh"), work]) own(path);
  own(join(folder, ".bashrc"), "start\n");
  own(join(folder, ".ssh", "id_rsa"), "secret\n");
  own(join(folder, ".ssh", "authorized_keys"), "keys\n");
  own(join(work, "input"), "input\n");
  own(join(work, "inner"));
  return { home: folder, work };
}

const namespaceCall = process.arch === "x64" ? 272 : 97;

/** Runs callgate where making namespaces is refused, as by user.max_user_namespaces=0. */
function withoutNamespaces(
  args: readonly string[],
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string>>; readonly uid?: number },
): Outcome {
  const steps = [
    { kind: "noNewPrivileges" },
    { kind: "filter", bytes: refuseFilter(namespaceCall, 28) },
  ] as const;
  return launch(planFor(steps, callgatePath, ...args), {
    ...options,
    ...(options.uid === undefined ? {} : { gid: options.uid }),
    env: { PATH: process.env["PATH"] ?? "", NO_COLOR: "1", ...options.env },
  });
}

for (const person of people) {
  describe(`run, ${person.name}`, () => {
    const place = home(person);
    const options = {
      cwd: place.work,
      env: { HOME: place.home, CANARY: "sings" },
      ...(person.uid === 0 ? {} : { uid: person.uid }),
    };
    const run = (...args: readonly string[]): Outcome => callgate(["run", ...args], options);
    const sh = (line: string, ...more: readonly string[]): Outcome => run(...more, "--", "sh", "-c", line);
    const alone = (line: string, ...more: readonly string[]): Outcome =>
      withoutNamespaces(["run", "--missing", "namespaces", ...more, "--", "sh", "-c", line], options);

    test("by default: the folder read-only, an empty home, private /tmp, no network, a short environment", () => {
      const { stdout, status } = sh(
        "cat input; touch new 2>/dev/null || echo read-only; ls -A ~; touch ~/mine /tmp/mine /dev/shm/mine; ls ~ /dev/shm; " +
          "grep -c : /proc/net/dev; echo canary $CANARY; id -u; cat /etc/shadow 2>/dev/null; ls /sys /home /var/log 2>/dev/null; true",
      );
      const uid = person.isRoot ? 65534 : person.uid;
      assert.equal(stdout, `input\nread-only\n/dev/shm:\nmine\n\n${place.home}:\nmine\n1\ncanary\n${uid}\n`);
      const ids = sh("ls -d /proc/[0-9]*").stdout.trim().split("\n");
      assert.ok(ids.length <= 4, ids.join());
      assert.equal(status, 0);
      assert.ok(!existsSync(join(place.home, "mine")));
    });

    test("namespaces of its own, all of them; no capabilities", () => {
      const names = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
      const line = `for name in ${names.join(" ")}; do readlink /proc/self/ns/$name; done; grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status`;
      const outside = spawnSync("sh", ["-c", line], { encoding: "utf8" }).stdout.split("\n");
      const inside = sh(line).stdout.split("\n");
      for (let index = 0; index < names.length; index += 1) {
        assert.match(inside[index] ?? "", /^\w+:\[\d+\]$/);
        assert.notEqual(inside[index], outside[index]);
      }
      for (const line of inside.slice(names.length, names.length + 3)) assert.match(line, /\t0+$/);
    });

    test("--read shows, --write lets write; start-up files and keys stay as they are", () => {
      assert.equal(sh(`cat ${place.home}/.ssh/id_rsa`, "--read", "~/.ssh").stdout, "secret\n");
      assert.notEqual(sh(`cat ${place.home}/.ssh/id_rsa`).status, 0);
      assert.equal(sh("echo written >new && cat new", "--write", ".").stdout, "written\n");
      assert.equal(readFileSync(join(place.work, "new"), "utf8"), "written\n");
      const attempts = sh(
        "cd; echo evil >>.bashrc; echo evil >.ssh/authorized_keys; mv .ssh old; mv .bashrc old; rm -f .bashrc; echo fine >.ssh/other; ls -A",
        "--home",
      );
      assert.match(attempts.stderr, /Read-only file system/);
      assert.equal(attempts.stdout, ".bashrc\n.ssh\n");
      assert.equal(readFileSync(join(place.home, ".bashrc"), "utf8"), "start\n");
      assert.equal(readFileSync(join(place.home, ".ssh", "authorized_keys"), "utf8"), "keys\n");
      assert.equal(readFileSync(join(place.home, ".ssh", "other"), "utf8"), "fine\n");
    });

    test("of two grants of one path writing counts, of two nested ones the inner", () => {
      const write = "echo x >a; echo x >inner/a; ls a inner/a 2>&1; rm -f a inner/a";
      const both = sh(write, "--write", ".", "--read", ".", "--read", "./");
      assert.equal(both.stdout, "a\ninner/a\n", both.stderr);
      const kept = sh(write, "--write", ".", "--read", "inner");
      assert.match(kept.stdout, /cannot access 'inner\/a'.*\na\n$/);
      const opened = sh(write, "--read", ".", "--write", "inner");
      assert.match(opened.stdout, /cannot access 'a'.*\ninner\/a\n$/);
      assert.equal(
        sh("echo x >~/new && cat ~/new; rm ~/new", "--home", "--write", "~", "--read", "~").stdout,
        "x\n",
      );
    });

    test("the policy stays as it is where its folder may be written, by whatever name it was given, and so does what it extends", () => {
      const folder = join(place.work, "policies");
      mkdirSync(folder, { mode: 0o777 });
      chmodSync(folder, 0o777);
      const texts = {
        "own.toml": 'version = 1\nextends = ["base.toml"]\n',
        "base.toml": 'version = 1\nextends = ["default"]\n',
        "more.rules": "deny keyctl(operation == KEYCTL_JOIN_SESSION_KEYRING)\n",
      };
      const names = Object.keys(texts);
      for (const [name, text] of Object.entries(texts)) {
        writeFileSync(join(folder, name), text);
        chmodSync(join(folder, name), 0o666);
        if (isRoot) chownSync(join(folder, name), person.isRoot ? 65534 : person.uid, 65534);
      }
      if (isRoot) chownSync(folder, person.isRoot ? 65534 : person.uid, 65534);
      const line = names.map((name) => `echo x >>${name}; mv ${name} gone; rm -f ${name}`).join("; ");
      for (const prefix of ["", "./", `${folder}/`]) {
        const { stdout } = callgate(
          [
            "run",
            "--policy",
            `${prefix}own.toml`,
            "--rules",
            `${prefix}more.rules`,
            "--write",
            ".",
            "--",
            "sh",
            "-c",
            `${line}; echo fine >new; ls`,
          ],
          { ...options, cwd: folder },
        );
        assert.equal(
          stdout,
          [...names, "new"]
            .sort()
            .map((name) => `${name}\n`)
            .join(""),
        );
        for (const [name, text] of Object.entries(texts))
          assert.equal(readFileSync(join(folder, name), "utf8"), text, `${prefix}${name}`);
      }
    });

    test("a repository that is granted keeps its hooks and its configuration", () => {
      const { work } = home(person);
      const identity = person.uid === 0 ? {} : { uid: person.uid, gid: person.uid };
      assert.equal(
        spawnSync("git", ["init", "-q", join(work, "sub")], {
          ...identity,
          env: { HOME: place.home, PATH: process.env["PATH"] },
        }).status,
        0,
      );
      if (person.isRoot) spawnSync("chmod", ["-R", "a+rwX", join(work, "sub")]);
      const { stdout } = callgate(
        [
          "run",
          "--write",
          ".",
          "--",
          "sh",
          "-c",
          "cd sub; echo x >.git/hooks/pre-commit; echo x >>.git/config; mv .git gone; rm -rf .git/hooks; echo x >.git/description && echo fine; ls -A",
        ],
        { ...options, cwd: work },
      );
      assert.equal(stdout, "fine\n.git\n");
      assert.ok(existsSync(join(work, "sub", ".git", "hooks")));
      assert.ok(!existsSync(join(work, "sub", ".git", "hooks", "pre-commit")));
    });

    test("the policy that is in force is not written, also where writing is granted", () => {
      const policy = join(place.work, "own.toml");
      writeFileSync(
        policy,
        'version = 1\nextends = ["default"]\n[files]\nwrite = ["."]\n[syscalls]\nrules = "deny keyctl"\n',
      );
      chmodSync(policy, 0o666);
      const { stdout } = sh(
        "echo x >>own.toml; rm -f own.toml; mv own.toml y; echo x >z; ls own.toml z",
        "--policy",
        policy,
      );
      assert.equal(stdout, "own.toml\nz\n");
    });

    test("--env passes on and sets; LD_PRELOAD and the like do not come in by themselves", () => {
      assert.equal(sh("echo $CANARY $OTHER", "--env", "CANARY", "--env", "OTHER=2").stdout, "sings 2\n");
      const hostile = callgate(["run", "--", "env"], {
        ...options,
        env: { ...options.env, LD_PRELOAD: "/nope.so", IFS: "x", BASH_ENV: "/nope" },
      });
      assert.doesNotMatch(hostile.stdout, /LD_PRELOAD|BASH_ENV|CANARY/);
    });

    test("network: none, ports, the machine's", async () => {
      const server = createServer((socket) => socket.end()).listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      const attempt = (...args: readonly string[]): string =>
        run(
          ...args,
          "--",
          "/usr/bin/python3",
          "-c",
          `import socket\ntry: socket.create_connection(("127.0.0.1", ${port})); print("connected")\nexcept OSError as e: print(e.errno)`,
        ).stdout;
      try {
        assert.equal(attempt(), "111\n");
        assert.equal(attempt("--port", String(port === 1 ? 2 : port - 1)), "13\n");
        assert.equal(attempt("--port", String(port)), "connected\n");
        assert.equal(attempt("--net"), "connected\n");
      } finally {
        server.close();
      }
      const datagram =
        "import socket\nfor k in (socket.SOCK_DGRAM, socket.SOCK_RAW):\n try: socket.socket(socket.AF_INET, k); print('made')\n except OSError as e: print(e.errno)";
      assert.doesNotMatch(run("--port", "80", "--", "/usr/bin/python3", "-c", datagram).stdout, /made/);
    });

    test("limits: open files, processes, memory, time; the final line says which", () => {
      assert.equal(sh("ulimit -n", "--open-files", "32").stdout, "32\n");
      const bomb = sh("for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo end", "--processes", "4");
      assert.match(bomb.stderr, /[Cc]annot fork/);
      const memory = run("--memory", "64M", "--", "/usr/bin/python3", "-c", "x = b'x' * (200 << 20)");
      assert.match(
        memory.stderr,
        /MemoryError|callgate: the sandbox reached its memory limit of 64M \(cgroup v\d\)/,
      );
      const late = sh("sleep 100", "--wall-time", "1s");
      assert.equal(late.signal, "SIGKILL");
      assert.match(late.stderr, /callgate: .*wall-time/);
      const busy = sh("while :; do :; done", "--cpu-time", "1s");
      assert.match(busy.stderr, /callgate: .*cpu-time/);
    });

    test('new-code = "deny" and exec = "files"', () => {
      const python = (policy: string, code: string): string =>
        run(
          "--policy",
          scratchFile("hard.toml", `version = 1\nextends = ["default"]\n[hardening]\n${policy}\n`),
          "--",
          "/usr/bin/python3",
          "-c",
          code,
        ).stdout;
      const mapping =
        "import mmap\ntry:\n mmap.mmap(-1,4096,prot=7)\n print('mapped')\nexcept OSError as e: print(e.errno)";
      assert.equal(python('new-code = "allow"', mapping), "mapped\n");
      assert.equal(python('new-code = "deny"', mapping), "1\n");
      const memfd =
        "import os\nfd=os.memfd_create('x',0)\nos.write(fd,open('/bin/true','rb').read())\nos.execve(fd,['x'],{})";
      const status = (policy: string): number | null =>
        run(
          "--policy",
          scratchFile("files.toml", `version = 1\nextends = ["default"]\n[hardening]\n${policy}\n`),
          "--",
          "/usr/bin/python3",
          "-c",
          memfd,
        ).status;
      assert.equal(status('exec = "any"'), 0);
      assert.notEqual(status('exec = "files"'), 0);
    });

    test("without namespaces: 125 and what to do; with --missing, Landlock and the filter alone", () => {
      const refused = withoutNamespaces(["run", "--", "true"], options);
      assert.equal(refused.status, 125);
      assert.match(
        refused.stderr,
        /namespaces: .*user\.max_user_namespaces.*\n.*without it .*\n.*--missing namespaces/,
      );
      const found = alone(
        `cat input; touch new2; cat ${place.home}/.bashrc; ls ${place.home}; echo x >/tmp/x; kill -0 $PPID; cat /proc/$PPID/environ; echo done`,
      );
      assert.equal(found.stdout, "input\ndone\n");
      assert.equal(found.status, 0);
      assert.equal(alone("echo written >new3 && cat new3", "--write", ".").stdout, "written\n");
      const nested = alone("echo started", "--write", ".", "--read", "inner");
      assert.deepEqual([nested.status, nested.stdout], [125, ""]);
      assert.match(
        nested.stderr,
        /inner cannot be read-only within \S+, in which writing is granted: without namespaces/,
      );
      const socket =
        "import socket\nfor f in (1, 2, 10, 16):\n try: socket.socket(f); print('made')\n except OSError as e: print(e.errno)\nsocket.socketpair()";
      assert.equal(alone(`/usr/bin/python3 -c "${socket}"`).stdout, "13\n13\n13\n13\n");
      const policy = scratchFile(
        "absent.toml",
        'version = 1\nextends = ["default"]\n[hardening]\nmissing-layers = ["namespaces"]\n',
      );
      assert.equal(
        withoutNamespaces(["run", "--policy", policy, "--", "echo", "yes"], options).stdout,
        "yes\n",
      );
    });

    test("callgate runs in callgate: with --missing, since namespaces are refused inside", () => {
      const inner = run(
        "--read",
        process.execPath,
        "--read",
        join(callgatePath, "..", ".."),
        "--env",
        "PATH",
        "--",
        callgatePath,
        "run",
        "--missing",
        "namespaces",
        "--",
        "echo",
        "inner",
      );
      assert.deepEqual([inner.stdout, inner.status], ["inner\n", 0], inner.stderr);
    });

    const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
      [
        "a path that is not there",
        ["--read", "/no/such"],
        /"\/no\/such" cannot be granted: there is no such file/,
      ],
      ["two of them", ["--read", "/no/1", "--write", "/no/2"], /\/no\/2.*\n.*\/no\/1/],
      ["a newline in a path", ["--read", "a\nb"], /newline/],
      ["an empty path", ["--write", ""], /empty/],
      ["/proc", ["--write", "/proc/sys"], /sandbox's own/],
      ["a link in a circle", ["--read", circle()], /circle/],
      [
        "another's home by ~",
        ["--read", "~daemon/x"],
        /"~daemon\/x" cannot be granted: ~ alone is your own home/,
      ],
      ["a port that is no number", ["--port", "http"], /"http" is no port/],
      ["a port that is too large", ["--port", "65536"], /"65536" is no port/],
      [
        "a port of five nines",
        ["--port", "99999"],
        /"99999" is no port: --port takes a number from 1 to 65535/,
      ],
      ["a size that is none", ["--memory", "much"], /memory is not a limit/],
      [
        "too small a size",
        ["--memory", "1"],
        /memory is too small a limit: no program starts with less than 64K/,
      ],
      ["a size with a unit that is none", ["--memory", "12Q"], /memory is not a limit/],
      [
        "a file where a folder is meant",
        ["--read", `${scratchFile("file", "")}/`],
        /is a file, not a folder/,
      ],
      ["a time that is none", ["--wall-time", "soon"], /wall-time is not a limit/],
      ["the network and a port", ["--net", "--port", "1"], /contradict/],
      ["root and a user", ["--as-root", "--user", "nobody"], /contradict/],
      // It would see root's secrets, and write the kernel's settings.
      [
        "root as a user",
        ["--user", "root"],
        person.isRoot ? /--user root is root: .*--as-root/ : /only root can start programs as somebody else/,
      ],
      ["the terminal and a session without it", ["--tty", "--new-session"], /contradict/],
      ["a layer that does not exist", ["--missing", "fiels"], /no layer "fiels"/],
      ["a variable without a name", ["--env", "=x"], /no variable/],
      ["the filter alone, and the network", ["--filter-only", "--net"], /--net would do nothing/],
      [
        "the filter alone for a policy with more",
        ["--filter-only", "--policy", scratchFile("more.toml", "version = 1\n[network]\nmode = 'off'\n")],
        /asks for more than a filter/,
      ],
      [
        "a policy whose network is off, with ports",
        ["--policy", scratchFile("ports.toml", "version = 1\n[network]\nmode = 'off'\nports = [1]\n")],
        /contradict/,
      ],
      ...["allow", "log", "trace(1)"].map((action): (typeof wrong)[number] => [
        `other ABIs that no rule of the sandbox would hold for: ${action}`,
        ["--policy", scratchFile("abis.toml", `version = 1\n[syscalls]\nother-abis = "${action}"\n`)],
        /other-abis = ".*" lets calls past the rules of the sandbox.*contradict.*--filter-only/,
      ]),
    ];
    for (const [name, args, message] of wrong) {
      test(`refused before anything is set up: ${name}`, () => {
        const { status, stdout, stderr } = run(...args, "--", "echo", "started");
        assert.deepEqual([status, stdout], [125, ""]);
        assert.match(stderr, message);
      });
    }
    test("refused: a link that leads out of the folder it is relative to; by its whole path it is followed", () => {
      const outside = scratchPath("outside");
      mkdirSync(outside);
      chmodSync(outside, 0o755);
      writeFileSync(join(outside, "content"), "outside\n");
      const tree = scratchPath("tree");
      mkdirSync(join(tree, "inner"), { recursive: true });
      writeFileSync(join(tree, "inner", "content"), "inside\n");
      symlinkSync(outside, join(tree, "leads-out"));
      symlinkSync("inner", join(tree, "stays"));
      const policy = join(tree, "p.toml");
      const write = (path: string): void =>
        writeFileSync(policy, `version = 1\nextends = ["default"]\n[files]\nread = ["${path}"]\n`);
      const attempt = (...args: readonly string[]): Outcome =>
        callgate(["run", ...args], { ...options, cwd: tree });
      for (const path of ["leads-out", "./leads-out", "inner/../leads-out/content"]) {
        write(path);
        for (const args of [
          ["--read", path],
          ["--policy", policy],
          ["--policy", "p.toml"],
        ]) {
          const { status, stdout, stderr } = attempt(...args, "--", "echo", "started");
          assert.deepEqual([status, stdout], [125, ""]);
          assert.match(
            stderr,
            /leads-out(\/content)?" cannot be granted: it is a link that leads out of \S+, to \S*outside/,
          );
        }
      }
      assert.equal(attempt("--read", "stays", "--", "cat", "stays/content").stdout, "inside\n");
      const whole = join(tree, "leads-out");
      assert.equal(attempt("--read", whole, "--", "cat", join(outside, "content")).stdout, "outside\n");
    });

    test("refused: a home that is no whole path; without one it is the system's", () => {
      const wrong = callgate(["run", "--", "echo", "started"], { ...options, env: { HOME: "home" } });
      assert.deepEqual([wrong.status, wrong.stdout], [125, ""]);
      assert.match(wrong.stderr, /^callgate: HOME is "home", which is relative/);
      const none = callgate(["run", "--", "echo", "started"], { ...options, env: { HOME: "" } });
      assert.deepEqual([none.status, none.stdout], [0, "started\n"], none.stderr);
    });

    test("refused: a working directory that was removed, that has too long a path, or that may not be entered", (context) => {
      const refusal = (prepare: string): Outcome => {
        const as = person.uid === 0 ? {} : { uid: person.uid };
        const folder = scratchPath("place");
        mkdirSync(folder);
        if (isRoot) chownSync(folder, person.uid, person.uid);
        // Removed by whoever can remove a path that is too long.
        const line = `trap "chmod -Rf u+rwx '${folder}'; rm -rf '${folder}'" EXIT; cd '${folder}' && ${prepare} && "$callgate" run -- echo started`;
        return shell(line, { ...as, env: { HOME: place.home } });
      };
      const long = `for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do mkdir ${"n".repeat(200)} && cd -P ${"n".repeat(200)} || exit; done`;
      for (const [prepare, message] of [
        ["mkdir gone && cd gone && rmdir ../gone", /^callgate: the working directory was removed: go to/m],
        [long, /^callgate: the working directory has a path that is too long: go to/m],
        ...(person.isRoot
          ? []
          : ([
              [
                "mkdir closed && cd closed && chmod 0 .",
                /^callgate: the working directory \S+\/closed may not be entered: go to/m,
              ],
              [
                "mkdir -p closed/in && cd closed/in && chmod 0 ..",
                /^callgate: the working directory \S+\/closed\/in may not be entered: go to/m,
              ],
            ] as const)),
      ] as const) {
        const { status, stdout, stderr } = refusal(prepare);
        assert.deepEqual([status, stdout], [125, ""], stderr);
        assert.match(stderr, message);
        assert.doesNotMatch(stderr, /internal/);
      }
      if (person.isRoot) context.diagnostic("root enters every folder");
    });

    test("refused: a folder that may not be read", (context) => {
      if (person.isRoot) return context.diagnostic("root reads everything");
      const closed = scratchPath("closed");
      mkdirSync(closed, { mode: 0o700 });
      if (!isRoot) chmodSync(closed, 0);
      const { status, stderr } = run("--read", closed, "--", "true");
      assert.equal(status, 125);
      assert.match(stderr, /not readable/);
    });
  });
}

function circle(): string {
  const path = scratchPath("circle");
  symlinkSync(path, path);
  return path;
}

test("paths in a policy are relative to its file, ~ is the caller's home", () => {
  const folder = scratchPath("beside");
  mkdirSync(folder);
  writeFileSync(join(folder, "data"), "beside\n");
  writeFileSync(join(folder, "p.toml"), 'version = 1\nextends = ["default"]\n[files]\nread = ["./data"]\n');
  const { stdout } = callgate(
    ["run", "--policy", join(folder, "p.toml"), "--", "cat", join(folder, "data")],
    { cwd: "/" },
  );
  assert.equal(stdout, "beside\n");
});

test("plan lists the groups that an ordinary user cannot give up, and what they open of what is shown", (context) => {
  if (!isRoot) return context.diagnostic("only root can give himself groups");
  const logs = scratchPath("logs");
  const out = scratchPath("out");
  for (const [path, mode, gid] of [
    [logs, 0o750, 4],
    [out, 0o770, 6],
  ] as const) {
    mkdirSync(path);
    chmodSync(path, mode);
    chownSync(path, 0, gid);
  }
  const { uid, gid } = ordinaryUser;
  const as = (rest: string): Outcome =>
    shell(`setpriv --reuid ${uid} --regid ${gid} --groups ${gid},4,6,7 "$callgate" ${rest}`, { cwd: "/usr" });
  const args = `--read ${logs} --write ${out} -- true`;
  const plan = as(`plan ${args}`);
  const words = plan.stdout.slice(plan.stdout.indexOf("\ngroups"));
  assert.match(words, /^\ngroups {13}these stay, only root can give them up; what they open:\n/);
  assert.match(words, new RegExp(`^ {19}adm \\(4\\): .*read ${logs}$`, "m"));
  assert.match(words, new RegExp(`^ {19}disk \\(6\\): .*write ${out}$`, "m"));
  assert.match(words, /^ {19}lp \(7\): nothing of what is shown$/m);
  assert.equal(as(`run --dry-run ${args}`).stdout, plan.stdout);
  const facts: unknown = JSON.parse(as(`plan --json ${args}`).stdout);
  assert.ok(typeof facts === "object" && facts !== null && "groups" in facts && Array.isArray(facts.groups));
  assert.deepEqual(facts.groups[1], { gid: 6, name: "disk", opens: [{ path: out, access: "write" }] });
  // It is so: the group's right holds inside. Root's program has none.
  assert.equal(as(`run --write ${out} -- touch ${out}/by-group`).status, 0);
  assert.ok(existsSync(join(out, "by-group")));
  assert.doesNotMatch(shell(`"$callgate" plan ${args}`).stdout, /^groups/m);
});

test("a thousand grants, also for who may have few files open", () => {
  const folder = scratchPath("many");
  mkdirSync(folder);
  for (let index = 0; index < 1000; index += 1) mkdirSync(join(folder, String(index)));
  const { uid } = ordinary;
  const found = shell(
    `cd /usr; ulimit -Sn 128; set --; for i in $(seq 0 999); do set -- "$@" --read ${folder}/$i; done; "$callgate" run "$@" -- sh -c "ls ${folder} | wc -l; ulimit -n"`,
    { uid },
  );
  assert.equal(found.stdout, "1000\n128\n", found.stderr);
});

test("where /var is shown, /var/tmp is the sandbox's own all the same", () => {
  const mark = `callgate-${process.pid}`;
  const line = `ls -A /var/tmp; echo x >/var/tmp/${mark} && ls -A /var/tmp; ls /var/lib | grep -c . >/dev/null && pwd`;
  for (const { uid } of people) {
    for (const [cwd, grant] of [
      ["/var", []],
      ["/usr", ["--read", "/var"]],
    ] as const) {
      const { stdout, stderr } = callgate(["run", ...grant, "--", "sh", "-c", line], { cwd, uid });
      assert.equal(stdout, `${mark}\n${cwd}\n`, stderr);
      assert.equal(existsSync(`/var/tmp/${mark}`), false);
    }
  }
});

test("a home that is the working directory is not shown, and that is said", () => {
  const { home: folder } = home(people[0] ?? ordinary);
  const found = callgate(["run", "--", "sh", "-c", "pwd; ls -A"], { cwd: folder, env: { HOME: folder } });
  assert.deepEqual([found.stdout, found.status], [`${folder}\n`, 0], found.stderr);
  assert.match(found.stderr, /working directory .* is not shown.*--read \./);
});

test("root: --user takes another identity, --as-root keeps root without its capabilities", (context) => {
  if (!isRoot) return context.diagnostic("only root can");
  assert.equal(callgate(["run", "--user", "daemon", "--", "id", "-un"], { cwd: "/usr" }).stdout, "daemon\n");
  // Whoever is named may be somebody who is let read them.
  const secret = callgate(["run", "--user", "daemon", "--", "stat", "-c", "%F", "/etc/shadow"], {
    cwd: "/usr",
  });
  assert.equal(secret.stdout, "character special file\n", secret.stderr);
  const root = callgate(
    [
      "run",
      "--as-root",
      "--",
      "sh",
      "-c",
      "id -u; grep CapEff /proc/self/status; cat /etc/shadow; echo x >/proc/sys/kernel/core_pattern; mount -t tmpfs x /tmp",
    ],
    { cwd: "/usr" },
  );
  assert.match(root.stdout, /^0\nCapEff:\t0+\n$/);
  assert.match(root.stderr, /core_pattern/);
});
