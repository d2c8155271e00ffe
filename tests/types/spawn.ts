// The library's types as an editor sees them: compiled with everything else, never run.
import type { ChildProcess, ChildProcessWithoutNullStreams } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import {
  type Denial,
  type Denials,
  type ExecResult,
  exec,
  type Plan,
  type Policy,
  PolicyError,
  prepare,
  readPolicy,
  SandboxError,
  type SpawnOptions,
  type StartStep,
  spawn,
} from "../../src/index.ts";

/** Compiles only where both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function same<A, B>(equal: Same<A, B>): void;

export async function usages(policy: Policy, plan: Plan): Promise<void> {
  // ── prepare ────────────────────────────────────────────────────────────────────────────────────────────────
  const prepared = prepare("default");
  same<typeof prepared, Plan>(true);
  prepare(policy);
  prepare("version = 1", { filename: "mine.toml", format: "toml" });
  prepare({ version: 1, extends: ["default"], syscalls: { rules: ["deny keyctl", "allow @basic-io"] } });
  // @ts-expect-error: a document's version is 1
  prepare({ version: 2 });
  // @ts-expect-error: what may be undefined is looked at first
  prepare(readPolicy("").policy);
  // @ts-expect-error: a plan is prepared already
  prepare(plan);
  // @ts-expect-error: plans are read-only
  prepared.policy = policy;

  // ── spawn ──────────────────────────────────────────────────────────────────────────────────────────────────
  const piped = spawn("cat", ["-"], { policy: plan });
  same<typeof piped, ChildProcessWithoutNullStreams & Denials>(true);
  piped.stdin.end();
  piped.on("exit", (code, signal) => {
    same<typeof code, number | null>(true);
    same<typeof signal, NodeJS.Signals | null>(true);
  });
  spawn("cat", { policy: "default" }).stdout.setEncoding("utf8");
  const mixed = spawn("cat", [], { policy, stdio: ["pipe", "inherit", "ignore"] });
  same<typeof mixed.stdin, Writable>(true);
  same<typeof mixed.stdout, null>(true);
  same<typeof mixed.stderr, null>(true);
  const reading = spawn("cat", { policy, stdio: ["ignore", "pipe", null] });
  same<typeof reading.stdin, null>(true);
  same<typeof reading.stdout, Readable>(true);
  same<typeof reading.stderr, Readable>(true);
  const general = spawn("cat", [], { policy, stdio: ["ignore", "pipe", 2, "pipe", "ipc"] });
  same<typeof general, ChildProcess & Denials>(true);
  same<typeof general.stdout, Readable | null>(true);
  spawn("cat", Object.freeze(["a"]), { policy, stdio: "inherit", detached: true, shell: true, argv0: "x" });
  const options: SpawnOptions = { policy, signal: AbortSignal.timeout(1), timeout: 5, killSignal: "SIGKILL" };
  spawn("cat", options);
  // @ts-expect-error: without a policy nothing is started
  spawn("cat", ["-"]);
  // @ts-expect-error: without a policy nothing is started
  spawn("cat", ["-"], { stdio: "inherit" });
  // @ts-expect-error: arguments are texts
  spawn("cat", [1], { policy });
  // @ts-expect-error: there is no such signal
  spawn("cat", [], { policy, killSignal: "SIGNONE" });
  // @ts-expect-error: there is no such option
  spawn("cat", [], { policy, polcy: "default" });

  // ── exec ───────────────────────────────────────────────────────────────────────────────────────────────────
  const result = await exec("cat", [], { policy: plan, input: "x" });
  same<typeof result, ExecResult<string>>(true);
  same<typeof result.exitCode, number | null>(true);
  const latin = await exec("cat", [], { policy, encoding: "latin1" });
  same<typeof latin.stdout, string>(true);
  const bytes = await exec("cat", [], { policy, encoding: "buffer", input: new Uint8Array(1) });
  same<typeof bytes.stdout, Buffer>(true);
  // @ts-expect-error: there is no such encoding
  await exec("cat", [], { policy, encoding: "utf9" });
  // @ts-expect-error: the streams are its own
  await exec("cat", [], { policy, stdio: "inherit" });
  same<typeof result.denials, readonly Denial[]>(true);
  for await (const denial of piped.denials) same<typeof denial, Denial>(true);

  // ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────
  try {
    await exec("cat", [], { policy });
  } catch (error) {
    if (error instanceof SandboxError) {
      same<typeof error.step, StartStep>(true);
      same<typeof error.code, string>(true);
      same<typeof error.errno, number | undefined>(true);
    }
    if (error instanceof PolicyError) error.diagnostics.map(({ id, span }) => [id, span?.source.name]);
  }
}
