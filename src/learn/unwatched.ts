/**
 * Calls that learning does not watch: every program makes them, often, and they give it nothing that it does not have
 * or that files' own permissions do not give. A policy that was learned permits them all, and says so.
 */
export interface Unwatched {
  readonly selectors: string;
  readonly reason: string;
}

export const unwatched: readonly Unwatched[] = [
  // A signal that comes just when a call is handed up makes it fail with EINTR, which no program expects of fork.
  {
    selectors:
      "fork, vfork, clone(flags within SIGCHLD | CLONE_VM | CLONE_VFORK | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID)",
    reason: "processes and threads of its own, without namespaces",
  },
  {
    selectors:
      "read, readv, pread64, preadv, write, writev, pwrite64, pwritev, lseek, close, dup, dup2, dup3, pipe, pipe2",
    reason: "descriptors that are open",
  },
  {
    selectors: "fcntl(cmd in {F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC})",
    reason: "their flags",
  },
  {
    selectors: "stat, lstat, fstat, newfstatat, statx, access, faccessat, faccessat2, readlink, readlinkat",
    reason: "what a file is",
  },
  {
    // A walk opens one folder after the other, each below one that was seen: a grant of that has them in it.
    selectors: "openat(dirfd >= 0 && (flags & (O_ACCMODE | O_CREAT | O_DIRECTORY)) == O_DIRECTORY)",
    reason: "folders below one that is open",
  },
  { selectors: "getdents, getdents64, getcwd, fchdir", reason: "what is in a folder" },
  {
    selectors: "brk, munmap, mremap, mmap(prot within PROT_READ | PROT_WRITE)",
    reason: "memory without code",
  },
  { selectors: "mprotect(prot within PROT_READ | PROT_WRITE)", reason: "the same" },
  {
    selectors:
      "madvise(advice in {MADV_NORMAL..MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTFORK})",
    reason: "what allocators say of it",
  },
  {
    selectors: "rt_sigaction, rt_sigprocmask, rt_sigreturn, sigaltstack, restart_syscall",
    reason: "handlers of its own",
  },
  {
    selectors: "futex, sched_yield, set_robust_list, set_tid_address, rseq, membarrier",
    reason: "threads that there are",
  },
  {
    selectors: "poll, ppoll, select, pselect6, epoll_wait, epoll_pwait, epoll_ctl",
    reason: "waiting for input",
  },
  {
    selectors:
      "clock_gettime, clock_getres, gettimeofday, time, times, nanosleep, clock_nanosleep, getrandom, getrusage",
    reason: "time and chance",
  },
  {
    selectors:
      "getpid, gettid, getppid, getpgrp, getpgid, getsid, getuid, geteuid, getgid, getegid, getresuid, getresgid, getgroups, uname, sysinfo, sched_getaffinity, getcpu",
    reason: "who and where it is",
  },
  { selectors: "arch_prctl(code in {ARCH_SET_FS, ARCH_GET_FS})", reason: "a thread's own memory" },
  { selectors: "exit, exit_group, wait4, waitid", reason: "the end" },
];

/** Policy lines that permit them. */
export function unwatchedRules(native: string): readonly string[] {
  // ARCH_* are x86's.
  const here = unwatched.filter(
    ({ selectors }) => native === "x86_64" || !selectors.startsWith("arch_prctl"),
  );
  return here.map(({ selectors, reason }) => `allow ${selectors}  # ${reason}`);
}
