// The native programs, real launches of plans, and small C programs for tests in tests/kernel.
// Needs gcc (for fixtures) and `npm run build:native`.
import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodePlan, type Plan, type PlanArchitecture, type PlanStep } from "../../src/sandbox/plan.ts";

/** The package: this file runs as dist/tests/kernel/native.js. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

/** This machine, as plans and the folder of prebuilt programs name it. */
export const architecture: PlanArchitecture = process.arch === "arm64" ? "aarch64" : "x86_64";

const prebuilt = join(root, "native", "prebuilt", `linux-${architecture}`);
export const launcherPath = join(prebuilt, "launcher");
export const probePath = join(prebuilt, "probe");

/** True where tests can also try what an ordinary user sees. */
export const isRoot = process.getuid?.() === 0;
/** `nobody`, without groups of ours. */
export const ordinaryUser = { uid: 65534, gid: 65534 } as const;

let scratchFolder: string | undefined;

/** A folder of this test process, readable by everybody, removed at the end. */
export function scratch(): string {
  if (scratchFolder === undefined) {
    const made = mkdtempSync(join(tmpdir(), "callgate-kernel-"));
    chmodSync(made, 0o755);
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
    scratchFolder = made;
  }
  return scratchFolder;
}

let counter = 0;

/** A new path in the scratch folder. */
export function scratchPath(name: string): string {
  counter += 1;
  return join(scratch(), `${counter}-${name}`);
}

/** A file with this content, in the scratch folder. */
export function scratchFile(name: string, content: string | Uint8Array, mode = 0o644): string {
  const path = scratchPath(name);
  writeFileSync(path, content, { mode });
  chmodSync(path, mode);
  return path;
}

/** Compiles one C file with gcc; the program's path. */
export function compileC(name: string, source: string, flags: readonly string[] = []): string {
  const file = scratchFile(`${name}.c`, source);
  const program = scratchPath(name);
  const result = spawnSync("gcc", ["-O1", "-Wall", ...flags, file, "-o", program], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`gcc ${name}: ${result.stderr ?? String(result.error)}`);
  return program;
}

export interface RunOptions {
  readonly args?: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly detached?: boolean;
  /** Descriptors from 3 on: the content of each, or undefined for none. */
  readonly descriptors?: readonly (string | Uint8Array | undefined)[];
}

export interface RunResult {
  readonly pid: number;
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, at most four minutes: a busy machine takes its time. */
export function runProgram(program: string, options: RunOptions = {}): RunResult {
  const opened = (options.descriptors ?? []).map((content) =>
    content === undefined ? undefined : openSync(scratchFile("descriptor", content), "r"),
  );
  const { uid, gid, cwd } = options;
  try {
    const result = spawnSync(program, options.args ?? [], {
      stdio: ["pipe", "pipe", "pipe", ...opened.map((descriptor) => descriptor ?? ("ignore" as const))],
      input: options.input ?? "",
      env: { ...(options.env ?? process.env) },
      encoding: "utf8",
      timeout: 240_000,
      killSignal: "SIGKILL",
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      ...(options.detached === undefined ? {} : { detached: options.detached }),
    });
    if (result.error !== undefined) throw result.error;
    const { pid, status, signal, stdout, stderr } = result;
    return { pid, status, signal, stdout, stderr };
  } finally {
    for (const descriptor of opened) if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Carries out a plan (or any bytes in a plan's place) by `launcher plan`. */
export function launch(plan: Plan | Uint8Array, options: RunOptions = {}): RunResult {
  const bytes = plan instanceof Uint8Array ? plan : encodePlan(plan);
  return runProgram(launcherPath, {
    ...options,
    args: ["plan"],
    descriptors: [bytes, ...(options.descriptors ?? [])],
  });
}

/** A plan for this machine whose last step executes a program by its path. */
export function planFor(steps: readonly PlanStep[], path: string, ...args: readonly string[]): Plan {
  return { architecture, steps: [...steps, { kind: "execute", path, arguments: [path, ...args] }] };
}

/** A plan for this machine that runs a line of sh. */
export function shellPlan(steps: readonly PlanStep[], line: string): Plan {
  return planFor(steps, "/bin/sh", "-c", line);
}

/** `struct sock_filter[]` from `[code, jt, jf, k]`. */
export function filterBytes(
  instructions: readonly (readonly [number, number, number, number])[],
): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = new DataView(bytes.buffer);
  instructions.forEach(([code, jt, jf, k], index) => {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, jt);
    view.setUint8(index * 8 + 3, jf);
    view.setUint32(index * 8 + 4, k, true);
  });
  return bytes;
}

/** Numbers of the few calls that these tests name themselves, on this machine. */
export const numbers: Readonly<Record<"uname" | "execve" | "seccomp", number>> =
  architecture === "x86_64"
    ? { uname: 63, execve: 59, seccomp: 317 }
    : { uname: 160, execve: 221, seccomp: 277 };

/** A filter that refuses one call with an errno and allows the rest. */
export function refuseFilter(number: number, errno: number): Uint8Array {
  return filterBytes([
    [0x20, 0, 0, 0],
    [0x15, 0, 1, number],
    [0x06, 0, 0, 0x00050000 | errno],
    [0x06, 0, 0, 0x7fff0000],
  ]);
}
