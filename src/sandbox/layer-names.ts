/** The parts of a sandbox by name. What this machine has of them: layers.ts, which starts a process to find out. */

/**
 * A part of a sandbox that may be absent where a policy (`missing-layers`) or a command line (`--missing`) says so.
 * - `namespaces`: the program's own users, mounts, processes, network.
 * - `proc`: a /proc of its own processes.
 * - `landlock`: files a second time, independent of mounts (the only time without namespaces).
 * - `scopes`: no signals and abstract sockets to the outside, where no namespace keeps them.
 * - `network`: TCP ports by number.
 * - `limits`: a number of processes.
 * - `hardening`: no new code.
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
