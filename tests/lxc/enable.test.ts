// Debian packages: lxc, busybox-static, uidmap, gcc
// The whole way, on real containers: statements in a container's configuration, enforced by an unmodified LXC.
import assert from "node:assert/strict";
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { probePath } from "../kernel/native.ts";
import { type Container, createContainer, noContainers, putProgram, run } from "./containers.ts";

const common = "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n";

/** Tries a call inside by the probe; its one line. */
function probe(container: Container, name: string): string {
  return container.attach(`/probe ${name}`).stdout.trim();
}

/** The same in a process of the container's own, which init starts: by a job that it watches for. */
function insideInit(container: Container, line: string): string {
  return container.inside(line);
}

for (const kind of ["privileged", "userns", "user"] as const) {
  describe(`a container, ${kind}`, { skip: noContainers }, () => {
    const container = createContainer({ kind, config: common });
    putProgram(container, probePath, "probe");
    after(() => container.stop());
    const statements = "syscall.deny = keyctl, userfaultfd   # nobody needs them\nsyscall.baseline = 5.0\n";
    const enabled = (): void => {
      container.configure(`${container.original}${statements}`);
      const outcome = container.callgate("enable", container.name);
      assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
      assert.match(outcome.stdout, /errno\(ENOSYS\): .*io_uring_setup/);
      assert.match(outcome.stdout, /common\.seccomp stays in force as well/);
    };

    test("what is stated holds inside, and everything else works", () => {
      enabled();
      const started = container.callgate("start", container.name);
      assert.equal(started.status, 0, started.stdout + started.stderr);
      const found = insideInit(
        container,
        "/probe keyctl; /probe io_uring_setup; /probe open_by_handle_at; mkdir /made && echo made; grep Seccomp_filters /proc/self/status; cat /dev/.callgate",
      );
      assert.match(found, /^keyctl: EPERM/m);
      assert.match(found, /^io_uring_setup: ENOSYS/m);
      assert.match(found, /^open_by_handle_at: EPERM/m);
      assert.match(found, /^made$/m);
      assert.match(found, /^Seccomp_filters:\s*2$/m);
      assert.doesNotMatch(found, /ELF|callgate's plan/);
      // lxc-attach has what LXC's own format can say.
      assert.match(probe(container, "keyctl"), /^keyctl: EPERM/);
    });

    test("the kernel has it, says verify as root; an ordinary user is told that nothing was verified", () => {
      const outcome = container.callgate("verify", container.name);
      if (kind === "user") {
        assert.equal(outcome.status, 3, outcome.stdout + outcome.stderr);
        assert.match(outcome.stdout, /not verified: /);
        assert.match(outcome.stdout, /has 2 filters/);
        assert.doesNotMatch(outcome.stdout, /proved/);
        const byRoot = run(container.callgatePath, [
          "lxc",
          "verify",
          "-P",
          container.lxcpath,
          container.name,
        ]);
        assert.match(byRoot.stdout, /proved: init/);
      } else {
        assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
        assert.match(outcome.stdout, /proved: init \(\d+\) has 2 filters/);
      }
      const status = container.callgate("status");
      assert.match(
        status.stdout,
        new RegExp(`${container.name} +running +2 statements +${kind === "user" ? "not verified" : "yes"}`),
      );
    });

    test("the first program is the caller's own, and nobody can change it", () => {
      const file = statSync(join(container.folder, "callgate.init"));
      assert.equal(file.mode & 0o7777, 0o555);
      assert.equal(file.uid, container.user ?? 0);
    });

    test("disable gives the configuration back, byte for byte", () => {
      container.stop();
      assert.equal(container.callgate("disable", container.name).status, 0);
      assert.equal(container.config(), `${container.original}${statements}`);
      assert.deepEqual(
        readdirSync(container.folder).filter((name) => name.startsWith("callgate.")),
        [],
      );
      assert.equal(container.start().status, 0);
      assert.match(probe(container, "keyctl"), /^keyctl: ok/);
      container.stop();
    });
  });
}

describe("what would pass the container's own filter by", { skip: noContainers }, () => {
  const container = createContainer({ config: `${common}syscall.deny = keyctl\n` });
  after(() => container.stop());
  const log = join(container.folder, "callgate.log");
  assert.equal(noContainers !== false || container.callgate("enable", container.name).status === 0, true);
  const at = ["-P", container.lxcpath, "-n", container.name];
  const marker = join(container.rootfs, "ran");
  const gone = (): boolean => run("lxc-wait", [...at, "-s", "STOPPED", "-t", "30"]).status === 0;

  const ways: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
    ["lxc-start -- CMD", "lxc-start", [...at, "--", "/bin/sh", "-c", "echo > /ran; sleep 60"]],
    ["lxc-start -F -- CMD", "lxc-start", [...at, "-F", "--", "/bin/sh", "-c", "echo > /ran"]],
    [
      "lxc-start -s lxc.init.cmd=…",
      "lxc-start",
      [...at, "-s", "lxc.init.cmd=/bin/sh -c 'echo > /ran; sleep 60'"],
    ],
    ["lxc-execute", "lxc-execute", [...at, "--", "/bin/sh", "-c", "echo > /ran"]],
  ];
  for (const [name, command, args] of ways) {
    test(`${name}: the container is stopped before the program runs an instruction`, () => {
      const before = existsSync(log) ? readFileSync(log, "utf8").length : 0;
      run(command, args);
      assert.ok(gone());
      assert.equal(existsSync(marker), false);
      assert.match(readFileSync(log, "utf8").slice(before), /start-without-filter/);
    });
  }

  test("as configured it starts after that as before", () => {
    assert.equal(container.start().status, 0);
    assert.equal(container.callgate("verify", container.name).status, 0);
    assert.match(container.callgate("start", container.name).stderr, /already running/);
    container.stop();
  });
});

describe("mistakes stop the start, loudly", { skip: noContainers }, () => {
  const container = createContainer({ config: common });
  const log = join(container.folder, "callgate.log");
  const enabledWith = (statements: string): void => {
    container.configure(`${container.original}syscall.deny = keyctl\n`);
    assert.equal(container.callgate("enable", container.name).status, 0);
    container.configure(container.config().replace("syscall.deny = keyctl\n", statements));
  };

  test("a name that does not exist: on the terminal, in the log, with line and caret", () => {
    enabledWith("syscall.deny = keyclt\n");
    const outcome = container.callgate("start", container.name);
    assert.equal(outcome.status, 125);
    const wanted =
      /config:\d+:16 error unknown-syscall: there is no system call "keyclt"\n.*\n +\| +\^{6} did you mean keyctl\?/;
    assert.match(outcome.stderr, wanted);
    assert.match(readFileSync(log, "utf8"), wanted);
    assert.notEqual(container.start().status, 0);
  });

  const mistakes: readonly (readonly [string, RegExp])[] = [
    ["syscall.policy = nowhere.toml\n", /cannot read .*nowhere\.toml/],
    ["syscall.dney = keyctl\n", /unknown-statement.*"syscall\.dney"/],
    ["syscall.default = allwo\n", /allwo/],
    ["syscall.deny = keyctl\nsyscall.allow = keyctl(option == 1)\n", /unreachable-rule/],
    ["syscall.inherit = some\n", /syscall\.inherit is profile .* or none/],
    ["syscall.abis = x86_46\n", /unknown-abi.*x86_46/],
    ["syscall.baseline = new\n", /bad-version/],
    [
      "syscall.rule = ask keyctl\n",
      /:16 error nobody-to-ask: [\s\S]*\n +\| +\^{3}[\s\S]*write deny; callgate lxc watch/,
    ],
  ];
  for (const [statements, message] of mistakes) {
    test(`${JSON.stringify(statements)} stops the start`, () => {
      enabledWith(statements);
      const outcome = container.callgate("start", container.name);
      assert.equal(outcome.status, 125);
      assert.match(outcome.stderr, message);
      assert.equal(container.callgate("check", container.name).status === 0, false);
    });
  }

  test("a policy that begins to ask stops the next start: there is nobody to be asked", () => {
    const policy = (rule: string): void =>
      writeFileSync(
        join(container.folder, "asks.toml"),
        `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = "${rule} keyctl"\n`,
      );
    policy("deny");
    enabledWith("syscall.policy = asks.toml\n");
    assert.equal(container.start().status, 0);
    container.stop();
    policy("ask");
    assert.notEqual(container.start().status, 0);
    assert.match(readFileSync(log, "utf8"), /asks\.toml:5:10 error nobody-to-ask/);
  });

  test("lines behind callgate's that undo it stop the start", () => {
    for (const line of [
      common,
      "lxc.init.cmd = /sbin/init\n",
      "lxc.hook.start-host =\n",
      "lxc.mount.entry =\n",
      "lxc.seccomp.allow_nesting = 0\n",
    ]) {
      enabledWith("syscall.deny = keyctl\n");
      appendFileSync(container.configFile, line);
      const outcome = container.callgate("start", container.name);
      assert.equal(outcome.status, 125, line);
      assert.match(outcome.stderr, /lxc-wiring/, line);
    }
  });

  test("lxc.syscall.… is told, and mended by check --fix", () => {
    container.configure(`${container.original}lxc.syscall.deny = keyctl\nsyscall.baseline = 6.1\n`);
    const told = container.callgate("check", container.name);
    assert.equal(told.status, 1);
    assert.match(told.stdout, /lxc-key.*\n.*\n.*write syscall\.deny/);
    const fixed = container.callgate("check", "--fix", container.name);
    assert.equal(fixed.status, 0, fixed.stdout);
    assert.equal(container.config(), `${container.original}syscall.deny = keyctl\nsyscall.baseline = 6.1\n`);
  });

  test("a changed launcher copy or profile is written anew at every start", () => {
    enabledWith("syscall.deny = keyctl\n");
    assert.equal(container.start().status, 0);
    container.stop();
    writeFileSync(join(container.folder, "callgate.seccomp"), "2\ndenylist\n");
    assert.equal(container.start().status, 0);
    assert.equal(container.callgate("verify", container.name).status, 0);
    container.stop();
  });

  test("a policy that one filter cannot say is told to be too large, and nothing is changed", () => {
    const rules = Array.from(
      { length: 1500 },
      (_, at) =>
        `errno(${1 + (at % 50)}) keyctl(operation == ${(at * 7919) % 100_003} && args[1] == ${at * 13 + 5})`,
    );
    const policy = `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = '''\n${rules.join("\n")}\n'''\n`;
    writeFileSync(join(container.folder, "large.toml"), policy);
    const text = `${container.original}syscall.policy = large.toml\n`;
    container.configure(text);
    const outcome = container.callgate("enable", container.name);
    assert.equal(outcome.status, 1);
    assert.match(
      outcome.stderr,
      /error filter-too-large: .* 4096 at most: a container's statements have to fit into one filter/,
    );
    assert.equal(container.config(), text);
  });

  test("enable leaves a configuration with a mistake as it was", () => {
    const text = `${container.original}syscall.deny = keyclt\n`;
    container.configure(text);
    assert.equal(container.callgate("enable", container.name).status, 1);
    assert.equal(container.config(), text);
  });
});
