// Debian packages: lxc, busybox-static, uidmap, gcc
// `callgate lxc watch`: refusals are told as they happen, the answers stay the policy's, and nobody has to wait.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { filesOf } from "../../src/lxc/block.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { probePath } from "../kernel/native.ts";
import { atEnd, type Container, createContainer, noContainers, putProgram, run } from "./containers.ts";

const common = "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n";

/** Waits until something holds; what does not come within three minutes never does. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 180_000; !holds(); ) {
    if (Date.now() > end) throw new Error(`this never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

interface Watcher {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** The objects of --json. */
  readonly facts: () => readonly Record<string, unknown>[];
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
}

async function watchContainers(
  containers: readonly Container[],
  options: readonly string[] = [],
): Promise<Watcher> {
  const [first] = containers;
  if (first === undefined) throw new Error("no container");
  const args = ["lxc", "watch", "-P", first.lxcpath, ...options, ...containers.map(({ name }) => name)];
  const child = spawn(first.callgatePath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", HOME: "/root" },
  });
  let text = "";
  let ended: number | null | undefined;
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.on("close", (code) => {
    ended = code;
  });
  atEnd(() => child.kill("SIGKILL"));
  await until("a watcher that listens", () => /^watching /m.test(text) || ended !== undefined);
  assert.equal(ended, undefined, text);
  return {
    child,
    output: () => text,
    facts: () =>
      text
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line)),
    end: async (signal) => {
      child.kill(signal);
      await until("the watcher's end", () => ended !== undefined);
      return ended ?? null;
    },
  };
}

function enableWith(container: Container, statements: string): void {
  container.configure(container.original + statements);
  const outcome = container.callgate("enable", container.name);
  assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
}

function mustStart(container: Container): void {
  const started = container.callgate("start", container.name);
  assert.equal(started.status, 0, started.stdout + started.stderr);
}

function denialsProgram(): string {
  const folder = mkdtempSync(join(tmpdir(), "callgate-denials-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "denials");
  const source = join(packageRoot(), "tests", "lxc", "denials.c");
  const built = run("gcc", ["-O1", "-static", "-o", program, source]);
  assert.equal(built.status, 0, built.stderr);
  return program;
}

const exdev = 18;
/** A process's own memory in KiB, wherever it is. Exact: what is in the process's status counts some pages late. */
const memoryOf = (pid: number): number =>
  [
    ...readFileSync(`/proc/${pid}/smaps_rollup`, "utf8").matchAll(/^(?:Anonymous|Swap):\s+(\d+) kB$/gm),
  ].reduce((sum, [, size]) => sum + Number(size), 0);

describe("two containers that are watched", { skip: noContainers }, () => {
  const one = createContainer({ config: common });
  const two = createContainer({ config: common, lxcpath: one.lxcpath });
  let watcher: Watcher;
  before(async () => {
    const program = denialsProgram();
    for (const container of [one, two]) {
      putProgram(container, probePath, "probe");
      putProgram(container, program, "denials");
    }
    enableWith(one, "syscall.rule = errno(EXDEV) keyctl   # nobody needs keys\nsyscall.baseline = 5.15\n");
    enableWith(two, "syscall.deny = userfaultfd, mseal, socket(domain == AF_VSOCK)\n");
    watcher = await watchContainers([one, two], ["--json"]);
    mustStart(one);
    mustStart(two);
  });
  after(async () => {
    one.stop();
    two.stop();
    await watcher.end("SIGKILL");
  });
  const denied = (container: Container): readonly Record<string, unknown>[] =>
    watcher.facts().filter((fact) => fact["event"] === "denied" && fact["container"] === container.name);

  test("each refusal has its container, process, call, rule and line, and gets the policy's errno", async () => {
    assert.match(one.inside("/probe keyctl"), /keyctl: EXDEV/);
    assert.match(two.inside("/probe userfaultfd; /probe keyctl"), /userfaultfd: EPERM[\s\S]*keyctl: ok/);
    await until("both denials", () => denied(one).length > 0 && denied(two).length > 0);
    const [fact] = denied(one);
    assert.ok(fact !== undefined);
    assert.equal(fact["syscall"], "keyctl");
    assert.match(String(fact["text"]), /^keyctl\(operation = KEYCTL_GET_KEYRING_ID, /);
    assert.equal(fact["errno"], "EXDEV");
    assert.equal(fact["program"], "probe");
    const line =
      one.config().split("\n").indexOf("syscall.rule = errno(EXDEV) keyctl   # nobody needs keys") + 1;
    assert.deepEqual(fact["rule"], {
      file: one.configFile,
      line,
      text: "errno(EXDEV) keyctl",
      reason: "nobody needs keys",
    });
    assert.deepEqual(
      denied(two).map((other) => [other["syscall"], other["errno"]]),
      [["userfaultfd", "EPERM"]],
    );
  });

  test("what is not handed up is refused as well: newer calls, LXC's own, and of the profile below", () => {
    assert.match(
      one.inside("/probe open_by_handle_at; /probe io_uring_setup"),
      /open_by_handle_at: EPERM[\s\S]*io_uring_setup: ok/,
    );
  });

  test("what comes in by callgate lxc attach is refused by its own filter", () => {
    for (let times = 0; times < 2; times++) {
      const outcome = one.callgate("attach", one.name, "--", "/probe", "keyctl");
      assert.match(outcome.stdout, /keyctl: EXDEV/, outcome.stderr);
    }
  });

  test("the kernel's filters and the questions in them are proved, what was attached with them", async () => {
    const other = two.callgate("verify", two.name);
    assert.equal(other.status, 0, other.stdout + other.stderr);
    assert.match(one.attach("/probe keyctl").stdout, /keyctl: EXDEV/);
    const { pid } = one.attachInBackground("sleep 1000", true);
    const outcome = one.callgate("verify", one.name);
    process.kill(pid, "SIGTERM");
    assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
  });

  test("status has the counts, and says what cannot be seen", async () => {
    const row = (): string => one.callgate("status").stdout;
    await until("the counts", () =>
      new RegExp(`^${one.name} +running .* [1-9]\\d* +keyctl ×`, "m").test(row()),
    );
    assert.match(row(), new RegExp(`^${two.name}: not seen are .* of mseal, socket \\(in part\\)`, "m"));
    const [fact] = JSON.parse(one.callgate("status", one.name, "--json").stdout);
    assert.equal(fact.watched, "yes");
    assert.equal(fact.denied.calls[0].syscall, "keyctl");
    assert.deepEqual(fact.unseen, []);
  });

  test("a second watcher of the same container is refused", () => {
    const outcome = run(one.callgatePath, ["lxc", "watch", "-P", one.lxcpath, one.name]);
    assert.equal(outcome.status, 2);
    assert.match(outcome.stderr, /another callgate lxc watch is there already/);
  });

  test("the last of many denials costs no more memory than the first, and each has its errno", () => {
    const proxies = run("pgrep", ["-P", String(watcher.child.pid)])
      .stdout.trim()
      .split("\n")
      .map(Number);
    const [proxy = 0] = proxies;
    assert.match(one.inside(`/denials 500 ${exdev}`), /500 made, 0 wrong/);
    const early = memoryOf(proxy);
    assert.match(one.inside(`/denials 6000 ${exdev}`), /6000 made, 0 wrong/);
    const late = memoryOf(proxy);
    assert.ok(early > 0);
    // A page or two that a rare way through the program touches first may be new: nothing for each of them is.
    assert.ok(late - early <= 16, `${early} KiB, and then ${late}`);
  });

  test("a watcher that is stopped keeps nobody waiting, and loses no count", async () => {
    watcher.child.kill("SIGSTOP");
    try {
      assert.match(one.inside(`/denials 3000 ${exdev}; /probe keyctl`), /3000 made, 0 wrong\nkeyctl: EXDEV/);
      assert.equal(run("lxc-info", ["-P", one.lxcpath, "-n", one.name, "-sH"]).stdout.trim(), "RUNNING");
    } finally {
      watcher.child.kill("SIGCONT");
    }
    const counted = (): number => {
      const [fact] = JSON.parse(one.callgate("status", one.name, "--json").stdout);
      return fact.denied.total;
    };
    await until("all counts", () => counted() >= 500 + 6000 + 3000);
  });

  test("a new start begins new counts; its statements are the new ones", async () => {
    one.stop();
    one.configure(one.config().replace("errno(EXDEV) keyctl", "errno(EMFILE) keyctl"));
    mustStart(one);
    assert.match(one.inside("/probe keyctl"), /keyctl: EMFILE/);
    await until("the new denial", () => denied(one).some((fact) => fact["errno"] === "EMFILE"));
    // The watcher writes down its counts after it has answered.
    await until("the new counts", () => {
      const [fact] = JSON.parse(one.callgate("status", one.name, "--json").stdout);
      return fact.denied.total <= 10;
    });
  });

  test("a watcher that dies: ENOSYS, and status says so; the next one goes on", async () => {
    await watcher.end("SIGKILL");
    await until("an end of the part that answers", () => /ENOSYS/.test(two.inside("/probe userfaultfd")));
    const status = two.callgate("status").stdout;
    assert.match(status, new RegExp(`^${two.name}: its watcher is gone: .* ENOSYS`, "m"));
    assert.equal(two.callgate("verify", two.name).status, 0);
    watcher = await watchContainers([one, two]);
    assert.match(two.inside("/probe userfaultfd"), /userfaultfd: EPERM/);
    await until("the denial", () => /denied {2}userfaultfd\(flags = /.test(watcher.output()));
    assert.match(
      watcher.output(),
      new RegExp(
        `^${two.name} {2}denied {2}userfaultfd.* → EPERM {3}by probe\\[\\d+\\]\\n.*config:\\d+ {2}deny userfaultfd`,
        "m",
      ),
    );
  });

  test("Ctrl-C sums up and ends with 0; a start without a watcher is an ordinary one", async () => {
    assert.equal(await watcher.end("SIGINT"), 0);
    assert.match(watcher.output(), new RegExp(`^${two.name}: 1 denied: userfaultfd ×1$`, "m"));
    two.stop();
    mustStart(two);
    assert.match(two.inside("/probe userfaultfd"), /userfaultfd: EPERM/);
    assert.match(two.callgate("status").stdout, new RegExp(`^${two.name} +running .* yes .* –$`, "m"));
    two.stop();
  });
});

test("a container in a user namespace is watched until it ends", { skip: noContainers }, async () => {
  const container = createContainer({ kind: "userns", config: common });
  putProgram(container, probePath, "probe");
  enableWith(container, "syscall.deny = keyctl\n");
  const watcher = await watchContainers([container]);
  try {
    mustStart(container);
    assert.match(container.inside("/probe keyctl"), /keyctl: EPERM/);
    await until("the denial", () => /denied {2}keyctl/.test(watcher.output()));
    container.stop();
    await until("its end", () => /: ended$/m.test(watcher.output()));
  } finally {
    assert.equal(await watcher.end("SIGTERM"), 0);
  }
});

test("a watcher whose reader has gone ends by SIGPIPE at the next thing to tell, and leaves nothing", {
  skip: noContainers,
}, async () => {
  const container = createContainer({ config: common });
  putProgram(container, probePath, "probe");
  enableWith(container, "syscall.deny = keyctl\n");
  const watcher = await watchContainers([container]);
  const end = new Promise((resolve) => watcher.child.once("exit", (code, signal) => resolve([code, signal])));
  try {
    // As `head` does after its last line.
    watcher.child.stdout?.destroy();
    mustStart(container);
    assert.deepEqual(await end, [null, "SIGPIPE"]);
    assert.match(watcher.output(), /^watching \S+; Ctrl-C ends it\n$/);
    assert.ok(!existsSync(filesOf(container.folder).watch), "its socket is still there");
  } finally {
    container.stop();
  }
});

describe("containers that cannot be watched", { skip: noContainers }, () => {
  const container = createContainer({ config: common });
  const cases: readonly (readonly [name: string, statements: string, message: RegExp])[] = [
    [
      "with a supervisor of its own",
      "lxc.seccomp.notify.proxy = unix:/run/nobody\nsyscall.deny = keyctl\n",
      /names a supervisor already/,
    ],
    ["whose statements notify", "syscall.rule = notify keyctl\n", /hand calls to a supervisor themselves/],
    [
      "of which LXC can refuse nothing",
      "syscall.deny = mseal\n",
      /LXC's format can say nothing of what it refuses/,
    ],
  ];
  for (const [name, statements, message] of cases) {
    test(`one ${name}`, () => {
      enableWith(container, statements);
      const outcome = container.callgate("watch", container.name);
      assert.equal(outcome.status, 2);
      assert.match(outcome.stderr, message);
    });
  }

  test("one of an ordinary user: LXC could hand nothing up", () => {
    const other = createContainer({ kind: "user", config: common });
    enableWith(other, "syscall.deny = keyctl\n");
    for (const outcome of [
      other.callgate("watch", other.name),
      run(other.callgatePath, ["lxc", "watch", "-P", other.lxcpath, other.name]),
    ]) {
      assert.equal(outcome.status, 2);
      assert.match(
        outcome.stderr,
        /\/proc\/PID\/mem of its process opened, .* would become ENOSYS\. It stays refused as stated .*\. callgate lxc learn shows what it does, and root can start one/,
      );
    }
  });

  test("one that is not enabled, and one with a mistake", () => {
    const container = createContainer({ config: common });
    assert.match(container.callgate("watch", container.name).stderr, /nothing enforces its statements/);
    enableWith(container, "syscall.deny = keyctl\n");
    container.configure(container.config().replace("deny = keyctl", "deny = keyclt"));
    assert.match(container.callgate("watch", container.name).stderr, /its statements have mistakes/);
  });
});
