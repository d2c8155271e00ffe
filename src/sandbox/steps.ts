/**
 * The steps of a plan that set up everything but the filter: control groups, namespaces, mounts, limits, identity, Landlock. Their
 * bytes are described in native/README.md and checked again by native/plan.h.
 */
import type { PlanString } from "./plan.ts";

/** A controller of control groups by its name to the kernel. */
export type Controller = "memory" | "pids";

interface CgroupContent {
  readonly version: 1 | 2;
  /** What it limits, in words. */
  readonly holds: readonly string[];
  /** Files of the group that are written; not every kernel has the optional ones. */
  readonly settings: readonly {
    readonly file: string;
    readonly value: string;
    readonly optional?: boolean;
  }[];
  /** When the number behind a key in a file of the group is not 0 at the end, the sentence is said. */
  readonly events: readonly { readonly file: string; readonly key: string; readonly sentence: string }[];
}

/** A control group that is made for the program and all that it starts, and removed afterwards. */
export interface Cgroup extends CgroupContent {
  /** The folder that it is made in. */
  readonly folder: string;
}

/** One whose folder the launcher looks for when it starts. */
export interface SoughtCgroup extends CgroupContent {
  readonly controllers: readonly Controller[];
}

/** Of groups that are sought, each is made that adds a controller which those before it could not have. */
export interface CgroupsStep {
  readonly kind: "cgroups";
  readonly groups: readonly (Cgroup | SoughtCgroup)[];
  /** The launcher says on standard error which limits no group holds. */
  readonly saysAbsence?: boolean;
}

/** Which namespaces are the program's own. With `pid`, two processes of ours stay beside the program. */
export type NamespaceKind = "mount" | "cgroup" | "uts" | "ipc" | "user" | "pid" | "net";

export interface NamespacesStep {
  readonly kind: "namespaces";
  readonly namespaces: readonly NamespaceKind[];
}

/** `own`: the caller's user and group, and nobody else. `all`: everybody; only root can have that. */
export interface IdMapsStep {
  readonly kind: "idMaps";
  readonly map: "own" | "all";
}

/**
 * Whoever starts the plan's file is shown their working directory, read-only, where nothing of theirs is in it that `run`
 * would not show either; and the program begins there.
 */
export interface CallersFolderStep {
  readonly kind: "callersFolder";
  /** LANDLOCK_ACCESS_FS_* */
  readonly rights: number;
}

/** A file or folder is the same while device and inode are. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** In the place of an identity: whatever is there, if something is. No file has this device. */
export const ifThere: FileIdentity = { device: 0n, inode: 1n };

/** Targets are relative to the new root, `etc/ssl`; the folders above them are made by entries before them. */
export type MountEntry =
  | {
      readonly kind: "bind";
      readonly source: string;
      readonly target: string;
      readonly writable?: boolean;
      /** Device files in it work as such. */
      readonly devices?: boolean;
      readonly identity?: FileIdentity;
    }
  | {
      readonly kind: "tmpfs";
      readonly target: string;
      readonly mode: number;
      readonly size?: number;
      readonly writable?: boolean;
      /** Only where the target is there. */
      readonly identity?: typeof ifThere;
    }
  /** A writable folder of the root's own file system; it is made here. */
  | { readonly kind: "own"; readonly target: string; readonly mode: number }
  | { readonly kind: "proc"; readonly target: string; readonly writable: boolean }
  | { readonly kind: "devpts"; readonly target: string }
  | { readonly kind: "directory"; readonly target: string; readonly mode: number }
  | { readonly kind: "file"; readonly target: string; readonly mode: number }
  | { readonly kind: "link"; readonly target: string; readonly to: string };

/** The program's file system, from an empty root on. */
export interface MountsStep {
  readonly kind: "mounts";
  readonly entries: readonly MountEntry[];
}

/** Makes what was mounted the root, and lets the caller's go. */
export interface PivotStep {
  readonly kind: "pivot";
}

export interface HostNameStep {
  readonly kind: "hostName";
  readonly name: string;
}

/** The kernel's resource limits by name, as `prlimit` has them. */
export type ResourceName = "cpu" | "fsize" | "data" | "core" | "nproc" | "nofile" | "as";

export interface LimitsStep {
  readonly kind: "limits";
  readonly resources: Readonly<Partial<Record<ResourceName, number>>>;
  /** Limits of memory and processes hold only where no group that was sought holds them. */
  readonly leftToGroups?: boolean;
  /** Seconds after which the program is killed. */
  readonly wallTime?: number;
}

/** Another user and group, and no further groups. Only root can. */
export interface IdentityStep {
  readonly kind: "identity";
  readonly uid: number;
  readonly gid: number;
}

/** Gives up every capability, and what could give one back. */
export interface CapabilitiesStep {
  readonly kind: "capabilities";
}

/** Memory that was writable does not become executable (PR_SET_MDWE). */
export interface HardeningStep {
  readonly kind: "hardening";
  readonly noNewCode: true;
}

export interface LandlockPath {
  readonly path: string;
  /** LANDLOCK_ACCESS_FS_* */
  readonly rights: number;
  readonly identity?: FileIdentity;
}

export interface LandlockStep {
  readonly kind: "landlock";
  /** The oldest version that will do. */
  readonly least: number;
  /** LANDLOCK_SCOPE_* */
  readonly scopes: number;
  /** Rights that are taken away, as far as the kernel knows them; `paths` and `ports` give some back. */
  readonly files: number;
  readonly network: number;
  readonly paths: readonly LandlockPath[];
  readonly ports: readonly { readonly port: number; readonly rights: number }[];
}

export type SandboxStep =
  | CgroupsStep
  | NamespacesStep
  | IdMapsStep
  | CallersFolderStep
  | MountsStep
  | PivotStep
  | HostNameStep
  | LimitsStep
  | IdentityStep
  | CapabilitiesStep
  | HardeningStep
  | LandlockStep;

const namespaceFlags: Readonly<Record<NamespaceKind, number>> = {
  mount: 0x0002_0000,
  cgroup: 0x0200_0000,
  uts: 0x0400_0000,
  ipc: 0x0800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  net: 0x4000_0000,
};

const resources: Readonly<Record<ResourceName, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  core: 4,
  nproc: 6,
  nofile: 7,
  as: 9,
};

const mountKinds: Readonly<Record<MountEntry["kind"], number>> = {
  bind: 1,
  tmpfs: 2,
  proc: 3,
  devpts: 4,
  directory: 5,
  file: 6,
  link: 7,
  own: 8,
};

/** What writes a step's payload. */
export interface StepWriter {
  readonly u32: (value: number) => void;
  readonly u64: (value: bigint) => void;
  readonly string: (what: string, value: PlanString) => void;
}

/** Writes the payload of one of these steps. */
export function writeSandboxStep(writer: StepWriter, step: SandboxStep): void {
  switch (step.kind) {
    case "cgroups":
      writer.u32(step.groups.length);
      writer.u32(step.saysAbsence === true ? 1 : 0);
      for (const group of step.groups) writeCgroup(writer, group);
      break;
    case "namespaces":
      writer.u32(step.namespaces.reduce((flags, name) => flags + namespaceFlags[name], 0));
      break;
    case "idMaps":
      writer.u32(step.map === "own" ? 1 : 2);
      break;
    case "callersFolder":
      writer.u64(BigInt(step.rights));
      break;
    case "mounts":
      writer.u32(step.entries.length);
      writer.u32(0);
      for (const entry of step.entries) writeMount(writer, entry);
      break;
    case "hostName":
      writer.string("the host name", step.name);
      break;
    case "limits": {
      const limits = Object.entries(step.resources);
      writer.u32(limits.length);
      writer.u32(step.wallTime ?? 0);
      for (const [name, number] of Object.entries(resources)) {
        const value = limits.find(([one]) => one === name)?.[1];
        if (value === undefined) continue;
        writer.u32(number);
        writer.u32(step.leftToGroups === true ? controllersOf(name) : 0);
        writer.u64(BigInt(value));
      }
      break;
    }
    case "identity":
      writer.u32(step.uid);
      writer.u32(step.gid);
      break;
    case "hardening":
      writer.u32(1);
      break;
    case "landlock":
      writeLandlock(writer, step);
      break;
    case "pivot":
    case "capabilities":
      break;
  }
}

const controllerBits: Readonly<Record<Controller, number>> = { memory: 1, pids: 2 };

/** Whose group counts what a resource limit counts. */
function controllersOf(resource: string): number {
  if (resource === "data") return controllerBits.memory;
  return resource === "nproc" ? controllerBits.pids : 0;
}

function writeCgroup(writer: StepWriter, group: Cgroup | SoughtCgroup): void {
  const { settings, events } = group;
  const isSought = "controllers" in group;
  writer.u32(settings.length);
  writer.u32(events.length);
  writer.u32(isSought ? group.version : 0);
  writer.u32(isSought ? group.controllers.reduce((bits, name) => bits + controllerBits[name], 0) : 0);
  writer.string("the folder of a control group", isSought ? "" : group.folder);
  for (const { file, value, optional } of settings) {
    writer.u32(optional === true ? 1 : 0);
    writer.string("a file of a control group", file);
    writer.string("a setting of a control group", value);
  }
  for (const { file, key, sentence } of events) {
    writer.string("a file of a control group", file);
    writer.string("a key of a control group", key);
    writer.string("a sentence", sentence);
  }
}

function writeMount(writer: StepWriter, entry: MountEntry): void {
  const isWritable =
    entry.kind === "devpts" ||
    entry.kind === "own" ||
    ((entry.kind === "bind" || entry.kind === "proc") && entry.writable === true) ||
    (entry.kind === "tmpfs" && entry.writable !== false);
  const hasDevices = entry.kind === "devpts" || (entry.kind === "bind" && entry.devices === true);
  writer.u32(mountKinds[entry.kind]);
  writer.u32(
    (isWritable ? 1 : 0) + (hasDevices ? 2 : 0) + (entry.kind === "proc" || entry.kind === "devpts" ? 4 : 0),
  );
  writer.u32("mode" in entry ? entry.mode : entry.kind === "devpts" ? 0o620 : 0);
  writer.u32(0);
  const identity = "identity" in entry ? entry.identity : undefined;
  writer.u64(identity?.device ?? 0n);
  writer.u64(identity?.inode ?? 0n);
  const size = entry.kind === "tmpfs" && entry.size !== undefined ? String(entry.size) : "";
  writer.string(
    "the source of a mount",
    entry.kind === "bind" ? entry.source : entry.kind === "link" ? entry.to : size,
  );
  writer.string("the target of a mount", entry.target);
}

function writeLandlock(writer: StepWriter, step: LandlockStep): void {
  writer.u32(step.least);
  writer.u32(step.scopes);
  writer.u64(BigInt(step.files));
  writer.u64(BigInt(step.network));
  writer.u32(step.paths.length);
  writer.u32(step.ports.length);
  for (const { path, rights, identity } of step.paths) {
    writer.u64(BigInt(rights));
    writer.u64(identity?.device ?? 0n);
    writer.u64(identity?.inode ?? 0n);
    writer.string("a path", path);
  }
  for (const { port, rights } of step.ports) {
    writer.u64(BigInt(rights));
    writer.u64(BigInt(port));
  }
}
