/**
 * Where tests of kept plans and jobs are at home: persons with a folder each, in which a Node counts how often it is
 * started. As root everything is in a mount namespace of its own, so that the machine's own kept plans are left alone.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import { isRoot, ordinaryUser, root, scratchPath } from "./native.ts";

export interface Person {
  readonly name: string;
  readonly uid: number;
  /** Where this person's kept plans are. */
  readonly folder: string;
}
const uid = process.getuid?.() ?? 0;
const folderOf = (id: number): string =>
  existsSync(`/run/user/${id}`) ? `/run/user/${id}/callgate` : `/dev/shm/callgate-${id}`;
export const everybody: readonly Person[] = isRoot
  ? [
      { name: "root", uid: 0, folder: "/run/callgate" },
      { name: "an ordinary user", uid: ordinaryUser.uid, folder: folderOf(ordinaryUser.uid) },
    ]
  : [{ name: "an ordinary user", uid, folder: folderOf(uid) }];

/** A process in a mount namespace with its own /run and /dev/shm, which the tests' programs join. */
let holder: ChildProcess | undefined;

/** To be called once by each test file. */
export function keepApart(): void {
  before(async () => {
    if (!isRoot) return;
    // Plans rest on files of /etc, in which other tests make users meanwhile.
    const line = [
      "mount -t tmpfs tmpfs /run",
      "mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
      "mkdir -m 700 /run/own && cp -a /etc /run/own && mount --bind /run/own/etc /etc",
      "echo ready && exec sleep 100000",
    ].join(" && ");
    holder = spawn("unshare", ["--mount", "--propagation", "private", "sh", "-c", line], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve, reject) => {
      holder?.stdout?.once("data", resolve);
      holder?.once("exit", () => reject(new Error("unshare --mount failed")));
    });
  });
  after(() => {
    holder?.kill("SIGKILL");
    if (!isRoot) for (const { folder } of everybody) rmSync(folder, { recursive: true, force: true });
  });
}

/** How a program gets into that namespace, before its own words. */
export function entering(): readonly string[] {
  return isRoot ? ["nsenter", "--mount", "-t", String(holder?.pid)] : [];
}

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command of these tests' world, as root or as this person. */
export function inside(person: Person, command: readonly string[], options: RunOptions = {}): Result {
  const [program = "", ...args] = commandInside(person, command, options);
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: "utf8",
    timeout: 120_000,
    killSignal: "SIGKILL",
    env: options.env ?? {},
    stdio: [options.input ?? "ignore", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
}

/** The words of that command, to be started with the options' environment and folder. */
export function commandInside(
  person: Person,
  command: readonly string[],
  options: RunOptions = {},
): readonly string[] {
  const enter = isRoot ? [...entering(), "/bin/sh", "-c", 'cd "$0" && exec "$@"', options.cwd ?? "/"] : [];
  const groups = options.groups === undefined ? ["--clear-groups"] : ["--groups", options.groups];
  const become =
    isRoot && options.asIs !== true
      ? ["setpriv", "--reuid", String(person.uid), "--regid", String(person.uid), ...groups]
      : [];
  return [...enter, ...become, ...(options.before ?? []), ...command];
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly groups?: string;
  /** Not as the person, but as whoever runs the tests. */
  readonly asIs?: boolean;
  /** A descriptor. */
  readonly input?: number;
  /** What stands before the command. */
  readonly before?: readonly string[];
}

/** A person's own folder with a home, a place to work in, policies, and a Node that counts how often it is started. */
export class World {
  readonly person: Person;
  readonly folder: string;
  readonly callgate: string;
  readonly command: "run" | "learn";
  readonly usual: readonly string[];
  constructor(
    person: Person,
    callgate: string = join(root, "bin", "callgate"),
    command: World["command"] = "run",
  ) {
    this.person = person;
    this.callgate = callgate;
    this.command = command;
    const options = command === "run" ? ["--policy"] : ["--once", "-o"];
    this.usual = [...options, "../policy.toml", "--", "sh", "-c", "echo done"];
    this.folder = scratchPath("world");
    for (const name of ["", "home", "work", "bin"]) mkdirSync(join(this.folder, name), { recursive: true });
    this.write("started", "");
    this.write(
      "bin/node",
      `#!/bin/sh\necho >>${this.path("started")}\n[ -e ${this.path("no-node")} ] && exit 9\nexec ${process.execPath} "$@"\n`,
    );
    this.write(
      "base.toml",
      'version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = "deny keyctl"\n',
    );
    this.write("policy.toml", 'version = 1\nextends = ["./base.toml"]\n[syscalls]\nrules = "deny add_key"\n');
    for (const name of ["", "home", "work", "bin", "bin/node", "started"]) {
      chmodSync(this.path(name), 0o755);
      if (isRoot) chownSync(this.path(name), person.uid, person.uid);
    }
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string): void {
    writeFileSync(this.path(name), text, { mode: 0o755 });
    if (isRoot) chownSync(this.path(name), this.person.uid, this.person.uid);
  }

  env(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
    return { HOME: this.path("home"), PATH: `${this.path("bin")}:/usr/bin:/bin`, ...more };
  }

  /** Runs callgate, and says whether Node was started for it. */
  run(args: readonly string[] = this.usual, options: RunOptions = {}): Result & { readonly fresh: boolean } {
    const earlier = this.starts();
    const result = inside(this.person, [this.callgate, this.command, ...args], {
      env: this.env(),
      cwd: this.path("work"),
      ...options,
    });
    return { ...result, fresh: this.starts() > earlier };
  }

  starts(): number {
    return readFileSync(this.path("started"), "utf8").length;
  }

  /** A run whose plan holds: it may take two, since what was changed a moment ago is not relied on. */
  settle(args: readonly string[] = this.usual, options: RunOptions = {}): void {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const { fresh, status, stderr } = this.run(args, options);
      assert.equal(status, 0, stderr);
      if (!fresh) return;
    }
    assert.fail("the plan was never kept");
  }

  /** The kept plans, without the key. */
  kept(): readonly string[] {
    const { stdout } = inside(this.person, ["ls", this.person.folder], { asIs: true });
    return stdout.split("\n").filter((name) => name !== "" && name !== "key");
  }

  forget(): void {
    inside(this.person, ["rm", "-rf", this.person.folder], { asIs: true });
  }
}

/** Something that what is kept rests on, changed in a world; with what the next run is to be started. */
export type Change = (world: World) => RunOptions & { readonly args?: readonly string[] };

/** What plans and jobs rest on alike. The policy includes base.toml, which has the word keyctl. */
export const commonChanges: Readonly<Record<string, Change>> = {
  "the policy, by a comment": (world) => {
    world.write("policy.toml", `${readFileSync(world.path("policy.toml"), "utf8")}# other\n`);
    return {};
  },
  "an included file with size and mtime put back": (world) => {
    const { atime, mtime, size } = statSync(world.path("base.toml"));
    world.write("base.toml", readFileSync(world.path("base.toml"), "utf8").replace("keyctl", "acct  "));
    utimesSync(world.path("base.toml"), atime, mtime);
    assert.equal(statSync(world.path("base.toml")).size, size);
    return {};
  },
  "PATH, whose order is another": (world) => ({
    env: world.env({ PATH: `${world.path("bin")}:/bin:/usr/bin` }),
  }),
  "a file that was absent: a program earlier in PATH": (world) => {
    world.write("bin/sh", "#!/bin/sh\necho done\n");
    return {};
  },
  "the working directory, replaced by another of the same name": (world) => {
    renameSync(world.path("work"), world.path("away"));
    mkdirSync(world.path("work"));
    return {};
  },
  HOME: (world) => ({ env: world.env({ HOME: world.path("") }) }),
  "the program": (world) => ({ args: world.usual.map((word) => (word === "sh" ? "bash" : word)) }),
  no_new_privs: () => ({ before: ["setpriv", "--no-new-privs"] }),
  ...(isRoot ? { "the groups": () => ({ groups: "4242" }) } : {}),
};
