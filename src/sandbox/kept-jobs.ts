/**
 * Kept jobs: what the watcher has to know to watch a program again without Node, and to say what Node would say where the
 * run brings nothing new. native/kept-job.h reads it, finds it and keeps it; what else it rests on are facts, as with plans.
 */
import { spawn } from "node:child_process";
import { Socket } from "node:net";
import { encodeFacts, prunePlans } from "./kept-plans.ts";
import type { Fact } from "./lookups.ts";
import { nativeProgram } from "./package-files.ts";

/** Numbers of a call: an architecture's and its own. */
export interface ExpectedCall {
  readonly arch: number;
  readonly nr: number;
}

export interface ExpectedRun {
  /** Of `watchJob`. */
  readonly job: Uint8Array;
  /** Calls that may be handed up, however often and with whatever arguments. */
  readonly calls: readonly ExpectedCall[];
  /** All paths that such calls are made with: each comes, and no other. */
  readonly texts: readonly (ExpectedCall & { readonly which: number; readonly bytes: Uint8Array })[];
  /** Whether these are there when the program has ended. */
  readonly files: ReadonlyMap<string, boolean>;
  readonly program: string;
  readonly arguments: readonly string[];
  readonly policy: {
    /** Its folder, without links. */
    readonly folder: string;
    readonly name: string;
    /** Its text around the line that counts runs. The counts themselves are the policy's alone. */
    readonly before: string;
    readonly after: string;
    /** That line: of one run, of more. */
    readonly counted: readonly [string, string];
  };
  /** What is said to the user: where this is the first run that brings nothing new, and later. */
  readonly said: readonly [string, string];
}

/** What a text has where the watcher puts in a number. */
export const places = {
  runs: "\u0001",
  idle: "\u0002",
  status: "\u0003",
  mebibytes: "\u0004",
  seconds: "\u0005",
} as const;

const most = { texts: 1024, files: 1024, policy: 1 << 17, said: 1 << 15, whole: 1 << 22, job: 1 << 20 };

/** The bytes that native/kept-job.h describes; undefined where there is no room for it. */
export function encodeExpected(run: ExpectedRun): Uint8Array | undefined {
  const { policy } = run;
  const parts = [
    numbers(run.job.length),
    run.job,
    numbers(run.calls.length, ...run.calls.flatMap(({ arch, nr }) => [arch, nr])),
    numbers(run.texts.length),
    ...run.texts.flatMap(({ arch, nr, which, bytes }) => [numbers(arch, nr, which, bytes.length), bytes]),
    numbers(run.files.size),
    ...[...run.files].flatMap(([path, isThere]) => [numbers(isThere ? 1 : 0), strings(path)]),
    numbers(run.arguments.length),
    strings(run.program, ...run.arguments, policy.folder, policy.name),
    ...[policy.before, policy.after].flatMap((text) => [numbers(Buffer.byteLength(text)), Buffer.from(text)]),
    strings(...policy.counted, ...run.said),
  ];
  const length = 16 + parts.reduce((sum, part) => sum + part.length, 0);
  const fits =
    run.texts.length <= most.texts &&
    run.files.size <= most.files &&
    run.job.length < most.job &&
    Buffer.byteLength(policy.before) + Buffer.byteLength(policy.after) < most.policy &&
    run.said.every((text) => Buffer.byteLength(text) < most.said) &&
    length < most.whole;
  return fits ? Buffer.concat([Buffer.from("cglearn2"), numbers(length, 0), ...parts]) : undefined;
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, 4 * index);
  return bytes;
}

/** @throws RangeError for a text with a zero in it, which would end it */
function strings(...texts: readonly string[]): Buffer {
  if (texts.some((text) => text.includes("\0"))) throw new RangeError("a kept text has a NUL in it");
  return Buffer.from(texts.map((text) => `${text}\0`).join(""));
}

/**
 * Has the watcher keep it, for the command line by which bin/callgate starts it. Where that cannot be done nothing is
 * kept, and the next run is Node's.
 */
export async function keepJob(
  run: Uint8Array,
  facts: readonly Fact[],
  commandLine: readonly string[],
): Promise<void> {
  const child = spawn(nativeProgram("watcher"), ["keep", ...commandLine], {
    stdio: ["inherit", "inherit", "inherit", "pipe"],
  });
  await new Promise<void>((settle) => {
    child.on("error", () => settle());
    child.on("close", () => settle());
    const to = child.stdio[3];
    if (!(to instanceof Socket)) return;
    to.on("error", () => {});
    to.end(Buffer.concat([run, encodeFacts(facts, [])]));
  });
  prunePlans(process.getuid?.() ?? 0);
}
