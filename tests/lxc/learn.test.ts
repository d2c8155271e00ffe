// Debian packages: lxc, busybox-static, uidmap
// `callgate lxc learn`: a container is watched from its start to its end, and starts again under what was learned.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { probePath } from "../kernel/native.ts";
import { atEnd, type Container, createContainer, noContainers, putProgram, usersHome } from "./containers.ts";

/**
 * Learns from a start in which a line of sh is carried out inside and then Ctrl-C is pressed, or which ends by itself; what
 * was said, and the exit status.
 */
async function learnFrom(
  container: Container,
  line: string | undefined,
  options: readonly string[] = [],
): Promise<{ status: number | null; said: string; printed: string }> {
  const args = ["lxc", "learn", ...options, "-P", container.lxcpath, container.name];
  const { user } = container;
  const child = spawn(container.callgatePath, args, {
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", HOME: usersHome() },
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  atEnd(() => child.kill("SIGKILL"));
  let said = "";
  let printed = "";
  let status: number | null | undefined;
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  child.on("close", (code) => {
    status = code;
  });
  const until = async (holds: () => boolean): Promise<void> => {
    for (const end = Date.now() + 180_000; !holds(); ) {
      if (Date.now() > end) throw new Error(`this never came: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await until(() => said.includes("is watched") || status !== undefined);
  assert.equal(status, undefined, said);
  if (line !== undefined) {
    container.inside(line);
    child.kill("SIGINT");
  }
  await until(() => status !== undefined);
  return { status: status ?? null, said, printed };
}

for (const kind of ["privileged", "user"] as const) {
  describe(`learning from a container, ${kind}`, { skip: noContainers }, () => {
    const container = createContainer({
      kind,
      config: "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n",
    });
    if (noContainers === false) putProgram(container, probePath, "probe");

    test("what init and its children do is written, LXC's own calls are not", async () => {
      container.configure(`${container.original}syscall.deny = keyctl\n`);
      assert.equal(container.callgate("enable", container.name).status, 0);
      const { status, said } = await learnFrom(container, "/probe userfaultfd; /probe keyctl; mkdir /made");
      assert.equal(status, 0, said);
      assert.match(
        said,
        /tried: started again under .*learned\.toml: nothing was denied; it ran .* s, until it was stopped/,
      );
      const text = readFileSync(join(container.folder, "learned.toml"), "utf8");
      assert.match(text, /^allow userfaultfd.* # \S+ ×1$/m);
      assert.match(text, /^allow mkdir .*# \S+ ×1$/m);
      assert.match(text, /^allow execve/m);
      // Refused by a statement: somebody's decision.
      assert.doesNotMatch(text, /^allow keyctl/m);
      // What LXC does for every container before its init runs.
      assert.doesNotMatch(text, /^allow (?:pivot_root|setns|capset|setgroups|unshare)\b/m);
    });

    test("the container starts and works under it, and is refused the rest", () => {
      container.configure(`${container.original}syscall.deny = keyctl\nsyscall.policy = learned.toml\n`);
      assert.equal(container.callgate("enable", container.name).status, 0);
      const started = container.callgate("start", container.name);
      assert.equal(started.status, 0, started.stderr);
      const found = container.inside("rmdir /made; mkdir /made && echo made; /probe keyctl; /probe bpf");
      assert.match(found, /^made$[\s\S]*^keyctl: EPERM[\s\S]*^bpf: EPERM/m);
      container.stop();
    });
  });
}

describe("the start that confirms what was learned", { skip: noContainers }, () => {
  const container = createContainer({
    config: "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n",
  });
  const file = join(container.folder, "learned.toml");
  if (noContainers === false) {
    putProgram(container, probePath, "probe");
    // What the first start does not do, every later one does; and all end by themselves, so that none has to be waited for.
    writeFileSync(
      join(container.rootfs, "other"),
      "#!/bin/sh\nif [ -e /before ]; then /probe userfaultfd >/other.out; else mkdir /before; fi\n[ -e /stays ] || poweroff -f\n",
      { mode: 0o755 },
    );
    appendFileSync(join(container.rootfs, "etc", "inittab"), "\n::sysinit:/other\n");
    container.configure(`${container.original}syscall.deny = keyctl\n`);
    assert.equal(container.callgate("enable", container.name).status, 0);
  }

  test("what is missing there is refused, told and added, and the next start lacks nothing", async () => {
    const { status, said, printed } = await learnFrom(container, undefined, ["--json"]);
    assert.equal(status, 0, said);
    // What else of the boot is over by then differs.
    assert.match(said, /this was still missing, and is added:\n(?: {2}allow .*\n)* {2}allow userfaultfd/);
    assert.match(readFileSync(file, "utf8"), /^allow userfaultfd/m);
    const told = JSON.parse(printed);
    assert.equal(told.container, container.name);
    assert.equal(told.file, file);
    assert.deepEqual([told.end, told.confirmed, told.runs], ["by-itself", true, 1]);
    assert.ok(told.added.rules.some(({ text }: { text: string }) => text.startsWith("allow mkdir")));
    const missing: readonly (readonly string[])[] = told.trials.map(
      (trial: { missing: { rules: { text: string }[] } }) => trial.missing.rules.map(({ text }) => text),
    );
    assert.deepEqual(missing.at(-1), []);
    assert.ok(
      missing[0]?.some((text) => text.startsWith("allow userfaultfd")),
      printed,
    );
    // In the last of these starts it was permitted.
    assert.match(readFileSync(join(container.rootfs, "other.out"), "utf8"), /userfaultfd: (?!EPERM|ENOSYS)/);
  });

  test("where nothing new was seen, and with --once, there is no further start", async () => {
    writeFileSync(join(container.rootfs, "stays"), "");
    // What ends when makes a difference of a call now and then.
    let again = await learnFrom(container, "sleep 1; mkdir /made", ["--json"]);
    for (let more = 4; more > 0 && !again.said.includes("nothing new"); more -= 1)
      again = await learnFrom(container, "sleep 1; mkdir /made", ["--json"]);
    assert.equal(again.status, 0, again.said);
    assert.match(again.said, /not tried: nothing new was seen/);
    assert.deepEqual(JSON.parse(again.printed).trials, []);
    const once = await learnFrom(container, "true", ["--once", "--force"]);
    assert.match(once.said, /not tried: --once/);
    assert.equal(once.printed, "");
  });

  test("a trial whose container does not start: told, ends with 1, and what was learned stays", async () => {
    const hook = join(container.lxcpath, "only-before");
    const made = join(container.rootfs, "made");
    rmSync(made, { recursive: true, force: true });
    writeFileSync(hook, `#!/bin/sh\n[ ! -e ${made} ]\n`, { mode: 0o755 });
    const config = container.config();
    container.configure(`lxc.hook.pre-start = ${hook}\n${config}`);
    const { status, said, printed } = await learnFrom(container, "mkdir /made", ["--force", "--json"]);
    assert.equal(status, 1, said);
    assert.match(said, /could not be started/);
    assert.match(said, /nothing was denied that could be learned, but it did not start/);
    const told = JSON.parse(printed);
    assert.deepEqual([told.confirmed, told.notTried, told.trials.length], [false, null, 1]);
    assert.deepEqual([told.trials[0].end, told.trials[0].missing.rules], [null, []]);
    assert.match(readFileSync(file, "utf8"), /^allow mkdir/m);
    // Nothing of the trial is left in an ordinary start's way.
    rmSync(made, { recursive: true });
    const started = container.callgate("start", container.name);
    assert.equal(started.status, 0, started.stderr);
    assert.equal(container.callgate("verify", container.name).status, 0);
    container.stop();
    container.configure(config);
  });

  test("a policy with files is none for a container, and is left as it was", () => {
    const text = `version = 1\n[syscalls]\ndefault = "deny"\nbaseline = "5.0"\n[files]\nread = ["/etc"]\n`;
    writeFileSync(file, text);
    const { status, stderr } = container.callgate("learn", container.name);
    assert.equal(status, 2);
    assert.match(
      stderr,
      /learned\.toml has \[files\]: for a container, LXC's own configuration decides that/,
    );
    assert.equal(readFileSync(file, "utf8"), text);
  });
});
