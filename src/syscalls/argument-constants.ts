/** Which names the values of an argument go by, for whoever prints a call: `socket(AF_UNIX, …)`, not `socket(1, …)`. */
import type { AbiName } from "./abi.ts";
import { constantsOf } from "./constant-list.ts";

/** The names of an argument's values: a list of constants in which no two have one value. */
export interface NamedValues {
  readonly names: string;
  /** Or-ed together; else one of the list. */
  readonly flags: boolean;
}

const one = (names: string): NamedValues => ({ names, flags: false });
const flags = (names: string): NamedValues => ({ names, flags: true });

// The headers give the values of other arguments, of fields and of masks names that begin alike: each list leaves
// these out, so that a value has one name, and that is the argument's own.
const signal = one("SIG* -SIG_* -SIGEV_* -SIGSTKSZ -SIGIOT -SIGCLD -SIGPOLL -SIGUNUSED -SIGRTMIN -SIGRTMAX");
/** The commands of fcntl. */
export const fileCommandNames =
  "F_* -F_OK -F_RDLCK -F_WRLCK -F_UNLCK -F_EXLCK -F_SHLCK -F_SEAL_* -F_OWNER_* -F_LINUX_SPECIFIC_BASE";
const fileCommand = one(fileCommandNames);
const deviceRequest = one(
  "TIOC* TC* FIO* SIOC* FS_IOC_* -TIOCM_* -TIOCPKT_* -TIOCSER_* -TIOCINQ -TCP_* -TCSANOW -TCSADRAIN -TCSAFLUSH -TCION -TCIOFF -TCOON -TCOOFF -TCIFLUSH -TCOFLUSH -TCIOFLUSH -SIOCINQ -SIOCOUTQ -SIOCGSTAMP_OLD -SIOCGSTAMPNS_OLD -SIOCDEVPRIVATE -SIOCPROTOPRIVATE",
);
const processOption = one(
  "PR_SET_* PR_GET_* PR_CAPBSET_* PR_TASK_PERF_* PR_MPX_* PR_CAP_AMBIENT PR_MCE_KILL PR_MCE_KILL_GET -PR_SET_MM_* -PR_SET_VMA_* -PR_SET_PTRACER_ANY",
);
const traceRequest = one(
  "PTRACE_* -PTRACE_O_* -PTRACE_EVENT_* -PTRACE_EVENTMSG_* -PTRACE_SYSCALL_INFO_* -PTRACE_PEEKSIGINFO_SHARED -PTRACE_GETFDPIC_* -PTRACE_CFI_* -PTRACE_PROT",
);
const keyOperation = one("KEYCTL_* -KEYCTL_CAPS0_* -KEYCTL_CAPS1_* -KEYCTL_SUPPORTS_* -KEYCTL_MOVE_EXCL");
const machineCode = one("ARCH_* -ARCH_XCOMP_* -ARCH_SHSTK_SHSTK -ARCH_SHSTK_WRSS");
const futexOperation = one(
  "FUTEX_* -FUTEX_OP_* -FUTEX_ROBUST_* -FUTEX_32 -FUTEX_PRIVATE_FLAG -FUTEX_CLOCK_REALTIME -FUTEX_CMD_MASK -FUTEX_NO_NODE -FUTEX_WAITV_MAX -FUTEX_TID_MASK -FUTEX_OWNER_DIED -FUTEX_WAITERS -FUTEX_BITSET_MATCH_ANY",
);
const protection = flags("PROT_*");
const mapping = flags("MAP_* -MAP_ANON -MAP_RENAME -MAP_FILE -MAP_HUGE_*");
const openFlags = flags("O_* -O_NDELAY -O_FSYNC -O_RSYNC -O_NOTIFICATION_PIPE");
// In clone the lowest byte is a signal, in unshare and setns it is not.
const cloneFlags = flags(
  "SIGCHLD CLONE_* -CLONE_ARGS_SIZE_* -CLONE_NEWTIME -CLONE_CLEAR_SIGHAND -CLONE_INTO_CGROUP -CLONE_AUTOREAP -CLONE_NNP -CLONE_PIDFD_AUTOKILL -CLONE_EMPTY_MNTNS",
);
const domain = one("AF_* -AF_LOCAL -AF_FILE -AF_ROUTE -AF_MAX");
const socketType = one(
  "SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET SOCK_DCCP SOCK_PACKET SOCK_NONBLOCK SOCK_CLOEXEC",
);
const level = one("SOL_* -SOL_CAN_BASE");
/** The machine's clocks, without those of single processes. */
export const clockNames =
  "CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID CLOCK_MONOTONIC_RAW CLOCK_REALTIME_COARSE CLOCK_MONOTONIC_COARSE CLOCK_BOOTTIME CLOCK_REALTIME_ALARM CLOCK_BOOTTIME_ALARM CLOCK_TAI";
const clock = one(clockNames);
const resource = one("RLIMIT_* -RLIMIT_OFILE");

/** By `call.argument` with the manual page's names. */
const named: Readonly<Record<string, NamedValues>> = {
  "accept4.flags": flags("SOCK_CLOEXEC SOCK_NONBLOCK"),
  "arch_prctl.op": machineCode,
  "arch_prctl.code": machineCode,
  "bpf.cmd": one(
    "BPF_MAP_* BPF_PROG_* BPF_OBJ_* BPF_LINK_* BPF_RAW_TRACEPOINT_OPEN BPF_TASK_FD_QUERY BPF_ENABLE_STATS BPF_ITER_CREATE BPF_TOKEN_CREATE -BPF_MAP_TYPE_* -BPF_PROG_TYPE_* -BPF_LINK_TYPE_* -BPF_OBJ_NAME_LEN -BPF_PROG_TEST_RUN",
  ),
  "clock_getres.clockid": clock,
  "clock_gettime.clockid": clock,
  "clock_nanosleep.clockid": clock,
  "clock_settime.clockid": clock,
  "clone.flags": cloneFlags,
  "dup3.flags": flags("O_CLOEXEC"),
  "epoll_create1.flags": flags("EPOLL_CLOEXEC"),
  "epoll_ctl.op": one("EPOLL_CTL_*"),
  "eventfd2.flags": flags("EFD_*"),
  "fadvise64.advice": one("POSIX_FADV_*"),
  "fcntl.op": fileCommand,
  "fcntl.cmd": fileCommand,
  "fcntl64.op": fileCommand,
  "fcntl64.cmd": fileCommand,
  "flock.operation": flags("LOCK_SH LOCK_EX LOCK_NB LOCK_UN"),
  "futex.futex_op": futexOperation,
  "getrandom.flags": flags("GRND_*"),
  "getrlimit.resource": resource,
  "getsockopt.level": level,
  "inotify_init1.flags": flags("IN_CLOEXEC IN_NONBLOCK"),
  "ioctl.op": deviceRequest,
  "ioctl.request": deviceRequest,
  "keyctl.op": keyOperation,
  "keyctl.operation": keyOperation,
  "kill.sig": signal,
  "lseek.whence": one("SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE"),
  "madvise.advice": one("MADV_*"),
  "memfd_create.flags": flags("MFD_* -MFD_HUGE_*"),
  "mlockall.flags": flags("MCL_*"),
  "mmap.prot": protection,
  "mmap2.prot": protection,
  "mmap.flags": mapping,
  "mmap2.flags": mapping,
  "mount.mountflags": flags(
    "MS_* -MS_ASYNC -MS_SYNC -MS_INVALIDATE -MS_VERBOSE -MS_RMT_MASK -MS_MGC_VAL -MS_MGC_MSK",
  ),
  "mprotect.prot": protection,
  "mremap.flags": flags("MREMAP_*"),
  "open.flags": openFlags,
  "openat.flags": openFlags,
  "personality.persona": one("PER_* -PER_MASK"),
  "pipe2.flags": flags("O_CLOEXEC O_NONBLOCK O_DIRECT O_NOTIFICATION_PIPE"),
  "pkey_mprotect.prot": protection,
  "prctl.op": processOption,
  "prctl.option": processOption,
  "prlimit64.resource": resource,
  "process_madvise.advice": one("MADV_*"),
  "ptrace.op": traceRequest,
  "ptrace.request": traceRequest,
  "rt_sigprocmask.how": one("SIG_BLOCK SIG_UNBLOCK SIG_SETMASK"),
  "seccomp.operation": one("SECCOMP_SET_* SECCOMP_GET_*"),
  "setns.nstype": flags("CLONE_NEW*"),
  "setrlimit.resource": resource,
  "setsockopt.level": level,
  "shutdown.how": one("SHUT_RD SHUT_WR SHUT_RDWR"),
  "socket.domain": domain,
  "socket.type": socketType,
  "socketcall.call": one("SYS_* -SYS_SECCOMP -SYS_USER_DISPATCH"),
  "socketpair.domain": domain,
  "socketpair.type": socketType,
  "tgkill.sig": signal,
  "tkill.sig": signal,
  "umount2.flags": flags("MNT_FORCE MNT_DETACH MNT_EXPIRE UMOUNT_NOFOLLOW"),
  "unshare.flags": flags("CLONE_NEW* CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_SYSVSEM CLONE_THREAD CLONE_VM"),
};

/** How the values of a call's argument are named; undefined where they are plain numbers. */
export function namedValues(call: string, argument: string): NamedValues | undefined {
  return Object.hasOwn(named, `${call}.${argument}`) ? named[`${call}.${argument}`] : undefined;
}

/** Every argument whose values have names, for the tests. */
export function argumentsWithNames(): readonly (readonly [argument: string, values: NamedValues])[] {
  return Object.entries(named);
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
  const known = constantsOf(abi, values.names).filter((constant) => constant.value >= 0n);
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
