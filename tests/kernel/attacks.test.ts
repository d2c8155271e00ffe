// What the policy "default" refuses, tried by tests/fixtures/attacks/probe.c: first without the sandbox, where it
// must work (or where the table says why it cannot, and the kernel's answer must at least be another than the
// filter's), then under `callgate run`, where it must fail with the policy's errno; as root and as an ordinary
// user; natively and by int 0x80, each also with the bits set that the kernel does not read.
//
// Debian packages: gcc libc6-dev util-linux
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isRoot, ordinaryUser, root, runProgram, scratchPath } from "./native.ts";

const callgate = join(root, "bin", "callgate");

interface Attack {
  /** The probe's name for it. */
  readonly name: string;
  /** What it must get inside. */
  readonly inside: string;
  /** Why it does not work even for root outside; what it is answered there must still differ. */
  readonly why?: string;
  /** Why it does not work for an ordinary user outside, who gets EPERM there from the kernel itself. */
  readonly user?: string;
}

const needsRights = "the kernel asks for rights first";
const notBuilt = "many kernels are built without it";
const badArguments = "with arguments that the kernel refuses after it has looked at them";

/** Names stand for several attacks where one sentence fits them all. */
function attacks(names: string, inside: string, more: Pick<Attack, "why" | "user"> = {}): Attack[] {
  return names.split(" ").map((name) => ({ name, inside, ...more }));
}

const namespaces = ["mount", "uts", "ipc", "pid", "net", "cgroup"];
const byItself = namespaces.flatMap((kind) => [`unshare_${kind}`, `clone_${kind}`]).join(" ");
const withUsers = namespaces.flatMap((kind) => [`unshare_user_${kind}`, `clone_user_${kind}`]).join(" ");

const table: readonly Attack[] = [
  ...attacks("ptrace_sibling ptrace_host ptrace_traceme process_vm_readv process_vm_writev", "EPERM"),
  ...attacks("pidfd_getfd pidfd_getfd_host kcmp move_pages", "EPERM"),
  ...attacks("process_madvise", "EPERM", { user: needsRights }),
  ...attacks("process_mrelease migrate_pages", "EPERM", { why: badArguments }),

  ...attacks(`unshare_user clone_user unshare_user_time ${withUsers}`, "EPERM"),
  ...attacks(`unshare_time setns ${byItself}`, "EPERM", { user: needsRights }),
  ...attacks("clone3_user", "ENOSYS"),
  ...attacks("setns_wrong_kind", "EPERM", { why: badArguments }),

  ...attacks("keyctl add_key", "EPERM"),
  ...attacks("request_key", "EPERM", { why: "there is no such key" }),
  ...attacks("bpf_map", "EPERM", { user: needsRights }),
  ...attacks("bpf_bad_command", "EPERM", { why: badArguments }),
  ...attacks("perf_event_open userfaultfd vmsplice fanotify_init modify_ldt", "EPERM"),
  ...attacks("userfaultfd_device", "EPERM", { user: "the device file is root's" }),
  ...attacks("io_uring_setup", "ENOSYS"),
  ...attacks("io_uring_enter io_uring_register", "ENOSYS", { why: badArguments }),
  ...attacks("notification_pipe watch_queue_filter lookup_dcookie iopl ioperm", "EPERM", { why: notBuilt }),
  ...attacks("vm86", "EPERM", { why: "no 64-bit kernel has it" }),

  ...attacks("mount chroot fsopen fspick open_tree_clone", "EPERM", { user: needsRights }),
  ...attacks("open_tree", "EPERM"),
  ...attacks("mount_nowhere umount_nowhere chroot_nowhere", "EPERM", { why: "there is no such folder" }),
  ...attacks("fsconfig mount_setattr", "EPERM", { why: badArguments }),
  ...attacks("pivot_root fsmount move_mount", "EPERM", { why: badArguments, user: needsRights }),
  ...attacks("open_tree_attr", "ENOSYS", { user: needsRights }),
  ...attacks("statmount listmount lsm_set_self_attr", "ENOSYS", { why: badArguments }),
  ...attacks("init_module finit_module delete_module kexec_load kexec_file_load", "EPERM", {
    why: `${notBuilt}; otherwise ${badArguments}`,
    user: needsRights,
  }),
  ...attacks("clock_settime", "EPERM", { why: "that clock cannot be set" }),
  ...attacks("settimeofday", "EPERM", { user: needsRights }),
  ...attacks("adjtimex clock_adjtime quotactl", "EPERM"),
  ...attacks("quotactl_fd", "EPERM", { why: badArguments }),
  ...attacks("swapon swapoff acct", "EPERM", { why: "there is no such file", user: needsRights }),
  ...attacks("reboot_wrong_magic", "EPERM", { why: badArguments, user: needsRights }),
  ...attacks("open_by_handle_at sethostname setdomainname vhangup syslog", "EPERM", { user: needsRights }),
  ...attacks("mknod_device mknodat_device mknod_wide_mode", "EPERM", { user: needsRights }),

  ...attacks("socket_vsock", "EAFNOSUPPORT"),
  ...attacks("socket_packet socket_xdp", "EAFNOSUPPORT", { user: needsRights }),
  ...attacks("socket_alg socket_key socket_tipc socket_can socket_bluetooth", "EAFNOSUPPORT", {
    why: notBuilt,
  }),
  ...attacks("socket_rds socket_smc socket_nfc", "EAFNOSUPPORT", { why: notBuilt }),
  ...attacks("socket_netlink_netfilter socket_netlink_xfrm socket_netlink_audit", "EPROTONOSUPPORT"),
  ...attacks("socket_netlink_generic socket_netlink_diag socket_netlink_uevent", "EPROTONOSUPPORT"),
  ...attacks("socket_raw socket_raw6 socket_inet_packet", "EPERM", { user: needsRights }),
  ...attacks("socket_dccp socket_sctp", "EPERM", { why: notBuilt }),
  ...attacks("socket_sctp_stream socket_l2tp", "EPROTONOSUPPORT", { why: notBuilt }),
  ...attacks("socket_mptcp socket_udplite", "EPROTONOSUPPORT"),
  ...attacks("socketpair_inet socketcall_socketpair", "EAFNOSUPPORT", {
    why: "no family but UNIX and TIPC has pairs",
  }),
  ...attacks("socketcall_vsock socketcall_netfilter", "EAFNOSUPPORT"),
  ...attacks("tcp_ulp socketcall_tcp_ulp", "ENOPROTOOPT", { why: notBuilt }),
  ...attacks("iptables iptables_counters ip6tables arptables", "EPERM", {
    why: badArguments,
    user: needsRights,
  }),
  ...attacks("ebtables", "EPERM", { why: notBuilt, user: needsRights }),

  ...attacks("tiocsti tiocsetd", "EPERM"),
  ...attacks("tioclinux", "EPERM", { why: "only a virtual console has it" }),
  ...attacks("personality_no_randomize personality_read_implies_exec prctl_set_mm", "EPERM"),
  ...attacks("seccomp_new_listener", "EBUSY"),
  ...attacks("x32_getpid", "SIGSYS", { why: notBuilt }),
];

/** Numbers that no kernel has: the kernel's answer and the policy's are the same. */
const unknownNumbers = ["unknown_number", "number_minus_one"];

interface Person {
  readonly name: string;
  readonly isRoot: boolean;
  readonly identity: { readonly uid?: number; readonly gid?: number };
}

const ordinary: Person = { name: "an ordinary user", isRoot: false, identity: isRoot ? ordinaryUser : {} };
const people: readonly Person[] = isRoot
  ? [{ name: "root", isRoot: true, identity: {} }, ordinary]
  : [ordinary];

type Way = "native" | "high" | "int80" | "int80-high";

const ways: readonly { readonly way: Way; readonly name: string; readonly abi: readonly string[] }[] = [
  { way: "native", name: "natively", abi: [] },
  { way: "high", name: "natively with the unread bits set", abi: [] },
  { way: "int80", name: "by int 0x80", abi: ["--abi", "x86"] },
  { way: "int80-high", name: "by int 0x80 with the unread bits set", abi: ["--abi", "x86"] },
];

const skip = process.arch === "x64" ? false : "the probe is written for x86_64";

describe("attacks under the policy default", { skip }, () => {
  const probe = scratchPath("probe");
  const hosts = new Map<Person, ChildProcess>();

  before(() => {
    const source = join(root, "tests", "fixtures", "attacks", "probe.c");
    const compiled = spawnSync("gcc", ["-O1", "-Wall", "-Werror", "-o", probe, source], { encoding: "utf8" });
    assert.equal(compiled.status, 0, compiled.stderr);
    for (const person of people)
      hosts.set(person, spawn("sleep", ["100000"], { stdio: "ignore", ...person.identity }));
  });
  after(() => {
    for (const host of hosts.values()) host.kill("SIGKILL");
  });

  /** Makes all attempts; what became of each. Root makes them in mount and host name namespaces of its own. */
  function attempt(person: Person, way: Way, prefix: readonly string[]): ReadonlyMap<string, string> {
    const folder = scratchPath("attempts");
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    const command = [
      ...(person.isRoot ? ["unshare", "--mount", "--uts"] : []),
      ...prefix,
      ...[probe, way, folder, String(hosts.get(person)?.pid)],
    ];
    const result = runProgram("/usr/bin/env", { args: command, cwd: folder, ...person.identity });
    assert.equal(result.stderr, "");
    assert.equal(result.status, 0);
    const lines = result.stdout.trimEnd().split("\n");
    return new Map(lines.map((line): [string, string] => [line.replace(/ .*/, ""), line.replace(/.* /, "")]));
  }

  for (const person of people) {
    for (const { way, name, abi } of ways) {
      test(`each fails inside for ${person.name}, tried ${name}`, (context) => {
        const outside = attempt(person, way, []);
        const inside = attempt(person, way, [
          callgate,
          "run",
          "--filter-only",
          "--policy",
          "default",
          ...abi,
          "--",
        ]);
        const tried = [...outside.keys()].filter((one) => outside.get(one) !== "-");
        assert.deepEqual(
          [...outside.keys()].sort(),
          [...table.map((one) => one.name), ...unknownNumbers].sort(),
          "the table and the probe have the same attacks",
        );
        assert.ok(tried.length > 60, `${tried.length} were tried`);
        const mistakes = table
          .filter((one) => tried.includes(one.name))
          .flatMap((one) => verdict(one, person, outside.get(one.name) ?? "", inside.get(one.name) ?? ""));
        assert.deepEqual(mistakes, []);
        // One table is enough to read, with what only x86 has.
        const isNew = (one: string): boolean =>
          way === "native" || one.startsWith("socketcall") || one === "vm86";
        const shown =
          person === people[0] && (way === "native" || way === "int80") ? tried.filter(isNew) : [];
        for (const one of shown) context.diagnostic(`${one}: ${outside.get(one)} → ${inside.get(one)}`);
        for (const one of unknownNumbers) if (tried.includes(one)) assert.equal(inside.get(one), "ENOSYS");
      });
    }

    test(`a call of x86 ends a program of ${person.name} without --abi x86`, () => {
      const inside = attempt(person, "int80", [
        callgate,
        "run",
        "--filter-only",
        "--policy",
        "default",
        "--",
      ]);
      const survived = [...inside].filter(([, outcome]) => outcome !== "SIGSYS" && outcome !== "-");
      assert.deepEqual(survived, []);
      assert.ok([...inside.values()].includes("SIGSYS"));
    });
  }
});

/** What is wrong with an attack's outcomes. */
function verdict(attack: Attack, person: Person, outside: string, inside: string): readonly string[] {
  const excuse = attack.why ?? (person.isRoot ? undefined : attack.user);
  const mistakes: string[] = [];
  if (inside !== attack.inside) mistakes.push(`${attack.name}: ${inside} inside, not ${attack.inside}`);
  if (outside === "worked") return mistakes;
  if (excuse === undefined) mistakes.push(`${attack.name}: ${outside} outside, where it should work`);
  const kernelRefuses = !person.isRoot && attack.user !== undefined && outside === "EPERM";
  if (outside === inside && !kernelRefuses)
    mistakes.push(`${attack.name}: ${outside} both outside and inside: it does not show the filter`);
  return mistakes;
}
