// Debian packages: lxc, busybox-static
// A start where nothing has changed needs no Node, and any change is seen.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { encodeKept } from "../../src/lxc/kept.ts";
import { nativeProgram } from "../../src/sandbox/package-files.ts";
import { probePath, scratch } from "../kernel/native.ts";
import { createContainer, noContainers, putProgram, run } from "./containers.ts";

describe("starts that need no Node", { skip: noContainers }, () => {
  const container = createContainer({
    config: "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n",
  });
  if (noContainers === false) putProgram(container, probePath, "probe");
  after(() => container.stop());
  const file = (name: string): string => join(container.folder, `callgate.${name}`);
  const included = join(container.lxcpath, "site.conf");
  const below = join(container.lxcpath, "below.seccomp");
  const common = "/usr/share/lxc/config/common.seccomp";
  /** Node writes a new file each time. */
  /** Another one for each file that was written: a number alone may be that of the file before, which has gone. */
  const identity = (name: string): string => {
    const { ino, ctimeNs } = statSync(file(name), { bigint: true });
    return `${ino} ${ctimeNs}`;
  };
  const written = (): string => identity("state");

  function restart(): void {
    container.stop();
    const started = container.start();
    assert.equal(started.status, 0, started.stderr);
  }

  /** Files that have just been written could change again unseen: only when they have settled is anything kept. */
  function settle(): void {
    for (
      const end = Date.now() + 180_000;
      ;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250)
    ) {
      restart();
      if (existsSync(file("kept"))) return;
      assert.ok(Date.now() < end, "nothing was ever kept");
    }
  }

  test("the second start writes nothing, and is as protected", () => {
    writeFileSync(included, "syscall.deny = userfaultfd\n");
    writeFileSync(below, readFileSync(common));
    container.configure(
      `${container.original.replace(common, below)}lxc.include = ${included}\nsyscall.deny = keyctl\n`,
    );
    assert.equal(container.callgate("enable", container.name).status, 0);
    settle();
    const before = written();
    restart();
    assert.equal(written(), before);
    assert.equal(container.callgate("verify", container.name).status, 0);
    assert.match(container.inside("/probe keyctl"), /keyctl: EPERM/);
  });

  const changes: readonly (readonly [name: string, change: () => void])[] = [
    [
      "a statement",
      () => container.configure(container.config().replace("deny = keyctl", "deny = keyctl, add_key")),
    ],
    ["an included file, in its size the same", () => writeFileSync(included, "syscall.deny = pidfd_getfd\n")],
    [
      "the profile below",
      () => writeFileSync(below, `${readFileSync(below, "utf8")}[all]\nswapon errno 1\n`),
    ],
    [
      "the configured init's arguments",
      () => container.configure(container.config().replace("lxc.tty.max", "lxc.init.cmd = /sbin/init x\n$&")),
    ],
    [
      "the profile",
      () => writeFileSync(file("seccomp"), readFileSync(file("seccomp"), "utf8").replace("keyctl", "KEYCTL")),
    ],
    [
      "the first program",
      () => {
        const bytes = readFileSync(file("init"));
        // Another file in its place: the one that was just executed may still be busy.
        rmSync(file("init"));
        bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
        writeFileSync(file("init"), bytes, { mode: 0o555 });
      },
    ],
  ];
  for (const [name, change] of changes) {
    test(`${name} changed: everything is made anew`, () => {
      settle();
      const before = written();
      change();
      restart();
      assert.notEqual(written(), before);
      assert.equal(container.callgate("verify", container.name).status, 0);
    });
  }

  for (const [name, damage] of [
    ["cut off", () => readFileSync(file("kept")).subarray(0, 200)],
    ["nonsense", () => Buffer.from("callgate kept 2")],
  ] as const) {
    test(`what is kept is ${name}: it is kept anew`, () => {
      settle();
      const whole = readFileSync(file("kept"));
      writeFileSync(file("kept"), damage());
      restart();
      assert.deepEqual(readFileSync(file("kept")), whole);
      assert.equal(container.callgate("verify", container.name).status, 0);
    });
  }

  test("lines that cannot matter changed: the hook sees it by itself, and starts nothing", () => {
    settle();
    const before = [written(), identity("kept")];
    container.configure(`${container.config()}# a comment\nlxc.environment = A=1\n`);
    writeFileSync(included, `# why\n${readFileSync(included, "utf8")}`);
    restart();
    assert.deepEqual([written(), identity("kept")], before);
    assert.equal(container.callgate("verify", container.name).status, 0);
  });

  /** Callgate makes nothing of it, but the hook does not know that. */
  const idle = (): void => container.configure(`${container.config()}lxc.tty.max = 4\n`);

  test("what changes no meaning: what was made and proved serves again, and is kept again", () => {
    settle();
    const before = written();
    const keptBefore = identity("kept");
    idle();
    restart();
    assert.equal(written(), before);
    assert.equal(container.callgate("verify", container.name).status, 0);
    settle();
    assert.equal(written(), before);
    assert.notEqual(identity("kept"), keptBefore);
  });

  for (const name of ["seccomp", "init", "state"]) {
    test(`so it does not where callgate.${name} is not what was written`, () => {
      settle();
      const before = written();
      const bytes = readFileSync(file(name));
      // The one that was just executed may still be busy.
      if (name === "init") rmSync(file(name));
      writeFileSync(file(name), Buffer.concat([bytes, Buffer.from(name === "state" ? "}" : "\n")]), {
        mode: 0o555,
      });
      idle();
      restart();
      assert.notEqual(written(), before);
      assert.equal(container.callgate("verify", container.name).status, 0);
    });
  }

  test("the hook executes callgate for a configuration that is not the kept one, and where there is none", () => {
    settle();
    const hook = nativeProgram("hook");
    const answer = (kept: string, config: string): string =>
      run("/bin/sh", ["-c", `LXC_CONFIG_FILE=${config} exec ${hook} ${kept} /bin/echo executed`]).stdout;
    assert.equal(answer(file("kept"), container.configFile), "");
    assert.equal(answer(file("kept"), included), "executed\n");
    assert.equal(answer(join(container.folder, "nothing"), container.configFile), "executed\n");
    assert.equal(run(hook, []).status, 1);
  });
});

describe("the native hook's hash is Node's", { skip: process.platform !== "linux" }, () => {
  const [config, others, made, kept] = ["config", "conf.d", "made", "kept"].map((name) =>
    join(scratch(), `hook-${name}`),
  ) as [string, string, string, string];
  const answer = (): string =>
    run("/bin/sh", [
      "-c",
      `LXC_CONFIG_FILE=${config} exec ${nativeProgram("hook")} ${kept} /bin/echo executed`,
    ]).stdout;
  /** As if all was read long after it was written. */
  const keep = (): void => {
    const written = encodeKept({
      began: Date.now() + 3_600_000,
      made: [made],
      inputs: [config, others],
      configurations: [config, others],
    });
    assert.ok(written !== undefined);
    writeFileSync(kept, written);
  };
  mkdirSync(others, { recursive: true });
  writeFileSync(config, "");

  // Around the length of a block, and of what the hook reads at once.
  for (const length of [0, 1, 127, 128, 129, 256, 257, 8063, 8064, 8191, 8192, 8193, 8320, 16384, 76_543]) {
    test(`of ${length} bytes, and of no others`, () => {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 167 + (index >> 8)) & 0xff);
      writeFileSync(made, bytes);
      keep();
      assert.equal(answer(), "");
      for (const at of [0, length >> 1, length - 1].filter((one) => one >= 0 && one < length)) {
        writeFileSync(made, bytes.with(at, (bytes[at] ?? 0) ^ 1));
        assert.equal(answer(), "executed\n");
      }
      writeFileSync(made, Buffer.concat([bytes, Buffer.of(0)]));
      assert.equal(answer(), "executed\n");
    });
  }

  const mark = "# callgate: begin (by somebody)\n";
  const lines = `lxc.net.0.type = empty\n${mark}lxc.init.cmd = /x\nlxc.net.0.flags = up\n`;
  /** What the hook says to a configuration, where another one is kept. */
  const answerTo = (text: string): string => {
    writeFileSync(made, "");
    writeFileSync(config, lines);
    keep();
    writeFileSync(config, text);
    return answer();
  };

  for (const [name, text] of [
    ["a comment more", `# why\n${lines}`],
    ["one that is indented", lines.replace("lxc.init", " \t# why\nlxc.init")],
    ["an empty line, and blanks", `\n${lines} \t`],
    ["another network", lines.replace("empty", "veth")],
    ["none", lines.replaceAll(/^lxc.net.*\n/gm, "")],
    ["other limits", `${lines}lxc.cgroup2.memory.max = 1G\n lxc.prlimit.nofile = 9\nlxc.environment = A=1`],
  ] as const) {
    test(`a configuration with ${name} says the same`, () => {
      assert.equal(answerTo(text), "");
    });
  }

  for (const [name, text] of [
    ["a statement more", `${lines}syscall.deny = keyctl\n`],
    ["one behind the last line break", `${lines}syscall.deny = keyctl`],
    ["a key that nobody knows", `${lines}lxc.unknown = 1\n`],
    ["the key of all networks", `${lines}lxc.net =\n`],
    ["another value", lines.replace("/x", "/y")],
    ["a blank more in it", lines.replace("/x", " /x")],
    ["lines the other way round", lines.replace(/^(# .*\n)(.*\n)/m, "$2$1")],
    ["a mark less", lines.replace(mark, "")],
    ["a mark that is indented", lines.replace(mark, ` ${mark}`)],
    ["a mark more", `${lines}# callgate: end\n`],
    ["a carriage return before a comment", `${lines}\r# why\n`],
    ["a mark of another encoding", `\ufeff# why\n${lines}`],
    ["a key at another place of its line", lines.replace("lxc.init", "x lxc.init")],
    ["nothing", ""],
    ["more than the hook reads", `${lines}${"#\n".repeat(128 * 1024)}`],
  ] as const) {
    test(`a configuration with ${name} is another one`, () => {
      assert.equal(answerTo(text), "executed\n");
    });
  }

  test("a folder of configurations is the very one that it was, and its files", () => {
    writeFileSync(config, lines);
    keep();
    assert.equal(answer(), "");
    writeFileSync(join(others, "more.conf"), "");
    assert.equal(answer(), "executed\n");
  });
});
