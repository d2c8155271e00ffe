// Debian packages: lxc, busybox-static, rsync
// Containers as people have them: copied, edited, two at once, read-only, without rights, included files, odd targets.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { PlanStep } from "../../src/sandbox/plan.ts";
import { launch, numbers, planFor, probePath, refuseFilter } from "../kernel/native.ts";
import {
  type Container,
  createContainer,
  noContainers,
  openContainer,
  putProgram,
  run,
} from "./containers.ts";

const common = "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n";

function startAndVerify(container: Container): void {
  const started = container.callgate("start", container.name);
  assert.equal(started.status, 0, started.stdout + started.stderr);
  const verified = container.callgate("verify", container.name);
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
}

function enableWith(container: Container, text: string): void {
  container.configure(container.original + text);
  const outcome = container.callgate("enable", container.name);
  assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
}

describe("copies", { skip: noContainers }, () => {
  const container = createContainer({ config: common });
  before(() => enableWith(container, "syscall.deny = keyctl\n"));
  const at = ["-P", container.lxcpath, "-n", container.name];

  test("a copy has paths of its own, and is as protected", () => {
    const copied = run("lxc-copy", [...at, "-N", "copy"]);
    assert.equal(copied.status, 0, copied.stderr);
    const copy = openContainer(container.lxcpath, "copy");
    assert.match(copy.config(), /^syscall\.deny = keyctl$/m);
    assert.doesNotMatch(copy.config(), new RegExp(container.folder));
    startAndVerify(copy);
    copy.stop();
  });

  test("a snapshot, and what is restored from it", () => {
    assert.equal(run("lxc-snapshot", at).status, 0);
    const kept = readFileSync(join(container.folder, "snaps", "snap0", "config"), "utf8");
    assert.match(
      kept,
      new RegExp(`lxc\\.seccomp\\.profile = ${container.folder}/snaps/snap0/callgate\\.seccomp`),
    );
    assert.equal(run("lxc-snapshot", [...at, "-r", "snap0", "-N", "restored"]).status, 0);
    const restored = openContainer(container.lxcpath, "restored");
    startAndVerify(restored);
    restored.stop();
  });

  test("a configuration that was copied by hand is not started under another's paths", () => {
    run("lxc-copy", [...at, "-N", "byhand"]);
    const copy = openContainer(container.lxcpath, "byhand");
    copyFileSync(container.configFile, copy.configFile);
    const text = copy.config().replaceAll(`lxc.uts.name = "${container.name}"`, 'lxc.uts.name = "byhand"');
    copy.configure(text.replace(`${container.folder}/rootfs`, copy.rootfs));
    const outcome = copy.callgate("start", "byhand");
    assert.equal(outcome.status, 125);
    assert.match(outcome.stderr, /copied without its clone hook; run callgate lxc enable byhand/);
    assert.equal(copy.callgate("enable", "byhand").status, 0);
    startAndVerify(copy);
    copy.stop();
  });
});

describe("edits and neighbours", { skip: noContainers }, () => {
  const one = createContainer({ config: common });
  const two = createContainer({ config: common });
  for (const container of noContainers === false ? [one, two] : []) putProgram(container, probePath, "probe");
  after(() => {
    one.stop();
    two.stop();
  });

  test("two containers with different policies at once", () => {
    enableWith(one, "syscall.deny = keyctl\n");
    enableWith(two, "syscall.deny = userfaultfd\n");
    startAndVerify(one);
    startAndVerify(two);
    assert.match(one.inside("/probe keyctl; /probe userfaultfd"), /keyctl: EPERM[\s\S]*userfaultfd: ok/);
    assert.match(two.inside("/probe keyctl; /probe userfaultfd"), /keyctl: ok[\s\S]*userfaultfd: EPERM/);
    assert.match(one.callgate("status").stdout, new RegExp(`${one.name} +running +2 statements +yes`));
  });

  test("an edited statement holds after a restart; until then verify says that they differ", () => {
    one.configure(one.config().replace("syscall.deny = keyctl", "syscall.rule = errno(ENOSYS) userfaultfd"));
    const edited = one.callgate("verify", one.name);
    assert.equal(edited.status, 1);
    assert.match(
      edited.stdout,
      /different: .*\n[\s\S]*if the configuration was changed since the start, restart/,
    );
    one.stop();
    startAndVerify(one);
    assert.match(one.inside("/probe keyctl; /probe userfaultfd"), /keyctl: ok[\s\S]*userfaultfd: ENOSYS/);
    one.stop();
  });

  test("statements in included files count in their place", () => {
    const folder = join(one.lxcpath, "included");
    mkdirSync(folder);
    writeFileSync(
      join(folder, "10-site.conf"),
      "syscall.allow = keyctl(operation == 0)   # the site wants it\n",
    );
    writeFileSync(join(folder, "notes.txt"), "syscall.deny = read\n");
    enableWith(one, `lxc.include = ${folder}\nsyscall.deny = keyctl, userfaultfd\n`);
    startAndVerify(one);
    assert.match(one.inside("/probe keyctl; /probe userfaultfd"), /keyctl: ok[\s\S]*userfaultfd: EPERM/);
    const why = one.callgate("explain", one.name, "keyctl(0)", "--abi", "x86_64");
    assert.match(why.stdout, /10-site\.conf:1 {2}allow keyctl\(operation == 0\) {2}# the site wants it/);
    const facts = one
      .callgate("explain", one.name, "open_by_handle_at", "--abi", "x86_64", "--json")
      .stdout.trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      facts.map(({ layer, action, errno }) => ({ layer, action, errno })),
      [
        { layer: "statements", action: "allow", errno: null },
        { layer: "profile", action: "errno", errno: "EPERM" },
      ],
    );
    one.stop();
  });

  test("what came in by lxc-attach alone is found", () => {
    startAndVerify(two);
    const { pid } = two.attachInBackground("sleep 1000");
    try {
      const outcome = two.callgate("verify", two.name);
      assert.equal(outcome.status, 1, outcome.stdout);
      assert.match(outcome.stdout, /\d+ \w+ has LXC's profile only: it came by lxc-attach/);
    } finally {
      process.kill(pid, "SIGKILL");
    }
    two.stop();
  });

  test("without a floor nothing of common.seccomp is left", () => {
    enableWith(one, "syscall.deny = keyctl\nsyscall.inherit = none\n");
    startAndVerify(one);
    assert.doesNotMatch(readFileSync(join(one.folder, "callgate.seccomp"), "utf8"), /finit_module|umount/);
    one.stop();
  });

  test("a floor that is a list of what is allowed stays, and the statements hold", () => {
    const file = join(one.lxcpath, "allowlist");
    writeFileSync(file, "2\nallowlist allow\nuserfaultfd errno 38\n");
    enableWith(one, `lxc.seccomp.profile = ${file}\nsyscall.deny = keyctl\n`);
    startAndVerify(one);
    assert.match(one.inside("/probe keyctl; /probe userfaultfd"), /keyctl: EPERM[\s\S]*userfaultfd: ENOSYS/);
    one.stop();
    enableWith(one, `lxc.seccomp.profile = ${file}\nsyscall.rule = errno(EACCES) userfaultfd\n`);
    startAndVerify(one);
    assert.match(one.inside("/probe userfaultfd"), /EACCES/);
    one.stop();
  });
});

describe("containers without rights, and odd roots", { skip: noContainers }, () => {
  const container = createContainer({ config: common });
  if (noContainers === false) putProgram(container, probePath, "probe");
  after(() => container.stop());

  test("without CAP_SYS_ADMIN it is no_new_privs, and enable says so", () => {
    container.configure(`${container.original}lxc.cap.drop = sys_admin\nsyscall.deny = keyctl\n`);
    const enabled = container.callgate("enable", container.name);
    assert.match(enabled.stdout, /no CAP_SYS_ADMIN: init gets no_new_privs/);
    startAndVerify(container);
    assert.match(
      container.inside("/probe keyctl; grep NoNewPrivs /proc/1/status"),
      /keyctl: EPERM[\s\S]*NoNewPrivs:\s*1/,
    );
    container.stop();
  });

  test("a read-only root", () => {
    enableWith(container, "lxc.rootfs.options = ro\nsyscall.deny = keyctl\n");
    startAndVerify(container);
    assert.match(container.attach("/probe keyctl").stdout, /keyctl: EPERM/);
    assert.notEqual(container.attach("touch /x").status, 0);
    container.stop();
  });

  test("no devices of LXC's: the target is made, and gone from sight", () => {
    enableWith(container, "lxc.autodev = 0\nsyscall.deny = keyctl\n");
    startAndVerify(container);
    assert.match(container.inside("/probe keyctl; wc -c < /dev/.callgate"), /keyctl: EPERM[\s\S]*^0$/m);
    container.stop();
  });

  test("a target that is a link leads nowhere: the container does not start without its filter", () => {
    enableWith(container, "lxc.autodev = 0\nsyscall.deny = keyctl\n");
    const target = join(container.rootfs, "dev", ".callgate");
    rmSync(target, { force: true });
    writeFileSync(join(container.rootfs, "decoy"), "#!/bin/sh\ntouch /decoy-ran\nexec /sbin/init\n", {
      mode: 0o755,
    });
    symlinkSync("/decoy", target);
    assert.equal(container.callgate("start", container.name).status, 125);
    rmSync(target, { force: true });
    assert.notEqual(run("cat", [join(container.rootfs, "decoy-ran")]).status, 0);
  });

  test("a program in the configured init's place with arguments", () => {
    enableWith(
      container,
      'lxc.init.cmd = /bin/sh -c "echo $0 started > /began; exec /sbin/init" sh\nsyscall.deny = keyctl\n',
    );
    startAndVerify(container);
    assert.equal(readFileSync(join(container.rootfs, "began"), "utf8"), "sh started\n");
    container.stop();
  });

  test("a policy that denies execve and seccomp lets init begin, and nothing be executed after", () => {
    enableWith(container, "syscall.deny = execve, execveat, seccomp\n");
    startAndVerify(container);
    assert.equal(run("cat", [`/proc/${container.pid()}/comm`]).stdout.trim(), "init");
    container.stop();
  });

  test("no statement can break lxc-start: what LXC calls itself is refused by the second part alone", () => {
    enableWith(
      container,
      "syscall.rule = errno(EACCES) sendmsg, setsid, capget, setgroups, setresuid, prctl, fchown, umount2, getrandom\n",
    );
    startAndVerify(container);
    assert.doesNotMatch(
      readFileSync(join(container.folder, "callgate.seccomp"), "utf8"),
      /sendmsg|setgroups|prctl|^umount2 errno 13$/m,
    );
    container.stop();
  });

  test("a host where lxc-start runs under a filter itself", () => {
    enableWith(container, "syscall.deny = keyctl\n");
    const steps: readonly PlanStep[] = [
      { kind: "filter", bytes: refuseFilter(numbers.uname + 1_000_000, 1) },
    ];
    const started = launch(
      planFor(steps, "/usr/bin/lxc-start", "-P", container.lxcpath, "-n", container.name),
    );
    assert.equal(started.status, 0, started.stderr);
    assert.match(
      container.inside("grep Seccomp_filters /proc/1/status; /probe keyctl"),
      /Seccomp_filters:\s*3[\s\S]*keyctl: EPERM/,
    );
    assert.equal(container.callgate("verify", container.name).status, 0);
    container.stop();
  });
});
