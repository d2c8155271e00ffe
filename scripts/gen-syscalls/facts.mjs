// What no file says in a form that a program can read: names where manual pages and kernel differ in shape,
// arguments that the kernel narrows after its SYSCALL_DEFINE, calls that are gone, numbers that came late.

const list = (text) => text.split(/\s+/).filter((word) => word !== "");

/** The manual page's function for a call that has another name there. */
const otherPage = new Map([
  ["newfstatat", "fstatat"],
  ["fstatat64", "fstatat"],
  ["_newselect", "select"],
  ["pselect6", "pselect"],
  ["pselect6_time64", "pselect"],
  ["exit", "_exit"],
  ["pread64", "pread"],
  ["pwrite64", "pwrite"],
  ["prlimit64", "prlimit"],
  ["fadvise64", "posix_fadvise"],
  ["fadvise64_64", "posix_fadvise"],
  ["sendfile64", "sendfile"],
  ["ugetrlimit", "getrlimit"],
  ["fcntl64", "fcntl"],
  ["olduname", "uname"],
  ["oldolduname", "uname"],
  ["oldstat", "stat"],
  ["oldlstat", "lstat"],
  ["oldfstat", "fstat"],
  ["stat64", "stat"],
  ["lstat64", "lstat"],
  ["fstat64", "fstat"],
  ["truncate64", "truncate"],
  ["ftruncate64", "ftruncate"],
  ["rt_sigaction", "sigaction"],
  ["rt_sigpending", "sigpending"],
  ["rt_sigsuspend", "sigsuspend"],
  ["rt_sigtimedwait", "sigtimedwait"],
  ["rt_sigtimedwait_time64", "sigtimedwait"],
  ["fchmodat2", "fchmodat"],
  ["getdents64", "getdents"],
  ["clock_adjtime64", "clock_adjtime"],
  ["clock_getres_time64", "clock_getres"],
  ["vm86old", "vm86old"],
  ["timer_gettime64", "timer_gettime"],
  ...list(
    "chown fchown lchown getgroups setgroups getresuid getresgid setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid",
  ).map((name) => [`${name}32`, name]),
]);

export function pageOf(name) {
  return (
    otherPage.get(name) ?? name.replace(/_time64$/, "").replace(/^((?:clock|timer|timerfd)_.*)64$/, "$1")
  );
}

/** Argument names by the kernel's own name, where position does not lead from the manual page to the call. */
export const namesByKernelName = {
  clone: {
    clone_flags: "flags",
    newsp: "stack",
    parent_tidptr: "parent_tid",
    child_tidptr: "child_tid",
    tls_val: "tls",
  },
  // The manual pages' functions have flags, which these calls have not, or have elsewhere.
  eventfd: { count: "initval" },
  eventfd2: { count: "initval" },
  signalfd: { ufd: "fd", user_mask: "mask", sigsetsize: "sizemask" },
  signalfd4: { ufd: "fd", user_mask: "mask", sigsetsize: "sizemask" },
  preadv2: { vec: "iov", vlen: "iovcnt", pos_l: "offset", pos: "offset" },
  pwritev2: { vec: "iov", vlen: "iovcnt", pos_l: "offset", pos: "offset" },
  statfs64: { pathname: "path", sz: "size" },
  fstatfs64: { sz: "size" },
  _llseek: { origin: "whence" },
  sysfs: {},
  sigsuspend: {},
  arm_fadvise64_64: {},
  ioctl: { cmd: "request", arg32: "arg" },
  fcntl: {},
  fcntl64: {},
  getdents64: { dirent: "dirp" },
  lookup_dcookie: { cookie64: "cookie", w: "cookie", buf: "buffer" },
  io_uring_enter: { argp: "arg", argsz: "argsz" },
  waitid: { which: "idtype", upid: "id", pid: "id", ru: "rusage", uru: "rusage" },
  keyctl: { option: "operation" },
  process_madvise: { vec: "iovec", behavior: "advice" },
  getcpu: { cpup: "cpu", nodep: "node", unused: "tcache" },
  bpf: { uattr: "attr", uattr_common: "attr_common" },
  openat2: { dfd: "dirfd", filename: "pathname", usize: "size" },
  listxattrat: { dfd: "dirfd" },
  getxattrat: { dfd: "dirfd", uargs: "args", usize: "size" },
  setxattrat: { dfd: "dirfd", uargs: "args", usize: "size" },
  removexattrat: { dfd: "dirfd" },
  file_getattr: { dfd: "dirfd", filename: "pathname", ufattr: "attr", usize: "size" },
  file_setattr: { dfd: "dirfd", filename: "pathname", ufattr: "attr", usize: "size" },
  open_tree: { dfd: "dirfd", filename: "pathname" },
  open_tree_attr: { dfd: "dirfd", filename: "pathname", uattr: "attr", usize: "size" },
  move_mount: { from_dfd: "from_dirfd", to_dfd: "to_dirfd" },
  fspick: { dfd: "dirfd", path: "pathname" },
  uselib: { library: "library" },
};

/** Words that a 64-bit kernel shifts out of its value: no argument at all. */
export const ignoredWords = ["pos_h", "__pad", "__dummy"];

/** More aliases: `call: { name: [alias] }`. */
export const moreAliases = {
  ioctl: { arg: ["argp"] },
  open_tree: { pathname: ["path"] },
  open_tree_attr: { pathname: ["path"] },
  fspick: { pathname: ["path"] },
  arm_fadvise64_64: { len: ["size"] },
  move_mount: { from_pathname: ["from_path"], to_pathname: ["to_path"] },
  io_uring_enter: { arg: ["sig", "argp"] },
  keyctl: { operation: ["cmd", "op"] },
  clone: { parent_tid: ["ptid"], child_tid: ["ctid"] },
};

/** Pages of the newer manual whose prototypes are examples of one operation, not of the call. */
export const notPrototypes = list("fcntl ioctl prctl keyctl futex clone setsockopt getsockopt");

/** Two 32-bit words that make one 64-bit value: [first word's name, second's, the value's, which is low]. */
export const wordPairs = [
  ["poslo", "poshi", "pos", "first"],
  ["pos_low", "pos_high", "pos", "first"],
  ["offset_low", "offset_high", "offset", "first"],
  ["offset_lo", "offset_hi", "offset", "first"],
  ["off_low", "off_hi", "offset", "first"],
  ["off_lo", "off_hi", "offset", "first"],
  ["n_low", "n_hi", "nbytes", "first"],
  ["len_low", "len_high", "len", "first"],
  ["len_lo", "len_hi", "len", "first"],
  ["mask_lo", "mask_hi", "mask", "first"],
  ["pos_lo", "pos_hi", "pos", "first"],
  ["length_lo", "length_hi", "length", "first"],
  ["nbytes_lo", "nbytes_hi", "nbytes", "first"],
  ["w0", "w1", "w", "first"],
  ["offset_high", "offset_low", "offset", "second"],
];
/** Values of two words that are signed: offsets and lengths of files. */
export const signedValues = list("pos offset len length nbytes");

/**
 * Declared as a long, used as an int: what reaches the kernel is the low half, so a filter must look at no
 * more. [signed, where the kernel drops the rest]
 */
const fd = [false, "fdget() takes an unsigned int"];
export const narrowed = {
  clone: { clone_flags: [false, "kernel/fork.c: lower_32_bits(clone_flags)"] },
  readv: { fd },
  writev: { fd },
  preadv: { fd },
  pwritev: { fd },
  preadv2: { fd },
  pwritev2: { fd },
  mmap: { fd: [false, "mm/mmap.c: fget() takes an unsigned int"] },
  ptrace: { pid: [true, "kernel/ptrace.c: find_get_task_by_vpid() takes a pid_t"] },
  // mips' n32 and o32, and ppc64; the others' own entry points say so themselves.
  personality: { personality: [false, "kernel/exec_domain.c: ksys_personality() takes an unsigned int"] },
  mbind: { mode: [true, "mm/mempolicy.c: int lmode = mode"] },
};

/** Arguments behind a pointer: [name, type]. Names as in the call that has them in registers. */
const fiveOfSelect = [
  ["nfds", "int"],
  ["readfds", "fd_set *"],
  ["writefds", "fd_set *"],
  ["exceptfds", "fd_set *"],
  ["timeout", "void *"],
];
const sixOfMmap = [
  ["addr", "unsigned long"],
  ["length/len", "unsigned long"],
  ["prot", "unsigned long"],
  ["flags", "unsigned long"],
  ["fd", "unsigned long"],
  ["offset/off", "unsigned long"],
];
export const inMemory = {
  x86: {
    mmap: sixOfMmap,
    select: fiveOfSelect,
  },
  // old_mmap: its six words behind a pointer.
  s390x: { mmap: sixOfMmap },
};

/**
 * Calls of mips o32 that take 64-bit values: a 32-bit kernel has them as plain arguments, a 64-bit one as
 * halves (arch/mips/kernel/linux32.c), each beginning at an even word. All reach into a word that is out of sight.
 */
/** Gives both descriptors in registers, so it takes nothing. */
const mipsPipe = { pipe: [] };
const o32Offset = ["offset/pos", "loff_t", "memory"];
export const byHand = {
  // Served outside the table, by arm_syscall() and compat_arm_syscall().
  arm: {
    breakpoint: [],
    cacheflush: [
      ["start", "unsigned long"],
      ["end", "unsigned long"],
      ["flags", "unsigned long"],
    ],
    usr26: [],
    usr32: [],
    set_tls: [["tls", "unsigned long"]],
    get_tls: [],
  },
  mips64: mipsPipe,
  mips64n32: mipsPipe,
  mips: {
    ...mipsPipe,
    sigsuspend: [["mask/uset", "sigset_t *"]],
    pread64: [["fd", "unsigned int"], ["buf", "char *"], ["count", "size_t"], o32Offset],
    pwrite64: [["fd", "unsigned int"], ["buf", "char *"], ["count", "size_t"], o32Offset],
    truncate64: [
      ["path", "char *"],
      ["length", "loff_t", "memory"],
    ],
    ftruncate64: [
      ["fd", "unsigned int"],
      ["length", "loff_t", "memory"],
    ],
    readahead: [
      ["fd", "int"],
      ["offset", "loff_t", "memory"],
      ["count", "size_t", "memory"],
    ],
    sync_file_range: [
      ["fd", "int"],
      ["offset", "loff_t", "memory"],
      ["nbytes", "loff_t", "memory"],
      ["flags", "unsigned int", "memory"],
    ],
    fadvise64: [
      ["fd", "int"],
      ["offset", "loff_t", "memory"],
      ["len", "loff_t", "memory"],
      ["advice", "int", "memory"],
    ],
    fallocate: [
      ["fd", "int"],
      ["mode", "int"],
      ["offset", "loff_t", "memory"],
      ["len/length", "loff_t", "memory"],
    ],
    fanotify_mark: [
      ["fanotify_fd", "int"],
      ["flags", "unsigned int"],
      ["mask", "u64", "memory"],
      ["dirfd/dfd", "int", "memory"],
      ["pathname", "char *", "memory"],
    ],
    // Which of its two words is the high one depends on the machine's byte order.
    lookup_dcookie: [
      ["cookie", "u64", "memory"],
      ["buffer/buf", "char *", { index: 2 }],
      ["len", "size_t", "memory"],
    ],
  },
};

/** An argument that a call lacks and for which the kernel puts a number: { call: [[name, type, value]] }. */
export const constants = {
  umount: [["flags", "int", 0]],
  waitpid: [["rusage", "void *", 0]],
  send: [
    ["dest_addr/addr", "void *", 0],
    ["addrlen/addr_len", "int", 0],
  ],
  recv: [
    ["src_addr/addr", "void *", 0],
    ["addrlen", "void *", 0],
  ],
};

/** Calls that no kernel of the sources has: arguments from their manual pages, types from the last kernel with them. */
export const gone = {
  _sysctl: [["args", "void *"]],
  bdflush: [
    ["func", "int"],
    ["data", "long"],
  ],
  create_module: [
    ["name", "char *"],
    ["size", "size_t"],
  ],
  get_kernel_syms: [["table", "void *"]],
  query_module: [
    ["name", "char *"],
    ["which", "int"],
    ["buf", "void *"],
    ["bufsize", "size_t"],
    ["ret", "size_t *"],
  ],
  nfsservctl: [
    ["cmd", "int"],
    ["argp", "void *"],
    ["resp", "void *"],
  ],
  uselib: [["library", "char *"]],
  lookup_dcookie: [
    ["cookie", "u64"],
    ["buffer", "char *"],
    ["len", "size_t"],
  ],
  // Read from registers that were saved, never from arguments.
  rt_sigreturn: [],
  sigreturn: [],
};

export const goneOn32Bits = {
  lookup_dcookie: [
    ["w0", "u32"],
    ["w1", "u32"],
    ["buffer", "char *"],
    ["len", "size_t"],
  ],
};

/** Never served by any released kernel on the ABIs here, or gone before anybody wrote down when they came. */
export const withoutRelease = {
  afs_syscall: "never implemented",
  break: "never implemented",
  epoll_ctl_old: "never implemented",
  epoll_wait_old: "never implemented",
  ftime: "never implemented",
  getpmsg: "never implemented",
  gtty: "never implemented",
  lock: "never implemented",
  mpx: "never implemented",
  prof: "never implemented",
  profil: "never implemented",
  putpmsg: "never implemented",
  security: "never implemented",
  stty: "never implemented",
  tuxcall: "never implemented",
  ulimit: "never implemented",
  vserver: "never implemented",
  cachectl: "never implemented",
  multiplexer: "never implemented",
  timerfd: "never implemented: its number was given up for timerfd_create's",
  ...Object.fromEntries(
    list("reserved82 reserved177 reserved193 reserved221").map((name) => [name, "never implemented"]),
  ),
  ...Object.fromEntries(
    list("unused18 unused28 unused59 unused84 unused109 unused150").map((name) => [
      name,
      "never implemented",
    ]),
  ),
};

/** First releases that syscalls.json lacks, or has from a page that disagrees with the call's own (pkey_alloc(2)). */
export const otherReleases = {
  arm_fadvise64_64: "2.6.14",
  idle: "1.0",
  pkey_mprotect: "4.9",
  pkey_alloc: "4.9",
  pkey_free: "4.9",
};

/** Numbers that an ABI got later than others got the call. */
const late = (release, names) => list(names).map((name) => [name, release]);
const splitIpc = late("5.1", "semget semctl shmget shmctl shmat shmdt msgget msgsnd msgrcv msgctl");
const splitSockets = late(
  "4.3",
  "socket socketpair bind connect listen accept4 getsockopt setsockopt getsockname getpeername sendto sendmsg recvfrom recvmsg shutdown",
);
export const lateNumbers = {
  x86: Object.fromEntries([...splitSockets, ...late("4.12", "arch_prctl"), ...splitIpc]),
  aarch64: Object.fromEntries([...late("5.0", "kexec_file_load"), ...late("6.13", "map_shadow_stack")]),
  s390x: Object.fromEntries([...splitSockets, ...splitIpc]),
  ppc64le: Object.fromEntries(splitIpc),
  mips: Object.fromEntries(splitIpc),
};
