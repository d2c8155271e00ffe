// Where a part of the sandbox cannot be had: run says which, what that leaves open and how to get it, starts nothing with
// 125, and starts when it is told which may be absent. The parts are really missing: namespaces used up by the kernel's
// own setting, a /proc that is covered in part; or the kernel is kept from answering by a filter around callgate.
// Debian packages: util-linux
import assert from "node:assert/strict";
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
      const covered = (args: string): RunResult =>
        runProgram("/bin/sh", {
          args: [
            "-c",
            `exec unshare --mount sh -c 'mount --bind /dev/null /proc/cpuinfo && exec ${prefix}"$0" run ${args}' "${callgate}"`,
          ],
          cwd,
        });
      assertRefused(covered("-- echo started"), "proc", /a \/proc of its own cannot be mounted/);
      const found = covered('--missing proc -- sh -c "ls -d /proc; echo in"');
      assert.equal(found.stdout, "in\n", found.stderr);
      assert.match(found.stderr, /\/proc.*No such file/);
    });
  });
}

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
