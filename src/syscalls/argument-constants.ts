/** Which names the values of an argument go by, for whoever prints a call: `socket(AF_UNIX, …)`, not `socket(1, …)`. */
import type { AbiName } from "./abi.ts";
import { constantsOf } from "./constant-list.ts";
import { constantValue } from "./constants.ts";

/** The names of an argument's values: a list of constants in which no two have one value. */
export interface NamedValues {
  readonly names: string;
  /** Or-ed together; else one of the list. */
  readonly flags: boolean;
  /** Bits that are one thing together, beside what else stands in the argument: a file's kind, beside its permissions. */
  readonly part?: { readonly mask: string; readonly names: string };
}

/** Names that depend on another argument: which, and for each of its values (by a name of it) the list. */
export interface DependentValues {
  readonly argument: string;
  readonly lists: Readonly<Record<string, string>>;
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
  "TIOC* TC* FIO* SIOC* FS_IOC_* DMA_BUF_IOCTL_SYNC USERFAULTFD_IOC_NEW IOC_WATCH_QUEUE_SET_FILTER IOC_WATCH_QUEUE_SET_SIZE -TIOCM_* -TIOCPKT_* -TIOCSER_* -TIOCINQ -TCP_* -TCSANOW -TCSADRAIN -TCSAFLUSH -TCION -TCIOFF -TCOON -TCOOFF -TCIFLUSH -TCOFLUSH -TCIOFLUSH -SIOCINQ -SIOCOUTQ -SIOCGSTAMP_OLD -SIOCGSTAMPNS_OLD -SIOCDEVPRIVATE -SIOCPROTOPRIVATE",
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
export const socketKinds = "SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET SOCK_DCCP SOCK_PACKET";
const socketType: NamedValues = {
  ...one(`${socketKinds} SOCK_NONBLOCK SOCK_CLOEXEC`),
  part: { mask: "SOCK_TYPE_MASK", names: socketKinds },
};
const fileKinds = "S_IFIFO S_IFCHR S_IFBLK S_IFREG S_IFSOCK";
const mode = flags("S_ISVTX S_ISGID S_ISUID");
const nodeMode: NamedValues = {
  ...flags(`${fileKinds} ${mode.names}`),
  part: { mask: "S_IFMT", names: fileKinds },
};
const message = flags(
  "MSG_OOB MSG_PEEK MSG_DONTROUTE MSG_CTRUNC MSG_TRUNC MSG_DONTWAIT MSG_EOR MSG_WAITALL MSG_CONFIRM MSG_ERRQUEUE MSG_NOSIGNAL MSG_MORE MSG_WAITFORONE MSG_ZEROCOPY MSG_FASTOPEN MSG_CMSG_CLOEXEC",
);
const sharedMemory = one(
  "IPC_RMID IPC_SET IPC_STAT IPC_INFO SHM_LOCK SHM_UNLOCK SHM_STAT SHM_INFO SHM_STAT_ANY",
);
const semaphores = one(
  "IPC_RMID IPC_SET IPC_STAT IPC_INFO GETPID GETVAL GETALL GETNCNT GETZCNT SETVAL SETALL SEM_STAT SEM_INFO SEM_STAT_ANY",
);
const messageQueue = one("IPC_RMID IPC_SET IPC_STAT IPC_INFO MSG_STAT MSG_INFO MSG_STAT_ANY");
const internetProtocols = "IPPROTO_IP IPPROTO_* -IPPROTO_MAX";
export const protocolsByDomain: DependentValues = {
  argument: "domain",
  lists: {
    AF_INET: internetProtocols,
    AF_INET6: internetProtocols,
    AF_NETLINK:
      "NETLINK_ROUTE NETLINK_UNUSED NETLINK_USERSOCK NETLINK_FIREWALL NETLINK_SOCK_DIAG NETLINK_NFLOG NETLINK_XFRM NETLINK_SELINUX NETLINK_ISCSI NETLINK_AUDIT NETLINK_FIB_LOOKUP NETLINK_CONNECTOR NETLINK_NETFILTER NETLINK_IP6_FW NETLINK_DNRTMSG NETLINK_KOBJECT_UEVENT NETLINK_GENERIC NETLINK_SCSITRANSPORT NETLINK_ECRYPTFS NETLINK_RDMA NETLINK_CRYPTO NETLINK_SMC",
  },
};
export const optionsByLevel: DependentValues = {
  argument: "level",
  lists: {
    SOL_SOCKET:
      "SO_TYPE SO_RCVTIMEO SO_SNDTIMEO SO_ATTACH_FILTER SO_DETACH_BPF SO_TIMESTAMP SO_TIMESTAMPNS SO_TIMESTAMPING SO_* -SO_VM_SOCKETS_* -SO_ORIGINAL_DST",
    IPPROTO_TCP:
      "TCP_NODELAY TCP_MAXSEG TCP_CORK TCP_KEEPIDLE TCP_KEEPINTVL TCP_KEEPCNT TCP_SYNCNT TCP_LINGER2 TCP_DEFER_ACCEPT TCP_WINDOW_CLAMP TCP_INFO TCP_QUICKACK TCP_CONGESTION TCP_MD5SIG TCP_USER_TIMEOUT TCP_FASTOPEN TCP_FASTOPEN_CONNECT TCP_ULP TCP_REPAIR TCP_NOTSENT_LOWAT TCP_SAVE_SYN",
    IPPROTO_IP: "IP_RETOPTS IP_RECVORIGDSTADDR IP_* SO_ORIGINAL_DST -IP_DEFAULT_MULTICAST_* -IP_PMTUDISC_*",
    IPPROTO_IPV6:
      "IPV6_JOIN_GROUP IPV6_LEAVE_GROUP IPV6_RECVORIGDSTADDR IPV6_* -IPV6_FL_* -IPV6_FLOWINFO_FLOWLABEL -IPV6_FLOWINFO_PRIORITY -IPV6_PMTUDISC_* -IPV6_PREFER_SRC_* -IPV6_PRIORITY_* -IPV6_TLV_*",
    IPPROTO_UDP: "UDP_* -UDP_ENCAP_*",
    SOL_NETLINK:
      "NETLINK_ADD_MEMBERSHIP NETLINK_DROP_MEMBERSHIP NETLINK_PKTINFO NETLINK_BROADCAST_ERROR NETLINK_NO_ENOBUFS NETLINK_LISTEN_ALL_NSID NETLINK_LIST_MEMBERSHIPS NETLINK_CAP_ACK NETLINK_EXT_ACK NETLINK_GET_STRICT_CHK",
  },
};
const persona: NamedValues = {
  ...one(
    "PER_* -PER_MASK -PER_LINUX_32BIT -PER_LINUX_FDPIC UNAME26 ADDR_NO_RANDOMIZE READ_IMPLIES_EXEC MMAP_PAGE_ZERO ADDR_COMPAT_LAYOUT ADDR_LIMIT_3GB ADDR_LIMIT_32BIT SHORT_INODE WHOLE_SECONDS STICKY_TIMEOUTS",
  ),
  part: { mask: "PER_MASK", names: "PER_LINUX PER_LINUX32" },
};
const level = one("SOL_* -SOL_CAN_BASE");
/** The machine's clocks, without those of single processes. */
export const clockNames =
  "CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID CLOCK_MONOTONIC_RAW CLOCK_REALTIME_COARSE CLOCK_MONOTONIC_COARSE CLOCK_BOOTTIME CLOCK_REALTIME_ALARM CLOCK_BOOTTIME_ALARM CLOCK_TAI";
const clock = one(clockNames);
const resource = one("RLIMIT_* -RLIMIT_OFILE");

/** By `call.argument` with the manual page's names. */
const named: Readonly<Record<string, NamedValues>> = {
  "accept4.flags": flags("SOCK_CLOEXEC SOCK_NONBLOCK"),
  "arch_prctl.code": machineCode,
  "arch_prctl.op": machineCode,
  "bpf.cmd": one(
    "BPF_MAP_* BPF_PROG_* BPF_OBJ_* BPF_LINK_* BPF_RAW_TRACEPOINT_OPEN BPF_TASK_FD_QUERY BPF_ENABLE_STATS BPF_ITER_CREATE BPF_TOKEN_CREATE -BPF_MAP_TYPE_* -BPF_PROG_TYPE_* -BPF_LINK_TYPE_* -BPF_OBJ_NAME_LEN -BPF_PROG_TEST_RUN",
  ),
  "chmod.mode": mode,
  "clock_getres.clockid": clock,
  "clock_gettime.clockid": clock,
  "clock_nanosleep.clockid": clock,
  "clock_settime.clockid": clock,
  "clone.flags": cloneFlags,
  "creat.mode": mode,
  "dup3.flags": flags("O_CLOEXEC"),
  "epoll_create1.flags": flags("EPOLL_CLOEXEC"),
  "epoll_ctl.op": one("EPOLL_CTL_*"),
  "eventfd2.flags": flags("EFD_*"),
  "fadvise64.advice": one("POSIX_FADV_*"),
  "fchmod.mode": mode,
  "fchmodat.mode": mode,
  "fchmodat2.mode": mode,
  "fcntl.cmd": fileCommand,
  "fcntl.op": fileCommand,
  "fcntl64.cmd": fileCommand,
  "fcntl64.op": fileCommand,
  "flock.operation": flags("LOCK_SH LOCK_EX LOCK_NB LOCK_UN"),
  "futex.futex_op": futexOperation,
  "getrandom.flags": flags("GRND_*"),
  "getrlimit.resource": resource,
  "getsockopt.level": level,
  "inotify_init1.flags": flags("IN_CLOEXEC IN_NONBLOCK"),
  "ioctl.op": deviceRequest,
  "ioctl.request": deviceRequest,
  "ipc.call": one("SEMOP SEMGET SEMCTL SEMTIMEDOP MSGSND MSGRCV MSGGET MSGCTL SHMAT SHMDT SHMGET SHMCTL"),
  "keyctl.op": keyOperation,
  "keyctl.operation": keyOperation,
  "kill.sig": signal,
  "lseek.whence": one("SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE"),
  "madvise.advice": one("MADV_*"),
  "memfd_create.flags": flags("MFD_* -MFD_HUGE_*"),
  "mkdir.mode": mode,
  "mkdirat.mode": mode,
  "mknod.mode": nodeMode,
  "mknodat.mode": nodeMode,
  "mlockall.flags": flags("MCL_*"),
  "mmap.flags": mapping,
  "mmap.prot": protection,
  "mmap2.flags": mapping,
  "mmap2.prot": protection,
  "mount.mountflags": flags(
    "MS_* -MS_ASYNC -MS_SYNC -MS_INVALIDATE -MS_VERBOSE -MS_RMT_MASK -MS_MGC_VAL -MS_MGC_MSK",
  ),
  "mprotect.prot": protection,
  "mq_open.mode": mode,
  "mremap.flags": flags("MREMAP_*"),
  "msgctl.cmd": messageQueue,
  "open.flags": openFlags,
  "open.mode": mode,
  "openat.flags": openFlags,
  "openat.mode": mode,
  "personality.persona": persona,
  "pipe2.flags": flags("O_CLOEXEC O_NONBLOCK O_DIRECT O_NOTIFICATION_PIPE"),
  "pkey_mprotect.prot": protection,
  "prctl.op": processOption,
  "prctl.option": processOption,
  "prlimit64.resource": resource,
  "process_madvise.advice": one("MADV_*"),
  "ptrace.op": traceRequest,
  "ptrace.request": traceRequest,
  "reboot.cmd": one("LINUX_REBOOT_CMD_*"),
  "recvfrom.flags": message,
  "recvmmsg.flags": message,
  "recvmsg.flags": message,
  "rt_sigprocmask.how": one("SIG_BLOCK SIG_UNBLOCK SIG_SETMASK"),
  "seccomp.operation": one("SECCOMP_SET_* SECCOMP_GET_*"),
  "semctl.cmd": semaphores,
  "sendmmsg.flags": message,
  "sendmsg.flags": message,
  "sendto.flags": message,
  "setns.nstype": flags("CLONE_NEW*"),
  "setrlimit.resource": resource,
  "setsockopt.level": level,
  "shmat.shmflg": flags("SHM_RDONLY SHM_RND SHM_REMAP SHM_EXEC"),
  "shmctl.cmd": sharedMemory,
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

const dependent: Readonly<Record<string, DependentValues>> = {
  "getsockopt.optname": optionsByLevel,
  "setsockopt.optname": optionsByLevel,
  "socket.protocol": protocolsByDomain,
};

/** What other arguments of a call can be, by their names: no value of them but these. */
export type KnownArguments = ReadonlyMap<string, readonly bigint[]>;

/** How the values of a call's argument are named; undefined where they are plain numbers. */
export function namedValues(
  abi: AbiName,
  call: string,
  argument: string,
  known: KnownArguments,
): NamedValues | undefined {
  const key = `${call}.${argument}`;
  if (Object.hasOwn(named, key)) return named[key];
  const by = Object.hasOwn(dependent, key) ? dependent[key] : undefined;
  const others = by === undefined ? undefined : known.get(by.argument);
  if (by === undefined || others === undefined) return undefined;
  // All of the other's values have to agree on the names.
  const lists = new Set(others.map((value) => listBeside(abi, by, value)));
  const [names] = lists;
  return lists.size === 1 && names !== undefined ? { names, flags: false } : undefined;
}

function listBeside(abi: AbiName, { lists }: DependentValues, value: bigint): string | undefined {
  return Object.entries(lists).find(([name]) => constantValue(abi, name) === value)?.[1];
}

/** Every argument whose values have names, for the tests; one of which they depend on another once for each list. */
export function argumentsWithNames(): readonly (readonly [argument: string, values: NamedValues])[] {
  return [
    ...Object.entries(named),
    ...Object.entries(dependent).flatMap(([argument, { lists }]) =>
      Object.values(lists).map((names) => [argument, one(names)] as const),
    ),
  ];
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
  const { names, rest } = namesWithin(abi, values, value);
  return names.length > 0 && rest === 0n ? names : undefined;
}

/** The same, with the bits that have no name. */
export function namesWithin(
  abi: AbiName,
  values: NamedValues,
  value: bigint,
): { readonly names: readonly string[]; readonly rest: bigint } {
  const none = { names: [], rest: value };
  const known = constantsOf(abi, values.names).filter((constant) => constant.value >= 0n);
  const exact = known.find((constant) => constant.value === value);
  if (exact !== undefined) return { names: [exact.name], rest: 0n };
  if ((!values.flags && values.part === undefined) || value === 0n) return none;
  const mask = values.part === undefined ? 0n : (constantValue(abi, values.part.mask) ?? 0n);
  const kind = value & mask;
  const kinds = constantsOf(abi, values.part?.names ?? "").filter((constant) => constant.value === kind);
  if (kind !== 0n && kinds.length === 0) return none;
  const found: string[] = [];
  let rest = value & ~mask;
  for (const constant of [...known].reverse()) {
    if (constant.value === 0n || (rest & constant.value) !== constant.value) continue;
    found.unshift(constant.name);
    rest &= ~constant.value;
  }
  if (!values.flags && rest !== 0n) return none;
  return { names: kind === 0n ? found : [...kinds.slice(0, 1).map(({ name }) => name), ...found], rest };
}
