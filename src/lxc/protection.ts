/**
 * From a configuration to what protects the container: the policy, the floor (the profile that is in force without
 * callgate), and the two parts that enforce them. Nothing is written here, and nothing leaves unproved:
 *
 *     profile (LXC loads it)  +  filter (the container's first program loads it)  ≡  policy  +  floor
 */
import { readFileSync } from "node:fs";
import { filterOf, RET_ALLOW } from "../bpf/index.ts";
import { compileForLaunch, type LaunchFilter } from "../compiler/launch-key.ts";
import { type Diagnostic, hasErrors, type Source } from "../diagnostics/index.ts";
import { readLxcProfile } from "../formats/lxc-profile/read.ts";
import { type ProfileLoss, writeLxcProfile } from "../formats/lxc-profile/write.ts";
import { resolveSound } from "../policy/resolve.ts";
import type { Policy } from "../policy/types.ts";
import type { LaunchKeyRule } from "../proof/policy.ts";
import { compareStackMembers, type StackMember } from "../proof/stack.ts";
import { attachPlan } from "../sandbox/attached-plan.ts";
import type { PlanArchitecture, PlanStep } from "../sandbox/plan.ts";
import { abiByName, hostAbi, syscallNumber } from "../syscalls/index.ts";
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

/** Works out a container's protection; what is wrong is a diagnostic, and then there is none. */
export function protectionOf(config: ContainerConfig, kernel: string): ProtectionResult {
  const statements = readStatements(config, kernel);
  const diagnostics: Diagnostic[] = [...statements.diagnostics];
  const consulted = [...config.consulted, ...statements.consulted];
  const result = (protection?: Protection): ProtectionResult => ({
    protection: hasErrors(diagnostics) ? undefined : protection,
    statements,
    consulted,
    diagnostics,
  });
  const unmanaged = config.lines.filter((line) => !line.isManaged);
  const floorLine = statements.inherits ? lastValue(unmanaged, "lxc.seccomp.profile") : undefined;
  if (floorLine !== undefined) consulted.push(floorLine.value);
  const floor = floorLine === undefined ? undefined : readFloor(floorLine.value, diagnostics);
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
  const { text, losses } = profileText(policy, floor);
  const filter = compileForLaunch(policy, target);
  const wrong = proofProblem(text, filter, policy, floor);
  if (wrong !== undefined) {
    diagnostics.push({ id: "not-proved", severity: "error", message: wrong });
    return result();
  }
  const noNewPrivileges = lacksAdministration(unmanaged);
  return result({
    policy,
    floor,
    profile: text,
    beyondProfile: losses,
    filter,
    noNewPrivileges,
    initCommand: splitCommand(lastValue(unmanaged, "lxc.init.cmd")?.value ?? "/sbin/init"),
  });
}

function readFloor(file: string, diagnostics: Diagnostic[]): Floor | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "it cannot be read";
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

/** The floor's own lines, and behind them what the policy refuses, as far as the format can say it. */
function profileText(
  policy: Policy,
  floor: Floor | undefined,
): { readonly text: string; readonly losses: readonly ProfileLoss[] } {
  const written = writeLxcProfile(policy, { ...profileOptions(), except: callsOfLxc, below: true });
  if (floor === undefined) return { text: written.text, losses: written.losses };
  // Only a list of refusals can be joined with more of them; before any other the floor stands alone.
  if (floor.policy.syscalls.default.kind !== "allow" || !/^\s*\+?0*2\s/.test(floor.text)) {
    const message =
      "the profile in force is a list of what is allowed: it stays as it is, and all statements are enforced by the container's first program";
    return { text: floor.text, losses: [{ syscall: undefined, message }] };
  }
  const text = `${floor.text.replace(/\n?$/, "\n")}[all]\n${written.rules.map((line) => `${line}\n`).join("")}`;
  return { text, losses: written.losses };
}

/** Why the two parts together are not the policy and the floor together; undefined when they are. */
function proofProblem(
  text: string,
  filter: LaunchFilter,
  policy: Policy,
  floor: Floor | undefined,
): string | undefined {
  const { policy: profile } = readLxcProfile({ name: "callgate.seccomp", text }, profileOptions());
  if (profile === undefined)
    return "LXC would not take the profile that was made for it: this is a mistake in callgate";
  const verdict = compareStackMembers(
    [{ resolved: resolveSound(profile) }, { filter: filter.filter }],
    [...floorMembers(floor), policyMember(policy, filter, keyOf(filter))],
  );
  switch (verdict.verdict) {
    case "equal":
      return undefined;
    case "undecided":
      return `the profile and the filter could not be proved equal to the policy: ${verdict.reason}`;
    case "different":
      return `the profile and the filter differ from the policy on call ${verdict.witness.nr} (${verdict.witness.abi ?? "another architecture"}): this is a mistake in callgate`;
  }
}

export function floorMembers(floor: Floor | undefined): readonly StackMember[] {
  return floor === undefined ? [] : [{ resolved: resolveSound(floor.policy) }];
}

/** The policy as a member of a stack: with the one execve that the launcher's key lets pass, where there is a key. */
export function policyMember(
  policy: Policy,
  { keyPlaces }: LaunchFilter,
  key: readonly number[],
): StackMember {
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
    ownFilter(protection),
    { kind: "execute", path: whole[0] ?? "/bin/sh", arguments: whole },
  ];
  return attachPlan(launcher, { architecture: planArchitecture(), steps });
}

function ownFilter({ filter }: Protection): PlanStep {
  return {
    kind: "filter",
    bytes: filter.filter.bytes,
    patches: filter.keyPlaces.map(({ instruction, keyWord }) => ({ instruction, word: keyWord })),
  };
}

/** The container's first program: the launcher, carrying out the filter and then what the container starts. */
export function initProgram(launcher: Uint8Array, protection: Protection): Uint8Array {
  const { noNewPrivileges, initCommand } = protection;
  const [path = "/sbin/init"] = initCommand;
  const steps: PlanStep[] = [];
  if (noNewPrivileges) steps.push({ kind: "noNewPrivileges" });
  else steps.push({ kind: "detachMount", path: initInside });
  steps.push(ownFilter(protection), {
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
