// Where a part of the sandbox cannot be had: run says which, what that leaves open and how to get it, starts nothing with
// 125, and starts when it is told which may be absent. The parts are really missing: namespaces used up by the kernel's
// own setting, a /proc that is covered in part; or the kernel is kept from answering by a filter around callgate.
// Debian packages: util-linux
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  isRoot,
  launch,
  ordinaryUser,
  planFor,
  probePath,
  type RunResult,
  refuseFilter,
  root,
  runProgram,
  scratchPath,
} from "./native.ts";

const callgate = join(root, "bin", "callgate");
const cwd = "/usr";
const isX64 = process.arch === "x64";
const people = isRoot
  ? [
      { name: "root", identity: {}, prefix: "" },
      {
        name: "an ordinary user",
        identity: ordinaryUser,
        prefix: `setpriv --reuid ${ordinaryUser.uid} --regid ${ordinaryUser.gid} --clear-groups `,
      },
    ]
  : [{ name: "an ordinary user", identity: {}, prefix: "" }];

/** Runs callgate where one call of the kernel's is refused with an errno. */
function without(
  [number, errno]: readonly [number, number],
  identity: { readonly uid?: number; readonly gid?: number },
  ...args: readonly string[]
): RunResult {
  const steps = [
    { kind: "noNewPrivileges" },
    { kind: "filter", bytes: refuseFilter(number, errno) },
  ] as const;
  return launch(planFor(steps, callgate, "run", ...args), { ...identity, cwd });
}

function assertRefused(found: RunResult, layer: string, why: RegExp): void {
  assert.deepEqual([found.status, found.stdout], [125, ""]);
  assert.match(
    found.stderr,
    /^callgate: parts of the sandbox cannot be set up here, and nothing was started:\n/,
  );
  assert.match(found.stderr, new RegExp(`^  ${layer}: ${why.source}`, "m"));
  assert.match(
    found.stderr,
    new RegExp(`^    without it .*\n    to start all the same: --missing ${layer}$`, "m"),
  );
}

for (const { name, identity, prefix } of people) {
  describe(`a part of the sandbox is missing, ${name}`, () => {
    test("no Landlock: files are kept by mounts alone", () => {
      const landlock = [444, 38] as const;
      assertRefused(
        without(landlock, identity, "--", "echo", "started"),
        "landlock",
        /this kernel has no Landlock/,
      );
      const alone = without(
        landlock,
        identity,
        "--missing",
        "landlock",
        "--",
        "sh",
        "-c",
        "ls /home; echo $$",
      );
      assert.deepEqual([alone.stdout, alone.status], ["2\n", 0], alone.stderr);
      const wrong = without(landlock, identity, "--missing", "proc", "--", "echo", "started");
      assert.deepEqual([wrong.status, wrong.stdout], [125, ""]);
    });

    test("neither: no reports and no questions, which is said, since the program could answer for itself", () => {
      const landlock = [444, 38] as const;
      const line = ["--", probePath, "keyctl"];
      const why =
        "without namespaces and without Landlock \\(Linux 5.19\\) the program could take the place of the supervisor, which answers denied calls";
      const reported = without(landlock, identity, "--filter-only", "--report=end", ...line);
      assert.equal(reported.status, 1);
      assert.match(reported.stdout, /EPERM/);
      assert.match(reported.stderr, new RegExp(`^callgate: no reports of denied calls: ${why}\n$`));
      const asked = without(landlock, identity, "--filter-only", "--rule", "ask keyctl", ...line);
      assert.equal(asked.status, 1);
      assert.match(asked.stdout, /EPERM/);
      assert.match(
        asked.stderr,
        new RegExp(`^callgate: nobody is asked \\(.*EPERM\\), and no reports of denied calls: ${why}\n$`),
      );
    });

    test("namespaces that give no rights, as AppArmor has it on Ubuntu 24.04: how to mend it is said", () => {
      const found = without([442, 13], identity, "--", "echo", "started");
      assertRefused(found, "namespaces", /AppArmor lets users make them but do nothing in them/);
      assert.match(found.stderr, /kernel\.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile/);
      assert.match(found.stderr, /callgate doctor --fix/);
    });

    test("no namespaces at all by the kernel's answer, where users may make none", () => {
      const found = without([isX64 ? 272 : 97, 1], identity, "--", "echo", "started");
      assertRefused(
        found,
        "namespaces",
        /users may not make them: sysctl kernel\.unprivileged_userns_clone=1/,
      );
    });

    test("a /proc that is covered in part, as in containers: there is none, and never the machine's", (t) => {
      if (!isRoot) return t.diagnostic("only root can cover it here");
      const begun = (program: string, args: string): RunResult =>
        runProgram("/bin/sh", {
          args: [
            "-c",
            `exec unshare --mount sh -c 'mount --bind /dev/null /proc/cpuinfo && exec ${prefix}"$0" ${args}' "${program}"`,
          ],
          cwd,
        });
      const covered = (args: string): RunResult => begun(callgate, `run ${args}`);
      assertRefused(covered("-- echo started"), "proc", /a \/proc of its own cannot be mounted/);
      const found = covered('--missing proc -- sh -c "ls -d /proc; echo in"');
      assert.equal(found.stdout, "in\n", found.stderr);
      assert.match(found.stderr, /\/proc.*No such file/);
      // A file that was built finds out when it starts; whoever of its processes does says it, and nobody else.
      const file = scratchPath("covered");
      runProgram(callgate, { args: ["build", "default", "-o", file, "--", "/bin/echo", "started"], cwd });
      for (let start = 0; start < 20; start += 1) {
        const { status, stdout, stderr } = begun(file, "");
        assert.deepEqual([status, stdout], [125, ""]);
        assert.match(stderr, /^callgate: set-up step "mounts" failed: fsmount "proc": EPERM [^\n]*\n$/);
      }
    });
  });
}

/** As root of a user namespace with these numbers, as in a container that an ordinary user has. */
function asRootOf(ids: string, args: string): Promise<Omit<RunResult, "pid">> {
  const line = `echo there && read -r go && exec setpriv --reuid 0 --regid 0 --clear-groups "$0" run ${args}`;
  const child = spawn("unshare", ["--user", "--keep-caps", "sh", "-c", line, callgate], {
    cwd,
    timeout: 240_000,
  });
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said.stdout += text;
    if (said.stdout !== "there\n") return;
    for (const map of ["uid_map", "gid_map"]) writeFileSync(`/proc/${child.pid}/${map}`, ids);
    child.stdin.end("go\n");
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said.stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) =>
      resolve({ status, signal, stdout: said.stdout.replace("there\n", ""), stderr: said.stderr }),
    );
  });
}

test("root of a container, which has some ids of the machine's only", { skip: !isRoot }, async () => {
  const many = "0 100000 65536\n";
  const program = 'sh -c "id -u; cat /proc/self/uid_map"';
  const inside = (found: Omit<RunResult, "pid">): string => found.stdout.replace(/ +/g, " ");
  const nobody = await asRootOf(many, `-- ${program}`);
  assert.equal(inside(nobody), "65534\n 0 0 65536\n", nobody.stderr);
  const split = await asRootOf("0 100000 1000\n1000 1000 1\n65534 65534 1\n", `-- ${program}`);
  assert.equal(inside(split), "65534\n 0 0 1000\n 1000 1000 1\n 65534 65534 1\n", split.stderr);
  const alone = await asRootOf("0 100000 1\n", `--as-root -- ${program}`);
  assert.equal(inside(alone), "0\n 0 0 1\n", alone.stderr);
  const refused = await asRootOf("0 100000 1\n", "-- echo started");
  assert.deepEqual([refused.status, refused.stdout], [125, ""]);
  assert.match(
    refused.stderr,
    /^callgate: nobody \(65534\) has no number in this user namespace.*--as-root/m,
  );
});

test("user.max_user_namespaces is 0, for real: Landlock and the filter alone, when told so", () => {
  // In a user namespace the setting is its own. Who is root there has no other ids to become.
  const inside = (args: string): RunResult =>
    runProgram("/bin/sh", {
      args: [
        "-c",
        `exec unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$0" run --as-root ${args}' "${callgate}"`,
      ],
      cwd,
    });
  const refused = inside("-- echo started");
  assertRefused(
    refused,
    "namespaces",
    /their number is used up or set to 0: sysctl user\.max_user_namespaces=/,
  );
  const found = inside(
    '--missing namespaces -- sh -c "cat /root/.profile; ls /root /home; echo in; cat /usr/bin/env >/dev/null && echo system"',
  );
  assert.deepEqual([found.stdout, found.status], ["in\nsystem\n", 0], found.stderr);
  assert.match(found.stderr, /Permission denied/);
});
