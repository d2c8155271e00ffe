// Debian packages: lxc, busybox-static, uidmap, gcc, bsdutils, util-linux
// What is around containers: a callgate that has moved, no LXC, several containers at once, the system's log.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { callgatePath } from "../cli/callgate.ts";
import { compileC } from "../kernel/native.ts";
import { atEnd, type Container, createContainer, isRoot, noContainers, run } from "./containers.ts";

const common = "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n";

function enabledWith(container: Container, statements: string): void {
  container.configure(container.original + statements);
  const { status, stderr } = container.callgate("enable", container.name);
  assert.equal(status, 0, stderr);
}

describe("a callgate that has moved since it was enabled", { skip: noContainers }, () => {
  const container = createContainer({ config: common });
  after(() => container.stop());
  const root = packageRoot();
  const enabled = (): string => {
    enabledWith(container, "syscall.deny = keyctl\n");
    return container.config();
  };

  test("the container does not start, and start, check and status say why and what to do", () => {
    container.configure(enabled().replaceAll(`${root}/`, "/opt/call\\ gate.gone/"));
    assert.notEqual(container.start().status, 0);
    const why =
      /config:\d+:22 error lxc-wiring: \/opt\/call gate\.gone\/native\/\S+\/hook is not there[\s\S]*run callgate lxc enable again with the callgate that is there, or callgate lxc disable/;
    const started = container.callgate("start", container.name);
    assert.equal(started.status, 125);
    assert.match(started.stderr, why);
    const checked = container.callgate("check", container.name);
    assert.equal(checked.status, 1);
    assert.match(checked.stdout, why);
    const status = container.callgate("status", container.name);
    assert.match(status.stdout, /stopped +2 statements, cannot start \(callgate lxc check\)/);
  });

  test("so it is when only a part of it is gone", () => {
    for (const part of ["tracer", "bin/callgate lxc hook pre-start"]) {
      const text = enabled();
      const [line = ""] = text.split("\n").filter((one) => one.startsWith("lxc.hook.") && one.includes(part));
      assert.notEqual(line, "", text);
      container.configure(text.replace(line, line.replace(part, `gone/${part}`)));
      const checked = container.callgate("check", container.name);
      assert.equal(checked.status, 1, part);
      assert.match(checked.stdout, /lxc-wiring: .*gone\/\S+ is not there/, part);
      assert.notEqual(container.start().status, 0, part);
    }
  });

  test("enable mends it, and disable gives the configuration back", () => {
    container.configure(enabled().replaceAll(`${root}/`, "/opt/gone/"));
    assert.equal(container.callgate("enable", container.name).status, 0);
    assert.equal(container.callgate("start", container.name).status, 0);
    assert.equal(container.callgate("verify", container.name).status, 0);
    container.stop();
    container.configure(container.config().replaceAll(`${root}/`, "/opt/gone/"));
    assert.equal(container.callgate("disable", container.name).status, 0);
    assert.equal(container.config(), `${container.original}syscall.deny = keyctl\n`);
  });
});

describe("without LXC", () => {
  const folder = mkdtempSync(join(tmpdir(), "callgate-bare-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const bin = join(folder, "bin");
  mkdirSync(bin);
  for (const name of ["node", "sh", "env", "readlink", "dirname", "uname"]) {
    const found = spawnSync("/bin/sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim();
    if (found !== "") symlinkSync(found, join(bin, name));
  }
  mkdirSync(join(folder, "lxc", "web", "rootfs"), { recursive: true });
  const config = join(folder, "lxc", "web", "config");
  const text = "lxc.uts.name = web\nlxc.rootfs.path = dir:/nowhere\nsyscall.deny = keyctl\n";
  const callgate = (subcommand: string, ...args: readonly string[]) =>
    spawnSync(callgatePath, ["lxc", subcommand, "-P", join(folder, "lxc"), ...args], {
      encoding: "utf8",
      env: { PATH: bin, HOME: folder, NO_COLOR: "1" },
      timeout: 120_000,
    });

  test("what needs it says so, and what does not works", () => {
    writeFileSync(config, text);
    // A baseline is missing until it is enabled, and that is no mistake.
    const before = callgate("check", "web");
    assert.equal(before.status, 0, before.stdout);
    assert.match(before.stdout, /warning not-enabled[\s\S]*^1 warning$/m);
    const enabled = callgate("enable", "web");
    assert.equal(enabled.status, 0, enabled.stderr);
    assert.equal(callgate("check", "web").status, 0);
    assert.equal(callgate("explain", "web", "keyctl()").status, 0);
    for (const [status, ...args] of [
      [125, "start", "web"],
      [125, "attach", "web", "--", "true"],
      [2, "verify", "web"],
      [2, "status", "web"],
      [2, "status"],
      [2, "learn", "web"],
      ...(process.getuid?.() === 0 ? [[2, "watch", "web"] as const] : []),
    ] as const) {
      const [subcommand, ...rest] = args;
      const outcome = callgate(subcommand, ...rest);
      assert.equal(outcome.status, status, args.join(" "));
      assert.match(outcome.stderr, /LXC is not installed, .*\(Debian: apt-get install lxc\)/, args.join(" "));
      assert.doesNotMatch(outcome.stdout, /stopped|does not run/, args.join(" "));
    }
    const disabled = callgate("disable", "web");
    assert.equal(disabled.status, 0, disabled.stderr);
    assert.equal(readFileSync(config, "utf8"), text);
  });
});

describe("an ordinary user who names root's containers", { skip: !isRoot && "only root has some" }, () => {
  const folder = mkdtempSync(join(tmpdir(), "callgate-roots-"));
  const lxcpath = join(folder, "lxc");
  const config = "lxc.uts.name = web\nlxc.rootfs.path = dir:/nowhere\nsyscall.deny = keyctl\n";
  const make = (path: string, name: string, mode: number): void => {
    mkdirSync(join(path, name), { recursive: true });
    writeFileSync(join(path, name, "config"), config);
    chmodSync(join(path, name), mode);
  };
  const asUser = (...args: readonly string[]) =>
    spawnSync(callgatePath, ["lxc", ...args], {
      encoding: "utf8",
      cwd: "/",
      env: { ...process.env, HOME: join(folder, "home"), NO_COLOR: "1" },
      uid: 65534,
      gid: 65534,
      timeout: 120_000,
    });
  const others = join("/var/lib/lxc", `callgate-test-${process.pid}`);
  before(() => {
    chmodSync(folder, 0o755);
    make(lxcpath, "web", 0o770);
    make(lxcpath, "mail", 0o770);
    mkdirSync(join(folder, "shut"), { mode: 0o700 });
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
    rmSync(others, { recursive: true, force: true });
  });

  test("one is there, and cannot be looked into", () => {
    const { status, stdout, stderr } = asUser("check", "-P", lxcpath, "web");
    assert.equal(status, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /this user may not look into \/.*\/lxc\/web: root may \(sudo callgate lxc …\)/);
    assert.doesNotMatch(stderr, /there is no container|there are none/);
  });

  test("a name that is misspelt: those that there are", () => {
    const { status, stderr } = asUser("check", "-P", lxcpath, "wbe");
    assert.equal(status, 2);
    assert.match(
      stderr,
      /there is no container "wbe": this user may not look into .*\/mail, .*\/web: root may/,
    );
  });

  test("all of them: nobody is told that there are none", () => {
    for (const args of [["status"], ["check", "--all"], ["enable", "--all"], ["verify", "--all"]]) {
      const { status, stdout, stderr } = asUser(...args, "-P", lxcpath);
      assert.equal(status, 2, args.join(" "));
      assert.equal(stdout, "");
      assert.match(stderr, /this user may not look into .*\/mail, .*\/web: root may/);
    }
    assert.match(
      asUser("status", "-P", join(folder, "shut")).stderr,
      /may not look into \/.*\/shut: root may/,
    );
  });

  test("without -P: that root has one of this name", { skip: noContainers }, () => {
    make("/var/lib/lxc", basename(others), 0o770);
    if ((statSync("/var/lib/lxc").mode & 0o5) !== 0o5) return;
    const named = asUser("check", basename(others)).stderr;
    assert.match(
      named,
      /there are none in \/.*\/home\/.*; \/var\/lib\/lxc\/callgate-test-\d+ is root's \(sudo/,
    );
    assert.match(
      asUser("status").stdout,
      /there are no containers in .*; root's are in \/var\/lib\/lxc \(sudo/,
    );
  });
});

describe("several containers at once", { skip: noContainers }, () => {
  const first = createContainer({ config: common });
  const others = [1, 2].map(() => createContainer({ lxcpath: first.lxcpath, config: common }));
  const [second, third] = others;
  after(() => {
    for (const one of [first, ...others]) one.stop();
  });

  test("check --all tells of each one, and ends as the worst of them", () => {
    assert.ok(second !== undefined && third !== undefined);
    first.configure(`${first.original}syscall.deny = keyctl\nsyscall.baseline = 6.1\n`);
    second.configure(`${second.original}syscall.deny = keyclt\nsyscall.baseline = 6.1\n`);
    third.configure(`${third.original}syscall.deny = bpf\nsyscall.baseline = 6.1\n`);
    const { status, stdout } = first.callgate("check", "--all");
    assert.equal(status, 1);
    assert.match(stdout, new RegExp(`${second.name}/config:\\d+:16 error unknown-syscall`));
    assert.match(stdout, new RegExp(`not-enabled: .*${first.name}`));
    assert.match(stdout, /^1 error, \d warnings?$/m);
  });

  test("enable --all enables all but those with mistakes, and says which", () => {
    assert.ok(second !== undefined && third !== undefined);
    const left = second.config();
    const { status, stdout, stderr } = first.callgate("enable", "--all");
    assert.equal(status, 1);
    assert.match(stdout, new RegExp(`^${first.name}: enabled`, "m"));
    assert.match(stdout, new RegExp(`^${third.name}: enabled`, "m"));
    assert.match(stderr, new RegExp(`${second.name} is left as it was`));
    assert.equal(second.config(), left);
    assert.equal(first.callgate("enable", "--all", first.name).status, 2);
  });

  test("status has each one as it is: proved, other than stated, stopped, with mistakes, not protected", () => {
    assert.ok(second !== undefined && third !== undefined);
    const plain = createContainer({ lxcpath: first.lxcpath, config: common });
    for (const one of [first, third]) assert.equal(one.start().status, 0);
    second.configure(second.original);
    enabledWith(second, "syscall.deny = keyctl\n");
    third.configure(third.config().replace("syscall.deny = bpf", "syscall.deny = keyctl"));
    const rowOf = (name: string, text: string): string =>
      text.split("\n").find((line) => line.startsWith(`${name} `)) ?? text;
    let told = first.callgate("status");
    assert.equal(told.status, 0);
    assert.match(rowOf(first.name, told.stdout), /running +2 statements +yes +\d+ \+ \d+/);
    assert.match(rowOf(third.name, told.stdout), /running +2 statements +no /);
    assert.match(rowOf(second.name, told.stdout), /stopped +2 statements +– +–/);
    assert.match(rowOf(plain.name, told.stdout), /stopped +none +– +–/);
    second.configure(second.config().replace("keyctl", "keyclt"));
    told = first.callgate("status", "--json");
    const rows: readonly { readonly name: string; readonly proved: string; readonly policy: string }[] =
      JSON.parse(told.stdout);
    assert.deepEqual(
      [first, second, third, plain].map(({ name }) => {
        const row = rows.find((one) => one.name === name);
        return [row?.proved, row?.policy];
      }),
      [
        ["yes", "2 statements"],
        ["no", "has mistakes (callgate lxc check)"],
        ["no", "2 statements"],
        ["–", "none"],
      ],
    );
    const disabled = first.callgate("disable", "--all");
    assert.equal(disabled.status, 0, disabled.stderr);
    for (const one of [first, second, third]) assert.doesNotMatch(one.config(), /# callgate/);
  });
});

test("verify --json of an ordinary user: not verified, how many filters, and what was installed", {
  skip: noContainers,
}, () => {
  const container = createContainer({ kind: "user", config: common });
  enabledWith(container, "syscall.deny = keyctl\n");
  assert.equal(container.start().status, 0);
  try {
    const { status, stdout } = container.callgate("verify", "--json", container.name);
    assert.equal(status, 3);
    const told = JSON.parse(stdout);
    assert.equal(told.container, container.name);
    assert.equal(told.init, container.pid());
    assert.equal(told.verdict, "not-verified");
    assert.match(told.reason, /./);
    assert.equal(told.filters, 2);
    const program = readFileSync(join(container.folder, "callgate.init"));
    assert.equal(told.installed, createHash("sha256").update(program).digest("hex"));
    assert.doesNotMatch(stdout, /proved/);
  } finally {
    container.stop();
  }
});

describe("the system's log", { skip: noContainers }, () => {
  const container = createContainer({ config: common });
  const program =
    noContainers === false
      ? compileC("log", readFileSync(join(packageRoot(), "tests", "lxc", "log.c"), "utf8"))
      : "";

  /** What arrives at /dev/log while a line of sh is carried out: /dev is one of its own, in mounts of its own. */
  function logOf(line: string): string {
    const folder = mkdtempSync(join(tmpdir(), "callgate-log-"));
    atEnd(() => rmSync(folder, { recursive: true, force: true }));
    const script = `set -e
      mkdir "$1/dev"; mount -t tmpfs -o mode=755 dev "$1/dev"
      cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx "$1/dev/"
      mkdir "$1/dev/pts"; mount --bind /dev/pts "$1/dev/pts"; ln -s /proc/self/fd "$1/dev/fd"
      mount --rbind "$1/dev" /dev
      "$2" /dev/log > "$1/said" & log=$!
      while [ ! -S /dev/log ]; do sleep 0.05; done
      set +e
      sh -c "$3" > "$1/out" 2>&1
      # The tracer writes to the log when it has ended the container: that may come behind lxc-start's own end.
      for i in $(seq 2400); do [ -s "$1/said" ] && break; sleep 0.05; done
      kill "$log"; wait; exit 0`;
    const outcome = run("unshare", [
      "--mount",
      "--propagation",
      "private",
      "sh",
      "-c",
      script,
      "sh",
      folder,
      program,
      line,
    ]);
    assert.equal(outcome.status, 0, outcome.stderr);
    return readFileSync(join(folder, "said"), "utf8");
  }

  test("a mistake that stops the start stands there, with container and first line", () => {
    enabledWith(container, "syscall.deny = keyctl\n");
    container.configure(container.config().replace("syscall.deny = keyctl", "syscall.deny = keyclt"));
    const said = logOf(`lxc-start -P ${container.lxcpath} -n ${container.name}`);
    // <27>: daemon, error.
    assert.match(said, /^<27>/);
    assert.match(
      said,
      new RegExp(`callgate\\S*: ${container.name}: \\S+/config:\\d+:16 error unknown-syscall: .*"keyclt"`),
    );
  });

  test("so does a start that would pass the container's filter by", () => {
    enabledWith(container, "syscall.deny = keyctl\n");
    const said = logOf(`lxc-start -P ${container.lxcpath} -n ${container.name} -F -- /bin/sh -c true`);
    assert.match(said, /^<3>callgate: error start-without-filter: /m);
  });
});
