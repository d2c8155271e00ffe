/** Where containers are, as LXC's own tools find them. */

import { existsSync, readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { errorCode } from "../diagnostics/error-code.ts";

export interface Container {
  readonly name: string;
  readonly lxcpath: string;
  /** lxcpath/name. */
  readonly folder: string;
  readonly configFile: string;
}

/** A container that is not there, or a path that LXC would not take; the message says what to do. */
export class ContainerError extends Error {
  override readonly name = "ContainerError";
}

const isRoot = (): boolean => process.getuid?.() === 0;

const ofRoot = "/var/lib/lxc";

/** The folder of containers: of `-P`, of the user's or the system's lxc.conf, or LXC's own default. */
export function lxcpathOf(given: string | undefined): string {
  if (given !== undefined) {
    if (!isAbsolute(given))
      throw new ContainerError(`-P takes an absolute path: LXC starts nothing from ${given}`);
    return given.replace(/(.)\/+$/, "$1");
  }
  const own = configured(lxcConf(), "lxc.lxcpath");
  return own ?? (isRoot() ? ofRoot : join(homedir(), ".local", "share", "lxc"));
}

/** What LXC begins the configuration of a new container with. */
export function defaultConfigFile(): string {
  const file = configured(lxcConf(), "lxc.default_config");
  return file ?? (isRoot() ? "/etc/lxc/default.conf" : join(userFolder(), "lxc", "default.conf"));
}

const userFolder = (): string => process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config");
const systemConf = "/etc/lxc/lxc.conf";
const lxcConf = (): string => (isRoot() ? systemConf : join(userFolder(), "lxc", "lxc.conf"));

function configured(file: string, key: "lxc.lxcpath" | "lxc.default_config"): string | undefined {
  try {
    const pattern = new RegExp(`^\\s*${key.replace(".", "\\.")}\\s*=\\s*(\\S+)\\s*$`, "m");
    return pattern.exec(readFileSync(file, "utf8"))?.[1];
  } catch {
    return undefined;
  }
}

/** @throws ContainerError */
export function containerNamed(name: string, lxcpath: string): Container {
  if (name === "" || name.includes("/") || name.startsWith("."))
    throw new ContainerError(`${JSON.stringify(name)} is no name of a container`);
  const folder = join(lxcpath, name);
  const configFile = join(folder, "config");
  if (lookAt(configFile) === "hidden") throw new ContainerError(saidOfHidden([folder]));
  if (!existsSync(configFile)) {
    const { containers, hidden } = lookAround(lxcpath);
    const others = othersOfRoot(lxcpath, name);
    const known = [
      containers.length === 0 && hidden.length === 0 ? `there are none in ${lxcpath}` : "",
      containers.length === 0 ? "" : `in ${lxcpath} are ${containers.map((one) => one.name).join(", ")}`,
      hidden.length === 0 ? "" : saidOfHidden(hidden),
      others,
    ].filter((part) => part !== "");
    throw new ContainerError(`there is no container ${JSON.stringify(name)}: ${known.join("; ")}`);
  }
  return { name, lxcpath, folder, configFile };
}

/**
 * All containers, by name.
 * @throws ContainerError where this user cannot see all of them: nobody is told then that these are all
 */
export function containersIn(lxcpath: string): readonly Container[] {
  const { containers, hidden } = lookAround(lxcpath);
  if (hidden.length > 0) throw new ContainerError(saidOfHidden(hidden));
  return containers;
}

/** What is said where a user has no containers. */
export function noneIn(lxcpath: string): string {
  const others = othersOfRoot(lxcpath);
  return `there are no containers in ${lxcpath}${others === "" ? "" : `; ${others}`}`;
}

interface Surroundings {
  readonly containers: readonly Container[];
  /** Folders of containers, or the one of them all, that this user may not look into. */
  readonly hidden: readonly string[];
}

function lookAround(lxcpath: string): Surroundings {
  const names = namesIn(lxcpath);
  if (names === "hidden") return { containers: [], hidden: [lxcpath] };
  const all = names.map((name) => {
    const folder = join(lxcpath, name);
    return { name, lxcpath, folder, configFile: join(folder, "config") };
  });
  return {
    containers: all.filter(({ configFile }) => existsSync(configFile)),
    hidden: all.flatMap(({ folder, configFile }) => (lookAt(configFile) === "hidden" ? [folder] : [])),
  };
}

function namesIn(folder: string): readonly string[] | "hidden" {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    return isRefused(error) ? "hidden" : [];
  }
}

function lookAt(path: string): Stats | "hidden" | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return isRefused(error) ? "hidden" : undefined;
  }
}

const isRefused = (error: unknown): boolean => errorCode(error) === "EACCES";

const asRoot = "sudo callgate lxc …";

function saidOfHidden(folders: readonly string[]): string {
  const owners = new Set(
    folders.map((folder) => {
      const found = lookAt(folder);
      return typeof found === "object" ? found.uid : undefined;
    }),
  );
  const isOfRoot = owners.size === 1 && owners.has(0);
  return `this user may not look into ${folders.join(", ")}: ${isOfRoot ? `root may (${asRoot})` : "its owner may"}`;
}

/** That root has such a container, or any: an ordinary user's are elsewhere. */
function othersOfRoot(lxcpath: string, name?: string): string {
  const folder = configured(systemConf, "lxc.lxcpath") ?? ofRoot;
  if (isRoot() || folder === lxcpath) return "";
  if (name !== undefined) {
    const isThere = lookAt(join(folder, name)) !== undefined && lookAt(folder) !== "hidden";
    return isThere ? `${join(folder, name)} is root's (${asRoot})` : "";
  }
  const names = namesIn(folder);
  return names === "hidden" || names.length > 0 ? `root's are in ${folder} (${asRoot})` : "";
}

/** What is said where a tool of LXC's is needed and is not in PATH. */
export const lxcMissing = "LXC is not installed, or its tools are not in PATH (Debian: apt-get install lxc)";

/**
 * The process id of the container's init, as the host sees it; undefined where it does not run.
 * @throws ContainerError where LXC is not there to be asked: nobody is told then that it does not run
 */
export function initOf({ name, lxcpath }: Container): number | undefined {
  // Asked for where it is needed: it costs a start some milliseconds.
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const { stdout, error } = spawnSync("lxc-info", ["-P", lxcpath, "-n", name, "-pH"], {
    encoding: "utf8",
    timeout: 30_000,
  });
  if (errorCode(error) === "ENOENT") throw new ContainerError(lxcMissing);
  const pid = Number((stdout ?? "").trim());
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}
