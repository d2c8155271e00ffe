/** `callgate lxc enable` and `disable`: a container's configuration, and what changes by it. */
import { existsSync, rmSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { type Diagnostic, hasErrors, renderDiagnostics } from "../../diagnostics/index.ts";
import { blockOf, defaultBlockOf, filesOf, hasBlock, withBlock, withoutBlock } from "../../lxc/block.ts";
import { type Change, changesOf } from "../../lxc/changes.ts";
import { type ContainerConfig, lastValue, readConfig, readConfigText } from "../../lxc/config.ts";
import { type Container, ContainerError, defaultConfigFile, initOf } from "../../lxc/container.ts";
import { type Protection, protectionOf } from "../../lxc/protection.ts";
import { wiringProblems } from "../../lxc/wiring.ts";
import { nativeProgram, packageRoot } from "../../sandbox/package-files.ts";
import { launcherProblem } from "../../sandbox/verify-launcher.ts";
import { formatVersion, parseVersion } from "../../syscalls/index.ts";
import { hasOption, UsageError } from "../arguments.ts";
import { print, printError, terminalOptions } from "../output.ts";
import { replaceFile } from "../replace-file.ts";
import type { LxcCommand } from "./command.ts";

export const enable: LxcCommand = ({ parsed, operands, containers }) => {
  if (hasOption(parsed, "default")) return enableDefault(operands);
  const problem = launcherProblem();
  if (problem !== undefined) {
    printError(`callgate lxc enable: ${problem}\n`);
    return 2;
  }
  const results = containers(operands).map((container) => enableOne(container, hasOption(parsed, "json")));
  return Math.max(0, ...results);
};

/** Protects a container from its next start on, and says what changes by it. */
export function enableOne(container: Container, json: boolean): number {
  const before = readConfig(container.configFile);
  if (hasErrors(before.diagnostics)) return refuse(container, before.diagnostics);
  const bare = withoutBlock(before.source.text);
  const text = withBlock(bare, linesFor(container, bare));
  const after = readConfigText({ name: container.configFile, text });
  const { protection, diagnostics } = protectionOf(after, release());
  const all = [...diagnostics, ...wiringProblems(after, container.folder)];
  if (protection === undefined || hasErrors(all)) return refuse(container, all);
  const failure = text === before.source.text ? undefined : replaceFile(container.configFile, text);
  if (failure !== undefined) {
    printError(`callgate lxc enable: cannot write ${container.configFile}: ${failure}\n`);
    return 2;
  }
  const changes = changesOf(protection);
  if (json) {
    print(
      `${JSON.stringify({ container: container.name, enabled: true, noNewPrivileges: protection.noNewPrivileges, floor: protection.floor?.file ?? null, changes })}\n`,
    );
    return 0;
  }
  printError(
    renderDiagnostics(
      all.filter((one) => one.severity === "warning"),
      terminalOptions(2),
    ),
  );
  describe(container, protection, changes);
  return 0;
}

function linesFor(container: Container, bare: string): readonly string[] {
  const config = readConfigText({ name: container.configFile, text: bare });
  return blockOf({
    folder: container.folder,
    callgate: callgateCommand(),
    tracer: nativeProgram("tracer"),
    hook: nativeProgram("hook"),
    statements: baselineFor(config),
    // Another supervisor's address stays.
    watchable: lastValue(config.lines, "lxc.seccomp.notify.proxy") === undefined,
  });
}

const callgateCommand = (): string => join(packageRoot(), "bin", "callgate");

/** Without any statement of the container's own the baseline alone is one: nothing newer than today's kernel. */
function baselineFor(config: ContainerConfig): readonly string[] {
  const statements = protectionOf(config, release());
  const lacksBaseline =
    statements.statements.lines.length === 0 ||
    statements.diagnostics.some((one) => one.id === "missing-baseline");
  const version = parseVersion(release());
  const baseline =
    version === undefined ? undefined : `syscall.baseline = ${formatVersion({ ...version, patch: 0 })}`;
  return lacksBaseline && baseline !== undefined ? [baseline] : [];
}

function enableDefault(operands: readonly string[]): number {
  if (operands.length > 0) throw new UsageError("--default and a name cannot both be had");
  return changeDefault("enable", (text, file) => {
    const bare = withoutBlock(text);
    const config = readConfigText({ name: file, text: bare });
    return withBlock(bare, defaultBlockOf(callgateCommand(), baselineFor(config)));
  });
}

function disableDefault(operands: readonly string[]): number {
  if (operands.length > 0) throw new UsageError("--default and a name cannot both be had");
  return changeDefault("disable", withoutBlock);
}

/** Changes the configuration that new containers begin with; with a mistake in it it stays as it is. */
function changeDefault(word: "enable" | "disable", change: (text: string, file: string) => string): number {
  const file = defaultConfigFile();
  const { source, diagnostics } = readConfig(file);
  const text = hasErrors(diagnostics) ? source.text : change(source.text, file);
  const found = [
    ...diagnostics,
    ...(word === "enable" ? protectionOf(readConfigText({ name: file, text }), release()).diagnostics : []),
  ];
  if (hasErrors(found)) {
    printError(renderDiagnostics(found, terminalOptions(2)));
    printError(`callgate lxc ${word}: ${file} is left as it was\n`);
    return 1;
  }
  const failure = text === source.text ? undefined : replaceFile(file, text);
  if (failure !== undefined) {
    printError(`callgate lxc ${word}: cannot write ${file}: ${failure}\n`);
    return 2;
  }
  print(
    word === "enable"
      ? `${file}: new containers are enabled by their first start, or by callgate lxc start\n`
      : `${file}: new containers are as before; those that there are stay as they are\n`,
  );
  return 0;
}

function refuse(container: Container, diagnostics: readonly Diagnostic[]): number {
  printError(renderDiagnostics(diagnostics, terminalOptions(2)));
  printError(`callgate lxc enable: ${container.name} is left as it was\n`);
  return 1;
}

function describe(container: Container, protection: Protection, changes: readonly Change[]): void {
  print(`${container.name}: enabled, from the next start on\n`);
  const floor = protection.floor?.file;
  print(floor === undefined ? "no other profile stays in force\n" : `${floor} stays in force as well\n`);
  if (protection.noNewPrivileges)
    print(
      "the container has no CAP_SYS_ADMIN: init gets no_new_privs, and set-user-id programs give no rights\n",
    );
  if (changes.length === 0) print("no call is decided otherwise than before\n");
  const whole = new Map<string, string[]>();
  for (const change of changes) {
    if (change.example !== undefined) continue;
    const key = `${change.from} → ${change.to}`;
    whole.set(key, [...(whole.get(key) ?? []), change.syscall]);
  }
  for (const [key, names] of whole) print(`${key}: ${names.join(", ")}\n`);
  for (const change of changes)
    if (change.example !== undefined)
      print(`${change.from} → ${change.to}: ${change.syscall}, e.g. ${change.example}\n`);
}

export const disable: LxcCommand = ({ parsed, operands, containers }) => {
  if (hasOption(parsed, "default")) return disableDefault(operands);
  const results = containers(operands).map((container) => {
    const { source, diagnostics } = readConfig(container.configFile);
    if (hasErrors(diagnostics)) {
      printError(renderDiagnostics(diagnostics, terminalOptions(2)));
      return 2;
    }
    const wasEnabled = hasBlock(source.text);
    const failure = wasEnabled ? replaceFile(container.configFile, withoutBlock(source.text)) : undefined;
    if (failure !== undefined) {
      printError(`callgate lxc disable: cannot write ${container.configFile}: ${failure}\n`);
      return 2;
    }
    const what = wasEnabled ? "disabled, from the next start on" : "callgate is not enabled";
    print(`${container.name}: ${what}\n`);
    return removeFiles(container);
  });
  return Math.max(0, ...results);
};

/** Without LXC nothing runs: its files can go. */
function runs(container: Container): boolean {
  try {
    return initOf(container) !== undefined;
  } catch (error) {
    if (error instanceof ContainerError) return false;
    throw error;
  }
}

/** While it runs, lxc-attach reads the profile that it was started with, and kills what it starts where there is none. */
function removeFiles(container: Container): number {
  const files = Object.values({ ...filesOf(container.folder) }).filter((file) => existsSync(file));
  if (files.length === 0) return 0;
  if (runs(container)) {
    print(
      `${container.name}: it runs and needs callgate's files in ${container.folder}: when it has stopped, callgate lxc disable ${container.name} removes them\n`,
    );
    return 0;
  }
  try {
    for (const file of files) rmSync(file);
    return 0;
  } catch (error) {
    printError(`callgate lxc disable: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
}
