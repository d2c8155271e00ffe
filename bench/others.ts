/** The filters that others make of a profile: libseccomp's, and what runc and crun have loaded into a live container. */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { type Filter, readFilter } from "../src/bpf/index.ts";
import { packageRoot } from "../src/sandbox/package-files.ts";
import { readProcessFilters } from "../src/sandbox/process-filters.ts";
import type { Profile } from "./calls.ts";

/** A filter, or a sentence that says why there is none. */
export type Made = { readonly filter: Filter; readonly note?: string } | { readonly missing: string };

const operators = ["", "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
const architectures: Readonly<Record<string, number>> = {
  SCMP_ARCH_X86_64: 0xc000_003e,
  SCMP_ARCH_X86: 0x4000_0003,
  // libseccomp's own: the kernel's value is that of x86_64.
  SCMP_ARCH_X32: 0x4000_003e,
};
const defaultErrno = 1;
/** In milliseconds; a busy machine takes its time. */
const startTime = 20_000;

/** Compiles a C program of the bench; undefined where that fails. */
export function buildProgram(folder: string, name: string, ...flags: readonly string[]): string | undefined {
  const program = join(folder, name);
  const source = join(packageRoot(), "bench", `${name}.c`);
  return spawnSync("gcc", ["-O2", "-o", program, source, ...flags]).status === 0 ? program : undefined;
}

/** Debian's libseccomp at one of its optimisation levels. */
export function libseccompFilter(program: string | undefined, profile: Profile, level: 1 | 2): Made {
  if (program === undefined) return { missing: "needs gcc and libseccomp-dev" };
  const { status, stdout, stderr } = spawnSync(program, [String(level)], { input: linesOf(profile) });
  if (status !== 0) return { missing: stderr.toString().trim() };
  const unknown = Number(stderr.toString());
  return {
    filter: readFilter(stdout),
    ...(unknown > 0 ? { note: `leaves out ${unknown} names that it does not know` } : {}),
  };
}

function linesOf(profile: Profile): string {
  const usual = actionOf(profile.defaultAction, profile.defaultErrnoRet);
  const lines = [`default ${usual}`];
  for (const name of profile.architectures) lines.push(`arch ${architectures[name]}`);
  for (const { names, action, errnoRet, args = [] } of profile.syscalls) {
    const number = actionOf(action, errnoRet);
    if (number === usual) continue;
    const comparisons = args.map(
      ({ index, op, value, valueTwo = 0 }) =>
        `${index} ${operators.indexOf(op.replace("SCMP_CMP_", ""))} ${value} ${valueTwo}`,
    );
    for (const name of names) lines.push(["rule", number, name, ...comparisons].join(" "));
  }
  return `${lines.join("\n")}\n`;
}

function actionOf(action: string, errno = defaultErrno): number {
  switch (action) {
    case "SCMP_ACT_ALLOW":
      return 0x7fff_0000;
    case "SCMP_ACT_ERRNO":
      return 0x0005_0000 + errno;
    case "SCMP_ACT_KILL_PROCESS":
      return 0x8000_0000;
    default:
      throw new Error(`no policy of the bench answers ${action}`);
  }
}

export type Runtime = "runc" | "crun";

/**
 * Starts a container with the profile, reads the filter of its program back from the kernel, and removes the container.
 * @param folder where to put the container's files
 */
export async function runtimeFilter(runtime: Runtime, folder: string, profile: Profile): Promise<Made> {
  if (process.getuid?.() !== 0) return { missing: "needs root: reading a live filter does" };
  if (spawnSync(runtime, ["--version"]).error !== undefined) return { missing: "is not installed" };
  const bundle = join(folder, "bundle");
  rmSync(bundle, { recursive: true, force: true });
  for (const name of ["proc", "dev"]) mkdirSync(join(bundle, "rootfs", name), { recursive: true });
  if (buildProgram(join(bundle, "rootfs"), "sleeper", "-static", "-nostdlib") === undefined)
    return { missing: "needs gcc" };
  writeFileSync(join(bundle, "config.json"), JSON.stringify(containerOf(profile)));
  const name = `callgate-bench-${process.pid}`;
  const pidFile = join(bundle, "pid");
  const run = ["run", "--detach", "--pid-file", pidFile, "--bundle", bundle, name];
  const log = join(bundle, "log");
  const output = openSync(log, "w");
  try {
    // crun refuses to start where both versions of cgroups are mounted: in a mount namespace of its own one is not.
    const alone = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';
    const { status } = spawnSync("unshare", ["-m", "sh", "-c", alone, "sh", runtime, ...run], {
      stdio: ["ignore", output, output],
      timeout: startTime,
    });
    if (status !== 0)
      return { missing: `does not start: ${readFileSync(log, "utf8").trim().split("\n").at(-1)}` };
    const pid = Number(readFileSync(pidFile, "utf8"));
    if (!(await isRunning(pid))) return { missing: "its program is killed before it runs" };
    const read = readProcessFilters(pid);
    if ("problem" in read) return { missing: read.problem };
    const [filter, ...more] = read.filters;
    if (filter === undefined || more.length > 0) return { missing: `loads ${read.filters.length} filters` };
    return { filter };
  } finally {
    closeSync(output);
    spawnSync(runtime, ["delete", "--force", name], { stdio: "ignore" });
    rmSync(bundle, { recursive: true, force: true });
  }
}

/** The smallest container that both runtimes take. */
function containerOf(profile: Profile): unknown {
  return {
    ociVersion: "1.0.2",
    process: { user: { uid: 0, gid: 0 }, cwd: "/", args: ["/sleeper"], noNewPrivileges: true },
    root: { path: "rootfs", readonly: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
    ],
    linux: {
      namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })),
      seccomp: profile,
    },
  };
}

/** Whether the container's program is what runs in a process, once the runtime has made way for it. */
async function isRunning(pid: number): Promise<boolean> {
  const end = Date.now() + startTime;
  while (Date.now() < end) {
    let name: string;
    try {
      name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
    } catch {
      return false;
    }
    if (name === "sleeper") return true;
    if (/^State:\s+Z/m.test(statusOf(pid))) return false;
    await setTimeout(5);
  }
  return false;
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "State: Z";
  }
}
