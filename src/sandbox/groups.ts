/**
 * Groups that an ordinary user cannot give up: in a user namespace of his own too, whoever maps one group keeps the
 * others. What they open, of what a sandbox shows, is said by `callgate plan`.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { sanitise } from "../diagnostics/index.ts";
import { isWithin } from "./grants.ts";
import { realPath } from "./lookups.ts";
import { titleWidth } from "./title-width.ts";

/** One group that stays. */
export interface KeptGroup {
  readonly gid: number;
  readonly name: string | undefined;
  /** What it lets the program use that others may not, and that the sandbox shows. */
  readonly opens: readonly GroupAccess[];
}

export interface GroupAccess {
  readonly path: string;
  readonly access: "read" | "write";
}

/** Places that a system's groups are for. A `*` stands for what begins so. */
const known = [
  ..."/var/log /var/log/journal /var/log/audit /var/mail /var/backups".split(" "),
  ..."/run/docker.sock /run/podman/podman.sock /run/containerd/containerd.sock /run/libvirt/libvirt-sock".split(
    " ",
  ),
  ..."/var/lib/docker /var/lib/lxd/unix.socket /var/snap/lxd/common/lxd/unix.socket /var/lib/incus/unix.socket".split(
    " ",
  ),
  ..."/dev/sd* /dev/nvme* /dev/vd* /dev/xvd* /dev/dm-* /dev/mapper /dev/mem /dev/kmem /dev/port /dev/kvm".split(
    " ",
  ),
  ..."/dev/dri /dev/fb0 /dev/snd /dev/input /dev/uinput /dev/video* /dev/tty* /dev/bus/usb /dev/fuse".split(
    " ",
  ),
  ..."/etc/shadow /etc/gshadow /etc/sudoers /etc/ssl/private /etc/ppp /usr/local /usr/src /opt".split(" "),
];

/** What decides of a group's reach in one sandbox. */
export interface GroupScene {
  readonly groups: readonly number[];
  /** The file system's folders and files that the program is shown, with whether it may write there. */
  readonly shown: readonly { readonly path: string; readonly writable: boolean }[];
  /** What lies below these is not there for the program. */
  readonly covered: readonly string[];
  /** Lines of /etc/group. */
  readonly names: string;
}

/** The groups that stay with the program, each with what it opens. */
export function keptGroups({ groups, shown, covered, names }: GroupScene): readonly KeptGroup[] {
  const places = [...new Set([...known.flatMap(matches), ...shown.map(({ path }) => path)])].flatMap(
    accessOf,
  );
  return groups.map((gid) => ({
    gid,
    name: nameOf(gid, names),
    opens: places.flatMap(({ path, gid: owner, read, write }): readonly GroupAccess[] => {
      const above = shown.filter((one) => isWithin(path, one.path));
      if (owner !== gid || above.length === 0 || covered.some((one) => isWithin(path, one))) return [];
      if (write && above.some(({ writable }) => writable)) return [{ path, access: "write" }];
      return read ? [{ path, access: "read" }] : [];
    }),
  }));
}

/** The kept groups as `callgate plan` prints them behind the steps. */
export function describeGroups(groups: readonly KeptGroup[]): string {
  if (groups.length === 0) return "";
  const lines = groups.map(({ gid, name, opens }) => {
    const what = opens.map(({ path, access }) => `${access} ${sanitise(path)}`).join(", ");
    return `${name === undefined ? gid : `${sanitise(name)} (${gid})`}: ${what || "nothing of what is shown"}`;
  });
  return ["these stay, only root can give them up; what they open:", ...lines]
    .map((line, index) => `${(index === 0 ? "groups" : "").padEnd(titleWidth)}${line}\n`)
    .join("");
}

/** This process's groups but its main one. */
export function supplementaryGroups(): readonly number[] {
  const main = process.getgid?.();
  return [...new Set(process.getgroups?.() ?? [])].filter((gid) => gid !== main).sort((a, b) => a - b);
}

export function groupNames(): string {
  try {
    return readFileSync("/etc/group", "utf8");
  } catch {
    return "";
  }
}

function nameOf(gid: number, names: string): string | undefined {
  return names
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[2] === String(gid))?.[0];
}

function matches(pattern: string): readonly string[] {
  if (!pattern.endsWith("*")) return existsSync(pattern) ? [pattern] : [];
  const folder = pattern.slice(0, pattern.lastIndexOf("/"));
  const beginning = pattern.slice(folder.length + 1, -1);
  try {
    return readdirSync(folder)
      .filter((name) => name.startsWith(beginning))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** What a group may do with a path that others may not. */
function accessOf(path: string): readonly {
  readonly path: string;
  readonly gid: number;
  readonly read: boolean;
  readonly write: boolean;
}[] {
  const real = realPath(path);
  if (real === undefined) return [];
  const { gid, mode } = statSync(real);
  const read = (mode & 0o040) !== 0 && (mode & 0o004) === 0;
  const write = (mode & 0o020) !== 0 && (mode & 0o002) === 0;
  return read || write ? [{ path: real, gid, read, write }] : [];
}
