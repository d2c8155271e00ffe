/**
 * Calls that are one operation under several numbers.
 *
 * When 16-bit user ids, 32-bit file sizes or 32-bit times became too small, 32-bit ABIs got a second number for
 * the same work; a rule that named only one of them would be half a rule. Two names are twins where the work
 * behind both entry points is the same kernel function, and where no 64-bit ABI has both as calls with
 * manual pages of their own: `open` and `openat`, `dup` and `dup2`, `getdents` and `getdents64` are not.
 *
 * `waitpid` is `wait4` without its last argument (both are kernel_wait4). `signal` is not `sigaction`: it sets
 * other flags. `vm86old` is not `vm86`: it has no function code.
 */

const suffixed = (suffix: string, names: string): string[] =>
  names.split(" ").map((name) => `${name} ${name}${suffix}`);

const familyTexts = (): readonly string[] => [
  // 16-bit and 32-bit user and group ids.
  ...suffixed(
    "32",
    "getuid geteuid getgid getegid getgroups setgroups getresuid getresgid setuid setgid setreuid",
  ),
  ...suffixed("32", "setregid setresuid setresgid setfsuid setfsgid chown lchown fchown"),
  // Files beyond 2 GiB.
  "stat oldstat stat64",
  "lstat oldlstat lstat64",
  "fstat oldfstat fstat64",
  "newfstatat fstatat64",
  ...suffixed("64", "statfs fstatfs truncate ftruncate fcntl sendfile"),
  "lseek _llseek",
  "fadvise64 fadvise64_64 arm_fadvise64_64",
  // The same operation with its arguments in an order that needs no gap between registers.
  "sync_file_range sync_file_range2 arm_sync_file_range",
  // Arguments behind a pointer, then in registers; mmap2 counts its offset in pages.
  "mmap mmap2",
  "select _newselect",
  // Times beyond 2038.
  ...suffixed(
    "64",
    "clock_gettime clock_settime clock_adjtime timer_gettime timer_settime timerfd_gettime timerfd_settime",
  ),
  ...suffixed(
    "_time64",
    "clock_getres clock_nanosleep utimensat pselect6 ppoll io_pgetevents recvmmsg mq_timedsend",
  ),
  ...suffixed("_time64", "mq_timedreceive semtimedop rt_sigtimedwait futex sched_rr_get_interval"),
  // Signal sets of one word, then of any size.
  "rt_sigaction sigaction",
  "rt_sigprocmask sigprocmask",
  "rt_sigpending sigpending",
  "rt_sigsuspend sigsuspend",
  "rt_sigreturn sigreturn",
  // One operation that grew a field or an argument.
  "uname olduname oldolduname",
  "getrlimit ugetrlimit",
  "umount2 umount",
  "wait4 waitpid",
  // Behind socketcall: sendto and recvfrom without an address.
  "sendto send",
  "recvfrom recv",
];
let familyOf: ReadonlyMap<string, readonly string[]> | undefined;

/** Made when it is first asked for: most cold starts ask for no twins. */
function families(): ReadonlyMap<string, readonly string[]> {
  familyOf ??= new Map(
    familyTexts()
      .map((family) => family.split(" "))
      .flatMap((family) =>
        family.map((name) => [name, [name, ...family.filter((twin) => twin !== name)]] as const),
      ),
  );
  return familyOf;
}

/**
 * Every name that reaches the same kernel function, the given one first; only that one where it has no twin.
 * Names of any ABI: not each ABI has a number for each.
 */
export function twinsOf(name: string): readonly string[] {
  return families().get(name) ?? [name];
}
