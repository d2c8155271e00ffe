/** Whether LXC will do what `enable` asked it for: later lines, or a copied file, can undo it. */
import { accessSync, constants, realpathSync } from "node:fs";
import { dirname } from "node:path";
import type { Diagnostic } from "../diagnostics/index.ts";
import { filesOf, initInside, programsOfHook } from "./block.ts";
import { allValues, type ConfigLine, type ContainerConfig, lastValue } from "./config.ts";

/** What is wrong with the lines that bring callgate into a container's start. */
export function wiringProblems(config: ContainerConfig, folder: string): readonly Diagnostic[] {
  const { lines } = config;
  const files = filesOf(folder);
  const problems: Diagnostic[] = [];
  const problem = (message: string, line?: ConfigLine): void => {
    problems.push({
      id: "lxc-wiring",
      severity: "error",
      message,
      label: "move it above callgate's lines, or run callgate lxc enable again",
      ...(line === undefined ? {} : { span: line.valueSpan }),
    });
  };
  const profile = lines.findLast((line) => line.key === "lxc.seccomp.profile");
  if (profile?.value !== files.profile)
    problem("a later lxc.seccomp.profile takes the place of callgate's", profile);
  const init = lines.findLast((line) => line.key === "lxc.init.cmd");
  if (init?.value !== initInside) problem("a later lxc.init.cmd takes the place of callgate's", init);
  if (
    !allValues(lines, "lxc.mount.entry").some((value) =>
      value.includes(` ${initInside.slice(1)} none bind,ro`),
    )
  )
    problem(
      "lxc.mount.entry is emptied behind callgate's lines",
      lines.findLast((line) => line.key === "lxc.mount.entry"),
    );
  if (!allValues(lines, "lxc.hook.start-host").some((value) => value.includes(files.init)))
    problem(
      "lxc.hook.start-host is emptied behind callgate's lines",
      lines.findLast((line) => line.key === "lxc.hook.start-host"),
    );
  const nesting = lastValue(lines, "lxc.seccomp.allow_nesting");
  if (nesting?.value !== "1")
    problem(
      "without lxc.seccomp.allow_nesting = 1 LXC drops the profile where it runs under a filter itself",
      nesting,
    );
  const started = lastValue(lines, "lxc.hook.start");
  if (started !== undefined)
    problems.push({
      id: "lxc-hook-start",
      severity: "error",
      message: "lxc.hook.start runs a program of the container before its filter is in force",
      span: started.valueSpan,
      label: "start it from the container's init",
    });
  const elsewhere = lines.find(
    (line) => line.key.startsWith("syscall.") && line.isManaged && line.keySpan.source !== config.source,
  );
  if (elsewhere !== undefined) problem("callgate's lines stand in an included file", elsewhere);
  return [...problems, ...programProblems(config)];
}

/** That a program of callgate's own lines is not there, or not to be executed: it was moved, or taken away. */
export function programProblems({ lines }: ContainerConfig): readonly Diagnostic[] {
  for (const { key, value, valueSpan, isManaged } of lines) {
    if (!isManaged || !key.startsWith("lxc.hook.")) continue;
    const missing = programsOfHook(key, value).find((program) => !isExecutable(program));
    if (missing === undefined) continue;
    // Where one is gone the others are, too.
    return [
      {
        id: "lxc-wiring",
        severity: "error",
        message: `${missing} is not there, or may not be executed: callgate was moved or taken away, and the container does not start`,
        span: valueSpan,
        label: "run callgate lxc enable again with the callgate that is there, or callgate lxc disable",
      },
    ];
  }
  return [];
}

function isExecutable(program: string): boolean {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether a configuration file is the one in a folder, however either is reached. */
export function isInFolder(configFile: string, folder: string): boolean {
  try {
    return realpathSync(dirname(configFile)) === realpathSync(folder);
  } catch {
    return false;
  }
}
