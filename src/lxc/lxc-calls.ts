/**
 * The calls that LXC makes in the container's first process after it has loaded its profile and before it executes
 * init, and those that its hooks in the container need. A rule on one of them in the profile could break or hang
 * lxc-start; the container's own filter, which comes later, has them. So are the calls that callgate's launcher makes until it
 * has installed that.
 */
const words = `
  close openat open dup2 dup3 dup setsid write writev read sendmsg sendto recvmsg recvfrom newfstatat fstat stat
  capget capset setgroups getuid getgid geteuid getegid execve execveat setresgid setresuid prctl fchown fcntl
  setgid setuid exit exit_group rt_sigaction rt_sigprocmask rt_sigreturn sigreturn futex mmap mmap2 munmap mprotect brk
  clone clone3 fork vfork wait4 waitid pipe2 pipe kill getpid gettid tgkill poll ppoll seccomp set_robust_list
  umount2 umount pread64 faccessat getrandom
  setgroups32 setresgid32 setresuid32 fchown32 fcntl64 fstat64 stat64 fstatat64 setuid32 setgid32 waitpid
`;

export const callsOfLxc: ReadonlySet<string> = new Set(words.split(/\s+/).filter((word) => word !== ""));
