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
