/** Which names the values of an argument go by, for whoever prints a call: `socket(AF_UNIX, …)`, not `socket(1, …)`. */
import type { AbiName } from "./abi.ts";
import { type Constant, constantsNamed } from "./constants.ts";

/** What the names of an argument's values begin with; `flags` are or-ed together, others are one of a list. */
export interface NamedValues {
  readonly prefixes: readonly string[];
  readonly flags: boolean;
}

const one = (...prefixes: string[]): NamedValues => ({ prefixes, flags: false });
const flags = (...prefixes: string[]): NamedValues => ({ prefixes, flags: true });

const openFlags = flags("O_");
const protection = flags("PROT_");

/** By `call.argument` with the manual page's names. */
const named: Readonly<Record<string, NamedValues>> = {
  "arch_prctl.op": one("ARCH_"),
  "arch_prctl.code": one("ARCH_"),
  "bpf.cmd": one("BPF_"),
  "clone.flags": flags("CLONE_"),
  "fcntl.op": one("F_"),
  "fcntl.cmd": one("F_"),
  "fcntl64.op": one("F_"),
  "fcntl64.cmd": one("F_"),
  "futex.futex_op": one("FUTEX_"),
  "ioctl.op": one("TIOC", "TC", "FIO", "SIOC", "FS_IOC_"),
  "ioctl.request": one("TIOC", "TC", "FIO", "SIOC", "FS_IOC_"),
  "keyctl.op": one("KEYCTL_"),
  "keyctl.operation": one("KEYCTL_"),
  "kill.sig": one("SIG"),
  "tgkill.sig": one("SIG"),
  "tkill.sig": one("SIG"),
  "madvise.advice": one("MADV_"),
  "mmap.prot": protection,
  "mmap2.prot": protection,
  "mmap.flags": flags("MAP_"),
  "mmap2.flags": flags("MAP_"),
  "mount.mountflags": flags("MS_"),
  "mprotect.prot": protection,
  "open.flags": openFlags,
  "openat.flags": openFlags,
  "personality.persona": one("PER_"),
  "pkey_mprotect.prot": protection,
  "prctl.op": one(
    "PR_SET_",
    "PR_GET_",
    "PR_CAPBSET_",
    "PR_TASK_PERF_",
    "PR_MPX_",
    "PR_CAP_AMBIENT",
    "PR_MCE_KILL",
  ),
  "prctl.option": one(
    "PR_SET_",
    "PR_GET_",
    "PR_CAPBSET_",
    "PR_TASK_PERF_",
    "PR_MPX_",
    "PR_CAP_AMBIENT",
    "PR_MCE_KILL",
  ),
  "ptrace.op": one("PTRACE_"),
  "ptrace.request": one("PTRACE_"),
  "seccomp.operation": one("SECCOMP_SET_", "SECCOMP_GET_"),
  "setns.nstype": flags("CLONE_NEW"),
  "setsockopt.level": one("SOL_"),
  "getsockopt.level": one("SOL_"),
  "socket.domain": one("AF_"),
  "socket.type": one("SOCK_"),
  "socketcall.call": one("SYS_"),
  "socketpair.domain": one("AF_"),
  "socketpair.type": one("SOCK_"),
  "umount2.flags": flags("MNT_", "UMOUNT_"),
  "unshare.flags": flags("CLONE_"),
};

/** Names that a better one exists for, and values of other arguments that begin alike. */
const unusual =
  /^(?:AF_LOCAL|AF_FILE|AF_ROUTE|AF_MAX|O_NDELAY|O_FSYNC|MAP_ANON|SOCK_(?:MAX|TXREHASH|SNDBUF|RCVBUF|DESTROY|BUF).*|PR_SET_MM_.*|PR_CAP_AMBIENT_.*|PR_MCE_KILL_(?!GET).*|.*_MASK)$/;

/** How the values of a call's argument are named; undefined where they are plain numbers. */
export function namedValues(call: string, argument: string): NamedValues | undefined {
  return named[`${call}.${argument}`];
}

function candidates(abi: AbiName, { prefixes }: NamedValues): readonly Constant[] {
  return prefixes
    .flatMap((prefix) => constantsNamed(abi, prefix))
    .filter(({ name, value }) => value >= 0n && !unusual.test(name));
}

/**
 * The name or the names of a value, to be or-ed: `AF_UNIX`, `CLONE_NEWNS CLONE_NEWUSER`. Undefined where the value
 * has none, or some bit of it has none.
 */
export function namesOfValue(
  abi: AbiName,
  values: NamedValues,
  value: bigint,
): readonly string[] | undefined {
  const known = candidates(abi, values);
  const exact = known.find((constant) => constant.value === value);
  if (exact !== undefined) return [exact.name];
  if (!values.flags || value === 0n) return undefined;
  const found: string[] = [];
  let rest = value;
  for (const constant of [...known].reverse()) {
    if (constant.value === 0n || (rest & constant.value) !== constant.value) continue;
    found.unshift(constant.name);
    rest &= ~constant.value;
  }
  return rest === 0n ? found : undefined;
}
