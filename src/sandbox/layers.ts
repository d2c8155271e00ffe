/** Which parts of a sandbox there are on this machine, what is open without one, and how to get it. */
import { readFileSync } from "node:fs";
import { constants, release } from "node:os";
import type { Layer } from "../policy/keys.ts";
import { nativeProgram } from "./package-files.ts";

/** What this machine has. Errors are errnos, 0 where there is none. */
export interface Machine {
  /** The version of Landlock; 0: none. */
  readonly landlock: number;
  readonly namespaces: number;
  readonly proc: number;
  /** PR_SET_MDWE, by the kernel's release. */
  readonly mdwe: boolean;
}

let found: Machine | undefined;

/** Tried once in a process, by the launcher: namespaces can be there and yet not be usable. */
export function thisMachine(): Machine {
  found ??= machineOf(tried());
  return found;
}

/** @param told what the launcher has said that tried it already; where it says nothing, it is tried */
export function takeMachine(told: string): void {
  if (/^landlock [0-9]+\nnamespaces [0-9]+\nproc [0-9]+\n$/.test(told)) found = machineOf(told);
}

function tried(): string {
  // Asked for where it is needed: it costs a cold start some milliseconds.
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const { stdout, status } = spawnSync(nativeProgram("launcher"), ["layers"], {
    encoding: "utf8",
    timeout: 30_000,
    stdio: ["ignore", "pipe", "ignore"],
  });
  return status === 0 ? stdout : "";
}

function machineOf(text: string): Machine {
  const facts = new Map(
    text
      .trim()
      .split("\n")
      .map((line): [string, number] => [line.replace(/ .*/, ""), Number(line.replace(/.* /, ""))]),
  );
  const [major = 0, minor = 0] = release().split(/[.-]/).map(Number);
  return {
    landlock: facts.get("landlock") ?? 0,
    namespaces: facts.get("namespaces") ?? constants.errno.ENOSYS,
    proc: facts.get("proc") ?? constants.errno.ENOSYS,
    mdwe: major > 6 || (major === 6 && minor >= 3),
  };
}

/** Why there are no namespaces, and what to do: the error, or the switch itself, says which it is. */
export function whyNoNamespaces(errno: number): string {
  switch (errno === constants.errno.EPERM && isRestrictedByAppArmor() ? constants.errno.EACCES : errno) {
    case constants.errno.ENOSPC:
      return "their number is used up or set to 0: sysctl user.max_user_namespaces=10000";
    case constants.errno.EPERM:
      return "users may not make them: sysctl kernel.unprivileged_userns_clone=1 (Debian's kernels), or the sandbox or container around callgate allows none, or this is a chroot, in which nobody can make any";
    case constants.errno.EACCES:
      return "AppArmor lets users make them but do nothing in them (Ubuntu 24.04 and later): sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for callgate's launcher that allows userns, which `callgate doctor --fix` prints";
    default:
      return "this kernel has none";
  }
}

/** It refuses some steps with the one error and some with the other. Root it lets do everything. */
function isRestrictedByAppArmor(): boolean {
  try {
    const setting = readFileSync("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "utf8");
    return setting.trim() === "1" && process.getuid?.() !== 0;
  } catch {
    return false;
  }
}

interface Absence {
  readonly layer: Layer;
  readonly why: string;
  readonly open: string;
}

/** The sentences for layers that are missing here and that nobody has said may be. */
export function describeAbsences(absences: readonly Absence[]): string {
  const each = absences.map(
    ({ layer, why, open }) =>
      `  ${layer}: ${why}\n    without it ${open}\n    to start all the same: --missing ${layer}`,
  );
  return `parts of the sandbox cannot be set up here, and nothing was started:\n${each.join("\n")}`;
}

export type { Absence };
