/** Real LXC containers for tests: busybox, in a folder of their own, and gone at the end whatever happens. */
import { spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callgatePath } from "../cli/callgate.ts";

export const isRoot = process.getuid?.() === 0;
export const hasLxc = spawnSync("lxc-start", ["--version"]).status === 0;

/** Why containers cannot be tried here, or false. */
export const noContainers: string | false = !isRoot
  ? "containers are made by root here"
  : hasLxc
    ? false
    : "LXC is not installed";

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The users' home here: LXC keeps its locks and caches there. */
let home = "/root";

/** As `home` is when it is asked for: the user is made with the first container of his own. */
export const usersHome = (): string => home;

/** Runs a program to its end, at most five minutes if nothing else is said. */
export function run(command: string, args: readonly string[], user?: number, timeout = 300_000): Outcome {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    timeout,
    killSignal: "SIGKILL",
    cwd: "/",
    input: "",
    env: {
      PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
      LC_ALL: "C",
      NO_COLOR: "1",
      COLUMNS: "100",
      HOME: home,
    },
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
}

function mustRun(command: string, args: readonly string[], user?: number): Outcome {
  const outcome = run(command, args, user);
  if (outcome.status !== 0)
    throw new Error(`${command} ${args.join(" ")}: ${outcome.status} ${outcome.stdout}${outcome.stderr}`);
  return outcome;
}

/** Who owns a container and who is root in it. */
export type Kind = "privileged" | "userns" | "user";

export interface Container {
  readonly lxcpath: string;
  readonly name: string;
  readonly folder: string;
  readonly rootfs: string;
  readonly configFile: string;
  readonly user: number | undefined;
  /** The configuration as it was created. */
  readonly original: string;
  readonly config: () => string;
  readonly configure: (text: string) => void;
  /** `lxc-start`, daemonised. */
  readonly start: (...args: readonly string[]) => Outcome;
  readonly stop: () => void;
  readonly pid: () => number;
  /** Runs a line of sh as a child of the container's init, and gives what it wrote. */
  readonly inside: (line: string) => string;
  readonly callgatePath: string;
  /** `lxc-attach` with a line of sh. */
  readonly attach: (line: string) => Outcome;
  /** The same left running; its process id. */
  readonly attachInBackground: (line: string, byCallgate?: boolean) => { readonly pid: number };
  /** `callgate lxc …` with -P behind the subcommand. */
  readonly callgate: (subcommand: string, ...args: readonly string[]) => Outcome;
}

let counter = 0;
const cleanups: (() => void)[] = [];
let isExiting = false;

function cleanUp(): void {
  if (isExiting) return;
  isExiting = true;
  for (const cleanup of cleanups.reverse()) {
    try {
      cleanup();
    } catch {}
  }
}
process.on("exit", cleanUp);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

export function atEnd(cleanup: () => void): void {
  cleanups.push(cleanup);
}

/** An empty lxcpath that mapped ids can traverse. */
export function createLxcpath(user?: number): string {
  const folder = mkdtempSync(join(tmpdir(), "callgate-lxc-"));
  chmodSync(folder, 0o755);
  const lxcpath = join(folder, "lxc");
  mkdirSync(lxcpath, { mode: 0o755 });
  if (user !== undefined) chownSync(lxcpath, user, user);
  atEnd(() => {
    for (const name of run("lxc-ls", ["-P", lxcpath, "-1"], user).stdout.split("\n").filter(Boolean)) {
      run("lxc-stop", ["-P", lxcpath, "-n", name, "-k"], user);
      run("lxc-destroy", ["-P", lxcpath, "-n", name, "-s"], user);
      removeGroups(name);
    }
    rmSync(folder, { recursive: true, force: true });
  });
  return lxcpath;
}

/**
 * Takes a container's control groups away. LXC's monitor does so itself after lxc-stop has returned, but leaves one in
 * which something was still ending then: on a busy machine, now and then.
 */
function removeGroups(name: string): void {
  const root = "/sys/fs/cgroup";
  const own = new RegExp(`^lxc\\.(?:monitor|payload)\\.${name}(?:-\\d+)?$`);
  const left = (): readonly string[] =>
    [root, ...foldersIn(root).map((one) => join(root, one))].flatMap((hierarchy) =>
      foldersIn(hierarchy)
        .filter((group) => own.test(group))
        .map((group) => join(hierarchy, group)),
    );
  const end = Date.now() + 20_000;
  for (let groups = left(); groups.length > 0 && Date.now() < end; groups = left()) {
    // One with processes stays, and is tried again.
    run("find", [...groups, "-depth", "-type", "d", "-delete"]);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
}

function foldersIn(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [one.name] : []));
}

/** What every container of these tests has: no network, no AppArmor. */
const base = "lxc.net.0.type = empty\nlxc.apparmor.profile = unconfined\n";

/** Another test file may just have the lock of the accounts. */
function accounts(command: string, args: readonly string[]): void {
  for (
    const end = Date.now() + 180_000;
    ;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  ) {
    const { status, stderr } = run(command, args);
    if (status === 0) return;
    if (!/lock/.test(stderr) || Date.now() > end) throw new Error(`${command}: ${status} ${stderr}`);
  }
}

/** Changes a file of subordinate ids under the lock that useradd takes: usermod refuses while root is logged in. */
function editIds(file: string, edit: (text: string) => string): void {
  const lock = `${file}.lock`;
  const own = `${file}.${process.pid}`;
  writeFileSync(own, `${process.pid}\0`);
  try {
    for (
      const end = Date.now() + 180_000;
      ;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    ) {
      try {
        linkSync(own, lock);
        break;
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
    writeFileSync(file, edit(readFileSync(file, "utf8")));
    rmSync(lock);
  } finally {
    rmSync(own);
  }
}

/** Ids for root's containers, in a range of this process's own: another test may be using one, and takes its own away. */
function idsOfRoot(): number {
  const first = 0x1000_0000 + (process.pid % 4096) * 0x1_0000;
  if (!hasIdsOfRoot) {
    const line = `root:${first}:65536\n`;
    for (const file of ["/etc/subuid", "/etc/subgid"]) {
      editIds(file, (text) => text + line);
      atEnd(() => editIds(file, (text) => text.replace(line, "")));
    }
    hasIdsOfRoot = true;
  }
  return first;
}
let hasIdsOfRoot = false;

/** Of an ordinary user, `useradd` has allotted some. */
function subordinateIds(user: string | undefined): string {
  const first =
    user === undefined
      ? idsOfRoot()
      : readFileSync("/etc/subuid", "utf8")
          .split("\n")
          .find((line) => line.startsWith(`${user}:`))
          ?.split(":")[1];
  return `lxc.idmap = u 0 ${first} 65536\nlxc.idmap = g 0 ${first} 65536\n`;
}

/** An ordinary user with subordinate ids, who goes with the tests. */
function createUser(): { readonly name: string; readonly id: number } {
  const name = `cgtest${process.pid}`;
  home = mkdtempSync(join(tmpdir(), "callgate-home-"));
  chmodSync(home, 0o777);
  const made = home;
  atEnd(() => rmSync(made, { recursive: true, force: true }));
  accounts("useradd", ["--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", name]);
  atEnd(() => accounts("userdel", ["--force", name]));
  return { name, id: Number(mustRun("id", ["-u", name]).stdout) };
}

/** A worker below init: busybox's init starts it, and starts it again; it takes lines of sh from /job. */
const worker = `#!/bin/sh
while [ ! -e /job ]; do sleep 0.05; done
mv /job /job.running
/bin/sh /job.running >/job.out 2>&1
mv /job.out /job.done
`;

function addWorker(rootfs: string): void {
  writeFileSync(join(rootfs, "worker"), worker, { mode: 0o755 });
  appendFileSync(join(rootfs, "etc", "inittab"), "\n::respawn:/worker\n");
}

function runInside(rootfs: string, line: string): string {
  const done = join(rootfs, "job.done");
  rmSync(done, { force: true });
  writeFileSync(join(rootfs, "job.new"), `${line}\n`, { mode: 0o666 });
  renameSync(join(rootfs, "job.new"), join(rootfs, "job"));
  for (const end = Date.now() + 180_000; Date.now() < end; ) {
    if (existsSync(done)) return readFileSync(done, "utf8");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  throw new Error(`nothing in the container did: ${line}`);
}

/** Puts a program into a container's root. */
export function putProgram(container: Container, program: string, name: string): void {
  copyFileSync(program, join(container.rootfs, name));
  chmodSync(join(container.rootfs, name), 0o755);
}

export interface CreateOptions {
  readonly kind?: Kind;
  /** Where to create it; a folder of its own otherwise. */
  readonly lxcpath?: string;
  readonly config?: string;
  /** Its name; one that no other process's has otherwise. */
  readonly name?: string;
}

export function createContainer({
  kind = "privileged",
  lxcpath: given,
  config = "",
  name = `cg${process.pid}x${++counter}`,
}: CreateOptions = {}): Container {
  const owner = kind === "user" ? createUser() : undefined;
  const user = owner?.id;
  const lxcpath = given ?? createLxcpath(user);
  const baseFile = join(lxcpath, `${name}.base`);
  const ids = kind === "privileged" ? "" : subordinateIds(owner?.name);
  writeFileSync(baseFile, `${base}${ids}${config}`, { mode: 0o644 });
  mustRun("lxc-create", ["-P", lxcpath, "-n", name, "-t", "busybox", "-f", baseFile], user);
  rmSync(baseFile);
  addWorker(join(lxcpath, name, "rootfs"));
  return openContainer(lxcpath, name, user);
}

/** A container that is there. */
export function openContainer(lxcpath: string, name: string, user?: number): Container {
  const folder = join(lxcpath, name);
  const configFile = join(folder, "config");
  const at = ["-P", lxcpath, "-n", name];
  const read = (): string => readFileSync(configFile, "utf8");
  return {
    lxcpath,
    name,
    folder,
    rootfs: join(folder, "rootfs"),
    configFile,
    user,
    original: read(),
    config: read,
    configure: (text) => writeFileSync(configFile, text),
    start: (...args) => run("lxc-start", [...at, ...args], user),
    stop: () => void run("lxc-stop", [...at, "-k"], user),
    pid: () => Number(mustRun("lxc-info", [...at, "-pH"], user).stdout.trim()),
    inside: (line) => runInside(join(folder, "rootfs"), line),
    callgatePath,
    attach: (line) => run("lxc-attach", [...at, "--", "/bin/sh", "-c", line], user),
    attachInBackground: (line, byCallgate = false) => {
      const [command, before] = byCallgate
        ? [callgatePath, ["lxc", "attach", "-P", lxcpath, name]]
        : ["lxc-attach", at];

      const child = spawn(command, [...before, "--", "/bin/sh", "-c", `echo in; exec ${line}`], {
        stdio: ["ignore", openSync(join(lxcpath, "attached"), "w"), "ignore"],
      });
      for (const end = Date.now() + 180_000; readFileSync(join(lxcpath, "attached"), "utf8") === ""; ) {
        if (Date.now() > end) throw new Error("lxc-attach did not come in");
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      }
      return { pid: child.pid ?? 0 };
    },
    callgate: (subcommand, ...args) => run(callgatePath, ["lxc", subcommand, "-P", lxcpath, ...args], user),
  };
}
