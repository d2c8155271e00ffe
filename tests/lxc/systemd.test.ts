// Debian packages: lxc, busybox-static, debootstrap
// The built-in policy `container` under real inits: busybox, and a Debian with systemd, which comes up as it does without.
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { probePath } from "../kernel/native.ts";
import {
  type Container,
  createContainer,
  createLxcpath,
  noContainers,
  type Outcome,
  openContainer,
  putProgram,
  run,
} from "./containers.ts";

function enable(container: Container): void {
  container.configure(`${container.original}syscall.policy = container\n`);
  const outcome = container.callgate("enable", container.name);
  assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
}

function verified(container: Container): string {
  const outcome = container.callgate("verify", container.name);
  assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
  return outcome.stdout;
}

describe("busybox under the policy container", { skip: noContainers }, () => {
  const container = createContainer({
    config: "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n",
  });
  if (noContainers === false) putProgram(container, probePath, "probe");
  after(() => container.stop());

  test("it boots, works, and has none of what the policy refuses", () => {
    enable(container);
    assert.equal(container.callgate("start", container.name).status, 0);
    const found = container.inside(
      "/probe keyctl; /probe io_uring_setup; /probe bpf; /probe mount; ls / >/dev/null && echo works",
    );
    assert.match(found, /^keyctl: ENOSYS/m);
    assert.match(found, /^io_uring_setup: ENOSYS/m);
    assert.match(found, /^bpf: EPERM/m);
    assert.match(found, /^mount: ok/m);
    assert.match(found, /^works$/m);
    verified(container);
  });
});

describe("Debian with systemd under the policy container", { skip: noContainers }, () => {
  let container: Container;
  let problem: string | undefined;

  before(() => {
    const lxcpath = createLxcpath();
    const folder = join(lxcpath, "debian");
    const rootfs = join(folder, "rootfs");
    mkdirSync(folder, { mode: 0o755 });
    const make = (): Outcome =>
      run(
        "debootstrap",
        ["--variant=minbase", "--include=systemd-sysv,dbus", "bookworm", rootfs],
        undefined,
        600_000,
      );
    // The packages come from a server: what fails may be there or on the way.
    let made = make();
    for (let more = 2; more > 0 && made.status !== 0; more -= 1) {
      rmSync(rootfs, { recursive: true, force: true });
      made = make();
    }
    if (made.status !== 0)
      problem = `debootstrap could not make a tree: ${made.stdout.trim().split("\n").at(-1)}`;
    const lines = [
      "lxc.include = /usr/share/lxc/config/common.conf",
      "lxc.net.0.type = empty",
      "lxc.apparmor.profile = unconfined",
      `lxc.rootfs.path = dir:${rootfs}`,
      "lxc.uts.name = debian",
      "lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed",
    ];
    writeFileSync(join(folder, "config"), `${lines.join("\n")}\n`);
    container = openContainer(lxcpath, "debian");
  });
  after(() => container?.stop());

  /** What systemd says of itself when it has come up, and the units that failed. */
  function boot(): { readonly state: string; readonly failed: string } {
    const started = container.start();
    assert.equal(started.status, 0, started.stderr);
    for (
      const end = Date.now() + 400_000;
      ;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
    ) {
      const state = container.attach("systemctl is-system-running").stdout.trim();
      if (state === "running" || state === "degraded" || Date.now() > end)
        return {
          state,
          failed: container.attach("systemctl list-units --failed --no-legend --plain").stdout,
        };
    }
  }

  test("it comes up to the same state as without, and is proved", (t) => {
    if (problem !== undefined) return t.skip(problem);
    const without = boot();
    container.stop();
    enable(container);
    assert.deepEqual(boot(), without);
    assert.match(verified(container), /processes have all of them, \d+ of them more of their own/);
    assert.match(container.callgate("status").stdout, /debian +running +container +yes/);
    const calls = container.attach("echo alive; id -u; touch /root/x && echo wrote");
    assert.equal(calls.stdout, "alive\n0\nwrote\n");
  });
});
