// Debian packages: lxc, busybox-static
// LXC in LXC, with statements in both: what either refuses is refused in the inner container.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { callgatePath } from "../cli/callgate.ts";
import { probePath } from "../kernel/native.ts";
import { createLxcpath, noContainers, openContainer, run } from "./containers.ts";

/** What is done in the outer container, whose root is this machine's under an overlay. */
const script = (callgate: string, probe: string): string => `
set -e
grep -q ' cgroup2\\? ' /proc/mounts || mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /inner
mount -t tmpfs none /inner
chmod 755 /inner
printf 'lxc.net.0.type = empty\\nlxc.apparmor.profile = unconfined\\nlxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\\n' > /inner/base
lxc-create -P /inner -n inner -t busybox -f /inner/base > /dev/null
cp ${probe} /inner/inner/rootfs/probe
printf 'syscall.deny = userfaultfd\\n' >> /inner/inner/config
${callgate} lxc enable -P /inner inner > /dev/null
${callgate} lxc start -P /inner inner
${callgate} lxc attach -P /inner inner -- /bin/sh -c '/probe keyctl; /probe userfaultfd; /probe open_by_handle_at; /probe mount; cat /proc/1/status' || true
${callgate} lxc verify -P /inner inner || true
touch /inner/ready
`;

test("nested containers: each one's statements are enforced in the inner one", { skip: noContainers }, () => {
  const lxcpath = createLxcpath();
  const folder = join(lxcpath, "outer");
  const root = packageRoot();
  for (const name of ["", "delta"]) mkdirSync(join(folder, name), { recursive: true });
  chmodSync(folder, 0o755);
  const config = [
    "lxc.uts.name = outer",
    `lxc.rootfs.path = overlay:/:${join(folder, "delta")}`,
    "lxc.net.0.type = empty",
    "lxc.apparmor.profile = unconfined",
    "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp",
    "lxc.pty.max = 16",
    "lxc.mount.auto = proc:rw sys:rw cgroup:rw",
    // The package may be on another file system than the root.
    `lxc.mount.entry = ${root} ${root.slice(1)} none bind,ro,create=dir 0 0`,
    "lxc.init.cmd = /bin/sleep infinity",
    "syscall.deny = keyctl",
    "",
  ].join("\n");
  writeFileSync(join(folder, "config"), config);
  const outer = openContainer(lxcpath, "outer");
  const enabled = outer.callgate("enable", "outer");
  assert.equal(enabled.status, 0, enabled.stderr);
  const started = outer.callgate("start", "outer");
  assert.equal(started.status, 0, started.stderr);
  try {
    const path = `${dirname(process.execPath)}:/usr/sbin:/usr/bin:/sbin:/bin`;
    const line = `export PATH=${path} HOME=/root; ${script(callgatePath, probePath)}`;
    const inner = outer.callgate("attach", "outer", "--", "/bin/sh", "-c", line);
    assert.equal(inner.status, 0, inner.stdout + inner.stderr);
    assert.match(inner.stdout, /^keyctl: EPERM/m); // the outer one's
    assert.match(inner.stdout, /^userfaultfd: EPERM/m); // its own
    assert.match(inner.stdout, /^open_by_handle_at: EPERM/m); // the profiles'
    assert.match(inner.stdout, /^mount: ok/m);
    assert.match(inner.stdout, /^Seccomp_filters:\s*4$/m);
    // A process under a filter may not read filters back.
    assert.match(inner.stdout, /inner: not verified: .*\ninit \(\d+\) has 4 filters/);
    const verified = outer.callgate("verify", "outer");
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    assert.match(
      verified.stdout,
      /outer: proved: .*\n\d+ processes have all of them, [1-9]\d* of them more of their own/,
    );
  } finally {
    run("lxc-stop", ["-P", lxcpath, "-n", "outer", "-k"]);
  }
});
