// The steps of the launcher that set up everything but the filter, by plans written out here: as root and as an
// ordinary user. What policies make of it is tested elsewhere.
// Debian packages: python3, procps, util-linux
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, openSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { encodePlan, type PlanStep } from "../../src/sandbox/plan.ts";
import type { FileIdentity, LandlockStep, MountEntry } from "../../src/sandbox/steps.ts";
import {
  isRoot,
  launch,
  launcherPath,
  ordinaryUser,
  planFor,
  refuseFilter,
  runProgram,
  scratchFile,
  scratchPath,
} from "./native.ts";

const identity = (path: string): FileIdentity => {
  const { dev, ino } = statSync(path, { bigint: true });
  return { device: dev, inode: ino };
};

const folder = (target: string, mode = 0o755): MountEntry => ({ kind: "directory", target, mode });

/** The folders above a target, and a bind of a path to the same path. */
function bind(path: string, more: { readonly writable?: boolean } = {}): readonly MountEntry[] {
  const parts = path.slice(1).split("/");
  return [
    ...parts.map((_, index) => folder(parts.slice(0, index + 1).join("/"))),
    { kind: "bind", source: path, target: path.slice(1), identity: identity(path), ...more },
  ];
}

const link = (target: string): MountEntry => ({ kind: "link", target, to: `usr/${target}` });
const base: readonly MountEntry[] = [
  ...bind("/usr"),
  ...["bin", "lib", "lib64"].map(link),
  folder("tmp", 0o1777),
  { kind: "tmpfs", target: "tmp", mode: 0o1777 },
  folder("proc"),
  { kind: "proc", target: "proc", writable: true },
  folder("dev"),
  ...["null", "zero"].flatMap(bindDevice),
];

/** Folders that several entries need are made once. */
function once(entries: readonly MountEntry[]): readonly MountEntry[] {
  const made = new Set<string>();
  return entries.filter((entry) => {
    if (entry.kind !== "directory") return true;
    const isNew = !made.has(entry.target);
    made.add(entry.target);
    return isNew;
  });
}

interface Person {
  readonly name: string;
  readonly isRoot: boolean;
  readonly identity: { readonly uid?: number; readonly gid?: number };
}
const ordinary: Person = { name: "an ordinary user", isRoot: false, identity: isRoot ? ordinaryUser : {} };
const people: readonly Person[] = isRoot
  ? [{ name: "root", isRoot: true, identity: {} }, ordinary]
  : [ordinary];

function steps(
  person: Person,
  entries: readonly MountEntry[],
  more: readonly PlanStep[] = [],
): readonly PlanStep[] {
  const kinds = (wanted: readonly PlanStep["kind"][]): readonly PlanStep[] =>
    more.filter(({ kind }) => wanted.includes(kind));
  return [
    { kind: "namespaces", namespaces: ["mount", "cgroup", "uts", "ipc", "user", "pid", "net"] },
    { kind: "idMaps", map: person.isRoot ? "all" : "own" },
    { kind: "mounts", entries: once(entries) },
    { kind: "pivot" },
    { kind: "hostName", name: "inside" },
    ...kinds(["limits"]),
    { kind: "workingDirectory", path: "/tmp" },
    ...(person.isRoot ? [{ kind: "identity", uid: 65534, gid: 65534 } as const] : []),
    { kind: "capabilities" },
    { kind: "noNewPrivileges" },
    ...kinds(["hardening", "landlock"]),
    { kind: "closeDescriptors", keep: [] },
    { kind: "signals", keepIgnored: [] },
    ...kinds(["filter"]),
  ];
}

const sh = (line: string): readonly [string, ...string[]] => ["/bin/sh", "-c", line];

for (const person of people) {
  const run = (line: string, entries = base, more: readonly PlanStep[] = []): ReturnType<typeof launch> =>
    launch(planFor(steps(person, entries, more), ...sh(line)), person.identity);

  describe(`a plan with everything, ${person.name}`, () => {
    test("the program is alone: its own processes, network, host name, root", () => {
      const { stdout, stderr, status } = run(
        "echo $$; ls -d /proc/[0-9]*; cat /proc/net/dev | grep -c :; hostname; ls /home; id -u; grep CapBnd /proc/self/status",
      );
      const uid = person.isRoot ? 65534 : (person.identity.uid ?? process.getuid?.());
      assert.match(stdout, /^2\n\/proc\/1\n\/proc\/2\n(\/proc\/\d+\n)?1\ninside\n/);
      assert.match(stdout, new RegExp(`\\n${uid}\\nCapBnd:\\s0+\\n$`));
      assert.match(stderr, /\/home/);
      assert.equal(status, 0);
    });

    test("ends as the program does: statuses and signals", () => {
      assert.equal(run("exit 7").status, 7);
      assert.equal(run("kill -TERM $$").signal, "SIGTERM");
      assert.equal(run("kill -KILL $$").signal, "SIGKILL");
    });

    test("what the program leaves behind ends with it, orphans are reaped", () => {
      const { stdout, status } = run(
        // Who has just ended is not reaped yet: it must be at some time.
        "(sleep 1000 & echo $!) & wait; sh -c 'true & true &'; for i in $(seq 600); do ps -e -o stat= | grep -q Z || { echo reaped; break; }; sleep 0.05; done; exit 3",
      );
      assert.match(stdout, /^\d+\nreaped\n$/);
      assert.equal(status, 3);
      // runProgram waits for the end of output, which sleep held.
    });

    test("the system is read-only, also for who would change it; /tmp is not", () => {
      const { stdout } = run("touch /usr/x /x /etc/x /proc/x 2>/dev/null; touch /tmp/x && ls /tmp");
      assert.equal(stdout, "x\n");
    });

    test("the processes of ours: not to be looked into, signalled, stopped or traced", () => {
      const { stdout } = run(
        "for f in mem fd exe root cwd maps environ; do cat /proc/1/$f >/dev/null 2>&1 && echo $f; ls /proc/1/$f/ >/dev/null 2>&1 && echo $f; done; " +
          // On a busy machine it may have been woken, and not have been let run yet.
          "kill -STOP 1; kill -KILL 1; kill -TERM 1; sleep 0.05; for i in $(seq 600); do grep -q '^State:.R' /proc/1/status || break; sleep 0.05; done; " +
          "grep -E 'State|CapEff|NoNewPrivs|Seccomp:' /proc/1/status",
      );
      assert.match(stdout, /^State:\tS .*\nCapEff:\t0+\nNoNewPrivs:\t1\nSeccomp:\t2\n$/);
    });

    test("a source that was replaced since the plan was made: 125", () => {
      const here = scratchPath("replaced");
      mkdirSync(here);
      chmodSync(here, 0o755);
      const entries = [...base, ...bind(here)];
      assert.equal(run(`ls ${here}`, entries).status, 0);
      renameSync(here, `${here}.old`);
      mkdirSync(here);
      // However far the first process is by then, it has nothing to say of it.
      for (let start = 0; start < 60; start += 1) {
        const other = run("echo started", entries);
        assert.deepEqual([other.status, other.stdout], [125, ""]);
        assert.match(
          other.stderr,
          /^callgate: set-up step "mounts" failed: compare [^\n]*another file[^\n]*\n$/,
        );
      }
    });

    test("a link where there was none: 125, and it is not followed", () => {
      const here = scratchPath("linked");
      mkdirSync(here);
      const entries = [...base, ...bind(here)];
      renameSync(here, `${here}.old`);
      symlinkSync("/root", here);
      const other = run("echo started", entries);
      assert.deepEqual([other.status, other.stdout], [125, ""]);
      assert.match(other.stderr, /openat2 .*: ELOOP .*there is a link/);
    });

    test("a target below a link that somebody put there: 125", () => {
      const here = scratchPath("inner");
      mkdirSync(here);
      symlinkSync("/usr", join(here, "link"));
      const entries: readonly MountEntry[] = [
        ...base,
        ...bind(here),
        { kind: "tmpfs", target: `${here.slice(1)}/link`, mode: 0o700 },
      ];
      const other = run("echo started", entries);
      assert.equal(other.status, 125);
      assert.match(other.stderr, /openat2 .*link.*ELOOP/);
    });

    test("a folder of the root's own is empty, the program's, and writable, and the root is not", () => {
      const entries: readonly MountEntry[] = [...base, { kind: "own", target: "own", mode: 0o700 }];
      const { stdout } = run(
        "ls -A /own; stat -c '%a %u' /own; id -u; echo a >/own/new && ls /own; mkdir /new",
        entries,
      );
      const [mode, owner, ...rest] = stdout.split("\n");
      assert.match(mode ?? "", /^700 \d+$/);
      assert.deepEqual([owner, ...rest], [mode?.slice(4), "new", ""]);
    });

    test("a folder of the root's own is not mounted in a folder of the caller's: 125", () => {
      const here = scratchPath("others");
      mkdirSync(here, { mode: 0o777 });
      chmodSync(here, 0o777);
      const entries: readonly MountEntry[] = [
        ...base,
        ...bind(here, { writable: true }),
        { kind: "own", target: `${here.slice(1)}/own`, mode: 0o700 },
      ];
      const other = run("echo started", entries);
      assert.deepEqual([other.status, other.stdout], [125, ""]);
      assert.match(other.stderr, /"mounts" failed: compare .*own.*: it is in a folder of the caller's/);
    });

    test("a writable folder is written, one inside it that is covered read-only is not", () => {
      const here = scratchPath("granted");
      mkdirSync(here);
      mkdirSync(join(here, "kept"));
      for (const one of [here, join(here, "kept")]) chmodSync(one, 0o777);
      const entries = [
        ...base,
        ...bind(here, { writable: true }),
        { kind: "bind", source: join(here, "kept"), target: `${here.slice(1)}/kept` } as const,
      ];
      const { stdout } = run(
        `cd ${here}; echo a >new; echo b >kept/new; mv kept other; rmdir kept; ls . kept`,
        entries,
      );
      assert.equal(stdout, ".:\nkept\nnew\n\nkept:\n");
    });

    test("limits are the program's: files, time; the final line says which", () => {
      const resources = { nofile: 10, fsize: 1000 };
      const limits: PlanStep = { kind: "limits", resources, wallTime: 600 };
      assert.equal(run("ulimit -n; ulimit -f", base, [limits]).stdout, "10\n1\n");
      const large = run("head -c 5000 /dev/zero >/tmp/large", base, [limits]);
      assert.notEqual(large.status, 0);
      const late = run("sleep 1000", base, [{ kind: "limits", resources, wallTime: 1 }]);
      assert.equal(late.signal, "SIGKILL");
      assert.match(late.stderr, /^callgate: .*\(wall-time\)/);
    });

    test("new code is refused on demand", () => {
      const attempt =
        "import mmap\ntry:\n mmap.mmap(-1,4096,prot=7)\n print('mapped')\nexcept OSError as e: print(e.errno)";
      const code = (more: readonly PlanStep[]): string =>
        launch(planFor(steps(person, base, more), "/usr/bin/python3", "-c", attempt), person.identity).stdout;
      assert.equal(code([]), "mapped\n");
      assert.equal(code([{ kind: "hardening", noNewCode: true }]), "13\n");
    });

    test("Landlock on top: what has no rule is refused, whatever the mounts show", () => {
      const landlock: LandlockStep = {
        kind: "landlock",
        least: 1,
        scopes: 3,
        files: 0x1ffff,
        network: 3,
        paths: [
          { path: "/usr", rights: 0x800d, identity: identity("/usr") },
          { path: "/dev/null", rights: 6 },
        ],
        ports: [],
      };
      const { stdout, stderr } = run(
        "cat /usr/bin/env >/dev/null && echo usr; echo x >/tmp/x; cat /proc/1/status",
        base,
        [landlock],
      );
      assert.equal(stdout, "usr\n");
      assert.match(stderr, /\/tmp\/x: Permission denied/);
      assert.match(stderr, /\/proc\/1\/status: Permission denied/);
    });

    test("a filter of the program's is not ours", () => {
      const { status } = run("kill -TERM $$", base, [{ kind: "filter", bytes: refuseFilter(1000, 1) }]);
      assert.equal(status, null);
    });

    test("SIGTERM for callgate reaches the program; SIGKILL leaves nothing", async () => {
      const plan = scratchFile(
        "plan",
        encodePlan(
          planFor(
            steps(person, base),
            ...sh("trap 'echo caught; exit 9' TERM; echo up; while :; do sleep 0.1; done"),
          ),
        ),
      );
      for (const [signal, expected] of [
        ["SIGTERM", [9, null]],
        ["SIGKILL", [null, "SIGKILL"]],
      ] as const) {
        const child = spawn(launcherPath, ["plan"], {
          stdio: ["ignore", "pipe", "ignore", openSync(plan, "r")],
          ...person.identity,
        });
        const output: string[] = [];
        child.stdout?.setEncoding("utf8").on("data", (text: string) => {
          if (text.includes("up")) child.kill(signal);
          output.push(text);
        });
        // The output ends only when every process that holds it has ended.
        const end = await new Promise((resolve) => child.on("close", (...how) => resolve(how)));
        assert.deepEqual(end, expected);
        assert.equal(output.join(""), signal === "SIGTERM" ? "up\ncaught\n" : "up\n");
      }
    });
  });
}

function bindDevice(name: string): readonly MountEntry[] {
  return [
    { kind: "file", target: `dev/${name}`, mode: 0o666 },
    { kind: "bind", source: `/dev/${name}`, target: `dev/${name}`, writable: true, devices: true },
  ];
}

test("what there is here is found by trying, and what is refused is said", () => {
  const found = runProgram(launcherPath, { args: ["layers"] });
  assert.match(found.stdout, /^landlock \d+\nnamespaces 0\nproc 0\n$/);
  const refused = launch(
    planFor(
      [{ kind: "filter", bytes: refuseFilter(process.arch === "x64" ? 272 : 97, 28) }],
      launcherPath,
      "layers",
    ),
  );
  assert.match(refused.stdout, /^landlock \d+\nnamespaces 28\nproc 28\n$/);
});

test("every file that the launcher writes is in its own namespaces", () => {
  writeFileSync(scratchPath("nothing"), "");
  const before = runProgram("/bin/sh", { args: ["-c", "cat /proc/self/mountinfo; hostname"] }).stdout;
  for (const person of people) launch(planFor(steps(person, base), "/bin/true"), person.identity);
  assert.equal(runProgram("/bin/sh", { args: ["-c", "cat /proc/self/mountinfo; hostname"] }).stdout, before);
});
