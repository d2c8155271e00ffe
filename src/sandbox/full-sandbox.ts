/** Everything around the filter: which steps a policy comes to on this machine, for one start of one program. */
import { accessSync, constants, readFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { dirname, resolve as resolvePath } from "node:path";
import { listWords } from "../diagnostics/index.ts";
import type { Policy } from "../policy/types.ts";
import { type GroupedLimits, groupLimits, groupsElsewhere, noGroups, thisProcess } from "./cgroups.ts";
import {
  type Files,
  handledFiles,
  isSystem,
  landlockElsewhere,
  landlockInside,
  landlockOutside,
  mountsElsewhere,
  mountsOf,
  readRights,
  resolverFiles,
  shownFiles,
} from "./file-system.ts";
import { type Grant, grantOf, isWithin, readGrant } from "./grants.ts";
import { groupNames, type KeptGroup, keptGroups, supplementaryGroups } from "./groups.ts";
import { showsKeptPlans } from "./kept-plans.ts";
import { type Absence, describeAbsences, type Machine, thisMachine, whyNoNamespaces } from "./layers.ts";
import { realPath, restOnMore, textOf } from "./lookups.ts";
import type { PlanStep } from "./plan.ts";
import { PrepareError } from "./prepare-error.ts";
import type { CgroupsStep, IdentityStep, LimitsStep, NamespaceKind, ResourceName } from "./steps.ts";

/** What a caller says of the sandbox besides the policy. */
export interface SandboxSettings {
  /** The program stays root (without capabilities) where root starts it. */
  readonly asRoot?: boolean;
  /** Whom root starts the program as; `nobody` otherwise. */
  readonly user?: string;
  /** /dev/tty is there. */
  readonly terminal?: boolean;
  /** A session of its own, without the caller's terminal. */
  readonly newSession?: boolean;
  /** Files that decide what callgate does, and are never written: policies. */
  readonly ownFiles?: readonly string[];
  /** The plan is carried out later, by others and elsewhere: nothing of this start is in it. */
  readonly portable?: boolean;
}

/** One start: where, of what, by whom. */
export interface Start {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** The program's file as it was found. */
  readonly program: string;
  readonly isRoot: boolean;
  /** A supervisor answers its denied calls. */
  readonly isSupervised: boolean;
}

export interface SandboxSteps {
  /** Before the environment. */
  readonly first: readonly PlanStep[];
  /** Between the working directory and the closing of descriptors. */
  readonly last: readonly PlanStep[];
  readonly workingDirectory: PlanStep;
  /** How the program is called inside. */
  readonly program: string;
  /** Groups of the caller's that the program keeps, and what they open: looked up when asked for. */
  readonly groups: () => readonly KeptGroup[];
  /** What the user should know; nothing is wrong with it. */
  readonly notes: readonly string[];
}

/** What stays in the environment where a policy does not say it. */
export const keptVariables: readonly string[] = [
  ..."PATH HOME USER LOGNAME SHELL LANG LANGUAGE LC_* TZ TERM COLORTERM NO_COLOR FORCE_COLOR COLUMNS LINES".split(
    " ",
  ),
];

/** Whether the program has a file system and a network of its own here. */
export function hasNamespaces(): boolean {
  return thisMachine().namespaces === 0;
}

/**
 * Whether all that a policy asks for is to be had here.
 * @throws PrepareError that names each layer which is not, unless the policy says that it may be absent
 */
export function refuseAbsences(policy: Policy, { portable }: SandboxSettings = {}): void {
  const accepted = policy.hardening?.missingLayers ?? [];
  // Which control groups there are where a built file starts is not known: perhaps none.
  const grouped = portable === true ? noGroups : groupsOf(policy);
  const missing = absences(policy, thisMachine(), grouped).filter(({ layer }) => !accepted.includes(layer));
  if (missing.length > 0) throw new PrepareError(describeAbsences(missing));
}

function groupsOf({ limits }: Policy): GroupedLimits {
  return limits === undefined ? noGroups : groupLimits(limits, thisProcess());
}

function absences(policy: Policy, machine: Machine, grouped: GroupedLimits): readonly Absence[] {
  const mode = policy.network?.mode ?? "off";
  const isAlone = machine.namespaces === 0;
  const found: Absence[] = [];
  if (!isAlone) {
    const why = whyNoNamespaces(machine.namespaces);
    const open =
      "the program sees other processes and is kept from files by Landlock alone: it has no /tmp and no home, and protected files inside of writable folders are not protected";
    found.push({ layer: "namespaces", why, open });
  } else if (machine.proc !== 0) {
    const why = "a /proc of its own cannot be mounted: parts of the one here are covered, as in containers";
    found.push({ layer: "proc", why, open: "the program has no /proc at all" });
  }
  if (machine.landlock === 0) {
    const why =
      "this kernel has no Landlock (it came with Linux 5.13, and must be named in the boot option lsm=)";
    const open = isAlone
      ? "files are kept from the program by mounts alone"
      : "the program reads and writes all files of its user";
    found.push({ layer: "landlock", why, open });
  }
  if (machine.landlock < 6 && (!isAlone || mode !== "off")) {
    const why = `this kernel's Landlock has no scopes (version ${machine.landlock}, they came with 6, Linux 6.12)`;
    const open = isAlone
      ? "the program can speak to abstract sockets of the machine"
      : "the program can send signals to processes of its user";
    found.push({ layer: "scopes", why, open });
  }
  if (machine.landlock < 4 && mode === "ports") {
    const why = `this kernel's Landlock knows no ports (version ${machine.landlock}, they came with 4, Linux 6.7)`;
    found.push({ layer: "network", why, open: "the program can use every TCP port" });
  }
  if (!isAlone && policy.limits?.processes !== undefined && !grouped.processes) {
    const why =
      "without namespaces and without a control group (cgroup v2 delegated to this user, or v1 and root) the kernel counts the processes of the user, not those of the program";
    found.push({ layer: "limits", why, open: "the number of processes is not limited" });
  }
  if (!machine.mdwe && policy.hardening?.newCode === "deny") {
    const why = "this kernel has no PR_SET_MDWE (it came with Linux 6.3)";
    found.push({ layer: "hardening", why, open: "what was written can be made executable in two steps" });
  }
  return found;
}

/**
 * The steps for one start.
 * @throws PrepareError that names every mistake in what is granted
 */
export function sandboxSteps(policy: Policy, settings: SandboxSettings, start: Start): SandboxSteps {
  const machine = thisMachine();
  const isAlone = machine.namespaces === 0;
  const user = identityOf(settings, start);
  const named = user?.home ?? homeOf(start);
  const home = realPath(named) ?? named;
  const cwd = realPath(start.cwd) ?? start.cwd;
  const portable = settings.portable === true;
  const { grants, program, notes } = allGrants(policy, { ...start, cwd }, home, portable);
  const mode = policy.network?.mode ?? "off";
  const files: Files = {
    grants: mode === "off" ? grants : [...grants, ...resolverFiles()],
    home,
    own: (settings.ownFiles ?? []).map((path) => realPath(path) ?? path),
    terminal: settings.terminal === true && settings.newSession !== true,
    proc: machine.proc !== 0 ? "none" : start.isRoot && settings.asRoot === true ? "read" : "write",
    size: policy.limits?.memory,
    seesSecrets: settings.asRoot === true || settings.user !== undefined || !start.isRoot,
    portable,
  };
  const namespaces: readonly NamespaceKind[] = [
    ...(["mount", "cgroup", "uts", "ipc", "user", "pid"] as const),
    ...(mode === "off" ? (["net"] as const) : []),
  ];
  const grouped = portable ? noGroups : groupsOf(policy);
  const mounts = mountsOf(files);
  const callersFolder = portable ? ([{ kind: "callersFolder", rights: readRights }] as const) : [];
  const isSame = !isAlone || isShownIn(files, cwd);
  const stays = portable && !isAlone ? "/" : isSame ? cwd : placeInside(cwd, files);
  const keepsGroups = !start.isRoot || settings.asRoot === true;
  return {
    program,
    notes,
    groups: () =>
      keepsGroups
        ? keptGroups({ groups: supplementaryGroups(), names: groupNames(), ...shownFiles(files, isAlone) })
        : [],
    first: [
      ...(portable
        ? groupsSought(policy)
        : grouped.groups.length === 0
          ? []
          : [{ kind: "cgroups", groups: grouped.groups } as const]),
      ...(isAlone
        ? ([
            { kind: "namespaces", namespaces },
            { kind: "idMaps", map: start.isRoot ? "all" : "own" },
            ...callersFolder,
            { kind: "mounts", entries: portable ? mountsElsewhere(mounts, files) : mounts },
            { kind: "pivot" },
            { kind: "hostName", name: "callgate" },
          ] as const)
        : callersFolder),
      ...limitSteps(policy, isAlone, grouped, start.isSupervised).map((step) =>
        portable ? { ...step, leftToGroups: true } : step,
      ),
    ],
    workingDirectory: {
      kind: "workingDirectory",
      path: stays,
      ...(isSame && !portable ? { identity: workingFolder(cwd).identity } : {}),
    },
    last: [
      ...(settings.newSession === true ? [{ kind: "terminal", newSession: true } as const] : []),
      ...(user === undefined
        ? []
        : [{ kind: "identity", uid: user.uid, gid: user.gid } satisfies IdentityStep]),
      { kind: "capabilities" },
      { kind: "noNewPrivileges" },
      ...(policy.hardening?.newCode === "deny" && machine.mdwe
        ? [{ kind: "hardening", noNewCode: true } as const]
        : []),
      ...(machine.landlock === 0 ? [] : [landlock(policy, files, isAlone, machine)]),
    ],
  };
}

/** The caller's home, as the environment says, or else as the system knows it. */
function homeOf({ env }: Start): string {
  const named = env["HOME"];
  if (named === undefined || named === "") {
    restOnMore("HOME is not set");
    return userInfo().homedir;
  }
  if (named.startsWith("/")) return named;
  throw new PrepareError(`HOME is ${JSON.stringify(named)}, which is relative: a home is a whole path`);
}

/** Whether a folder is the caller's own inside too: a home of the same name is another. */
function isShownIn({ grants }: Files, folder: string): boolean {
  return isSystem(folder) || grants.some(({ path, kind }) => kind === "folder" && isWithin(folder, path));
}

/** Where a program starts whose working directory is not shown to it. */
function placeInside(cwd: string, { home }: Files): string {
  if (isWithin(home, cwd)) return home;
  return isWithin(cwd, "/tmp") ? "/tmp" : "/";
}

function landlock(policy: Policy, files: Files, isAlone: boolean, machine: Machine): PlanStep {
  const isByPort = policy.network?.mode === "ports";
  const paths = isAlone ? landlockInside(files) : landlockOutside(files);
  return {
    kind: "landlock",
    // What came after version 6 adds nothing that a plan could not do without.
    least: files.portable ? Math.min(machine.landlock, 6) : machine.landlock,
    // Abstract sockets, signals.
    scopes: 3,
    files: handledFiles,
    // bind, connect
    network: isByPort ? 3 : 0,
    paths: files.portable ? landlockElsewhere(paths, files) : paths,
    ports: isByPort ? (policy.network?.ports ?? []).map((port) => ({ port, rights: 3 })) : [],
  };
}

/** Who accepted that limits may be held by no group is not told of it at each start. */
function groupsSought({ limits, hardening }: Policy): readonly CgroupsStep[] {
  const groups = limits === undefined ? [] : groupsElsewhere(limits);
  const saysAbsence = hardening?.missingLayers.includes("limits") !== true;
  return groups.length === 0 ? [] : [{ kind: "cgroups", groups, saysAbsence }];
}

/** What control groups do not hold here is left to each process by itself. */
function limitSteps(
  { limits }: Policy,
  isAlone: boolean,
  grouped: GroupedLimits,
  isSupervised: boolean,
): readonly LimitsStep[] {
  if (limits === undefined) return [];
  const resources: Partial<Record<ResourceName, number>> = {
    ...(limits.cpuTime === undefined ? {} : { cpu: limits.cpuTime }),
    ...(limits.fileSize === undefined ? {} : { fsize: limits.fileSize }),
    ...(limits.memory === undefined || grouped.memory ? {} : { data: limits.memory }),
    // The namespace's user has two processes of callgate's, and the supervisor.
    ...(limits.processes === undefined || grouped.processes || !isAlone
      ? {}
      : { nproc: limits.processes + (isSupervised ? 3 : 2) }),
    ...(limits.openFiles === undefined ? {} : { nofile: limits.openFiles }),
  };
  if (Object.keys(resources).length === 0 && limits.wallTime === undefined) return [];
  return [
    { kind: "limits", resources, ...(limits.wallTime === undefined ? {} : { wallTime: limits.wallTime }) },
  ];
}

/** What is granted by the policy and by default: the working directory and the program's own file, to be read. */
function allGrants(
  policy: Policy,
  { cwd, program, isRoot }: Start,
  home: string,
  portable: boolean,
): { readonly grants: readonly Grant[]; readonly program: string; readonly notes: readonly string[] } {
  const mistakes: string[] = [];
  const notes: string[] = [];
  const place = { cwd, home: isRoot ? homedir() : home };
  const read = (paths: readonly string[], writable: boolean): readonly Grant[] =>
    paths.flatMap((path) => {
      const grant = readGrant(path, writable, place);
      if (typeof grant !== "string") return [grant];
      mistakes.push(grant);
      return [];
    });
  const grants = [...read(policy.files?.write ?? [], true), ...read(policy.files?.read ?? [], false)];
  if (!portable && !hasNamespaces()) mistakes.push(...readOnlyWithinWritable(grants));
  if (mistakes.length > 0) throw new PrepareError(mistakes.join("\n"));

  const isShown = (path: string): boolean =>
    isSystem(path) || grants.some((grant) => isWithin(path, grant.path));
  if (!portable && !isShown(cwd)) {
    if (
      isWithin(home, cwd) ||
      cwd === "/tmp" ||
      cwd === "/var/tmp" ||
      /^\/(?:proc|dev|sys|run)(?:\/|$)/.test(cwd) ||
      showsKeptPlans(workingFolder(cwd), process.getuid?.() ?? 0)
    ) {
      notes.push(
        `the working directory ${cwd} holds more than a program's files and is not shown to it: --read . does`,
      );
    } else {
      grants.push(workingFolder(cwd));
    }
  }
  const absolute = resolvePath(cwd, program);
  const real = realPath(absolute) ?? absolute;
  if (!isShown(real) && !isWithin(real, "/proc") && realPath(real) !== undefined) {
    grants.push(grantOf(real, false));
    if (isWithin(real, home))
      notes.push(
        `${real} lies in your home, of which it is shown this file alone: if it needs what lies beside it, --read ${dirname(dirname(real))}`,
      );
  }
  return { grants, notes, program: isShown(absolute) || real === absolute ? absolute : real };
}

/** Landlock adds up what is granted on the way from the root: without mounts nothing takes away again. */
function readOnlyWithinWritable(grants: readonly Grant[]): readonly string[] {
  return grants
    .filter(({ writable }) => !writable)
    .flatMap(({ path }) => {
      const above = grants.find((one) => one.writable && one.path !== path && isWithin(path, one.path));
      return above === undefined
        ? []
        : [
            `${path} cannot be read-only within ${above.path}, in which writing is granted: without namespaces there is only the one or the other`,
          ];
    });
}

/** Where the caller stands. @throws PrepareError where that may not be entered: then the program could not begin there */
function workingFolder(cwd: string): Grant {
  try {
    accessSync(cwd, constants.X_OK);
  } catch {
    throw new PrepareError(
      `the working directory ${cwd} may not be entered: go to another one and start again`,
    );
  }
  return grantOf(cwd, false);
}

interface User {
  readonly uid: number;
  readonly gid: number;
  /** Undefined: the caller's. */
  readonly home: string | undefined;
}

/** Whom the program runs as; undefined: as the caller. */
function identityOf({ asRoot, user, portable }: SandboxSettings, { isRoot }: Start): User | undefined {
  if (asRoot === true && user !== undefined)
    throw new PrepareError("--as-root and --user contradict each other: the program runs as one of them");
  if (!isRoot) {
    if (asRoot === true)
      throw new PrepareError("--as-root is for root only: whoever else calls has no root to give");
    if (user !== undefined && userNamed(user).uid !== process.getuid?.())
      throw new PrepareError(`--user ${user}: only root can start programs as somebody else`);
    return undefined;
  }
  if (asRoot === true) return undefined;
  const found = userNamed(user ?? "nobody");
  // Root's own number opens root's files, and the kernel's settings in /proc: that has a name of its own, and covers.
  if (found.uid === 0)
    throw new PrepareError(`--user ${user} is root: a program that stays root needs --as-root`);
  if (portable !== true && !isIdHere(found.uid))
    throw new PrepareError(
      `${user ?? "nobody"} (${found.uid}) has no number in this user namespace, and the program cannot run as such: --as-root, or --user with one that has`,
    );
  return user === undefined ? { ...found, home: undefined } : found;
}

/** In containers there are not all numbers. */
function isIdHere(id: number): boolean {
  return readFileSync("/proc/self/uid_map", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/ +/).map(Number))
    .some(([first = 0, , count = 0]) => first <= id && id - first < count);
}

function userNamed(name: string): User {
  const users = textOf("/etc/passwd")
    .split("\n")
    .map((line) => line.split(":"))
    .filter((fields) => fields.length >= 7);
  const fields = users.find((one) => one[0] === name || one[2] === name);
  if (fields === undefined) {
    if (name === "nobody") return { uid: 65534, gid: 65534, home: undefined };
    const names = users.map(([one = ""]) => one).slice(0, 8);
    throw new PrepareError(
      `there is no user ${JSON.stringify(name)}: /etc/passwd has ${listWords(names, "and")} …`,
    );
  }
  return { uid: Number(fields[2]), gid: Number(fields[3]), home: fields[5] };
}
