// Attacks on what is around a program (files, sockets, processes, terminals of the machine), and those on system
// calls once more: each is first made outside, where it must work or the table says why it cannot, then in the whole
// sandbox and in the one without namespaces, where it must fail. As root and as an ordinary user. docs/security.md has
// the table that comes of it.
// Debian packages: gcc libc6-dev python3 util-linux
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { encodePlan } from "../../src/sandbox/plan.ts";
import {
  compileC,
  isRoot,
  launcherPath,
  ordinaryUser,
  planFor,
  refuseFilter,
  root,
  scratchFile,
  scratchPath,
} from "./native.ts";

const callgate = join(root, "bin", "callgate");
const python = "/usr/bin/python3";
const fixtures = join(root, "tests", "fixtures", "attacks");

interface Attack {
  readonly name: string;
  /** Why it does not work outside, for an ordinary user or for anybody. */
  readonly user?: string;
  readonly anybody?: string;
  /** Works in this mode, which the message of the missing layer says. */
  readonly open?: "without namespaces";
}

const rights = "it is root's";

/** What an attack is, and what becomes of it without namespaces where that differs. */
const table: readonly Attack[] = [
  ..."path_socket abstract_socket tcp_to_host datagram_out descriptor_over_socket".split(" "),
  ..."read_secret write_start_up overwrite_launcher plant_file rename_secret list_folder".split(" "),
  ..."through_proc_root through_proc_cwd through_proc_fd host_environment host_memory".split(" "),
  ..."signal_host signal_by_pidfd trace_host inherited_descriptor posix_memory caller_environment".split(" "),
  ..."message_queue changed_behind_pointer kcmp_host".split(" "),
].map((name): Attack => ({ name }));

const others: readonly Attack[] = [
  { name: "sysv_memory" },
  { name: "other_users_processes", open: "without namespaces" },
  { name: "suspend_filter", user: rights },
  {
    name: "release_agent",
    user: "since Linux 5.17 the kernel takes an agent from the first namespace's root only",
  },
  { name: "priority_of_host" },
  { name: "limits_of_host" },
  { name: "root_by_setuid", anybody: "only root can make such a file here" },
  { name: "core_pattern", anybody: "containers and small kernels have none" },
  { name: "system_request", anybody: "containers and small kernels have none" },
  { name: "kernel_log", anybody: "containers and small kernels have none" },
  { name: "cgroup_files", anybody: "containers and small kernels have none" },
  { name: "system_devices", anybody: "containers and small kernels have none" },
  { name: "change_system", user: rights },
  { name: "shadow_file", user: rights },
];

/** Calls that the kernel makes for a ring of io_uring, which no filter sees. */
const rings = "make_ring ring_to_tcp ring_to_abstract ring_to_path ring_beyond_networks".split(" ");
const all = [...table, ...others, ...rings.map((name): Attack => ({ name }))];

/** What a machine without io_uring says (a container's filter, a switch), one whose rings make no sockets, one without VSOCK. */
const noRings = /^(1|22|38|97)$/;

/** What only a policy that asks for it refuses: programs that translate code as they run need it. */
const hardening =
  "execute_memory execute_memory_by_name map_writable_code make_written_executable attach_shared_code";
const hardPolicy = `version = 1
extends = ["default"]
[hardening]
new-code = "deny"
exec = "files"
`;

interface Person {
  readonly name: string;
  readonly isRoot: boolean;
  readonly identity: { readonly uid?: number; readonly gid?: number };
}
const ordinary: Person = { name: "an ordinary user", isRoot: false, identity: isRoot ? ordinaryUser : {} };
const people: readonly Person[] = isRoot
  ? [{ name: "root", isRoot: true, identity: {} }, ordinary]
  : [ordinary];
const modes = ["outside", "whole", "without namespaces"] as const;
type Mode = (typeof modes)[number];

const namespaceCall = process.arch === "x64" ? 272 : 97;

/** Runs a command in a mode; descriptor 9 is a file that only the caller can read. */
function run(
  mode: Mode,
  person: Person,
  command: readonly string[],
  more: { readonly options?: readonly string[]; readonly cwd?: string } = {},
): string {
  const secret = scratchPath("descriptor");
  writeFileSync(secret, "secret\n", { mode: 0o600 });
  const inherited = openSync(secret, "r");
  const sandboxed = [callgate, "run", ...(more.options ?? [])];
  const plan = scratchPath("plan");
  const shape = {
    outside: command,
    whole: [...sandboxed, "--", ...command],
    "without namespaces": [...sandboxed, "--missing", "namespaces", "--", ...command],
  }[mode];
  const [program = "", ...args] = shape;
  const steps = [
    { kind: "noNewPrivileges" },
    { kind: "filter", bytes: refuseFilter(namespaceCall, 28) },
  ] as const;
  writeFileSync(
    plan,
    encodePlan({
      ...planFor(steps, program, ...args),
      steps: [...steps, { kind: "execute", path: program, arguments: shape }],
    }),
  );
  const through = mode === "without namespaces";
  const opened = openSync(plan, "r");
  try {
    const found = spawnSync(through ? launcherPath : program, through ? ["plan"] : args, {
      encoding: "utf8",
      timeout: 240_000,
      cwd: more.cwd ?? "/usr",
      env: { PATH: process.env["PATH"], HOME: "/home/callgate-tests", CALLGATE_SECRET: "1", NO_COLOR: "1" },
      stdio: [
        "ignore",
        "pipe",
        "pipe",
        through ? opened : "ignore",
        "ignore",
        "ignore",
        "ignore",
        "ignore",
        "ignore",
        inherited,
      ],
      ...person.identity,
    });
    assert.equal(found.status, 0, `${found.stderr}${found.error?.message ?? ""}`);
    return found.stdout;
  } finally {
    closeSync(inherited);
    closeSync(opened);
  }
}

const outcomes = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text
      .trimEnd()
      .split("\n")
      .map((line): [string, string] => [line.replace(/ .*/, ""), line.replace(/^\S+ /, "")]),
  );

for (const person of people) {
  describe(`attacks on the machine, ${person.name}`, () => {
    const folder = scratchPath("attacked");
    const granted = scratchFile("public", "public\n");
    let host: ChildProcess | undefined;
    let facts = "";
    const script = join(fixtures, "sandbox.py");

    before(async () => {
      mkdirSync(folder);
      chmodSync(folder, 0o755);
      if (isRoot) {
        const program = compileC(
          "setuid-id",
          '#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf("%d\\n", geteuid()); return 0; }',
        );
        copyFileSync(program, join(folder, "setuid-id"));
        chmodSync(join(folder, "setuid-id"), 0o4755);
        if (person.identity.uid !== undefined) chownSync(folder, person.identity.uid, person.identity.uid);
      }
      const started = spawn(python, [script, "host", folder, granted], {
        stdio: ["pipe", "pipe", "inherit"],
        ...person.identity,
      });
      host = started;
      facts = await new Promise((resolve, reject) => {
        let text = "";
        started.on("error", reject);
        started.stdout.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
          if (text.includes("\n")) resolve(text.trim());
        });
      });
    });
    after(async () => {
      const ended = new Promise((resolve) => host?.once("close", resolve));
      host?.stdin?.end();
      await ended;
    });

    const attempt = (mode: Mode): ReadonlyMap<string, string> =>
      outcomes(
        run(mode, person, [python, script, "try", facts, ...all.map(({ name }) => name)], {
          options: ["--read", script, "--read", granted],
        }),
      );
    const attemptHardened = (mode: Mode, policy: string): ReadonlyMap<string, string> =>
      outcomes(
        run(mode, person, [python, script, "try", facts, ...hardening.split(" ")], {
          options: ["--read", script, "--policy", policy],
        }),
      );

    test("each works outside, or the table says why not", (context) => {
      const found = attempt("outside");
      for (const { name, user, anybody } of all) {
        if (anybody !== undefined || (user !== undefined && !person.isRoot)) continue;
        if (rings.includes(name) && noRings.test(found.get(name) ?? "")) {
          context.diagnostic(`${name}: there are no such rings here`);
          continue;
        }
        assert.equal(found.get(name), "worked", name);
      }
      assert.equal(
        readFileSync(join(folder, person.isRoot ? "agent-ran" : "secret"), "utf8").length > 0,
        true,
      );
      for (const name of ["start-up", "launcher"])
        assert.match(readFileSync(join(folder, name), "utf8"), /evil/, "it was changed for real");
    });

    for (const mode of modes.slice(1)) {
      test(`each fails ${mode === "whole" ? "in the whole sandbox" : mode}`, (context) => {
        const found = attempt(mode);
        assert.equal(found.size, all.length);
        for (const { name, open } of all) {
          if (open === mode) context.diagnostic(`${name}: open, and said to be: ${found.get(name)}`);
          else assert.notEqual(found.get(name), "worked", name);
        }
      });

      test(`there is no ring, whatever the policy permits, ${mode === "whole" ? "in the whole sandbox" : mode}`, () => {
        const allow = "io_uring_setup, io_uring_enter, io_uring_register";
        const found = outcomes(
          run(mode, person, [python, script, "try", facts, ...rings], {
            options: ["--read", script, "--allow", allow],
          }),
        );
        assert.equal(found.size, rings.length);
        for (const name of rings) assert.equal(found.get(name), "38", name);
      });

      test(`code that no file has: runs ${mode === "whole" ? "in the whole sandbox" : mode}, unless the policy says no`, () => {
        const policy = scratchFile("hard.toml", hardPolicy);
        for (const [name, outcome] of attemptHardened(mode, "default")) {
          // Without namespaces there is no shared memory at all.
          if (mode === "whole" || name !== "attach_shared_code") assert.equal(outcome, "worked", name);
        }
        const found = attemptHardened(mode, policy);
        assert.equal(found.size, 5);
        for (const [name, outcome] of found) assert.notEqual(outcome, "worked", name);
      });
    }
  });

  describe(`attacks by system calls, ${person.name}`, {
    skip: process.arch === "x64" ? false : "the probe is written for x86_64",
  }, () => {
    const probe = scratchPath("probe");
    before(() => {
      const compiled = spawnSync("gcc", ["-O1", "-o", probe, join(fixtures, "probe.c")], {
        encoding: "utf8",
      });
      assert.equal(compiled.status, 0, compiled.stderr);
    });
    for (const mode of modes.slice(1)) {
      for (const way of ["native", "high", "int80", "int80-high"]) {
        test(`none works ${mode === "whole" ? "in the whole sandbox" : mode}, made by ${way}`, () => {
          const work = scratchPath("attempts");
          mkdirSync(work);
          chmodSync(work, 0o777);
          const abi = way.startsWith("int80") ? ["--abi", "x86"] : [];
          const found = outcomes(
            run(mode, person, [probe, way, work, String(process.pid)], {
              options: [...abi, "--write", work],
              cwd: work,
            }),
          );
          assert.ok(found.size > 100);
          assert.deepEqual(
            [...found].filter(([, outcome]) => outcome === "worked"),
            [],
          );
        });
      }
    }
  });
}
