// Which headers and which names scripts/gen-constants.mjs looks at.

const list = (text) => text.split(/\s+/).filter((word) => word !== "");

/** In the order in which a name's first definition counts. */
export const headers = [
  "callgate-internal.h",
  ...list(
    "asm/errno.h asm/fcntl.h linux/fcntl.h asm/mman.h linux/mman.h asm/signal.h asm/siginfo.h asm/socket.h asm/sockios.h",
  ).map((h) => h),
  ...list(
    "asm/ioctls.h asm/termbits.h asm/termios.h asm/poll.h asm/prctl.h asm/ptrace.h asm/ptrace-abi.h asm/resource.h asm/stat.h",
  ),
  ...list("asm/statfs.h asm/ldt.h asm/kvm.h"),
  ...list(`sched types stat net socket sockios in in6 tcp udp un mptcp netlink rtnetlink if if_packet if_tun if_alg
    vm_sockets can tls xfrm prctl ptrace personality seccomp keyctl futex eventpoll eventfd timerfd signalfd inotify
    fanotify random memfd fs mount bpf io_uring capability resource time timex wait ipc sem shm msg mqueue ioprio mempolicy
    kexec reboot quota dqblk_xfs audit xattr landlock openat2 membarrier userfaultfd perf_event kcmp pidfd rseq close_range
    fadvise falloc fiemap fscrypt fsverity blkzoned blkpg hdreg loop nbd dm-ioctl raid/md_p raid/md_u btrfs cdrom fd
    tty tty_flags serial vt kd keyboard input uinput rtc watchdog i2c-dev nsfs utsname uio magic binfmts limits auxvec
    securebits module lsm mman aio_abi poll sysinfo kvm vhost vhost_types vfio iommufd tee nfs4 fuse netfilter
    netfilter_ipv4 netfilter_ipv6 netfilter/x_tables netfilter_ipv4/ip_tables netfilter_ipv6/ip6_tables if_ether if_link
    filter net_tstamp icmp icmpv6 igmp unistd acct
    watch_queue pkt_sched if_arp if_bridge if_vlan route ppp-ioctl ppp_defs sync_file dma-buf dma-heap udmabuf
    spi/spidev gpio hidraw hiddev usbdevice_fs nvme_ioctl mei ndctl tls vbox_vmmdev_types virtio_ids
    userio cn_proc taskstats genetlink sock_diag inet_diag unix_diag packet_diag netlink_diag if_xdp memfd
    apm_bios mtio sonypi suspend_ioctls`).map((name) => `linux/${name}.h`),
  ...list("mtd/mtd-abi.h asm-generic/hugetlb_encode.h asm/mce.h asm/msr.h asm/vm86.h asm/bootparam.h"),
];

/** What a name must begin with. */
export const prefixes = [
  "E[A-Z0-9]+$", // errno names; others fall away with asm/errno.h
  // Sockets
  ...list(`AF_ PF_ SOCK_ SOL_ SO_ SCM_ MSG_ SHUT_ IPPROTO_ IP_ IPV6_ TCP_ UDP_ NETLINK_ PACKET_ VMADDR_ SO_VM_ SIOC SYS_ ALG_
    XDP_ MCAST_ TLS_ IPT_SO_ IP6T_SO_ ETH_P_ RTMGRP_ SO_VM_SOCKETS`),
  // Processes
  ...list(`CLONE_ CSIGNAL PR_ ARCH_ PTRACE_ PER_ ADDR_ READ_IMPLIES_EXEC FDPIC_FUNCPTRS MMAP_PAGE_ZERO SHORT_INODE
    STICKY_TIMEOUTS UNAME26 WHOLE_SECONDS SECCOMP_ LANDLOCK_ LSM_ SECBIT_ CAP_ RLIMIT_ RLIM_ RUSAGE_ PRIO_ SCHED_ IOPRIO_
    KCMP_ PIDFD_ RSEQ_ FUTEX_ FUTEX2_ MEMBARRIER_ SIG SA_ SS_ CLD_ SI_ P_ALL P_PID P_PGID P_PIDFD W(NOHANG|UNTRACED|STOPPED|EXITED|CONTINUED|NOWAIT)$
    __W(NOTHREAD|ALL|CLONE)$ LDT_ VM86_ SHSTK_ PIDFD_ NS_ LISTNS_`),
  // Files
  ...list(`O_ F_ FASYNC$ FD_(CLOEXEC)$ AT_ S_I SEEK_ DN_ LOCK_(SH|EX|NB|UN|MAND|READ|WRITE|RW)$ FALLOC_ POSIX_FADV_ RENAME_ RWF_ SPLICE_F_ FILEATTR_ STATX_ XATTR_
    RESOLVE_ CLOSE_RANGE_ IN_ FAN_ EPOLL EFD_ TFD_ SFD_ POLL IORING_ CACHESTAT_ RWH_ Q_[A-Z]+$ Q_X QIF_ QFMT_ USRQUOTA GRPQUOTA PRJQUOTA`),
  // Memory
  ...list(
    "PROT_ MAP_ MADV_ PROCESS_MADV MREMAP_ MCL_ MLOCK_ MS_ MFD_ MPOL_ PKEY_ SHADOW_STACK_ UFFD_ USERFAULTFD_",
  ),
  // Mounts
  ...list(
    "MNT_ UMOUNT_ OPEN_TREE_ MOVE_MOUNT_ FSOPEN_ FSMOUNT_ FSPICK_ FSCONFIG_ MOUNT_ATTR_ STATMOUNT_ LSMT_ LISTMOUNT_",
  ),
  // Requests of ioctl
  ...list(`TIOC TC[GSFIOX][A-Z0-9]+$ TCSBRK TCSBRKP FIO FS_IOC_ FS_.*_FL$ FICLONE FIDEDUPE FIFREEZE FITHAW FITRIM FIBMAP FIGETBSZ
    BLK[A-Z0-9]+$ UFFDIO_ PERF_EVENT_IOC_ TUN[A-Z]+$ TUN_F_ IFF_ SECCOMP_IOCTL_ LOOP_ RND HDIO_ CDROM[A-Z_]+$ FD[A-Z]+$ NBD_[A-Z_]+$ DM_[A-Z_]+$ VT_ KD GIO_ PIO_
    KVM_ VHOST_ VFIO_[A-Z_]+$ EVIOC UI_(SET|GET|DEV|BEGIN|END|ABS) RTC_ WDIOC_ I2C_ SG_[GSI][A-Z_]+$ SCSI_IOCTL_ BTRFS_IOC_ PPPIOC DMA_BUF_ DMA_HEAP_
    UDMABUF_ SYNC_IOC_ NVME_IOCTL_ HIDIOC USBDEVFS_ GPIO_[A-Z0-9_]*IOCTL$ SPI_IOC_ FUSE_DEV_IOC_ IOCTL_ IOC_ PROCMAP_ PAGEMAP_SCAN PAGE_IS_ PM_SCAN_
    MTIOC MEM(GET|LOCK|UNLOCK|ERASE|READ|WRITE|ISLOCKED|SET) TEE_IOC_ N_ IOC_WATCH_ WATCH_ EPIOC SNAPSHOT_ EXT4_IOC CACHEFILES_IOC`),
  // Keys, randomness, BPF, tracing
  ...list("KEYCTL_ KEY_SPEC_ KEY_REQKEY_ GRND_ BPF_ PERF_FLAG_ PERF_TYPE_"),
  // Clocks and timers
  ...list("CLOCK_ CLOCKFD TIMER_ ITIMER_ ADJ_ STA_"),
  // System V IPC
  ...list(
    "IPC_ SHM_ SEM_ SEM[A-Z]+$ MSG[A-Z]+$ SHM[A-Z]+$ GETALL SETALL GETPID GETVAL SETVAL GETNCNT GETZCNT",
  ),
  // The machine
  ...list("KEXEC_ LINUX_REBOOT_ SWAP_FLAG_ AUDIT_ARCH_ MODULE_INIT_ NFSCTL_"),
];

/** Not numbers that anybody passes to a call. */
export const ignored = [
  ".*_H",
  "_(?!_W).*",
  "SIG_(DFL|IGN|ERR)",
  "MAP_FAILED",
  "SIG_ATOMIC_.*",
  "(VFIO|VHOST|DM|XDP|BTRFS|ETH|TCP|NBD|UFFD)_.*MAX_.*",
  "IP_(MF|DF|CE|OFFMASK)",
  "BPF_(FUNC_|LD|LDX|ST|STX|ALU|ALU64|JMP|JMP32|RET|MISC|W|H|B|DW|ABS|IND|MEM|LEN|MSH|K|X|A|TAX|TXA|IMM|ADD|SUB|MUL|DIV|OR|AND|LSH|RSH|NEG|MOD|XOR|JA|JEQ|JGT|JGE|JSET|MAXINSNS|MEMSX|ATOMIC|XADD|MOV|ARSH|END|TO_LE|TO_BE|FROM_LE|FROM_BE|JNE|JLT|JLE|JSGT|JSGE|JSLT|JSLE|JCOND|CALL|EXIT|FETCH|XCHG|CMPXCHG|LOAD_ACQ|STORE_REL).*",
  "IN_(CLASS.*|LOOPBACKNET|MULTICAST|BADCLASS|EXPERIMENTAL)",
  "KVM_(CAP|REG|MAX|PV|MSR|FEATURE|HINTS|GUESTDBG|EXIT|IRQCHIP|SYSTEM|S390|X86|ARM|PPC|RISCV|STATS|RUN_|INTERNAL|SEV|VCPU|XEN|HC|TDX|DEV|BUS|NR|COALESCED|CLOCK_|ASYNC|DIRTY_|MSI|MP_|SMM|STEAL|SIGNAL_|APIC|CPUID|DEBUG|DEVICE|HYPERV|IRQ|MEM_|MMIO|NESTED|PIT|PMU|PRE|USER|VGIC|VMX|XSAVE|MEMORY_|LAPIC|PTP|TPR).*",
  "VFIO_(PCI|REGION|CCW|PLATFORM|AP|MIG|DMA_[MU]|IOMMU_(INFO|CAP)).*",
  "VT_(BUFSIZE|MAXX).*",
  "ETH_P_.*_BITS",
];

/** Names that only the C library has, as the kernel's name for the same, or a number. */
export const extra = {
  ENOTSUP: "EOPNOTSUPP",
  R_OK: 4,
  W_OK: 2,
  X_OK: 1,
  F_OK: 0,
  AF_FILE: "AF_LOCAL",
  PF_FILE: "PF_LOCAL",
  MAP_ANON: "MAP_ANONYMOUS",
  O_RSYNC: "O_SYNC",
  O_FSYNC: "O_SYNC",
  SIGCLD: "SIGCHLD",
  SIGPOLL: "SIGIO",
  S_IREAD: "S_IRUSR",
  S_IWRITE: "S_IWUSR",
  S_IEXEC: "S_IXUSR",
  EPOLL_NONBLOCK: "O_NONBLOCK",
  TIOCINQ: "FIONREAD",
  IPPROTO_ICMPV6: 58,
  SIGRTMAX: 64,
  SG_IO: 0x2285,
  O_ASYNC: "FASYNC",
  IPV6_JOIN_GROUP: "IPV6_ADD_MEMBERSHIP",
  IPV6_LEAVE_GROUP: "IPV6_DROP_MEMBERSHIP",
  RLIMIT_OFILE: "RLIMIT_NOFILE",
};
