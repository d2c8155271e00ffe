/** What the facts mean: each finding in words, and what to do where something is missing. Pure. */
import { listWords } from "../../diagnostics/index.ts";
import { errnoName, newestVersion, parseVersion } from "../../syscalls/index.ts";
import type { Facts } from "./facts.ts";
import { appArmorFix, type Fix, settingFix } from "./fixes.ts";

export interface Finding {
  /** A stable name, for programs. */
  readonly id: string;
  /** ok: there; missing: not there, or not usable; note: neither good nor bad. */
  readonly status: "ok" | "missing" | "note";
  /** Whether `run` needs it for its default. */
  readonly needed: boolean;
  readonly says: string;
  readonly fix?: Fix;
}

/** The findings, in the order in which a reader wants them. */
export function findings(facts: Facts): readonly Finding[] {
  if (facts.platform !== "linux")
    return [
      missing("kernel", true, `this is ${facts.platform}: programs run under a policy on Linux only`, {
        advice: "use check, explain and compile --target here, and run programs on Linux",
      }),
    ];
  return [
    kernel(facts),
    launcher(facts),
    filters(facts),
    actions(facts),
    supervisor(facts),
    abis(facts),
    landlock(facts),
    userNamespaces(facts),
    freshProc(facts),
    cgroups(facts),
    readingBack(facts),
    lxc(facts),
    compiler(facts),
  ];
}

/** Whether everything is there that `run` needs for its default. */
export function isUsable(list: readonly Finding[]): boolean {
  return list.every((one) => one.status !== "missing" || !one.needed);
}

const ok = (id: string, says: string): Finding => ({ id, status: "ok", needed: false, says });
const note = (id: string, says: string): Finding => ({ id, status: "note", needed: false, says });

function missing(id: string, needed: boolean, says: string, fix: Fix): Finding {
  return { id, status: "missing", needed, says, fix };
}

function answer({ answers }: Facts, name: string): number {
  return answers.get(name) ?? -38;
}

function has(facts: Facts, name: string): boolean {
  return answer(facts, name) >= 0;
}

/** Why the kernel said no. */
function refusal(facts: Facts, name: string): string {
  const number = -answer(facts, name);
  if (number > 1000) return `ended by signal ${number - 1000}`;
  return errnoName(facts.abi ?? "x86_64", number) ?? `error ${number}`;
}

function kernel(facts: Facts): Finding {
  const version = parseVersion(facts.release.split(/[^0-9.]/)[0] ?? "");
  const isNewer =
    version !== undefined &&
    (version.major > newestVersion.major ||
      (version.major === newestVersion.major && version.minor > newestVersion.minor));
  const where = facts.container === undefined ? "" : `, in a container (${facts.container})`;
  return isNewer
    ? note(
        "kernel",
        `Linux ${facts.release}${where}; the tables know calls up to ${newestVersion.major}.${newestVersion.minor}, and what is newer gets ENOSYS`,
      )
    : ok("kernel", `Linux ${facts.release}, ${facts.abi ?? "an unknown machine"}${where}`);
}

const reinstall: Fix = {
  advice: "install callgate again, or build the native programs: npm run build:native (needs gcc)",
};

function launcher({ launcher: { path, problem }, noAnswers }: Facts): Finding {
  if (problem !== undefined) return missing("launcher", true, problem, reinstall);
  if (noAnswers !== undefined) return missing("launcher", true, noAnswers, reinstall);
  return ok("launcher", `${path}, with the checksum of its build`);
}

function filters(facts: Facts): Finding {
  if (has(facts, "filter")) {
    const nested =
      facts.seccompMode === 2 ? "; this process is under a filter already, and both will count" : "";
    return ok("seccomp", `filters can be loaded without rights${nested}`);
  }
  return missing("seccomp", true, `no filter can be loaded (${refusal(facts, "filter")})`, {
    advice:
      facts.container === undefined
        ? "use a kernel built with CONFIG_SECCOMP_FILTER=y"
        : "let the container use seccomp and prctl: its own profile refuses them",
  });
}

const actionNames = ["kill", "kill-thread", "trap", "errno", "notify", "trace", "log", "allow"];

function actions(facts: Facts): Finding {
  const absent = actionNames.filter((name) => !has(facts, `action-${name}`));
  if (absent.length === 0) return ok("actions", listWords(actionNames, "and"));
  const needed = absent.some((name) => ["kill", "errno", "allow"].includes(name));
  return missing("actions", needed, `the kernel does not have ${listWords(absent, "and")}`, {
    advice: "use Linux 5.0 or newer: kill came with 4.14, notify with 5.0",
  });
}

function supervisor(facts: Facts): Finding {
  if (!has(facts, "notification")) {
    const busy = answer(facts, "notification") === -16;
    return missing(
      "notification",
      false,
      busy
        ? "calls cannot be handed to a supervisor: one of an outer filter has them (EBUSY)"
        : `calls cannot be handed to a supervisor (${refusal(facts, "notification")})`,
      {
        advice: busy
          ? "run callgate outside of the other supervisor for reports of denials"
          : "use Linux 5.0 or newer for reports of denials",
      },
    );
  }
  const more = [
    ...(has(facts, "notification-killable") ? ["waiting that only a kill interrupts"] : []),
    ...(has(facts, "notification-threads") ? ["for all threads at once"] : []),
  ];
  return ok(
    "notification",
    `calls can be handed to a supervisor${more.length === 0 ? "" : `; ${more.join("; ")}`}`,
  );
}

function abis(facts: Facts): Finding {
  if (facts.abi !== "x86_64") return ok("abis", facts.abi ?? "unknown");
  const own = [
    "x86_64",
    ...(has(facts, "abi-x86") ? ["x86"] : []),
    ...(has(facts, "abi-x32") ? ["x32"] : []),
  ];
  const closed = ["x86", "x32"].filter((name) => !own.includes(name));
  const rest =
    closed.length === 0 ? "" : `; ${listWords(closed, "and")}: not in this kernel, so nothing can use it`;
  return ok("abis", `${listWords(own, "and")} can be used${rest}`);
}

function landlock(facts: Facts): Finding {
  const version = answer(facts, "landlock");
  if (version > 0) return ok("landlock", `ABI ${version}${landlockLacks(version)}`);
  return missing(
    "landlock",
    false,
    version === -95
      ? "it is built in and switched off"
      : `the kernel has none (${refusal(facts, "landlock")})`,
    {
      advice:
        version === -95
          ? "add landlock to the kernel's lsm= list: see `cat /sys/kernel/security/lsm`"
          : "use Linux 5.13 or newer, built with CONFIG_SECURITY_LANDLOCK=y",
    },
  );
}

function landlockLacks(version: number): string {
  const lacks = [
    ...(version < 2 ? ["renaming between folders"] : []),
    ...(version < 3 ? ["truncating"] : []),
    ...(version < 4 ? ["TCP ports"] : []),
    ...(version < 5 ? ["ioctl on devices"] : []),
    ...(version < 6 ? ["abstract sockets and signals"] : []),
  ];
  return lacks.length === 0 ? "" : `; it cannot restrict ${listWords(lacks, "and")}`;
}

/** A user namespace, and the right to mount in it: some systems give the one without the other. */
function userNamespaces(facts: Facts): Finding {
  // What the launcher itself can do counts: AppArmor tells programs apart by their paths.
  if (has(facts, "launcher-namespaces"))
    return ok("user-namespaces", "can be made, with mounts and networks of their own");
  const failed = ["user-namespace", "user-mount", "user-network"].find((name) => !has(facts, name));
  const says =
    failed === "user-namespace"
      ? `cannot be made (${refusal(facts, failed)})`
      : `can be made, but give no rights (${refusal(facts, failed ?? "launcher-namespaces")})`;
  const { reason, fix } = namespaceObstacle(facts);
  return missing("user-namespaces", false, `${says}: ${reason}`, fix);
}

function namespaceObstacle(facts: Facts): { readonly reason: string; readonly fix: Fix } {
  const { settings, container, seccompMode } = facts;
  if (settings.get("user.max_user_namespaces") === "0")
    return {
      reason: "user.max_user_namespaces is 0",
      fix: settingFix("user.max_user_namespaces", "15000"),
    };
  if (settings.get("kernel.unprivileged_userns_clone") === "0" && !facts.isRoot)
    return {
      reason: "kernel.unprivileged_userns_clone is 0",
      fix: settingFix("kernel.unprivileged_userns_clone", "1"),
    };
  if (settings.get("kernel.apparmor_restrict_unprivileged_userns") === "1" && !facts.isRoot)
    return {
      reason:
        "kernel.apparmor_restrict_unprivileged_userns is 1, and no AppArmor profile permits the launcher",
      fix: appArmorFix(facts.launcher.path),
    };
  if (container !== undefined || seccompMode === 2)
    return {
      reason: `this process is in ${container === undefined ? "a sandbox" : `a container (${container})`}, whose own rules refuse them`,
      fix: {
        advice: "permit unshare, clone with CLONE_NEWUSER, and mount in the container's seccomp profile",
      },
    };
  return {
    reason: "the kernel refuses them",
    fix: { advice: "use a kernel built with CONFIG_USER_NS=y, and look for a limit of your distribution" },
  };
}

function freshProc(facts: Facts): Finding {
  if (!has(facts, "launcher-namespaces")) return note("proc", "a fresh /proc needs a user namespace");
  if (has(facts, "launcher-proc")) return ok("proc", "a fresh /proc can be mounted in a sandbox");
  return missing(
    "proc",
    false,
    `no fresh /proc can be mounted in a sandbox (${refusal(facts, "launcher-proc")}): it has none`,
    {
      advice:
        facts.container === undefined
          ? "nothing may be mounted over parts of /proc: see `grep /proc /proc/self/mountinfo`"
          : "start the container with its /proc not masked (docker run --security-opt systempaths=unconfined)",
    },
  );
}

function cgroups(facts: Facts): Finding {
  const { version, places, folder } = facts.cgroups;
  const each = [
    ["memory", places.memory],
    ["processes", places.pids],
  ] as const;
  const held = each.flatMap(([what, place]) =>
    place === undefined ? [] : [`${what} by cgroup v${place.version}`],
  );
  const lacks = each.flatMap(([what, place]) => (place === undefined ? [what] : []));
  if (lacks.length === 0)
    return ok("cgroups", `a sandbox's limits hold for all of it: ${listWords(held, "and")}`);
  const why =
    version === "none"
      ? "none are mounted"
      : version === "v1"
        ? "v1, which only root may use"
        : `nothing is delegated to this user${folder === undefined ? "" : ` (${folder})`}`;
  return missing(
    "cgroups",
    false,
    `${why}: a limit of ${listWords(lacks, "and")} holds by rlimit, memory for each process by itself`,
    version === "v2"
      ? {
          advice:
            "start through the user's systemd: systemd-run --user --scope -p Delegate=yes -- callgate run …",
        }
      : {
          advice:
            "start the kernel with systemd.unified_cgroup_hierarchy=1 for cgroups v2, which are delegated to users; as root v1 does",
        },
  );
}

function readingBack(facts: Facts): Finding {
  if (has(facts, "read-filter"))
    return ok("read-back", "filters of running processes can be read back and proved");
  const why =
    answer(facts, "read-filter") === -13
      ? facts.seccompMode === 2
        ? "this process is under a filter itself"
        : "it needs CAP_SYS_ADMIN"
      : `the kernel refuses (${refusal(facts, "read-filter")})`;
  return note(
    "read-back",
    `filters of running processes cannot be read back: ${why}; as root, inspect PID and lxc verify can${facts.isRoot ? " where the kernel has CONFIG_CHECKPOINT_RESTORE" : ""}`,
  );
}

function lxc({ lxc: version, libseccomp }: Facts): Finding {
  const library = libseccomp === undefined ? "no libseccomp" : `libseccomp ${libseccomp}`;
  return version === undefined
    ? note("lxc", "not installed: only `callgate lxc` needs it (Debian: apt install lxc)")
    : ok("lxc", `LXC ${version}, ${library}`);
}

function compiler({ gcc, launcher: { problem } }: Facts): Finding {
  if (gcc !== undefined) return ok("gcc", `gcc ${gcc}: the native programs can be built here`);
  return note("gcc", `not installed${problem === undefined ? ": not needed, the launcher is there" : ""}`);
}
