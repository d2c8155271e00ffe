/**
 * The files and descriptors of whoever called callgate. `run` is started by the launcher, which still has them: it
 * gave this process a standard input of its own and closed the rest, since all of that is the program's.
 */
import { fstatSync, readFileSync, statSync } from "node:fs";
import { UsageError } from "./arguments.ts";

/** Where what the user names is found. */
export interface Caller {
  /** The file that the user means by a name: standard input and `/dev/fd/N` are the caller's. */
  readonly fileNamed: (name: string) => string;
  readonly hasDescriptor: (descriptor: number) => boolean;
  /** One of the standard streams is a terminal. */
  readonly hasTerminal: () => boolean;
}

const standardStreams = [0, 1, 2] as const;

/** Standard input is not this process's own: what it is can be told by its device. */
function isCallersTerminal(descriptor: number): boolean {
  const path = descriptorPath(descriptor);
  if (path === undefined) return false;
  const status = statSync(path);
  const major = status.rdev >> 8;
  // Virtual consoles and serial lines; /dev/tty and /dev/console; pseudo-terminals.
  return status.isCharacterDevice() && (major === 4 || major === 5 || (major >= 136 && major <= 143));
}

/** Where the launcher waits for the plan. */
export const planDescriptor = 3;

/** Whether the launcher started this process, and waits for a plan. */
export function launcherIsWaiting(): boolean {
  try {
    return fstatSync(planDescriptor).isFIFO();
  } catch {
    return false;
  }
}

/** What the launcher says of this machine on the standard input that it gave this process: see native/layers.h. */
export function launchersWord(): string {
  return fstatSync(0).isFIFO() ? readFileSync(0, "utf8") : "";
}

/** Who calls a command that the launcher did not start: this process has what it had. */
export const directCaller: Caller = {
  fileNamed: (name) => name,
  hasDescriptor: (descriptor) => {
    try {
      fstatSync(descriptor);
      return true;
    } catch {
      return false;
    }
  },
  hasTerminal() {
    // Asked for where it is needed: Node loads its network with it.
    const { isatty } = process.getBuiltinModule("node:tty");
    return standardStreams.some((descriptor) => isatty(descriptor));
  },
};

/** Who called the launcher, this process's parent. */
export const launchersCaller: Caller = {
  fileNamed: fileOfCaller,
  hasDescriptor: (descriptor) => descriptorPath(descriptor) !== undefined,
  hasTerminal: () => standardStreams.some(isCallersTerminal),
};

function fileOfCaller(name: string): string {
  const written =
    name === "-" || name === "/dev/stdin" ? "0" : /^\/(?:dev|proc\/self)\/fd\/([0-9]+)$/.exec(name)?.[1];
  if (written === undefined) return name;
  const path = descriptorPath(Number(written));
  if (path === undefined)
    throw new UsageError(`cannot read ${JSON.stringify(name)}: descriptor ${written} is not open`);
  const status = statSync(path);
  if (status.isFile() || status.isFIFO()) return path;
  throw new UsageError(
    `cannot read ${JSON.stringify(name)}: descriptor ${written} is neither a file nor a pipe, and only the program can read it`,
  );
}

/** The path of a descriptor that the caller left open. */
function descriptorPath(descriptor: number): string | undefined {
  const path = `/proc/${process.ppid}/fd/${descriptor}`;
  const status = statSync(path, { throwIfNoEntry: false });
  // Where the caller had it closed, the pipe for the plan may lie there.
  const plan = fstatSync(planDescriptor);
  return status === undefined || (status.ino === plan.ino && status.dev === plan.dev) ? undefined : path;
}
