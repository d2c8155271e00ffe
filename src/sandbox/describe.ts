/**
 * A plan in words, a step a line, in the order in which the launcher carries them out; and as facts for programs.
 * A new kind of step gets its words in `wordsOf`: without them the compiler complains.
 */
import { sanitise } from "../diagnostics/index.ts";
import type { Policy } from "../policy/types.ts";
import { sizeText } from "./cgroups.ts";
import type { Plan, PlanStep, PlanString } from "./plan.ts";
import { countCalls, type ReportStep } from "./report-step.ts";
import type { LandlockStep, LimitsStep, MountEntry } from "./steps.ts";
import { titleWidth } from "./title-width.ts";

/** What a step is called, and what it does: a line, or several where there is more to say. */
interface StepWords {
  readonly title: string;
  readonly lines: readonly string[];
}

/** The plan as people read it; lines are not wrapped, since paths and commands are in them. */
export function describePlan(plan: Plan, policy: Policy): string {
  return plan.steps
    .flatMap((step) => {
      const { title, lines } = wordsOf(step, policy, isSupervised(plan));
      return lines.map((line, index) => `${(index === 0 ? title : "").padEnd(titleWidth)}${line}\n`);
    })
    .join("");
}

/** The plan as `callgate plan --json` prints it: each step with its words and what it is made of. */
export function planFacts(plan: Plan, policy: Policy): object {
  return {
    architecture: plan.architecture,
    policy: policy.name ?? null,
    steps: plan.steps.map((step) => {
      const { title, lines } = wordsOf(step, policy, isSupervised(plan));
      return { kind: step.kind, title, does: lines, ...factsOf(step) };
    }),
  };
}

function isSupervised({ steps }: Plan): boolean {
  return steps.some(({ kind }) => kind === "report");
}

function text(value: PlanString): string {
  return sanitise(typeof value === "string" ? value : Buffer.from(value).toString("utf8"));
}

/** As a shell would need it: quoted where it is more than a plain word. */
function quoted(value: PlanString): string {
  const shown = text(value);
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
}

function wordsOf(step: PlanStep, policy: Policy, isSupervised: boolean): StepWords {
  switch (step.kind) {
    case "detachMount":
      return words("detach mount", text(step.path));
    case "cgroups":
      return words(
        "cgroup",
        ...step.groups.map(
          (group) =>
            `${group.holds.join(", ")}: by cgroup v${group.version}, ${"folder" in group ? `in ${text(group.folder)}` : "where it can be made"}`,
        ),
      );
    case "namespaces":
      return words("namespaces", `of its own: ${step.namespaces.join(", ")}`);
    case "idMaps":
      return words("id maps", step.map === "own" ? "this user, and nobody else" : "every user and group");
    case "callersFolder":
      return words("folder of caller", "read-only, unless it holds more than a program's files");
    case "mounts":
      return words("mounts", ...step.entries.flatMap(mountWords));
    case "pivot":
      return words("change root", "to what was mounted, read-only; the caller's is gone");
    case "hostName":
      return words("host name", text(step.name));
    case "limits":
      // Two of the processes are callgate's, and the supervisor where there is one.
      return words("limits", ...limitWords(step, isSupervised ? 3 : 2));
    case "identity":
      return words("identity", `user ${step.uid}, group ${step.gid}, no other groups`);
    case "capabilities":
      return words("capabilities", "none, and none to be had");
    case "hardening":
      return words("hardening", "memory that was writable does not become executable");
    case "landlock":
      return words("landlock", ...landlockWords(step));
    case "explainKill":
      return words("killed by a call", text(step.sentence));
    case "environment": {
      const kept = step.keep === "all" ? "everything" : step.keep.join(", ") || "nothing";
      const set = Object.keys(step.set);
      return words("environment", `keep ${kept}${set.length === 0 ? "" : `; set ${set.join(", ")}`}`);
    }
    case "workingDirectory":
      return words("working directory", text(step.path));
    case "terminal":
      return words("terminal", "a session of its own");
    case "noNewPrivileges":
      return words("no new privileges", "set-user-id programs give no rights");
    case "closeDescriptors":
      return words(
        "descriptors",
        `0, 1, 2${step.keep.map((one) => `, ${one}`).join("")} stay open; all others are closed`,
      );
    case "signals":
      return words(
        "signals",
        "default dispositions, none blocked; what nohup or a shell ignores stays ignored",
      );
    case "report":
      return words("report", ...reportWords(step));
    case "decidingFilter":
      return words(
        "deciding filter",
        `${step.bytes.length / 8} instructions: which denied calls are questions`,
      );
    case "ruleFilter":
      return words("rule filter", `${step.bytes.length / 8} instructions: which rule refuses a call`);
    case "notifyingFilter":
      return words(
        "notifying filter",
        `${step.bytes.length / 8} instructions: hands up what the filter refuses`,
      );
    case "filter": {
      const key = (step.patches?.length ?? 0) > 0 ? "; execve passes once, by the launch key" : "";
      return words(
        "filter",
        `${step.bytes.length / 8} instructions, proved equal to the policy ${policy.name ?? ""}`.trimEnd() +
          key,
      );
    }
    case "execute":
      return words("execute", `${text(step.path)}: ${step.arguments.map(quoted).join(" ")}`);
  }
}

/** What has only to be there for something else is left out. */
function mountWords(entry: MountEntry): readonly string[] {
  const target = `/${text(entry.target)}`;
  switch (entry.kind) {
    case "bind": {
      const from = `/${entry.target}` === entry.source ? "" : `, from ${text(entry.source)}`;
      return [`${entry.writable === true ? "writable " : "read-only"} ${target}${from}`];
    }
    case "tmpfs":
      return [`${entry.writable === false ? "hidden   " : "empty    "} ${target}`];
    case "own":
      return [`empty     ${target}`];
    case "proc":
      return [`${entry.writable ? "own      " : "read-only"} ${target}, of the program's own processes`];
    case "devpts":
      return [`own       ${target}`];
    case "link":
      return [`link      ${target} → ${text(entry.to)}`];
    case "directory":
    case "file":
      return [];
  }
}

/** @param ours how many of the processes are callgate's */
function limitWords({ resources, wallTime }: LimitsStep, ours: number): readonly string[] {
  const each = Object.entries(resources).map(([name, value]) => rlimitWords(name, value, ours));
  return [
    ...(each.length === 0 ? [] : [`${each.join(", ")}: by rlimit`]),
    ...(wallTime === undefined ? [] : [`${wallTime} s in all: by callgate, which ends it then`]),
  ];
}

function rlimitWords(name: string, value: number, ours: number): string {
  switch (name) {
    case "cpu":
      return `processor time ${value} s a process`;
    case "data":
      return `memory ${sizeText(value)} a process`;
    case "fsize":
      return `file size ${sizeText(value)}`;
    case "nofile":
      return `${value} open files a process`;
    case "nproc":
      return `${value - ours} processes and threads`;
    default:
      return `${name} ${value}`;
  }
}

/** LANDLOCK_ACCESS_FS_WRITE_FILE and all that changes a folder. */
const changing = 0x1ffff & ~(0x1 | 0x4 | 0x8 | 0x8000);

function landlockWords({ paths, ports, network, scopes }: LandlockStep): readonly string[] {
  const writable = paths.filter(({ rights }) => (rights & changing) !== 0);
  const readable = paths.filter(({ rights }) => (rights & changing) === 0);
  return [
    `read  ${readable.map(({ path }) => text(path)).join(" ") || "nothing"}`,
    `write ${writable.map(({ path }) => text(path)).join(" ") || "nothing"}`,
    ...(network === 0 ? [] : [`TCP   ${ports.map(({ port }) => port).join(" ") || "no port"}`]),
    ...(scopes === 0 ? [] : ["no signal and no abstract socket to anybody outside"]),
  ];
}

function reportWords({ live, all, asks, to }: ReportStep): readonly string[] {
  const when = live ? "as they happen" : "at the end";
  const who = to.kind === "socket" ? `descriptor ${to.descriptor} is told` : "callgate tells";
  return [
    `denied calls go to a supervisor; ${who} of them ${when}${all ? ", ENOSYS too" : ""}`,
    ...(asks ? ["and asks about calls"] : []),
  ];
}

function words(title: string, ...lines: readonly string[]): StepWords {
  return { title, lines };
}

/** What a step is made of, as JSON has it; of a filter its size, and of variables that are set only the names. */
function factsOf(step: PlanStep): object {
  if (step.kind === "report")
    return {
      live: step.live,
      all: step.all,
      asks: step.asks,
      to: step.to.kind,
      calls: countCalls(step.rows),
    };
  if ("bytes" in step)
    return { instructions: step.bytes.length / 8, launchKey: (step.patches?.length ?? 0) > 0 };
  if (step.kind === "environment") return { keep: step.keep, set: Object.keys(step.set) };
  return Object.fromEntries(Object.entries(step).map(([key, value]) => [key, jsonValue(value)]));
}

function jsonValue(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8");
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return value.map(jsonValue);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, jsonValue(item)]));
}
