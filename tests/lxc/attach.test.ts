// Debian packages: lxc, busybox-static, uidmap
// `callgate lxc attach`: what comes into a container later is under both of its filters, or does not come in.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { probePath } from "../kernel/native.ts";
import { createContainer, noContainers, putProgram, run } from "./containers.ts";

for (const kind of ["privileged", "userns", "user"] as const) {
  describe(`attached to a container, ${kind}`, { skip: noContainers }, () => {
    const container = createContainer({
      kind,
      config: "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n",
    });
    if (noContainers === false) putProgram(container, probePath, "probe");
    const attach = (...command: readonly string[]) =>
      container.callgate("attach", container.name, ...(command.length === 0 ? [] : ["--", ...command]));
    const start = (): void => {
      const started = container.callgate("start", container.name);
      assert.equal(started.status, 0, started.stderr);
    };
    before(() => {
      container.configure(
        `${container.original}syscall.deny = keyctl\nsyscall.rule = errno(EXDEV) statmount\n`,
      );
      assert.equal(container.callgate("enable", container.name).status, 0);
      start();
    });
    after(() => container.stop());

    test("both filters, the container's PATH and root, and the command's own status", () => {
      const outcome = attach(
        "sh",
        "-c",
        "grep Seccomp_filters /proc/self/status; /probe keyctl; id -u; exit 7",
      );
      assert.match(outcome.stdout, /Seccomp_filters:\s*2\nkeyctl: EPERM.*\n0\n$/, outcome.stderr);
      assert.equal(outcome.status, 7);
      assert.equal(attach("/bin/true").status, 0);
      assert.equal(attach("no-such-program").status, 127);
    });

    test("what is attached is proved with all others", () => {
      if (kind === "user") return;
      const { pid } = container.attachInBackground("sleep 1000", true);
      try {
        const outcome = container.callgate("verify", container.name);
        assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
      } finally {
        process.kill(pid, "SIGTERM");
      }
    });

    test("a container whose /proc is not the kernel's: nothing of its own runs, and nothing is started", () => {
      const decoy = "#!/bin/sh\\ntouch /decoy-ran\\n";
      container.inside(
        `mkdir /fake; mount -t tmpfs none /fake; mkdir -p /fake/self/fd; printf '${decoy}' > /fake/self/fd/3; chmod 755 /fake/self/fd/3; mount --bind /fake /proc`,
      );
      const outcome = attach("/bin/true");
      assert.equal(outcome.status, 125, outcome.stdout);
      assert.equal(container.inside("ls /decoy-ran 2>/dev/null"), "");
      container.stop();
      start();
    });

    test("statements or a profile that are not those of the start: refused", () => {
      const profile = join(container.folder, "callgate.seccomp");
      const text = readFileSync(profile, "utf8");
      writeFileSync(profile, `${text}mkdir errno 1\n`);
      const changedProfile = attach("/bin/true");
      assert.equal(changedProfile.status, 125);
      assert.match(
        changedProfile.stderr,
        /the profile on disk is not the one that .* was started with: restart/,
      );
      writeFileSync(profile, text);
      assert.equal(attach("/bin/true").status, 0);
      container.configure(container.config().replace("syscall.deny = keyctl", "syscall.deny = keyctl, bpf"));
      const changed = attach("/bin/true");
      assert.equal(changed.status, 125);
      assert.match(changed.stderr, /the statements are not those that .* was started with/);
      container.stop();
      assert.match(attach("/bin/true").stderr, /does not run/);
      assert.equal(attach("/bin/true").status, 125);
    });
  });
}

test("wrong usage is 125", { skip: noContainers }, () => {
  const container = createContainer();
  assert.equal(container.callgate("attach").status, 125);
  assert.equal(container.callgate("attach", "nobody").status, 125);
  assert.equal(run(container.callgatePath, ["lxc", "attach", "--wrong"]).status, 125);
});
