/** Linux versions as data. */

export interface KernelVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** Reads `6.1`, `2.6.28`, and what `uname -r` prints: `6.18.44-foo` is 6.18.44. Undefined for anything else. */
export function parseVersion(text: string): KernelVersion | undefined {
  const match = /^(\d{1,4})\.(\d{1,5})(?:\.(\d{1,5}))?(?:[-+~_].*|\.[-+~_\d].*)?$/s.exec(text);
  if (match === null) return undefined;
  const [, major, minor, patch = "0"] = match;
  return { major: Number(major), minor: Number(minor), patch: Number(patch) };
}

/** Negative where `a` is older than `b`, positive where it is newer, 0 where they are the same. */
export function compareVersions(a: KernelVersion, b: KernelVersion): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

/** `6.1`, `2.6.28`: without a patch level of 0. */
export function formatVersion(version: KernelVersion): string {
  const release = `${version.major}.${version.minor}`;
  return version.patch === 0 ? release : `${release}.${version.patch}`;
}

/** The newest release whose calls the tables know. Source: linux-libc-dev 7.2.13-1. */
export const newestVersion: KernelVersion = { major: 7, minor: 2, patch: 0 };
