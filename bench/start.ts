/** What a start of callgate's commands costs beside an empty Node. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../src/sandbox/package-files.ts";
import { type Harness, printStarts } from "./harness.ts";

const rounds = 25;

/** The first start of `run` has Node in it; the second one does not, where its plan is kept. */
export function printCommands({ folder, measure }: Harness): void {
  const small = join(folder, "small.toml");
  writeFileSync(small, 'version = 1\n[syscalls]\nrules = """\nallow read, write, exit_group\n"""\n');
  const empty = join(folder, "empty.js");
  writeFileSync(empty, "");
  const node = process.execPath;
  const main = join(packageRoot(), "dist", "cli", "main.cjs");
  const callgate = join(packageRoot(), "bin", "callgate");
  const times = measure(rounds, [
    { name: "an empty Node", command: [node, empty] },
    { name: "callgate check small.toml", command: [node, main, "check", small] },
    { name: "callgate check default", command: [node, main, "check", "default"] },
    // Another option at each start: for other arguments of the program its plan is kept.
    { name: "callgate run, the first time", command: [callgate, "run", "--env", "@", "--", "/bin/true"] },
    { name: "callgate run, other arguments", command: [callgate, "run", "--", "/bin/true", "@"] },
  ]);
  printStarts(`start of a command, ${rounds} rounds`, times, {
    "callgate check small.toml": 1.3,
    "callgate run, the first time": 1.4,
  });
}
