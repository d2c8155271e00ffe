/**
 * Which control groups a sandbox's limits can have here: v2 where a folder is delegated, v1 where root has it. A group
 * counts what all processes of the sandbox use together; the kernel's limits of single processes do not.
 */
import { accessSync, constants, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Limits } from "../policy/types.ts";
import { restOnMore, statusOf, textOf } from "./lookups.ts";
import { readMountTable } from "./mount-table.ts";
import type { Cgroup, Controller, SoughtCgroup } from "./steps.ts";

export interface CgroupPlace {
  readonly version: 1 | 2;
  /** The folder in which a group can be made. */
  readonly folder: string;
}

/** What is looked at; of another machine, in tests. */
export interface CgroupSurroundings {
  /** /proc/self/cgroup */
  readonly own: string;
  /** /proc/self/mountinfo */
  readonly mounts: string;
  readonly isWritable: (path: string) => boolean;
  /** What a file says, or nothing. */
  readonly read: (path: string) => string;
}

/**
 * The own group and the mount namespace are a part of every kept plan's key (what is mounted anew in that is not); what
 * is found by them is looked up as others are.
 */
export const thisProcess = (): CgroupSurroundings => ({
  own: kernelText("/proc/self/cgroup"),
  mounts: kernelText("/proc/self/mountinfo"),
  isWritable,
  read: (path) => {
    if (statusOf(path) === undefined) return "";
    try {
      return textOf(path);
    } catch {
      restOnMore(`${path} cannot be read`);
      return "";
    }
  },
});

/** Where a group with these controllers can be made, if anywhere. */
export function placeFor(
  controllers: readonly Controller[],
  around: CgroupSurroundings,
): CgroupPlace | undefined {
  const unified = ownFolder(around, "", (type) => type === "cgroup2");
  const delegated = unified && placeInTree(unified, controllers, around);
  if (delegated !== undefined) return { version: 2, folder: delegated };
  const [controller] = controllers;
  if (controllers.length !== 1 || controller === undefined) return undefined;
  const old = ownFolder(
    around,
    controller,
    (type, options) => type === "cgroup" && options.includes(controller),
  );
  return old !== undefined && around.isWritable(old.folder) ? { version: 1, folder: old.folder } : undefined;
}

interface OwnFolder {
  /** Where the hierarchy is mounted. */
  readonly top: string;
  readonly folder: string;
}

/** The own group's folder in a hierarchy, where it is mounted. */
function ownFolder(
  { own, mounts }: CgroupSurroundings,
  controller: string,
  isWanted: (type: string, options: readonly string[]) => boolean,
): OwnFolder | undefined {
  const line = own
    .split("\n")
    .map((one) => /^\d+:([^:]*):(\/.*)$/.exec(one))
    .find((one) => one !== null && (one[1] ?? "").split(",").includes(controller));
  const path = line?.[2];
  if (path === undefined) return undefined;
  for (const { root, point: top, type, superOptions } of readMountTable(mounts)) {
    if (!isWanted(type, superOptions)) continue;
    // A part of the hierarchy that does not hold the own group is of no use.
    if (root === "/") return { top, folder: path === "/" ? top : join(top, path) };
    if (path === root || path.startsWith(`${root}/`))
      return { top, folder: join(top, path.slice(root.length)) };
  }
  return undefined;
}

/**
 * The nearest folder above (or the own one, where it is the root) that hands these controllers down, and may be written.
 * Who moves a process has to have the right to the folder above both groups: which is the one that is found.
 */
function placeInTree(
  { top, folder }: OwnFolder,
  controllers: readonly Controller[],
  { isWritable: mayWrite, read }: CgroupSurroundings,
): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const handedDown = read(join(at, "cgroup.subtree_control")).trim().split(/\s+/);
    const isUsable = mayWrite(at) && mayWrite(join(at, "cgroup.procs"));
    if (isUsable && controllers.every((one) => handedDown.includes(one))) return at;
    if (at === top || at === "/") return undefined;
  }
}

/** The groups for a policy's limits, and which limits they hold; the others are left to each process. */
export interface GroupedLimits {
  readonly groups: readonly Cgroup[];
  readonly memory: boolean;
  readonly processes: boolean;
}

export const noGroups: GroupedLimits = { groups: [], memory: false, processes: false };

/** The groups that hold a policy's limits here; what none holds is left to each process. */
export function groupLimits(limits: Limits, around: CgroupSurroundings): GroupedLimits {
  const memory = limits.memory === undefined ? [] : memoryLimit(limits.memory, around);
  const processes = limits.processes === undefined ? [] : processLimit(limits.processes, around);
  const groups = merge([...memory, ...processes], around);
  const sets = (pattern: RegExp): boolean =>
    groups.some(({ settings }) => settings.some(({ file }) => pattern.test(file)));
  return { groups, memory: sets(/^memory\./), processes: sets(/^pids\./) };
}

/** What a group of a controller's says and does. */
type Held = Pick<Cgroup, "holds" | "settings" | "events">;

function memoryLimit(bytes: number, around: CgroupSurroundings): readonly Cgroup[] {
  const place = placeFor(["memory"], around);
  return place === undefined ? [] : [{ ...place, ...heldMemory(bytes, place.version) }];
}

function heldMemory(bytes: number, version: 1 | 2): Held {
  const size = sizeText(bytes);
  const value = String(bytes);
  const holds = [`memory ${size}, of all together`];
  const sentence = `the sandbox reached its memory limit of ${size} (cgroup v${version})`;
  // Without swap: what is swapped out would come on top. And with all processes or none: a program that has lost one
  // to the limit is seldom of use.
  if (version === 2)
    return {
      holds,
      settings: [
        { file: "memory.max", value },
        { file: "memory.swap.max", value: "0", optional: true },
        { file: "memory.oom.group", value: "1", optional: true },
      ],
      events: [{ file: "memory.events", key: "oom_kill", sentence }],
    };
  return {
    holds,
    settings: [
      { file: "memory.limit_in_bytes", value },
      { file: "memory.memsw.limit_in_bytes", value, optional: true },
    ],
    events: [{ file: "memory.oom_control", key: "oom_kill", sentence }],
  };
}

function processLimit(count: number, around: CgroupSurroundings): readonly Cgroup[] {
  const place = placeFor(["pids"], around);
  return place === undefined ? [] : [{ ...place, ...heldProcesses(count, place.version) }];
}

function heldProcesses(count: number, version: 1 | 2): Held {
  const sentence = `the sandbox reached its limit of ${count} processes and threads (cgroup v${version})`;
  return {
    holds: [`${count} processes and threads`],
    settings: [{ file: "pids.max", value: String(count) }],
    events: [{ file: "pids.events", key: "max", sentence }],
  };
}

/** The same for another machine: the groups that the launcher looks for, in this order. */
export function groupsElsewhere({ memory, processes }: Limits): readonly SoughtCgroup[] {
  const one = (version: 1 | 2): readonly SoughtCgroup[] => [
    ...(memory === undefined
      ? []
      : [{ version, controllers: ["memory"], ...heldMemory(memory, version) } as const]),
    ...(processes === undefined
      ? []
      : [{ version, controllers: ["pids"], ...heldProcesses(processes, version) } as const]),
  ];
  const [first, second] = one(2);
  if (first === undefined || second === undefined) return [...one(2), ...one(1)];
  return [{ ...together(first, second), version: 2, controllers: ["memory", "pids"] }, ...one(2), ...one(1)];
}

function together(first: Held, second: Held): Held {
  return {
    holds: [...first.holds, ...second.holds],
    settings: [...first.settings, ...second.settings],
    events: [...first.events, ...second.events],
  };
}

/** In v2 a process is in one group only. */
function merge(groups: readonly Cgroup[], around: CgroupSurroundings): readonly Cgroup[] {
  const [first, second] = groups;
  if (first === undefined || second === undefined || first.version === 1 || second.version === 1)
    return groups;
  const folder = placeFor(["memory", "pids"], around)?.folder;
  if (folder === undefined) return [first];
  return [{ version: 2, folder, ...together(first, second) }];
}

/** 67108864 as 64M. */
export function sizeText(bytes: number): string {
  const units = ["", "K", "M", "G", "T"];
  let unit = 0;
  let size = bytes;
  while (size >= 1024 && size % 1024 === 0 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size}${units[unit]}`;
}

function isWritable(path: string): boolean {
  if (statusOf(path) === undefined) return false;
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function kernelText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
