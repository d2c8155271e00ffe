/** What `doctor` finds out: the kernel's answers (native/doctor.c), settings under /proc and /sys, installed programs. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { release } from "node:os";
import { basename, join } from "node:path";
import { errorCode } from "../../diagnostics/error-code.ts";
import { type CgroupPlace, placeFor, thisProcess } from "../../sandbox/cgroups.ts";
import { thisMachine } from "../../sandbox/layers.ts";
import { nativeProgram } from "../../sandbox/package-files.ts";
import type { Controller } from "../../sandbox/steps.ts";
import { launcherProblem } from "../../sandbox/verify-launcher.ts";
import { type AbiName, hostAbi } from "../../syscalls/index.ts";

/** Everything that the checks judge, as data. */
export interface Facts {
  readonly platform: string;
  readonly release: string;
  readonly abi: AbiName | undefined;
  readonly isRoot: boolean;
  /**
   * The answers of native/doctor.c, and, as `launcher-…`, what the launcher can do: 0 or more is yes, a negative errno no,
   * below -1000 a signal.
   */
  readonly answers: ReadonlyMap<string, number>;
  /** Why there are no answers. */
  readonly noAnswers: string | undefined;
  /** `Seccomp:` of this process: 2 when it is under a filter already. */
  readonly seccompMode: number | undefined;
  /** By their names, `user.max_user_namespaces`; a setting that this kernel does not have is not in it. */
  readonly settings: ReadonlyMap<string, string>;
  /** What kind of container this is in, or undefined. */
  readonly container: string | undefined;
  readonly cgroups: Cgroups;
  readonly launcher: { readonly path: string; readonly problem: string | undefined };
  readonly lxc: string | undefined;
  readonly libseccomp: string | undefined;
  readonly gcc: string | undefined;
}

export interface Cgroups {
  readonly version: "v1" | "v2" | "hybrid" | "none";
  /** The own cgroup's folder, on v2. */
  readonly folder: string | undefined;
  /** Where a sandbox's group for each of its limits can be made. */
  readonly places: Readonly<Record<Controller, CgroupPlace | undefined>>;
}

const settingNames = [
  "user.max_user_namespaces",
  "kernel.unprivileged_userns_clone",
  "kernel.apparmor_restrict_unprivileged_userns",
  "kernel.yama.ptrace_scope",
];

export function gatherFacts(): Facts {
  const { answers, noAnswers } = askKernel();
  const path = nativeProgram("launcher");
  return {
    platform: process.platform,
    release: release(),
    abi: hostAbi(),
    isRoot: process.getuid?.() === 0,
    answers,
    noAnswers,
    seccompMode: numberIn(/^Seccomp:\s*(\d+)$/m, textOf("/proc/self/status")),
    settings: settings(),
    container: containerKind(),
    cgroups: cgroups(),
    launcher: {
      path,
      problem: existsSync(path) ? launcherProblem() : `${path} is not there`,
    },
    lxc: versionOf("lxc-start"),
    libseccomp: libseccompVersion(),
    gcc: versionOf("gcc"),
  };
}

function askKernel(): {
  readonly answers: ReadonlyMap<string, number>;
  readonly noAnswers: string | undefined;
} {
  const program = nativeProgram("doctor");
  const { stdout, error, signal } = spawnSync(program, [], { encoding: "utf8", timeout: 30_000 });
  const answers = new Map<string, number>();
  for (const [, name = "", number] of (stdout ?? "").matchAll(/^([a-z0-9-]+) (-?\d+)$/gm))
    answers.set(name, Number(number));
  const machine = thisMachine();
  if (answers.size > 0) {
    answers.set("launcher-namespaces", 0 - machine.namespaces).set("launcher-proc", 0 - machine.proc);
    return { answers, noAnswers: undefined };
  }
  const why = errorCode(error) ?? signal ?? "no answer";
  return { answers, noAnswers: `${program} could not be run (${why})` };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function numberIn(pattern: RegExp, text: string): number | undefined {
  const found = pattern.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

function settings(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const name of settingNames) {
    const text = textOf(join("/proc/sys", ...name.split("."))).trim();
    if (text !== "") found.set(name, text);
  }
  return found;
}

function containerKind(): string | undefined {
  const named = textOf("/run/systemd/container").trim();
  if (named !== "") return named;
  if (existsSync("/.dockerenv")) return "docker";
  if (existsSync("/run/.containerenv")) return "podman";
  const variable = process.env["container"];
  if (variable !== undefined && variable !== "") return variable;
  // Only root may read it.
  return /(?:^|\0)container=([^\0]+)/.exec(textOf("/proc/1/environ"))?.[1];
}

function cgroups(): Cgroups {
  const around = thisProcess();
  const hasOld = / - cgroup /.test(around.mounts);
  const point = /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(around.mounts)?.[1];
  const unified = /^0::(.*)$/m.exec(around.own)?.[1];
  return {
    version: point === undefined ? (hasOld ? "v1" : "none") : hasOld ? "hybrid" : "v2",
    folder: unified === undefined || point === undefined ? undefined : join(point, unified),
    places: { memory: placeFor(["memory"], around), pids: placeFor(["pids"], around) },
  };
}

/** The version that a program names with --version, or undefined where there is no such program. */
function versionOf(program: string): string | undefined {
  const { status, stdout } = spawnSync(program, ["--version"], {
    encoding: "utf8",
    timeout: 10_000,
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, LC_ALL: "C" },
  });
  return status === 0 ? (/\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? "unknown") : undefined;
}

/** libseccomp, which LXC compiles its profiles with: its file has its version in its name. */
function libseccompVersion(): string | undefined {
  for (const folder of libraryFolders()) {
    const link = join(folder, "libseccomp.so.2");
    if (!existsSync(link)) continue;
    return /\.so\.(\d+(?:\.\d+)*)$/.exec(basename(realpathSync(link)))?.[1] ?? "unknown";
  }
  return undefined;
}

function libraryFolders(): readonly string[] {
  const roots = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib"];
  const triplets = ["/lib", "/usr/lib"].flatMap((root) => {
    try {
      return readdirSync(root)
        .filter((name) => name.includes("-linux-"))
        .map((name) => join(root, name));
    } catch {
      return [];
    }
  });
  return [...roots, ...triplets];
}
