/** The program's file system: what is shown of the caller's, what is its own, as mounts and as rules of Landlock. */
import { foldersAbove, type Grant, grantOf, isWithin } from "./grants.ts";
import { entriesOf, isReadable, linkTarget, realPath, statusOf } from "./lookups.ts";
import { protectedBelow } from "./protected-files.ts";
import { type FileIdentity, ifThere, type LandlockPath, type MountEntry } from "./steps.ts";

/** What the program's files are made from. */
export interface Files {
  readonly grants: readonly Grant[];
  readonly home: string;
  /** Files that decide what callgate does. */
  readonly own: readonly string[];
  /** /dev/tty is there. */
  readonly terminal: boolean;
  readonly proc: "none" | "read" | "write";
  /** The most bytes in each of the temporary folders. */
  readonly size: number | undefined;
  /** Whether uid 0, or a group of the caller's, can read what is for the system's own programs only. */
  readonly seesSecrets: boolean;
  /** For a plan that is carried out later and elsewhere, where other files may be there. */
  readonly portable: boolean;
}

const systemFolders = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt", "nix", "gnu"];
const devices = ["null", "zero", "full", "random", "urandom"];

/** LANDLOCK_ACCESS_FS_*: what reading a folder and all below it takes, and what changing it takes. */
export const readRights = 0x1 | 0x4 | 0x8;
const fileReadRights = 0x1 | 0x4;
const fileWriteRights = fileReadRights | 0x2 | 0x4000 | 0x8000;
const listRight = 0x8;
const allRights = 0xffff;
const resolveSocket = 0x1_0000;

/** Everything that Landlock may take away, of all its versions. */
export const handledFiles = 0x1_ffff;

interface Mounted {
  readonly path: string;
  readonly kind: "bind" | "tmpfs" | "own";
  readonly entry: MountEntry;
  readonly isFile: boolean;
}

type Cover = Mounted & { readonly entry: Extract<MountEntry, { readonly kind: "bind" | "tmpfs" }> };

/** The whole system that every program needs: links as links, folders as read-only folders. */
function system(): { readonly links: readonly MountEntry[]; readonly grants: readonly Grant[] } {
  const links: MountEntry[] = [];
  const grants: Grant[] = [];
  for (const name of systemFolders) {
    const status = statusOf(`/${name}`);
    if (status?.isSymbolicLink()) links.push({ kind: "link", target: name, to: linkTarget(`/${name}`) });
    else if (status?.isDirectory()) grants.push(grantOf(`/${name}`, false));
  }
  return { links, grants };
}

/** Whether a path is a part of the system that everybody sees. */
export function isSystem(path: string): boolean {
  return systemFolders.some((name) => isWithin(path, `/${name}`));
}

const secretFiles = [
  "shadow",
  "shadow-",
  "gshadow",
  "gshadow-",
  "security/opasswd",
  "sudoers",
  "krb5.keytab",
];
const secretFolders = [
  ...["sudoers.d", "ssl/private", "wireguard", "NetworkManager/system-connections", "ppp", "ipsec.d"],
];

/** What only some of the system's programs are to read, where the program could. */
function secrets(): readonly string[] {
  const keys = entriesOf("/etc/ssh")
    .map(({ name }) => name)
    .filter((name) => /^ssh_host_.*_key$/.test(name));
  return [...secretFiles, ...secretFolders, ...keys.map((name) => `ssh/${name}`)]
    .map((name) => `/etc/${name}`)
    .filter((path) => statusOf(path)?.isSymbolicLink() === false)
    .filter(isReadable);
}

/** The same for another machine: what may be there. */
function coversElsewhere(): readonly Mounted[] {
  const keys = ["rsa", "dsa", "ecdsa", "ed25519"].map((kind) => `ssh/ssh_host_${kind}_key`);
  return [
    ...[...secretFiles, ...keys].map((name) => coverFile(`/etc/${name}`)),
    ...secretFolders.map((name) => coverFolder(`/etc/${name}`)),
  ].map((one) => ({ ...one, entry: { ...one.entry, identity: ifThere } }));
}

/** The grants that count: a folder that is within another of the same kind adds nothing. */
function needed(grants: readonly Grant[]): readonly Grant[] {
  const written = new Set(grants.filter((one) => one.writable).map((one) => one.path));
  return grants
    .filter((one) => one.writable || !written.has(one.path))
    .filter((one, index, all) => all.findIndex((other) => other.path === one.path) === index);
}

/** What the program is shown of the caller's files, and what of it is covered. */
export function shownFiles(
  files: Files,
  isAlone: boolean,
): { readonly shown: readonly Grant[]; readonly covered: readonly string[] } {
  return {
    shown: needed([...system().grants, ...files.grants]),
    covered: isAlone && files.seesSecrets ? secrets() : [],
  };
}

/** Mounts in the order in which they are made: what is above comes first. */
export function mountsOf(files: Files): readonly MountEntry[] {
  const { links, grants } = system();
  const granted = needed([...grants, ...files.grants]);
  const mounted: Mounted[] = [
    ...temporaryFolders(files).map((one) => temporary(one, files)),
    ...granted.map(bind),
    ...granted
      .filter(({ writable, kind }) => writable && kind === "folder")
      .flatMap((one) => guards(one, files)),
    ...(!files.seesSecrets ? [] : files.portable ? coversElsewhere() : secrets().map(cover)),
  ];
  const byPath = new Map(mounted.map((one): [string, Mounted] => [one.path, one]));
  const inOrder = [...byPath.values()].sort(
    (a, b) => depth(a.path) - depth(b.path) || (a.path < b.path ? -1 : 1),
  );
  const made = new Set<string>();
  const folder = (path: string, mode = 0o755): readonly MountEntry[] => {
    if (made.has(path)) return [];
    made.add(path);
    return [{ kind: "directory", target: path.slice(1), mode }];
  };
  const entries: MountEntry[] = [...links, ...deviceEntries(files, folder)];
  for (const one of inOrder) {
    // Below a folder of the caller's the place is there already: it is the same folder. Elsewhere it is made.
    const above = inOrder.findLast((other) => other !== one && isWithin(one.path, other.path));
    if (above?.kind !== "bind") {
      for (const path of foldersAbove(one.path))
        if (above === undefined || !isWithin(above.path, path)) entries.push(...folder(path));
      if (one.kind === "own") made.add(one.path);
      else if (one.isFile) entries.push({ kind: "file", target: one.path.slice(1), mode: 0o444 });
      else entries.push(...folder(one.path));
    }
    // In a folder of the caller's there is nothing of the root's own.
    entries.push(
      above?.kind === "bind" && one.entry.kind === "own" ? { ...one.entry, kind: "tmpfs" } : one.entry,
    );
  }
  for (const path of ["/var", "/run"]) entries.push(...folder(path));
  if (!byPath.has("/var/tmp") && !isVarShown(files))
    entries.push({ kind: "link", target: "var/tmp", to: "/tmp" });
  if (files.proc !== "none")
    entries.push(...folder("/proc", 0o555), {
      kind: "proc",
      target: "proc",
      writable: files.proc === "write",
    });
  return entries;
}

function depth(path: string): number {
  return path.split("/").length;
}

/** Then /var/tmp is the machine's, whose files are everybody's; else it is a link to /tmp. */
function isVarShown({ grants }: Files): boolean {
  return grants.some(({ path }) => isWithin("/var", path));
}

function temporaryFolders(files: Files): readonly { readonly path: string; readonly mode: number }[] {
  const { home } = files;
  const hasOther = isVarShown(files) && statusOf("/var/tmp")?.isDirectory() === true;
  const shared = ["/tmp", "/dev/shm", ...(hasOther ? ["/var/tmp"] : [])].map((path) => ({
    path,
    mode: 0o1777,
  }));
  return hasOwnHome(home) ? [...shared, { path: home, mode: 0o700 }] : shared;
}

/** A home that is a part of the system, or everything, is no home to be emptied. */
function hasOwnHome(home: string): boolean {
  return home !== "/" && home !== "/tmp" && !isSystem(home) && !/^\/(?:proc|dev|sys|run)(?:\/|$)/.test(home);
}

/** Without a size they are folders of one file system, the root's: it is made faster. */
function temporary(
  { path, mode }: { readonly path: string; readonly mode: number },
  { size, portable }: Files,
): Mounted {
  const target = path.slice(1);
  // In a folder of the machine's, which another may not have.
  const isOther = path === "/var/tmp";
  if (size === undefined && !isOther)
    return { path, kind: "own", isFile: false, entry: { kind: "own", target, mode } };
  const entry: MountEntry = {
    kind: "tmpfs",
    target,
    mode,
    ...(size === undefined ? {} : { size }),
    ...(portable && isOther ? { identity: ifThere } : {}),
  };
  return { path, kind: "tmpfs", isFile: false, entry };
}

function bind({ path, identity, kind, writable }: Grant): Mounted {
  const entry: MountEntry = { kind: "bind", source: path, target: path.slice(1), identity, writable };
  return { path, kind: "bind", isFile: kind !== "folder", entry };
}

function guards(grant: Grant, files: Files): readonly Mounted[] {
  const inside = protectedBelow(grant.path, files.home, files.own, files.portable);
  const bound = (path: string, writable: boolean): Mounted =>
    bind(files.portable ? { path, identity: ifThere, kind: "folder", writable } : grantOf(path, writable));
  const pins = inside.flatMap((path) =>
    foldersAbove(path).filter((one) => one !== grant.path && isWithin(one, grant.path)),
  );
  return [
    ...[...new Set(pins)].map((path) => bound(path, true)),
    ...inside.map((path) => bound(path, false)),
  ];
}

/** Something empty in the place of a secret. */
function cover(path: string): Mounted {
  return grantOf(path, false).kind === "folder" ? coverFolder(path) : coverFile(path);
}

function coverFolder(path: string): Cover {
  const entry = { kind: "tmpfs", target: path.slice(1), mode: 0o755, writable: false } as const;
  return { path, kind: "tmpfs", isFile: false, entry };
}

function coverFile(path: string): Cover {
  const entry = { kind: "bind", source: "/dev/null", target: path.slice(1) } as const;
  return { path, kind: "bind", isFile: true, entry };
}

function deviceEntries(
  { terminal }: Files,
  folder: (path: string, mode?: number) => readonly MountEntry[],
): readonly MountEntry[] {
  const each = [...devices, ...(terminal ? ["tty"] : [])].flatMap((name): readonly MountEntry[] => [
    { kind: "file", target: `dev/${name}`, mode: 0o666 },
    { kind: "bind", source: `/dev/${name}`, target: `dev/${name}`, writable: true, devices: true },
  ]);
  const links = [
    ["ptmx", "pts/ptmx"],
    ["fd", "/proc/self/fd"],
    ["stdin", "/proc/self/fd/0"],
    ["stdout", "/proc/self/fd/1"],
    ["stderr", "/proc/self/fd/2"],
  ].map(([name, to]): MountEntry => ({ kind: "link", target: `dev/${name}`, to: to ?? "" }));
  return [...folder("/dev"), ...each, ...links, ...folder("/dev/pts"), { kind: "devpts", target: "dev/pts" }];
}

/** The same once more for Landlock, by paths of the new root. */
export function landlockInside(files: Files): readonly LandlockPath[] {
  const granted = needed([...system().grants, ...files.grants]);
  return [
    { path: "/", rights: listRight },
    ...granted.map(rule),
    ...temporaryFolders(files).map(({ path }) => ({
      path,
      rights: allRights,
      ...(files.portable && path === "/var/tmp" ? { identity: ifThere } : {}),
    })),
    { path: "/dev", rights: fileWriteRights | listRight },
    ...(files.proc === "none" ? [] : [{ path: "/proc", rights: fileWriteRights | listRight }]),
  ];
}

/** Without mounts: the caller's own files, of which only these are to be had. */
export function landlockOutside(files: Files): readonly LandlockPath[] {
  const granted = needed([...system().grants, ...files.grants]);
  const own = [...devices, ...(files.terminal ? ["tty"] : [])].map((name) => `/dev/${name}`);
  return [
    ...granted.map(rule),
    ...own.map((path) => ({ path, rights: fileWriteRights })),
    { path: "/proc", rights: readRights },
  ];
}

function rule({ path, kind, writable, identity }: Grant): LandlockPath {
  const rights =
    kind === "folder" ? (writable ? allRights : readRights) : writable ? fileWriteRights : fileReadRights;
  // A socket that is granted by its own name may be spoken to (from Landlock's version 9 on, which asks).
  return { path, identity, rights: kind === "socket" ? rights | resolveSocket : rights };
}

/** Where names of hosts are looked up may lie outside of /etc, behind a link. */
export function resolverFiles(): readonly Grant[] {
  const real = realPath("/etc/resolv.conf");
  return real === undefined || isSystem(real) ? [] : [grantOf(real, false)];
}

/**
 * The same for another machine: what is granted has to be there, whatever it then is; of everything else what is there.
 */
export function mountsElsewhere(entries: readonly MountEntry[], files: Files): readonly MountEntry[] {
  return entries.map((entry) =>
    entry.kind === "bind" && entry.identity !== undefined ? elsewhere(entry, entry.source, files) : entry,
  );
}

/** As `mountsElsewhere`, for rules of Landlock. */
export function landlockElsewhere(paths: readonly LandlockPath[], files: Files): readonly LandlockPath[] {
  return paths.map((one) => (one.identity === undefined ? one : elsewhere(one, one.path, files)));
}

function elsewhere<Thing extends { readonly identity?: FileIdentity }>(
  { identity, ...thing }: Thing,
  path: string,
  { grants }: Files,
): Omit<Thing, "identity"> & { readonly identity?: FileIdentity } {
  const isGranted = identity !== ifThere && grants.some((grant) => grant.path === path);
  return isGranted ? thing : { ...thing, identity: ifThere };
}
