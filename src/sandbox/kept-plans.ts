/**
 * Kept plans: what the launcher has to look at before it uses a plan again, and where it keeps it. The launcher finds,
 * writes and checks them (native/kept.h); here is said what a plan rests on, and when one may be kept at all. Of the jobs
 * that the watcher keeps (kept-jobs.ts) the same is true.
 */
import { readdirSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { sanitise } from "../diagnostics/index.ts";
import type { Grant } from "./grants.ts";
import { type Fact, type Lookups, restOnFile, restOnFilesIn, statusOf } from "./lookups.ts";
import { readMountTable } from "./mount-table.ts";
import { packageRoot } from "./package-files.ts";
import type { Plan, PlanStep } from "./plan.ts";

/** Steps that rest on nothing but what lookups and the launcher's surroundings say. */
const keptSteps: ReadonlySet<PlanStep["kind"]> = new Set([
  ...([
    "cgroups",
    "namespaces",
    "idMaps",
    "mounts",
    "pivot",
    "hostName",
    "limits",
    "identity",
    "capabilities",
  ] as const),
  ...(["hardening", "landlock", "environment", "workingDirectory", "terminal", "noNewPrivileges"] as const),
  ...([
    "closeDescriptors",
    "signals",
    "filter",
    "execute",
    "report",
    "notifyingFilter",
    "explainKill",
  ] as const),
]);

const mostFacts = 8192;
/** Of the contents of files, in bytes: they are written down with the plan. */
const mostContent = 256 * 1024;
/** A clock's tick, amply: what was changed since can be changed again without a sign of it. */
const youngMilliseconds = 50;

/** Files of callgate's own that decide what a plan says. Called in a recording. */
export function restOnCallgate(): void {
  restOnFilesIn(join(packageRoot(), "dist", "cli"));
  restOnFile(join(packageRoot(), "native", "prebuilt", "FINGERPRINTS"));
  // Node too: it prints reports, with the caller's rights.
  restOnFile(process.execPath);
}

/** Why a plan cannot be kept; undefined where it can. */
export function keepProblem(plan: Plan, lookups: Lookups): string | undefined {
  const step = plan.steps.find(({ kind }) => !keptSteps.has(kind));
  return step === undefined || "gap" in lookups ? factsProblem(lookups) : `it has the step ${step.kind}`;
}

/** Why nothing can be kept that rests on these lookups. */
export function factsProblem(lookups: Lookups): string | undefined {
  if ("gap" in lookups) return lookups.gap;
  if (lookups.facts.length > mostFacts) return "it rests on too many files";
  const contents = lookups.facts.map((fact) => (fact.kind === "content" ? fact.content.length : 0));
  if (contents.reduce((sum, length) => sum + length, 0) > mostContent)
    return "the files that it rests on are too large";
  const now = Date.now();
  const young = lookups.facts.find(
    (fact) => fact.kind === "unchanged" && now - Number(fact.status.ctimeMs) < youngMilliseconds,
  );
  return young === undefined ? undefined : `${sanitise(young.path)} was changed just now`;
}

const kinds = { absent: 1, same: 2, unchanged: 3, content: 4, note: 5, end: 6 } as const;

/**
 * What goes to the launcher behind a plan that may be kept: its facts, and what was said to the user when it was made.
 * The bytes are described in native/kept.h.
 */
export function encodeFacts(facts: readonly Fact[], notes: readonly string[]): Uint8Array {
  const most = facts.reduce(
    (sum, fact) =>
      sum + mostFactBytes + 3 * fact.path.length + (fact.kind === "content" ? fact.content.length : 0),
    notes.reduce((sum, note) => sum + mostFactBytes + 3 * note.length, mostFactBytes),
  );
  // All in one buffer: there are a hundred facts and more, and this runs in processes that have just started.
  const bytes = Buffer.alloc(most);
  let at = 0;
  for (const fact of facts) at = writeFact(bytes, at, fact);
  for (const note of notes) at = writeText(bytes, writeNumbers(bytes, at, kinds.note, 0), note);
  at = writeText(bytes, writeNumbers(bytes, at, kinds.end, 0), "");
  return bytes.subarray(0, at);
}

/** Numbers, and the zero behind the path. */
const mostFactBytes = 80;

/** Each of these answers where the next thing begins. */
function writeFact(bytes: Buffer, start: number, fact: Fact): number {
  if (fact.kind === "absent")
    return writeText(bytes, writeNumbers(bytes, start, kinds.absent, fact.errno), fact.path);
  const { mode, uid, gid, dev, ino, birthtimeNs, size, mtimeNs, ctimeNs } = fact.status;
  let at = writeNumbers(bytes, start, kinds[fact.kind], 0, Number(mode), Number(uid), Number(gid));
  at = writeLongs(bytes, at, dev, ino, birthtimeNs);
  if (fact.kind !== "same") at = writeLongs(bytes, at, size, mtimeNs, ctimeNs);
  if (fact.kind === "content") {
    at = writeNumbers(bytes, at, fact.content.length);
    bytes.set(fact.content, at);
    at += fact.content.length;
  }
  return writeText(bytes, at, fact.path);
}

function writeNumbers(bytes: Buffer, start: number, ...values: readonly number[]): number {
  return values.reduce((at, value) => bytes.writeUInt32LE(value, at), start);
}

function writeLongs(bytes: Buffer, start: number, ...values: readonly bigint[]): number {
  return values.reduce((at, value) => bytes.writeBigInt64LE(BigInt.asIntN(64, value), at), start);
}

/** The bytes behind it are zero already. */
function writeText(bytes: Buffer, start: number, value: string): number {
  return start + bytes.write(value, start) + 1;
}

// ── The folder ─────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Where the plans of a user are. The environment has no say: otherwise a program that may write somewhere could lay a
 * plan there and wait for a day on which this place is somebody's HOME. `open_folder` of the launcher has the same rule.
 */
function keptFolder(uid: number): string {
  if (uid === 0) return "/run/callgate";
  const own = statusOf(`/run/user/${uid}`);
  const isOwn = own?.isDirectory() === true && Number(own.uid) === uid && (Number(own.mode) & 0o77) === 0;
  return isOwn ? `/run/user/${uid}/callgate` : `/dev/shm/callgate-${uid}`;
}

/**
 * Whether a grant would show somebody's kept plans to the program: it could read the key there, and lay a plan of its
 * own beside it. Also by another name of the same folder, which may be mounted below the one that is granted. (/dev is
 * never granted.)
 */
export function showsKeptPlans({ path, identity }: Pick<Grant, "path" | "identity">, uid: number): boolean {
  if (/^\/(?:run(?:\/callgate(?:\/.*)?|\/user(?:\/[0-9]+(?:\/callgate(?:\/.*)?)?)?)?)?$/.test(path))
    return true;
  const user = `/run/user/${uid}`;
  const folders = ["/", "/run", "/run/callgate", "/run/user", user, `${user}/callgate`];
  const isSame = [...folders, "/dev", "/dev/shm", `/dev/shm/callgate-${uid}`].some((one) => {
    const status = statusOf(one);
    return status?.dev === identity.device && status.ino === identity.inode;
  });
  if (isSame) return true;
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  const kept = [`${user}/callgate`, "/run/callgate", `/dev/shm/callgate-${uid}`];
  return kept.flatMap((one) => otherNames(mounts, one)).some((point) => isBelow(point, path));
}

/**
 * Where else a folder, one above it or something in it is mounted.
 * @param mounts what /proc/self/mountinfo says
 */
export function otherNames(mounts: string, folder: string): readonly string[] {
  const all = readMountTable(mounts);
  // Of those on the way to it the innermost, and of those at one place the last, holds it.
  const [holder] = all
    .filter(({ point }) => isBelow(folder, point))
    .reverse()
    .sort((one, other) => other.point.length - one.point.length);
  if (holder === undefined) return [];
  const inside = `${holder.root === "/" ? "" : holder.root}${holder.point === "/" ? folder : folder.slice(holder.point.length)}`;
  return all
    .filter((mount) => mount !== holder && mount.device === holder.device)
    .filter(({ root }) => isBelow(inside, root) || isBelow(root, inside))
    .map(({ point }) => point);
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || folder === "/" || path.startsWith(`${folder}/`);
}

const mostPlans = 256;

/** Removes the oldest plans where there are very many: what they rest on is most likely gone. */
export function prunePlans(uid: number): void {
  const folder = keptFolder(uid);
  try {
    const names = readdirSync(folder).filter((name) => name !== "key");
    if (names.length <= mostPlans) return;
    const byAge = names
      .map((name) => ({ name, time: statSync(join(folder, name)).mtimeMs }))
      .sort((one, other) => one.time - other.time);
    for (const { name } of byAge.slice(0, names.length - mostPlans / 2)) unlinkSync(join(folder, name));
  } catch {
    // Not there yet, or another process was quicker.
  }
}
