/**
 * What `callgate lxc enable` adds to a container's configuration, between two marks, at its end: hooks, profile, and
 * the first program with its mount. Taking the block away gives the file back byte for byte.
 */
import { join } from "node:path";

/** What the two marks begin with. */
export const ownMark = "# callgate:";
export const beginMark = `${ownMark} begin`;
export const endMark = `${ownMark} end`;
const begin = `${beginMark} (by \`callgate lxc enable\`; \`callgate lxc disable\` removes these lines)`;
/** The file had no line break at its end, and gets back none. */
const beginUnended = `${begin} -`;

/** The files in a container's folder that are callgate's. */
export interface ContainerFiles {
  /** LXC's own profile: what it can say exactly, on every ABI. */
  readonly profile: string;
  /** What takes its place when a start with a watcher has read it: nobody answers what comes in later. */
  readonly attachProfile: string;
  /** The container's first program: the launcher with its plan. */
  readonly init: string;
  /** What was wrong at a start. */
  readonly log: string;
  /** What the last start was made of: for people and `verify`. */
  readonly state: string;
  /** The same for the hook that LXC runs. */
  readonly kept: string;
  /** Where `callgate lxc learn` is while a start is to be learned from. */
  readonly learn: string;
  /** Where `callgate lxc watch` listens, what it answers, and what it has seen. */
  readonly watch: string;
  readonly answers: string;
  readonly denials: string;
}

export function filesOf(folder: string): ContainerFiles {
  return {
    profile: join(folder, "callgate.seccomp"),
    attachProfile: join(folder, "callgate.seccomp-attach"),
    init: join(folder, "callgate.init"),
    log: join(folder, "callgate.log"),
    state: join(folder, "callgate.state"),
    kept: join(folder, "callgate.kept"),
    learn: join(folder, "callgate.learn"),
    watch: join(folder, "callgate.watch"),
    answers: join(folder, "callgate.answers"),
    denials: join(folder, "callgate.denials"),
  };
}

/** A socket's path has 108 bytes, the last of them zero. LXC refuses a whole configuration with a longer one. */
export function isSocketPath(path: string): boolean {
  return Buffer.byteLength(path) < 108;
}

/** Where the container finds its first program, until that takes the mount away. */
export const initInside = "/dev/.callgate";

export interface BlockOptions {
  /** The container's folder, absolute. */
  readonly folder: string;
  /** The command, absolute. */
  readonly callgate: string;
  /** The native tracer and hook, absolute. */
  readonly tracer: string;
  readonly hook: string;
  /** Statements that hold where the configuration has none of their own. */
  readonly statements: readonly string[];
  /** Whether LXC is told where a watcher would be: it connects only in a start that is watched. */
  readonly watchable: boolean;
}

/** The block's lines, with its marks. */
export function blockOf({
  folder,
  callgate,
  tracer,
  hook: native,
  statements,
  watchable,
}: BlockOptions): readonly string[] {
  const files = filesOf(folder);
  const hook = (name: string): string => `${quote(callgate)} lxc hook ${name} ${quote(folder)}`;
  return [
    begin,
    ...statements,
    // Where nothing has changed since the last start, the native hook needs no Node; else it executes the rest.
    `lxc.hook.pre-start = ${quote(native)} ${quote(files.kept)} ${hook("pre-start")}`,
    `lxc.hook.start-host = ${quote(tracer)} guard ${quote(files.init)} ${quote(files.log)}`,
    `lxc.hook.clone = ${hook("clone")}`,
    `lxc.seccomp.profile = ${files.profile}`,
    "lxc.seccomp.allow_nesting = 1",
    ...(watchable && isSocketPath(files.watch) ? [`lxc.seccomp.notify.proxy = unix:${files.watch}`] : []),
    `lxc.mount.entry = ${mountField(files.init)} ${initInside.slice(1)} none bind,ro,create=file 0 0`,
    `lxc.init.cmd = ${initInside}`,
    endMark,
  ];
}

/**
 * The lines for the configuration that new containers begin with. LXC has no name for a container's own folder there, so
 * that the first start finds these lines, puts the container's own in their place, and has to be made again.
 */
export function defaultBlockOf(callgate: string, statements: readonly string[]): readonly string[] {
  return [begin, ...statements, `lxc.hook.pre-start = ${quote(callgate)} ${firstHook}`, endMark];
}

const firstHook = "lxc hook first";

/** Whether a configuration has the lines that new containers begin with, and not yet its own. */
export function hasDefaultBlock(text: string): boolean {
  const block = text.slice(Math.max(0, text.indexOf(beginMark)));
  return hasBlock(text) && new RegExp(`^lxc\\.hook\\.pre-start = .* ${firstHook}$`, "m").test(block);
}

/**
 * A word for the shell that LXC gives hooks to, behind an `exec` of its own. No quotes: LXC takes away those around a
 * whole value.
 */
function quote(text: string): string {
  return text.replace(/[^A-Za-z0-9_@%+=:,./-]/g, "\\$&");
}

/** The programs that a hook's line executes, LXC's shell between them taken away; none of a line that is not callgate's. */
export function programsOfHook(key: string, value: string): readonly string[] {
  const words = [...value.matchAll(/(?:\\.|[^\s\\])+/g)].map(([word]) => word.replace(/\\(.)/g, "$1"));
  const [first, , third] = words;
  if (first === undefined) return [];
  if (key === "lxc.hook.start-host" || key === "lxc.hook.clone" || third === undefined) return [first];
  return key === "lxc.hook.pre-start" ? [first, third] : [];
}

/** A path as fstab(5) writes it. */
function mountField(path: string): string {
  return path.replace(/[\\ \t]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

/** The configuration without the block. */
export function withoutBlock(text: string): string {
  const start = text.startsWith(beginMark) ? 0 : text.indexOf(`\n${beginMark}`) + 1;
  if (start === 0 && !text.startsWith(beginMark)) return text;
  const endAt = text.indexOf(`\n${endMark}`, start);
  if (endAt === -1) return text;
  const endLine = text.indexOf("\n", endAt + 1);
  const firstLine = text.slice(start, text.indexOf("\n", start));
  const before = text.slice(0, start);
  const after = endLine === -1 ? "" : text.slice(endLine + 1);
  return (firstLine === beginUnended && after === "" ? before.replace(/\n$/, "") : before) + after;
}

/** The configuration with the block at its end, in the place of an earlier one. */
export function withBlock(text: string, lines: readonly string[]): string {
  const bare = withoutBlock(text);
  const isEnded = bare === "" || bare.endsWith("\n");
  const [, ...rest] = lines;
  return `${bare}${isEnded ? "" : "\n"}${[isEnded ? begin : beginUnended, ...rest].join("\n")}\n`;
}

/** The configuration of a copy: the block's paths are those of the copy's own folder. */
export function rewriteFolder(text: string, from: string, to: string): string {
  const bare = withoutBlock(text);
  const start = text.startsWith(beginMark) ? 0 : text.indexOf(`\n${beginMark}`) + 1;
  const end = text.length - (bare.length - start);
  const block = text.slice(start, end);
  // In one pass: the new path may begin with the old one, as a snapshot's does.
  const moves = new Map([quote, mountField, (path: string) => path].map((write) => [write(from), write(to)]));
  const written = [...moves.keys()].map((path) => path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const moved = block.replace(
    new RegExp(`(?:${written.join("|")})(?=[/\\s])`, "g"),
    (path) => moves.get(path) ?? path,
  );
  const proxy = /^lxc\.seccomp\.notify\.proxy = unix:(.*)\n/m;
  const fitting = isSocketPath(proxy.exec(moved)?.[1] ?? "") ? moved : moved.replace(proxy, "");
  return text.slice(0, start) + fitting + text.slice(end);
}

export function hasBlock(text: string): boolean {
  return withoutBlock(text) !== text;
}
