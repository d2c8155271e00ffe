/**
 * The plan: everything the launcher does before it becomes the program, in order, as data.
 *
 * ```ts
 * const bytes = encodePlan({
 *   architecture: "x86_64",
 *   steps: [
 *     { kind: "environment", keep: ["PATH", "LC_*"], set: { TERM: "dumb" } },
 *     { kind: "noNewPrivileges" },
 *     { kind: "closeDescriptors", keep: [] },
 *     { kind: "signals", keepIgnored: [1] },
 *     { kind: "filter", bytes: filter.bytes },
 *     { kind: "execute", path: "/bin/true", arguments: ["true"] },
 *   ],
 * });
 * ```
 *
 * native/README.md describes the bytes; native/plan.h checks them again, all of them, before the first step.
 */

import { type ReportStep, writeReport } from "./report-step.ts";
import { type SandboxStep, writeSandboxStep } from "./steps.ts";

/** The machines that the launcher exists for. */
export type PlanArchitecture = "x86_64" | "aarch64";

/** Text, or bytes where it need not be UTF-8 (file names and arguments are bytes to the kernel). */
export type PlanString = string | Uint8Array;

/** The program's environment. Without this step it is the caller's. */
export interface EnvironmentStep {
  readonly kind: "environment";
  /** Names kept from the caller's environment; a `*` at the end matches any rest. */
  readonly keep: "all" | readonly string[];
  /** Variables set, whatever the caller's environment has. */
  readonly set: Readonly<Record<string, PlanString>>;
}

/** Where the program starts. With an identity, another directory of the same name is refused. */
export interface WorkingDirectoryStep {
  readonly kind: "workingDirectory";
  readonly path: PlanString;
  readonly identity?: { readonly device: bigint; readonly inode: bigint };
}

/** A session of the program's own, without a controlling terminal. */
export interface TerminalStep {
  readonly kind: "terminal";
  readonly newSession: true;
}

/** No set-user-id program gives the program rights; needed before a filter by everyone but root. */
export interface NoNewPrivilegesStep {
  readonly kind: "noNewPrivileges";
}

/** Closes every descriptor above 2 but these. */
export interface CloseDescriptorsStep {
  readonly kind: "closeDescriptors";
  readonly keep: readonly number[];
}

/** Every signal back to its default and none blocked. */
export interface SignalsStep {
  readonly kind: "signals";
  /** Signals that stay ignored where the caller ignored them (`nohup`, `trap '' HUP`). */
  readonly keepIgnored: readonly number[];
}

/** A place in a filter (a comparison of a word with a constant) where the launch key is put in at the start. */
export interface KeyPatch {
  readonly instruction: number;
  /** 0 and 1: low and high half of execve's args[3]; 2 and 3: of args[4]; 4 and 5: of args[5]. */
  readonly word: number;
}

/**
 * - `filter`: there may be several; each must permit the seccomp call that installs the next.
 * - `notifyingFilter`: installed in the place of the one plain filter, where the plan has a report: what that refuses,
 *   this one hands up.
 * - `ruleFilter`: names the refusal of a denied call, where the launcher tells denials.
 * - `decidingFilter`: what the supervisor decides by where it is not the plain filter: questions are notifications in it.
 */
export interface FilterStep {
  readonly kind: "filter" | "notifyingFilter" | "decidingFilter" | "ruleFilter";
  /** The kernel's `struct sock_filter[]`, 8 bytes an instruction. */
  readonly bytes: Uint8Array;
  /** It hands calls up, and a watcher outside takes its listener from the process before the program runs. */
  readonly watched?: boolean;
  /** With at least one patch in any filter the program is started with the launch key. */
  readonly patches?: readonly KeyPatch[];
}

/** The program. The path is used as it is: PATH was searched before. */
export interface ExecuteStep {
  readonly kind: "execute";
  readonly path: PlanString;
  /** From argv[0] on. */
  readonly arguments: readonly PlanString[];
  /** With the arguments of whoever starts the plan's file behind them. */
  readonly withCallersArguments?: boolean;
}

/** What is said on standard error when a system call has killed the program (SIGSYS); not of itself a reason to stay. */
export interface ExplainKillStep {
  readonly kind: "explainKill";
  readonly sentence: string;
}

/** Takes away the mount by which a container got the launcher's file. */
export interface DetachMountStep {
  readonly kind: "detachMount";
  readonly path: PlanString;
}

export type PlanStep =
  | ReportStep
  | SandboxStep
  | DetachMountStep
  | ExplainKillStep
  | EnvironmentStep
  | WorkingDirectoryStep
  | TerminalStep
  | NoNewPrivilegesStep
  | CloseDescriptorsStep
  | SignalsStep
  | FilterStep
  | ExecuteStep;

/** Steps stand in the order of `stepOrder`; only filters may repeat, and `execute` is the last. */
export interface Plan {
  readonly architecture: PlanArchitecture;
  readonly steps: readonly PlanStep[];
}

/** A plan that the launcher would refuse; the message says which part and why. */
export class PlanError extends TypeError {
  override readonly name = "PlanError";
  /** The kind of the step at fault; undefined when it is the plan as a whole. */
  readonly step: PlanStep["kind"] | undefined;

  constructor(message: string, step?: PlanStep["kind"]) {
    super(step === undefined ? message : `step ${step}: ${message}`);
    this.step = step;
  }
}

/** The kinds in the order in which they are carried out. */
const stepOrder: readonly PlanStep["kind"][] = [
  "report",
  "cgroups",
  "namespaces",
  "idMaps",
  "callersFolder",
  "mounts",
  "pivot",
  "detachMount",
  "hostName",
  "limits",
  "explainKill",
  "environment",
  "workingDirectory",
  "terminal",
  "identity",
  "capabilities",
  "noNewPrivileges",
  "hardening",
  "landlock",
  "closeDescriptors",
  "signals",
  "decidingFilter",
  "ruleFilter",
  "notifyingFilter",
  "filter",
  "execute",
];

/** Limits of the launcher's buffers. */
export const planLimits = {
  bytes: 4 * 1024 * 1024,
  variables: 4096,
  descriptors: 1024,
  filters: 16,
  instructions: 4096,
  patches: 256,
  arguments: 262_144,
} as const;

const kinds: Readonly<Record<PlanStep["kind"], number>> = {
  report: 5,
  cgroups: 10,
  namespaces: 20,
  idMaps: 30,
  callersFolder: 35,
  mounts: 40,
  pivot: 50,
  detachMount: 55,
  hostName: 60,
  limits: 70,
  explainKill: 75,
  environment: 80,
  workingDirectory: 90,
  terminal: 100,
  identity: 105,
  capabilities: 110,
  noNewPrivileges: 120,
  hardening: 125,
  landlock: 130,
  closeDescriptors: 140,
  signals: 150,
  decidingFilter: 156,
  ruleFilter: 157,
  notifyingFilter: 158,
  filter: 160,
  execute: 170,
};

/** The step that the launcher means by a number. */
export function stepOfKind(kind: number): PlanStep["kind"] | undefined {
  return stepOrder.find((name) => kinds[name] === kind);
}

const auditArchitectures: Readonly<Record<PlanArchitecture, number>> = {
  x86_64: 0xc000003e,
  aarch64: 0xc00000b7,
};

const checksumOffset = 24;
/** FNV's, of 32 bits. */
const checksumPrime = 0x1000193;
const jumpIfEqual = 0x15;

/** Bytes that grow; numbers are little-endian. */
interface Writer {
  readonly u32: (value: number) => void;
  readonly u64: (value: bigint) => void;
  readonly bytes: (value: Uint8Array) => void;
  /** Writes a number over an earlier one. */
  readonly patch: (offset: number, value: number) => void;
  readonly length: () => number;
  readonly finish: () => Uint8Array;
}

function createWriter(): Writer {
  let buffer = new Uint8Array(4096);
  let view = new DataView(buffer.buffer);
  let length = 0;

  function reserve(count: number): number {
    const at = length;
    length += count;
    if (length > planLimits.bytes) {
      throw new PlanError(`the plan is larger than ${planLimits.bytes} bytes`);
    }
    if (length > buffer.length) {
      const larger = new Uint8Array(Math.max(length, buffer.length * 2));
      larger.set(buffer);
      buffer = larger;
      view = new DataView(buffer.buffer);
    }
    return at;
  }

  return {
    u32(value) {
      const at = reserve(4);
      view.setUint32(at, value, true);
    },
    u64(value) {
      const at = reserve(8);
      view.setBigUint64(at, value, true);
    },
    bytes(value) {
      const at = reserve(value.length);
      buffer.set(value, at);
    },
    patch: (offset, value) => view.setUint32(offset, value, true),
    length: () => length,
    finish: () => buffer.slice(0, length),
  };
}

const encoder = new TextEncoder();
const magic = encoder.encode("callgate");
const terminator = new Uint8Array(1);

/** The bytes of a string; what the kernel could not take as one is an error, and so is a lone surrogate. */
function stringBytes(step: PlanStep["kind"], what: string, value: PlanString): Uint8Array {
  // (Not by a regular expression of Unicode: the first one of a process takes a millisecond.)
  if (typeof value === "string" && !value.isWellFormed()) {
    throw new PlanError(`${what} is not well-formed text: ${JSON.stringify(value)}`, step);
  }
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  if (bytes.includes(0)) {
    const shown = typeof value === "string" ? `: ${JSON.stringify(value)}` : "";
    throw new PlanError(`${what} has a NUL byte in it${shown}`, step);
  }
  return bytes;
}

function writeString(writer: Writer, step: PlanStep["kind"], what: string, value: PlanString): void {
  writer.bytes(stringBytes(step, what, value));
  writer.bytes(terminator);
}

function atMost(step: PlanStep["kind"], count: number, limit: number, what: string): void {
  if (count > limit) throw new PlanError(`${count} ${what} are more than ${limit}`, step);
}

function writeEnvironment(writer: Writer, step: EnvironmentStep): void {
  const keep = step.keep === "all" ? [] : step.keep;
  const set = Object.entries(step.set);
  atMost(step.kind, keep.length, planLimits.variables, "names to keep");
  atMost(step.kind, set.length, planLimits.variables, "variables to set");
  writer.u32(step.keep === "all" ? 1 : 0);
  writer.u32(keep.length);
  writer.u32(set.length);
  writer.u32(0);
  for (const name of [...keep, ...set.map(([name]) => name)]) {
    if (name === "" || name.includes("=")) {
      throw new PlanError(`${JSON.stringify(name)} is no name of a variable`, step.kind);
    }
  }
  for (const name of keep) writeString(writer, step.kind, "a name to keep", name);
  for (const [name, value] of set) {
    writer.bytes(stringBytes(step.kind, "the name of a variable", `${name}=`));
    writeString(writer, step.kind, `the value of ${name}`, value);
  }
}

function writeWorkingDirectory(writer: Writer, step: WorkingDirectoryStep): void {
  writer.u64(step.identity?.device ?? 0n);
  writer.u64(step.identity?.inode ?? 0n);
  writeString(writer, step.kind, "the path", step.path);
}

function writeCloseDescriptors(writer: Writer, step: CloseDescriptorsStep): void {
  const keep = [...new Set(step.keep)].sort((a, b) => a - b);
  atMost(step.kind, keep.length, planLimits.descriptors, "descriptors to keep");
  writer.u32(keep.length);
  for (const descriptor of keep) {
    if (!Number.isInteger(descriptor) || descriptor < 3 || descriptor > 0x7fffffff) {
      throw new PlanError(`${descriptor} is no descriptor above 2`, step.kind);
    }
    writer.u32(descriptor);
  }
}

function writeSignals(writer: Writer, step: SignalsStep): void {
  let mask = 0n;
  for (const signal of step.keepIgnored) {
    if (!Number.isInteger(signal) || signal < 1 || signal > 64) {
      throw new PlanError(`${signal} is no signal`, step.kind);
    }
    mask |= 1n << BigInt(signal - 1);
  }
  writer.u64(mask);
}

function writeFilter(writer: Writer, step: FilterStep): void {
  const patches = step.patches ?? [];
  const instructions = step.bytes.length / 8;
  if (!Number.isInteger(instructions) || instructions === 0) {
    throw new PlanError(`${step.bytes.length} bytes are no filter: an instruction has 8`, step.kind);
  }
  atMost(step.kind, instructions, planLimits.instructions, "instructions");
  atMost(step.kind, patches.length, planLimits.patches, "places for the launch key");
  writer.u32(step.watched === true ? 1 : 0);
  writer.u32(patches.length);
  writer.u32(instructions);
  writer.u32(0);
  for (const { instruction, word } of patches) {
    if (!Number.isInteger(instruction) || instruction < 0 || instruction >= instructions) {
      throw new PlanError(`there is no instruction ${instruction} for the launch key`, step.kind);
    }
    if (!Number.isInteger(word) || word < 0 || word > 5) {
      throw new PlanError(`the launch key has no word ${word}`, step.kind);
    }
    if (step.bytes[instruction * 8] !== jumpIfEqual || step.bytes[instruction * 8 + 1] !== 0) {
      throw new PlanError(`instruction ${instruction} does not compare with a constant`, step.kind);
    }
    writer.u32(instruction);
    writer.u32(word);
  }
  writer.bytes(step.bytes);
}

function writeExecute(writer: Writer, step: ExecuteStep, withKey: boolean): void {
  if (step.arguments.length === 0) throw new PlanError("argv[0] is missing", step.kind);
  atMost(step.kind, step.arguments.length, planLimits.arguments, "arguments");
  writer.u32(step.arguments.length);
  writer.u32((withKey ? 1 : 0) + (step.withCallersArguments === true ? 2 : 0));
  writeString(writer, step.kind, "the path", step.path);
  step.arguments.forEach((argument, index) => {
    writeString(writer, step.kind, `argument ${index}`, argument);
  });
}

function writePayload(writer: Writer, step: PlanStep, withKey: boolean): void {
  switch (step.kind) {
    case "detachMount":
      writeString(writer, step.kind, "the path", step.path);
      break;
    case "explainKill":
      writeString(writer, step.kind, "the sentence", step.sentence);
      break;
    case "environment":
      writeEnvironment(writer, step);
      break;
    case "workingDirectory":
      writeWorkingDirectory(writer, step);
      break;
    case "terminal":
      writer.u32(1);
      break;
    case "noNewPrivileges":
      break;
    case "cgroups":
    case "namespaces":
    case "idMaps":
    case "callersFolder":
    case "mounts":
    case "pivot":
    case "hostName":
    case "limits":
    case "identity":
    case "capabilities":
    case "hardening":
    case "landlock":
      writeSandboxStep(
        { ...writer, string: (what, value) => writeString(writer, step.kind, what, value) },
        step,
      );
      break;
    case "closeDescriptors":
      writeCloseDescriptors(writer, step);
      break;
    case "signals":
      writeSignals(writer, step);
      break;
    case "report":
      writeReport(writer, step);
      break;
    case "filter":
    case "notifyingFilter":
    case "decidingFilter":
    case "ruleFilter":
      writeFilter(writer, step);
      break;
    case "execute":
      writeExecute(writer, step, withKey);
      break;
  }
}

function checkOrder(steps: readonly PlanStep[]): void {
  let last: PlanStep["kind"] | undefined;
  let filters = 0;
  for (const { kind } of steps) {
    if (kind === "filter") filters += 1;
    if (last !== undefined && kinds[kind] < kinds[last]) throw new PlanError(`it stands after ${last}`, kind);
    if (last === kind && kind !== "filter") throw new PlanError("it stands twice", kind);
    last = kind;
  }
  if (filters > planLimits.filters)
    throw new PlanError(`${filters} filters are more than ${planLimits.filters}`);
  if (last !== "execute") throw new PlanError("the plan starts no program: its last step must be execute");
}

/**
 * Two hashes in the manner of FNV-1a, 32 bits each, over the plan's words of 32 bits, with its checksum field taken as zero and
 * zeros behind its end: `low` over every other word, `high` over the ones between and what `low` has come to, so that damage
 * in one bit reaches others: `[low, high]`.
 *
 * It finds damage, not attacks. Two words a step and no bigint, since this runs over every plan, mostly in a process that
 * has just started and has nothing compiled yet.
 */
export function planChecksum(plan: Uint8Array): readonly [low: number, high: number] {
  // A copy that is a whole number of pairs long. The machines that plans are for are little-endian.
  const padded = new Uint8Array((plan.length + 7) & ~7);
  padded.set(plan);
  const words = new Uint32Array(padded.buffer);
  words.fill(0, checksumOffset / 4, checksumOffset / 4 + 2);
  let low = 0x811c9dc5;
  let high = 0xcbf29ce4;
  for (let i = 0; i < words.length; i += 2) {
    low = Math.imul(low ^ (words[i] ?? 0), checksumPrime);
    high = Math.imul(high ^ (low >>> 15) ^ (words[i + 1] ?? 0), checksumPrime);
  }
  return [low >>> 0, high >>> 0];
}

/**
 * The bytes of a plan, as the launcher reads them from its pipe or socket.
 *
 * @throws PlanError when the plan is one that the launcher would refuse
 */
export function encodePlan(plan: Plan): Uint8Array {
  checkOrder(plan.steps);
  const withKey = plan.steps.some((step) => "patches" in step && (step.patches?.length ?? 0) > 0);
  const writer = createWriter();
  writer.bytes(magic);
  writer.u32(1);
  writer.u32(0); // length, below
  writer.u32(plan.steps.length);
  writer.u32(auditArchitectures[plan.architecture]);
  writer.u64(0n); // checksum, below
  writer.u64(0n);
  for (const step of plan.steps) {
    writer.u32(kinds[step.kind]);
    const sizeAt = writer.length();
    writer.u32(0);
    const start = writer.length();
    writePayload(writer, step, withKey);
    writer.patch(sizeAt, writer.length() - start);
    while (writer.length() % 8 !== 0) writer.bytes(terminator);
  }
  writer.patch(12, writer.length());
  const bytes = writer.finish();
  const view = new DataView(bytes.buffer);
  const [low, high] = planChecksum(bytes);
  view.setUint32(checksumOffset, low, true);
  view.setUint32(checksumOffset + 4, high, true);
  return bytes;
}
