/** `callgate lxc start`: lxc-start, with what keeps a container from starting on this terminal. */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readSync } from "node:fs";
import { errorCode } from "../../diagnostics/error-code.ts";
import { renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import { filesOf, hasBlock, hasDefaultBlock } from "../../lxc/block.ts";
import { readConfig } from "../../lxc/config.ts";
import { lxcMissing } from "../../lxc/container.ts";
import { sizeOf } from "../../lxc/log.ts";
import { keysThatStopLxc } from "../../lxc/statements.ts";
import { programProblems } from "../../lxc/wiring.ts";
import { UsageError } from "../arguments.ts";
import { printError } from "../output.ts";
import type { LxcCommand } from "./command.ts";
import { enableOne } from "./enable.ts";

export const start: LxcCommand = ({ operands, containers }) => {
  const [container, ...more] = containers(operands);
  if (container === undefined || more.length > 0) throw new UsageError("lxc start takes one container");
  const { name, lxcpath, folder, configFile } = container;
  if (!hasBlock(readConfig(configFile).source.text)) {
    printError(`callgate lxc start: ${name} is not protected: callgate lxc enable ${name}\n`);
    return 125;
  }
  if (hasDefaultBlock(readConfig(configFile).source.text)) {
    const enabled = enableOne(container, false);
    if (enabled !== 0) return 125;
  }
  const { log } = filesOf(folder);
  const before = sizeOf(log);
  const { status, error, stderr } = spawnSync("lxc-start", ["-P", lxcpath, "-n", name], {
    stdio: ["inherit", "inherit", "pipe"],
    encoding: "utf8",
  });
  if (error !== undefined) {
    const isMissing = errorCode(error) === "ENOENT";
    printError(
      `callgate lxc start: ${isMissing ? lxcMissing : `lxc-start cannot be started: ${error.message}`}\n`,
    );
    return 125;
  }
  if (status === 0) {
    // What LXC says nevertheless, for instance that it runs already.
    printError(sanitiseLines(stderr));
    return 0;
  }
  // Where callgate knows why, LXC's own lines say less. A hook that is not there, or not reached, has written nothing.
  const config = readConfig(configFile);
  const said =
    textFrom(log, before) ||
    renderDiagnostics([...keysThatStopLxc(config), ...programProblems(config)], {
      colour: false,
      width: 100,
    });
  printError(said === "" ? stderr : sanitiseLines(said));
  return 125;
};

/** What was written to a file since it had a size. */
function textFrom(file: string, offset: number): string {
  try {
    const descriptor = openSync(file, "r");
    try {
      const buffer = Buffer.alloc(64 * 1024);
      return buffer.toString("utf8", 0, readSync(descriptor, buffer, 0, buffer.length, offset));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return "";
  }
}

function sanitiseLines(text: string): string {
  return text.split("\n").map(sanitise).join("\n");
}
