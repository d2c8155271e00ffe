/** What watching costs: a program plain, under `strace -f -c`, learned for the first time, and learned again. */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readPolicy } from "../src/formats/index.ts";
import { addRules, learnedRules, newPolicyText } from "../src/learn/index.ts";
import type { Policy } from "../src/policy/types.ts";
import { packageRoot } from "../src/sandbox/package-files.ts";
import { watch, watchJob } from "../src/sandbox/watch.ts";
import { hostAbi } from "../src/syscalls/index.ts";
import type { Harness, StartTime } from "./harness.ts";

type Command = readonly [string, ...string[]];

function works(repository: string): readonly (readonly [name: string, command: Command])[] {
  return [
    // What is the same for every program.
    ["true", ["/bin/true"]],
    [
      "git status, 40,000 files in 2,040 folders",
      ["/bin/sh", "-c", `exec git -C ${repository} --no-optional-locks status --short > /dev/null`],
    ],
    ["find", ["/usr/bin/find", "/usr/lib", "-newer", "/etc/passwd", "-name", "nothing"]],
    [
      "a walk in Node",
      [
        process.execPath,
        "--eval",
        // Some folders there may be root's alone, and in a sandbox nobody is root.
        'const list = (at) => { try { return fs.readdirSync(at, { withFileTypes: true }); } catch { return []; } }; const walk = (at) => { for (const one of list(at)) { const path = at + "/" + one.name; fs.lstatSync(path); if (one.isDirectory()) walk(path); } }; walk("/usr/share")',
      ],
    ],
    [
      "gcc -O2",
      ["/usr/bin/gcc", "-O2", "-c", "-w", "-o", "/dev/null", `${packageRoot()}/tests/kernel/decisions.c`],
    ],
  ];
}
const rounds = 11;
/** strace takes so long that fewer have to do. */
const straceRounds = 3;
/** A twentieth is less than one run differs from the next. */
const roundsOfPairs = 41;

/**
 * The goals: for the first run of the program's own time under the watcher (callgate's start, compilation and proof are a
 * row of their own), for the second of the whole command too.
 */
export const learningGoals = {
  learned: 2,
  "learned again": 1.05,
  "callgate learn again, all of it": 1.05,
} as const;

function policyOf(text: string): Policy {
  const { policy } = readPolicy(text);
  if (policy === undefined) throw new Error("a learned policy has errors");
  return policy;
}

/** A repository with many files, all of them committed. */
function makeRepository(folder: string): void {
  for (let outer = 0; outer < 40; outer += 1)
    for (let inner = 0; inner < 50; inner += 1) {
      const path = join(folder, `part-${outer}`, `module-${inner}`);
      mkdirSync(path, { recursive: true });
      for (let file = 0; file < 20; file += 1)
        writeFileSync(join(path, `file-${file}`), `${outer} ${inner} ${file}\n`);
    }
  const git = (...args: readonly string[]): void => {
    const settings = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"];
    const { status, stderr } = spawnSync("git", ["-C", folder, ...settings, ...args], { encoding: "utf8" });
    if (status !== 0) throw new Error(`git ${args[0]}: ${stderr}`);
  };
  git("init", "-q");
  git("add", "-A");
  git("commit", "-qm", "all");
  // An index that is as young as the files makes git read them all, each time.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1100);
  git("status");
}

/**
 * A whole second `callgate learn` beside the program itself, round by round.
 * @param policy has been learned from it
 */
function secondRuns(harness: Harness, policy: string, command: Command): readonly StartTime[] {
  const callgate = join(packageRoot(), "bin", "callgate");
  // What every filter costs, since the kernel takes another way into each call: less than that nothing can.
  const open = join(harness.folder, "open.toml");
  writeFileSync(
    open,
    'version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "4.10"\nnewer = "allow"\nother-abis = "allow"\n',
  );
  return harness.measure(roundsOfPairs, [
    { name: "plain", command },
    {
      name: "callgate run --filter-only, everything is permitted",
      command: [callgate, "run", "--filter-only", "--policy", open, "--", ...command],
    },
    { name: "callgate learn again, all of it", command: [callgate, "learn", "-o", policy, "--", ...command] },
  ]);
}

/** A program from its start to its end. */
function ended(path: string, args: readonly string[]): Promise<void> {
  return new Promise((settle, reject) => {
    const child = spawn(path, args, { stdio: "ignore" });
    child.on("error", reject);
    child.on("close", (status) =>
      status === 0 ? settle() : reject(new Error(`${path} ended with ${status}`)),
    );
  });
}

/** Each program's times, the plain one first: of first runs, and of second ones. */
export async function measureLearning(
  harness: Harness,
): Promise<readonly (readonly [name: string, times: readonly StartTime[]])[]> {
  const native = hostAbi();
  if (native === undefined) return [];
  const folder = mkdtempSync(join(tmpdir(), "callgate-bench-learn-"));
  try {
    const repository = join(folder, "repository");
    makeRepository(repository);
    const results: (readonly [string, readonly StartTime[]])[] = [];
    for (const [name, command] of works(repository)) {
      const [path, ...args] = command;
      const run = (job: Uint8Array): ReturnType<typeof watch> =>
        watch({
          job,
          program: { path, arguments: command },
          input: "ignore",
          output: 1,
          env: process.env,
        });
      const empty = newPolicyText("bench", command, native);
      const first = watchJob(policyOf(empty), native, "permit");
      const { observation } = await run(first);
      const learned = addRules(
        { name: "bench", text: empty },
        learnedRules(observation, policyOf(empty), native),
      );
      if (typeof learned !== "string") throw new Error(learned.problem);
      const second = watchJob(policyOf(learned), native, "permit");
      const callgate = join(packageRoot(), "bin", "callgate");
      const whole = (file: string, ...options: readonly string[]): Promise<void> =>
        ended(callgate, ["learn", ...options, "-o", join(folder, file), "--", ...command]);
      // Once, as somebody does who then learns again.
      rmSync(join(folder, "again.toml"), { force: true });
      await whole("again.toml");
      const kinds: readonly (readonly [string, number, () => Promise<unknown>])[] = [
        ["plain", rounds, () => ended(path, args)],
        ["strace -f -c", straceRounds, () => ended("strace", ["-f", "-c", "-o", "/dev/null", ...command])],
        ["learned", rounds, () => run(first)],
        ["learned again", rounds, () => run(second)],
        ["callgate learn --once, all of it", rounds, () => whole("first.toml", "--once", "--force")],
      ];
      const times = kinds.map((): number[] => []);
      for (let round = 0; round < rounds; round += 1)
        for (const [index, [, most, work]] of kinds.entries()) {
          if (round >= most) continue;
          const begin = performance.now();
          await work();
          times[index]?.push((performance.now() - begin) * 1000);
        }
      results.push([
        name,
        kinds.map(([kind, most], index) => {
          const sorted = (times[index] ?? []).sort((a, b) => a - b);
          return { name: kind, least: sorted[0] ?? 0, median: sorted[most >> 1] ?? 0 };
        }),
      ]);
      results.push([`${name}, again`, secondRuns(harness, join(folder, "again.toml"), command)]);
    }
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
