/** The files that a program used, as lists that people can read: folded into folders, with what is delicate apart. */
import { syscallByNumber } from "../syscalls/index.ts";
import { socketAddress } from "./addresses.ts";
import type { Observation, SeenText } from "./records.ts";

export interface FileUse {
  readonly read: readonly string[];
  readonly write: readonly string[];
  /** Keys and passwords: to be granted by hand, or not at all. */
  readonly secrets: readonly string[];
  /** What has another name in the next run: temporary files, /proc of a process. */
  readonly volatile: readonly string[];
  readonly programs: readonly string[];
}

/** More files than this in one folder are the folder. */
const manyFiles = 6;

const system = ["/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin"];
const secret =
  /(?:^|\/)(?:\.ssh|\.gnupg|\.aws|\.kube|\.password-store|\.mozilla|keyrings?)(?:\/|$)|\/(?:shadow|gshadow|sudoers|\.netrc|\.pgpass|\.git-credentials|\.npmrc|\.pypirc|\.docker\/config\.json|id_[a-z0-9]+|[^/]*\.(?:pem|key|p12|pfx|kdbx))$/;
/** Of whom everybody may trust, not of whom one is. */
const publicCertificates = /^\/etc\/ssl\/certs\/[^/]*\.pem$|\/(?:cacert|ca-bundle|ca-certificates)\.pem$/;
const volatile = /^\/(?:tmp|var\/tmp|dev\/shm|proc\/\d+|run\/user)(?:\/|$)/;
const openCalls = ["open", "openat", "openat2", "creat"];
const accessModes = 3n;
const creates = 0o100n;

/** What there is of files after a run. Programs look for many that are not there. */
export interface FileFacts {
  readonly exists: (path: string) => boolean;
  /** Whether it was there before the run, too. */
  readonly wasThere: (path: string) => boolean;
}

/** What was read, changed and started, as it was named: of what is made or removed, the folder. */
export interface PathUse {
  readonly read: ReadonlySet<string>;
  readonly write: ReadonlySet<string>;
  readonly programs: ReadonlySet<string>;
}

/** The paths of a run, by what was done with them. */
export function pathUse(observation: Observation, { exists, wasThere }: FileFacts): PathUse {
  const read = new Set<string>();
  const write = new Set<string>();
  const programs = new Set<string>();
  for (const text of observation.texts) {
    const socket = text.kind === "address" ? socketAddress(text.bytes)?.path : undefined;
    if (text.kind === "address" && socket === undefined) continue;
    const path = normalise(socket ?? new TextDecoder().decode(text.bytes));
    const call = syscallByNumber(text.call.abi, text.call.nr)?.name ?? "";
    if (!path.startsWith("/")) continue;
    if (call.startsWith("exec")) {
      if (exists(path)) programs.add(path);
    } else if (call === "connect" || call === "sendto" || call === "sendmsg") {
      // Speaking to a socket that is a file is no writing to it, for mounts and for Landlock.
      if (exists(path)) read.add(path);
    } else if (writes(call, text)) {
      write.add(openCalls.includes(call) && wasThere(path) ? path : parentOf(path));
    } else if (exists(path)) {
      read.add(path);
    }
  }
  return { read, write, programs };
}

/** For people. */
export function fileUse(observation: Observation, facts: FileFacts): FileUse {
  const { read, write, programs } = pathUse(observation, facts);
  const all = [...read, ...write];
  const isPassing = (path: string): boolean => isVolatile(path) && !facts.wasThere(path);
  const isPlain = (path: string): boolean => !isSecret(path) && !isPassing(path);
  const folded = fold([...write].filter(isPlain));
  return {
    read: fold([...read].filter(isPlain)).filter((path) => !folded.some((one) => contains(one, path))),
    write: folded,
    secrets: [...new Set(all.filter(isSecret))].sort(),
    volatile: fold(all.filter((path) => isPassing(path) && !isSecret(path))),
    programs: [...programs].sort(),
  };
}

/** Keys and passwords, by their names. */
export function isSecret(path: string): boolean {
  return secret.test(path) && !publicCertificates.test(path);
}

/** Folders whose files have other names in the next run. */
export function isVolatile(path: string): boolean {
  return volatile.test(path);
}

function writes(call: string, { call: { args } }: SeenText): boolean {
  if (!openCalls.includes(call)) return true;
  if (call === "creat") return true;
  // openat2's flags lie in memory: taken for reading, and the file lists say what they are made from.
  const flags = call === "openat2" ? 0n : ((call === "open" ? args[1] : args[2]) ?? 0n);
  return (flags & accessModes) !== 0n || (flags & creates) !== 0n;
}

/** Without `.`, `..` and doubled slashes, by the text alone. */
function normalise(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `${path.startsWith("/") ? "/" : ""}${parts.join("/")}`;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** Whether a path is a folder or lies below it. */
export function contains(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}

/** By the folders above it, since a run can have very many paths. */
function liesBelowOne(path: string, folders: ReadonlySet<string>): boolean {
  for (let at = path; at !== "/"; ) {
    at = parentOf(at);
    if (folders.has(at)) return true;
  }
  return false;
}

/**
 * System folders whole, and folders instead of the many files in them.
 * @param mayFold whether a folder may stand for what is in it
 */
export function fold(
  paths: readonly string[],
  mayFold: (folder: string) => boolean = () => true,
): readonly string[] {
  let current = new Set(paths.map((path) => system.find((folder) => contains(folder, path)) ?? path));
  for (;;) {
    const children = new Map<string, number>();
    for (const path of current) children.set(parentOf(path), (children.get(parentOf(path)) ?? 0) + 1);
    const full = [...children]
      .filter(([folder, count]) => count > manyFiles && folder.split("/").length > 2 && mayFold(folder))
      .map(([folder]) => folder);
    const all = new Set([...current, ...full]);
    const next = new Set([...all].filter((path) => !liesBelowOne(path, all)));
    if (next.size === current.size && [...next].every((path) => current.has(path))) return [...next].sort();
    current = next;
  }
}
