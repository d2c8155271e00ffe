// Which headers and which names scripts/gen-constants.mjs looks at.

const list = (text) => text.split(/\s+/).filter((word) => word !== "");

/** In the order in which a name's first definition counts. */
export const headers = [
  "callgate-internal.h",
  ...list("asm/errno.h asm/fcntl.h linux/fcntl.h asm/mman.h linux/mman.h asm/signal.h asm/siginfo.h asm/socket.h asm/sockios.h").map((h) => h),
  ...list("asm/ioctls.h asm/termbits.h asm/termios.h asm/poll.h asm/prctl.h asm/ptrace.h asm/ptrace-abi.h asm/resource.h asm/stat.h"),
  ...list("asm/statfs.h asm/ldt.h asm/kvm.h"),
  ...list(`sched types stat net socket sockios in in6 tcp udp un mptcp netlink rtnetlink if if_packet if_tun if_alg
    vm_sockets can bluetooth tls xfrm prctl ptrace personality seccomp keyctl futex eventpoll eventfd timerfd signalfd inotify
    fanotify random memfd fs mount bpf io_uring capability resource time timex wait ipc sem shm msg mqueue ioprio mempolicy
    kexec reboot swap quota dqblk_xfs audit xattr landlock openat2 membarrier userfaultfd perf_event kcmp pidfd rseq close_range
    fadvise falloc fiemap fscrypt fsverity blkzoned blkpg hdreg loop nbd dm-ioctl raid/md_p raid/md_u btrfs cdrom fd
    tty tty_flags serial vt kd keyboard rtc watchdog i2c-dev nsfs utsname uio magic binfmts limits auxvec
    securebits module lsm mman aio_abi poll sysinfo kvm vhost vhost_types vfio iommufd tee nfs4 netfilter
    netfilter_ipv4 netfilter_ipv6 netfilter/x_tables netfilter_ipv4/ip_tables netfilter_ipv6/ip6_tables if_ether if_link
    filter net_tstamp icmp icmpv6 igmp unistd acct
    watch_queue pkt_sched if_arp if_bridge if_vlan route ppp-ioctl ppp_defs sync_file dma-buf dma-heap udmabuf
    spi/spidev gpio hidraw hiddev usbdevice_fs nvme_ioctl mei ndctl tls vbox_vmmdev_types virtio_ids
    userio cn_proc taskstats genetlink sock_diag inet_diag unix_diag packet_diag netlink_diag if_xdp memfd
    exit_states psi apm_bios mtio sonypi suspend_ioctls`).map((name) => `linux/${name}.h`),
  ...list("mtd/mtd-abi.h scsi/sg.h scsi/scsi_ioctl.h asm-generic/hugetlb_encode.h asm/hwcap.h asm/mce.h asm/msr.h asm/vm86.h asm/bootparam.h"),
];

/** What a name must begin with. */
export const prefixes = [
  "E[A-Z0-9]+$", // errno names; of asm/errno.h only
  ...list(`AF_ PF_ SOCK_ SOL_ SO_ SCM_ MSG_ SHUT_ IPPROTO_ IP_ IPV6_ TCP_ UDP_ NETLINK_ PACKET_ VMADDR_ VM_SOCKETS_ SIOC SYS_
    UNIX_ ALG_ XDP_ MCAST_ TLS_
    CLONE_ CSIGNAL O_ F_ FD_ AT_ S_I S_ISVTX SEEK_ DN_ LOCK_ FALLOC_ POSIX_FADV_ RENAME_ RWF_ SPLICE_F_
    PROT_ MAP_ MADV_ MREMAP_ MCL_ MLOCK_ MS_ MFD_ MPOL_ PKEY_ SHADOW_STACK_ HUGETLB_FLAG_
    MNT_ UMOUNT_ OPEN_TREE_ MOVE_MOUNT_ FSOPEN_ FSMOUNT_ FSPICK_ FSCONFIG_ MOUNT_ATTR_ STATMOUNT_ LSMT_ LISTMOUNT_ NS_ MNT_ID_ LISTNS_
    PR_ ARCH_ PTRACE_ PER_ ADDR_ READ_IMPLIES_EXEC FDPIC_FUNCPTRS MMAP_PAGE_ZERO SHORT_INODE STICKY_TIMEOUTS UNAME26 WHOLE_SECONDS
    TIOC TC FIO FS_IOC_ FS_ FICLONE FIDEDUPE FIFREEZE FITHAW FITRIM FIBMAP FIGETBSZ BLK UFFDIO_ UFFD_ USERFAULTFD_ PERF_EVENT_IOC_ PERF_FLAG_ PERF_TYPE_
    TUN IFF_ SECCOMP_ LOOP_ RND HDIO_ CDROM FD_ NBD_ DM_ VT_ KD GIO_ PIO_ KDFONTOP KVM_ VHOST_ VFIO_ EVIOC UI_ RTC_ WDIOC
    I2C_ SG_ SCSI_IOCTL_ BTRFS_IOC_ PPPIOC DMA_BUF_ DMA_HEAP_ UDMABUF_ SYNC_IOC_ NVME_IOCTL_ HIDIOC USBDEVFS_ GPIO_ SPI_IOC_ FUSE_DEV_IOC_ IOCTL_ IOC_ PIDFD_ PROCMAP_ PAGEMAP_SCAN PAGE_IS_ MTIOC MEM TEE_IOC MEI
    KEYCTL_ KEY_SPEC_ KEY_REQKEY_ KEYRING_ FUTEX_ FUTEX2_ EPOLL EPIOC EFD_ TFD_ SFD_ IN_ FAN_ GRND_ LANDLOCK_ RESOLVE_ MEMBARRIER_ RSEQ_
    BPF_ IORING_ IOSQE_ CAP_ RLIMIT_ RLIM_ RUSAGE_ PRIO_ CLOCK_ CLOCKFD TIMER_ ITIMER_ TIME_ ADJ_ STA_ SIG SA_ SS_ W P_ CLD_
    IPC_ SHM_ SEM_ SEM MSGCTL MSG GET SET IPCCALL SHM MSGSND MSGRCV GETALL SETALL GETPID GETVAL SETVAL GETNCNT GETZCNT
    SCHED_ IOPRIO_ KEXEC_ LINUX_REBOOT_ SWAP_FLAG_ Q_ QIF_ QFMT_ USRQUOTA GRPQUOTA PRJQUOTA AUDIT_ARCH_ STATX_ XATTR_ FILEATTR_ CLOSE_RANGE_
    POLL LSM_ SECBIT_ SECURE_ MODULE_INIT_ KCMP_ N_ IPT_SO_ IP6T_SO_ XT_ NF_ RTMGRP_ ETH_P_ DLM SNAPSHOT_ LDT_ MODIFY_LDT_ VM86_ CACHESTAT_ RWH_ EXT`),
];

/** Not numbers that anybody passes to a call, or not the kernel's. */
export const ignored = [
  ".*_H", "_.*", "E2BIG_", "SIG_(DFL|IGN|ERR)", "MAP_FAILED", "KEY_.*_MAX", "W[A-Z]*TATUS", "IP_(MF|DF|CE|OFFMASK)", "WIF.*",
  "BPF_(S|ALU|JMP|LD|ST|RET|MISC|CLASS|SIZE|MODE|OP|SRC|RVAL|MISCOP)_?.{0,2}", "IN_(CLASS.*|LOOPBACKNET|MULTICAST|BADCLASS|EXPERIMENTAL)", "MEMORY.*", "SETUP_.*", "GETFL", "SETFL",
  "ETH_(ALEN|HLEN|ZLEN|DATA_LEN|FRAME_LEN|FCS_LEN|TLEN|MIN_MTU|MAX_MTU)", "EXT[0-9]_.*",
];

/** Names that only the C library has, as the kernel's name for the same, or a number. */
export const extra = {
  ENOTSUP: "EOPNOTSUPP", R_OK: 4, W_OK: 2, X_OK: 1, F_OK: 0, AF_FILE: "AF_LOCAL", PF_FILE: "PF_LOCAL", MAP_ANON: "MAP_ANONYMOUS",
  O_RSYNC: "O_SYNC", O_FSYNC: "O_SYNC", SIGCLD: "SIGCHLD", SIGPOLL: "SIGIO", S_IREAD: "S_IRUSR", S_IWRITE: "S_IWUSR", S_IEXEC: "S_IXUSR",
  EPOLL_NONBLOCK: "O_NONBLOCK", TIOCINQ: "FIONREAD", IPPROTO_ICMPV6: 58,
};
