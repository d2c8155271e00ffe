/** Where containers are, as LXC's own tools find them. */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

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

/** The folder of containers: of `-P`, of the user's or the system's lxc.conf, or LXC's own default. */
export function lxcpathOf(given: string | undefined): string {
  if (given !== undefined) {
    if (!isAbsolute(given))
      throw new ContainerError(`-P takes an absolute path: LXC starts nothing from ${given}`);
    return given.replace(/(.)\/+$/, "$1");
  }
  const own = configured(lxcConf(), "lxc.lxcpath");
  return own ?? (isRoot() ? "/var/lib/lxc" : join(homedir(), ".local", "share", "lxc"));
}

/** What LXC begins the configuration of a new container with. */
export function defaultConfigFile(): string {
  const file = configured(lxcConf(), "lxc.default_config");
  return file ?? (isRoot() ? "/etc/lxc/default.conf" : join(userFolder(), "lxc", "default.conf"));
}

const userFolder = (): string => process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config");
const lxcConf = (): string => (isRoot() ? "/etc/lxc/lxc.conf" : join(userFolder(), "lxc", "lxc.conf"));

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
  if (!existsSync(configFile)) {
    const others = containersIn(lxcpath).map((one) => one.name);
    const known =
      others.length === 0 ? `there are none in ${lxcpath}` : `in ${lxcpath} are ${others.join(", ")}`;
    throw new ContainerError(`there is no container ${JSON.stringify(name)}: ${known}`);
  }
  return { name, lxcpath, folder, configFile };
}

/** All containers, by name. */
export function containersIn(lxcpath: string): readonly Container[] {
  try {
    return readdirSync(lxcpath)
      .sort()
      .filter((name) => existsSync(join(lxcpath, name, "config")))
      .map((name) => ({
        name,
        lxcpath,
        folder: join(lxcpath, name),
        configFile: join(lxcpath, name, "config"),
      }));
  } catch {
    return [];
  }
}

/** What is said where a tool of LXC's is needed and is not in PATH. */
export const lxcMissing = "LXC is not installed, or its tools are not in PATH (Debian: apt-get install lxc)";

/**
 * The process id of the container's init, as the host sees it; undefined where it does not run.
 * @throws ContainerError where LXC is not there to be asked: nobody is told then that it does not run
 */
export function initOf({ name, lxcpath }: Container): number | undefined {
  const { stdout, error } = spawnSync("lxc-info", ["-P", lxcpath, "-n", name, "-pH"], {
    encoding: "utf8",
    timeout: 30_000,
  });
  if (error !== undefined && "code" in error && error.code === "ENOENT") throw new ContainerError(lxcMissing);
  const pid = Number((stdout ?? "").trim());
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}
