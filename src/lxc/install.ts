/** Writes a container's protection into its folder, whole or not at all, and remembers what it was made of. */
import { createHash } from "node:crypto";
import { chmodSync, closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { release } from "node:os";
import { counted } from "../diagnostics/words.ts";
import { type ContainerFiles, filesOf } from "./block.ts";
import { encodeKept, type KeptOptions } from "./kept.ts";
import { libseccompFile } from "./libseccomp.ts";
import { answersOf, type Demand, initProgram, type Protection } from "./protection.ts";
import type { Statements } from "./statements.ts";

/** What the last start was made of: for `status`, `verify` and `attach`. */
export interface ContainerState {
  readonly version: 1;
  readonly profileHash: string;
  readonly initHash: string;
  /** What profile and first program say and do, and what made them; undefined where nobody can tell. */
  readonly demandHash?: string;
  /** Instructions of the container's own filter. */
  readonly instructions: number;
  readonly noNewPrivileges: boolean;
  /** Whether refusals go to a watcher. */
  readonly watched: boolean;
  /** `container + 3 statements`. */
  readonly policy: string;
  readonly floor: string | null;
}

export interface Installed {
  readonly files: ContainerFiles;
  readonly state: ContainerState;
}

export interface InstallOptions extends Omit<KeptOptions, "made"> {
  readonly launcher: Uint8Array;
  readonly demandHash: string | undefined;
}

/** @throws Error of the file system */
export function installProtection(
  folder: string,
  protection: Protection,
  statements: Statements,
  { launcher, demandHash, ...looked }: InstallOptions,
): Installed {
  const files = filesOf(folder);
  // From here on until all is written there is nothing that a start could rely on.
  rmSync(files.kept, { force: true });
  const program = initProgram(launcher, protection);
  const state: ContainerState = {
    version: 1,
    profileHash: hashOf(Buffer.from(protection.attachProfile)),
    initHash: hashOf(program),
    ...(demandHash === undefined ? {} : { demandHash }),
    instructions: protection.filter.filter.instructions.length,
    noNewPrivileges: protection.noNewPrivileges,
    watched: protection.watched,
    policy: describeStatements(statements),
    floor: protection.floor?.file ?? null,
  };
  // A new file each time: what another start still executes or reads stays as it was.
  const written: readonly (readonly [file: string, bytes: Uint8Array, mode: number])[] = [
    [files.profile, Buffer.from(protection.profile), 0o644],
    [files.init, program, 0o555],
    [files.state, Buffer.from(`${JSON.stringify(state, null, 2)}\n`), 0o644],
    ...(protection.watched ? watchedFiles(files, protection) : []),
  ];
  if (!protection.watched)
    for (const file of [files.attachProfile, files.answers]) rmSync(file, { force: true });
  for (const [file, bytes, mode] of written) {
    replace(file, bytes, mode);
    if (!readFileSync(file).equals(bytes)) throw new Error(`${file} is not what was written to it`);
  }
  // A start with a watcher is always made anew.
  if (!protection.watched) keep(files, looked);
  return { files, state };
}

function keep(files: ContainerFiles, looked: Omit<KeptOptions, "made">): void {
  const kept = encodeKept({ ...looked, made: [files.profile, files.init, files.state] });
  if (kept !== undefined) replace(files.kept, kept, 0o644);
}

/**
 * Where a configuration that was changed asks for what it has asked for before, the files that were made and proved for
 * that serve again, if they still are what was written.
 * @returns whether it is so
 */
export function keepProtection(
  folder: string,
  { demandHash, ...looked }: Omit<InstallOptions, "launcher">,
): boolean {
  const files = filesOf(folder);
  const state = readState(folder);
  if (state === undefined || demandHash === undefined || state.demandHash !== demandHash || state.watched)
    return false;
  if (!hasHash(files.profile, state.profileHash) || !hasHash(files.init, state.initHash)) return false;
  rmSync(files.kept, { force: true });
  keep(files, looked);
  return true;
}

function hasHash(file: string, hash: string): boolean {
  try {
    return hashOf(readFileSync(file)) === hash;
  } catch {
    return false;
  }
}

/**
 * What a start that nobody watches is made of: two demands of one hash have the same profile and first program.
 * @param build what makes them: without a name for it nothing is known
 */
export function hashOfDemand(
  { statements, floor, noNewPrivileges, initCommand }: Demand,
  launcher: Uint8Array,
  build: string | undefined,
): string | undefined {
  if (build === undefined || statements.policy === undefined) return undefined;
  const parts = [
    build,
    hashOf(launcher),
    release(),
    libseccompFile() ?? null,
    statements.policy,
    describeStatements(statements),
    floor === undefined ? null : [floor.file, floor.text],
    noNewPrivileges,
    initCommand,
  ];
  // Where something stands, and why, changes nothing.
  const text = JSON.stringify(parts, (key, value: unknown) =>
    key === "span" || key === "reason" ? undefined : typeof value === "bigint" ? `${value}n` : value,
  );
  return hashOf(Buffer.from(text));
}

/**
 * Makes a start ready that is learned from: LXC's profile is the floor's alone, and the first program asks. Nothing of it is
 * kept for a later start.
 */
export function installLearning(folder: string, { floor }: Protection, program: Uint8Array): void {
  const files = filesOf(folder);
  for (const file of [files.kept, files.state, files.attachProfile, files.answers])
    rmSync(file, { force: true });
  replace(files.profile, Buffer.from(floor?.text ?? "2\ndenylist\n"), 0o644);
  replace(files.init, program, 0o555);
}

function watchedFiles(files: ContainerFiles, protection: Protection) {
  return [
    [files.attachProfile, Buffer.from(protection.attachProfile), 0o644],
    [files.answers, answersOf(protection), 0o644],
  ] as const;
}

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The state of the last start; undefined where there was none, or where its file is damaged. */
export function readState(folder: string): ContainerState | undefined {
  try {
    const state: unknown = JSON.parse(readFileSync(filesOf(folder).state, "utf8"));
    return isState(state) ? state : undefined;
  } catch {
    return undefined;
  }
}

function isState(value: unknown): value is ContainerState {
  return (
    typeof value === "object" &&
    value !== null &&
    "version" in value &&
    value.version === 1 &&
    "profileHash" in value &&
    typeof value.profileHash === "string" &&
    "initHash" in value &&
    typeof value.initHash === "string" &&
    "watched" in value &&
    typeof value.watched === "boolean" &&
    "policy" in value &&
    typeof value.policy === "string"
  );
}

/** `container + 3 statements`, `2 statements`. */
export function describeStatements({ lines, bases }: Statements): string {
  const others = lines.filter((line) => line.key !== "syscall.policy").length;
  return [...bases, ...(others === 0 ? [] : [counted(others, "statement")])].join(" + ");
}

function replace(path: string, bytes: Uint8Array, mode: number): void {
  const temporary = `${path}.${process.pid}`;
  try {
    const descriptor = openSync(temporary, "wx", 0o600);
    try {
      // Not synced: what a crash may leave in its place does not have the hash that the next start looks for.
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    } finally {
      closeSync(descriptor);
    }
    chmodSync(temporary, mode);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
