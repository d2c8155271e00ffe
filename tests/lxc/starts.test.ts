// Debian packages: lxc, busybox-static, gcc
// What the statements with one value do inside, which starts there must not be, and what programs are told.
import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { callsOfLxc } from "../../src/lxc/lxc-calls.ts";
import { probePath } from "../kernel/native.ts";
import { atEnd, createContainer, noContainers, type Outcome, putProgram, run } from "./containers.ts";

const common = "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n";

/** A program without a C library: the calls that it makes are those that stand here. */
function built(name: string, body: string): string {
  const folder = mkdtempSync(join(tmpdir(), "callgate-starts-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const source = join(folder, `${name}.c`);
  writeFileSync(
    source,
    `static long call(long nr, long a) {
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a) : "rcx", "r11", "memory");
  return r;
}
void _start(void) { ${body} for (;;) call(60, 0); }\n`,
  );
  const program = join(folder, name);
  const made = run("gcc", ["-O1", "-static", "-nostdlib", "-o", program, source]);
  assert.equal(made.status, 0, made.stderr);
  return program;
}

describe("starts", { skip: noContainers }, () => {
  const container = createContainer({ config: common });
  if (noContainers === false) putProgram(container, probePath, "probe");
  after(() => container.stop());
  const bare = container.original;
  const { name } = container;
  const log = join(container.folder, "callgate.log");
  const enableWith = (text: string): Outcome => {
    container.configure(bare + text);
    const outcome = container.callgate("enable", name);
    assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
    return outcome;
  };
  const start = (): void => {
    const started = container.callgate("start", name);
    assert.equal(started.status, 0, started.stdout + started.stderr);
    const verified = container.callgate("verify", name);
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  };

  test("one statement is a whole policy: enable writes the running kernel as the baseline", () => {
    const [version] = /^\d+\.\d+/.exec(release()) ?? [];
    enableWith("syscall.deny = keyctl\n");
    assert.match(container.config(), new RegExp(`^syscall\\.baseline = ${version}$`, "m"));
    start();
    assert.match(
      container.inside("/probe keyctl; /probe userfaultfd"),
      /^keyctl: EPERM[\s\S]*^userfaultfd: ok/m,
    );
    container.stop();
    // And none at all: nothing but what is newer.
    enableWith("");
    assert.match(container.config(), new RegExp(`^syscall\\.baseline = ${version}$`, "m"));
    start();
    assert.match(container.inside("/probe keyctl"), /^keyctl: ok/m);
    container.stop();
  });

  test("syscall.newer is the answer for what is newer than the baseline", () => {
    enableWith("syscall.baseline = 5.0\nsyscall.newer = errno(EXDEV)\nsyscall.allow = io_uring_enter\n");
    start();
    assert.match(
      container.inside("/probe io_uring_setup; /probe keyctl"),
      /^io_uring_setup: EXDEV[\s\S]*^keyctl: ok/m,
    );
    container.stop();
  });

  test("syscall.abis: a call by another of the kernel's interfaces ends the process", () => {
    // getpid by int 0x80, then by syscall; the status says what came through.
    const program = built(
      "abis",
      'long r = 20; __asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11"); call(60, r > 0 ? 3 : 4);',
    );
    putProgram(container, program, "abis");
    enableWith("syscall.deny = keyctl\n");
    start();
    assert.match(container.inside("/abis; echo status $?"), /status 3/);
    container.stop();
    enableWith("syscall.deny = keyctl\nsyscall.abis = x86_64\n");
    start();
    assert.match(container.inside("/abis; echo status $?"), /status 159/);
    container.stop();
  });

  test("where every call but one is denied LXC starts the container, and its init runs", () => {
    putProgram(container, built("pauses", "for (;;) call(34, 0);"), "pauses");
    enableWith("lxc.init.cmd = /pauses\nsyscall.default = errno(EACCES)\nsyscall.allow = pause\n");
    start();
    assert.equal(readFileSync(`/proc/${container.pid()}/comm`, "utf8"), "pauses\n");
    // None of what LXC calls itself stands in its profile.
    const named = readFileSync(join(container.folder, "callgate.seccomp"), "utf8")
      .split("\n")
      .map((line) => line.split(" ")[0] ?? "");
    const floor = readFileSync("/usr/share/lxc/config/common.seccomp", "utf8");
    assert.deepEqual(
      named.filter((one) => callsOfLxc.has(one) && !floor.includes(one)),
      [],
    );
    assert.ok(named.length > 100);
    container.stop();
  });

  const unstartable: readonly (readonly [name: string, before: string, behind: string])[] = [
    ["a read-only root where the target is missing", "lxc.autodev = 0\nlxc.rootfs.options = ro\n", ""],
    ["something mounted over the target", "", "lxc.mount.entry = tmpfs dev tmpfs rw 0 0\n"],
    [
      "another file mounted over the target",
      "",
      "lxc.mount.entry = /bin/busybox dev/.callgate none bind 0 0\n",
    ],
  ];
  for (const [what, before, behind] of unstartable)
    test(`${what}: nothing starts without its filter`, () => {
      enableWith(`${before}syscall.deny = keyctl\n`);
      rmSync(join(container.rootfs, "dev", ".callgate"), { force: true });
      appendFileSync(container.configFile, behind);
      writeFileSync(join(container.rootfs, "etc", "init.d", "rcS"), "#!/bin/sh\necho > /began\n", {
        mode: 0o755,
      });
      rmSync(join(container.rootfs, "began"), { force: true });
      container.callgate("start", name);
      assert.equal(
        run("lxc-wait", ["-P", container.lxcpath, "-n", name, "-s", "STOPPED", "-t", "60"]).status,
        0,
      );
      assert.equal(existsSync(join(container.rootfs, "began")), false);
      // LXC has found no program, or the guard has seen another one than callgate's.
      if (what.startsWith("another")) assert.match(readFileSync(log, "utf8"), /start-without-filter/);
    });

  test("the hook of another folder refuses, and writes nothing there", () => {
    enableWith("syscall.deny = keyctl\n");
    const other = createContainer({ config: common, lxcpath: container.lxcpath });
    const profile = join(container.folder, "callgate.seccomp");
    rmSync(profile, { force: true });
    const before = readFileSync(container.configFile, "utf8");
    const { status, stderr } = run("/usr/bin/env", [
      `LXC_CONFIG_FILE=${other.configFile}`,
      container.callgatePath,
      "lxc",
      "hook",
      "pre-start",
      container.folder,
      other.name,
    ]);
    assert.equal(status, 1);
    assert.match(stderr, /was copied without its clone hook; run callgate lxc enable/);
    assert.equal(existsSync(profile), false);
    assert.equal(readFileSync(container.configFile, "utf8"), before);
    assert.match(readFileSync(join(other.folder, "callgate.log"), "utf8"), /copied without its clone hook/);
    assert.equal(existsSync(log) && readFileSync(log, "utf8").includes(other.name), false);
  });

  test("lxc.syscall.… in an included file is told with its place; --fix leaves other files alone", () => {
    const file = join(container.lxcpath, "site.conf");
    writeFileSync(file, "lxc.syscall.deny = keyctl\n");
    container.configure(`${bare}lxc.include = ${file}\nlxc.syscall.allow = bpf\n`);
    const told = container.callgate("check", "--fix", name);
    assert.equal(told.status, 1, told.stdout);
    assert.match(told.stdout, /site\.conf:1:1 error lxc-key/);
    assert.equal(readFileSync(file, "utf8"), "lxc.syscall.deny = keyctl\n");
    assert.match(container.config(), /^syscall\.allow = bpf$/m);
  });

  test("check says what plain lxc-attach is not kept from, in a line a reason; and so it is", () => {
    enableWith("syscall.deny = mseal, socket(domain == AF_VSOCK)\nsyscall.baseline = 6.18\n");
    const { stdout } = container.callgate("check", name);
    assert.match(stdout, /note beyond-profile: plain lxc-attach is not kept from socket, the container and/);
    const [notes] = [stdout.match(/^note beyond-profile: .*$/gm) ?? []];
    assert.equal(new Set(notes).size, notes.length);
    assert.ok(
      notes.some((line) => /kept from [^:]*\bmseal\b[^:]*: libseccomp does not know this call/.test(line)),
    );
    start();
    // 462 is mseal: EINVAL is the kernel's own answer to it.
    putProgram(container, built("mseal", "call(60, -call(462, 1));"), "mseal");
    assert.match(container.inside("/mseal; echo $?"), /^1$/m);
    assert.equal(container.attach("/mseal; echo $?").stdout, "22\n");
    const both = container.callgate("attach", name, "--", "/bin/sh", "-c", "/mseal; echo $?");
    assert.equal(both.stdout, "1\n");
    container.stop();
  });

  test("what programs are told: enable, check, verify, explain", () => {
    container.configure(`${bare}syscall.deny = keyctl, socket(domain == AF_VSOCK)\n`);
    const enabled = JSON.parse(container.callgate("enable", "--json", name).stdout);
    assert.deepEqual(
      {
        ...enabled,
        changes: enabled.changes.filter(({ syscall }: { syscall: string }) => syscall === "keyctl"),
      },
      {
        container: name,
        enabled: true,
        noNewPrivileges: false,
        floor: "/usr/share/lxc/config/common.seccomp",
        changes: [{ syscall: "keyctl", from: "allow", to: "errno(EPERM)" }],
      },
    );
    const checked = JSON.parse(container.callgate("check", "--json", name).stdout);
    assert.deepEqual([checked.ok, checked.errors, checked.warnings], [true, 0, 0]);
    start();
    const verified = JSON.parse(container.callgate("verify", "--json", name).stdout);
    assert.deepEqual(
      [verified.container, verified.init, verified.verdict, verified.instructions.length],
      [name, container.pid(), "proved", 2],
    );
    assert.match(verified.installed, /^[0-9a-f]{64,}$/);
    assert.ok(
      verified.processes.every((one: { finding: { kind: string } }) => one.finding.kind === "as-init"),
    );
    container.configure(container.config().replace("keyctl, ", ""));
    const edited = container.callgate("verify", "--json", name);
    assert.equal(edited.status, 1);
    const different = JSON.parse(edited.stdout);
    assert.equal(different.verdict, "different");
    // Each call that the kernel answers otherwise than is stated now.
    assert.deepEqual(
      different.differences.map(({ abi, syscall, before, after }: Record<string, unknown>) => [
        abi,
        syscall,
        before,
        after,
      ]),
      ["x86_64", "x86", "x32"].map((abi) => [
        abi,
        "keyctl",
        { kind: "allow" },
        { kind: "errno", errno: "EPERM" },
      ]),
    );
    assert.match(
      container.callgate("verify", name).stdout,
      /^ {2}x86_64 keyctl: the kernel has deny, the policy says allow$/m,
    );
    container.stop();
    const stopped = container.callgate("verify", "--json", name);
    assert.equal(stopped.status, 2);
    assert.match(stopped.stderr, /does not run/);
    container.configure(`${bare}syscall.deny = keyclt\nsyscall.baseline = 6.1\n`);
    const mistaken = container.callgate("check", "--json", name);
    assert.equal(mistaken.status, 1);
    const facts = JSON.parse(mistaken.stdout);
    assert.deepEqual([facts.ok, facts.errors, facts.diagnostics[0].id], [false, 1, "unknown-syscall"]);
  });
});
