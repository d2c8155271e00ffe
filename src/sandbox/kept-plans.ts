/**
 * Kept plans: what the launcher has to look at before it uses a plan again, and where it keeps it. The launcher finds,
 * writes and checks them (native/kept-plan.h); here is said what a plan rests on, and when one may be kept at all.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { sanitise } from "../diagnostics/index.ts";
import type { Grant } from "./grants.ts";
import { entriesOf, type Fact, type Lookups, restOnFile, statusOf } from "./lookups.ts";
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
/** A clock's tick, amply: what was changed since can be changed again without a sign of it. */
const youngMilliseconds = 50;

/** Files of callgate's own that decide what a plan says. Called in a recording. */
export function restOnCallgate(): void {
  const cli = join(packageRoot(), "dist", "cli");
  const folders = [cli, join(cli, "tables")];
  const files = folders.flatMap((folder) =>
    entriesOf(folder).flatMap(({ name, isFolder }) => (isFolder ? [] : [join(folder, name)])),
  );
  const sums = join(packageRoot(), "native", "prebuilt", "SHA256SUMS");
  // Node too: it prints reports, with the caller's rights.
  for (const file of [...files, sums, process.execPath]) restOnFile(file);
}

/** Why a plan cannot be kept; undefined where it can. */
export function keepProblem(plan: Plan, lookups: Lookups): string | undefined {
  if ("gap" in lookups) return lookups.gap;
  const step = plan.steps.find(({ kind }) => !keptSteps.has(kind));
  if (step !== undefined) return `it has the step ${step.kind}`;
  if (lookups.facts.length > mostFacts) return "it rests on too many files";
  const now = Date.now();
  const young = lookups.facts.find(
    (fact) => fact.kind === "unchanged" && now - Number(fact.status.ctimeMs) < youngMilliseconds,
  );
  return young === undefined ? undefined : `${sanitise(young.path)} was changed just now`;
}

const kinds = { absent: 1, same: 2, unchanged: 3, content: 4, note: 5 } as const;

/**
 * What goes to the launcher behind a plan that may be kept: its facts, and what was said to the user when it was made.
 * The bytes are described in native/kept-plan.h.
 */
export function encodeFacts(facts: readonly Fact[], notes: readonly string[]): Uint8Array {
  const parts = [...facts.map(encodeFact), ...notes.map((note) => [numbers32(kinds.note, 0), text(note)])];
  return Buffer.concat(parts.flat());
}

function encodeFact(fact: Fact): readonly Uint8Array[] {
  if (fact.kind === "absent") return [numbers32(kinds.absent, fact.errno), text(fact.path)];
  const { mode, uid, gid, dev, ino, birthtimeNs, size, mtimeNs, ctimeNs } = fact.status;
  return [
    numbers32(kinds[fact.kind], 0, Number(mode), Number(uid), Number(gid)),
    numbers64(dev, ino, birthtimeNs),
    ...(fact.kind === "same" ? [] : [numbers64(size, mtimeNs, ctimeNs)]),
    ...(fact.kind === "content" ? [createHash("blake2b512").update(fact.content).digest()] : []),
    text(fact.path),
  ];
}

function numbers32(...values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    bytes.writeUInt32LE(value, index * 4);
  });
  return bytes;
}

function numbers64(...values: readonly bigint[]): Uint8Array {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => {
    bytes.writeBigInt64LE(BigInt.asIntN(64, value), index * 8);
  });
  return bytes;
}

function text(value: string): Uint8Array {
  return Buffer.from(`${value}\0`);
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
  const all = mounts.split("\n").flatMap((line) => {
    const found = /^\S+ \S+ (\S+) (\S+) (\S+) /.exec(line);
    if (found === null) return [];
    const [, device = "", root = "", point = ""] = found;
    return [{ device, root: unescaped(root), point: unescaped(point) }];
  });
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

/** The kernel writes spaces, tabs, newlines and backslashes in octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
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
