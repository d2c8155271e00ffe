/** `callgate lxc attach`: lxc-attach, with both of the container's filters on what it starts. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, release, tmpdir } from "node:os";
import { join } from "node:path";
import { hasErrors, renderDiagnostics } from "../../diagnostics/index.ts";
import { filesOf } from "../../lxc/block.ts";
import { readConfig } from "../../lxc/config.ts";
import { type Container, initOf } from "../../lxc/container.ts";
import { hashOf, readState } from "../../lxc/install.ts";
import { attachedProgram, initProgram, type Protection, protectionOf } from "../../lxc/protection.ts";
import { nativeProgram } from "../../sandbox/package-files.ts";
import { launcherProblem } from "../../sandbox/verify-launcher.ts";
import { UsageError, valueOfOption } from "../arguments.ts";
import { printError, terminalOptions } from "../output.ts";
import type { LxcCommand } from "./command.ts";

export const attach: LxcCommand = async ({ parsed, operands, containers }) => {
  const named = valueOfOption(parsed, "name") !== undefined;
  const [container] = containers(named ? [] : operands.slice(0, 1));
  if (container === undefined) throw new UsageError("lxc attach takes a container and a command");
  const command = named ? operands : operands.slice(1);
  const refuse = (why: string): number => {
    printError(`callgate lxc attach: ${why}\n`);
    return 125;
  };
  const broken = launcherProblem();
  if (broken !== undefined) return refuse(broken);
  const { protection, diagnostics } = protectionOf(readConfig(container.configFile), release(), {
    watched: readState(container.folder)?.watched === true,
  });
  if (protection === undefined) {
    const errors = diagnostics.filter((one) => one.severity === "error");
    printError(renderDiagnostics(errors, terminalOptions(2)));
    return refuse(
      hasErrors(diagnostics) ? "nothing was started" : `${container.name} has no statements: use lxc-attach`,
    );
  }
  if (initOf(container) === undefined) return refuse(`${container.name} does not run`);
  const launcher = readFileSync(nativeProgram("launcher"));
  const changed = changedSinceStart(container, protection, launcher);
  if (changed !== undefined) return refuse(changed);
  const program = attachedProgram(launcher, protection, command.length === 0 ? ["/bin/sh"] : command);
  return runAttached(container, program);
};

/** lxc-attach reads the profile again: it has to be the one that init was started with, and so has all the rest. */
function changedSinceStart(
  container: Container,
  protection: Protection,
  launcher: Uint8Array,
): string | undefined {
  const state = readState(container.folder);
  const again = `restart ${container.name}, or use lxc-attach without callgate's filter`;
  if (state === undefined) return `${container.name} was not started with callgate: ${again}`;
  if (hashOf(initProgram(launcher, protection)) !== state.initHash)
    return `the statements are not those that ${container.name} was started with: ${again}`;
  try {
    if (hashOf(readFileSync(filesOf(container.folder).profile)) === state.profileHash) return undefined;
  } catch {}
  return `the profile on disk is not the one that ${container.name} was started with: ${again}`;
}

/**
 * The program's file is handed over as a descriptor, since nothing in the container's own paths can be trusted; the
 * tracer sees to it that nothing else is executed.
 */
async function runAttached({ name, lxcpath }: Container, program: Uint8Array): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "callgate-attach-"));
  let descriptor: number;
  try {
    const file = join(folder, "program");
    writeFileSync(file, program, { flag: "wx", mode: 0o555 });
    descriptor = openSync(file, "r");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const itself = "/proc/self/fd/3";
  const lxcAttach = findLxcAttach();
  const child = spawn(
    nativeProgram("tracer"),
    ["attach", itself, lxcAttach, "-P", lxcpath, "-n", name, "--", itself],
    {
      stdio: ["inherit", "inherit", "inherit", descriptor],
    },
  );
  closeSync(descriptor);
  // Ctrl-C is the attached program's.
  for (const signal of ["SIGINT", "SIGQUIT"] as const) process.on(signal, () => undefined);
  return ended(child);
}

function findLxcAttach(): string {
  return (
    (process.env["PATH"] ?? "/usr/bin")
      .split(":")
      .map((folder) => join(folder, "lxc-attach"))
      .find(isThere) ?? "/usr/bin/lxc-attach"
  );
}

function isThere(file: string): boolean {
  try {
    closeSync(openSync(file, "r"));
    return true;
  } catch {
    return false;
  }
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.on("error", (error) => {
      printError(`callgate lxc attach: the tracer cannot be started: ${error.message}\n`);
      resolve(125);
    });
    child.on("exit", (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}
