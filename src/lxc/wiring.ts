/** Whether LXC will do what `enable` asked it for: later lines, or a copied file, can undo it. */
import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import type { Diagnostic } from "../diagnostics/index.ts";
import { filesOf, guardWords, type Held, initInside } from "./block.ts";
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
  const guard = guardWords(files);
  const holds = (key: string): boolean => allValues(lines, key).some((value) => value.includes(guard));
  if (holds("lxc.hook.pre-start")) {
    const foreign = lineThatNeedsHeldInit(lines);
    if (foreign !== undefined)
      problem("this executes a program in the container before its init, and callgate would end it", foreign);
  } else if (!holds("lxc.hook.start-host")) {
    const emptied = lines.findLast(
      ({ key }) => key === "lxc.hook.start-host" || key === "lxc.hook.pre-start",
    );
    problem("callgate's hooks are emptied behind its lines", emptied);
  }
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
  return problems;
}

/**
 * Who can be held in a container's start. With lxc-start one hook is enough, but LXC must not execute anything in the container
 * before its init; and an ordinary user's lxc-start executes newuidmap, which has no rights while it is traced.
 */
export function heldIn({ lines }: ContainerConfig, isOfRoot = process.getuid?.() === 0): Held {
  return isOfRoot && lineThatNeedsHeldInit(lines) === undefined ? "monitor" : "init";
}

const hooksInside = ["lxc.hook.pre-mount", "lxc.hook.mount", "lxc.hook.autodev"];

/** A hook that runs where the container's mounts are, or a root for which LXC may need a program there. */
function lineThatNeedsHeldInit(lines: readonly ConfigLine[]): ConfigLine | undefined {
  const root = lastValue(lines, "lxc.rootfs.path");
  const isFolder = root === undefined || /^(?:dir:)?\//.test(root.value);
  return (
    lines.find(({ key, value }) => hooksInside.includes(key) && value !== "") ?? (isFolder ? undefined : root)
  );
}

/** Whether a configuration file is the one in a folder, however either is reached. */
export function isInFolder(configFile: string, folder: string): boolean {
  try {
    return realpathSync(dirname(configFile)) === realpathSync(folder);
  } catch {
    return false;
  }
}
