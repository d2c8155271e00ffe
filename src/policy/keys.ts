/** The keys of a policy file and the words that some of them take: the reader and the JSON Schema have them from here. */

/** At the top, in the order in which people write them. */
export const topKeys = [
  "version",
  "name",
  "extends",
  "expect",
  "syscalls",
  "files",
  "network",
  "limits",
  "environment",
  "hardening",
] as const;

/** The keys of each section. */
export const sectionKeys = {
  syscalls: ["default", "baseline", "newer", "abis", "other-abis", "multiplexed", "require", "rules"],
  files: ["read", "write"],
  network: ["mode", "ports"],
  limits: ["memory", "processes", "cpu-time", "wall-time", "file-size", "open-files"],
  environment: ["keep", "set"],
  hardening: ["new-code", "exec", "missing-layers"],
} as const;

/** Keys whose value is one of a few words. */
export const choices = {
  multiplexed: ["strict", "open"],
  mode: ["off", "host", "ports"],
  "new-code": ["allow", "deny"],
  exec: ["any", "files"],
} as const;

/** A Linux version, as `baseline` has it. */
export const versionPattern = /^[0-9]+(\.[0-9]+){1,2}$/;

/** Less memory is not enough to start anything. */
export const leastMemory = 64 * 1024;

/** Units of limits, with what one of each is. */
export const sizeUnits = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 } as const;
export const timeUnits = { "": 1, s: 1, m: 60, h: 3600 } as const;

/**
 * A part of a sandbox that may be absent where a policy (`missing-layers`) or a command line (`--missing`) says so.
 * - `namespaces`: the program's own users, mounts, processes, network.
 * - `proc`: a /proc of its own processes.
 * - `landlock`: files a second time, independent of mounts (the only time without namespaces).
 * - `scopes`: no signals and abstract sockets to the outside, where no namespace keeps them.
 * - `network`: TCP ports by number.
 * - `limits`: a number of processes.
 * - `hardening`: no new code.
 *
 * What this machine has of them: sandbox/layers.ts.
 */
export type Layer = (typeof layerNames)[number];
export const layerNames = [
  "namespaces",
  "proc",
  "landlock",
  "scopes",
  "network",
  "limits",
  "hardening",
] as const;
