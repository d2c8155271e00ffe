/** What a policy has to grant of files and of the network for what a program did, beyond what every sandbox shows. */
import { syscallByNumber } from "../syscalls/index.ts";
import { socketAddress } from "./addresses.ts";
import { contains, type FileFacts, fold, isSecret, isVolatile, pathUse } from "./files.ts";
import { behindName } from "./learned-rules.ts";
import type { Observation } from "./records.ts";

export interface LearnedGrants {
  /** Absolute paths, folders and files; those below the home begin with `~/`. */
  readonly read: readonly string[];
  readonly write: readonly string[];
  /** TCP ports where nothing but TCP was used, and `host` where they are not enough; undefined: no network. */
  readonly network: "host" | readonly number[] | undefined;
  /** What was used and is not granted, with the reason. */
  readonly left: readonly { readonly path: string; readonly why: string }[];
  /** Keys and passwords that the program used and that are granted with a folder which it needs. */
  readonly exposed: readonly string[];
}

/** Where a program was watched, and what its policy grants already. */
export interface GrantPlace extends FileFacts {
  readonly home: string;
  readonly cwd: string;
  /** Whether the sandbox shows a path without a grant. */
  readonly isSystem: (path: string) => boolean;
  readonly granted: { readonly read: readonly string[]; readonly write: readonly string[] };
  readonly network: "off" | "host" | readonly number[];
}

/** What the policy has no grant for yet. */
export function learnedGrants(observation: Observation, place: GrantPlace): LearnedGrants {
  const { read, write, programs } = pathUse(observation, place);
  const left = new Map<string, string>();
  const plain = (path: string): boolean => {
    if (/^\/(?:proc|dev)(?:\/|$)/.test(path)) return false;
    const why = reasonToLeave(path, place);
    if (why !== undefined) left.set(path, why);
    return why === undefined;
  };
  const isNarrow = (path: string): boolean => {
    const wide = contains(path, place.home) || tooWide.test(path);
    if (wide) left.set(path, "the whole of it: grant what it needs by hand");
    return !wide;
  };
  const secrets = [...read, ...write].filter(isSecret);
  // A folder that the program did not ask for is not granted with a key in it.
  const isWithoutSecrets = (folder: string): boolean => !secrets.some((path) => contains(folder, path));
  const isGranted = (path: string, ...lists: readonly (readonly string[])[]): boolean =>
    lists.some((list) => list.some((folder) => contains(folder, path)));

  const isNoSystem = (path: string): boolean => {
    if (place.isSystem(path)) left.set(path, "a part of the system, which stays as it is");
    return !place.isSystem(path);
  };

  const wanted = fold(
    [...write]
      .filter((path) => !isGranted(path, place.granted.write))
      .filter(plain)
      .filter(isNoSystem)
      .filter(isNarrow),
    isWithoutSecrets,
  ).filter(isNarrow);
  const ownFolder = isOwnFolder(place) && isWithoutSecrets(place.cwd) ? place.cwd : undefined;
  const shown = [...read, ...programs]
    .filter((path) => !place.isSystem(path))
    .filter((path) => !isGranted(path, place.granted.read, place.granted.write, wanted))
    .filter(plain)
    .map((path) => (ownFolder !== undefined && contains(ownFolder, path) ? ownFolder : path));
  // Once more behind the folding, which may end at a home.
  const seen = fold([...new Set(shown)].filter(isNarrow), isWithoutSecrets).filter(isNarrow);
  const isOpen = (path: string): boolean => isGranted(path, wanted, seen);
  return {
    read: seen.filter((path) => !isGranted(path, wanted)).map((path) => atHome(path, place)),
    write: wanted.map((path) => atHome(path, place)),
    network: networkUse(observation, place.network),
    left: [...left]
      .filter(([path]) => !isOpen(path))
      .map(([path, why]) => ({ path, why }))
      .sort((a, b) => (a.path < b.path ? -1 : 1)),
    exposed: [...new Set(secrets.filter(isOpen))].sort(),
  };
}

/** Folders of the whole machine or of all of somebody's programs. */
const tooWide = /^\/(?:|tmp|var|var\/tmp|boot|run|run\/user|run\/user\/\d+)$/;

/** A folder that is the program's own is granted whole; a home or the root is not. */
function isOwnFolder({ cwd, home }: GrantPlace): boolean {
  return !contains(cwd, home) && !isVolatile(cwd) && cwd.split("/").length > 2;
}

function reasonToLeave(path: string, { wasThere }: GrantPlace): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no policy can name them
  if (/[\u0000-\u001f\u007f\ufffd]/.test(path)) return "its name has characters that no policy can write";
  if (isSecret(path)) return "a key or password: grant it by hand, or not at all";
  if (path.startsWith("/sys/") || path === "/sys")
    return "the machine's own, which the sandbox does not show";
  if (/^\/run\/(?:user\/\d+\/)?callgate(?:\/|$)/.test(path))
    return "callgate keeps plans there, and grants it to nobody";
  if (path === "/tmp" || path === "/dev/shm") return "the sandbox has one of its own";
  // The sandbox has these folders for itself: what the program makes there needs no grant, what it finds there does.
  if (isVolatile(path) && !wasThere(path)) return "made in this run, or with another name in the next";
  return undefined;
}

function atHome(path: string, { home }: GrantPlace): string {
  return home !== "/" && contains(home, path) && path !== home ? `~${path.slice(home.length)}` : path;
}

const families = { inet: 2n, inet6: 10n };
const stream = 1n;

/** Landlock knows TCP's ports; everything else needs the machine's network. */
function networkUse(observation: Observation, known: GrantPlace["network"]): LearnedGrants["network"] {
  if (known === "host") return undefined;
  let isMore = false;
  for (const call of observation.calls) {
    const name = behindName(call) ?? syscallByNumber(call.abi, call.nr)?.name;
    const [domain = 0n, type = 0n] = call.args;
    if (name === "socket" && (domain === families.inet || domain === families.inet6))
      isMore ||= (type & 0xfn) !== stream;
  }
  const ports = new Set<number>();
  for (const { kind, bytes } of observation.texts) {
    const address = kind === "address" ? socketAddress(bytes) : undefined;
    if (address !== undefined && address.port !== undefined) ports.add(address.port);
  }
  if (ports.size === 0) return undefined;
  // Port 0 is any port.
  if (isMore || ports.has(0)) return "host";
  const fresh = [...ports].filter((port) => known === "off" || !known.includes(port));
  return fresh.length === 0 ? undefined : fresh.sort((a, b) => a - b);
}
