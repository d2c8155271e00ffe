// Debian packages: lxc, busybox-static
// `callgate lxc explain` says what a call really gets: of a container that callgate protects, of one that it does not, and
// of one that does not start; compared with what the kernel then does inside.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { PlanStep } from "../../src/sandbox/plan.ts";
import { launch, numbers, planFor, probePath, refuseFilter } from "../kernel/native.ts";
import { createContainer, noContainers, putProgram } from "./containers.ts";

const common = "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n";

describe("explain of a container", { skip: noContainers }, () => {
  const container = createContainer();
  if (noContainers === false) putProgram(container, probePath, "probe");
  after(() => container.stop());
  const profile = join(container.lxcpath, "profile");
  const bare = container.original;
  const explain = (call: string, ...args: readonly string[]) =>
    container.callgate("explain", container.name, call, "--abi", "native", ...args);
  const facts = (call: string) =>
    explain(call, "--json")
      .stdout.trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .map(({ layer, action, errno }) => [layer, action, errno]);
  /** What the probe says of a call, in the container as LXC starts it. */
  const inside = (call: string): string => {
    const started = container.start();
    assert.equal(started.status, 0, started.stderr);
    const said = container.inside(`/probe ${call}`);
    container.stop();
    return said;
  };

  test("that is not enabled: its statements do nothing, the profile does", () => {
    container.configure(`${bare}${common}syscall.deny = keyctl, open_by_handle_at\nsyscall.dney = x\n`);
    const said = explain("keyctl");
    assert.equal(said.status, 0, said.stderr);
    assert.match(
      said.stdout,
      new RegExp(
        `^${container.name} is not enabled: LXC does what its profile says, .*common\\.seccomp; LXC passes over its 2 statements\n\nx86_64 +keyctl\nallow`,
      ),
    );
    assert.deepEqual(facts("keyctl"), [["profile", "allow", null]]);
    assert.match(inside("keyctl"), /^keyctl: ok/);
    assert.deepEqual(facts("open_by_handle_at"), [["profile", "errno", "EPERM"]]);
    assert.match(inside("open_by_handle_at"), /^open_by_handle_at: EPERM/);
  });

  test("that is not enabled and has no profile: LXC gives it no filter", () => {
    container.configure(`${bare}syscall.deny = keyctl\n`);
    assert.match(explain("keyctl").stdout, /LXC gives it no filter; LXC passes over its statement\n\nx86_64/);
    assert.deepEqual(facts("keyctl"), [["none", "allow", null]]);
    assert.match(inside("keyctl; grep Seccomp_filters: /proc/1/status"), /keyctl: ok[\s\S]*:\s*0/);
  });

  test("that was enabled, and is not any more", () => {
    container.configure(`${bare}${common}syscall.deny = keyctl\n`);
    assert.equal(container.callgate("enable", container.name).status, 0);
    assert.deepEqual(facts("keyctl"), [
      ["statements", "errno", "EPERM"],
      ["profile", "allow", null],
    ]);
    assert.match(inside("keyctl"), /^keyctl: EPERM/);
    assert.equal(container.callgate("disable", container.name).status, 0);
    assert.deepEqual(facts("keyctl"), [["profile", "allow", null]]);
  });

  test("where LXC would leave its profile out: it is started under a filter", () => {
    container.configure(`${bare}${common}`);
    const steps: readonly PlanStep[] = [
      { kind: "filter", bytes: refuseFilter(numbers.uname + 1_000_000, 1) },
    ];
    const at = ["-P", container.lxcpath];
    const confined = (program: string, ...args: readonly string[]) =>
      launch(planFor(steps, program, ...args));
    const said = confined(
      container.callgatePath,
      "lxc",
      "explain",
      ...at,
      container.name,
      "open_by_handle_at",
      "--abi",
      "native",
    );
    assert.match(said.stdout, /started from here gets no filter from LXC[\s\S]*^allow/m, said.stderr);
    assert.equal(confined("/usr/bin/lxc-start", ...at, "-n", container.name).status, 0);
    const live = container.inside("/probe open_by_handle_at; grep Seccomp_filters /proc/1/status");
    assert.doesNotMatch(live, /EPERM \(Operation not permitted\)[\s\S]*Seccomp_filters:\s*2/);
    assert.match(live, /Seccomp_filters:\s*1/);
    container.stop();
    // With that line LXC loads it nevertheless.
    container.configure(`${bare}${common}lxc.seccomp.allow_nesting = 1\n`);
    const nested = confined(
      container.callgatePath,
      "lxc",
      "explain",
      ...at,
      container.name,
      "open_by_handle_at",
    );
    assert.match(nested.stdout, /LXC does what its profile says[\s\S]*^deny/m);
  });

  const refused: readonly (readonly [name: string, lines: string, said: RegExp])[] = [
    ["a profile that is not there", "lxc.seccomp.profile = /nowhere/x\n", /cannot be read: \/nowhere\/x/],
    ["lxc.syscall.…", `${common}lxc.syscall.deny = keyctl\n`, /write syscall\.deny/],
    ["an include that is not there", "lxc.include = /nowhere/y\n", /cannot read "\/nowhere\/y"/],
  ];
  for (const [name, lines, said] of refused)
    test(`with ${name}: it does not start, says explain, and so it is`, () => {
      container.configure(bare + lines);
      const outcome = explain("keyctl");
      assert.equal(outcome.status, 2);
      assert.match(outcome.stderr, said);
      assert.match(outcome.stderr, new RegExp(`${container.name} does not start, and makes no call\n$`));
      assert.equal(outcome.stdout, "");
      assert.notEqual(container.start().status, 0);
    });

  test("lines behind callgate's that undo them: it does not start", () => {
    container.configure(`${bare}${common}syscall.deny = keyctl\n`);
    assert.equal(container.callgate("enable", container.name).status, 0);
    container.configure(`${container.config()}lxc.init.cmd = /sbin/init\n`);
    const outcome = explain("keyctl");
    assert.equal(outcome.status, 2);
    assert.match(outcome.stderr, /lxc-wiring[\s\S]*does not start/);
    assert.equal(container.callgate("start", container.name).status, 125);
  });

  test("callgate lxc start tells of lxc.syscall.…, for which LXC has other words", () => {
    container.configure(`${bare}${common}syscall.deny = keyctl\n`);
    assert.equal(container.callgate("enable", container.name).status, 0);
    container.configure(`${container.config()}lxc.syscall.allow = keyctl\n`);
    const outcome = container.callgate("start", container.name);
    assert.equal(outcome.status, 125);
    assert.match(outcome.stderr, /:1 error lxc-key: [\s\S]*\^ write syscall\.allow\n/);
  });

  /** Profiles that read otherwise than they work, of one call that the probe makes; and what explain warns of. */
  const quirks: readonly (readonly [name: string, text: string, warned: string, gets: RegExp])[] = [
    ["a tab behind the name", "2\ndenylist\nkeyctl\t\n", "lxc-unknown-name", /ok/],
    ["a carriage return", "2\r\ndenylist\r\nkeyctl\r\n", "lxc-unknown-name", /ok/],
    ["upper case", "2\ndenylist\nKEYCTL errno 13\n", "lxc-unknown-name", /ok/],
    ["a section of another machine", "2\ndenylist\n[s390x]\nkeyctl errno 13\n", "lxc-section-skipped", /ok/],
    [
      "a section of another ABI",
      "2\ndenylist\n[x86]\nchmod errno 1\nkeyctl errno 13\n",
      "lxc-section-idle",
      /EACCES/,
    ],
    ["&= without a mask", "2\ndenylist\nkeyctl errno 13 [0,7,&=]\n", "lxc-no-mask", /EACCES/],
    ["a later rule", "2\ndenylist\nkeyctl errno 13\nkeyctl errno 38\n", "lxc-rule-loses", /EACCES/],
    [
      "a later rule for all",
      "2\ndenylist\nkeyctl errno 38 [0,0,==]\nkeyctl errno 13\n",
      "lxc-rule-wins",
      /EACCES/,
    ],
    ["a word that is cut short", "2\ndenylist\nkeyctl trap_it\n", "lxc-ignored-text", /^(?!keyctl)/],
  ];
  for (const [name, text, warned, gets] of quirks)
    test(`${name}: the warning, the answer, and what the call gets inside`, () => {
      writeFileSync(profile, text);
      container.configure(`${bare}lxc.seccomp.profile = ${profile}\n`);
      const said = explain("keyctl");
      assert.equal(said.status, 0, said.stderr);
      assert.match(said.stderr, new RegExp(`warning ${warned}: `));
      const [[, action, errno] = []] = facts("keyctl");
      const live = inside("keyctl 2>&1");
      assert.match(live, gets);
      if (action === "trap") assert.doesNotMatch(live, /keyctl: /);
      else assert.match(live, new RegExp(`^keyctl: ${action === "allow" ? "ok" : errno}`));
      // Of a call that no such line is about, nothing is said.
      assert.equal(explain("userfaultfd").stderr, "");
    });
});
