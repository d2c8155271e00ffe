// Real programs doing real work under the policy "default": each script runs first without callgate and then
// under it, in the same folder emptied in between, and must leave the same output, the same exit status and the
// same files. As root and as an ordinary user.
//
// Debian packages: bash bsdutils bzip2 coreutils curl diffutils findutils gawk gcc git grep gzip libc6-dev
// Debian packages: libc6-dev-i386 lib32gcc-12-dev make openssh-client patch perl procps python3 sed tar util-linux xz-utils zstd
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { curl, program32, type Work, works } from "./default-scripts.ts";
import { isRoot, ordinaryUser, root, scratchFile, scratchPath } from "./native.ts";

const callgate = join(root, "bin", "callgate");

interface Person {
  readonly name: string;
  readonly identity: { readonly uid?: number; readonly gid?: number };
}
const people: readonly Person[] = isRoot
  ? [
      { name: "root", identity: {} },
      { name: "an ordinary user", identity: ordinaryUser },
    ]
  : [{ name: "this user", identity: {} }];

interface Outcome {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, at most four minutes; nothing of the caller's environment is passed on. */
function run(command: readonly string[], folder: string, identity: Person["identity"]): Promise<Outcome> {
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: folder,
      env: {
        PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
        HOME: folder,
        TMPDIR: folder,
        LC_ALL: "C.UTF-8",
        TZ: "UTC",
      },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 240_000,
      killSignal: "SIGKILL",
      ...identity,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
}

/** Every file below a folder: kind, mode, and content or target; not those whose path matches `except`. */
function filesIn(folder: string, except: RegExp | undefined): readonly string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((path) => except?.test(path) !== true)
    .sort()
    .map((path) => {
      const status = lstatSync(join(folder, path));
      const content = status.isFile()
        ? createHash("sha256")
            .update(readFileSync(join(folder, path)))
            .digest("hex")
            .slice(0, 12)
        : status.isSymbolicLink()
          ? readlinkSync(join(folder, path))
          : "";
      return `${path} ${status.mode.toString(8)} ${status.uid} ${status.nlink} ${content}`;
    });
}

const bash = ["bash", "-euo", "pipefail", "-c"];

async function compare(work: Work, person: Person): Promise<void> {
  const folder = scratchPath("work");
  const once = async (prefix: readonly string[]): Promise<Outcome & { files: readonly string[] }> => {
    mkdirSync(folder);
    if (person.identity.uid !== undefined) chownSync(folder, person.identity.uid, person.identity.uid);
    try {
      const outcome = await run(
        [...prefix, ...(work.language ?? bash), work.script],
        folder,
        person.identity,
      );
      return { ...outcome, files: filesIn(folder, work.except) };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  const outside = await once([]);
  const told = `${outside.stdout}\n${outside.stderr}`;
  assert.equal(outside.status, 0, `the script itself does not work here: ${told}`);
  assert.match(outside.stdout, work.shows);
  const inside = await once([callgate, "run", "--filter-only", "--policy", "default", "--"]);
  assert.deepEqual(inside, outside);
}

for (const person of people) {
  describe(`${person.name} under the policy default`, { concurrency: 2 }, () => {
    for (const work of works) test(work.name, () => compare(work, person));
  });
}

describe("curl under the policy default", () => {
  let server: Server;
  let port = 0;
  before(async () => {
    server = createServer((request, answer) => {
      let size = 0;
      request.on("data", (part: Buffer) => {
        size += part.length;
      });
      request.on("end", () => answer.end(`${request.method} ${request.url} ${size} ${"x".repeat(50_000)}\n`));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address !== null && typeof address === "object") port = address.port;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  for (const person of people) {
    test(`fetches and sends over loopback for ${person.name}`, () => compare(curl(port), person));
  }
});

describe("a static 32-bit program under the policy default", () => {
  const program = scratchPath("program32");
  before(() => {
    const source = scratchFile("program32.c", program32);
    // The kernel's headers are where Debian has them for 64-bit programs: the same serve both.
    const headers = ["-idirafter", "/usr/include/x86_64-linux-gnu"];
    const args = ["-m32", "-static", "-D_GNU_SOURCE", "-w", ...headers, "-o", program, source, "-lpthread"];
    const compiled = spawnSync("gcc", args, { encoding: "utf8" });
    assert.equal(compiled.status, 0, compiled.stderr);
    chmodSync(program, 0o755);
  });
  const folder = scratchPath("folder32");
  before(() => mkdirSync(folder));
  const under = (...options: string[]): Promise<Outcome> =>
    run([callgate, "run", "--filter-only", ...options, "--", program], folder, {});

  test("works with --abi x86, but for sockets, whose family a filter cannot see there", async () => {
    const outside = await run([program], folder, {});
    assert.equal(outside.stdout, "32 bits, 4 threads, 1 bytes, child\nmap 1 shared 1 time 1\n");
    assert.equal(outside.stderr, "socket\n");
    const inside = await under("--policy", "default", "--abi", "x86");
    assert.deepEqual(inside, { ...outside, stderr: "EAFNOSUPPORT\n" });
  });
  test('has its sockets under a policy that extends default and says multiplexed = "open"', async () => {
    const rules = 'abis = ["native", "x86"]\nmultiplexed = "open"\n';
    const policy = scratchFile("open.toml", `version = 1\nextends = ["default"]\n[syscalls]\n${rules}`);
    const inside = await under("--policy", policy);
    assert.equal(inside.status, 0, inside.stderr);
    assert.match(inside.stderr, /^socket$/m);
  });
  test("dies of SIGSYS without --abi x86, which is said before", async () => {
    const inside = await under("--policy", "default");
    assert.deepEqual([inside.status, inside.signal], [null, "SIGSYS"]);
    assert.match(inside.stderr, /32-bit \(x86\) program.*--abi x86/s);
  });
});
