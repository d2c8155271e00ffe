/** What watching costs: a program plain, under `strace -f -c`, learned for the first time, and learned again. */
import { spawnSync } from "node:child_process";
import { readPolicy } from "../src/formats/index.ts";
import { addRules, learnedRules, newPolicyText } from "../src/learn/index.ts";
import type { Policy } from "../src/policy/types.ts";
import { packageRoot } from "../src/sandbox/package-files.ts";
import { watch } from "../src/sandbox/watch.ts";
import { hostAbi } from "../src/syscalls/index.ts";
import type { StartTime } from "./harness.ts";

const works: readonly (readonly [name: string, command: readonly [string, ...string[]]])[] = [
  // What is the same for every program: the filter's compilation and proof, and the watcher's start.
  ["true", ["/bin/true"]],
  [
    "git status",
    ["/bin/sh", "-c", `exec git -C ${packageRoot()} --no-optional-locks status --short > /dev/null`],
  ],
  ["find", ["/usr/bin/find", "/usr/lib", "-newer", "/etc/passwd", "-name", "nothing"]],
  [
    "a walk in Node",
    [
      process.execPath,
      "--eval",
      'const walk = (at) => { for (const one of fs.readdirSync(at, { withFileTypes: true })) { const path = at + "/" + one.name; fs.lstatSync(path); if (one.isDirectory()) walk(path); } }; walk("/usr/share")',
    ],
  ],
  [
    "gcc -O2",
    ["/usr/bin/gcc", "-O2", "-c", "-w", "-o", "/dev/null", `${packageRoot()}/tests/kernel/decisions.c`],
  ],
];
const rounds = 5;

function policyOf(text: string): Policy {
  const { policy } = readPolicy(text);
  if (policy === undefined) throw new Error("a learned policy has errors");
  return policy;
}

/** Each program's times, the plain one first. */
export async function measureLearning(): Promise<
  readonly (readonly [name: string, times: readonly StartTime[]])[]
> {
  const native = hostAbi();
  if (native === undefined) return [];
  const results: (readonly [string, readonly StartTime[]])[] = [];
  for (const [name, command] of works) {
    const [path, ...args] = command;
    const empty = newPolicyText("bench", command, native);
    const run = (policy: Policy): ReturnType<typeof watch> =>
      watch({
        policy,
        native,
        refused: "permit",
        program: { path, arguments: command },
        input: "ignore",
        env: process.env,
      });
    const { observation } = await run(policyOf(empty));
    const learned = addRules(
      { name: "bench", text: empty },
      learnedRules(observation, policyOf(empty), native),
    );
    if (typeof learned !== "string") throw new Error(learned.problem);
    const [first, second] = [policyOf(empty), policyOf(learned)];
    const kinds: readonly (readonly [string, () => unknown])[] = [
      [name, () => spawnSync(path, args, { stdio: "ignore" })],
      [
        `${name}, strace -f -c`,
        () => spawnSync("strace", ["-f", "-c", "-o", "/dev/null", ...command], { stdio: "ignore" }),
      ],
      [`${name}, learned`, () => run(first)],
      [`${name}, learned again`, () => run(second)],
    ];
    const times = kinds.map((): number[] => []);
    for (let round = 0; round < rounds; round += 1)
      for (const [index, [, work]] of kinds.entries()) {
        const begin = performance.now();
        await work();
        times[index]?.push((performance.now() - begin) * 1000);
      }
    results.push([
      name,
      kinds.map(([kind], index) => {
        const sorted = (times[index] ?? []).sort((a, b) => a - b);
        return { name: kind, least: sorted[0] ?? 0, median: sorted[rounds >> 1] ?? 0 };
      }),
    ]);
  }
  return results;
}
