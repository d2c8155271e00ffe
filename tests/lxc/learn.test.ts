// Debian packages: lxc, busybox-static, uidmap
// `callgate lxc learn`: a container is watched from its start to its end, and starts again under what was learned.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { probePath } from "../kernel/native.ts";
import { atEnd, type Container, createContainer, noContainers, putProgram, usersHome } from "./containers.ts";

/** Learns from a start in which a line of sh is carried out inside; what was said, and the exit status. */
async function learnFrom(
  container: Container,
  line: string,
): Promise<{ status: number | null; said: string }> {
  const args = ["lxc", "learn", "-P", container.lxcpath, container.name];
  const { user } = container;
  const child = spawn(container.callgatePath, args, {
    cwd: "/",
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, NO_COLOR: "1", HOME: usersHome() },
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  atEnd(() => child.kill("SIGKILL"));
  let said = "";
  let status: number | null | undefined;
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.on("close", (code) => {
    status = code;
  });
  const until = async (holds: () => boolean): Promise<void> => {
    for (const end = Date.now() + 90_000; !holds(); ) {
      if (Date.now() > end) throw new Error(`this never came: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await until(() => said.includes("is watched") || status !== undefined);
  assert.equal(status, undefined, said);
  container.inside(line);
  child.kill("SIGINT");
  await until(() => status !== undefined);
  return { status: status ?? null, said };
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
