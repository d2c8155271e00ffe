// Debian packages: util-linux
/** `callgate doctor`: on this machine, where something is really taken away, and for machines that are not here. */
import assert from "node:assert/strict";
import { appendFileSync, cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type Finding, findings, isUsable } from "../../src/cli/doctor/checks.ts";
import type { Facts } from "../../src/cli/doctor/facts.ts";
import { appArmorProfile, fixScript } from "../../src/cli/doctor/fixes.ts";
import { nativeProgram, packageRoot } from "../../src/sandbox/package-files.ts";
import { architecture, isRoot, ordinaryUser, runProgram, scratchPath } from "../kernel/native.ts";
import { callgate, shell } from "./callgate.ts";

interface Report {
  readonly usable: boolean;
  readonly answers: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
}

const reportOf = (text: string): Report => JSON.parse(text);
const finding = (list: readonly Finding[], id: string): Finding => {
  const found = list.find((one) => one.id === id);
  assert.ok(found !== undefined, `${id} in ${list.map((one) => one.id)}`);
  return found;
};

describe("on this machine", () => {
  const { status, stdout, stderr } = callgate(["doctor", "--json"]);
  const report = reportOf(stdout);

  test("run can work, and doctor says so", () => {
    assert.deepEqual([status, stderr, report.usable], [0, "", true]);
    for (const id of ["launcher", "seccomp", "actions"])
      assert.equal(finding(report.findings, id).status, "ok");
  });

  test("what is not there comes with a fix, what is there without", () => {
    for (const one of report.findings)
      assert.equal(one.status === "missing", (one.fix ?? null) !== null, one.id);
  });

  test("its answers are the kernel's", () => {
    const { stdout: raw, status: ended } = runProgram(nativeProgram("doctor"));
    assert.equal(ended, 0);
    const again = Object.fromEntries(
      [...raw.matchAll(/^(\S+) (-?\d+)$/gm)].map(([, name, number]) => [name, Number(number)]),
    );
    const { stdout: layers } = runProgram(nativeProgram("launcher"), { args: ["layers"] });
    const launchers = [...layers.matchAll(/^(namespaces|proc) (\d+)$/gm)].map(
      ([, name, number]): [string, number] => [`launcher-${name}`, 0 - Number(number)],
    );
    assert.equal(launchers.length, 2);
    assert.deepEqual({ ...again, ...Object.fromEntries(launchers) }, report.answers);
    const probe = runProgram(nativeProgram("probe"), { args: ["unshare-user"] });
    assert.equal(probe.status === 0, (again["user-namespace"] ?? -1) === 0);
    if (architecture === "x86_64") assert.ok("abi-x86" in again && "abi-x32" in again);
  });

  test("in words, at 80 columns, a line for each", () => {
    const words = callgate(["doctor"]);
    assert.equal(words.status, 0);
    for (const { id } of report.findings)
      assert.match(words.stdout, new RegExp(`^${id} +(ok|missing|note) +\\S`, "m"));
    for (const line of words.stdout.split("\n").filter((one) => !one.includes("/")))
      assert.ok(line.length <= 80, line);
  });

  test("--fix prints what a shell takes, and changes nothing", () => {
    const fix = callgate(["doctor", "--fix"]);
    assert.equal(fix.status, 0);
    assert.equal(runProgram("sh", { args: ["-n"], input: fix.stdout }).status, 0);
  });

  test("an ordinary user gets an answer too", (t) => {
    if (!isRoot) return t.skip("this is one");
    const own = callgate(["doctor", "--json"], { uid: ordinaryUser.uid, cwd: "/" });
    assert.equal(own.status, 0, own.stderr);
    const readBack = finding(reportOf(own.stdout).findings, "read-back");
    assert.equal(readBack.status, "note");
    assert.match(readBack.says, /it needs CAP_SYS_ADMIN/);
  });

  test("wrong usage", () => {
    assert.equal(callgate(["doctor", "x"]).status, 2);
    assert.equal(callgate(["doctor", "--json", "--fix"]).status, 2);
  });
});

describe("where something is really taken away", () => {
  test("under callgate's own default policy: no user namespaces, and why", () => {
    const { stdout, stderr } = shell('"$callgate" run --deny unshare -- "$callgate" doctor --json');
    const { findings: list, answers } = reportOf(stdout);
    assert.equal(answers["user-namespace"], -1, stderr);
    const found = finding(list, "user-namespaces");
    assert.equal(found.status, "missing");
    assert.match(found.says, /cannot be made \(EPERM\)/);
    assert.equal(finding(list, "notification").status, "missing");
    assert.match(finding(list, "seccomp").says, /under a filter already/);
  });

  test("where a program may not load filters, run cannot work: 1", () => {
    const { stdout, status } = shell('"$callgate" run --deny seccomp -- "$callgate" doctor');
    assert.equal(status, 1);
    assert.match(stdout, /^seccomp +missing +no filter can be loaded \(EPERM\)/m);
    assert.match(stdout, /callgate run cannot work here before this is mended: seccomp/);
  });

  test("user.max_user_namespaces = 0, in a namespace of the test's own", () => {
    const line = `unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && "$callgate" doctor --json'`;
    const { stdout, stderr } = shell(line);
    const found = finding(reportOf(stdout === "" ? assert.fail(stderr) : stdout).findings, "user-namespaces");
    assert.equal(found.status, "missing");
    assert.match(found.says, /cannot be made \(ENOSPC\): user\.max_user_namespaces is 0/);
    assert.deepEqual(found.fix?.commands, ["sysctl --load /etc/sysctl.d/60-callgate.conf"]);
  });

  test("a launcher that is damaged: 1, and what to do", () => {
    const copy = scratchPath("damaged");
    mkdirSync(copy);
    for (const part of ["bin", join("dist", "cli"), join("native", "prebuilt")])
      cpSync(join(packageRoot(), part), join(copy, part), { recursive: true });
    appendFileSync(join(copy, "native", "prebuilt", `linux-${architecture}`, "launcher"), "x");
    const { status, stdout } = runProgram(join(copy, "bin", "callgate"), { args: ["doctor", "--json"] });
    assert.equal(status, 1);
    const found = finding(reportOf(stdout).findings, "launcher");
    assert.match(found.says, /does not have the checksum/);
    assert.match(found.fix?.advice ?? "", /install callgate again/);
  });
});

const names = ["kill", "kill-thread", "trap", "errno", "notify", "trace", "log", "allow"].map(
  (one) => `action-${one}`,
);
const good: Facts = {
  platform: "linux",
  release: "6.8.0-45-generic",
  abi: "x86_64",
  isRoot: false,
  answers: new Map<string, number>([
    ...names.map((name) => [name, 0] as const),
    ["landlock", 4],
    ["filter", 0],
    ["notification", 0],
    ["abi-x86", 0],
    ["abi-x32", -38],
    ["user-namespace", 0],
    ["user-mount", 0],
    ["user-network", 0],
    ["launcher-namespaces", 0],
    ["launcher-proc", 0],
    ["read-filter", -13],
  ]),
  noAnswers: undefined,
  seccompMode: 0,
  settings: new Map([["user.max_user_namespaces", "15000"]]),
  container: undefined,
  cgroups: {
    version: "v2",
    folder: "/sys/fs/cgroup/x/y",
    places: {
      memory: { version: 2, folder: "/sys/fs/cgroup/x" },
      pids: { version: 2, folder: "/sys/fs/cgroup/x" },
    },
  },
  launcher: { path: "/usr/lib/callgate/native/prebuilt/linux-x86_64/launcher", problem: undefined },
  lxc: "6.0.0",
  libseccomp: "2.5.5",
  gcc: undefined,
};
const withAnswers = (...changed: readonly (readonly [string, number])[]): Facts => ({
  ...good,
  answers: new Map([...good.answers, ...changed]),
});

describe("machines that are not here", () => {
  test("a good one", () => {
    const list = findings(good);
    assert.ok(isUsable(list));
    assert.deepEqual(
      list.filter((one) => one.status === "missing"),
      [],
    );
    assert.match(
      finding(list, "landlock").says,
      /ABI 4; it cannot restrict ioctl on devices and abstract sockets/,
    );
    assert.match(finding(list, "abis").says, /^x86_64 and x86 can be used; x32: not in this kernel/);
  });

  test("Ubuntu 24.04: namespaces that give no rights, and the AppArmor profile for the launcher", () => {
    const ubuntu: Facts = {
      ...withAnswers(["user-mount", -13], ["launcher-namespaces", -13]),
      settings: new Map([["kernel.apparmor_restrict_unprivileged_userns", "1"]]),
    };
    const found = finding(findings(ubuntu), "user-namespaces");
    assert.match(
      found.says,
      /can be made, but give no rights \(EACCES\): kernel\.apparmor_restrict_unprivileged_userns is 1/,
    );
    const script = fixScript(found.fix === undefined ? [] : [{ id: found.id, fix: found.fix }]);
    assert.match(script, /^cat >\/etc\/apparmor\.d\/callgate <<'END'\nabi <abi\/4\.0>,$/m);
    assert.match(
      script,
      /^profile callgate "\/usr\/lib\/callgate\/native\/prebuilt\/linux-x86_64\/launcher" flags=\(unconfined\) \{\n {2}userns,$/m,
    );
    assert.match(script, /^apparmor_parser --replace \/etc\/apparmor\.d\/callgate$/m);
    assert.equal(runProgram("sh", { args: ["-n"], input: script }).status, 0);
    assert.ok(isUsable(findings(ubuntu)));
  });

  test("an AppArmor profile for the launcher alone is enough, and one for everything else is not", () => {
    const settings = new Map([["kernel.apparmor_restrict_unprivileged_userns", "1"]]);
    const mended: Facts = { ...withAnswers(["user-mount", -13], ["user-network", -1]), settings };
    assert.equal(finding(findings(mended), "user-namespaces").status, "ok");
    assert.equal(finding(findings(mended), "proc").status, "ok");
    const other = findings({ ...withAnswers(["launcher-namespaces", -1]), settings });
    assert.match(
      finding(other, "user-namespaces").says,
      /give no rights \(EPERM\): kernel\.apparmor_restrict_unprivileged_userns is 1/,
    );
  });

  test("a path with characters that mean something to AppArmor", () => {
    assert.match(
      appArmorProfile('/opt/a b/{x}*"/launcher'),
      /profile callgate "\/opt\/a b\/\\\{x\\\}\\\*\\"\/launcher"/,
    );
  });

  test("a Debian that has them switched off", () => {
    const debian: Facts = {
      ...withAnswers(
        ["user-namespace", -1],
        ["user-mount", -1],
        ["user-network", -1],
        ["launcher-namespaces", -1],
      ),
      settings: new Map([["kernel.unprivileged_userns_clone", "0"]]),
    };
    const found = finding(findings(debian), "user-namespaces");
    assert.match(found.says, /cannot be made \(EPERM\): kernel\.unprivileged_userns_clone is 0/);
    assert.deepEqual(found.fix?.files, [
      { path: "/etc/sysctl.d/60-callgate.conf", text: "kernel.unprivileged_userns_clone = 1\n" },
    ]);
  });

  const others: readonly (readonly [string, Facts, string, RegExp])[] = [
    ["Landlock switched off", withAnswers(["landlock", -95]), "landlock", /built in and switched off/],
    [
      "a kernel without Landlock",
      withAnswers(["landlock", -38]),
      "landlock",
      /the kernel has none \(ENOSYS\)/,
    ],
    [
      "another supervisor",
      withAnswers(["notification", -16]),
      "notification",
      /an outer filter has them \(EBUSY\)/,
    ],
    ["an old kernel", withAnswers(["action-notify", -95]), "actions", /does not have notify/],
    ["a masked /proc", withAnswers(["launcher-proc", -1]), "proc", /no fresh \/proc can be mounted/],
    [
      "cgroups v1, an ordinary user",
      {
        ...good,
        cgroups: { ...good.cgroups, version: "v1", places: { memory: undefined, pids: undefined } },
      },
      "cgroups",
      /^v1, which only root may use: a limit of memory and processes holds by rlimit/,
    ],
    [
      "cgroups not delegated",
      {
        ...good,
        cgroups: { ...good.cgroups, places: { ...good.cgroups.places, memory: undefined } },
      },
      "cgroups",
      /nothing is delegated .*: a limit of memory holds by rlimit/,
    ],
  ];
  for (const [name, facts, id, says] of others) {
    test(name, () => {
      const found = finding(findings(facts), id);
      assert.equal(found.status, "missing");
      assert.match(found.says, says);
      assert.ok((found.fix?.advice ?? "").length > 20);
      assert.ok(isUsable(findings(facts)));
    });
  }

  test("what run's default cannot do without", () => {
    for (const facts of [
      withAnswers(["filter", -22]),
      withAnswers(["action-errno", -95]),
      { ...good, launcher: { path: "/x", problem: "/x is not there" } },
      { ...good, noAnswers: "doctor could not be run (ENOEXEC)" },
      { ...good, platform: "darwin" },
    ])
      assert.ok(!isUsable(findings(facts)));
  });

  test("a kernel that is newer than the tables is no fault", () => {
    const found = finding(findings({ ...good, release: "99.1.0" }), "kernel");
    assert.equal(found.status, "note");
  });
});
