// probe NAME makes one well-known dangerous system call in a harmless way and says how it went. Demos and tests run
// it with and without a policy; it needs no C library and no compiler on the machine where it runs.
//
//   NAME: ok                                  the kernel carried the call out                            exit 0
//   NAME: ok (EINVAL: REASON)                 it took the call and refused only what was wrong in it
//                                             on purpose, so that nothing could happen                   exit 0
//   NAME: EPERM (Operation not permitted)     refused                                                    exit 1
//   usage, or a name that is not in the list                                                             exit 2

#include "system.h"

enum {
  CLONE_NEWUTS = 0x04000000,
  PTRACE_SEIZE = 0x4206,
  SOCK_STREAM = 1,
  SOCK_DGRAM = 2,
  SOCK_RAW = 3,
  SOCK_SEQPACKET = 5,
};

// A path that exists nowhere: /proc lets nobody create files.
static const char nowhere[] = "/proc/callgate-probe";

// ── The calls, in the order of the table below ─────────────────────────────────────────────────────────────────

static long keyctl(void) {
  return CALL(keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3 /* session keyring */, 0);
}

static long add_key(void) {
  return CALL(add_key, "user", "callgate-probe", "x", 1, -1 /* the thread's own keyring, gone when it ends */);
}

static long bpf(void) {
  uint32_t map[32] = {2 /* array */, 4, 4, 1};
  return CALL(bpf, 0 /* BPF_MAP_CREATE */, map, 72);
}

static long perf_event_open(void) {
  // Type software, size, event "dummy"; user space of this process only.
  uint64_t attributes[16] = {1 | 64ULL << 32, 9, 0, 0, 0, 1 << 5 | 1 << 6};
  return CALL(perf_event_open, attributes, 0, -1, -1, 0);
}

static long userfaultfd(void) {
  return CALL(userfaultfd, 1 /* UFFD_USER_MODE_ONLY */);
}

static long io_uring_setup(void) {
  uint32_t parameters[30] = {0};
  return CALL(io_uring_setup, 1, parameters);
}

// Where the policy refuses kill, the child ends with the probe.
static void end_child(long child) {
  if (CALL(kill, child, SIGKILL) == 0) CALL(wait4, child, 0, 0, 0);
}

static long ptrace(void) {
  long parent = CALL(getpid);
  long child = CALL(clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    // It looks for its parent, since a policy may refuse the signal that the parent's end would send.
    struct kernel_time moment = {0, 20000000};
    while (CALL(getppid) == parent) CALL(ppoll, 0, 0, &moment, 0, 8);
    leave(0);
  }
  if (child < 0) return child;
  long result = CALL(ptrace, PTRACE_SEIZE, child, 0, 0);
  end_child(child);
  return result;
}

static long process_vm_readv(void) {
  uint64_t from = 1, to = 0;
  uint64_t remote[2] = {(uintptr_t)&from, 8}, local[2] = {(uintptr_t)&to, 8};
  return CALL(process_vm_readv, CALL(getpid), local, 1, remote, 1, 0);
}

static long unshare_user(void) {
  return CALL(unshare, CLONE_NEWUSER);
}

static long clone_user(void) {
  long child = CALL(clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) leave(0);
  if (child > 0) end_child(child);
  return child;
}

static long clone3(void) {
  uint64_t arguments[8] = {0, 0, 0, 0, SIGCHLD};
  long child = CALL(clone3, arguments, sizeof arguments);
  if (child == 0) leave(0);
  if (child > 0) end_child(child);
  return child;
}

static long setns(void) {
  return CALL(setns, -1, CLONE_NEWUTS);
}

static long mount(void) {
  return CALL(mount, "none", nowhere, "tmpfs", 0, 0);
}

static long fsopen(void) {
  return CALL(fsopen, "tmpfs", 1 /* FSOPEN_CLOEXEC */);
}

static long open_tree(void) {
  return CALL(open_tree, AT_FDCWD, "/", O_CLOEXEC);
}

static long init_module(void) {
  return CALL(init_module, "", 0, "");
}

static long kexec_load(void) {
  // Without segments and with right flags it would unload the image that is loaded.
  return CALL(kexec_load, 0, 0, 0, 0xffff);
}

static long settimeofday(void) {
  int64_t impossible[2] = {0, 2000000};
  return CALL(settimeofday, impossible, 0);
}

static long clock_settime(void) {
  int64_t impossible[2] = {0, 2000000000};
  return CALL(clock_settime, 0 /* CLOCK_REALTIME */, impossible);
}

static long swapon(void) {
  return CALL(swapon, nowhere, 0x10000000);
}

static long reboot(void) {
  return CALL(reboot, 0, 0, 0, 0);
}

static long quotactl(void) {
  return CALL(quotactl, 0xffffffffU, nowhere, 0, 0);
}

static long open_by_handle_at(void) {
  uint32_t handle[2] = {0, 0};
  return CALL(open_by_handle_at, AT_FDCWD, handle, 0);
}

static long kcmp(void) {
  long self = CALL(getpid);
  return CALL(kcmp, self, self, 1 /* KCMP_VM */, 0, 0);
}

static long socket_packet(void) { return CALL(socket, 17, SOCK_RAW, 0); }
static long socket_vsock(void) { return CALL(socket, 40, SOCK_STREAM, 0); }
static long socket_alg(void) { return CALL(socket, 38, SOCK_SEQPACKET, 0); }
static long socket_netlink_audit(void) { return CALL(socket, 16, SOCK_RAW, 9); }
static long socket_netlink_netfilter(void) { return CALL(socket, 16, SOCK_RAW, 12); }
static long socket_netlink_xfrm(void) { return CALL(socket, 16, SOCK_RAW, 6); }
static long socket_packet_high(void) { return CALL(socket, 17 | 1ULL << 32, SOCK_RAW, 0); }

static long tiocsti(void) { return CALL(ioctl, 0, 0x5412, 0); }
static long tiocsti_high(void) { return CALL(ioctl, 0, 0x5412 | 1ULL << 32, 0); }
static long tioclinux(void) { return CALL(ioctl, 0, 0x541c, 0); }

static long personality(void) {
  return CALL(personality, 0x0040000 /* ADDR_NO_RANDOMIZE */);
}

static long tcp_ulp(void) {
  long socket = CALL(socket, 2, SOCK_STREAM, 0);
  if (socket < 0) return socket;
  return CALL(setsockopt, socket, 6, 31, "", 0);
}

// ── The table ──────────────────────────────────────────────────────────────────────────────────────────────────

#define PROBES(X)                                                                                                     \
  X(keyctl, "keyctl", 0, 0, "asks for the session keyring")                                                           \
  X(add_key, "add_key", 0, 0, "adds a key to its own thread's keyring")                                               \
  X(bpf, "bpf", 0, 0, "creates a small map")                                                                          \
  X(perf_event_open, "perf_event_open", 0, 0, "counts nothing, of itself")                                            \
  X(userfaultfd, "userfaultfd", 0, 0, "opens one for user mode")                                                      \
  X(io_uring_setup, "io_uring_setup", 0, 0, "opens a ring of one entry")                                              \
  X(ptrace, "ptrace", 0, 0, "seizes a child of its own")                                                              \
  X(process_vm_readv, "process_vm_readv", 0, 0, "reads eight bytes of itself")                                        \
  X(unshare_user, "unshare-user", 0, 0, "enters a new user namespace")                                                \
  X(clone_user, "clone-user", 0, 0, "starts a child in a new user namespace")                                         \
  X(clone3, "clone3", 0, 0, "starts a child that ends at once")                                                       \
  X(setns, "setns", EBADF, 0, "no descriptor given, on purpose")                                                      \
  X(mount, "mount", ENOENT, 0, "on a path that does not exist, on purpose")                                           \
  X(fsopen, "fsopen", 0, 0, "prepares a tmpfs that is mounted nowhere (needs root)")                                  \
  X(open_tree, "open_tree", 0, 0, "opens / as a mount")                                                               \
  X(init_module, "init_module", ENOEXEC, 0, "an empty module, on purpose (needs root)")                               \
  X(kexec_load, "kexec_load", EINVAL, 0, "impossible flags, on purpose (needs root)")                                 \
  X(settimeofday, "settimeofday", EINVAL, 0, "an impossible time, on purpose")                                        \
  X(clock_settime, "clock_settime", EINVAL, 0, "an impossible time, on purpose")                                      \
  X(swapon, "swapon", EINVAL, 0, "impossible flags, on purpose")                                                      \
  X(reboot, "reboot", EINVAL, 0, "wrong magic numbers, on purpose: nothing reboots (needs root)")                     \
  X(quotactl, "quotactl", EINVAL, 0, "an impossible kind of quota, on purpose")                                       \
  X(open_by_handle_at, "open_by_handle_at", EINVAL, 0, "an empty handle, on purpose (may need root)")                 \
  X(kcmp, "kcmp", 0, 0, "compares its memory with itself")                                                            \
  X(socket_packet, "socket-packet", 0, 0, "AF_PACKET (needs root)")                                                   \
  X(socket_packet_high, "socket-packet-high", 0, 0, "the same, with bit 32 of the domain set: the kernel ignores it") \
  X(socket_vsock, "socket-vsock", 0, 0, "AF_VSOCK")                                                                   \
  X(socket_alg, "socket-alg", 0, 0, "AF_ALG")                                                                         \
  X(socket_netlink_audit, "socket-netlink-audit", 0, 0, "AF_NETLINK, NETLINK_AUDIT")                                  \
  X(socket_netlink_netfilter, "socket-netlink-netfilter", 0, 0, "AF_NETLINK, NETLINK_NETFILTER")                      \
  X(socket_netlink_xfrm, "socket-netlink-xfrm", 0, 0, "AF_NETLINK, NETLINK_XFRM")                                     \
  X(tiocsti, "tiocsti", ENOTTY, EFAULT, "standard input: no terminal, or no character given, on purpose")             \
  X(tiocsti_high, "tiocsti-high", ENOTTY, EFAULT, "the same, with bit 32 of the request set: the kernel ignores it")  \
  X(tioclinux, "tioclinux", ENOTTY, EFAULT, "standard input: no console, or nothing to do given, on purpose")         \
  X(personality, "personality", 0, 0, "switches its own address randomisation off")                                   \
  X(tcp_ulp, "tcp-ulp", EINVAL, 0, "an empty name of a protocol, on purpose")

static bool is_word(const char *given, const char *word) {
  while (*given != 0 && *given == *word) given++, word++;
  return *given == *word;
}

static void write_line(struct line *line, long descriptor) {
  put_byte(line, '\n');
  CALL(write, descriptor, line->text, line->length);
}

// Whether the kernel took the call.
static bool report(const char *name, long result, int expected, int expected_too, const char *note) {
  struct line line = {.length = 0};
  bool taken = result >= 0 || (result == -expected && expected != 0) || (result == -expected_too && expected_too != 0);
  put(&line, name);
  put(&line, ": ");
  if (!taken) {
    put_error(&line, (int)-result);
  } else {
    put(&line, "ok");
    if (result < 0) {
      put(&line, " (");
      put(&line, find_error((int)-result)->name);
      put(&line, ": ");
      put(&line, note);
      put(&line, ")");
    }
  }
  write_line(&line, 1);
  return taken;
}

static void list(long descriptor) {
  struct line line;
#define LIST(function, name, expected, expected_too, note)                                                            \
  line.length = 0;                                                                                                    \
  put(&line, name);                                                                                                   \
  do put_byte(&line, ' ');                                                                                            \
  while (line.length < 26);                                                                                           \
  put(&line, note);                                                                                                   \
  write_line(&line, descriptor);
  PROBES(LIST)
}

__attribute__((used)) _Noreturn void start(const uint64_t *stack) {
  int argc = (int)stack[0];
  const char **argv = (const char **)(uintptr_t)(stack + 1);
  if (argc == 1) {
    list(1);
    leave(0);
  }
  bool all_taken = true;
  for (int i = 1; i < argc; i++) {
#define RUN(function, name, expected, expected_too, note)                                                             \
  if (is_word(argv[i], name)) {                                                                                       \
    all_taken &= report(name, function(), expected, expected_too, note);                                              \
    continue;                                                                                                         \
  }
    PROBES(RUN)
    struct line line = {.length = 0};
    put(&line, "usage: probe NAME…, where each NAME is one that `probe` lists");
    write_line(&line, 2);
    leave(2);
  }
  leave(all_taken ? 0 : 1);
}
