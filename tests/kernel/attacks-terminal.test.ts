// Typing into the caller's terminal, from end to end: an interactive shell on a real terminal runs the program, and the
// question is whether the shell then runs the line that the program has typed. By the plain request and by one with a
// bit set that the kernel does not read; as root and as an ordinary user; in each mode.
// Debian packages: gcc libc6-dev bsdutils bash
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { encodePlan } from "../../src/sandbox/plan.ts";
import {
  isRoot,
  launcherPath,
  ordinaryUser,
  planFor,
  refuseFilter,
  root,
  scratchFile,
  scratchPath,
} from "./native.ts";

const callgate = join(root, "bin", "callgate");
const people = isRoot
  ? [
      { name: "root", identity: {} },
      { name: "an ordinary user", identity: ordinaryUser },
    ]
  : [{ name: "an ordinary user", identity: {} }];

/** How the shell is told to run a command in a mode. */
const modes: readonly {
  readonly name: string;
  readonly line: (command: readonly string[]) => string;
}[] = [
  {
    name: "the filter alone",
    line: (command) => quote([callgate, "run", "--filter-only", "--", ...command]),
  },
  {
    name: "the whole sandbox",
    line: (command) => quote([callgate, "run", "--read", command[0] ?? "", "--", ...command]),
  },
  {
    name: "no namespaces",
    line: (command) => {
      const shape = [
        callgate,
        "run",
        "--missing",
        "namespaces",
        "--read",
        command[0] ?? "",
        "--",
        ...command,
      ];
      const plan = planFor(
        [
          { kind: "noNewPrivileges" },
          { kind: "filter", bytes: refuseFilter(process.arch === "x64" ? 272 : 97, 28) },
        ],
        callgate,
        ...shape.slice(1),
      );
      return `${launcherPath} plan 3<${scratchFile("plan", encodePlan(plan))}`;
    },
  },
];

const quote = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(" ");

describe("a line typed into the caller's terminal", {
  skip: process.arch === "x64" ? false : "the probe is written for x86_64",
}, () => {
  const probe = scratchPath("probe");
  before(() => {
    const source = join(root, "tests", "fixtures", "attacks", "probe.c");
    const compiled = spawnSync("gcc", ["-O1", "-o", probe, source], { encoding: "utf8" });
    assert.equal(compiled.status, 0, compiled.stderr);
  });

  for (const { name, identity } of people) {
    for (const way of ["inject", "inject-high"]) {
      const how = way === "inject" ? "plainly" : "with bit 32 set";
      test(`is run by the shell outside: ${name}, ${how}`, async () => {
        const legacy = "/proc/sys/dev/tty/legacy_tiocsti";
        const isOpen = !existsSync(legacy) || readFileSync(legacy, "utf8").trim() === "1";
        const found = await shellRuns(probe, way, quote, identity);
        // Where the system refuses it to everybody but root, that is the kernel's doing.
        assert.equal(found.isRun, isOpen || !("uid" in identity));
      });
      for (const mode of modes) {
        test(`never arrives: ${mode.name}, ${name}, ${how}`, async () => {
          const { output, isRun } = await shellRuns(probe, way, mode.line, identity);
          assert.match(output, /EPERM/);
          assert.equal(isRun, false);
        });
      }
    }
  }
});

/** Starts bash on a terminal, has it run the probe, and tells whether it then runs the line that the probe typed. */
async function shellRuns(
  probe: string,
  way: string,
  inMode: (command: readonly string[]) => string,
  identity: { readonly uid?: number; readonly gid?: number },
): Promise<{ readonly output: string; readonly isRun: boolean }> {
  const folder = scratchPath("typed");
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  const trace = join(folder, "trace");
  const shell = spawn("script", ["--quiet", "--command", "bash --norc -i", "/dev/null"], {
    stdio: ["pipe", "pipe", "ignore"],
    cwd: "/usr",
    env: { PATH: process.env["PATH"], HOME: folder, SHELL: "/bin/sh", PS1: "", HISTFILE: "" },
    ...identity,
  });
  // The typed line has a newline at its end, which a shell's quotes may hold.
  const typed = inMode([probe, way, `touch ${trace}\n`]);
  let output = "";
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      shell.kill("SIGKILL");
      reject(new Error(`the shell did not end: ${output}`));
    }, 60_000);
    let told = false;
    shell.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (told || !output.includes("attempt 42 over")) return;
      told = true;
      shell.stdin.write("exit\n");
    });
    shell.on("error", reject).on("close", () => {
      clearTimeout(timer);
      resolve();
    });
    shell.stdin.write(`${typed}; echo attempt $((6*7)) over\n`);
  });
  return { output, isRun: existsSync(trace) };
}
