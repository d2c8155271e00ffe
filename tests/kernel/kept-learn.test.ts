// Kept jobs: `callgate learn` on a policy that lacks nothing starts no Node, and comes to the same as with Node; and Node
// where anything is new or has changed.
// Debian packages: coreutils dash util-linux
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  type Change,
  commandInside,
  commonChanges,
  everybody,
  inside,
  keepApart,
  type Person,
  type Result,
  type RunOptions,
  World,
} from "./kept-world.ts";
import { isRoot, ordinaryUser, scratchPath } from "./native.ts";

keepApart();

const policyOf = (world: World): string => readFileSync(world.path("policy.toml"), "utf8");
const commandOf = (script: string, tries: readonly string[] = ["--once"]): readonly string[] => [
  ...tries,
  ...["-o", "../policy.toml", "--", "sh", "-c", script],
];

/** What a person has learned from a script; the next run starts no Node. */
function learned(person: Person, script = "echo done", tries?: readonly string[]): World {
  const world = new World(person, undefined, "learn");
  rmSync(world.path("policy.toml"));
  world.write("work/mode", "plain\n");
  spawnSync("mkfifo", ["-m", "644", world.path("work/never")]);
  const args = commandOf(script, tries);
  const { status, stdout, stderr } = world.run(args);
  assert.deepEqual([status, stdout.includes("done\n")], [0, true], stderr);
  world.settle(args);
  return world;
}

/** What differs from run to run whoever watches it. */
function plainly(text: string): string {
  return text.replace(/^ {2}used .*$/gm, "  used");
}

interface Came extends Result {
  readonly policy: string;
  readonly mode: number;
}

type Runs = (options: RunOptions) => Result | Promise<Result>;

/** The same run by the kept job and by Node alone: what each comes to. */
async function bothWays(world: World, run: Runs): Promise<readonly [kept: Came, node: Came]> {
  const before = policyOf(world);
  const come = async (options: RunOptions): Promise<Came> => {
    const result = await run(options);
    const { mode, uid } = statSync(world.path("policy.toml"));
    assert.equal(uid, world.person.uid);
    return { ...result, stderr: plainly(result.stderr), policy: policyOf(world), mode };
  };
  const kept = await come({ env: world.env() });
  world.write("policy.toml", before);
  const node = await come({ env: world.env({ CALLGATE_FRESH: "1" }) });
  return [kept, node];
}

for (const person of everybody) {
  describe(`kept jobs, as ${person.name}`, () => {
    test("a run that brings nothing new starts no Node, and all of it is the same", async () => {
      const script =
        'read line; echo "$line"; /bin/true; env true; /nonexistent/tool 2>/dev/null; echo done; exit 7';
      const world = learned(person, script);
      chmodSync(world.path("policy.toml"), 0o640);
      const file = world.path("work/input");
      writeFileSync(file, "a line\nanother\n");
      const input = openSync(file, "r");
      try {
        const starts: number[] = [];
        const [kept, node] = await bothWays(world, (options) => {
          chmodSync(world.path("policy.toml"), 0o640);
          const earlier = world.starts();
          const { fresh: _, ...result } = world.run(commandOf(script), {
            ...options,
            cwd: world.path("work"),
            input,
          });
          starts.push(world.starts() - earlier);
          return result;
        });
        assert.deepEqual(starts, [0, 1]);
        assert.deepEqual(kept, node);
        assert.deepEqual([kept.status, kept.stdout, kept.mode & 0o777], [0, "a line\ndone\n", 0o640]);
        assert.match(
          kept.stderr,
          /nothing new: .* \(status 7\); the last \d+ runs brought nothing new\n {2}starts /,
        );
      } finally {
        closeSync(input);
      }
    });

    test("the history counts each run, and the next one finds its job again", () => {
      const world = learned(person);
      // Beyond nine, so that the line that counts grows once.
      const counts = Array.from({ length: 12 }, () => {
        const { fresh, stderr, status } = world.run(commandOf("echo done"));
        assert.deepEqual([fresh, status], [false, 0], stderr);
        const [, runs = "", idle = ""] =
          /^# learned: (\d+) runs, the last (\d+) /m.exec(policyOf(world)) ?? [];
        assert.match(stderr, new RegExp(`the last ${idle} runs brought nothing new`));
        return Number(runs);
      });
      const [first = 0] = counts;
      assert.ok(first < 9);
      assert.deepEqual(
        counts,
        counts.map((_, index) => first + index),
      );
      // The policy alone counts: what somebody has written there goes on. What is no count is read by Node.
      const written = (counted: string): readonly [fresh: boolean, line: string | undefined] => {
        world.write("policy.toml", policyOf(world).replace(/^# learned: .*$/m, counted));
        const { fresh, status, stderr } = world.run(commandOf("echo done"));
        assert.equal(status, 0, stderr);
        return [fresh, /^# learned: .*$/m.exec(policyOf(world))?.[0]];
      };
      for (const [line, fresh, next] of [
        [
          "# learned: 1 run, the last 0 brought nothing new",
          false,
          "# learned: 2 runs, the last 1 brought nothing new",
        ],
        [
          "# learned: 99999 runs, the last 99 brought nothing new",
          false,
          "# learned: 100000 runs, the last 100 brought nothing new",
        ],
        [
          "# learned: 1 runs, the last 0 brought nothing new",
          true,
          "# learned: 2 runs, the last 1 brought nothing new",
        ],
        [
          "# learned: 07 runs, the last 3 brought nothing new",
          true,
          "# learned: 8 runs, the last 4 brought nothing new",
        ],
        [
          "# learned: 7 runs, the last 3 brought nothing new ",
          true,
          "# learned: 7 runs, the last 3 brought nothing new ",
        ],
        ["# learned: 7 runs", true, "# learned: 7 runs"],
        ["# learned: ", true, "# learned: "],
      ] as const)
        assert.deepEqual(written(line), [fresh, next], line);
    });
  });
}

const [somebody] = everybody.slice(-1);
assert.ok(somebody !== undefined);

/** A run during which something is done; killed after a while. */
async function during(
  world: World,
  script: string,
  options: RunOptions,
  meanwhile: (child: ChildProcess, said: () => string) => Promise<void>,
): Promise<Result> {
  const cwd = world.path("work");
  const words = [world.callgate, "learn", ...commandOf(script)];
  const [program = "", ...args] = commandInside(world.person, words, { ...options, cwd });
  const child = spawn(program, args, { cwd, env: { ...options.env }, stdio: ["ignore", "pipe", "pipe"] });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].on("data", (chunk) => {
      texts[name] += chunk;
    });
  const timer = setTimeout(() => child.kill("SIGKILL"), 240_000);
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  try {
    await meanwhile(child, () => texts.stdout + texts.stderr);
    return { status: await ended, ...texts };
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 4000; tries += 1) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`waited for: ${what}`);
}

/** Undefined for one that has ended, whether or not somebody has waited for it. */
const parentOf = (pid: string): string | undefined => {
  try {
    return /^State:\t[^ZX][\s\S]*^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  } catch {
    return undefined;
  }
};
const childrenOf = (pid: number | string | undefined): readonly string[] =>
  readdirSync("/proc").filter((one) => /^\d+$/.test(one) && parentOf(one) === String(pid));

describe("what is not as it was goes to Node, and comes to what it comes to without a kept job", () => {
  /** A script that does something else in its second mode. */
  const inMode = (other: string): string =>
    `read mode <mode; if [ $mode = other ]; then\n${other}\nfi; echo done`;

  const others: Readonly<Record<string, readonly [script: string, says: RegExp]>> = {
    "a call that is new": ["mkdir made; rmdir made", /\d+ rules? for what was seen/],
    "another program": ["exec /usr/bin/env echo other", /starts +.*env/],
    "a program that is not there any more": ["rm -f tool; ./tool 2>/dev/null", /callgate learn: /],
    "a death by a signal": ["kill -9 $$", /\(killed by SIGKILL\)/],
  };
  for (const [name, [other, says]] of Object.entries(others)) {
    test(name, async () => {
      const script = inMode(other);
      // What is new is tried, too.
      const tries = name === "a call that is new" ? [] : undefined;
      const world = learned(somebody, script, tries);
      world.write("work/mode", "other\n");
      const starts: number[] = [];
      const [kept, node] = await bothWays(world, (options) => {
        const earlier = world.starts();
        const { fresh: _, ...result } = world.run(commandOf(script, tries), options);
        starts.push(world.starts() - earlier);
        return result;
      });
      assert.deepEqual(kept, node);
      assert.match(kept.stderr, says);
      assert.ok(starts.every((count) => count > 0));
    });
  }

  const waiting = inMode("echo ready; read line <never");
  test("Ctrl-C ends learning", async () => {
    const world = learned(somebody, waiting);
    world.write("work/mode", "other\n");
    const [kept, node] = await bothWays(world, (options) =>
      during(world, waiting, options, async (child, said) => {
        await until("the program", () => said().includes("ready\n"));
        child.kill("SIGINT");
      }),
    );
    assert.deepEqual(kept, node);
    assert.match(kept.stderr, /\(learning was ended by SIGINT\)/);
    assert.match(kept.stderr, /not tried: learning was ended by a signal/);
  });

  for (const [name, edit, says] of [
    ["is edited", "# mine\n", /was changed while the program ran: .* for what is there now\n/],
    ["is made no policy", "[mine\n", /cannot be extended/],
  ] as const)
    test(`the policy ${name} while the program runs`, async () => {
      const world = learned(somebody, waiting);
      world.write("work/mode", "other\n");
      const [kept, node] = await bothWays(world, (options) =>
        during(world, waiting, options, async (_, said) => {
          await until("the program", () => said().includes("ready\n"));
          const edited = `${policyOf(world)}${edit}`;
          world.write("policy.toml", edited);
          writeFileSync(world.path("work/never"), "go on\n");
        }),
      );
      assert.deepEqual(kept, node);
      assert.match(kept.stdout, /ready\ndone\n/);
      assert.match(kept.stderr, says);
      assert.ok(kept.policy.endsWith(edit), kept.policy);
    });

  test("the watcher is killed", async () => {
    const world = learned(somebody, waiting);
    world.write("work/mode", "other\n");
    const [kept, node] = await bothWays(world, (options) =>
      during(world, waiting, options, async (child, said) => {
        await until("the program", () => said().includes("ready\n"));
        const [watcher] = childrenOf(child.pid);
        process.kill(Number(watcher), "SIGKILL");
      }),
    );
    assert.deepEqual(kept, node);
    assert.match(kept.stderr, /the watcher was killed before it had told anything/);
  });

  test("who follows the watcher is killed: all go with it", async () => {
    const world = learned(somebody, waiting);
    world.write("work/mode", "other\n");
    let all: readonly string[] = [];
    await during(world, waiting, { env: world.env() }, async (child, said) => {
      await until("the program", () => said().includes("ready\n"));
      const watchers = childrenOf(child.pid);
      all = [...watchers, ...watchers.flatMap(childrenOf)];
      child.kill("SIGKILL");
    });
    assert.equal(all.length, 2);
    await until("the end of both", () => all.every((pid) => parentOf(pid) === undefined));
  });

  test("a process that is left behind", async () => {
    const script = inMode("echo ready; (read line <never) &");
    const world = learned(somebody, script);
    world.write("work/mode", "other\n");
    const [kept, node] = await bothWays(world, (options) =>
      during(world, script, options, async (child, said) => {
        await until("what is said of it", () => said().includes("left a process behind"));
        child.kill("SIGINT");
      }),
    );
    assert.deepEqual(kept, node);
    assert.match(kept.stderr, /learning was ended by SIGINT/);
  });
});

describe("a kept job is used for what it was made for, and nothing else", () => {
  const changes: Readonly<Record<string, Change>> = {
    ...commonChanges,
    "the policy, by a letter": (world) => {
      world.write("policy.toml", policyOf(world).replace("brought nothing new", "brought nothing New"));
      return {};
    },
    "the policy, which is a link now": (world) => {
      renameSync(world.path("policy.toml"), world.path("moved.toml"));
      symlinkSync(world.path("moved.toml"), world.path("policy.toml"));
      return {};
    },
    "the arguments": (world) => ({ args: [...world.usual.slice(0, -1), `${world.usual.at(-1)} `] }),
    "an option": () => ({ args: commandOf("echo done", []) }),
    "standard input, which is closed": () => ({ before: ["sh", "-c", 'exec "$@" <&-', "sh"] }),
    CALLGATE_FRESH: (world) => ({ env: world.env({ CALLGATE_FRESH: "1" }) }),
    ...(isRoot
      ? {}
      : {
          "the policy, which cannot be written": (world: World) => {
            chmodSync(world.path("policy.toml"), 0o444);
            return {};
          },
        }),
  };
  /** The world as it was, however it was changed. */
  const restore = (world: World, policy: string, base: string): void => {
    for (const name of ["policy.toml", "moved.toml", "base.toml", "bin/sh", "no-node"])
      rmSync(world.path(name), { force: true });
    world.write("policy.toml", policy);
    world.write("base.toml", base);
    if (existsSync(world.path("away"))) {
      rmSync(world.path("work"), { recursive: true });
      renameSync(world.path("away"), world.path("work"));
    }
  };
  test("changed, each part of what it rests on gives a run by Node", async (t) => {
    const world = learned(somebody);
    world.write(
      "base.toml",
      'version = 1\n[syscalls]\ndefault = "deny"\nbaseline = "4.10"\nrules = \'deny keyctl\'\n',
    );
    const line = 'version = 1\nextends = ["./base.toml"]\n';
    world.write("policy.toml", policyOf(world).replace("version = 1\n", line));
    for (const [name, change] of Object.entries(changes)) {
      await t.test(name, () => {
        world.settle(commandOf("echo done"));
        const [policy, base] = [policyOf(world), readFileSync(world.path("base.toml"), "utf8")];
        try {
          const { args, ...options } = change(world);
          // Node need not finish: that it is started, and the program is not, is what is asked.
          world.write("no-node", "");
          const result = world.run(args ?? commandOf("echo done"), options);
          assert.deepEqual([result.fresh, result.status, result.stdout], [true, 9, ""]);
        } finally {
          restore(world, policy, base);
        }
      });
    }
  });

  test("what the watcher cannot say is not kept", () => {
    const world = learned(somebody);
    for (const option of ["--json", "--phases", "--force"])
      for (let i = 0; i < 2; i += 1)
        assert.equal(world.run([option, ...commandOf("echo done")]).fresh, true, option);
  });

  test("planted, cut off, changed, another command's or an older one is not used", {
    skip: !isRoot && "needs a place of its own",
  }, () => {
    const world = new World(somebody, undefined, "learn");
    world.forget();
    rmSync(world.path("policy.toml"));
    // With its last trial, by which a plan of run's is kept.
    assert.equal(world.run(commandOf("echo done", [])).status, 0);
    const others = world.kept();
    assert.ok(others.length > 0, "another command's job, and a plan of run's");
    world.settle(commandOf("echo done"));
    const read = (name: string): Buffer =>
      Buffer.from(
        inside(somebody, ["base64", "-w0", join(somebody.folder, name)], { asIs: true }).stdout,
        "base64",
      );
    const [own = "", ...more] = world.kept().filter((name) => !others.includes(name));
    assert.deepEqual(more, []);
    const file = join(somebody.folder, own);
    const put = (bytes: Uint8Array): void => {
      const copy = scratchPath("job");
      writeFileSync(copy, bytes);
      const script = `umask 077; cat "$0" >"$1"; chown ${somebody.uid} "$1"`;
      assert.equal(inside(somebody, ["sh", "-c", script, copy, file], { asIs: true }).status, 0);
    };
    const isUsed = (): boolean => {
      world.write("no-node", "");
      const { fresh, status, stdout } = world.run(commandOf("echo done"));
      rmSync(world.path("no-node"));
      assert.deepEqual([status, stdout], fresh ? [9, ""] : [0, "done\n"]);
      return !fresh;
    };
    const old = read(own);
    assert.deepEqual([isUsed(), isUsed()], [true, true], "the very bytes, whatever the policy counts");
    const policy = policyOf(world);
    world.write("policy.toml", `${policy}# an afterthought\n`);
    world.settle(commandOf("echo done"));
    const newer = read(own);
    assert.notDeepEqual(newer, old);
    put(old);
    assert.equal(isUsed(), false, "an older one, of the policy before it was changed");
    assert.deepEqual(read(own), old, "a run by Node that failed has kept nothing");
    world.write("policy.toml", policy);
    assert.equal(isUsed(), true);
    for (let at = 0; at < old.length; at += at < 160 ? 24 : 2999) {
      const changed = Buffer.from(old);
      changed[at] = (changed[at] ?? 0) ^ 1;
      put(changed);
      assert.equal(isUsed(), false, `byte ${at} is another`);
    }
    for (const length of [0, 87, 88, 200, old.length - 1]) {
      put(old.subarray(0, length));
      assert.equal(isUsed(), false, `cut off after ${length} bytes`);
    }
    for (const other of others) {
      put(read(other));
      assert.equal(isUsed(), false, "another command's");
    }
    const stranger = ordinaryUser.uid === somebody.uid ? 1 : ordinaryUser.uid;
    put(old);
    inside(somebody, ["chown", String(stranger), file], { asIs: true });
    assert.equal(isUsed(), false, "another user's");
  });
});
