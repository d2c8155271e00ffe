// A program attacks the processes of callgate that look after it, without any filter in its way: the first process of
// its namespace, the outer one, the keeper of its control groups. Outside the same attacks work on a process of the
// same user.
// Debian packages: python3
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { groupLimits, thisProcess } from "../../src/sandbox/cgroups.ts";
import type { PlanStep } from "../../src/sandbox/plan.ts";
import { filterBytes, isRoot, launch, ordinaryUser, planFor, root, runProgram } from "./native.ts";

const python = "/usr/bin/python3";
const script = join(root, "tests", "fixtures", "attacks", "supervisor.py");
const pidfdGetfd = "438";
const attacks = 16;

interface Person {
  readonly name: string;
  readonly isRoot: boolean;
  readonly identity: { readonly uid?: number; readonly gid?: number };
}
const ordinary: Person = { name: "an ordinary user", isRoot: false, identity: isRoot ? ordinaryUser : {} };
const people: readonly Person[] = isRoot
  ? [{ name: "root", isRoot: true, identity: {} }, ordinary]
  : [ordinary];

/** Everything may be read and nothing is written, so that Landlock is there and /proc is to be seen. */
const landlock: PlanStep = {
  kind: "landlock",
  least: 1,
  scopes: 3,
  files: 0x1ffff,
  network: 0,
  paths: [
    { path: "/", rights: 0xd },
    { path: "/proc", rights: 0x1ffff },
  ],
  ports: [],
};

function steps(
  person: Person,
  isAlone: boolean,
  groups: readonly PlanStep[],
  wallTime = 600,
): readonly PlanStep[] {
  return [
    ...groups,
    ...(isAlone
      ? ([
          { kind: "namespaces", namespaces: ["mount", "uts", "ipc", "user", "pid"] },
          { kind: "idMaps", map: person.isRoot ? "all" : "own" },
        ] as const)
      : []),
    { kind: "limits", resources: { core: 0 }, wallTime },
    ...(person.isRoot ? [{ kind: "identity", uid: 65534, gid: 65534 } as const] : []),
    { kind: "capabilities" },
    { kind: "noNewPrivileges" },
    landlock,
    { kind: "closeDescriptors", keep: [] },
    { kind: "signals", keepIgnored: [] },
  ];
}

/** What the filter has to say in this, as `run` has it where there are no namespaces: prlimit64(pid != 0). */
const noLimitsOfOthers = filterBytes([
  [0x20, 0, 0, 0],
  [0x15, 0, 3, process.arch === "x64" ? 302 : 261],
  [0x20, 0, 0, 16],
  [0x15, 1, 0, 0],
  [0x06, 0, 0, 0x00050001],
  [0x06, 0, 0, 0x7fff0000],
]);

const outcomes = (text: string): readonly (readonly [string, string])[] =>
  text
    .split("\n")
    .filter((line) => /^\d/.test(line))
    .map((line) => [line.replace(/^\d+ | \S+$/g, ""), line.replace(/.* /, "")]);

for (const person of people) {
  describe(`the program attacks its supervisor, ${person.name}`, () => {
    test("outside each attack works on a process of the same user", () => {
      const victim = spawn("sleep", ["600"], { stdio: "ignore", ...person.identity });
      try {
        const found = outcomes(
          runProgram(python, { args: [script, pidfdGetfd, String(victim.pid)], ...person.identity }).stdout,
        );
        assert.equal(found.length, attacks);
        for (const [name, outcome] of found) assert.equal(outcome, "worked", name);
      } finally {
        victim.kill("SIGKILL");
      }
    });

    test("the first process of the namespace", () => {
      const found = launch(
        planFor(steps(person, true, []), python, script, pidfdGetfd, "1"),
        person.identity,
      );
      assert.match(found.stdout, /^alive$/m, found.stderr);
      const worked = outcomes(found.stdout).filter(([, outcome]) => outcome === "worked");
      assert.equal(outcomes(found.stdout).length, attacks);
      // A limit could end it at most, and with it the program: it does nothing that a limit keeps it from.
      assert.deepEqual(worked, [["limit", "worked"]], found.stdout);
    });

    test("without namespaces: outer, and the keeper", () => {
      const { groups } = groupLimits({ processes: 50 }, thisProcess());
      const hasKeeper = groups.length > 0 && (person.isRoot || !isRoot);
      // The shell's parent is outer; outer's first child is the keeper, where there is one.
      const line = `set -- $PPID; ${hasKeeper ? "read -r keeper rest </proc/$PPID/task/$PPID/children; set -- $1 $keeper; " : ""}exec ${python} ${script} ${pidfdGetfd} "$@"`;
      const whole = [
        ...steps(person, false, hasKeeper ? [{ kind: "cgroups", groups }] : []),
        { kind: "filter", bytes: noLimitsOfOthers } as const,
      ];
      const found = launch(planFor(whole, "/bin/sh", "-c", line), person.identity);
      assert.match(found.stdout, /^alive$/m, found.stderr);
      const all = outcomes(found.stdout);
      assert.equal(all.length, attacks * (hasKeeper ? 2 : 1), found.stdout);
      assert.deepEqual(
        all.filter(([, outcome]) => outcome === "worked"),
        [],
        found.stdout,
      );
      assert.deepEqual([found.status, found.stderr], [0, ""]);
    });

    for (const isAlone of [true, false]) {
      test(`who stops its group, and outer with it, still has only its time, ${isAlone ? "with" : "without"} namespaces`, () => {
        let said = "";
        // On a busy machine it may not have come to it before its time is over: then with more of it.
        for (let wallTime = 2; said === "" && wallTime < 120; wallTime *= 4) {
          const found = launch(
            planFor(steps(person, isAlone, [], wallTime), python, script, "stop-group"),
            person.identity,
          );
          assert.equal(found.signal, "SIGKILL");
          assert.match(found.stderr, /^callgate: .*\(wall-time\)/);
          said = found.stdout;
        }
        assert.equal(said, "goes on\n");
      });
    }
  });
}
