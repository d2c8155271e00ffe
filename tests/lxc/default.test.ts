// Debian packages: lxc, busybox-static, uidmap
// `callgate lxc enable --default`: the configuration that new containers begin with.
import assert from "node:assert/strict";
import { chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { probePath } from "../kernel/native.ts";
import { createContainer, noContainers, openContainer, putProgram, run } from "./containers.ts";

describe("new containers of an ordinary user", { skip: noContainers }, () => {
  const model = createContainer({ kind: "user" });
  const user = model.user ?? 0;
  const home = run("/bin/sh", ["-c", "echo $HOME"], user).stdout.trim();
  const file = join(home, ".config", "lxc", "default.conf");
  const ids = model.original.split("\n").filter((line) => line.startsWith("lxc.idmap"));
  const text = `lxc.net.0.type = empty\nlxc.apparmor.profile = unconfined\nlxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n${ids.join("\n")}\nsyscall.deny = keyctl   # the site wants it`;
  const write = (content: string): void => {
    mkdirSync(join(home, ".config", "lxc"), { recursive: true });
    writeFileSync(file, content);
    for (const path of [join(home, ".config"), join(home, ".config", "lxc"), file])
      chownSync(path, user, user);
  };
  const created = (name: string) => {
    const outcome = run("lxc-create", ["-P", model.lxcpath, "-n", name, "-t", "busybox"], user);
    assert.equal(outcome.status, 0, outcome.stderr);
    return openContainer(model.lxcpath, name, user);
  };
  const lxc = (...args: readonly string[]) => run(model.callgatePath, ["lxc", ...args], user);

  test("without the file, and with a mistake in it, nothing is changed", () => {
    assert.equal(lxc("enable", "--default").status, 1);
    write("syscall.deny = keyclt\n");
    const outcome = lxc("enable", "--default");
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, /did you mean keyctl\?[\s\S]*is left as it was/);
    assert.equal(readFileSync(file, "utf8"), "syscall.deny = keyclt\n");
    assert.equal(lxc("enable", "--default", "web").status, 2);
  });

  test("a plain first start enables the container and stops; the next one is protected", () => {
    write(text);
    const enabled = lxc("enable", "--default");
    assert.equal(enabled.status, 0, enabled.stderr);
    const container = created("plain");
    putProgram(container, probePath, "probe");
    assert.equal(container.callgate("check", "plain").status, 0);
    assert.notEqual(container.start().status, 0);
    assert.match(readFileSync(join(container.folder, "callgate.log"), "utf8"), /plain is enabled now/);
    assert.equal(container.start().status, 0);
    assert.match(
      container.attach("/probe keyctl; grep Seccomp_filters /proc/1/status").stdout,
      /EPERM[\s\S]*\t2$/m,
    );
    container.stop();
    assert.equal(container.callgate("disable", "plain").status, 0);
    assert.doesNotMatch(container.config(), /callgate:|lxc hook/);
  });

  test("callgate lxc start does both at once", () => {
    const container = created("once");
    const started = container.callgate("start", "once");
    assert.equal(started.status, 0, started.stderr);
    assert.match(container.callgate("status").stdout, /^once +running +2 statements +not verified/m);
    container.stop();
  });

  test("disable gives the file back, byte for byte", () => {
    assert.equal(lxc("disable", "--default").status, 0);
    assert.equal(readFileSync(file, "utf8"), text);
  });
});
