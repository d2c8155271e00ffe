/**
 * From a configuration to what protects the container: the policy, the floor (the profile that is in force without
 * callgate), and the two parts that enforce them. Nothing is written here, and nothing leaves unproved:
 *
 *     profile (LXC loads it)  +  filter (the container's first program loads it)  ≡  policy  +  floor
 */
import { readFileSync } from "node:fs";
import { filterOf, RET_ALLOW } from "../bpf/index.ts";
import { compile, TooLargeError } from "../compiler/index.ts";
import { compileForLaunch, type LaunchFilter } from "../compiler/launch-key.ts";
import { errorCode } from "../diagnostics/error-code.ts";
import { type Diagnostic, hasErrors, type Source } from "../diagnostics/index.ts";
import { readLxcProfile } from "../formats/lxc-profile/read.ts";
import { type ProfileLoss, writeLxcProfile } from "../formats/lxc-profile/write.ts";
import { resolveSound } from "../policy/resolve.ts";
import type { Decisions } from "../policy/resolved.ts";
import type { Action, Policy, Rule } from "../policy/types.ts";
import type { LaunchKeyRule } from "../proof/policy.ts";
import { compareStackMembers, type StackMember, type StackVerdict } from "../proof/stack.ts";
import { attachPlan } from "../sandbox/attached-plan.ts";
import type { PlanArchitecture, PlanStep } from "../sandbox/plan.ts";
import { type AbiName, abiByName, hostAbi, syscallNumber } from "../syscalls/index.ts";
import { initInside } from "./block.ts";
import { allValues, type ContainerConfig, lastValue } from "./config.ts";
import { newestKnownToLibseccomp } from "./libseccomp.ts";
import { callsOfLxc } from "./lxc-calls.ts";
import { readStatements, type Statements } from "./statements.ts";

export interface Floor {
  readonly file: string;
  readonly text: string;
  readonly policy: Policy;
}

export interface Protection {
  readonly policy: Policy;
  readonly floor: Floor | undefined;
  /** The text of LXC's profile. */
  readonly profile: string;
  /** What only the second part says. */
  readonly beyondProfile: readonly ProfileLoss[];
  readonly filter: LaunchFilter;
  /**
   * Profile and filter of what comes in later: they refuse by themselves, watched or not. LXC hands the calls of attached
   * processes up too, but it loses some of them, and some processes with them.
   */
  readonly attachProfile: string;
  readonly attachFilter: LaunchFilter;
  /** Where refusals can be handed to a watcher: the profile does so, and the filter leaves them to it. */
  readonly watched: boolean;
  /** Why a start of this container cannot be watched. */
  readonly unwatchable: string | undefined;
  /** Calls whose refusals no watcher sees. */
  readonly unseen: readonly string[];
  /** Whether init, and with it the container, gets no_new_privs: where it has no CAP_SYS_ADMIN. */
  readonly noNewPrivileges: boolean;
  /** The program that the container would start without callgate, with its arguments. */
  readonly initCommand: readonly string[];
}

export interface ProtectionResult {
  readonly protection: Protection | undefined;
  readonly statements: Statements;
  readonly consulted: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

/** What a container's configuration asks for: all that its protection is made of, and nothing that is worked out. */
export interface Demand extends Pick<Protection, "floor" | "noNewPrivileges" | "initCommand"> {
  readonly config: ContainerConfig;
  readonly statements: Statements;
  readonly consulted: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

export function demandOf(config: ContainerConfig, kernel: string): Demand {
  const statements = readStatements(config, kernel);
  const diagnostics: Diagnostic[] = [...statements.diagnostics];
  const unmanaged = config.lines.filter((line) => !line.isManaged);
  const floorLine = statements.inherits ? lastValue(unmanaged, "lxc.seccomp.profile") : undefined;
  const floor = floorLine === undefined ? undefined : readProfile(floorLine.value, diagnostics);
  return {
    config,
    statements,
    floor,
    noNewPrivileges: lacksAdministration(unmanaged),
    initCommand: splitCommand(lastValue(unmanaged, "lxc.init.cmd")?.value ?? "/sbin/init"),
    consulted: [
      ...config.consulted,
      ...statements.consulted,
      ...(floorLine === undefined ? [] : [floorLine.value]),
    ],
    diagnostics,
  };
}

/**
 * Works out a container's protection; what is wrong is a diagnostic, and then there is none.
 * @param wanted `watched`: for a start with a watcher, where the container can be watched
 */
export function protectionOf(
  config: ContainerConfig,
  kernel: string,
  wanted: { readonly watched: boolean } = { watched: false },
): ProtectionResult {
  return protectionFor(demandOf(config, kernel), wanted);
}

/** The same of a demand that has been read. */
export function protectionFor(
  demand: Demand,
  wanted: { readonly watched: boolean } = { watched: false },
): ProtectionResult {
  const { config, statements, floor, consulted, noNewPrivileges, initCommand } = demand;
  const diagnostics: Diagnostic[] = [...demand.diagnostics];
  const result = (protection?: Protection): ProtectionResult => ({
    protection: hasErrors(diagnostics) ? undefined : protection,
    statements,
    consulted,
    diagnostics,
  });
  if (statements.policy === undefined || hasErrors(diagnostics)) return result();
  const target = hostAbi();
  if (target === undefined) {
    diagnostics.push({
      id: "unknown-machine",
      severity: "error",
      message: "callgate does not know this machine's system calls",
    });
    return result();
  }
  const { policy } = statements;
  const { text, losses, handedUp, unseen } = profileText(policy, floor);
  const unwatchable = watchProblem(config, policy, floor, handedUp.length > 0);
  const watched = wanted.watched && unwatchable === undefined;
  const profile = watched ? withHandedUp(text, handedUp) : text;
  const attachFilter = filterOrProblem(policy, target, diagnostics);
  const filter = watched
    ? filterOrProblem(leavingToProfile(policy, profile), target, diagnostics)
    : attachFilter;
  if (attachFilter === undefined || filter === undefined) return result();
  const made = { policy, floor, filter, watched };
  const wrong = proofProblem(profile, made);
  if (wrong !== undefined) {
    diagnostics.push({ id: "not-proved", severity: "error", message: wrong });
    return result();
  }
  return result({
    ...made,
    profile,
    attachProfile: text,
    beyondProfile: losses,
    attachFilter,
    unwatchable,
    unseen,
    noNewPrivileges,
    initCommand,
  });
}

/** The container's first program installs one filter, and so does what attaches: what is larger is a mistake in the policy. */
function filterOrProblem(
  policy: Policy,
  target: AbiName,
  diagnostics: Diagnostic[],
): LaunchFilter | undefined {
  try {
    return compileForLaunch(policy, target);
  } catch (error) {
    if (!(error instanceof TooLargeError)) throw error;
    diagnostics.push({
      id: "filter-too-large",
      severity: "error",
      message: `${error.message}: a container's statements have to fit into one filter`,
      label: "join rules with the same action, or name fewer interfaces in syscall.abis",
    });
    return undefined;
  }
}

/** A profile as LXC means it; what is wrong with it, and where LXC does otherwise than is written, are diagnostics. */
export function readProfile(file: string, diagnostics: Diagnostic[]): Floor | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const code = errorCode(error) ?? "it cannot be read";
    const message = `the profile that is in force without callgate cannot be read: ${file}: ${code}`;
    diagnostics.push({ id: "unreadable", severity: "error", message });
    return undefined;
  }
  const source: Source = { name: file, text };
  const { policy, diagnostics: found } = readLxcProfile(source, profileOptions());
  diagnostics.push(...found);
  return policy === undefined ? undefined : { file, text, policy };
}

function profileOptions() {
  return { target: hostAbi() ?? "x86_64", libseccomp: newestKnownToLibseccomp() };
}

interface ProfileText {
  readonly text: string;
  readonly losses: readonly ProfileLoss[];
  /** Lines of the text whose refusals a watcher can answer. */
  readonly handedUp: readonly string[];
  /** Calls of which some refusal is in no such line. */
  readonly unseen: readonly string[];
}

/** The floor's own lines, and behind them what the policy refuses, as far as the format can say it. */
function profileText(policy: Policy, floor: Floor | undefined): ProfileText {
  const written = writeLxcProfile(policy, { ...profileOptions(), except: callsOfLxc, below: true });
  const handedUp = isJoinable(floor) ? linesToHandUp(written.rules, floor) : [];
  const seen = new Set(handedUp.map(callOfLine));
  const lost = new Set(written.losses.flatMap(({ syscall }) => syscall ?? []));
  const unseen = callsThatFail(policy).flatMap((name) =>
    !seen.has(name) ? [name] : lost.has(name) ? [`${name} (in part)`] : [],
  );
  if (floor === undefined) return { text: written.text, losses: written.losses, handedUp, unseen };
  if (!isJoinable(floor)) {
    const message =
      "the profile in force is a list of what is allowed: it stays as it is, and all statements are enforced by the container's first program";
    return { text: floor.text, losses: [{ syscall: undefined, message }], handedUp, unseen };
  }
  const text = `${floor.text.replace(/\n?$/, "\n")}[all]\n${written.rules.map((line) => `${line}\n`).join("")}`;
  return { text, losses: written.losses, handedUp, unseen };
}

/** Only a list of refusals can be joined with more of them; before any other the floor stands alone. */
function isJoinable(floor: Floor | undefined): boolean {
  return (
    floor === undefined || (floor.policy.syscalls.default.kind === "allow" && /^\s*\+?0*2\s/.test(floor.text))
  );
}

/** On the ABIs of the machines that callgate starts programs on. */
const enosys = 38;

/** Calls that the policy refuses, in some case, by another errno than ENOSYS. */
function callsThatFail(policy: Policy): readonly string[] {
  const fails = (action: Action): boolean =>
    action.kind === "errno" && action.errno !== "ENOSYS" && action.errno !== enosys;
  const isRefused = ({ entries, fallback }: Decisions): boolean =>
    [...entries.map(({ rule }) => rule.action), fallback.action].some(fails);
  const names = resolveSound(policy, hostAbi() ?? "x86_64").abis.flatMap(({ calls }) =>
    calls.flatMap((call) => [call, ...(call.behind?.calls ?? [])].filter(isRefused).map(({ name }) => name)),
  );
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

const callOfLine = (line: string): string => line.split(" ", 1)[0] ?? "";

/**
 * Lines of calls that are refused by errnos alone. ENOSYS is not news: every thread that is started tries clone3. Of
 * two actions on one call libseccomp would choose, so neither the floor nor another line may have one for it.
 */
function linesToHandUp(lines: readonly string[], floor: Floor | undefined): readonly string[] {
  const isRefusal = (line: string): boolean => / errno (?!38\b)/.test(line);
  const others = new Set([
    ...lines.filter((line) => !isRefusal(line)).map(callOfLine),
    ...(floor?.text ?? "").split("\n").map(callOfLine),
  ]);
  return lines.filter((line) => !others.has(callOfLine(line)));
}

/** The same lines with the watcher asked, in the place of the errno. */
function withHandedUp(text: string, lines: readonly string[]): string {
  const asked = new Set(lines);
  return text
    .split("\n")
    .map((line) => (asked.has(line) ? line.replace(/ errno \d+/, " notify") : line))
    .join("\n");
}

/** Of two filters the kernel takes the stricter answer, and an errno is stricter than a question: the filter has to allow. */
function leavingToProfile(policy: Policy, profile: string): Policy {
  const { policy: read } = readLxcProfile({ name: "callgate.seccomp", text: profile }, profileOptions());
  const left = (read?.syscalls.rules ?? [])
    .filter(({ action }) => action.kind === "notify")
    .map(({ selectors }): Rule => ({ action: { kind: "allow" }, selectors }));
  const { syscalls } = policy;
  return { ...policy, syscalls: { ...syscalls, require: [...left, ...syscalls.require] } };
}

const handsUp = ({ syscalls }: Policy): boolean =>
  [
    syscalls.default,
    syscalls.newer,
    ...[...syscalls.require, ...syscalls.rules].map((rule) => rule.action),
  ].some(({ kind }) => kind === "notify");

/**
 * With each call that it hands up LXC gives its watcher /proc/PID/mem, opened. That file belongs to the id that the process
 * has on the host, a mapped one: the file's mode keeps every other ordinary user out, also the one who owns the user
 * namespace and may trace the process. LXC then answers ENOSYS and asks nobody (seccomp.c, seccomp_notify_handler).
 */
export const unwatchableOfUsers =
  "LXC hands a call up with /proc/PID/mem of its process opened, which belongs to a mapped id, and only root may open it: in a container that an ordinary user starts, each refusal would become ENOSYS. It stays refused as stated without being watched. callgate lxc learn shows what it does, and root can start one with the same lxc.idmap to watch it";

function watchProblem(
  { lines }: ContainerConfig,
  policy: Policy,
  floor: Floor | undefined,
  isSeen: boolean,
): string | undefined {
  if (process.getuid?.() !== 0) return unwatchableOfUsers;
  const proxies = lines.filter((line) => line.key === "lxc.seccomp.notify.proxy");
  if (proxies.some((line) => !line.isManaged))
    return "its configuration names a supervisor already (lxc.seccomp.notify.proxy)";
  if (proxies.length === 0)
    return "its configuration does not name the watcher's socket: run callgate lxc enable again, in a folder whose path is not too long for a socket";
  if (handsUp(policy)) return "its statements hand calls to a supervisor themselves (notify)";
  if (floor !== undefined && handsUp(floor.policy))
    return `the profile below, ${floor.file}, hands calls to a supervisor itself (notify)`;
  if (!isJoinable(floor))
    return "the profile below is a list of what is allowed, and LXC's notifications are for lists of what is refused";
  return isSeen
    ? undefined
    : "LXC's format can say nothing of what it refuses, and only what LXC refuses can be seen";
}

/** What a start is made of, as far as a stack of filters can be compared with it. */
export type Enforced = Pick<Protection, "policy" | "floor" | "filter" | "watched">;

/**
 * Whether a stack of filters says the same as policy and floor together. In a watched start it may ask the watcher where
 * these refuse by an errno, and nowhere else; that is two comparisons, since of several answers the strictest counts:
 * beside the policy the stack is never stricter, and beside the policy with all its errnos as questions never milder.
 */
export function compareWithPolicy(
  stack: readonly StackMember[],
  { policy, floor, filter, watched }: Enforced,
  key: readonly number[],
): StackVerdict {
  const wanted = [...floorMembers(floor), policyMember(policy, filter, key)];
  if (!watched) return compareStackMembers(stack, wanted);
  const asking = [
    ...floorMembers(floor === undefined ? undefined : { ...floor, policy: withQuestions(floor.policy) }),
    policyMember(withQuestions(policy), filter, key),
  ];
  const isNotStricter = compareStackMembers([...wanted, ...stack], wanted);
  return isNotStricter.verdict === "equal"
    ? compareStackMembers(stack, [...asking, ...stack])
    : isNotStricter;
}

/** The policy with the watcher asked wherever it refuses by an errno. */
function withQuestions(policy: Policy): Policy {
  const { syscalls } = policy;
  const asked = (action: Action): Action => (action.kind === "errno" ? { kind: "notify" } : action);
  const askedRule = (rule: Rule): Rule => ({ ...rule, action: asked(rule.action) });
  return {
    ...policy,
    syscalls: {
      ...syscalls,
      default: asked(syscalls.default),
      newer: asked(syscalls.newer),
      otherAbis: asked(syscalls.otherAbis),
      require: syscalls.require.map(askedRule),
      rules: syscalls.rules.map(askedRule),
    },
  };
}

/** What plain lxc-attach gives a process. */
export function attachProfileMember({ attachProfile: text }: Protection): StackMember | undefined {
  const { policy } = readLxcProfile({ name: "callgate.seccomp", text }, profileOptions());
  return policy === undefined ? undefined : { resolved: resolveSound(policy) };
}

/**
 * The same of a profile and a filter that have just been made. The filter of a start that nobody watches was proved to be
 * the policy by who compiled it: so the policy stands for it on this side as on the other, and the walk over both looks
 * only at what the profile adds to the floor.
 */
export function compareMade(profile: Policy, made: Enforced): StackVerdict {
  const { policy, floor, filter, watched } = made;
  const first: StackMember = { resolved: resolveSound(profile) };
  if (watched) return compareWithPolicy([first, { filter: filter.filter }], made, keyOf(filter));
  const member = policyMember(policy, filter, keyOf(filter));
  return compareStackMembers([first, member], [...floorMembers(floor), member]);
}

/** Why the two parts together are not the policy and the floor together; undefined when they are. */
function proofProblem(text: string, made: Enforced): string | undefined {
  const { policy: profile } = readLxcProfile({ name: "callgate.seccomp", text }, profileOptions());
  if (profile === undefined)
    return "LXC would not take the profile that was made for it: this is a mistake in callgate";
  const verdict = compareMade(profile, made);
  switch (verdict.verdict) {
    case "equal":
      return undefined;
    case "undecided":
      return `the profile and the filter could not be proved equal to the policy: ${verdict.reason}`;
    case "different":
      return `the profile and the filter differ from the policy on call ${verdict.witness.nr} (${verdict.witness.abi ?? "another architecture"}): this is a mistake in callgate`;
  }
}

/** What a watcher answers: the floor and the policy as filters of their own, in the bytes that native/proxy.c describes. */
export function answersOf({ policy, floor }: Enforced): Uint8Array {
  const target = hostAbi() ?? "x86_64";
  const filters = [...(floor === undefined ? [] : [floor.policy]), policy].map(
    (one) => compile(one, { target }).bytes,
  );
  const parts = filters.flatMap((bytes) => [u32(bytes.length / 8), bytes]);
  return Buffer.concat([Buffer.from("cganswr1"), u32(filters.length), u32(0), ...parts]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function floorMembers(floor: Floor | undefined): readonly StackMember[] {
  return floor === undefined ? [] : [{ resolved: resolveSound(floor.policy) }];
}

/** The policy as a member of a stack: with the one execve that the launcher's key lets pass, where there is a key. */
function policyMember(policy: Policy, { keyPlaces }: LaunchFilter, key: readonly number[]): StackMember {
  const resolved = resolveSound(policy);
  const target = hostAbi() ?? "x86_64";
  const arch = abiByName(target)?.arch ?? 0;
  const nr = syscallNumber(target, "execve") ?? 0;
  const launchKey: LaunchKeyRule = { arch, nr, key, returnValue: RET_ALLOW };
  return keyPlaces.length === 0 ? { resolved } : { resolved, launchKey };
}

/** The words of the key that a filter has been given, or the stand-ins of one that has not. */
export function keyOf({ filter, keyPlaces }: LaunchFilter, live = filter): readonly number[] {
  return keyPlaces.map(({ instruction }) => live.instructions[instruction]?.k ?? 0);
}

/** Whether two filters are the same but for the launcher's key. */
export function isSameButKey({ filter, keyPlaces }: LaunchFilter, live: typeof filter): boolean {
  const places = new Set(keyPlaces.map((one) => one.instruction));
  const bare = (one: typeof filter) =>
    filterOf(
      one.instructions.map((instruction, at) => (places.has(at) ? { ...instruction, k: 0 } : instruction)),
    );
  return Buffer.from(bare(filter).bytes).equals(Buffer.from(bare(live).bytes));
}

/** Without CAP_SYS_ADMIN a filter needs no_new_privs, and no mount can be taken away. */
function lacksAdministration(lines: ContainerConfig["lines"]): boolean {
  const words = (key: string): readonly string[] =>
    allValues(lines, key).flatMap((value) => value.split(/\s+/));
  const keep = words("lxc.cap.keep").filter((word) => word !== "");
  const drops = words("lxc.cap.drop").some((word) => word === "sys_admin");
  const user = lastValue(lines, "lxc.init.uid")?.value ?? "0";
  return drops || (keep.length > 0 && !keep.includes("sys_admin")) || user !== "0";
}

/** What `callgate lxc attach` executes in the container: the launcher, carrying out the filter and then a command. */
export function attachedProgram(
  launcher: Uint8Array,
  protection: Protection,
  command: readonly string[],
): Uint8Array {
  const [name = "/bin/sh"] = command;
  // PATH is the container's: its own shell looks the program up.
  const whole = name.includes("/") ? command : ["/bin/sh", "-c", 'exec "$0" "$@"', ...command];
  const steps: PlanStep[] = [
    ...(protection.noNewPrivileges ? [{ kind: "noNewPrivileges" } as const] : []),
    filterStep(protection.attachFilter),
    { kind: "execute", path: whole[0] ?? "/bin/sh", arguments: whole },
  ];
  return attachPlan(launcher, { architecture: planArchitecture(), steps });
}

function filterStep({ filter, keyPlaces }: LaunchFilter): PlanStep {
  return {
    kind: "filter",
    bytes: filter.bytes,
    patches: keyPlaces.map(({ instruction, keyWord }) => ({ instruction, word: keyWord })),
  };
}

/** The container's first program: the launcher, carrying out the filter and then what the container starts. */
export function initProgram(launcher: Uint8Array, protection: Protection): Uint8Array {
  return programWith(launcher, protection, filterStep(protection.filter));
}

/** The same for a start that is learned from: the filter asks a watcher, and everything waits for its answers. */
export function learningProgram(
  launcher: Uint8Array,
  protection: Protection,
  filter: Uint8Array,
): Uint8Array {
  return programWith(launcher, protection, { kind: "filter", bytes: filter, watched: true });
}

function programWith(launcher: Uint8Array, protection: Protection, filter: PlanStep): Uint8Array {
  const { noNewPrivileges, initCommand } = protection;
  const [path = "/sbin/init"] = initCommand;
  const steps: PlanStep[] = [];
  if (noNewPrivileges) steps.push({ kind: "noNewPrivileges" });
  else steps.push({ kind: "detachMount", path: initInside });
  steps.push(filter, {
    kind: "execute",
    path,
    arguments: initCommand.length === 0 ? [path] : initCommand,
  });
  return attachPlan(launcher, { architecture: planArchitecture(), steps });
}

function planArchitecture(): PlanArchitecture {
  return hostAbi() === "aarch64" ? "aarch64" : "x86_64";
}

/** A command as LXC takes it apart: words between blanks, or in quotes. */
export function splitCommand(text: string): readonly string[] {
  return [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replace(/"([^"]*)"|'([^']*)'/g, (_, double?: string, single?: string) => double ?? single ?? ""),
  );
}
