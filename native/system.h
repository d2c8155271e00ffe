// The kernel, as the native programs see it: raw system calls, numbers, structures, error names.
//
// There is no C library below these programs. A library would be most of what an auditor has to read, would run
// code of its own before `start`, and would look at the environment, which the caller controls.
// Everything here is the kernel's stable interface; the values are those of the kernel's own headers and are
// written out so that gcc alone, also a cross compiler without headers, builds the programs.

#ifndef CALLGATE_SYSTEM_H
#define CALLGATE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ── Architectures ──────────────────────────────────────────────────────────────────────────────────────────────

#if defined(__x86_64__) && !defined(__ILP32__)

#define ARCHITECTURE 0xc000003eU // AUDIT_ARCH_X86_64
#define O_DIRECTORY 0x10000

#define NUMBERS(X)                                                                                                    \
  X(read, 0) X(write, 1) X(close, 3) X(fstat, 5) X(rt_sigaction, 13) X(rt_sigprocmask, 14) X(ioctl, 16)               \
  X(getpid, 39) X(pread64, 17) X(pwrite64, 18) X(socket, 41) X(sendto, 44) X(setsockopt, 54) X(clone, 56) X(execve, 59) X(wait4, 61) X(kill, 62) X(uname, 63)     \
  X(sched_yield, 24) X(fcntl, 72) X(fsync, 74) X(fchdir, 81) X(fchmod, 91) X(ptrace, 101) X(getppid, 110) X(setsid, 112) X(personality, 135) X(prctl, 157)          \
  X(settimeofday, 164) X(mount, 165) X(umount2, 166) X(swapon, 167) X(reboot, 169) X(init_module, 175) X(quotactl, 179)               \
  X(clock_settime, 227) X(exit_group, 231) X(kexec_load, 246) X(add_key, 248) X(keyctl, 250) X(openat, 257)           \
  X(fchownat, 260) X(faccessat, 269) X(ppoll, 271) X(unshare, 272) X(dup3, 292) X(pipe2, 293) X(perf_event_open, 298)                  \
  X(open_by_handle_at, 304) X(setns, 308) X(process_vm_readv, 310) X(kcmp, 312) X(seccomp, 317) X(getrandom, 318)     \
  X(bpf, 321) X(userfaultfd, 323) X(socketpair, 53) X(umask, 95) X(getuid, 102) X(getgid, 104) X(setgroups, 116)        \
  X(setresuid, 117) X(setresgid, 119) X(capset, 126) X(rt_sigtimedwait, 128) X(pivot_root, 155) X(sethostname, 170)     \
  X(mmap, 9) X(nanosleep, 35) X(recvfrom, 45) X(sendmsg, 46) X(recvmsg, 47) X(memfd_create, 319)                           \
  X(restart_syscall, 219) X(sched_setscheduler, 144) X(timer_create, 222) X(timer_settime, 223) X(clock_gettime, 228)                                 \
  X(getdents64, 217) X(mkdirat, 258) X(unlinkat, 263)      \
  X(symlinkat, 266) X(prlimit64, 302) X(getcwd, 79) X(getgroups, 115) X(capget, 125) X(renameat, 264) X(statx, 332) X(fstatfs, 138)

#elif defined(__aarch64__) && defined(__AARCH64EL__)

#define ARCHITECTURE 0xc00000b7U // AUDIT_ARCH_AARCH64
#define O_DIRECTORY 0x4000

#define NUMBERS(X)                                                                                                    \
  X(dup3, 24) X(fcntl, 25) X(ioctl, 29) X(umount2, 39) X(mount, 40) X(faccessat, 48) X(fchdir, 50) X(fchmod, 52) X(fchownat, 54) X(openat, 56) X(close, 57)        \
  X(pipe2, 59) X(quotactl, 60) X(read, 63) X(write, 64) X(pread64, 67) X(pwrite64, 68) X(ppoll, 73) X(fstat, 80) X(fsync, 82) X(personality, 92)                  \
  X(exit_group, 94) X(unshare, 97) X(kexec_load, 104) X(init_module, 105) X(clock_settime, 112) X(ptrace, 117)        \
  X(kill, 129) X(rt_sigaction, 134) X(rt_sigprocmask, 135) X(reboot, 142) X(uname, 160) X(setsid, 157) X(prctl, 167)                \
  X(settimeofday, 170) X(getpid, 172) X(getppid, 173) X(socket, 198) X(sendto, 206) X(setsockopt, 208)                \
  X(add_key, 217) X(keyctl, 219) X(clone, 220) X(execve, 221) X(swapon, 224) X(perf_event_open, 241) X(wait4, 260)    \
  X(open_by_handle_at, 265) X(setns, 268) X(process_vm_readv, 270) X(kcmp, 272) X(seccomp, 277) X(getrandom, 278)     \
  X(bpf, 280) X(userfaultfd, 282) X(mkdirat, 34) X(unlinkat, 35) X(symlinkat, 36) X(getdents64, 61) X(pivot_root, 41) X(capset, 91)          \
  X(timer_create, 107) X(timer_settime, 110) X(clock_gettime, 113)                                                        \
  X(restart_syscall, 128) X(sched_yield, 124) X(sched_setscheduler, 119) X(rt_sigtimedwait, 137) X(setresuid, 147) X(setresgid, 149) X(setgroups, 159)                 \
  X(nanosleep, 101) X(recvfrom, 207) X(sendmsg, 211) X(recvmsg, 212) X(mmap, 222) X(memfd_create, 279)                   \
  X(sethostname, 161) X(umask, 166) X(getuid, 174) X(getgid, 176) X(socketpair, 199) X(prlimit64, 261) X(getcwd, 17)     \
  X(renameat, 38) X(capget, 90) X(getgroups, 158) X(statx, 291) X(fstatfs, 44)

#else
#error "callgate's native programs know x86_64 and aarch64 (little-endian) only"
#endif

// From number 424 on, every architecture has the same ones.
#define SHARED_NUMBERS(X)                                                                                             \
  X(pidfd_send_signal, 424) X(io_uring_setup, 425) X(open_tree, 428) X(move_mount, 429) X(fsopen, 430) X(fsconfig, 431) X(fsmount, 432)           \
  X(pidfd_open, 434) X(clone3, 435) X(close_range, 436) X(openat2, 437) X(mount_setattr, 442) X(landlock_create_ruleset, 444)              \
  X(landlock_add_rule, 445) X(landlock_restrict_self, 446)

enum {
#define NUMBER(name, value) NR_##name = (value),
  NUMBERS(NUMBER) SHARED_NUMBERS(NUMBER)
#undef NUMBER
};

// ── Calls ──────────────────────────────────────────────────────────────────────────────────────────────────────

// All six argument registers are always set: the launcher's key travels in those that execve does not use.
static inline long call6(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
#if defined(__x86_64__)
  long result;
  register uint64_t r10 __asm__("r10") = d;
  register uint64_t r8 __asm__("r8") = e;
  register uint64_t r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#else
  register long x8 __asm__("x8") = number;
  register uint64_t x0 __asm__("x0") = a;
  register uint64_t x1 __asm__("x1") = b;
  register uint64_t x2 __asm__("x2") = c;
  register uint64_t x3 __asm__("x3") = d;
  register uint64_t x4 __asm__("x4") = e;
  register uint64_t x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return (long)x0;
#endif
}

// Negative results are errors: -EPERM and so on.
#define CALL(...) CALL_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define CALL_(name, a, b, c, d, e, f, ...) call6(NR_##name, WORD(a), WORD(b), WORD(c), WORD(d), WORD(e), WORD(f))
#define WORD(x) ((uint64_t)(x))

// A process that shares this one's memory and runs on a stack of its own, from `run` on, which never returns. Three times
// cheaper than a copy. A function with a frame of this one's cannot go on in it.
#define CALL_ON_STACK(name, flags, top, run) call_on_stack(NR_##name, flags, WORD(top), run)
static inline long call_on_stack(long number, uint64_t flags, uint64_t top, void (*run)(void)) {
#if defined(__x86_64__)
  long result;
  register uint64_t r10 __asm__("r10") = 0;
  register uint64_t r8 __asm__("r8") = 0;
  __asm__ volatile("syscall\n  test %%rax, %%rax\n  jnz 1f\n  xor %%ebp, %%ebp\n  call *%%rbx\n  ud2\n1:"
                   : "=a"(result)
                   : "a"(number), "D"(flags), "S"(top), "d"(0L), "r"(r10), "r"(r8), "b"(run)
                   : "rcx", "r11", "memory");
  return result;
#else
  register long x8 __asm__("x8") = number;
  register uint64_t x0 __asm__("x0") = flags;
  register uint64_t x1 __asm__("x1") = top;
  register uint64_t x2 __asm__("x2") = 0;
  register uint64_t x3 __asm__("x3") = 0;
  register uint64_t x4 __asm__("x4") = 0;
  register void (*x9)(void) __asm__("x9") = run;
  __asm__ volatile("svc 0\n  cbnz x0, 1f\n  mov x29, #0\n  blr x9\n  brk #1\n1:"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x9)
                   : "memory");
  return (long)x0;
#endif
}

// The program's entry: the kernel's stack (argc, argv, environment, auxiliary vector) goes to `start`.
#if defined(__x86_64__)
__asm__(".globl _start\n.type _start, @function\n_start:\n"
        "  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call start\n  ud2\n");
#else
__asm__(".globl _start\n.type _start, %function\n_start:\n"
        "  mov x29, #0\n  mov x30, #0\n  mov x0, sp\n  bl start\n  brk #1\n");
#endif

// gcc may ask for these two, also in code that names neither. A start copies and hashes plans of tens of kilobytes: most
// of what is copied goes eight bytes at a time.
typedef uint64_t __attribute__((aligned(1), may_alias)) any_word;

void *memcpy(void *restrict to, const void *restrict from, size_t length) {
  size_t i = 0;
  for (; length - i >= sizeof(any_word); i += sizeof(any_word))
    *(any_word *)((uint8_t *)to + i) = *(const any_word *)((const uint8_t *)from + i);
  for (; i < length; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
  return to;
}

void *memset(void *to, int byte, size_t length) {
  for (size_t i = 0; i < length; i++) ((uint8_t *)to)[i] = (uint8_t)byte;
  return to;
}

// Never returns: where even exit_group is forbidden, an instruction that traps ends the process.
_Noreturn static void leave(int status) {
  CALL(exit_group, status);
  for (;;) __builtin_trap();
}

// ── Constants and structures ───────────────────────────────────────────────────────────────────────────────────

enum {
  AT_FDCWD = -100,
  X_OK = 1,
  AT_REMOVEDIR = 0x200,
  AT_EMPTY_PATH = 0x1000,
  AT_RECURSIVE = 0x8000,
  O_RDONLY = 0,
  O_WRONLY = 1,
  POLLIN = 1,
  POLLOUT = 4,
  POLLERR = 8,
  POLLHUP = 16,
  O_RDWR = 2,
  O_CREAT = 0x40,
  O_EXCL = 0x80,
  O_NONBLOCK = 0x800,
  O_CLOEXEC = 0x80000,
  O_PATH = 0x200000,
  F_SETFD = 2,
  FD_CLOEXEC = 1,
  F_DUPFD_CLOEXEC = 1030,
};

enum {
  PR_SET_PDEATHSIG = 1,
  PR_SET_DUMPABLE = 4,
  PR_CAPBSET_DROP = 24,
  PR_SET_SECUREBITS = 28,
  PR_SET_TIMERSLACK = 29,
  PR_SET_NO_NEW_PRIVS = 38,
  PR_CAP_AMBIENT = 47,
  PR_CAP_AMBIENT_CLEAR_ALL = 4,
  PR_SET_MDWE = 65,
};
enum { CLONE_VM = 0x100, CLONE_FILES = 0x400, CLONE_PIDFD = 0x1000, CLONE_PARENT = 0x8000 };
enum { CLONE_NEWNS = 0x20000, CLONE_NEWUSER = 0x10000000, CLONE_NEWPID = 0x20000000, CLONE_NEWNET = 0x40000000 };
enum { WNOHANG = 1, WUNTRACED = 2 };
enum {
  SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGKILL = 9, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15, SIGCHLD = 17, SIGCONT = 18,
  SIGSTOP = 19, SIGXFSZ = 25,
};
enum { SIGNALS_END = 65, SIG_DFL = 0, SIG_IGN = 1, SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2 };
enum { AT_NULL = 0, AT_UID = 11, AT_EUID = 12, AT_GID = 13, AT_EGID = 14, AT_SECURE = 23, AT_EXECFN = 31 };
enum { MNT_DETACH = 2, UMOUNT_NOFOLLOW = 8 };
enum { SECCOMP_SET_MODE_FILTER = 1, MSG_NOSIGNAL = 0x4000, LANDLOCK_VERSION = 1 };

// The kernel's own structure, which is not the C library's; x86_64 and aarch64 agree.
struct signal_action {
  uint64_t handler, flags, restorer, mask;
};

// Device and inode come first on both architectures; the rest is not looked at.
struct file_status {
  uint64_t device, inode;
  uint8_t rest[240];
};

// What rt_sigtimedwait says of a signal: only its head is looked at.
struct signal_information {
  int32_t signal, error, code, padding, sender;
  uint8_t rest[108];
};
enum { SI_USER = 0, SI_KERNEL = 0x80 };

struct poll {
  int descriptor;
  short events, returned;
};

struct kernel_time {
  int64_t seconds, nanoseconds;
};

struct open_how {
  uint64_t flags, mode, resolve;
};
enum { RESOLVE_NO_MAGICLINKS = 2, RESOLVE_NO_SYMLINKS = 4, RESOLVE_BENEATH = 8 };

struct mount_attributes {
  uint64_t set, clear, propagation, user_namespace;
};
enum { MOUNT_ATTR_RDONLY = 1, MOUNT_ATTR_NOSUID = 2, MOUNT_ATTR_NODEV = 4, MOUNT_ATTR_NOEXEC = 8, MS_PRIVATE = 1 << 18 };
enum { OPEN_TREE_CLONE = 1, FSOPEN_CLOEXEC = 1, FSMOUNT_CLOEXEC = 1, FSCONFIG_SET_STRING = 1, FSCONFIG_CREATE = 6 };
enum { MOVE_MOUNT_F_EMPTY_PATH = 4, MOVE_MOUNT_T_EMPTY_PATH = 0x40 };

struct capability_header {
  uint32_t version;
  int32_t pid;
};
struct capability_sets {
  uint32_t effective, permitted, inheritable;
};
#define CAPABILITY_VERSION_3 0x20080522U

struct resource_limit {
  uint64_t current, maximum;
};

struct filter_instruction {
  uint16_t code;
  uint8_t jump_true, jump_false;
  uint32_t k;
};

struct filter_program {
  uint16_t length;
  const struct filter_instruction *instructions;
};

#define BPF_LOAD_WORD 0x20U     // BPF_LD | BPF_W | BPF_ABS
#define BPF_LOAD_LENGTH 0x80U   // BPF_LD | BPF_W | BPF_LEN
#define BPF_JUMP_IF_EQUAL 0x15U // BPF_JMP | BPF_JEQ | BPF_K
#define BPF_RETURN 0x06U        // BPF_RET | BPF_K
#define SECCOMP_RETURN_ALLOW 0x7fff0000U
#define SECCOMP_RETURN_ERRNO 0x00050000U
#define SECCOMP_RETURN_KILL 0x80000000U

// ── Errors ─────────────────────────────────────────────────────────────────────────────────────────────────────

enum {
  EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, ENXIO = 6, E2BIG = 7, ENOEXEC = 8, EBADF = 9, ECHILD = 10, EAGAIN = 11,
  ENOMEM = 12, EEXIST = 17, EACCES = 13, EFAULT = 14, EBUSY = 16, ENOTDIR = 20, EISDIR = 21, EINVAL = 22, EMFILE = 24,
  ENOTTY = 25, ETXTBSY = 26, EIO = 5, EPIPE = 32, ERANGE = 34, ENAMETOOLONG = 36, ENOSYS = 38, ELOOP = 40, ENODATA = 61,
  ELIBBAD = 80, EPROTONOSUPPORT = 93, EOPNOTSUPP = 95, EAFNOSUPPORT = 97, ECONNRESET = 104, ENOBUFS = 105, ENOKEY = 126,
};

// Arrays, not pointers: pointers in data would need relocating when the program starts.
struct error {
  int number;
  char name[16];
  char meaning[48];
};

static const struct error errors[] = {
    {EPERM, "EPERM", "Operation not permitted"},
    {ENOENT, "ENOENT", "No such file or directory"},
    {ESRCH, "ESRCH", "No such process"},
    {EINTR, "EINTR", "Interrupted system call"},
    {EIO, "EIO", "Input/output error"},
    {ENXIO, "ENXIO", "No such device or address"},
    {E2BIG, "E2BIG", "Argument list too long"},
    {ENOEXEC, "ENOEXEC", "Exec format error"},
    {EBADF, "EBADF", "Bad file descriptor"},
    {ECHILD, "ECHILD", "No child processes"},
    {EAGAIN, "EAGAIN", "Resource temporarily unavailable"},
    {ENOMEM, "ENOMEM", "Cannot allocate memory"},
    {EACCES, "EACCES", "Permission denied"},
    {EFAULT, "EFAULT", "Bad address"},
    {EBUSY, "EBUSY", "Device or resource busy"},
    {EEXIST, "EEXIST", "File exists"},
    {18, "EXDEV", "Invalid cross-device link"},
    {19, "ENODEV", "No such device"},
    {ENOTDIR, "ENOTDIR", "Not a directory"},
    {EISDIR, "EISDIR", "Is a directory"},
    {EINVAL, "EINVAL", "Invalid argument"},
    {23, "ENFILE", "Too many open files in system"},
    {EMFILE, "EMFILE", "Too many open files"},
    {ENOTTY, "ENOTTY", "Inappropriate ioctl for device"},
    {ETXTBSY, "ETXTBSY", "Text file busy"},
    {28, "ENOSPC", "No space left on device"},
    {30, "EROFS", "Read-only file system"},
    {EPIPE, "EPIPE", "Broken pipe"},
    {ERANGE, "ERANGE", "Numerical result out of range"},
    {ENAMETOOLONG, "ENAMETOOLONG", "File name too long"},
    {ENOSYS, "ENOSYS", "Function not implemented"},
    {ELOOP, "ELOOP", "Too many levels of symbolic links"},
    {ENODATA, "ENODATA", "No data available"},
    {75, "EOVERFLOW", "Value too large for defined data type"},
    {ELIBBAD, "ELIBBAD", "Accessing a corrupted shared library"},
    {87, "EUSERS", "Too many users"},
    {92, "ENOPROTOOPT", "Protocol not available"},
    {EPROTONOSUPPORT, "EPROTONOSUPPORT", "Protocol not supported"},
    {94, "ESOCKTNOSUPPORT", "Socket type not supported"},
    {EOPNOTSUPP, "EOPNOTSUPP", "Operation not supported"},
    {EAFNOSUPPORT, "EAFNOSUPPORT", "Address family not supported by protocol"},
    {107, "ENOTCONN", "Transport endpoint is not connected"},
    {116, "ESTALE", "Stale file handle"},
    {122, "EDQUOT", "Disk quota exceeded"},
    {ENOKEY, "ENOKEY", "Required key not available"},
};

static inline const struct error *find_error(int number) {
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
    if (errors[i].number == number) return &errors[i];
  return NULL;
}

// ── One line of text ───────────────────────────────────────────────────────────────────────────────────────────

// A message is put together in a buffer and written by one call, so that it stays whole beside other writers.
struct line {
  size_t length;
  char text[1024];
};

static inline void put_byte(struct line *line, char byte) {
  if (line->length < sizeof line->text) line->text[line->length++] = byte;
}

static inline void put(struct line *line, const char *text) {
  while (*text != 0) put_byte(line, *text++);
}

static inline void put_number(struct line *line, uint64_t number) {
  char digits[20];
  size_t count = 0;
  do digits[count++] = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  while (count > 0) put_byte(line, digits[--count]);
}

// Text of the caller's: control characters could drive the terminal, and a long path would hide the message's end.
static inline void put_quoted(struct line *line, const char *text) {
  size_t shown = 0;
  put_byte(line, '"');
  for (; *text != 0 && shown < 256; text++, shown++) {
    unsigned char byte = (unsigned char)*text;
    put_byte(line, byte < 0x20 || byte == 0x7f ? '?' : *text);
  }
  put(line, *text == 0 ? "\"" : "…\"");
}

static inline void put_error(struct line *line, int number) {
  const struct error *error = find_error(number);
  if (error == NULL) {
    put(line, "error ");
    put_number(line, (uint64_t)number);
    return;
  }
  put(line, error->name);
  put(line, " (");
  put(line, error->meaning);
  put(line, ")");
}

// What failed, on what (or NULL), and the kernel's answer, if it was an error: openat "/srv": ENOENT (No such file …)
static inline void put_failure(struct line *line, const char *what, const char *object, long result) {
  put(line, what);
  if (object != NULL) {
    put_byte(line, ' ');
    put_quoted(line, object);
  }
  if (result >= 0) return;
  put(line, ": ");
  put_error(line, (int)-result);
}

// The end of a program of ours that can't go on: one line on standard error, begun by who speaks.
_Noreturn static inline void fail_as(const char *speaker, int status, const char *what, const char *object, long result) {
  struct line line = {.length = 0};
  put(&line, speaker);
  put(&line, ": ");
  put_failure(&line, what, object, result);
  put_byte(&line, '\n');
  CALL(write, 2, line.text, line.length);
  leave(status);
}

#endif
