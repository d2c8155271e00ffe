// callgate learn on servers under load: what was learned between start and Ctrl-C lets them serve in the whole sandbox.
// Debian packages: redis-server redis-tools nginx-light busybox-static coreutils
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import { rulesAreExplained } from "./learned.ts";
import { isRoot, ordinaryUser, probePath, root, scratchPath } from "./native.ts";

const callgate = join(root, "bin", "callgate");
const env = { PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin:/usr/sbin`, LC_ALL: "C" };
/** nginx as root would become somebody else, which a sandbox without capabilities cannot. */
const user = isRoot ? ordinaryUser : {};

async function until(what: string, said: () => string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 240_000;
  while (Date.now() < end) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`waited in vain for: ${what}\n${said()}`);
}

interface Running {
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly ended: Promise<number | null>;
}

function start(args: readonly string[], folder: string): Running {
  const child = spawn(callgate, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"], ...user });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
  const ended = new Promise<number | null>((settle) => child.on("close", settle));
  return { child, said: () => said, ended };
}

/** A folder of the user's own, where nothing of a home's is. */
function folderFor(name: string): string {
  const folder = scratchPath(name);
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  return folder;
}

/** What neither of them does. */
const attacks = [
  "keyctl",
  "bpf",
  "io_uring_setup",
  "ptrace",
  "unshare-user",
  "mount",
  "userfaultfd",
  "perf_event_open",
  "socket-packet-high",
  "socket-vsock",
  "socket-netlink-audit",
  "tiocsti",
  "tcp-ulp",
];

interface Server {
  readonly name: string;
  readonly command: (folder: string, port: number) => readonly string[];
  /** Makes it do what it is for; false where it does not answer. */
  readonly use: (port: number) => Promise<boolean>;
}

const servers: readonly Server[] = [
  {
    name: "redis-server, with redis-benchmark for load",
    command: (folder, port) => [
      "redis-server",
      ...[
        "--port",
        String(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        folder,
        "--appendonly",
        "yes",
        "--save",
        "",
      ],
    ],
    use: async (port) => {
      if (!(await answers(port, "PING\r\n", /^\+PONG/))) return false;
      const load = ["-p", String(port), "-n", "500", "-c", "5", "-q", "-t", "set,get,lpush,zadd"];
      const { stdout } = await promisify(execFile)("redis-benchmark", load, { env, timeout: 240_000 });
      return /SET: .*requests per second/.test(stdout);
    },
  },
  {
    name: "nginx, with a worker",
    command: (folder, port) => {
      writeFileSync(join(folder, "index.html"), "served\n");
      const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
        .join(" ");
      const site = `server { listen 127.0.0.1:${port}; root ${folder}; }`;
      writeFileSync(
        join(folder, "nginx.conf"),
        `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;\nevents {}\nhttp { access_log ${folder}/access.log; ${paths} ${site} }\n`,
      );
      return [
        "/usr/sbin/nginx",
        "-p",
        folder,
        "-c",
        join(folder, "nginx.conf"),
        "-e",
        join(folder, "error.log"),
      ];
    },
    use: async (port) => {
      for (let times = 0; times < 20; times += 1) if ((await fetched(port)) !== "served\n") return false;
      return true;
    },
  },
];

function answers(port: number, question: string, expected: RegExp): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(question));
    socket.setTimeout(60_000, () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      settle(expected.test(chunk.toString()));
      socket.destroy();
    });
    socket.on("error", () => settle(false));
    socket.on("close", () => settle(false));
  });
}

function fetched(port: number): Promise<string> {
  return new Promise((settle) => {
    const request = get({ port, host: "127.0.0.1", path: "/index.html", agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => settle(text));
    });
    request.on("error", () => settle(""));
  });
}

describe("a server that was learned under load serves under its policy, in the whole sandbox", () => {
  for (const { name, command, use } of servers)
    test(name, async () => {
      const folder = folderFor(name.split(/\W/)[0] ?? name);
      const policy = join(folderFor(`${folder.split("/").pop()}-policy`), "learned.toml");
      const port = await freePort();
      const words = command(folder, port);
      const learning = start(["learn", "-o", policy, "--", ...words], folder);
      try {
        await until("the server while it is learned", learning.said, () => use(port));
        learning.child.kill("SIGINT");
        assert.equal(await learning.ended, 0, learning.said());
      } finally {
        learning.child.kill("SIGKILL");
      }
      const text = readFileSync(policy, "utf8");
      rulesAreExplained(text, true);
      assert.match(text, new RegExp(`ports = \\[\\n {2}${port},\\n\\]`), text);
      assert.match(text, new RegExp(`write = \\[\\n {2}"${folder}",\\n\\]`), text);

      const serving = start(["run", "--policy", policy, "--", ...words], folder);
      try {
        await until("the server under its policy", serving.said, () => use(port));
      } finally {
        // Its end was learned as well.
        serving.child.kill("SIGTERM");
        const timer = setTimeout(() => serving.child.kill("SIGKILL"), 240_000);
        await serving.ended;
        clearTimeout(timer);
        assert.equal(serving.child.signalCode, null, serving.said());
      }
      const { status, stdout } = spawnSync(
        callgate,
        ["run", "--filter-only", "--policy", policy, "--", probePath, ...attacks],
        { encoding: "utf8", env, timeout: 120_000 },
      );
      assert.equal(status, 1);
      for (const attack of attacks) assert.match(stdout, new RegExp(`^${attack}: (?:EPERM|ENOSYS)`, "m"));
    });
});
