// Debian packages: lxc, busybox-static
// docs/lxc.md and docs/demo.md followed as they are printed: every command of theirs, and what it prints.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { callgatePath } from "../cli/callgate.ts";
import { probePath } from "../kernel/native.ts";
import { atEnd, createContainer, noContainers, putProgram } from "./containers.ts";

const manual = (name: string): string => readFileSync(join(packageRoot(), "docs", name), "utf8");

/** A folder for PATH in which the command is found by its name alone, as where it is installed. */
function installed(): string {
  const folder = mkdtempSync(join(tmpdir(), "callgate-bin-"));
  chmodSync(folder, 0o755);
  symlinkSync(callgatePath, join(folder, "callgate"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function environment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${installed()}:${process.env["PATH"] ?? ""}`,
    NO_COLOR: "1",
    COLUMNS: "200",
    HOME: "/root",
  };
}

interface Printed {
  readonly command: string;
  readonly output: readonly string[];
}

/** The commands of a text's console blocks, each with the lines that are printed below it. */
function consoleOf(text: string): readonly Printed[] {
  const printed: { command: string; output: string[] }[] = [];
  for (const [, block = ""] of text.matchAll(/^```console\n([\s\S]*?)^```$/gm))
    for (const line of block.split("\n").filter((one) => one !== "")) {
      if (line.startsWith("# ")) printed.push({ command: line.slice(2), output: [] });
      else printed.at(-1)?.output.push(line);
    }
  return printed;
}

/** A printed line as it may come out: other numbers and ids, another place, and anything for an ellipsis. */
function patternOf(line: string): RegExp {
  const pattern = line
    .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replace(/…/g, ".*")
    .replace(/\d+/g, "\\d+")
    .replaceAll("systemd", "\\w+")
    .replaceAll("/var/lib/lxc", "\\S*");
  return new RegExp(`^${pattern}$`);
}

async function until(what: () => string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 180_000; !holds(); ) {
    if (Date.now() > end) throw new Error(`this never came: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

describe("docs/lxc.md", { skip: noContainers }, () => {
  const text = manual("lxc.md");
  const config = "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n";
  const web = createContainer({ name: "web", config });
  const build = createContainer({ name: "build", config, lxcpath: web.lxcpath });
  const env = environment();
  after(() => {
    web.stop();
    build.stop();
  });
  // Its containers are in LXC's own folder.
  const inOurFolder = (command: string): string =>
    command.replace(/^callgate lxc (\w+)/, `callgate lxc $1 -P ${web.lxcpath}`);

  test("it shows the commands that make a container's statements hold", () => {
    assert.deepEqual(
      consoleOf(text).map(({ command }) => command),
      [
        "callgate lxc enable web",
        "callgate lxc start web",
        "callgate lxc verify web",
        "callgate lxc explain web keyctl --abi native",
        "callgate lxc attach web -- id -u",
        "callgate lxc watch web build",
      ],
    );
  });

  test("the configuration, and each command with what it prints", () => {
    const statements = /^```\n# \/var\/lib\/lxc\/web\/config\n([\s\S]*?)^```$/m.exec(text)?.[1];
    assert.ok(statements !== undefined);
    web.configure(web.original + statements);
    for (const { command, output } of consoleOf(text)) {
      if (command.startsWith("callgate lxc watch")) continue;
      const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", inOurFolder(command)], {
        env,
        encoding: "utf8",
        input: "",
        timeout: 240_000,
      });
      assert.equal(status, 0, `${command}: ${stdout}${stderr}`);
      assert.equal(stderr, "", command);
      const lines = stdout.split("\n").filter((line) => line !== "");
      assert.equal(lines.length, output.length, `${command}:\n${stdout}`);
      output.forEach((line, at) => {
        assert.match(lines[at] ?? "", patternOf(line), command);
      });
    }
    web.stop();
  });

  test("the watcher, and a denial as it tells one", async () => {
    putProgram(web, probePath, "probe");
    build.configure(`${build.original}syscall.deny = keyctl\n`);
    assert.equal(build.callgate("enable", "build").status, 0);
    const printed = consoleOf(text).find(({ command }) => command.startsWith("callgate lxc watch"));
    assert.ok(printed !== undefined);
    const child = spawn("/bin/sh", ["-c", `exec ${inOurFolder(printed.command)}`], { env });
    atEnd(() => child.kill("SIGKILL"));
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
    const has = (line: string): boolean => said.split("\n").some((one) => patternOf(line).test(one));
    const [watching = "", ...rest] = printed.output;
    await until(
      () => `${watching}: ${said}`,
      () => has(watching),
    );
    assert.equal(web.callgate("start", "web").status, 0);
    assert.match(web.inside("/probe keyctl"), /keyctl: EPERM/);
    for (const line of rest)
      await until(
        () => `${line}: ${said}`,
        () => has(line),
      );
    const ended = new Promise((resolve) => child.on("close", resolve));
    child.kill("SIGINT");
    assert.equal(await ended, 0);
    web.stop();
  });
});

test("docs/demo.md, as one shell's input: what it says comes out, and nothing is left", {
  skip: noContainers,
}, () => {
  const text = manual("demo.md");
  const before = /^```sh\n([\s\S]*?)^```$/m.exec(text)?.[1]?.replace(/^apt-get .*\n/m, "");
  const clean = /^To clean up: `(.*)`\.$/m.exec(text)?.[1];
  assert.ok(before !== undefined && clean !== undefined);
  const commands = [...text.matchAll(/^\$ (.*)$/gm)].map(([, command]) => command);
  const lines = [before, ...commands, clean, 'ls -d "$DIR" || echo gone'];
  const { stdout } = spawnSync("/bin/bash", ["-s"], {
    env: environment(),
    encoding: "utf8",
    input: `exec 2>&1\n${lines.join("\n")}\n`,
    timeout: 240_000,
  });
  const wanted = [
    /^demo: enabled/m,
    /^keyctl: EPERM/m,
    /^io_uring_setup: ENOSYS/m,
    /^mount: ok/m,
    /config:\d+ {2}deny keyctl/,
    /^demo: proved: [\s\S]*^keyctl: ok$[\s\S]*^io_uring_setup: ok$[\s\S]*^demo: proved: /m,
    /did you mean keyctl\?\n[\s\S]*^not started$/m,
    /^gone$/m,
  ];
  for (const pattern of wanted) assert.match(stdout, pattern);
});
