/** What a start costs: programs started side by side, round by round. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadPolicy } from "../src/formats/load.ts";
import { nativeProgram, packageRoot } from "../src/sandbox/package-files.ts";
import { encodePlan } from "../src/sandbox/plan.ts";
import { planFor, preparePlan } from "../src/sandbox/prepare.ts";

/** Times in microseconds. */
export interface StartTime {
  readonly name: string;
  readonly least: number;
  readonly median: number;
}

interface Start {
  readonly name: string;
  readonly plan?: string;
  readonly command: readonly string[];
}

function measure(rounds: number, harness: string, starts: readonly Start[]): readonly StartTime[] {
  const args = starts.flatMap(({ plan, command }) => [plan ?? "-", ...command, ";"]);
  const output = execFileSync(harness, [String(rounds), ...args], { encoding: "utf8" });
  return output
    .trim()
    .split("\n")
    .map((line, index) => {
      const [least, median] = line.split(" ").map(Number);
      return { name: starts[index]?.name ?? "", least: least ?? Number.NaN, median: median ?? Number.NaN };
    });
}

/** The starts of programs and of the command line; the first of each list is what the others are compared with. */
export function measureStarts(): {
  readonly programs: readonly StartTime[];
  readonly commands: readonly StartTime[];
} {
  const folder = mkdtempSync(join(tmpdir(), "callgate-bench-"));
  try {
    const harness = join(folder, "start");
    execFileSync("gcc", ["-O2", "-o", harness, join(packageRoot(), "bench", "start.c")]);
    const { policy } = loadPolicy("default");
    if (policy === undefined) throw new Error("the built-in policy default has errors");
    const plan = join(folder, "plan");
    writeFileSync(plan, encodePlan(planFor(preparePlan(policy), { path: "/bin/true", arguments: ["true"] })));
    const small = join(folder, "small.toml");
    writeFileSync(small, 'version = 1\n[syscalls]\nrules = """\nallow read, write, exit_group\n"""\n');
    const empty = join(folder, "empty.js");
    writeFileSync(empty, "");
    const node = process.execPath;
    const main = join(packageRoot(), "dist", "cli", "main.cjs");
    const callgate = join(packageRoot(), "bin", "callgate");
    return {
      programs: measure(400, harness, [
        { name: "/bin/true", command: ["/bin/true"] },
        { name: "launcher, filter default, /bin/true", plan, command: [nativeProgram("launcher"), "plan"] },
      ]),
      commands: measure(25, harness, [
        { name: "an empty Node", command: [node, empty] },
        { name: "callgate check small.toml", command: [node, main, "check", small] },
        { name: "callgate check default", command: [node, main, "check", "default"] },
        { name: "bin/callgate run -- /bin/true", command: [callgate, "run", "--", "/bin/true"] },
      ]),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
