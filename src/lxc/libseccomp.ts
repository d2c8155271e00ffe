/** The libseccomp that LXC uses here, and the newest Linux whose calls it knows by name. */
import { realpathSync } from "node:fs";
import { type KernelVersion, parseVersion } from "../syscalls/index.ts";

/** Which Linux each release took its table from: its own release notes say so; the oldest counts where in doubt. */
const tables: readonly (readonly [release: string, linux: string])[] = [
  ["2.6.0", "6.12"],
  ["2.5.5", "6.6"],
  ["2.5.4", "5.17"],
  ["2.5.2", "5.14"],
  ["2.5.0", "5.8"],
  ["2.4.0", "5.0"],
];

const folders = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/lib64",
  "/lib",
];

/** Calls up to this version are known by name; too low a guess only moves rules from LXC's profile to our filter. */
export function newestKnownToLibseccomp(): KernelVersion {
  const release = installedRelease() ?? "2.4.0";
  const [, linux = "4.0"] = tables.find(([since]) => !isOlder(release, since)) ?? [];
  return parseVersion(linux) ?? { major: 4, minor: 0, patch: 0 };
}

function installedRelease(): string | undefined {
  return /\.so\.(\d+\.\d+\.\d+)$/.exec(libseccompFile() ?? "")?.[1];
}

/** The library's file, where it is in one of the usual folders. */
export function libseccompFile(): string | undefined {
  for (const folder of folders) {
    try {
      return realpathSync(`${folder}/libseccomp.so.2`);
    } catch {}
  }
  return undefined;
}

function isOlder(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => text.split(".").map(Number));
  for (let at = 0; at < 3; at++) {
    const difference = (x?.[at] ?? 0) - (y?.[at] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
