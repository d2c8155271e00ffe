// `callgate build`: a file that runs a program in its sandbox without Node and without callgate.
// Debian packages: python3-minimal, busybox-static, util-linux, gcc
import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { groupLimits, thisProcess } from "../../src/sandbox/cgroups.ts";
import type { PlanStep } from "../../src/sandbox/plan.ts";
import {
  compileC,
  isRoot,
  launch,
  ordinaryUser,
  planFor,
  type RunResult,
  refuseFilter,
  root,
  runProgram,
  scratchFile,
  scratchPath,
} from "../kernel/native.ts";
import { removeGroup } from "../kernel/remove-group.ts";
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

    test("tells at its end what was denied, how often, to whom, and by which rule at which line", () => {
      const policy = scratchFile(
        "rules.toml",
        'version = 1\nextends = ["default"]\n[syscalls]\nrules = """\nerrno(EXDEV) mkdir, mkdirat   # no folders\ndeny acct\n"""\n',
      );
      const script = [
        "import ctypes, os, socket",
        "for name in ['/tmp/a\\x1b[31m\\u00e9\"', '/tmp/b']:",
        "  try: os.mkdir(name)",
        "  except OSError as error: print(error.errno)",
        "libc = ctypes.CDLL(None)",
        "for i in range(3): libc.acct(None)",
        "libc.syscall(4095, 0)",
        "try: socket.create_connection(('192.0.2.1', 80))",
        "except OSError as error: print(error.errno)",
      ].join("\n");
      const command = ["--", "/usr/bin/python3", "-c", script];
      const report = start(build(policy, ...command), [], person);
      assert.deepEqual([report.status, report.stdout], [0, "18\n18\n101\n"], report.stderr);
      const lines = report.stderr.replaceAll(/\[[0-9]+\]/g, "[PID]").split("\n");
      const path = 'pathname says "/tmp/a\\x1b[31m\\xc3\\xa9\\x22"';
      assert.deepEqual(lines.slice(0, 5), [
        "callgate: calls were denied",
        `denied  mkdir(${path}, mode = 0x1ff) → EXDEV   ×2   by python3[PID]`,
        `        ${policy}:5  errno(EXDEV) mkdir, mkdirat  # no folders`,
        "denied  acct(filename = 0x0) → EPERM   ×3   by python3[PID]",
        `        ${policy}:6  deny acct`,
      ]);
      assert.match(
        lines.slice(5).join("\n"),
        /^denied {2}network: .* → ENETUNREACH.*\n {8}the program has .*\n$/,
      );
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none is to be there
      assert.doesNotMatch(report.stderr, /[\u0000-\u0009\u000b-\u001f]/);

      const all = start(build(policy, "--report=all", ...command), [], person);
      assert.match(
        all.stderr,
        /^denied {2}#4095 → ENOSYS {3}by python3.*\n {8}newer than the policy's baseline/m,
      );
      assert.equal(start(build(policy, "--report=off", ...command), [], person).stderr, "");
      const quiet = build(policy, "--", "true");
      assert.equal(start(quiet, [], person).stderr, "", "nothing was denied");
    });

    test("tells denials as they happen, and a death by SIGSYS", () => {
      const policy = scratchFile(
        "killing.toml",
        'version = 1\nextends = ["default"]\n[syscalls]\nrules = """\ndeny acct\nkill personality\n"""\n',
      );
      const script = [
        "import ctypes, sys",
        "libc = ctypes.CDLL(None)",
        "libc.acct(None)",
        "sys.stdin.read(1)",
        "libc.personality(0)",
      ].join("\n");
      const live = build(policy, "--report=live", "--", "/usr/bin/python3", "-c", script);
      // The program goes on when somebody has read of its denial.
      const { status, stdout } = runProgram("/bin/bash", {
        args: [
          "-c",
          // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
          'coproc APP { exec "$0" 2>&1; }; read -r line <&"${APP[0]}"; echo "$line"; echo >&"${APP[1]}"; cat <&"${APP[0]}"; wait $!',
          live,
        ],
        ...person.identity,
        cwd: "/",
      });
      assert.match(stdout, /^denied {2}acct\(filename = 0x0\) → EPERM {3}by python3\[[0-9]+\]\n/);
      assert.match(
        stdout,
        /\ncallgate: the program was killed by SIGSYS: it made a call that the policy kills/,
      );
      assert.equal(status, 128 + 31);
    });

    test("a file that was cut off or changed starts nothing", () => {
      const whole = readFileSync(build("default", "--", "echo", "started"));
      // The file says where its plans are: one for everybody, and one for root.
      const mark = whole.indexOf("callgate's plan is at:") + 24;
      const [first = 0, firstLength = 0, second = 0, secondLength = 0, shared = 0] = [0, 8, 16, 24, 32].map(
        (at) => Number(whole.readBigUInt64LE(mark + at)),
      );
      // What both say stands once, in the one for everybody.
      assert.ok(shared > 10_000 && second + secondLength - shared === whole.length, String(shared));
      const isForRoot = isRoot && person.identity.uid === undefined;
      const [offset, end] = isForRoot ? [second, whole.length] : [first, first + firstLength];
      for (const at of [offset, offset + 100, first + 100, end - 1]) {
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

// ── The working directory of whoever starts the file ───────────────────────────────────────────────────────────

/** As where user.max_user_namespaces is 0. */
function withoutNamespaces(command: readonly string[], options: Parameters<typeof launch>[1]): RunResult {
  const steps: readonly PlanStep[] = [
    { kind: "noNewPrivileges" },
    { kind: "filter", bytes: refuseFilter(process.arch === "x64" ? 272 : 97, 28) },
  ];
  const [program = "", ...args] = command;
  return launch(planFor(steps, program, ...args), options);
}

function folderFor(everybody: number): string {
  const folder = scratchPath("folder");
  mkdirSync(folder);
  chmodSync(folder, everybody);
  return folder;
}

const startIn = (cwd: string, file: string, { identity }: Person, HOME?: string): RunResult =>
  runProgram(file, {
    cwd,
    ...identity,
    env: { PATH: "/usr/bin:/bin", ...(HOME === undefined ? {} : { HOME }) },
  });

for (const person of people) {
  describe(`the working directory of ${person.name}`, () => {
    test("is shown read-only at its own place, and what is granted in it keeps its own rights", () => {
      const folder = folderFor(0o755);
      writeFileSync(join(folder, "file"), "text");
      mkdirSync(join(folder, "data"));
      chmodSync(join(folder, "data"), 0o777);
      const link = scratchPath("link");
      symlinkSync(folder, link);
      const line =
        "pwd -P; cat file; echo x >new || echo refused; echo y >data/new && cat data/new; ls /home/callgate";
      for (const args of [
        ["--write", join(folder, "data")],
        ["--write", join(folder, "data"), "--read", folder],
      ]) {
        const file = build("default", ...args, "--", "sh", "-c", line);
        for (const cwd of [folder, link]) {
          const { stdout, stderr } = startIn(cwd, file, person, "/nowhere");
          assert.equal(stdout, `${folder}\ntextrefused\ny\n`, stderr);
          assert.match(stderr, /^\S+ 1: cannot create new: Read-only file system\n$|Read-only file system/);
          assert.deepEqual(readdirSync(folder), ["data", "file"]);
        }
      }
    });

    test("is entered where it is a part of what is shown anyway", () => {
      const { stdout, stderr } = startIn("/usr/share", build("default", "--", "pwd"), person, "/nowhere");
      assert.deepEqual([stdout, stderr], ["/usr/share\n", ""]);
    });

    test("is not shown where it holds more than a program's files: the home, by any name, and what is above it", () => {
      const file = build("default", "--", "sh", "-c", "pwd; ls -A");
      const above = folderFor(0o755);
      const home = join(above, "home");
      mkdirSync(home);
      writeFileSync(join(home, "secret"), "");
      const link = scratchPath("link");
      symlinkSync(home, link);
      for (const [cwd, homeAs, reason] of [
        [home, home, "your home is in it"],
        [above, home, "your home is in it"],
        [home, link, "your home is in it"],
        [above, `${above}/gone`, "your home is in it"],
        [home, undefined, "HOME does not say where your home is"],
        [home, "home", "HOME does not say where your home is"],
        ["/tmp", "/nowhere", "the sandbox has folders of its own there"],
        ["/var", "/nowhere", "the sandbox has folders of its own there"],
        ["/home", "/nowhere", "the sandbox has folders of its own there"],
        ["/run", "/nowhere", "it is one of the system's own"],
        ["/proc/1", "/nowhere", "it is one of the system's own"],
        ["/dev/shm", "/nowhere", "it is one of the system's own"],
      ] as const) {
        const { stdout, stderr } = startIn(cwd, file, person, homeAs);
        const said = `callgate: the working directory "${cwd}" is not shown to the program: ${reason}\n`;
        assert.deepEqual([stdout, stderr], ["/home/callgate\n", said]);
      }
      assert.deepEqual(startIn("/", file, person, home).stderr, "", "where services are started");
      const inside = startIn(join(above, "home"), file, person, folderFor(0o700));
      assert.deepEqual([inside.stdout, inside.stderr], [`${home}\nsecret\n`, ""], "the control");
    });

    test("one that is gone is not shown, and no reason not to start", () => {
      const file = build("default", "--", "pwd");
      const folder = folderFor(0o777);
      const inGone = `mkdir gone; cd gone; rmdir ../gone; exec ${file}`;
      const gone = runProgram("/bin/sh", { args: ["-c", inGone], cwd: folder, ...person.identity });
      assert.match(gone.stderr, /^callgate: the working directory is not shown to the program: it is gone/);
      assert.deepEqual([gone.status, gone.stdout], [0, "/home/callgate\n"]);
    });

    test("without namespaces it is the same", () => {
      const folder = folderFor(0o755);
      writeFileSync(join(folder, "file"), "text");
      const file = scratchPath("built");
      const callgatePath = join(root, "bin", "callgate");
      const line = "pwd -P; cat file; echo x >new || echo refused; ls /root /home >/tmp/x || echo no home";
      const command = [
        callgatePath,
        "build",
        "default",
        "-o",
        file,
        "--missing",
        "namespaces",
        "--",
        "sh",
        "-c",
        line,
      ];
      const made = withoutNamespaces(command, {});
      assert.deepEqual([made.status, made.stderr], [0, ""]);
      const env = { HOME: "/nowhere", PATH: "/usr/bin:/bin" };
      const shown = withoutNamespaces([file], { cwd: folder, env, ...person.identity });
      assert.equal(shown.stdout, `${folder}\ntextrefused\nno home\n`, shown.stderr);
      const hidden = withoutNamespaces([file], {
        cwd: folder,
        env: { ...env, HOME: folder },
        ...person.identity,
      });
      assert.match(hidden.stdout, /^\/\nrefused\n/);
      assert.match(hidden.stderr, /is not shown to the program: your home is in it\n/);
      if (person.identity.uid === undefined && isRoot) return;
      const closed = `cd ${folderFor(0o777)}; mkdir x; cd x; chmod 0 ../x; exec ${file}`;
      const outcome = withoutNamespaces(["/bin/sh", "-c", closed], { env, ...person.identity });
      assert.match(outcome.stderr, /is not shown to the program: it is not yours to enter\n/);
      assert.match(outcome.stdout, /^\/\nrefused\n/);
    });
  });
}

test("a working directory through which callgate's kept plans could be seen by another name is not shown", {
  skip: isRoot ? false : "needs root, to mount",
}, () => {
  const folder = folderFor(0o755);
  const odd = join(folder, "a b\\c\td");
  for (const path of [
    join(odd, "run"),
    join(folder, "same"),
    join(folder, "other"),
    join(folder, "other/tmpfs"),
  ])
    mkdirSync(path, { recursive: true });
  const file = build("default", "--", "pwd");
  const lines = [
    'mount --bind /run "$0/run"; mount --bind /run "$1/same"; mount -t tmpfs none "$1/other/tmpfs"',
    `for one in "$0" "$1" "$1/same" "$1/other" "$0/run"; do cd "$one"; ${file}; done`,
  ];
  const { stdout, stderr } = runProgram("unshare", {
    args: ["--mount", "--propagation", "private", "sh", "-ec", lines.join("\n"), odd, folder],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/nowhere" },
  });
  const hidden = "/home/callgate\n";
  assert.equal(stdout, `${hidden}${hidden}${hidden}${folder}/other\n${hidden}`, stderr);
  assert.equal(stderr.match(/callgate keeps plans in it/g)?.length, 4, stderr);
});

// ── Limits ─────────────────────────────────────────────────────────────────────────────────────────────────────

// Control groups of v1 that root has, which machines of today need not have: then the kernel's limits of each process.
const held = groupLimits({ memory: 64 << 20, processes: 8 }, thisProcess());
const limited = ["--memory", "64M", "--processes", "8"] as const;

test("limits hold for all processes together where a control group can be made; the final line says which", {
  skip: held.groups.length === 2 ? false : "no groups of v1 can be made here",
}, () => {
  const bomb =
    "grep -cE '(memory|pids).*:/callgate-' /proc/self/cgroup; for i in 1 2 3 4 5 6 7 8 9; do sleep 20 & done";
  const file = build("default", ...limited, "--", "sh", "-c", bomb);
  // Started in a group of this test's own, and so it makes its own below that: what others have left is not swept.
  const own = held.groups.map(({ folder }) => join(folder, `callgate-build-${process.pid}`));
  for (const one of own) mkdirSync(one);
  try {
    const enter = own.map((one) => `echo $$ >${join(one, "cgroup.procs")}`);
    const found = runProgram("/bin/sh", {
      args: ["-ec", [...enter, `exec ${file}`].join("\n")],
      cwd: "/usr",
    });
    assert.equal(found.stdout, "2\n");
    const sentence = "callgate: the sandbox reached its limit of 8 processes and threads (cgroup v1)\n";
    assert.ok(found.stderr.endsWith(sentence), found.stderr);
  } finally {
    for (const one of own) removeGroup(one);
  }
});

test("where no control group can be made the file says so, unless that was accepted, and rlimits hold", {
  skip: isRoot ? false : "needs root, to be somebody who has no group",
}, () => {
  const line = "bytearray(200 << 20)";
  const start = (file: string): RunResult => runProgram(file, { uid: 4242, gid: 4242, cwd: "/usr" });
  const found = start(build("default", ...limited, "--", "/usr/bin/python3", "-c", line));
  assert.match(
    found.stderr,
    /^callgate: no control group can be made here: memory is limited for each process by itself, processes by the kernel's count for the sandbox's user\nTraceback[\s\S]*MemoryError\n$/,
  );
  const accepted = ["--missing", "limits", "--", "/usr/bin/python3", "-c", line];
  assert.match(start(build("default", ...limited, ...accepted)).stderr, /^Traceback[\s\S]*MemoryError\n$/);
  assert.equal(start(build("default", "--wall-time", "60s", "--", "true")).stderr, "", "no group is needed");
});

// Which controllers v2 has here differs; so the list by which the kernel says that a folder hands them down is another
// file, laid over it, and what tells that the folder was found is that the group in it has no such limit.
test("a folder of v2 that is delegated is found from below", {
  skip: isRoot ? false : "only root can delegate a folder",
}, () => {
  const mount = /^\S+ \S+ \S+ \/ (\S+) .* - cgroup2 /m.exec(
    readFileSync("/proc/self/mountinfo", "utf8"),
  )?.[1];
  assert.ok(mount !== undefined, "cgroup2 is mounted");
  const file = build("default", ...limited, "--missing", "limits", "--", "echo", "started");
  const delegated = join(mount, `callgate-build-${process.pid}`);
  const session = join(delegated, "session");
  mkdirSync(session, { recursive: true });
  try {
    for (const one of [delegated, session])
      for (const path of [one, join(one, "cgroup.procs")]) chownSync(path, 4242, 4242);
    const inside = (handedDown: string): RunResult => {
      const list = scratchFile("list", handedDown);
      const lines = [
        `mount --bind ${list} ${join(delegated, "cgroup.subtree_control")}`,
        `echo $$ >${join(session, "cgroup.procs")}`,
        `exec setpriv --reuid 4242 --regid 4242 --clear-groups ${file}`,
      ];
      return runProgram("unshare", {
        args: ["--mount", "--propagation", "private", "sh", "-ec", lines.join("\n")],
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        cwd: "/",
      });
    };
    for (const both of ["memory pids\n", "cpu pids memory\n", "pids memory"]) {
      const found = inside(both);
      assert.deepEqual([found.status, found.stdout], [125, ""], found.stderr);
      assert.match(found.stderr, /"cgroup" failed: openat "callgate-\d+-\d+\/memory\.max": ENOENT/);
    }
    assert.match(inside("cpu pids\n").stderr, /"cgroup" failed: openat "callgate-\S+\/pids\.max": ENOENT/);
    for (const neither of ["", "cpu io\n", "memories pidsx\n"])
      assert.deepEqual([inside(neither).stdout, inside(neither).stderr], ["started\n", ""]);
    assert.deepEqual(
      readdirSync(delegated).filter((name) => name.startsWith("callgate-")),
      [],
    );
  } finally {
    removeGroup(session);
    removeGroup(delegated);
  }
});

test("refuses to run set-user-id", { skip: isRoot ? false : "needs root" }, () => {
  const file = scratchPath("setuid");
  copyFileSync(build("default", "--", "echo", "started"), file);
  chownSync(file, 0, 0);
  chmodSync(file, 0o4755);
  const { status, stdout, stderr } = runProgram(file, { uid: 4242, gid: 4242 });
  assert.deepEqual([status, stdout], [125, ""]);
  assert.match(stderr, /must not be set-user-id/);
});

test("runs and reports on a bare machine: no C library, no Node, no callgate", {
  skip: isRoot ? false : "needs root",
}, () => {
  const policy = scratchFile(
    "bare.toml",
    'version = 1\nextends = ["default"]\n[syscalls]\nrules = "errno(EXDEV) mkdir, mkdirat"\n',
  );
  const image = scratchPath("image");
  for (const name of ["usr/bin", "proc", "dev", "old", "srv"])
    mkdirSync(join(image, name), { recursive: true });
  symlinkSync("usr/bin", join(image, "bin"));
  copyFileSync("/bin/busybox", join(image, "usr/bin/busybox"));
  const command = ["/bin/busybox", "sh", "-c", "busybox mkdir /tmp/x; busybox id -u; busybox pwd"];
  copyFileSync(build(policy, "--", ...command), join(image, "srv/app"));
  const become =
    "#include <grp.h>\n#include <unistd.h>\nint main(int c, char **v) { return setgroups(0, 0) || setgid(4242) || setuid(4242) || execv(v[1], v + 1); }";
  copyFileSync(compileC("become", become, ["-static"]), join(image, "srv/become"));
  // Not chroot: in one no user can make namespaces. The mounts are gone with the last process.
  const enter = [
    'set -e; mount --bind "$0" "$0"; cd "$0"; mount -t proc proc proc; mount --rbind /dev dev; pivot_root . old',
    'exec /bin/busybox sh -c "busybox umount -l /old; cd /; export PATH=/bin; /srv/app; /srv/become /srv/app"',
  ].join("; ");
  const { status, stdout, stderr } = runProgram("unshare", {
    args: ["--mount", "--propagation", "private", "sh", "-c", enter, image],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  assert.deepEqual(
    [status, stdout],
    [0, `${ordinaryUser.uid}\n/home/callgate\n4242\n/home/callgate\n`],
    stderr,
  );
  const told = stderr.match(/^denied {2}mkdir\(.*→ EXDEV .*\n {8}.*bare\.toml:4 {2}errno\(EXDEV\) mkdir/gm);
  assert.equal(told?.length, 2, stderr);
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
  for (const [args, status, message] of [
    [["default", "--", "true"], 2, /-o FILE/],
    [["default", "-o", out], 2, /the command is missing/],
    [["/nowhere.toml", "-o", out, "--", "true"], 2, /there is no such file/],
    [[broken, "-o", out, "--", "true"], 1, /did you mean unshare/],
    [["default", "-o", out, "--", "no-such-program"], 1, /command not found/],
    [["default", "-o", out, "--read", "~/x", "--", "true"], 1, /"~\/x" cannot be granted to a built file/],
    [["default", "-o", out, "--write", "here", "--", "true"], 1, /"here" cannot be granted to a built file/],
    [["default", "-o", out, "--home", "--", "true"], 2, /there is no option --home/],
    [["default", "-o", out, "--report=json", "--", "true"], 2, /has no report json/],
    [["default", "-o", out, "--report=loud", "--", "true"], 2, /there is no report "loud"/],
    [["default", "-o", "/nowhere/x", "--", "true"], 1, /there is no such folder/],
    [["default", "-o", "/tmp", "--", "true"], 1, /it is a directory/],
  ] as const) {
    const result = callgate(["build", ...args]);
    assert.deepEqual([result.status, message.test(result.stderr)], [status, true], result.stderr);
    assert.equal(existsSync(out), false);
  }
});
