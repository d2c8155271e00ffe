/**
 * Named sets of calls. The names are those that systemd has made known; where its set and ours differ,
 * group-differences.ts has the reason. A group's members are part of the policy language: to change one is a breaking
 * change.
 */
import { syscallNames } from "./table.ts";

export interface Group {
  /** With its sign: `@mount`. */
  readonly name: string;
  /** What its members have in common, in one line. */
  readonly description: string;
  /** Names of calls, and of groups that are in it whole. */
  readonly members: readonly string[];
}

/** The members' lines are split when they are asked for: a cold start asks for few groups. */
function group(name: string, description: string, ...lines: readonly string[]): Group {
  let members: readonly string[] | undefined;
  return {
    name,
    description,
    get members() {
      members ??= lines.flatMap((line) => line.split(" "));
      return members;
    },
  };
}

/** In alphabetical order of their names. */
export const groups: readonly Group[] = [
  group(
    "@aio",
    "input and output that the kernel completes later: the old AIO calls and io_uring",
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit",
    "io_uring_enter io_uring_register io_uring_setup",
  ),
  group(
    "@basic-io",
    "reading, writing, seeking, duplicating and closing descriptors that are already open",
    "read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek _llseek",
    "close close_range dup dup2 dup3",
  ),
  group(
    "@chown",
    "giving files another owner or group",
    "chown chown32 fchown fchown32 fchownat lchown lchown32",
  ),
  group(
    "@clock",
    "setting the machine's clocks",
    "adjtimex clock_adjtime clock_adjtime64 clock_settime clock_settime64 settimeofday",
  ),
  group(
    "@cpu-emulation",
    "segments and virtual 8086 mode, for emulators",
    "modify_ldt subpage_prot switch_endian vm86 vm86old",
  ),
  group(
    "@debug",
    "looking into other processes and into the kernel's counters",
    "lookup_dcookie perf_event_open pidfd_getfd ptrace rtas s390_runtime_instr sys_debug_setcontext",
  ),
  group(
    "@default",
    "what nearly every program needs to start, wait, allocate memory and end",
    "execve exit exit_group restart_syscall rt_sigreturn sigreturn pause nanosleep",
    "brk mmap mmap2 mprotect munmap",
    "arch_prctl get_thread_area set_thread_area set_tid_address get_robust_list set_robust_list rseq membarrier",
    "futex futex_time64 futex_wait futex_waitv futex_wake futex_requeue sched_yield sched_getaffinity",
    "rseq_slice_yield map_shadow_stack uretprobe uprobe",
    "clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64",
    "gettimeofday time getrandom",
    // What C libraries and compilers need on arm, mips and riscv.
    "cacheflush riscv_flush_icache riscv_hwprobe set_tls",
    "getpid getppid gettid getpgid getpgrp getsid getrlimit ugetrlimit prlimit64",
    "getuid getuid32 geteuid geteuid32 getresuid getresuid32 getgid getgid32 getegid getegid32",
    "getresgid getresgid32 getgroups getgroups32",
  ),
  group(
    "@file-system",
    "opening, making, renaming, removing and describing files",
    "open openat openat2 creat close access faccessat faccessat2 chdir fchdir getcwd",
    "stat oldstat stat64 lstat oldlstat lstat64 fstat oldfstat fstat64 newfstatat fstatat64 statx",
    "statfs statfs64 fstatfs fstatfs64 getdents getdents64 readlink readlinkat",
    "mkdir mkdirat mknod mknodat rmdir link linkat symlink symlinkat unlink unlinkat",
    "rename renameat renameat2 chmod fchmod fchmodat fchmodat2",
    "truncate truncate64 ftruncate ftruncate64 fallocate fcntl fcntl64",
    "utime utimes futimesat utimensat utimensat_time64",
    "getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat",
    "listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat",
    "file_getattr file_setattr",
    "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch",
  ),
  group(
    "@io-event",
    "waiting for descriptors",
    "poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64",
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2",
    "eventfd eventfd2",
  ),
  group(
    "@ipc",
    "pipes, shared memory, semaphores, message queues, and other processes' memory",
    "pipe pipe2 memfd_create ipc",
    "mq_open mq_unlink mq_notify mq_getsetattr mq_timedreceive mq_timedreceive_time64 mq_timedsend",
    "mq_timedsend_time64",
    "msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget",
    "process_madvise process_vm_readv process_vm_writev",
  ),
  group("@keyring", "the kernel's keyrings, which no namespace separates", "add_key keyctl request_key"),
  {
    name: "@known",
    description: "every call that the tables know",
    // Only when asked for: it reads the tables of all ABIs.
    get members() {
      return syscallNames();
    },
  },
  group("@memlock", "keeping memory out of the swap", "mlock mlock2 mlockall munlock munlockall"),
  group("@module", "loading and removing kernel modules", "init_module finit_module delete_module"),
  group(
    "@mount",
    "changing the tree of mounts and its root",
    "mount umount umount2 pivot_root chroot",
    "fsopen fsconfig fsmount fspick open_tree open_tree_attr move_mount mount_setattr",
  ),
  group(
    "@network-io",
    "sockets",
    "socket socketpair socketcall bind connect listen accept accept4 shutdown",
    "getsockname getpeername getsockopt setsockopt",
    "send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64",
  ),
  group(
    "@obsolete",
    "calls that are gone, were never there, or have had a better successor for decades",
    "_sysctl afs_syscall bdflush break create_module ftime get_kernel_syms getpmsg gtty idle lock mpx prof",
    "profil putpmsg query_module security sgetmask ssetmask stime stty sysfs tuxcall ulimit uselib ustat",
    "vserver",
  ),
  group("@pkey", "memory protection keys", "pkey_alloc pkey_free pkey_mprotect"),
  group(
    "@privileged",
    "what only a privileged process may do, or what changes its rights",
    "@chown @clock @module @raw-io @reboot @swap",
    "_sysctl acct bpf capset chroot pivot_root fanotify_init fanotify_mark nfsservctl open_by_handle_at",
    "quotactl quotactl_fd setdomainname sethostname vhangup",
    "setfsuid setfsuid32 setgroups setgroups32 setresuid setresuid32 setreuid setreuid32 setuid setuid32",
  ),
  group(
    "@process",
    "starting processes, signalling them, waiting for them, and namespaces",
    "fork vfork clone clone3 execveat wait4 waitid waitpid kill tkill tgkill rt_sigqueueinfo",
    "rt_tgsigqueueinfo pidfd_open pidfd_send_signal prctl capget getrusage times setns swapcontext unshare",
  ),
  group(
    "@raw-io",
    "input and output past the kernel's drivers",
    "ioperm iopl pciconfig_iobase pciconfig_read pciconfig_write s390_pci_mmio_read s390_pci_mmio_write",
  ),
  group("@reboot", "restarting the machine or its kernel", "reboot kexec_load kexec_file_load"),
  group(
    "@resources",
    "priorities, limits, and where threads and memory live",
    "nice setpriority setrlimit ioprio_set",
    "sched_setaffinity sched_setattr sched_setparam sched_setscheduler",
    "mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node",
  ),
  group(
    "@sandbox",
    "a process giving up rights of its own",
    "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
  ),
  group(
    "@setuid",
    "changing one's own user and group ids",
    "setuid setuid32 setreuid setreuid32 setresuid setresuid32",
    "setgid setgid32 setregid setregid32 setresgid setresgid32 setgroups setgroups32",
  ),
  group(
    "@signal",
    "receiving signals",
    "rt_sigaction rt_sigpending rt_sigprocmask rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64",
    "sigaction sigpending sigprocmask sigsuspend signal sigaltstack signalfd signalfd4",
  ),
  group("@swap", "swap space", "swapon swapoff"),
  group(
    "@sync",
    "writing what is cached to the disk",
    "sync syncfs fsync fdatasync msync sync_file_range sync_file_range2 arm_sync_file_range",
  ),
  group(
    "@system-service",
    "a generous set for system services: everything but what administers the machine",
    "@aio @basic-io @chown @default @file-system @io-event @ipc @keyring @memlock @network-io @process",
    "@resources @setuid @signal @sync @timer",
    "capget capset personality ioctl uname olduname oldolduname umask setpgid setsid setfsuid setfsuid32",
    "setfsgid setfsgid32 flock readdir copy_file_range splice tee vmsplice sendfile sendfile64 readahead",
    "fadvise64 fadvise64_64 arm_fadvise64_64 name_to_handle_at kcmp userfaultfd sysinfo getcpu getpriority ioprio_get",
    "get_mempolicy madvise mremap remap_file_pages",
    "sched_get_priority_max sched_get_priority_min sched_getattr sched_getparam sched_getscheduler",
    "sched_rr_get_interval sched_rr_get_interval_time64 sched_yield",
    "cachestat mseal statmount listmount lsm_get_self_attr lsm_list_modules",
  ),
  group(
    "@timer",
    "timers",
    "alarm getitimer setitimer times timer_create timer_delete timer_getoverrun",
    "timer_gettime timer_gettime64 timer_settime timer_settime64",
    "timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64",
  ),
];

const flattened = new Map<string, readonly string[]>();

/**
 * Every call of a group, groups in it included, sorted; undefined where there is no such group. `@known` is
 * every call of the tables.
 */
export function groupMembers(name: string): readonly string[] | undefined {
  const known = flattened.get(name);
  if (known !== undefined) return known;
  const found = groups.find((candidate) => candidate.name === name);
  if (found === undefined) return undefined;
  const calls = new Set<string>();
  for (const member of found.members) {
    for (const call of member.startsWith("@") ? (groupMembers(member) ?? []) : [member]) calls.add(call);
  }
  const sorted = [...calls].sort();
  flattened.set(name, sorted);
  return sorted;
}
