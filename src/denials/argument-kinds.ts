/**
 * What the arguments of calls mean: which names their values have. Data for people (decoding a call) and for policies
 * that are written by callgate (which arguments matter, and how a condition on them is written).
 *
 *   kindOf("socket", "domain")     the names AF_*
 *   kindOf("openat", "flags")      flags O_*, of which O_ACCMODE are one of three
 */
import {
  clockNames,
  type DependentValues,
  fileCommandNames,
  optionsByLevel,
  protocolsByDomain,
  socketKinds,
} from "../syscalls/index.ts";

/**
 * A list of constants: names, or `PREFIX_*` for all that begin so; `-NAME` leaves one out. Where two have one value
 * the first of the list is the one that is shown.
 */
export type Names = string;

export type ArgumentKind =
  /** A file's permissions. */
  | { readonly kind: "octal" }
  /** One of the names. */
  | { readonly kind: "one"; readonly names: Names }
  /** Bits with names; the bits of `base` are one of its names and not bits. */
  | {
      readonly kind: "flags";
      readonly flags: Names;
      readonly base?: { readonly mask: string; readonly names: Names };
    }
  /** What it means depends on another argument; `cases` goes by the names of the other's kind. */
  | {
      readonly kind: "by";
      readonly argument: string;
      readonly cases: Readonly<Record<string, ArgumentKind>>;
    };

/** How a condition on an argument that matters is written. */
export interface Matter {
  readonly argument: string;
  /** The bits that matter, as names; all of them without it. */
  readonly mask?: string;
  /** `values`: each value that is wanted is listed. `bits`: no bit but the wanted ones may be set. */
  readonly style: "values" | "bits";
}

const one = (names: Names): ArgumentKind => ({ kind: "one", names });
const flags = (names: Names, base?: { readonly mask: string; readonly names: Names }): ArgumentKind =>
  base === undefined ? { kind: "flags", flags: names } : { kind: "flags", flags: names, base };

const signal = one("SIG* -SIGEV_* -SIG_* -SIGIOT -SIGPOLL -SIGRTMIN -SIGRTMAX -SIGCLD -SIGUNUSED");
const domain = one("AF_UNIX AF_NETLINK AF_* -AF_LOCAL -AF_FILE -AF_ROUTE -AF_MAX");
const socketType = flags("SOCK_CLOEXEC SOCK_NONBLOCK", {
  mask: "SOCK_TYPE_MASK",
  names: socketKinds,
});
/** What an argument's values are called depends on another one's. */
const by = ({ argument, lists }: DependentValues): ArgumentKind => ({
  kind: "by",
  argument,
  cases: Object.fromEntries(Object.entries(lists).map(([value, names]) => [value, one(names)])),
});
const protocol = by(protocolsByDomain);
const level = one(
  "SOL_SOCKET IPPROTO_TCP IPPROTO_IP IPPROTO_IPV6 IPPROTO_UDP IPPROTO_ICMPV6 IPPROTO_SCTP IPPROTO_UDPLITE IPPROTO_RAW SOL_* -SOL_CAN_BASE -SOL_TCP -SOL_IP -SOL_IPV6 -SOL_UDP -SOL_ICMPV6 -SOL_SCTP -SOL_UDPLITE -SOL_RAW",
);
const optname = by(optionsByLevel);
// Prefixes of which the headers call other things by too (flags, lengths, and then small numbers) are not used alone; nor are
// requests of VFIO whose number means another one on another of its files.
const request = one(
  "TCGETS TCSETS TCSETSW TCSETSF TIOCGWINSZ FIONREAD FIONBIO TC* TIO* FIO* SIOC* FS_IOC_* BLK* LOOP_SET_FD LOOP_CLR_FD LOOP_CHANGE_FD LOOP_SET_STATUS LOOP_GET_STATUS LOOP_SET_STATUS64 LOOP_GET_STATUS64 LOOP_SET_CAPACITY LOOP_SET_DIRECT_IO LOOP_SET_BLOCK_SIZE LOOP_CONFIGURE LOOP_CTL_* TUNSET* TUNGET* TUNATTACHFILTER TUNDETACHFILTER VT_OPENQRY VT_GETMODE VT_SETMODE VT_GETSTATE VT_SENDSIG VT_RELDISP VT_ACTIVATE VT_WAITACTIVE VT_DISALLOCATE VT_RESIZE VT_RESIZEX VT_LOCKSWITCH VT_UNLOCKSWITCH KDGETMODE KDSETMODE KDGKBMODE KDSKBMODE KDGKBTYPE KDGETLED KDSETLED KDGKBLED KDSKBLED KDMKTONE KDSIGACCEPT KDFONTOP RTC_* UFFDIO_API UFFDIO_REGISTER UFFDIO_UNREGISTER UFFDIO_WAKE UFFDIO_COPY UFFDIO_ZEROPAGE UFFDIO_MOVE UFFDIO_WRITEPROTECT UFFDIO_CONTINUE UFFDIO_POISON USBDEVFS_* HDIO_* CDROM* DM_MPATH_PROBE_PATHS DM_VERSION DM_REMOVE_ALL DM_LIST_DEVICES DM_DEV_CREATE DM_DEV_REMOVE DM_DEV_RENAME DM_DEV_SUSPEND DM_DEV_STATUS DM_DEV_WAIT DM_TABLE_LOAD DM_TABLE_CLEAR DM_TABLE_DEPS DM_TABLE_STATUS DM_LIST_VERSIONS DM_TARGET_MSG DM_DEV_SET_GEOMETRY DM_DEV_ARM_POLL DM_GET_TARGET_VERSION KVM_GET_* KVM_SET_* KVM_CREATE_* KVM_RUN KVM_NMI KVM_SMI KVM_CHECK_EXTENSION KVM_INTERRUPT KVM_TRANSLATE KVM_ENABLE_CAP KVM_IOEVENTFD KVM_REINJECT_CONTROL KVM_KVMCLOCK_CTRL KVM_RESET_DIRTY_RINGS KVM_CLEAR_DIRTY_LOG KVM_UNREGISTER_COALESCED_MMIO KVM_HAS_DEVICE_ATTR KVM_ALLOCATE_RMA VFIO_GET_API_VERSION VFIO_CHECK_EXTENSION VFIO_SET_IOMMU VFIO_GROUP_GET_* VFIO_GROUP_SET_* VFIO_GROUP_UNSET_* VFIO_DEVICE_GET_INFO VFIO_DEVICE_GET_REGION_INFO VFIO_DEVICE_GET_IRQ_INFO VFIO_DEVICE_SET_IRQS VFIO_DEVICE_RESET VFIO_EEH_PE_OP NS_GET_* PERF_EVENT_IOC_* BTRFS_IOC_* -SIOCINQ -SIOCOUTQ -SIOCGSTAMP_OLD -SIOCGSTAMPNS_OLD -SIOCDEVPRIVATE -SIOCPROTOPRIVATE -TIOCINQ -TIOCM_* -TIOCSER_* -TIOCPKT_* -TCP_* -TCSANOW -TCSADRAIN -TCSAFLUSH -TCION -TCIOFF -TCOON -TCOOFF -TCIFLUSH -TCOFLUSH -TCIOFLUSH -CDROM_AUDIO_* -CDROM_DATA_TRACK -CDROM_LBA -CDROM_LEADOUT -CDROM_MSF -CDROM_PACKET_SIZE -KVM_CREATE_DEVICE_TEST -KVM_GET_HTAB_* -USBDEVFS_MAXDRIVERNAME -RTC_MAX_FREQ -RTC_BSM_* -RTC_FEATURE_* -RTC_PARAM_FEATURES -RTC_PARAM_CORRECTION -RTC_PARAM_BACKUP_SWITCH_MODE -RTC_VL_DATA_INVALID -RTC_VL_BACKUP_* -RTC_VL_ACCURACY_LOW -RTC_UF -RTC_AF -RTC_PF -RTC_IRQF -USBDEVFS_URB_* -USBDEVFS_CAP_* -USBDEVFS_DISCONNECT_CLAIM_* -HDIO_DRIVE_CMD_HDR_SIZE -HDIO_DRIVE_HOB_HDR_SIZE -HDIO_DRIVE_TASK_HDR_SIZE -HDIO_DRIVE_CMD_AEB",
);
const openFlags = flags("O_TMPFILE O_SYNC O_* -O_ACCMODE -O_RDONLY -O_WRONLY -O_RDWR -O_NDELAY", {
  mask: "O_ACCMODE",
  names: "O_RDONLY O_WRONLY O_RDWR",
});
const closeFlags = flags("O_CLOEXEC O_NONBLOCK O_DIRECT");
const protection = flags("PROT_* -PROT_NONE", { mask: "0", names: "PROT_NONE" });
const mapping = flags(
  "MAP_FIXED MAP_ANONYMOUS MAP_* -MAP_ANON -MAP_TYPE -MAP_SHARED -MAP_PRIVATE -MAP_SHARED_VALIDATE -MAP_FILE -MAP_HUGE_* -MAP_DROPPABLE",
  {
    mask: "MAP_TYPE",
    names: "MAP_SHARED MAP_PRIVATE MAP_SHARED_VALIDATE MAP_DROPPABLE",
  },
);
const cloneFlags = flags(
  "CLONE_* -CLONE_ARGS_SIZE_VER0 -CLONE_ARGS_SIZE_VER1 -CLONE_ARGS_SIZE_VER2 -CLONE_CLEAR_SIGHAND -CLONE_INTO_CGROUP -CLONE_NEWTIME",
  {
    mask: "0xff",
    names: "SIG* -SIGEV_* -SIG_* -SIGIOT -SIGPOLL -SIGRTMIN -SIGRTMAX",
  },
);
const namespaces = flags("CLONE_NEW* CLONE_FS CLONE_FILES CLONE_SYSVSEM");
const atFlags = flags(
  "AT_SYMLINK_NOFOLLOW AT_SYMLINK_FOLLOW AT_EMPTY_PATH AT_NO_AUTOMOUNT AT_STATX_FORCE_SYNC AT_STATX_DONT_SYNC",
);
// Without the flags of message queues, and what the kernel tells itself.
const messageFlags = flags(
  "MSG_* -MSG_STAT -MSG_STAT_ANY -MSG_INFO -MSG_NOERROR -MSG_EXCEPT -MSG_COPY -MSG_EOF -MSG_TRYHARD -MSG_SENDPAGE_*",
);
const clock = one(clockNames);
const access = flags("R_OK W_OK X_OK", { mask: "0", names: "F_OK" });
const directory = one("AT_FDCWD");
const permissions: ArgumentKind = { kind: "octal" };
const advice = one("MADV_*");
const command = one(fileCommandNames);
// By name: what prctl's other arguments are called begins alike, and has small numbers too.
const prctlOption = one(
  "PR_SET_* PR_GET_* PR_CAPBSET_* PR_TASK_PERF_* PR_MPX_* PR_CAP_AMBIENT PR_MCE_KILL PR_MCE_KILL_GET PR_PAC_RESET_KEYS PR_PAC_SET_ENABLED_KEYS PR_PAC_GET_ENABLED_KEYS PR_PPC_GET_DEXCR PR_PPC_SET_DEXCR PR_RISCV_SET_ICACHE_FLUSH_CTX PR_RISCV_V_GET_CONTROL PR_RISCV_V_SET_CONTROL PR_SCHED_CORE PR_SME_SET_VL PR_SME_GET_VL PR_SVE_SET_VL PR_SVE_GET_VL PR_LOCK_SHADOW_STACK_STATUS PR_FUTEX_HASH PR_RSEQ_SLICE_EXTENSION PR_TIMER_CREATE_RESTORE_IDS -PR_SET_MM_* -PR_SET_VMA_* -PR_SET_PTRACER_ANY",
);
const futexOperation = flags("FUTEX_PRIVATE_FLAG FUTEX_CLOCK_REALTIME", {
  mask: "0x7f",
  names:
    "FUTEX_WAIT FUTEX_WAKE FUTEX_FD FUTEX_REQUEUE FUTEX_CMP_REQUEUE FUTEX_WAKE_OP FUTEX_LOCK_PI FUTEX_UNLOCK_PI FUTEX_TRYLOCK_PI FUTEX_WAIT_BITSET FUTEX_WAKE_BITSET FUTEX_WAIT_REQUEUE_PI FUTEX_CMP_REQUEUE_PI FUTEX_LOCK_PI2",
});
const mountFlags = flags("MS_* -MS_ASYNC -MS_SYNC -MS_INVALIDATE -MS_RMT_MASK -MS_MGC_VAL -MS_MGC_MSK");

/** By call and argument, as the manual pages name them. */
const kinds: Readonly<Record<string, Readonly<Record<string, ArgumentKind>>>> = {
  socket: { domain, type: socketType, protocol },
  socketpair: { domain, type: socketType, protocol },
  setsockopt: { level, optname },
  getsockopt: { level, optname },
  accept4: { flags: flags("SOCK_CLOEXEC SOCK_NONBLOCK") },
  sendto: { flags: messageFlags },
  sendmsg: { flags: messageFlags },
  sendmmsg: { flags: messageFlags },
  recvfrom: { flags: messageFlags },
  recvmsg: { flags: messageFlags },
  recvmmsg: { flags: messageFlags },
  shutdown: { how: one("SHUT_RD SHUT_WR SHUT_RDWR") },
  ioctl: { request },
  fcntl: { cmd: command },
  fcntl64: { cmd: command },
  prctl: { option: prctlOption },
  arch_prctl: { code: one("ARCH_*") },
  open: { flags: openFlags, mode: permissions },
  openat: { dirfd: directory, flags: openFlags, mode: permissions },
  creat: { mode: permissions },
  mkdir: { mode: permissions },
  mknod: { mode: permissions },
  chmod: { mode: permissions },
  fchmod: { mode: permissions },
  mq_open: { mode: permissions },
  umask: { mask: permissions },
  mmap: { prot: protection, flags: mapping },
  mmap2: { prot: protection, flags: mapping },
  mprotect: { prot: protection },
  pkey_mprotect: { prot: protection },
  mremap: { flags: flags("MREMAP_*") },
  madvise: { advice },
  process_madvise: { advice },
  fadvise64: { advice: one("POSIX_FADV_*") },
  mlockall: { flags: flags("MCL_*") },
  memfd_create: { flags: flags("MFD_* -MFD_HUGE_*") },
  clone: { flags: cloneFlags },
  unshare: { flags: namespaces },
  setns: { nstype: namespaces },
  futex: { futex_op: futexOperation },
  futex_time64: { futex_op: futexOperation },
  kill: { sig: signal },
  tkill: { sig: signal },
  tgkill: { sig: signal },
  rt_sigaction: { signum: signal },
  rt_sigprocmask: { how: one("SIG_BLOCK SIG_UNBLOCK SIG_SETMASK") },
  pidfd_send_signal: { sig: signal },
  personality: {
    persona: flags(
      "ADDR_NO_RANDOMIZE READ_IMPLIES_EXEC MMAP_PAGE_ZERO ADDR_COMPAT_LAYOUT ADDR_LIMIT_3GB ADDR_LIMIT_32BIT SHORT_INODE WHOLE_SECONDS STICKY_TIMEOUTS UNAME26 FDPIC_FUNCPTRS",
      { mask: "PER_MASK", names: "PER_LINUX PER_LINUX32" },
    ),
  },
  ptrace: {
    request: one(
      "PTRACE_TRACEME PTRACE_* -PTRACE_O_* -PTRACE_EVENT_* -PTRACE_EVENTMSG_* -PTRACE_SYSCALL_INFO_* -PTRACE_PEEKSIGINFO_SHARED -PTRACE_GETFDPIC_* -PTRACE_CFI_* -PTRACE_PROT",
    ),
  },
  seccomp: {
    operation: one(
      "SECCOMP_SET_MODE_STRICT SECCOMP_SET_MODE_FILTER SECCOMP_GET_ACTION_AVAIL SECCOMP_GET_NOTIF_SIZES",
    ),
  },
  keyctl: { operation: one("KEYCTL_* -KEYCTL_CAPS* -KEYCTL_SUPPORTS_* -KEYCTL_MOVE_EXCL") },
  bpf: {
    cmd: one(
      "BPF_MAP_CREATE BPF_MAP_LOOKUP_ELEM BPF_MAP_UPDATE_ELEM BPF_MAP_DELETE_ELEM BPF_MAP_GET_NEXT_KEY BPF_PROG_LOAD BPF_OBJ_PIN BPF_OBJ_GET BPF_PROG_ATTACH BPF_PROG_DETACH BPF_LINK_CREATE",
    ),
  },
  membarrier: { cmd: one("MEMBARRIER_CMD_* -MEMBARRIER_CMD_SHARED -MEMBARRIER_CMD_FLAG_CPU") },
  prlimit64: { resource: one("RLIMIT_* -RLIMIT_OFILE") },
  getrlimit: { resource: one("RLIMIT_* -RLIMIT_OFILE") },
  setrlimit: { resource: one("RLIMIT_* -RLIMIT_OFILE") },
  clock_gettime: { clockid: clock },
  clock_settime: { clockid: clock },
  clock_getres: { clockid: clock },
  clock_nanosleep: { clockid: clock },
  timerfd_create: { clockid: clock },
  epoll_create1: { flags: flags("EPOLL_CLOEXEC") },
  epoll_ctl: { op: one("EPOLL_CTL_*") },
  pipe2: { flags: closeFlags },
  dup3: { flags: flags("O_CLOEXEC") },
  eventfd2: { flags: flags("EFD_*") },
  inotify_init1: { flags: flags("IN_CLOEXEC IN_NONBLOCK") },
  getrandom: { flags: flags("GRND_*") },
  access: { mode: access },
  faccessat: { dirfd: directory, mode: access },
  faccessat2: { dirfd: directory, mode: access, flags: atFlags },
  newfstatat: { dirfd: directory, flags: atFlags },
  fstatat64: { dirfd: directory, flags: atFlags },
  statx: { dirfd: directory, flags: atFlags },
  unlinkat: { dirfd: directory, flags: flags("AT_REMOVEDIR") },
  mkdirat: { dirfd: directory, mode: permissions },
  mknodat: { dirfd: directory, mode: permissions },
  readlinkat: { dirfd: directory },
  fchmodat: { dirfd: directory, mode: permissions },
  fchmodat2: { dirfd: directory, mode: permissions, flags: atFlags },
  fchownat: { dirfd: directory },
  execveat: { dirfd: directory, flags: atFlags },
  renameat2: { olddirfd: directory, newdirfd: directory, flags: flags("RENAME_*") },
  linkat: { olddirfd: directory, newdirfd: directory, flags: atFlags },
  mount: { mountflags: mountFlags },
  umount2: { flags: flags("MNT_FORCE MNT_DETACH MNT_EXPIRE UMOUNT_NOFOLLOW") },
  lseek: { whence: one("SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE") },
  flock: { operation: flags("LOCK_SH LOCK_EX LOCK_NB LOCK_UN") },
  wait4: { options: flags("WNOHANG WUNTRACED WCONTINUED __WALL __WCLONE __WNOTHREAD") },
  waitid: {
    idtype: one("P_ALL P_PID P_PGID P_PIDFD"),
    options: flags("WNOHANG WSTOPPED WEXITED WCONTINUED WNOWAIT"),
  },
  fallocate: { mode: flags("FALLOC_FL_*") },
  sched_setscheduler: {
    policy: one("SCHED_NORMAL SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_IDLE SCHED_DEADLINE"),
  },
  reboot: { cmd: one("LINUX_REBOOT_CMD_*") },
};

const values = (argument: string, mask?: string): Matter =>
  mask === undefined ? { argument, style: "values" } : { argument, mask, style: "values" };
const bits = (argument: string): Matter => ({ argument, style: "bits" });

/** The arguments that matter to what a call can do, by which rules are narrowed; at most three a call. */
const matters: Readonly<Record<string, readonly Matter[]>> = {
  socket: [values("domain"), values("type", "SOCK_TYPE_MASK"), values("protocol")],
  socketpair: [values("domain"), values("type", "SOCK_TYPE_MASK")],
  setsockopt: [values("level"), values("optname")],
  getsockopt: [values("level"), values("optname")],
  ioctl: [values("request")],
  fcntl: [values("cmd")],
  fcntl64: [values("cmd")],
  prctl: [values("option")],
  arch_prctl: [values("code")],
  open: [values("flags", "O_ACCMODE | O_CREAT")],
  openat: [values("flags", "O_ACCMODE | O_CREAT")],
  mmap: [values("prot")],
  mmap2: [values("prot")],
  mprotect: [values("prot")],
  pkey_mprotect: [values("prot")],
  madvise: [values("advice")],
  process_madvise: [values("advice")],
  clone: [bits("flags")],
  unshare: [bits("flags")],
  setns: [values("nstype")],
  personality: [values("persona")],
  ptrace: [values("request")],
  seccomp: [values("operation")],
  keyctl: [values("operation")],
  bpf: [values("cmd")],
  membarrier: [values("cmd")],
  memfd_create: [bits("flags")],
  prlimit64: [values("resource")],
  setrlimit: [values("resource")],
  sched_setscheduler: [values("policy")],
  mount: [bits("mountflags")],
  umount2: [bits("flags")],
  clock_settime: [values("clockid")],
  kill: [values("sig")],
  tkill: [values("sig")],
  tgkill: [values("sig")],
  pidfd_send_signal: [values("sig")],
};

/** What an argument's values are called; undefined where they are plain numbers. */
export function kindOf(call: string, argument: string): ArgumentKind | undefined {
  return Object.hasOwn(kinds, call) ? kinds[call]?.[argument] : undefined;
}

/** The arguments of a call that matter; none where its rules have no condition. */
export function mattersOf(call: string): readonly Matter[] {
  return Object.hasOwn(matters, call) ? (matters[call] ?? []) : [];
}

/** Every call that has arguments that matter. */
export function callsWithMatters(): readonly string[] {
  return Object.keys(matters);
}

/** Every call and argument that the table describes, with the names it uses: for the tests. */
export function describedArguments(): readonly {
  readonly call: string;
  readonly argument: string;
  readonly kind: ArgumentKind;
}[] {
  return Object.entries(kinds).flatMap(([call, args]) =>
    Object.entries(args).map(([argument, kind]) => ({ call, argument, kind })),
  );
}
