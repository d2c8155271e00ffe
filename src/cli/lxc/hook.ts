/** `callgate lxc hook`: run by LXC, before a container's start and when a container is copied. */
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { dirname, join } from "node:path";
import { type Diagnostic, hasErrors, renderDiagnostics } from "../../diagnostics/index.ts";
import { filesOf, hasBlock, rewriteFolder } from "../../lxc/block.ts";
import { readConfig } from "../../lxc/config.ts";
import { hashOfDemand, installProtection, keepProtection } from "../../lxc/install.ts";
import { libseccompFile } from "../../lxc/libseccomp.ts";
import { logFailure } from "../../lxc/log.ts";
import { demandOf, protectionFor } from "../../lxc/protection.ts";
import { hasLearner, hasWatcher } from "../../lxc/watcher.ts";
import { isInFolder, wiringProblems } from "../../lxc/wiring.ts";
import { nativeProgram, packageRoot } from "../../sandbox/package-files.ts";
import { launcherProblem } from "../../sandbox/verify-launcher.ts";
import { UsageError } from "../arguments.ts";
import { buildId } from "../build-id.ts";
import { printError } from "../output.ts";
import { replaceFile } from "../replace-file.ts";
import { expectShortRun } from "../short-run.ts";
import type { LxcCommand } from "./command.ts";

/** `hook pre-start FOLDER NAME lxc pre-start`, `hook first NAME lxc pre-start`: LXC puts the last three behind what the configuration says. */
export const hook: LxcCommand = async ({ operands }) => {
  const [kind, folder, name] = operands;
  if (kind === undefined || folder === undefined)
    throw new UsageError("hook is for LXC: `callgate lxc enable` writes it into a container's configuration");
  const configFile = process.env["LXC_CONFIG_FILE"] ?? `${folder}/config`;
  switch (kind) {
    case "pre-start":
      return preStart(folder, configFile, name ?? process.env["LXC_NAME"] ?? "?");
    case "clone":
      return clone(folder, configFile);
    case "first":
      return first(configFile, folder);
    default:
      throw new UsageError(`there is no hook ${JSON.stringify(kind)}`);
  }
};

async function preStart(folder: string, configFile: string, name: string): Promise<number> {
  if (isInFolder(configFile, folder) && (await hasLearner(folder))) return 0;
  const problem = prepareStart(folder, configFile, name, await hasWatcher(folder));
  if (problem === undefined) return 0;
  // A hook of another folder must not write there.
  logFailure(filesOf(isInFolder(configFile, folder) ? folder : dirname(configFile)).log, name, problem);
  printError(problem);
  return 1;
}

/** Makes a container ready for its start; what keeps it from starting, or undefined. */
function prepareStart(
  folder: string,
  configFile: string,
  name: string,
  watched: boolean,
): string | undefined {
  const render = (diagnostics: readonly Diagnostic[]): string =>
    renderDiagnostics(
      diagnostics.filter((one) => one.severity === "error"),
      { colour: false, width: 100 },
    );
  if (!isInFolder(configFile, folder)) {
    return `this container's callgate lines are those of ${folder}: it was copied without its clone hook; run callgate lxc enable ${name}\n`;
  }
  const broken = launcherProblem();
  if (broken !== undefined) return `${broken}\n`;
  try {
    const began = Date.now();
    const config = readConfig(configFile);
    const demand = demandOf(config, release());
    const wiring = wiringProblems(config, folder);
    const launcher = readFileSync(nativeProgram("launcher"));
    const demandHash = watched ? undefined : hashOfDemand(demand, launcher, buildId);
    const made = {
      demandHash,
      began,
      inputs: [...demand.consulted, ...ownFiles()],
      configurations: config.consulted,
    };
    if (!hasErrors([...demand.diagnostics, ...wiring]) && keepProtection(folder, made)) return undefined;
    expectShortRun();
    const { protection, statements, diagnostics } = protectionFor(demand, { watched });
    const all = [...diagnostics, ...wiring];
    if (protection === undefined || hasErrors(all))
      return render(all) || "there is no statement: callgate has nothing to enforce\n";
    installProtection(folder, protection, statements, { launcher, ...made });
    return undefined;
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n`;
  }
}

/** What callgate itself is made of, and the library whose names LXC goes by. */
function ownFiles(): readonly string[] {
  const library = libseccompFile();
  return [
    nativeProgram("launcher"),
    nativeProgram("tracer"),
    join(dirname(dirname(nativeProgram("launcher"))), "SHA256SUMS"),
    join(packageRoot(), "dist", "cli", "main.cjs"),
    ...(library === undefined ? [] : [library]),
  ];
}

/** The first start of a new container: LXC has read its configuration already, and would start it without a filter. */
async function first(configFile: string, name: string): Promise<number> {
  const folder = dirname(configFile);
  const { enableOne } = await import("./enable.ts");
  const status = enableOne({ name, lxcpath: dirname(folder), folder, configFile }, false);
  const problem =
    status === 0
      ? `${name} is enabled now, as the configuration of new containers says: start it again\n`
      : `${name} cannot be enabled, as the configuration of new containers says: callgate lxc enable ${name} says why\n`;
  logFailure(filesOf(folder).log, name, problem);
  printError(problem);
  return 1;
}

/** The copy's configuration is still that of the container which it was copied from. */
function clone(folder: string, configFile: string): number {
  try {
    const text = readFileSync(configFile, "utf8");
    const own = dirname(configFile);
    if (!hasBlock(text) || own === folder) return 0;
    const failure = replaceFile(configFile, rewriteFolder(text, folder, own));
    if (failure === undefined) return 0;
    printError(`callgate: cannot write ${configFile}: ${failure}\n`);
  } catch (error) {
    printError(`callgate: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  return 1;
}
