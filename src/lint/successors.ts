/** Calls that do what another call does, and more: who restricts the one means the other too. */

export interface Successor {
  readonly name: string;
  /** What it does of the other's work: shown behind the name. */
  readonly reason: string;
  /** Only where the other call is under a condition: it is no way to do all of its work. */
  readonly onlyConditions?: true;
  /** What to answer where programs have a way to do without; else the rule's own action. */
  readonly answer?: string;
}

const reads = "reads from a descriptor as well";
const writes = "writes to a descriptor as well";
const sends = "sends as well, to any address";
const receives = "receives as well";
const signals = "sends signals as well";
const at = "the same, relative to a directory";
const flags = "the same, with flags";

/**
 * By the call that is restricted. Not here, because they give less or something else: the stat family (all of it
 * only looks), close and its ranges, poll and select, tgkill (abort and raise need it), clone for a refused
 * unshare of nothing.
 */
export const successors: Readonly<Record<string, readonly Successor[]>> = {
  open: [
    { name: "openat", reason: at },
    { name: "openat2", reason: `${at}, its flags in memory`, answer: "errno(ENOSYS)" },
  ],
  openat: [{ name: "openat2", reason: "the same, its flags in memory", answer: "errno(ENOSYS)" }],
  creat: [
    { name: "open", reason: "creates with O_CREAT" },
    { name: "openat", reason: "creates with O_CREAT" },
    { name: "openat2", reason: "creates with O_CREAT", answer: "errno(ENOSYS)" },
  ],
  fork: [
    { name: "vfork", reason: "starts processes as well" },
    { name: "clone", reason: "starts processes as well" },
    { name: "clone3", reason: "starts processes as well", answer: "errno(ENOSYS)" },
  ],
  vfork: [
    { name: "fork", reason: "starts processes as well" },
    { name: "clone", reason: "starts processes as well" },
    { name: "clone3", reason: "starts processes as well", answer: "errno(ENOSYS)" },
  ],
  clone: [
    { name: "clone3", reason: "the same, its flags in memory", answer: "errno(ENOSYS)" },
    { name: "unshare", reason: "makes namespaces as well", onlyConditions: true },
  ],
  unshare: [
    { name: "clone", reason: "makes namespaces as well" },
    { name: "clone3", reason: "makes namespaces as well", answer: "errno(ENOSYS)" },
  ],
  execve: [{ name: "execveat", reason: "executes from a descriptor as well" }],
  mount: [
    { name: "move_mount", reason: "attaches what fsopen and open_tree made" },
    { name: "mount_setattr", reason: "changes the options of mounts" },
  ],
  read: [
    { name: "readv", reason: reads },
    { name: "pread64", reason: reads },
    { name: "preadv", reason: reads },
    { name: "preadv2", reason: reads },
  ],
  readv: [
    { name: "preadv", reason: reads },
    { name: "preadv2", reason: reads },
  ],
  pread64: [
    { name: "preadv", reason: reads },
    { name: "preadv2", reason: reads },
  ],
  preadv: [{ name: "preadv2", reason: flags }],
  write: [
    { name: "writev", reason: writes },
    { name: "pwrite64", reason: writes },
    { name: "pwritev", reason: writes },
    { name: "pwritev2", reason: writes },
  ],
  writev: [
    { name: "pwritev", reason: writes },
    { name: "pwritev2", reason: writes },
  ],
  pwrite64: [
    { name: "pwritev", reason: writes },
    { name: "pwritev2", reason: writes },
  ],
  pwritev: [{ name: "pwritev2", reason: flags }],
  sendto: [
    { name: "sendmsg", reason: sends },
    { name: "sendmmsg", reason: sends },
  ],
  sendmsg: [{ name: "sendmmsg", reason: "the same, many times" }],
  recvfrom: [
    { name: "recvmsg", reason: receives },
    { name: "recvmmsg", reason: receives },
  ],
  recvmsg: [{ name: "recvmmsg", reason: "the same, many times" }],
  accept: [{ name: "accept4", reason: flags }],
  dup: [
    { name: "dup2", reason: "duplicates descriptors as well" },
    { name: "dup3", reason: "duplicates descriptors as well" },
  ],
  dup2: [{ name: "dup3", reason: flags }],
  pipe: [{ name: "pipe2", reason: flags }],
  ptrace: [
    { name: "process_vm_readv", reason: "reads other processes' memory" },
    { name: "process_vm_writev", reason: "writes other processes' memory" },
    { name: "pidfd_getfd", reason: "takes other processes' descriptors" },
  ],
  process_vm_readv: [{ name: "ptrace", reason: "reads other processes' memory as well" }],
  process_vm_writev: [{ name: "ptrace", reason: "writes other processes' memory as well" }],
  pidfd_getfd: [{ name: "ptrace", reason: "makes another process pass its descriptors on" }],
  kill: [
    { name: "pidfd_send_signal", reason: signals },
    { name: "rt_sigqueueinfo", reason: signals },
    { name: "tkill", reason: signals },
  ],
  tkill: [{ name: "pidfd_send_signal", reason: signals }],
  tgkill: [
    { name: "rt_tgsigqueueinfo", reason: signals },
    { name: "pidfd_send_signal", reason: signals },
  ],
  chmod: [
    { name: "fchmod", reason: "the same, by descriptor" },
    { name: "fchmodat", reason: at },
    { name: "fchmodat2", reason: at },
  ],
  fchmodat: [{ name: "fchmodat2", reason: flags }],
  chown: [
    { name: "fchown", reason: "the same, by descriptor" },
    { name: "fchownat", reason: at },
  ],
  rename: [
    { name: "renameat", reason: at },
    { name: "renameat2", reason: at },
  ],
  renameat: [{ name: "renameat2", reason: flags }],
  link: [{ name: "linkat", reason: at }],
  symlink: [{ name: "symlinkat", reason: at }],
  unlink: [{ name: "unlinkat", reason: at }],
  rmdir: [{ name: "unlinkat", reason: "removes directories with AT_REMOVEDIR" }],
  mkdir: [{ name: "mkdirat", reason: at }],
  mknod: [{ name: "mknodat", reason: at }],
  setxattr: [
    { name: "fsetxattr", reason: "the same, by descriptor" },
    { name: "setxattrat", reason: at },
  ],
  removexattr: [
    { name: "fremovexattr", reason: "the same, by descriptor" },
    { name: "removexattrat", reason: at },
  ],
  mprotect: [{ name: "pkey_mprotect", reason: "the same, with a protection key" }],
  madvise: [{ name: "process_madvise", reason: "the same, for other processes too" }],
  mlock: [{ name: "mlock2", reason: flags }],
  init_module: [{ name: "finit_module", reason: "the same, from a descriptor" }],
  kexec_load: [{ name: "kexec_file_load", reason: "the same, from a descriptor" }],
  quotactl: [{ name: "quotactl_fd", reason: "the same, by descriptor" }],
  settimeofday: [
    { name: "clock_settime", reason: "sets the clock as well" },
    { name: "adjtimex", reason: "sets the clock as well" },
  ],
  adjtimex: [{ name: "clock_adjtime", reason: "the same, for any clock" }],
  setrlimit: [{ name: "prlimit64", reason: "the same, for other processes too" }],
  nice: [{ name: "setpriority", reason: "the same, for other processes too" }],
  setpriority: [{ name: "sched_setattr", reason: "sets the priority as well" }],
  sched_setscheduler: [{ name: "sched_setattr", reason: "sets the scheduler as well" }],
  inotify_init: [{ name: "inotify_init1", reason: flags }],
};
